import re

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from highwater.io import exports_guide, schemas
from highwater.io.errors import IntegrityError
from highwater.io.exports import INDEX, write_each

FACTS = {"artifact": "per_alert", "run_id": "r"}
HOSTILE = [
    *("../../x", "/etc/x", "a\0b", "x" * 300, "\U0001f43a" * 64, "Bob", "bob", "BOB", "", "CON", "a.", "a ", "a:b"),
    *(".hidden", "-rf", "a*b", "=1+1", "line\nbreak", "caf\u00e9", "cafe\u0301"),
]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def market(callers, statuses=None):
    """Return the alerts, paths and trades of a made-up run, an alert a caller."""
    n = len(callers)
    statuses = statuses or ["OK"] * n
    gone = np.array([status != "OK" for status in statuses])
    ids = {"call_id": [f"c{i}" for i in range(n)], "mint": [f"Mint{i}aaaaaaaa" for i in range(n)]}
    base = {**ids, "caller_name": callers, "chain": "solana", "alert_ts_ms": 1_735_689_600_123 + 60_000 * np.arange(n)}
    blank = dict.fromkeys(set(schemas.paths().names) - {"run_id"} - base.keys())
    known = {
        "p0": 0.5,
        "entry_ts_ms": 1_735_689_660_000,
        "n_bars": 3,
        "ath_mult": 2.5,
        "t_2x_ms": 60_001,
        "t_ath_ms": 120_000,
        "dd_pre_2x": -0.25,
        "ret_end_bps": -1234.5,
    }
    measured = {name: np.ma.array(np.full(n, value), mask=gone) for name, value in known.items()}
    paths = schemas.table(schemas.paths(), {**blank, **base, "interval": "1m", **measured, "status": statuses}, "r")
    alerts = schemas.table(
        schemas.ALERTS, {**base, "created_at": "x", "alert_id": None, "alert_price": None, "mcap_usd": None}
    )
    blank = dict.fromkeys(set(schemas.TRADES.names) - {"run_id"})
    traded = {
        "exit_px": np.ma.array(np.full(n, 0.75), mask=gone),
        "exit_ts_ms": np.ma.array(np.full(n, 1_735_689_720_000), mask=gone),
        "time_exposed_ms": np.ma.array(np.full(n, 60_000), mask=gone),
        "realized_return_bps": np.ma.array(np.full(n, 4839.5), mask=gone),
        "exit_reason": [None if out else "TP" for out in gone],
    }
    trades = schemas.table(schemas.TRADES, {**blank, "call_id": ids["call_id"], "status": statuses, **traded}, "r")
    return alerts, paths, trades


# In the order of the guide's own result files.
REACHED = ("2x", "3x", "4x", "5x", "10x")
COLUMNS = [
    *("alert_id", "mint", "caller", "alert_ts_utc", "entry_ts_utc", "interval_seconds", "horizon_hours", "status"),
    *("candles", "entry_price", "ath_mult", "time_to_ath_s", *(f"time_to_{k}_s" for k in REACHED)),
    *("dd_initial", "dd_overall", "dd_pre2x", *(f"dd_after_{k}" for k in REACHED), "dd_after_ath"),
    *("peak_pnl_pct", "ret_end_pct"),
]


def test_the_baseline_has_the_guides_28_columns_in_its_units():
    _, paths, _ = market(["a", "b", "c"], ["OK", "NO_ENTRY_BAR", "BAD_ENTRY_PRICE"])
    found = exports_guide.baseline(paths, 60_000, 48 * 3_600_000)
    first, second, third = found.to_pylist()

    assert 28 == len(COLUMNS)
    assert COLUMNS == found.column_names
    assert {
        "alert_id": 1,
        "caller": "a",
        "alert_ts_utc": "2025-01-01 00:00:00",
        "entry_ts_utc": "2025-01-01 00:01:00",
        "interval_seconds": 60,
        "horizon_hours": 48,
        "status": "ok",
        "candles": 3,
        "entry_price": 0.5,
        "ath_mult": 2.5,
        "time_to_ath_s": 120,
        "time_to_2x_s": 61,
        "time_to_3x_s": None,
        "dd_pre2x": -0.25,
        "peak_pnl_pct": 150.0,
        "ret_end_pct": pytest.approx(-12.345),
    }.items() <= first.items()
    assert ("missing", 0, None, None, 2) == tuple(
        second[name] for name in ("status", "candles", "entry_price", "entry_ts_utc", "alert_id")
    )
    assert "bad_entry" == third["status"]


