"""Which candles of a series are clean: bad bars, order, duplicates, volume (SEMANTICS section 1 D1 to D4)."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels.arrays import Floats, Ints
from .columns import NO_TIME

if TYPE_CHECKING:
    from .candles import CandleOptions

BAD_KINDS: tuple[str, ...] = ("no_time", "nan", "inf", "negative", "zero", "high_lt_low", "oc_outside_hl")
ERRORS = (None, "E_UNSORTED", "E_DUP_CONFLICT")


class Verdicts(NamedTuple):
    """What was found, one row a series: int64[S], ``bad_kinds`` int64[S, K] in the order of BAD_KINDS.

    ``error`` indexes ERRORS; ``where`` is the offending row and ``other`` the row it clashes with, counted from 0
    within the series as read, -1 where there is no error.
    """

    rows_in: Ints
    bad_kinds: Ints
    dup_identical: Ints
    dup_conflict: Ints
    unsorted: Ints
    bad_volume: Ints
    error: Ints
    where: Ints
    other: Ints


def validate(
    ts: Ints,
    open: Floats,  # noqa: A002
    high: Floats,
    low: Floats,
    close: Floats,
    volume: Floats,
    options: "CandleOptions",
    offsets: Ints | None = None,
) -> tuple[Ints, Verdicts]:
    """Return the rows to keep, in order, and what was found.

    The columns hold one series, or several one behind the other bounded by ``offsets`` int64[S+1]; each is judged by
    itself and a rejected one keeps no row. Bad bars go first, so that they can neither unsort nor contradict a
    series. Of equal times the first row is kept (the last with ``on_dup_conflict=last``).
    """
    offsets = np.array([0, ts.size]) if offsets is None else offsets
    count, prices = offsets.size - 1, (open, high, low, close)
    series = np.repeat(np.arange(count), np.diff(offsets))
    clean = (low > 0) & (high >= np.maximum(open, close)) & (low <= np.minimum(open, close)) & (high < np.inf)
    clean &= ts != NO_TIME  # low <= high follows
    bad_kinds = _bad_kinds(np.flatnonzero(~clean), series, ts, prices, count)
    keep = np.flatnonzero(clean)
    fault = _Fault(np.zeros(count, np.int64), np.full(count, -1), np.full(count, -1))

    back = (series[keep[1:]] == series[keep[:-1]]) & (ts[keep[1:]] < ts[keep[:-1]])
    unsorted = np.bincount(series[keep[1:][back]], minlength=count)
    if unsorted.any() and options.on_unsorted == "reject":
        keep = _rejected(1, keep[1:][back], keep[:-1][back], keep, series, fault)
    elif unsorted.any():
        keep = keep[np.lexsort((ts[keep], series[keep]))]

    again, first = _repeats(keep, series, ts)
    rows = keep[again]
    differ = np.any([a[rows] != a[first] for a in prices], axis=0)
    identical = np.bincount(series[rows[~differ]], minlength=count)
    conflict = np.bincount(series[rows[differ]], minlength=count)
    keep = keep[~np.append(again[1:], False) if options.on_dup_conflict == "last" else ~again] if rows.size else keep
    if conflict.any() and options.on_dup_conflict == "reject":
        keep = _rejected(2, rows[differ], first[differ], keep, series, fault)

    poor = keep[~((volume[keep] >= 0) & (volume[keep] < np.inf))]
    bad_volume = np.bincount(series[poor], minlength=count)
    where, other = (np.where(fault.error > 0, rows - offsets[:-1], -1) for rows in (fault.where, fault.other))
    rows_in = np.diff(offsets)
    return keep, Verdicts(rows_in, bad_kinds, identical, conflict, unsorted, bad_volume, fault.error, where, other)


class _Fault(NamedTuple):
    error: Ints
    where: Ints
    other: Ints


def _rejected(error: int, rows: Ints, others: Ints, keep: Ints, series: Ints, fault: _Fault) -> Ints:
    """Note the first of ``rows`` of each series, in the order judged, as its error; return ``keep`` without these."""
    bad, first = np.unique(series[rows], return_index=True)
    fault.error[bad], fault.where[bad], fault.other[bad] = error, rows[first], others[first]
    return keep[fault.error[series[keep]] == 0]


def _repeats(keep: Ints, series: Ints, ts: Ints) -> tuple[NDArray[np.bool_], Ints]:
    """Return which kept rows repeat the time of the one before, and for each of these the first row of that time."""
    again = np.zeros(keep.size, np.bool_)
    again[1:] = (ts[keep[1:]] == ts[keep[:-1]]) & (series[keep[1:]] == series[keep[:-1]])
    if not again.any():
        return again, keep[:0]
    return again, keep[np.maximum.accumulate(np.where(again, 0, np.arange(keep.size)))][again]


def _bad_kinds(rows: Ints, series: Ints, ts: Ints, prices: tuple[Floats, ...], count: int) -> Ints:
    four = np.array([a[rows] for a in prices])
    tests = (ts[rows] == NO_TIME, np.isnan(four).any(0), np.isinf(four).any(0), (four < 0).any(0), (four == 0).any(0))
    kind = np.select([*tests, four[1] < four[2]], range(6), 6)
    return np.bincount(series[rows] * len(BAD_KINDS) + kind, minlength=count * len(BAD_KINDS)).reshape(count, -1)
