"""Where each trade begins: the entry candle, the entry price and the window behind it (SEMANTICS section 1 E)."""

from typing import NamedTuple

import numpy as np

from .arrays import (
    ALERT_PRICE,
    ALERT_PRICE_OFF_MARKET,
    BAD_ENTRY_PRICE,
    BAR_CLOSE,
    ENTRY_TOO_LATE,
    NEXT_HIGH,
    NEXT_OPEN,
    NO_BARS,
    NO_ENTRY_BAR,
    OK,
    PARTIAL_BAR_SKIPPED,
    Windows,
)
from .jit import compiled, compiled_parallel, prange
from .walk import first_at, window_of


class EntryRule(NamedTuple):
    """How an alert becomes a trade; scalars. ``mode`` is NEXT_OPEN, NEXT_HIGH, BAR_CLOSE or ALERT_PRICE; times in ms.

    ``step`` is the candle interval; ``max_delay`` bounds the wait for the entry candle (default: ten intervals).
    """

    mode: int
    horizon: int
    step: int
    latency: int
    max_delay: int


class Window(NamedTuple):
    """One row of ``Windows``, rows counted within the series; scalars."""

    first: int
    last: int
    price: float
    ts: int
    fresh: bool
    status: int
    flags: int


def entry_rule(mode: int, horizon: int, step: int, latency: int = 0, max_delay: int | None = None) -> EntryRule:
    """Return the rule with the default delay filled in."""
    return EntryRule(mode, horizon, step, latency, 10 * step if max_delay is None else max_delay)


@compiled
def excluded(status):
    """Return the empty window of an alert that cannot be entered."""
    return Window(0, 0, np.nan, 0, False, status, 0)


@compiled
def enter(bars, alert_ts, alert_price, rule):
    """Return the ``Window`` of one alert on the candles of its series (``bars``); ``alert_price`` NaN: none given."""
    asked = alert_ts + rule.latency
    i = first_at(bars.ts, asked)
    flags, fresh, ts, price = 0, False, asked, alert_price
    if rule.mode == BAR_CLOSE:
        i = first_at(bars.ts, asked - rule.step + 1)
    if rule.mode != ALERT_PRICE:
        if i == bars.ts.size:
            return excluded(NO_ENTRY_BAR)
        ts = bars.ts[i] + (0 if rule.mode == NEXT_OPEN else rule.step)
        if (ts if rule.mode == BAR_CLOSE else bars.ts[i]) - asked > rule.max_delay:
            return excluded(ENTRY_TOO_LATE)
        price = bars.open[i] if rule.mode == NEXT_OPEN else bars.high[i] if rule.mode == NEXT_HIGH else bars.close[i]
        fresh = rule.mode == NEXT_OPEN
        i += 0 if fresh else 1
    if not (np.isfinite(price) and price > 0):
        return excluded(BAD_ENTRY_PRICE)
    if rule.mode == ALERT_PRICE:
        around = first_at(bars.ts, asked + 1) - 1  # the candle the alert fell into, if there is one
        if around >= 0 and asked < bars.ts[around] + rule.step:
            low, high = bars.low[around], bars.high[around]
            if price < low / 2 or price > high * 2:
                return excluded(BAD_ENTRY_PRICE)
            if price < low or price > high:
                flags |= ALERT_PRICE_OFF_MARKET
            if around < i:
                flags |= PARTIAL_BAR_SKIPPED
    last = first_at(bars.ts, ts + rule.horizon)
    if last <= i:
        return excluded(NO_BARS)
    return Window(i, last, price, ts, fresh, OK, flags)


@compiled_parallel
def enter_all(candles, alerts, rule, rejected):
    """Return the ``Windows`` of every alert (A rows); ``rejected`` int64[A] is a status that overrules, OK for none."""
    n = alerts.ts.size
    first, last, ts, end = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    status, flags = np.zeros(n, np.int64), np.zeros(n, np.int64)
    price, fresh = np.full(n, np.nan), np.zeros(n, np.bool_)
    for a in prange(n):
        s, bars = alerts.first[a], window_of(candles, alerts, a)
        found = excluded(rejected[a]) if rejected[a] != OK else enter(bars, alerts.ts[a], alerts.price[a], rule)
        first[a], last[a], price[a], ts[a] = s + found.first, s + found.last, found.price, found.ts
        end[a], fresh[a] = found.ts + rule.horizon, found.fresh
        status[a], flags[a] = found.status, found.flags
    return Windows(first, last, price, ts, end, alerts.coverage_end, alerts.on_grid, fresh, status, flags)