def test_an_interval_or_horizon_that_is_not_whole_is_null():
    _, paths, _ = market(["a"])
    (row,) = exports_guide.baseline(paths, 500, 90 * 60_000).to_pylist()

    assert (None, None) == (row["interval_seconds"], row["horizon_hours"])


def test_a_trade_is_the_baseline_without_its_end_in_percent_and_with_its_exit():
    _, paths, trades = market(["a", "b"], ["OK", "NO_BARS"])
    found = exports_guide.trades(paths, trades.take([1, 0]), 60_000, 3_600_000)
    first, second = ({name: row[name] for name in found.column_names[27:]} for row in found.to_pylist())

    assert COLUMNS[:27] == found.column_names[:27]
    assert {
        "ret_end": pytest.approx(-0.12345),
        "exit_price": 0.75,
        "exit_ts_utc": "2025-01-01 00:02:00",
        "hold_time_s": 60,
        "tp_sl_exit_reason": "tp",
        "tp_sl_ret": pytest.approx(0.48395),
    } == first
    assert {None} == set(second.values())
    with pytest.raises(IntegrityError, match="1 alerts without a row"):
        exports_guide.trades(paths, trades.slice(1), 60_000, 3_600_000)


def test_hostile_callers_get_files_of_their_own_and_keep_their_names(tmp_path):
    _, paths, _ = market([*HOSTILE, "Bob"])
    each = exports_guide.per_caller(exports_guide.baseline(paths, 60_000, 3_600_000))
    write_each(tmp_path / "per_caller", *each, FACTS, "")
    index = pq.read_table(tmp_path / "per_caller" / INDEX).to_pylist()
    told = {row["file"]: row["caller"] for row in index}
    held = {file: set(pq.read_table(tmp_path / "per_caller" / file)["caller"].to_pylist()) for file in told}

    assert {*told, INDEX} == set(names(tmp_path / "per_caller"))
    assert ["per_caller"] == names(tmp_path)
    assert set(HOSTILE) == set(told.values())
    assert {file: {caller} for file, caller in told.items()} == held
    assert len(told) == len({file.lower() for file in told})
    assert all(re.fullmatch(r"caller_[a-z0-9-]{1,24}~[0-9a-f]{12}\.parquet", file) for file in told)
    assert 2 == next(row["rows"] for row in index if row["caller"] == "Bob")


@pytest.mark.parametrize("mint", HOSTILE[:-2])
def test_a_hostile_mint_leads_nowhere(mint):
    alerts, paths, trades = market(["a"])
    alerts = alerts.set_column(1, "mint", pa.array([mint]))
    _, index = exports_guide.per_trade(alerts, paths, trades)

    assert re.fullmatch(r"trade_1_([A-Za-z0-9]{1,8}|[a-z0-9-]+~[0-9a-f]{12})\.parquet", index["file"][0].as_py())
    assert mint == index["mint"][0].as_py()


def test_above_a_limit_a_file_holds_many_alerts(tmp_path, monkeypatch):
    monkeypatch.setattr(exports_guide, "PART", 2)
    alerts, paths, trades = market(list("abcde"), ["OK", "OK", "NO_BARS", "OK", "OK"])
    rows = exports_guide.trades(paths, trades, 60_000, 3_600_000)
    count = write_each(tmp_path / "x", *exports_guide.per_trade(alerts, paths, rows), FACTS, "")
    found = {
        file.name: pq.read_table(file)["alert_id"].to_pylist()
        for file in (tmp_path / "x").iterdir()
        if file.name != INDEX
    }

    assert 3 == count
    assert {"trades_1_2.parquet": [1, 2], "trades_3_4.parquet": [4], "trades_5_5.parquet": [5]} == found
    assert [1, 1, 0, 1, 1] == pq.read_table(tmp_path / "x" / INDEX)["rows"].to_pylist()
