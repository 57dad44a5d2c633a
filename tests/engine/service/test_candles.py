import pytest
import service_runs
from highwater.engine.service import candles
from highwater.engine.service.candles import around, ohlc
from highwater.engine.service.results import trades
from highwater.engine.service.runs import open_run
from highwater.io.errors import IntegrityError, MissingError, UsageError


@pytest.fixture(scope="module")
def runs():
    made = service_runs.made()
    return {kind: open_run(made.root, run_id) for kind, run_id in made.ids.items()}


def test_candles_around_a_trade_begin_before_it_and_end_after(runs):
    for kind, key, names in (
        ("session", "trade_id", ("entry_timestamp", "exit_timestamp")),
        ("policy", "call_id", ("entry_ts_ms", "exit_ts_ms")),
    ):
        row = trades(runs[kind], where=["status=OK"] if kind == "policy" else ()).table.to_pylist()[0]
        found = around(runs[kind], row[key], 5, 3)
        ts = found.table["timestamp"].cast("int64").to_pylist()
        entry, left = (row[name] for name in names)

        assert row == found.trade
        assert entry - 5 * found.interval_ms <= ts[0] <= entry
        assert left <= ts[-1] + found.interval_ms and ts[-1] <= left + 3 * found.interval_ms
        assert found.total == found.table.num_rows


def test_candles_of_a_span_are_those_of_the_slice(runs):
    every = ohlc(runs["session"], "QQQ", limit=1000)
    ts = every.table["timestamp"].cast("int64").to_pylist()
    found = ohlc(runs["session"], "QQQ", ts[3], ts[10], 4)

    assert every.table.slice(3, 4).equals(found.table)
    assert (7, 60_000) == (found.total, found.interval_ms)
    assert 0 == ohlc(runs["session"], "QQQ", ts[10], ts[3]).total


def test_what_is_not_there_is_said(runs, tmp_path):
    with pytest.raises(MissingError, match=r"has no candles of 'SPYY'.*SPY"):
        ohlc(runs["session"], "SPYY")
    with pytest.raises(MissingError, match="has no trade 'x'"):
        around(runs["session"], "x")
    with pytest.raises(MissingError, match="are not in"):
        ohlc(runs["session"], "SPY", slices=tmp_path)
    with pytest.raises(UsageError, match=r"before is -1; it must be 0\.\.1000"):
        around(runs["session"], "x", before=-1)
    dead = trades(runs["policy"], where=["status!=OK"]).table["call_id"][0].as_py()
    with pytest.raises(MissingError, match="was never entered"):
        around(runs["policy"], dead)


def test_candles_that_were_changed_are_not_served(tmp_path):
    made = service_runs.copy(tmp_path)
    run = open_run(made.root, made.ids["session"])
    ohlc(run, "SPY")
    path = candles._slice_of(run, made.root / ".slices").path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    with pytest.raises(IntegrityError, match="content digest is"):
        ohlc(run, "SPY")


def test_a_slice_that_is_removed_since_it_was_found_is_not_there(runs, monkeypatch):
    monkeypatch.setattr(candles, "status", lambda path: None)
    with pytest.raises(MissingError, match="are not in") as caught:
        ohlc(runs["session"], "SPY")

    assert "E_SLICE_GONE" == caught.value.code
