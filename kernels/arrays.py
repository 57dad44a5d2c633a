"""The structs of arrays that kernels read, with their shapes and units. Needs numpy only.

Every array in them is contiguous and read-only: numba compiles a function again for writable arrays, and a
memory map is read-only anyway, so one form everywhere means one compilation.
"""

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# What happens inside a candle that touches both a target and a stop (SEMANTICS section 1 X3).
PESSIMISTIC, OPTIMISTIC, OHLC_PATH = 0, 1, 2
INTRABAR = {"pessimistic": PESSIMISTIC, "optimistic": OPTIMISTIC, "ohlc_path": OHLC_PATH}

# How a trade is entered (SEMANTICS section 1 E).
NEXT_OPEN, NEXT_HIGH, BAR_CLOSE, ALERT_PRICE = 0, 1, 2, 3
ENTRY = {"next_open": NEXT_OPEN, "next_high": NEXT_HIGH, "bar_close": BAR_CLOSE, "alert_price": ALERT_PRICE}

# Why a trade ended; SIGNAL is of trades of a trace alone (searches keep the others in three bits).
SL, BE, TRAIL, TP, TIME, HORIZON, END_OF_DATA, SIGNAL = 1, 2, 3, 4, 5, 6, 7, 8
REASONS = ("", "SL", "BE", "TRAIL", "TP", "TIME", "HORIZON", "END_OF_DATA", "SIGNAL")

# What became of an alert.
OK, NO_ENTRY_BAR, ENTRY_TOO_LATE, BAD_ENTRY_PRICE, NO_BARS, SERIES_REJECTED, SEALED, PURGED = range(8)
STATUSES = (
    *("OK", "NO_ENTRY_BAR", "ENTRY_TOO_LATE", "BAD_ENTRY_PRICE", "NO_BARS", "SERIES_REJECTED"),
    *("SEALED", "PURGED"),
)

# Flags of a trade, as bits.
PARTIAL_BAR_SKIPPED, ALERT_PRICE_OFF_MARKET, TIME_LATE, STALE_EXIT = 1, 2, 4, 8
FLAGS = ("PARTIAL_BAR_SKIPPED", "ALERT_PRICE_OFF_MARKET", "TIME_LATE", "STALE_EXIT")

NEVER = 2**62  # "no time stop", in ms; an entry time can be added to it without overflow


class Candles(NamedTuple):
    """Clean candles, oldest first: ``ts`` is the open time in ms UTC, the rest float64, all of one length.

    Several series may lie one behind the other; then a ``first``/``last`` row range says which is meant.
    Clean means SEMANTICS section 1 D: finite, positive, low <= open, close <= high, times ascending.
    """

    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


class Alerts(NamedTuple):
    """What the entry rule needs of each alert: the rows of its series, its time, its price and the data's end.

    All int64[A] except ``price``, float64[A], NaN where the alert has none. ``first`` and ``last`` bound the
    series in ``Candles`` (half-open); ``coverage_end`` is the ms UTC up to which its feed was complete; ``on_grid``
    bool[A]: every candle of the series opens at a whole multiple of the interval after the first.
    """

    first: Ints
    last: Ints
    ts: Ints
    price: Floats
    coverage_end: Ints
    on_grid: NDArray[np.bool_]


class Windows(NamedTuple):
    """The candles that belong to each alert, and the entry they are measured from. One row an alert.

    ``first``/``last`` int64[A]: half-open rows of ``Candles``; ``price`` float64[A]: P; ``ts`` int64[A]: entry
    time, ms; ``end`` int64[A]: ts + horizon; ``coverage_end`` and ``on_grid`` as in ``Alerts``; ``fresh`` bool[A]:
    the first candle's open is the entry itself, so it is not tested again; ``status``/``flags`` int64[A]. Rows whose
    status is not OK have an empty range.
    """

    first: Ints
    last: Ints
    price: Floats
    ts: Ints
    end: Ints
    coverage_end: Ints
    on_grid: NDArray[np.bool_]
    fresh: NDArray[np.bool_]
    status: Ints
    flags: Ints


class Entry(NamedTuple):
    """One row of ``Windows``, where a trade starts; scalars.

    ``price``: P; ``ts``, ``end``, ``coverage_end``: ms UTC; ``step``: the candle interval, ms; ``fresh`` and
    ``on_grid`` as in ``Windows``. A trade whose first candles are known to change nothing may start at candle
    ``start``, ``peak`` being the highest price before it (below P: P itself).
    """

    price: float
    ts: int
    end: int
    coverage_end: int
    step: int
    fresh: bool
    on_grid: bool
    start: int
    peak: float


