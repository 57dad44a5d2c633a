from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import small_market
from highwater.engine.recipe import excluded, prepare
from highwater.engine.settings import Sources, Store, Trading
from highwater.io.errors import DataError
from small_market import EARLY, HORIZON, REJECTED, STEP, Market, oracle, plain, tables

ENTRIES = ("next_open", "next_high", "bar_close", "alert_price")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("market")
    small_market.write(folder)
    return folder


def sources(market, **given):
    return Sources(alerts=market.alerts, candles=market.candles, **given)


@pytest.mark.parametrize("how", [{}, {"latency": 400_001}, {"max_entry_delay": 200_000}, {"horizon": STEP}], ids=str)
@pytest.mark.parametrize("entry", ENTRIES)
def test_windows_are_the_oracles(folder, entry, how):
    ready = small_market.prepared(folder, entry=entry, **how)
    windows, truth = ready.windows, oracle(ready)
    where = [bars[e["first"]][0] if e["status"] == "OK" else None for bars, e in truth]
    bars = [e["last"] - e["first"] for _, e in truth]

    assert [e["status"] for _, e in truth] == ready.status
    assert [e["price"] for _, e in truth if e["status"] == "OK"] == windows.price[ready.ok].tolist()
    assert [e["entry_ts"] for _, e in truth if e["status"] == "OK"] == windows.ts[ready.ok].tolist()
    assert [t for t in where if t] == ready.slice.candles.ts[windows.first[ready.ok]].tolist()
    assert bars == (windows.last - windows.first).tolist()


def test_the_market_meets_every_fate(folder):
    seen = {status for entry in ENTRIES for status in small_market.prepared(folder, entry=entry).status}

    assert {"OK", "NO_ENTRY_BAR", "ENTRY_TOO_LATE", "BAD_ENTRY_PRICE", "NO_BARS", "SERIES_REJECTED"} == seen


def test_counts_add_up(folder):
    ready = small_market.prepared(folder)

    assert ready.alerts.num_rows == ready.batch.counts["kept"] == sum(ready.counts.values())
    assert {status: ready.status.count(status) for status in set(ready.status)} == ready.counts


def test_every_alert_left_out_and_every_note_has_a_row(folder):
    ready = small_market.prepared(folder)
    rows, mints = excluded(ready), list(small_market.by_token(tables()[0]))
    messages = {row["call_id"]: row["message"] for row in rows if row["phase"] == "entry"}
    gone = {
        call: status
        for call, status in zip(plain(ready.alerts["call_id"]), ready.status, strict=True)
        if status != "OK"
    }

    assert gone == {call: message.partition(":")[0] for call, message in messages.items()}
    assert any(f"E_DUP_CONFLICT: {mints[REJECTED]}: two different bars at " in message for message in messages.values())
    assert "ENTRY_TOO_LATE: the next candle came later than the longest entry delay" in messages.values()
    assert [m for m in (row["message"] for row in rows if row["phase"] == "candles") if "unusable (nan 1, zero 1)" in m]


def test_the_lines_say_what_was_read_and_how(folder):
    text = "\n".join(small_market.prepared(folder, latency=1000, fee_bps=12.5).lines())

    for words in ("1 ENTRY_TOO_LATE", "1 rejected", "2 unusable candles made holes", "5m, 16 tokens", "(UTC)"):
        assert words in text
    for words in (
        "entry next_open",
        "latency 1s",
        "horizon 12h",
        "intrabar pessimistic",
        "fee 12.5 bps",
        "slippage 50",
    ):
        assert words in text


