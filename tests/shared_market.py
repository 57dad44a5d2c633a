"""The market data beside the checkout: as sets and structs for the kernels, as bars and rows for the oracle."""

import functools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from highwater.io.candles import CandleOptions, read_candles
from highwater.kernels.arrays import ENTRY, OK, SERIES_REJECTED, Alerts, Costs, Rules, column
from highwater.kernels.entries import enter_all, entry_rule
from highwater.kernels.exits import simulate_all
from highwater.kernels.jit import threads
from highwater.kernels.walk import policy_of
from kernel_market import frozen, policies_of

DATA = Path(__file__).parents[2] / "shared" / "data"
FOREVER = 10**15  # a horizon or an entry delay that no data set here reaches, in ms
needs_data = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="the market data are not beside this checkout"),
]


@functools.cache
def candle_set(name, options=CandleOptions()):  # noqa: B008
    """Return the candles of a file under candles/, by its stem."""
    return read_candles(DATA / "candles" / f"{name}.parquet", None, options)


def document(name):
    """Return a JSON file under conformance/, by its stem."""
    return json.loads((DATA / "conformance" / f"{name}.json").read_text())


@functools.cache
def rows(name):
    """Return the rows of a Parquet file, by its path without suffix, as dicts; times as ms UTC."""
    table = pq.read_table(DATA / f"{name}.parquet")
    fields = [pa.field(f.name, pa.timestamp("ms") if pa.types.is_timestamp(f.type) else f.type) for f in table.schema]
    table = table.cast(pa.schema(fields))
    fields = [pa.field(f.name, pa.int64() if pa.types.is_timestamp(f.type) else f.type) for f in fields]
    return table.cast(pa.schema(fields)).to_pylist()


def ms(text):
    """Return an ISO time, UTC, in ms."""
    return int(np.datetime64(text.removesuffix("Z"), "ms").astype(np.int64))


def series_of(found, token):
    """Return the ``Candles`` of one token, none if the set has none."""
    i = found.tokens.index(token) if token in found.tokens else -1
    first, last = found.offsets[i : i + 2] if i >= 0 else (0, 0)
    return type(found.candles)(*(array[first:last] for array in found.candles))


@functools.cache
def bars_of(name, token, options=CandleOptions()):  # noqa: B008
    """Return the candles of one token as the oracle's bars."""
    return list(zip(*(array.tolist() for array in series_of(candle_set(name, options), token)), strict=True))


def alerts_on(found, tokens, ts, price=None):
    """Return ``Alerts`` of tokens at times (ms); those without candles have an empty range."""
    place = {token: i for i, token in enumerate(found.tokens)}
    index = np.array([place.get(token, -1) for token in tokens])
    known = index >= 0
    first, last = (np.where(known, found.offsets[index + k], 0) for k in (0, 1))
    grids = [not np.any(np.diff(series_of(found, token).ts) % found.interval_ms) for token in found.tokens]
    return Alerts(
        column(first, np.int64),
        column(last, np.int64),
        column(ts, np.int64),
        column(np.full(len(tokens), np.nan) if price is None else price),
        column(np.where(known, found.coverage_end[index], 0), np.int64),
        column(known & np.array(grids)[index], np.bool_),
    )


def windows_on(found, alerts, mode, horizon, max_delay=None, rejected=None):
    """Return the ``Windows`` of alerts; ``rejected`` names the tokens of the alerts, to leave out rejected series."""
    bad = {report.token for report in found.reports if report.error}
    status = [SERIES_REJECTED if token in bad else OK for token in rejected or [None] * alerts.ts.size]
    rule = entry_rule(ENTRY[mode], horizon, found.interval_ms, 0, max_delay)
    return frozen(enter_all(found.candles, alerts, rule, column(status, np.int64)))


def windows_until(found, alerts, ends):
    """Return the ``Windows`` of alerts entered at their own prices, each with an end of its own (ms)."""
    with threads(1):
        each = [
            windows_on(found, part(alerts, a), "alert_price", int(end - alerts.ts[a])) for a, end in enumerate(ends)
        ]
    return frozen(type(each[0])(*map(np.concatenate, zip(*each, strict=True))))


def policy(exits):
    """Return the ``Policy`` of an exit rule as the oracle writes it."""
    return policy_of(policies_of([exits]), 0)


def one_trade(bars, step, ts, exits, mode="next_open", price=np.nan, horizon=FOREVER, rules=Rules(), costs=Costs()):  # noqa: B008
    """Return (``Windows`` of one row, TRADE row) of one alert at ``ts`` on ``bars``."""
    n, end = bars.ts.size, bars.ts[-1] + step
    alert = Alerts(
        *(column([x], np.int64) for x in (0, n, ts)), column([price]), column([end], np.int64), column([True], np.bool_)
    )
    windows = frozen(enter_all(bars, alert, entry_rule(ENTRY[mode], horizon, step, 0, FOREVER), column([OK], np.int64)))
    trades, _ = simulate_all(bars, windows, step, policy(exits), rules, costs)
    return windows, trades[0]


def part(struct, a):
    """Return row ``a`` of ``Alerts`` or ``Windows`` as a struct of one row."""
    return type(struct)(*(array[a : a + 1] for array in struct))


def traded(found, windows, exits, rules):
    """Return TRADE[A] without costs: every window with its own exit rule."""
    step, each = found.interval_ms, []
    with threads(1):  # starting two threads a trade takes 15 ms on a busy machine, one 0.01 ms
        for a, own in enumerate(exits):
            each.append(simulate_all(found.candles, part(windows, a), step, policy(own), rules, Costs())[0])
    return np.concatenate(each)
