"""Recorded trades held against the candles: which of them only hindsight could have made.

A record says in which candles a trade was entered and left, and at which prices. That is enough to see that a price
was never traded, or that what was bought at the close of a candle was sold by that candle's own high or low.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..io.columns import NO_TIME
from ..io.trades import Trades
from ..kernels.arrays import Candles, Floats, Ints

POSSIBLE, OPEN, NO_CANDLE, ENTRY_PRICE, EXIT_PRICE, HINDSIGHT = range(6)
REASONS = ("possible", "open", "no candle", "entry price", "exit price", "hindsight")
MEANING = (
    "possible as recorded",
    "without an exit or a price",
    "entered or left where there is no candle",
    "entered at a price that the candle did not reach",
    "left at a price that the candle did not reach",
    "left before they were entered",
)
IMPOSSIBLE = (HINDSIGHT, EXIT_PRICE, ENTRY_PRICE, NO_CANDLE)
_SLACK = 1e-9  # of a price; records are text as often as not


def audit(
    trades: Trades,
    candles: Candles,
    step: int,
    entered: Literal["open", "close"] | None = None,
    tolerance: float = 0.0,
) -> NDArray[np.int8]:
    """Return int8[N], what is wrong with each trade, an index of REASONS; of several reasons the graver.

    ``candles`` is one series with candles of ``step`` ms. ``entered`` says where in its candle a trade was entered;
    None: at the close where the price is the close and not the open. ``tolerance`` is the fraction of a price by
    which a fill may lie outside its candle (slippage in the recorded price).
    """
    found = np.full(trades.entry_bar.size, POSSIBLE, np.int8)
    entry, was = _candle_of(candles.ts, trades.entry_bar, step)
    exit_, is_ = _candle_of(candles.ts, trades.exit_bar, step)
    open_, close = candles.open[entry], candles.close[entry]
    at_close = _near(trades.entry_price, close) & ~_near(trades.entry_price, open_)
    if entered is not None:
        at_close[:] = entered == "close"
    found[~_within(trades.entry_price, candles, entry, tolerance)] = ENTRY_PRICE
    found[~_within(trades.exit_price, candles, exit_, tolerance)] = EXIT_PRICE
    at_once = _near(trades.exit_price, candles.close[exit_])  # bought and sold at one and the same close
    found[(exit_ < entry) | ((exit_ == entry) & at_close & ~at_once)] = HINDSIGHT
    found[~(was & is_)] = NO_CANDLE
    lacking = (trades.entry_bar == NO_TIME) | (trades.exit_bar == NO_TIME)
    found[lacking | np.isnan(trades.entry_price) | np.isnan(trades.exit_price)] = OPEN
    return found


def _candle_of(ts: Ints, when: Ints, step: int) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the candle in which each time falls, and whether there is one."""
    at = np.maximum(np.searchsorted(ts, when, "right") - 1, 0)
    return at, (when >= ts[at]) & (when < ts[at] + step)


def _near(price: Floats, level: Floats) -> NDArray[np.bool_]:
    return np.abs(price - level) <= _SLACK * np.abs(level)


def _within(price: Floats, candles: Candles, at: Ints, tolerance: float) -> NDArray[np.bool_]:
    slack = _SLACK + tolerance
    return (price >= candles.low[at] * (1 - slack)) & (price <= candles.high[at] * (1 + slack))