class Policies(NamedTuple):
    """Exit rules, one row a policy; multiples of the entry price unless said otherwise (SEMANTICS section 1 L).

    ``sl`` float64[T], 0 where unset; ``tp`` float64[T, R] ascending, padded with inf; ``frac_bps`` int64[T, R];
    ``be_trigger`` (inf: unset) and ``be_offset`` (a fraction) float64[T]; ``trail_pct`` (a fraction) and
    ``activate`` (inf: no trailing stop) float64[T]; ``time_ms`` int64[T], NEVER where unset.
    """

    sl: Floats
    tp: Floats
    frac_bps: Ints
    be_trigger: Floats
    be_offset: Floats
    trail_pct: Floats
    activate: Floats
    time_ms: Ints


class Policy(NamedTuple):
    """One row of ``Policies``: scalars, and ``tp`` float64[R] and ``frac_bps`` int64[R]."""

    sl: float
    tp: Floats
    frac_bps: Ints
    be_trigger: float
    be_offset: float
    trail_pct: float
    activate: float
    time_ms: int


class Rules(NamedTuple):
    """How fills are decided, the same for every policy of a run; scalars.

    ``intrabar`` is PESSIMISTIC, OPTIMISTIC or OHLC_PATH; ``tp_at_open`` fills a target that a candle opens
    beyond at that open instead of at the level; ``legacy`` fills every gap at its level (older engines only).
    """

    intrabar: int = PESSIMISTIC
    tp_at_open: bool = False
    legacy: bool = False


class Costs(NamedTuple):
    """What entering and leaving cost: ``R = gross * k_out / (P * k_in) - 1 - fixed`` (SEMANTICS section 1 R)."""

    k_in: float = 1.0
    k_out: float = 1.0
    fixed: float = 0.0


C = TypeVar("C", Candles, Alerts, Windows)


def column(values: ArrayLike, dtype: Any = np.float64) -> NDArray[Any]:
    """Return ``values`` as a contiguous read-only array of ``dtype``; no copy where they are one already."""
    array = np.ascontiguousarray(values, dtype=dtype)
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array


def of_rows(columns: C, rows: NDArray[Any] | slice) -> C:
    """Return some rows of candles, alerts or windows, each column as ``column`` returns it."""
    return columns._make(column(part[rows], part.dtype) for part in columns)


def candles(
    ts: ArrayLike,
    open: ArrayLike,  # noqa: A002
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    volume: ArrayLike | None = None,
) -> Candles:
    """Return the arrays as ``Candles``, without a copy where they are int64 (ts) and float64 already.

    ``volume`` may be left out (zeros). Raises ValueError where lengths differ. Prices are trusted, not checked.
    """
    times = column(ts, np.int64)
    rest = [column(a) for a in (open, high, low, close, np.zeros(times.size) if volume is None else volume)]
    if any(a.ndim != 1 or a.size != times.size for a in rest):
        raise ValueError(f"candle columns differ in length: {[times.size, *(a.size for a in rest)]}")
    return Candles(times, *rest)


def policy(
    sl: float = 0.0,
    tp: ArrayLike = (),
    frac_bps: ArrayLike | None = None,
    trail_pct: float | None = None,
    activate: float = 1.0,
    be_trigger: float = np.inf,
    be_offset: float = 0.0,
    time_ms: int = NEVER,
) -> Policy:
    """Return one set of exit rules; what is left out is unset. A single target sells all.

    ``tp`` ascending multiples, ``frac_bps`` the basis points sold at each. Trusted, not checked: ``engine.policy``
    checks.
    """
    targets = column(tp).reshape(-1)
    shares = column(np.full(targets.size, 10000) if frac_bps is None else frac_bps, np.int64)
    trails = trail_pct is not None
    armed = float(activate) if trails else np.inf
    return Policy(float(sl), targets, shares, float(be_trigger), float(be_offset), trail_pct or 0.0, armed, time_ms)


def costs(fee_bps: float = 0.0, slippage_bps: float = 0.0, fixed_bps: float = 0.0, legacy: bool = False) -> Costs:
    """Return the cost factors of a fee and a slippage, in basis points a side.

    ``legacy`` charges slippage alone on the way in and the plain sum of both on the way out, as older engines did.
    """
    fee, slip = fee_bps / 10000, slippage_bps / 10000
    if legacy:
        return Costs(1 + slip, 1 - (fee + slip), fixed_bps / 10000)
    return Costs((1 + slip) * (1 + fee), (1 - slip) * (1 - fee), fixed_bps / 10000)
