"""Real alerts on real candles from file to result, every one of them equal to the oracle."""

import functools
from collections import Counter
from itertools import compress
from typing import NamedTuple

import naive
import numpy as np
import pytest
from highwater.io.alerts import read_alerts
from highwater.io.candles import CandleOptions, CandleSet
from highwater.kernels.arrays import INTRABAR, STATUSES, Alerts, Rules, Windows, costs
from highwater.kernels.bounds import bracket_all
from highwater.kernels.exits import simulate_all
from highwater.kernels.paths import measure_all
from highwater.kernels.search import AMBIGUOUS, search_all
from kernel_market import path_row, policies_of, trade_row
from shared_market import DATA, alerts_on, bars_of, candle_set, needs_data, policy, rows, windows_on

pytestmark = needs_data
HOUR, DAY = 3_600_000, 86_400_000
MODES = ("next_open", "next_high", "bar_close")
MULTIPLES = [1.02, 1.25, 1.5, 2.0, 3.0, 10.0]
TOLERANT = CandleOptions(on_unsorted="sort", on_dup_conflict="last")
PAID = {"fee_bps": 30.0, "slippage_bps": 50.0, "fixed_bps": 1.0}
COSTS = costs(**PAID)

LAUNCHES = {"OK": 194, "ENTRY_TOO_LATE": 3, "NO_ENTRY_BAR": 1}

