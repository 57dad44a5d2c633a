import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from highwater.io.candles import CandleOptions, read_candles
from highwater.io.errors import DataError, SchemaError, UsageError
from small_candles import START, table, written

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_shared = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not SHARED.exists(), reason="the market data are not beside this checkout"),
]


def test_candles_are_contiguous_read_only_and_typed(tmp_path):
    found = read_candles(written(tmp_path / "c.parquet", table()))
    actual = [(a.flags.c_contiguous, a.flags.writeable) for a in (*found.candles, found.offsets, found.coverage_end)]

    assert [(True, False)] * 8 == actual
    assert [np.int64] + [np.float64] * 5 == [a.dtype.type for a in found.candles]


def test_close_label_and_given_coverage(tmp_path):
    found = read_candles(written(tmp_path / "c.parquet", table()), options=CandleOptions(ts_label="close"))
    given = read_candles(tmp_path / "c.parquet", options=CandleOptions(coverage_end_ms=5))

    assert [START - 60_000, START] == found.candles.ts.tolist()[:2]
    assert [START + 60_000] * 2 == found.coverage_end.tolist()
    assert [5, 5] == given.coverage_end.tolist()


def test_null_prices_and_chunks_are_holes(tmp_path):
    data = table(("A",) * 3, high=[2.0, None, 2.0], volume=[None, 1.0, -1.0])
    with pa.ipc.new_file(tmp_path / "c.arrow", data.schema) as out:
        for i in range(3):
            out.write_table(data.slice(i, 1))
    found = read_candles(tmp_path / "c.arrow", options=CandleOptions(interval_ms=120_000))
    report = found.reports[0]

    assert ([START, START + 120_000], [0.0, 0.0]) == (found.candles.ts.tolist(), found.candles.volume.tolist())
    assert ({"nan": 1}, 2, "1 of 3 bars unusable (nan 1)") == (report.bad_kinds, report.bad_volume, report.message)


def test_rejected_series_leaves_the_others(tmp_path):
    ts = [START, START, START + 60_000, START - 60_000]
    found = read_candles(written(tmp_path / "c.parquet", table(ts=ts)))
    bad, good = found.reports

    assert (("A", "B"), [0, 0, 2]) == (found.tokens, found.offsets.tolist())
    assert ("E_UNSORTED", 1, 0, None, 0) == (bad.error, bad.where, bad.rows_out, bad.first_ts, bad.coverage_end_ms)
    expected = "A: row 1 at 2023-11-14T22:13Z follows 2023-11-14T22:14Z; --on-unsorted sort accepts it"
    assert (expected, None) == (bad.message, good.error)


def test_conflict_names_what_differs(tmp_path):
    path = written(
        tmp_path / "c.parquet", table(("A",) * 3, ts=[START, START + 60_000, START + 60_000], high=[2.0, 110.0, 500.0])
    )
    report = read_candles(path).reports[0]

    assert ("E_DUP_CONFLICT", 2) == (report.error, report.where)
    where = "A: two different bars at 2023-11-14T22:15Z (high 110 vs 500)"

    assert f"{where}; --on-dup-conflict first keeps one" == report.message


def test_series_of_bad_bars_only_is_kept_empty(tmp_path):
    path = written(tmp_path / "c.parquet", table(high=[2.0, 0.0, 2.0, 0.0]))
    report = read_candles(path).reports[0]

    assert (None, 0, "2 of 2 bars unusable (zero 2)") == (report.error, report.rows_out, report.message)


def test_bad_bar_as_an_error(tmp_path):
    path = written(tmp_path / "c.parquet", table(high=[2.0, 0.0, 2.0, 2.0]))
    with pytest.raises(DataError, match="A: 1 of 2 bars unusable"):
        read_candles(path, options=CandleOptions(on_bad_bar="error"))


def test_off_grid_bars_are_kept_and_counted(tmp_path):
    path = written(tmp_path / "c.parquet", table(ts=[START, START + 7000, START + 60_000, START + 67_000]))

    assert [2, 0] == [report.off_grid for report in read_candles(path).reports]


def test_interval_that_the_data_deny(tmp_path):
    path = written(tmp_path / "c.parquet", table(("A",) * 5, ts=[START + 300_000 * i for i in range(5)]))
    with pytest.raises(SchemaError, match="bars are 5m apart but interval is 1m; set --interval 5m") as caught:
        read_candles(path, options=CandleOptions(interval_ms=60_000))

    assert ("E_INTERVAL", 2) == (caught.value.code, caught.value.exit_code)


def test_sparse_series_keep_their_interval(tmp_path):
    minutes = [0, 1, 4, 5, 9, 10, 15, 19]
    path = written(tmp_path / "c.parquet", table(("A",) * 8, ts=[START + 60_000 * m for m in minutes]))

    assert 60_000 == read_candles(path).interval_ms


def test_single_bars_cannot_tell_the_interval(tmp_path):
    path = written(tmp_path / "c.parquet", table(("A", "B")))

    assert 5000 == read_candles(path, options=CandleOptions(interval_ms=5000)).interval_ms
    with pytest.raises(SchemaError, match="--interval"):
        read_candles(path)


