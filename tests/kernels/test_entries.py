import numpy as np
import pytest
from golden_cases import cases, expected
from highwater.kernels.arrays import BAR_CLOSE, ENTRY, NEXT_HIGH, OK, SERIES_REJECTED, STATUSES, Alerts
from highwater.kernels.entries import EntryRule, enter_all, entry_rule
from kernel_market import alert_of, flag_names, long_trades, market_of, random_trades, rule_of, table


def entered(market, a, windows):
    """Return the entry of case ``a``, named as the oracle names its fields; only the status where it is not OK."""
    row = {"status": STATUSES[windows.status[a]]}
    if row["status"] != "OK":
        return row
    row |= {name: getattr(windows, name)[a] - market.alerts.first[a] for name in ("first", "last")}
    row |= {"entry_bar": row["first"] - (market.entering.mode[a] in (NEXT_HIGH, BAR_CLOSE))}
    row |= {"price": windows.price[a], "entry_ts": windows.ts[a], "end": windows.end[a], "fresh": windows.fresh[a]}
    return row | {"coverage_end": windows.coverage_end[a], "flags": flag_names(windows.flags[a])}


@pytest.mark.parametrize("population", [random_trades, long_trades])
def test_entries_equal_the_oracle(population):
    _, market, windows, entries = population()
    for a, entry in enumerate(entries):
        actual = entered(market, a, windows)

        assert {name: entry[name] for name in actual} == actual, a


def test_rows_not_entered_are_empty_windows():
    _, _, windows, _ = random_trades()
    out = windows.status != OK

    assert out.any()
    assert (windows.first == windows.last)[out].all()
    assert (windows.first < windows.last)[~out].all()
    assert np.isnan(windows.price[out]).all()


@pytest.mark.parametrize("case", cases("xp"), ids=lambda case: case["id"])
def test_golden_entry(case):
    market = market_of([case])
    windows = enter_all(market.candles, market.alerts, rule_of(case), np.zeros(1, np.int64))
    row = entered(market, 0, windows)
    wanted = expected(case["expect"].get("trade") or case["expect"]["path"])
    actual = {"status": row["status"]}
    if row["status"] == "OK":
        actual |= {"entry_ts_ms": row["entry_ts"], "entry_price": row["price"]}
        actual |= {"entry_bar": row["entry_bar"]} if "entry_bar" in wanted else {}

    assert {name: wanted[name] for name in actual} == actual


@pytest.mark.parametrize("mode", ENTRY)
def test_all_alerts_are_entered_as_each_one_is(mode):
    """One rule for every alert; the oracle-tested entries of the same mode, delay and horizon must come back."""
    all_cases, market, windows, _ = random_trades()
    rows = np.flatnonzero((market.entering.mode == ENTRY[mode]) & (market.entering.latency == 0))
    rules = [EntryRule(*(column[a] for column in market.entering)) for a in rows]
    rule = max(set(rules), key=rules.count)
    rows = [a for a, each in zip(rows, rules, strict=True) if each == rule]
    alerts = table(Alerts, [alert_of(all_cases[a], market.alerts.first[a]) for a in rows])
    found = enter_all(market.candles, alerts, rule, np.zeros(len(rows), np.int64))

    assert len(rows) > 1
    for name in found._fields:
        np.testing.assert_array_equal(getattr(windows, name)[rows], getattr(found, name), name)


def test_a_rejected_series_overrules():
    case = cases("x")[0]
    market = market_of([case])
    windows = enter_all(market.candles, market.alerts, rule_of(case), np.array([SERIES_REJECTED]))

    assert (SERIES_REJECTED, 0, 0) == (windows.status[0], windows.first[0], windows.last[0])


def test_the_default_delay_is_ten_intervals():
    assert 600_000 == entry_rule(BAR_CLOSE, 1, 60_000).max_delay
    assert 0 == entry_rule(BAR_CLOSE, 1, 60_000, max_delay=0).max_delay
