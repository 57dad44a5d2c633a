"""Text from a command line or a config file, as values by type: durations, instants, ranges, sizes, choices.

A parser takes the text and raises ``ValueError`` with the end of a sentence ("it must be ..."); ``convert`` puts
the flag and the text before it.
"""

import math
import re
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from ..io.config import nearest
from ..io.errors import UsageError

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
_UNITS = {"w": 7 * DAY, "d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": 1}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INT = re.compile(r"[+-]?[0-9]{1,19}")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_PART = re.compile(r"([0-9]{1,18}(?:\.[0-9]+)?)(ms|[wdhms])")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,3})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]+)?)(B|([KMGT])(|iB|B))")


@dataclass(frozen=True)
class Kind:
    """How a type is written: its ``name`` in the help, text to value, value to text.

    ``open``: what a command gets for the value, found out as the command starts.
    """

    name: str
    parse: Callable[[str], Any]
    show: Callable[[Any], str] = str
    open: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Spelling:
    """How a flag may be written besides its own name: under ``others``, and without a value, which means ``bare``.

    ``instead`` makes it required unless one of these parameters, or variables of the environment, is given.
    """

    others: tuple[str, ...] = ()
    bare: str | None = None
    instead: tuple[str, ...] = ()


@dataclass(frozen=True)
class Range:
    """The values from ``low`` to ``high``, both included: every ``step``, or any of them where it is None.

    ``log``: spread evenly over the logarithm. Durations are in ms.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False


def parse_int(text: str) -> int:
    """Return the whole number; int64."""
    if not _INT.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise ValueError("it must be a whole number, digits only")
    return int(text)


def parse_float(text: str) -> float:
    """Return the finite number."""
    if not _FLOAT.fullmatch(text) or not math.isfinite(value := float(text)):
        raise ValueError(f"it must be a finite decimal number such as 0.7{_without_percent(text)}")
    return value


def _without_percent(text: str) -> str:
    """Return what a percentage may have meant, where a number was asked for."""
    if not text.endswith("%") or not _FLOAT.fullmatch(text[:-1]):
        return ""
    part = float(text[:-1]) / 100
    return f"; {text} is {1 + part:g} or {1 - part:g} as a multiple, {part:g} as a fraction, {part * 10000:g} bps"


def parse_share(text: str) -> float:
    """Return the fraction of 20% or 0.2; from 0 to 1."""
    number = text.removesuffix("%")
    if not _FLOAT.fullmatch(number) or not 0 <= (value := float(number) / (100 if number != text else 1)) <= 1:
        raise ValueError("it must be a share such as 20% or 0.2")
    return value


def parse_bool(text: str) -> bool:
    """Return the truth of true/false, yes/no, on/off or 1/0."""
    word = text.lower()
    if word not in ("true", "yes", "on", "1", "false", "no", "off", "0"):
        raise ValueError("it must be true or false")
    return word in ("true", "yes", "on", "1")


def parse_duration(text: str) -> int:
    """Return the ms of 48h, 5m, 30s, 250ms or 1h30m; at most 100 years."""
    if _FLOAT.fullmatch(text):
        raise ValueError(f"it needs a unit: {text}h, {text}m, {text}s or {text}ms")
    parts = _PART.findall(text)
    units = [unit for _, unit in parts]
    if not parts or "".join(n + unit for n, unit in parts) != text or units != [u for u in _UNITS if u in units]:
        raise ValueError("it must be a duration such as 48h, 5m, 30s, 250ms or 1h30m")
    total = sum(Decimal(n) * _UNITS[unit] for n, unit in parts)
    if total > 36_500 * DAY or total != int(total):
        raise ValueError("it must be whole milliseconds, at most 100 years")
    return int(total)


def parse_interval(text: str) -> int:
    """Return the ms of a candle's length; at least 1."""
    if (value := parse_duration(text)) == 0:
        raise ValueError("it must be longer than nothing: 15s, 1m, 5m, 1h, 1d")
    return value