def test_a_slice_is_found_again_for_the_same_work_and_cut_anew_for_other(folder):
    fresh = folder / "fresh"
    market = small_market.write(fresh)

    def reused(cache=True, trading=None, **given):
        store = Store(runs=fresh / "runs", cache=cache)
        return prepare(sources(market, **given), trading or Trading(horizon=HORIZON), store).reused

    assert [False, True] == [reused(), reused()]
    assert not reused(cache=False)
    assert not reused(trading=Trading(horizon=HORIZON + STEP))
    assert not reused(trading=Trading(horizon=HORIZON, latency=1))
    assert not reused(on_dup_conflict="first")
    assert reused(trading=Trading(horizon=HORIZON, fee_bps=1.0, intrabar="optimistic"))
    small_market.write(fresh, tables()[0].slice(0, tables()[0].num_rows - 1))
    assert not reused()


def test_a_slice_found_again_gives_the_same_windows(folder):
    first, second = small_market.prepared(folder), small_market.prepared(folder)

    assert second.reused
    assert [part.tolist() for part in first.windows[:2]] == [part.tolist() for part in second.windows[:2]]
    assert first.inputs == second.inputs


def test_inputs_are_told_apart_by_content_not_by_place(folder, tmp_path):
    here, there = small_market.prepared(folder).inputs, small_market.prepared(tmp_path).inputs

    assert [one.digest for one in here] == [one.digest for one in there]
    assert [one.source for one in here] != [one.source for one in there]
    assert ["alerts", "candles"] == [one.kind for one in here]


def test_alerts_without_candles_do_not_stop_the_others(folder, tmp_path):
    only = tables()[0].filter(
        pa.compute.equal(tables()[0]["token_address"], list(small_market.by_token(tables()[0]))[EARLY])
    )
    market = small_market.write(tmp_path, only)
    ready = prepare(sources(market), Trading(horizon=HORIZON), Store(runs=tmp_path / "runs"))

    assert {"OK", "NO_ENTRY_BAR", "ENTRY_TOO_LATE"} == set(ready.status)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"from_": 4_000_000_000_000}, ["24 in the file", "24 outside period"]),
        ({"caller": ["nobody"]}, ["24 other caller"]),
        ({"chain": "base"}, ["24 other chain"]),
        ({"mcap_min": 1e18}, ["24 mcap"]),
    ],
)
def test_nothing_left_says_where_every_alert_went(folder, given, words):
    market = Market(folder / "candles.parquet", folder / "alerts.parquet")
    with pytest.raises(DataError) as caught:
        prepare(sources(market, **given), Trading(), Store(runs=folder / "runs"))

    assert "E_NO_ALERTS" == caught.value.code
    for each in ["no alert left to backtest", *words]:
        assert each in str(caught.value)


def test_alerts_that_all_fail_to_enter_are_nothing_left(folder, tmp_path):
    candles, alerts = tables()
    late = [row | {"alert_ts_ms": row["alert_ts_ms"] + 10 * 86_400_000} for row in alerts.to_pylist()]
    market = small_market.write(tmp_path, candles, pa.Table.from_pylist(late, schema=alerts.schema))
    with pytest.raises(
        DataError, match=r"24 in the file / 22 NO_ENTRY_BAR \(no candle at or after the alert\) / 2 SERIES"
    ):
        prepare(sources(market), Trading(), Store(runs=tmp_path / "runs"))


def test_coarser_candles_can_be_made_first(folder):
    market = Market(folder / "candles.parquet", folder / "alerts.parquet")
    ready = prepare(sources(market, resample=3_600_000), Trading(horizon=HORIZON), Store(runs=folder / "runs"))

    assert 3_600_000 == ready.step
    assert not any(ts % 3_600_000 for ts in ready.slice.candles.ts.tolist())


def test_the_feeds_end_decides_what_is_censored(folder):
    market = Market(folder / "candles.parquet", folder / "alerts.parquet")
    end = round(timedelta(days=30_000).total_seconds() * 1000)
    ready = prepare(sources(market, coverage_end=end), Trading(horizon=HORIZON), Store(runs=Path(folder / "runs")))

    assert {end} == set(ready.windows.coverage_end[ready.ok].tolist())
