"""The look-ahead sentinel: what a signal says by a candle may not change when the candles after it do.

A signal is any function of candles. It is asked about the whole series, then about copies that have another future
after some candle; all it said up to there must come out again, bit by bit.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..io.columns import iso
from ..io.errors import DataError, UsageError
from ..kernels.arrays import Candles, Ints
from ..kernels.philox import uniforms
from .futures import FUTURES, Columns, another_future, columns_of

KNOWN_MS = "known_ms"  # the column that makes rows events: the time, ms UTC, from which on a row may be known
LEAST_CUTS = 4

Signal = Callable[[Any], Any]


@dataclass(frozen=True)
class Leak:
    """The first value that changes with the future: of candle ``bar`` (from 0), which opens at ``ts`` (ms UTC).

    ``future`` (of FUTURES) is what the candles after ``cut`` were turned into, with ``at_open`` all after its open.
    ``name`` says which of several outputs, '' where there is one. ``before`` or ``after`` is None where an event is
    missing.
    """

    bar: int
    ts: int
    name: str
    before: Any
    after: Any
    future: str
    cut: int
    at_open: bool

    def __str__(self) -> str:
        name = self.name or "the value"
        what = f"{name} {self.before!r} becomes {self.after!r}"
        if self.before is None or self.after is None:
            what = "an event is gone" if self.after is None else "another event comes"
        elif repr(self.before) == repr(self.after):
            what = f"{name} {self.before!r} changes its bits"
        where = "it" if self.cut == self.bar else f"bar {self.cut}"
        then = f"all after the open of {where} is" if self.at_open else f"the candles after {where} are"
        rounding = " (a rounding: sums of another length or order)" if _rounding(self.before, self.after) else ""
        return f"at bar {self.bar:,} ({iso(self.ts)}) {what} when {then} {FUTURES[self.future]}{rounding}"


@dataclass(frozen=True)
class Verdict:
    """What was tried: the number of candles, the last untouched candle of each cut, the futures; and the leak."""

    bars: int
    cuts: tuple[int, ...]
    futures: tuple[str, ...]
    leak: Leak | None


def first_leak(signal: Signal, candles: Candles | Mapping[str, Any], **how: Any) -> Leak | None:
    """Return the first value of ``signal`` that depends on the future, None where there is none; see ``check``."""
    return check(signal, candles, **how).leak


def check(
    signal: Signal,
    candles: Candles | Mapping[str, Any],
    *,
    known: Literal["close", "open"] = "close",
    cuts: int = 64,
    futures: Sequence[str] = tuple(FUTURES),
    warmup: int = 0,
    seed: int = 7,
) -> Verdict:
    """Return whether ``signal`` says the same of the past whatever the future is.

    ``signal`` takes candles in the form given (``Candles``, or a mapping of columns with ``ts``, all else float64;
    read-only) and returns an array of one value a candle, several of them (mapping, tuple, structured), or events: a
    mapping or structured array with a column ``known_ms``. A value counts as known at the ``close`` of its candle or
    at its ``open``, of which nothing but the open is known then; an event at its own time, at which the open of a
    candle is known. ``cuts`` says how many candles to cut after, not before candle ``warmup``: the first, the last,
    some where the output changes, the rest spread.

    Raises UsageError where the signal raises, returns another number of values, or another answer each time.
    """
    columns = columns_of(candles)
    ts = columns["ts"]

    def ask(given: Columns, when: str) -> Columns:
        return _answer(
            signal, Candles(**given) if isinstance(candles, Candles) else dict(given), given["ts"].size, when
        )

    whole = ask(columns, "the whole series")
    if _first_difference(whole, ask(columns, "the whole series")) is not None:
        raise UsageError(f"{_name(signal)} gives another answer each time for the same candles; fix its seed or state")
    at_open = known == "open" or KNOWN_MS in whole
    chosen = cut_bars(whole, ts, ts.size - (1 if at_open else 2), cuts, warmup, seed)
    leaks, complaints = [], []
    for t in chosen:
        for future in futures:
            given = another_future(columns, t, future, at_open, seed)
            try:
                found = ask(given, f"candles {FUTURES[future]} after bar {t}")
            except UsageError as error:
                complaints.append(error)
                continue
            if (leak := _leak(_until(whole, ts, t), _until(found, ts, t), ts)) is not None:
                leaks.append(Leak(*leak, future, t, at_open))
    if complaints and not leaks:
        raise complaints[0]
    first = min(leaks, key=lambda leak: leak.bar, default=None)
    return Verdict(ts.size, tuple(chosen), tuple(futures), first)


def cut_bars(whole: Columns, ts: Ints, last: int, count: int, warmup: int, seed: int) -> list[int]:
    """Return at most ``count`` candles from ``warmup`` to ``last``, ascending, after which to change the future.

    The first two, the last, a third of them where the answer ``whole`` changes or has an event, the rest spread: at
    an uneven distance, since an even one may fall on nothing but whole hours.
    """
    if count < LEAST_CUTS or warmup < 0:
        raise UsageError(f"cuts is {count}, warmup is {warmup}; they must be at least {LEAST_CUTS} and 0")
    if last < warmup:
        raise DataError(f"{ts.size} candles are too few to change the future after bar {warmup}")
    room = np.arange(warmup, last + 1)
    if room.size <= count:
        return room.tolist()
    turns = np.intersect1d(_turns(whole, ts), room)
    draws = uniforms(seed, 0, 2 * count, 0, 0)
    picked = turns[(draws[: count // 3] * turns.size).astype(np.int64)] if turns.size else turns
    kept = np.union1d(picked, room[[0, 1, -1]])
    rest, left = np.setdiff1d(room, kept), count - kept.size
    spread = rest[((np.arange(left) + draws[count : count + left]) * (rest.size / max(left, 1))).astype(np.int64)]
    return np.union1d(kept, spread).tolist()


def _turns(whole: Columns, ts: Ints) -> Ints:
    """Return the candles at which the answer differs from the one before, or in which an event is known."""
    if KNOWN_MS in whole:
        return np.searchsorted(ts, whole[KNOWN_MS])
    turned = [np.flatnonzero(_differing(values[1:], values[:-1])) + 1 for values in whole.values()]
    return np.unique(np.concatenate(turned))


def _answer(signal: Signal, given: Any, size: int, when: str) -> Columns:
    """Return what the signal says of ``size`` candles, as columns: one row a candle, or events."""
    try:
        with np.errstate(all="ignore"):
            found = dict(_outputs(signal(given)))
    except Exception as error:
        asked = f"asked about {when}, it raised {type(error).__name__}: {error}"
        raise UsageError(f"{_name(signal)}: {asked}; leave a future out with --futures, or use --warmup") from error
    rows = [values.shape[0] if values.ndim else None for values in found.values()]
    must = found[KNOWN_MS].size if KNOWN_MS in found else size
    if not rows or any(count != must for count in rows):
        told = "a single value" if None in rows else f"{' and '.join(map(str, rows)) or 'no'} values"
        raise UsageError(
            f"{_name(signal)}: asked about {when}, it returned {told} for {size:,} candles; "
            f"it must be one a candle, or events with a column {KNOWN_MS}"
        )
    return found


def _outputs(result: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    if hasattr(result, "_asdict"):
        result = result._asdict()
    elif isinstance(result, np.ndarray) and result.dtype.names:
        result = {name: result[name] for name in result.dtype.names}
    elif isinstance(result, tuple):
        result = {f"output {i}": values for i, values in enumerate(result)}
    for name, values in (result if isinstance(result, Mapping) else {"": result}).items():
        array = np.asarray(values)
        yield str(name), array.astype(str) if array.dtype == object and array.ndim else array


def _until(answer: Columns, ts: Ints, t: int) -> Columns:
    """Return the rows known by candle ``t``; events (known by its open) in the order of their times."""
    if KNOWN_MS not in answer:
        return {name: values[: t + 1] for name, values in answer.items()}
    order = np.argsort(answer[KNOWN_MS], kind="stable")
    rows = order[answer[KNOWN_MS][order] <= ts[t]]
    return {name: values[rows] for name, values in answer.items()}


def _first_difference(one: Columns, other: Columns) -> tuple[int, str] | None:
    """Return the first row that differs and its first column that does ('' where one has more rows), or None."""
    sizes = {values.shape[0] for values in (*one.values(), *other.values())}
    form = [{name: values.shape[1:] if min(sizes) else () for name, values in each.items()} for each in (one, other)]
    if form[0] != form[1]:
        raise UsageError(f"the outputs have another form with another future: {form[0]} became {form[1]}")
    first = None if len(sizes) == 1 else (min(sizes), "")
    for name, values in one.items():
        differs = _differing(values[: min(sizes)], other[name][: min(sizes)])
        if differs.any() and (first is None or int(np.argmax(differs)) < first[0]):
            first = int(np.argmax(differs)), name
    return first


def _differing(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """Return bool[n]: the rows whose bits differ, in the type that holds both."""
    if not a.size:
        return np.zeros(a.shape[0], np.bool_)
    kind = a.dtype if a.dtype == b.dtype else np.result_type(a, b)
    one, other = (np.ascontiguousarray(x, kind).view(np.uint8).reshape(x.shape[0], -1) for x in (a, b))
    return (one != other).any(axis=1)


def _leak(whole: Columns, found: Columns, ts: Ints) -> tuple[int, int, str, Any, Any] | None:
    """Return (bar, ts, name, before, after) of the first change, or None."""
    first = _first_difference(whole, found)
    if first is None:
        return None
    row, name = first
    bar = row
    if KNOWN_MS in whole:
        times = [int(each[KNOWN_MS][row]) for each in (whole, found) if row < each[KNOWN_MS].size]
        bar = max(0, int(np.searchsorted(ts, min(times), "right")) - 1)
    some = name or next(iter(whole))
    before, after = (each[some][row].tolist() if row < each[some].shape[0] else None for each in (whole, found))
    return bar, int(ts[bar]), name, before, after


def _rounding(before: Any, after: Any) -> bool:
    """Return whether two values are the same number but for the last digits."""
    both = isinstance(before, float) and isinstance(after, float)
    return both and before != after and math.isclose(before, after, rel_tol=1e-12)


def _name(signal: Signal) -> str:
    return getattr(signal, "__name__", None) or type(signal).__name__
