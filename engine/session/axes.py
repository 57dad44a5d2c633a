"""The settings that a search varies, and the configurations that it tries."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from typing import Any, Literal, get_args
from zlib import crc32

import numpy as np
from pydantic import ValidationError

from ...io.config import nearest
from ...io.errors import UsageError
from .config import Config, words_of

Value = bool | int | float | str | time | None
Row = tuple[int, ...]  # which value of each axis a configuration has
SECTIONS = ("orb", "buffers", "factors", "scoring", "trade", "governance")
MOST = 1_000_000  # configurations of a grid
RANDOM = 1_000  # random ones, unless told otherwise
# What is searched of a setting that is only named: the ranges that the strategy was searched over before.
USUAL: Mapping[str, str] = {
    "buffers.fixed": "0.01:0.05:0.01",
    "orb.min_atr_mult": "0.2:0.5:0.05",
    "orb.max_atr_mult": "2:4:0.25",
    "factors.rel_volume.spike_mult": "1.2:2:0.1",
    "scoring.base_required": "1,2",
    "scoring.weak_trend_required": "2,3",
    "trade.t1_r": "0.8:1.2:0.1",
    "trade.t2_r": "1.2:1.8:0.1",
    "trade.runner_r": "1.6:2.5:0.1",
}
_RANGE = re.compile(r"(-?[0-9.]+):(-?[0-9.]+)(?::([0-9.]+))?")
_WORDS: Mapping[str, Value] = {"true": True, "false": False, "none": None}
_STREAM = 2  # of the random numbers: 0 draws policies, 1 resamples


@dataclass(frozen=True)
class Axis:
    """A setting by its dotted ``name``, and the values it is given, each once."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Trials:
    """The different configurations of a search: ``ids`` as they were drawn, what their settings are, and the whole.

    ``asked``: how many were drawn; ``refused`` of them cannot be, ``repeated`` are another once more.
    """

    ids: tuple[int, ...]
    settings: tuple[tuple[Value, ...], ...]
    configs: tuple[Config, ...]
    asked: int
    refused: int
    repeated: int


def names(model: Any = Config, before: str = "") -> Iterator[str]:
    """Yield the dotted names of all settings of the strategy."""
    for name, field in model.model_fields.items():
        if model is Config and name not in SECTIONS:
            continue
        if hasattr(field.annotation, "model_fields"):
            yield from names(field.annotation, f"{before}{name}.")
        else:
            yield before + name


def usual(name: str) -> str:
    """Return a setting that is only named with the values of USUAL, as ``axis`` takes it; all else as it is."""
    return f"{name}={USUAL[name]}" if name in USUAL else name


def axis(text: str) -> Axis:
    """Return the axis written ``trade.t1_r=0.5:1.5:0.25`` or ``orb.base_minutes=10,15,30``. Raises UsageError."""
    name, equals, written = text.partition("=")
    known = list(names())
    if name not in known:
        same = [each for each in known if each.split(".")[-1] == name.split(".")[-1]]
        near = f"; did you mean '{same[0]}'?" if same else nearest(name, known)
        raise UsageError(f"--param {text!r}: unknown setting '{name}'{near or '; such as trade.t1_r=0.5:1.5:0.25'}")
    if not equals or not written:
        raise UsageError(f"--param {text!r} needs values: {name}=low:high:step, or {name}=one,two")
    span = None if _is_clock(name) else _RANGE.fullmatch(written)
    values = _spread(span, name, text) if span else [_value(part, name) for part in written.split(",")]
    if len(set(map(repr, values))) < len(values):
        raise UsageError(f"--param {text!r} names a value twice")
    for value in values:
        _check(name, value, text)
    return Axis(name, tuple(values))


def _spread(span: re.Match[str], name: str, text: str) -> list[Value]:
    """Return the values of a range, both ends included, exact in decimals."""
    try:
        low, high = Decimal(span[1]), Decimal(span[2])
        step = Decimal(span[3]) if span[3] else Decimal(1)
    except ArithmeticError:
        raise UsageError(f"--param {text!r} is no range of numbers; such as 0.5:1.5:0.25") from None
    whole = all(each == int(each) for each in (low, high, step))
    if not span[3] and not whole:
        raise UsageError(f"--param {text!r} needs a step: {name}={span[1]}:{span[2]}:0.1")
    if low > high or step <= 0:
        raise UsageError(f"--param {text!r} must go from the lower to the higher value, by a step above 0")
    count = int((high - low) / step) + 1
    if count > MOST:
        raise UsageError(f"--param {text!r} has {count:,} values; at most {MOST:,}")
    found = [low + step * i for i in range(count)]
    return [int(each) for each in found] if whole else [float(each) for each in found]


def _value(text: str, name: str) -> Value:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return text if _is_clock(name) else kind(text)
        except ValueError:
            continue
    return text