def test_several_intervals_in_one_file(tmp_path):
    ts = [START, START + 60_000, START, START + 300_000]
    path = written(tmp_path / "c.parquet", table(("A",) * 4, ts=ts, interval=["1m", "1m", "5m", "5m"]))
    with pytest.raises(SchemaError, match=r"several intervals \(1m, 5m\)"):
        read_candles(path)

    assert ts[2:] == read_candles(path, options=CandleOptions(interval_ms=300_000)).candles.ts.tolist()


def test_resample_groups_on_the_utc_grid(tmp_path):
    start = START // 300_000 * 300_000 + 180_000
    data = table(
        ("A",) * 4, ts=[start + 60_000 * i for i in range(4)], open=[1.0, 1.1, 1.2, 1.3], high=[2.0, 3.0, 5.0, 4.0],
        low=[0.5, 0.4, 0.3, 0.2], close=[1.5, 1.6, 1.7, 1.8],
    )  # fmt: skip
    found = read_candles(written(tmp_path / "c.parquet", data), options=CandleOptions(resample_ms=300_000))
    expected = [[start - 180_000, start + 120_000], [1.0, 1.2], [3.0, 5.0], [0.4, 0.2], [1.6, 1.8], [20.0, 20.0]]

    assert expected == [a.tolist() for a in found.candles]
    assert (300_000, start + 240_000, 2) == (found.interval_ms, found.coverage_end[0], found.reports[0].rows_out)


def test_resample_to_a_fraction_is_refused(tmp_path):
    with pytest.raises(UsageError, match="90s is no whole multiple of the interval 1m"):
        read_candles(written(tmp_path / "c.parquet", table()), options=CandleOptions(resample_ms=90_000))


@pytest.mark.parametrize("wrong", [{"on_unsorted": "shuffle"}, {"interval_ms": 0}, {"time_unit": "m"}])
def test_options_are_checked(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        CandleOptions(**wrong)


def shared(name, **options):
    return read_candles(SHARED / "candles" / name, options=CandleOptions(**options))


def total(found, *names):
    return [sum(getattr(report, name) for report in found.reports) for name in names]


class TestMarketData:
    pytestmark = needs_shared

    @pytest.mark.parametrize(
        ("name", "interval", "tokens", "rows"),
        [
            ("fxcm_gbpusd_m1_bid_2012", 60_000, 1, 30117),
            ("pump_events_binance_1m", 60_000, 24, 99239),
            ("pump_events_binance_15s", 15_000, 24, 14123),
            ("pumpfun_tokens_usd_1h_2026jul", 3_600_000, 198, 15258),
            ("pumpfun_tokens_sol_1s_2026jun", 1_000, 14, 2096),
            ("lean_gc_futures_1m", 60_000, 13, 7887),
            ("nasdaq_1m_2020apr", 60_000, 12, 6992),
            ("xrp_eth_1m_2019oct_gappy", 60_000, 1, 2469),
        ],
    )
    def test_clean_files_keep_every_row(self, name, interval, tokens, rows):
        found = shared(f"{name}.parquet")

        assert (interval, tokens, rows) == (found.interval_ms, len(found.tokens), found.candles.ts.size)
        assert [rows, 0, 0, 0, 0] == total(found, "rows_in", "bad_bars", "dup_identical", "dup_conflict", "unsorted")

    def test_off_grid_and_null_volume(self):
        assert [12] == total(shared("nasdaq_1m_2020apr.parquet"), "off_grid")
        assert [30117] == total(shared("fxcm_gbpusd_m1_bid_2012.parquet"), "bad_volume")

    def test_dirty_quotes(self):
        report = shared("dirty_quotes_1d.parquet").reports[0]
        kinds = report.bad_kinds

        assert (502, None, 1) == (report.rows_in, report.error, report.bad_volume)
        assert (51, 54) == (kinds["nan"], kinds["negative"] + kinds["zero"])
        assert 502 - report.bad_bars - report.dup_identical == report.rows_out

    def test_descending_downloads(self):
        name = "dex_tokens_1m_2025oct_raw.parquet"
        rejected, ordered = shared(name), shared(name, on_unsorted="sort", on_dup_conflict="last")

        assert ["E_UNSORTED"] * 2 == [report.error for report in rejected.reports]
        assert [561, 311] == total(ordered, "rows_in", "rows_out")
        assert 250 == sum(total(ordered, "dup_identical", "dup_conflict"))

    def test_repeated_minutes(self):
        name = "sol_usd_pool_1m_2025oct_duplicated.parquet"
        rejected, kept = shared(name).reports[0], shared(name, on_dup_conflict="first")

        assert "E_DUP_CONFLICT" == rejected.error
        assert 500 == kept.candles.ts.size
        assert 2500 == sum(total(kept, "dup_identical", "dup_conflict"))

    def test_pairs_with_a_slash(self):
        assert "NULS/BTC" in shared("pump_events_binance_1m.parquet").tokens

    @pytest.mark.parametrize(("to", "minutes"), [("m5", 5), ("m15", 15)])
    def test_resampled_spy_is_the_published_one(self, to, minutes):
        case = json.loads((SHARED / "conformance" / "resample_spy.json").read_text())
        made = read_candles(SHARED / case["data"]["src"], options=CandleOptions(resample_ms=minutes * 60_000))
        published = read_candles(SHARED / case["data"][to])

        assert case["expected"][f"bars_{minutes}m"] == made.candles.ts.size
        assert [a.tolist() for a in published.candles] == [a.tolist() for a in made.candles]