# Candles, alerts (None: 7 s after every tenth candle), horizon, and the statuses of a next_open entry.
MARKETS = {
    "pump 1m": ("pump_events_binance_1m", "pump_calls_with_candles", 2 * HOUR, {"OK": 157}),
    "pump 15s": ("pump_events_binance_15s", "pump_calls_with_candles", HOUR, {"OK": 155, "ENTRY_TOO_LATE": 2}),
    "pumpfun 1h": ("pumpfun_tokens_usd_1h_2026jul", "pumpfun_launches_with_candles", 5 * DAY, LAUNCHES),
    "bittrex 1m": (
        "bittrex_btc_1m_2018jan",
        "derived_bittrex_btc_1m_2018jan_alerts",
        2 * HOUR,
        {"OK": 39, "ENTRY_TOO_LATE": 3},
    ),
    "alts 5m": ("alts_btc_5m_2018feb_may", "derived_alts_btc_5m_2018feb_may_alerts", DAY // 2, {"OK": 39}),
    "damaged 1d": ("dirty_quotes_1d", None, 60 * DAY, {"OK": 34}),
    "descending 1m": ("dex_tokens_1m_2025oct_raw", None, HOUR, {"OK": 32}),
    "repeated 1m": ("sol_usd_pool_1m_2025oct_duplicated", None, HOUR, {"OK": 50}),
    "off grid 1m": ("nasdaq_1m_2020apr", None, HOUR, {"OK": 696, "ENTRY_TOO_LATE": 8}),
    "dust wicks 15s": ("pumpfun_tokens_sol_15s_2026jun", None, HOUR, {"OK": 25, "NO_ENTRY_BAR": 6}),
}
each_market = pytest.mark.parametrize("market", MARKETS)
each_rule = pytest.mark.parametrize("name", ["fixed", "trail", "ladder", "time", "all"])


def exit_rules(step):
    """Return the five exit rules; ``step`` is the interval in ms."""
    ladder = [{"mult": 1.1, "frac_bps": 5000}, {"mult": 1.5, "frac_bps": 3000}, {"mult": 3.0, "frac_bps": 1000}]
    breakeven = {"trigger": 1.05, "offset": 0.01}
    trail = {"pct": 0.1, "activate": 1.2}
    return {
        "fixed": {"sl": 0.9, "tp": [{"mult": 1.25}]},
        "trail": {"trail": {"pct": 0.1}},
        "ladder": {"sl": 0.8, "tp": ladder, "breakeven": breakeven},
        "time": {"time_ms": 20 * step},
        "all": {"sl": 0.8, "tp": ladder, "breakeven": breakeven, "trail": trail, "time_ms": 50 * step},
    }


@functools.cache
def asked(market):
    """Return [(token, alert time)] of a market."""
    candles, alerts, *_ = MARKETS[market]
    if alerts:
        table = read_alerts(DATA / "alerts" / f"{alerts}.parquet").table
        return list(zip(table["mint"].to_pylist(), table["alert_ts_ms"].to_pylist(), strict=True))
    tokens = candle_set(candles, TOLERANT).tokens
    return [(token, bar[0] + 7000) for token in tokens for bar in bars_of(candles, token, TOLERANT)[::10]]


class Entered(NamedTuple):
    """A market's candles, alerts and windows, and the same as the oracle's (bars, entry), one an alert."""

    found: CandleSet
    alerts: Alerts
    windows: Windows
    pairs: list

    def trades(self):
        """Yield (row, oracle's bars, entry) of every alert that became a trade."""
        yield from ((a, bars, entry) for a, (bars, entry) in enumerate(self.pairs) if entry["status"] == "OK")


@functools.cache
def entered(market, mode="next_open"):
    candles, _, horizon, _ = MARKETS[market]
    found, pairs = candle_set(candles, TOLERANT), []
    alerts = alerts_on(found, *zip(*asked(market), strict=True))
    for token, ts in asked(market):
        bars = bars_of(candles, token, TOLERANT)
        pairs.append((bars, naive.enter(bars, ts, mode=mode, horizon_ms=horizon, interval_ms=found.interval_ms)))
    return Entered(found, alerts, windows_on(found, alerts, mode, horizon), pairs)


@each_market
def test_statuses(market):
    statuses = entered(market).windows.status

    assert MARKETS[market][3] == Counter(STATUSES[status] for status in statuses)


@each_market
@pytest.mark.parametrize("mode", MODES)
def test_entries_equal_the_oracle(market, mode):
    _, alerts, windows, pairs = entered(market, mode)
    rows_of = (windows.first - alerts.first).tolist(), (windows.last - alerts.first).tolist(), windows.ts.tolist()
    ours = zip(*rows_of, windows.price.tolist(), windows.fresh.tolist(), strict=True)
    expected = [tuple(entry[name] for name in ("first", "last", "entry_ts", "price", "fresh")) for _, entry in pairs]
    is_ok = [entry["status"] == "OK" for _, entry in pairs]

    assert [entry["status"] for _, entry in pairs] == [STATUSES[status] for status in windows.status]
    assert list(compress(expected, is_ok)) == list(compress(ours, is_ok))


@each_market
def test_paths_equal_the_oracle(market):
    found, alerts, windows, _ = entered(market)
    paths, touches = measure_all(found.candles, windows, alerts, found.interval_ms, np.array(MULTIPLES))
    for a, bars, entry in entered(market).trades():
        expected = naive.paths(bars[: entry["last"]], entry, MULTIPLES, int(alerts.ts[a]), found.interval_ms)
        actual = path_row(paths[a], touches[a], MULTIPLES, entry["first"])

        assert {name: expected[name] for name in actual} == actual


def test_dead_tokens_are_told_from_ended_data():
    """Of 194 launches entered, 148 last traded before their five days were over and 14 end with the candles."""
    found, alerts, windows, _ = entered("pumpfun 1h")
    paths, _ = measure_all(found.candles, windows, alerts, found.interval_ms, np.empty(0))

    assert (148, 14) == (paths["stale"].sum(), paths["censored"].sum())


@each_market
@each_rule
def test_trades_equal_the_oracle(market, name):
    found, _, windows, _ = entered(market)
    step, exits = found.interval_ms, exit_rules(found.interval_ms)[name]
    for intrabar, number in INTRABAR.items():
        trades, fills = simulate_all(found.candles, windows, step, policy(exits), Rules(number), COSTS)
        for a, bars, entry in entered(market).trades():
            expected = naive.simulate(bars, entry, exits, intrabar=intrabar, **PAID)
            actual = trade_row(trades[a], fills[a], entry["first"], entry["entry_ts"])

            assert {name: expected[name] for name in actual} == actual


@each_market
@each_rule
def test_bounds_equal_the_oracle(market, name):
    found, _, windows, _ = entered(market)
    exits = exit_rules(found.interval_ms)[name]
    bounds = bracket_all(found.candles, windows, found.interval_ms, policy(exits), Rules(), COSTS)
    for a, bars, entry in entered(market).trades():
        expected = naive.bounds(bars, entry, exits, **PAID)
        worst, best, ambiguous, _ = bounds[a].item()

        assert (expected["worst_bps"], expected["best_bps"]) == (worst * 10000, best * 10000)
        assert len(expected["ambiguous_bars"]) == ambiguous


@each_market
def test_a_search_equals_its_trades_one_by_one(market):
    found, _, windows, _ = entered(market)
    step, rules = found.interval_ms, list(exit_rules(found.interval_ms).values())
    ret_q, worst_q, best_q, outcome, _ = search_all(found.candles, windows, step, policies_of(rules), Rules(), COSTS)
    for t, exits in enumerate(rules):
        trades, _ = simulate_all(found.candles, windows, step, policy(exits), Rules(), COSTS)
        bounds = bracket_all(found.candles, windows, step, policy(exits), Rules(), COSTS)
        micros = [np.rint(bounds[end] * 1e6).tolist() for end in ("worst", "best")]

        assert trades["ret_q"].tolist() == ret_q[:, t].tolist()
        assert micros == [worst_q[:, t].tolist(), best_q[:, t].tolist()]
        assert trades["reason"].tolist() == (outcome[:, t] % AMBIGUOUS).tolist()
        assert (bounds["n_ambiguous"] > 0).tolist() == (outcome[:, t] >= AMBIGUOUS).tolist()


@pytest.mark.parametrize("options", [CandleOptions(), TOLERANT], ids=["strict", "tolerant"])
@pytest.mark.parametrize("market", ["damaged 1d", "descending 1m", "repeated 1m"])
def test_damaged_candles_are_judged_as_by_the_oracle(market, options):
    """Rows without a time are left out: the oracle knows none. Of equal bars the volume kept is not specified."""
    candles, judged = (
        MARKETS[market][0],
        {"on_unsorted": options.on_unsorted, "on_dup_conflict": options.on_dup_conflict},
    )
    for report in candle_set(candles, options).reports:
        raw = [tuple(row.values()) for row in rows(f"candles/{candles}")]
        bars = [row[1:] for row in raw if row[0] == report.token and row[1] is not None]
        expected = naive.validate(bars, **judged)
        actual = {name: getattr(report, name) for name in ("unsorted", "bad_volume", "rows_out")}

        assert (expected["error"], expected["where"]) == (report.error, report.where)
        assert [bar[:5] for bar in expected["bars"]] == [bar[:5] for bar in bars_of(candles, report.token, options)]
        assert {name: expected["counters"][name] for name in actual} == actual


@pytest.mark.parametrize(("market", "count"), [("descending 1m", 32), ("repeated 1m", 50)])
def test_alerts_on_rejected_candles_come_to_nothing(market, count):
    candles, _, horizon, _ = MARKETS[market]
    found, tokens = candle_set(candles), [token for token, _ in asked(market)]
    alerts = alerts_on(found, *zip(*asked(market), strict=True))
    windows = windows_on(found, alerts, "next_open", horizon, rejected=tokens)
    paths, touches = measure_all(found.candles, windows, alerts, found.interval_ms, np.array(MULTIPLES))
    trades, fills = simulate_all(found.candles, windows, found.interval_ms, policy({"sl": 0.5}), Rules(), COSTS)

    assert ["SERIES_REJECTED"] * count == [STATUSES[status] for status in windows.status]
    assert not any(np.any(table.view(np.uint8)) for table in (paths, touches, trades, fills))