def _is_clock(name: str) -> bool:
    return time in _kinds(_field(name).annotation)


def _kinds(annotation: Any) -> Iterator[Any]:
    yield annotation
    for each in get_args(annotation):
        yield from _kinds(each)


def _field(name: str) -> Any:
    model: Any = Config
    *sections, last = name.split(".")
    for each in sections:
        model = model.model_fields[each].annotation
    return model.model_fields[last]


def _check(name: str, value: Value, text: str) -> None:
    """Raise UsageError where a setting cannot have a value, whatever the others are."""
    model: Any = Config
    *sections, last = name.split(".")
    for each in sections:
        model = model.model_fields[each].annotation
    try:
        model.model_validate({last: value})
    except ValidationError as error:
        own = [each for each in error.errors(include_url=False) if each["loc"] == (last,)]
        if own:
            what = own[0]["msg"].removeprefix("Value error, ").replace("Input should", "it must", 1)
            raise UsageError(f"--param {text!r}: {name} is {value!r}; {what}") from None


def value_of(config: Config, name: str) -> Value:
    """Return a setting by its dotted name."""
    found: Any = config
    for part in name.split("."):
        found = getattr(found, part)
    return found


def changed(config: Config, values: Mapping[str, Value]) -> Config:
    """Return the settings with some of them changed. Raises UsageError where they cannot be."""
    whole = config.model_dump()
    for name, value in values.items():
        *sections, last = name.split(".")
        place = whole
        for each in sections:
            place = place[each]
        place[last] = value
    try:
        return Config.model_validate(whole)
    except ValidationError as error:
        raise UsageError(words_of(error)) from None


def drawn(
    config: Config, axes: Sequence[Axis], method: Literal["random", "grid"], count: int | None, seed: int
) -> Trials:
    """Return the configurations of a search: every combination, or ``count`` random ones; trial i of a seed is always
    the same. What the settings refuse is only counted."""
    rows = _grid(axes, count) if method == "grid" else random_rows(axes, RANDOM if count is None else count, seed)
    seen: dict[Row, Config | None] = {}
    ids, asked = [], 0
    for i, row in enumerate(rows):
        asked += 1
        if row not in seen:
            seen[row] = combined(config, axes, row)
            ids.append((i, row))
    return trials_of(axes, [each for each in ids if seen[each[1]] is not None], seen, asked)


def trials_of(
    axes: Sequence[Axis], ids: Sequence[tuple[int, Row]], seen: Mapping[Row, Config | None], asked: int
) -> Trials:
    """Return the configurations of the rows that can be, out of all that were ``seen``. Raises UsageError for none."""
    if not ids:
        raise UsageError(f"the settings refuse all {asked:,} configurations; choose other values for --param")
    configs = [config for _, row in ids if (config := seen[row]) is not None]
    return Trials(
        tuple(i for i, _ in ids),
        tuple(_picked(axes, row) for _, row in ids),
        tuple(configs),
        asked,
        len(seen) - len(configs),
        asked - len(seen),
    )


def combined(config: Config, axes: Sequence[Axis], row: Row) -> Config | None:
    """Return the settings with the values that ``row`` names, None where they cannot be."""
    try:
        return changed(config, dict(zip((each.name for each in axes), _picked(axes, row), strict=True)))
    except UsageError:
        return None


def _picked(axes: Sequence[Axis], row: Row) -> tuple[Value, ...]:
    return tuple(each.values[k] for each, k in zip(axes, row, strict=True))


def _grid(axes: Sequence[Axis], count: int | None) -> Iterator[Row]:
    size, most = math.prod(len(each.values) for each in axes), MOST if count is None else count
    if size > most:
        raise UsageError(
            f"the grid has {size:,} configurations, more than {most:,}; use coarser steps or --method random"
        )
    return itertools.product(*(range(len(each.values)) for each in axes))


def random_rows(axes: Sequence[Axis], count: int, seed: int) -> list[Row]:
    """Return which value of each axis each trial has; an axis is drawn the same whatever the others are."""
    from ...kernels.philox import uniforms

    columns = []
    for each in axes:
        u = uniforms(seed, 0, count, crc32(each.name.encode()), _STREAM)
        columns.append(np.minimum((u * len(each.values)).astype(np.int64), len(each.values) - 1).tolist())
    return list(zip(*columns, strict=True))


def beside(config: Config, axes: Sequence[Axis], row: Sequence[Value]) -> list[Config]:
    """Return the configurations one step away from ``row`` in one setting."""
    places = tuple(each.values.index(value) for each, value in zip(axes, row, strict=True))
    near = [
        (*places[:i], k, *places[i + 1 :])
        for i, each in enumerate(axes)
        for k in (places[i] - 1, places[i] + 1)
        if 0 <= k < len(each.values)
    ]
    return [config_ for each in near if (config_ := combined(config, axes, each)) is not None]
