import numpy as np
import pytest
from highwater.engine.session.attribution import attribution_table, entry_minutes, kinds_of, rows_of
from highwater.engine.session.prepare import prepare
from highwater.engine.session.walk import walk
from session_days import STEP, candles_of, random_days
from session_lands import every

TRADES = {
    "realized_r": np.array([1.0, -1.0, 2.0, -0.5]),
    "confluence_score": np.array([1.9, 2.0, 3.99, 4.5]),
    "minute": np.array([9 * 60 + 59, 10 * 60, 15 * 60 + 30, 9 * 60 + 45]),
    "direction": ["long", "short", "long", "long"],
    "exit_reason": ["t1", "stop", "runner", "stop"],
    "factor_vwap": np.array([True, True, False, False]),
    "factor_adx": np.ma.masked_all(4, bool),
}


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("score", ["1.5", "2.0", "3.5", "4.5"]),
        ("score_tier", ["0-2", "2-3", "3-4", "4+"]),
        ("entry_time", ["09:30", "10:00", "15:30", "09:30"]),
        ("direction", ["long", "short", "long", "long"]),
        ("exit_reason", ["t1", "stop", "runner", "stop"]),
    ],
)
def test_the_bucket_of_each_trade(kind, wanted):
    assert wanted == kinds_of(TRADES)[kind].tolist()


def test_rows_by_hand():
    rows = {(row["kind"], row["bucket"]): row for row in rows_of(TRADES)}

    assert {
        "kind": "direction",
        "bucket": "long",
        "count": 3,
        "avg_r": 2.5 / 3,
        "win_rate": 2 / 3,
        "total_r": 2.5,
    } == rows["direction", "long"]
    vwap = rows["factor", "vwap"]
    assert (2, 0.5, 0.0) == (vwap["count"], vwap["win_rate"], vwap["avg_r"])
    assert (2, 0.5, 0.75, -0.75) == tuple(
        vwap[name] for name in ("absent_count", "absent_win_rate", "absent_avg_r", "delta_avg_r")
    )
    assert ("factor", "adx") not in rows


def test_the_table_has_each_symbol_and_all():
    config = every()
    walked = []
    for seed, symbol in ((1, "SPY"), (2, "QQQ")):
        bars, hours = random_days(seed, 30)
        walked.append(walk(symbol, prepare(candles_of(bars), STEP, hours, config), config))
    rows = attribution_table(walked, "a run").to_pylist()
    counts = {
        symbol: sum(row["count"] for row in rows if (row["symbol"], row["kind"]) == (symbol, "score"))
        for symbol in ("SPY", "QQQ", None)
    }

    assert {each.symbol: len(each.trades["trade_id"]) for each in walked} | {None: counts[None]} == counts
    assert counts["SPY"] + counts["QQQ"] == counts[None] > 10
    assert all(((entry_minutes(each) >= 0) & (entry_minutes(each) < 1440)).all() for each in walked)


def test_without_trades_there_are_no_rows():
    none = {name: column[:0] for name, column in TRADES.items()}

    assert [] == [row for row in rows_of(none) if row["count"]]