def parse_instant(text: str) -> int:
    """Return ms since 1970 UTC of a date (its midnight), a date and time (UTC unless it says), or 13 digits."""
    if re.fullmatch(r"[0-9]+", text):
        if len(text) != 13:
            seconds = f"; as seconds it would be {text}000" if len(text) == 10 else ""
            raise ValueError(f"it must be 2024-01-31, 2024-01-31T05:00 or 13 digits of milliseconds{seconds}")
        return int(text)
    if not _INSTANT.fullmatch(text):
        raise ValueError("it must be a time in UTC such as 2024-01-31, 2024-01-31T05:00 or 2024-01-31T05:00+02:00")
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=moment.tzinfo or UTC)
        return (moment - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise ValueError("there is no such day or time") from None


def parse_until(text: str) -> int:
    """Return the instant, or for a bare date the end of that day: the date itself is included."""
    return parse_instant(text) + (DAY if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else 0)


def parse_size(text: str) -> int:
    """Return the bytes of 64M, 8GiB (powers of 1024), 500MB (powers of 1000) or 512B."""
    match = _SIZE.fullmatch(text)
    if not match:
        unit = f": {text}M or {text}B" if _INT.fullmatch(text) else " such as 64M, 8GiB or 500MB"
        raise ValueError(f"it must be a size with its unit{unit}")
    number, _, letter, suffix = match.groups()
    scale = 1000 if suffix == "B" else 1024
    return int(Decimal(number) * scale ** (" KMGT".index(letter) if letter else 0))


def parse_path(text: str, must: str = "a local path here") -> Path:
    """Return the path of a local file or directory; ``must`` is what it must be, where it names a place elsewhere."""
    if "\0" in text:
        raise ValueError("a path holds no NUL")
    if re.match("[a-z][a-z0-9+.-]+:/", text, re.IGNORECASE):
        raise ValueError(f"it must be {must}")
    return Path(text)


def _ranges(bound: Callable[[str], float], example: str) -> Callable[[str], Range]:
    def parse(text: str) -> Range:
        log = text.startswith("log:")
        parts = [bound(part) for part in text.removeprefix("log:").split(":")]
        if len(parts) > (2 if log else 3) or (log and len(parts) == 1):
            raise ValueError(f"it must be low:high, low:high:step, log:low:high or one value, such as {example}")
        low, high = parts[0], parts[1] if len(parts) > 1 else parts[0]
        if low > high or (log and low <= 0):
            raise ValueError(f"it must run from low to high{', both above 0' if log else ''}, such as {example}")
        step = parts[2] if len(parts) == 3 else None
        if step is not None and not 0 < step <= (high - low) * (1 + 1e-9):
            raise ValueError("its step must be above 0 and no longer than the range")
        return Range(low, high, step, log)

    return parse


def _show_range(show: Callable[[float], str]) -> Callable[[Range], str]:
    def text(value: Range) -> str:
        if value.low == value.high:
            return show(value.low)
        parts = ["log"] * value.log + [show(value.low), show(value.high)]
        return ":".join(parts + ([] if value.step is None else [show(value.step)]))

    return text


def show_number(value: float) -> str:
    """Return the shortest text that reads back as this number: 2, 0.7, 1e-07."""
    return repr(float(value)).removesuffix(".0")


def show_duration(ms: float) -> str:
    """Return the duration as ``parse_duration`` reads it: 48h, 1h30m, 0s. Days appear from three days on."""
    rest, parts = int(ms), []
    for unit, size in list(_UNITS.items())[1:]:
        if rest >= size and not (unit == "d" and (rest % DAY or rest < 3 * DAY)):
            parts.append(f"{rest // size}{unit}")
            rest %= size
    return "".join(parts) or "0s"


def show_instant(ms: int) -> str:
    """Return the instant in UTC: 2024-01-31T05:00Z, with seconds and milliseconds where they are not zero."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    spec = "milliseconds" if moment.microsecond else "seconds" if moment.second else "minutes"
    return moment.replace(tzinfo=None).isoformat(timespec=spec) + "Z"


def show_size(size: int) -> str:
    """Return the bytes in the largest binary unit that divides them: 64M."""
    power = next(p for p in (4, 3, 2, 1, 0) if size % 1024**p == 0) if size else 0
    return f"{size // 1024**power}{'BKMGT'[power]}"


def show_share(share: float) -> str:
    """Return the fraction as a percentage: 20%."""
    return f"{share * 100:.10g}%"


def show_bps(bps: float | None, digits: int = 1) -> str:
    """Return basis points as a signed percentage, three digits of one above a million; a dash where undefined."""
    if bps is None or math.isnan(bps):
        return "-"
    return f"{bps / 100:+.3g}%" if abs(bps) >= 1e8 else f"{bps / 100:+.{digits}f}%"


Duration = Annotated[int, Kind("DURATION", parse_duration, show_duration)]
Interval = Annotated[int, Kind("INTERVAL", parse_interval, show_duration)]
Instant = Annotated[int, Kind("TIME", parse_instant, show_instant)]
Until = Annotated[int, Kind("TIME", parse_until, show_instant)]
Size = Annotated[int, Kind("SIZE", parse_size, show_size)]
Share = Annotated[float, Kind("SHARE", parse_share, show_share)]
DurationRange = Annotated[Range, Kind("RANGE", _ranges(parse_duration, "5m:48h:1m"), _show_range(show_duration))]

_KINDS: dict[Any, Kind] = {
    str: Kind("TEXT", str),
    int: Kind("INT", parse_int),
    float: Kind("NUMBER", parse_float, show_number),
    bool: Kind("BOOL", parse_bool, lambda value: str(value).lower()),
    Path: Kind("PATH", parse_path),
    Range: Kind("RANGE", _ranges(parse_float, "1.1:10:0.01"), _show_range(show_number)),
}


def inner(annotation: Any) -> Any:
    """Return X of ``X | None``, and the annotation itself otherwise."""
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            return members[0]
    return annotation


def is_list(annotation: Any) -> bool:
    """Return whether the flag takes several values: ``list[X]`` or ``list[X] | None``."""
    return get_origin(inner(annotation)) is list


def kind_of(annotation: Any) -> Kind:
    """Return how one value of this annotation is written; of a list, one of its members. Raises TypeError."""
    annotation = inner(annotation)
    if get_origin(annotation) is list:
        return kind_of(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return _choice(get_args(annotation))
    for mark in getattr(annotation, "__metadata__", ()):
        if isinstance(mark, Kind):
            return mark
    if get_origin(annotation) is Annotated:
        return kind_of(get_args(annotation)[0])
    if annotation not in _KINDS:
        raise TypeError(f"no way to read {annotation!r} from text")
    return _KINDS[annotation]


def spelling_of(annotation: Any) -> Spelling:
    """Return how else the flag with this annotation may be written."""
    marks = getattr(inner(annotation), "__metadata__", ())
    return next((mark for mark in marks if isinstance(mark, Spelling)), Spelling())


def _choice(choices: Sequence[Any]) -> Kind:
    words = {str(choice): choice for choice in choices}

    def parse(text: str) -> Any:
        if text not in words:
            raise ValueError(f"it must be one of {', '.join(words)}{nearest(text, words)}")
        return words[text]

    return Kind("|".join(words), parse)


def convert(annotation: Any, text: str | Sequence[str], place: str) -> Any:
    """Return the value of ``text`` (several texts for a ``list``) by its annotation.

    ``place`` is the flag, variable or file and key it came from. Raises UsageError naming place, text and remedy.
    """
    kind = kind_of(annotation)
    if is_list(annotation):
        return [_one(kind, each, place) for each in ([text] if isinstance(text, str) else text)]
    if not isinstance(text, str):
        raise UsageError(f"{place} has {len(text)} values; it takes one")
    return _one(kind, text, place)


def _one(kind: Kind, text: str, place: str) -> Any:
    if not text and kind.name != "TEXT":
        raise UsageError(f"{place} is empty; it must be {kind.name}")
    try:
        return kind.parse(text)
    except UsageError:
        raise
    except ValueError as error:
        shown = text if len(text) <= 60 else text[:57] + "..."
        raise UsageError(f"{place} is '{shown}'; {error}") from None


def show(annotation: Any, value: Any) -> str:
    """Return the value as ``convert`` would read it; '' for None."""
    if value is None:
        return ""
    kind = kind_of(annotation)
    return " ".join(map(kind.show, value)) if is_list(annotation) else kind.show(value)


def counted(number: int, name: str, more: str = "s") -> str:
    """Return a number of things: 1 alert, 2 alerts."""
    return f"{number:,} {name}{more * (number != 1)}"
