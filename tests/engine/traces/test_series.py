import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import small_series
from highwater.engine.settings import Store
from highwater.engine.trace_settings import Market
from highwater.engine.traces.series import found_again, inputs, market_of, prepared, read_config
from highwater.io.digest import content_sha256
from highwater.io.errors import DataError, IntegrityError, MissingError
from highwater.io.publish import stage
from highwater.io.runs import read_manifest
from highwater.io.slices import candle_table
from small_series import FIRST, STEP


@pytest.fixture
def bars(tmp_path):
    return small_series.write(tmp_path)


def of(tmp_path, bars, **options):
    return prepared(Market(candles=bars, **options), Store(runs=tmp_path / "runs"))


def test_every_series_is_whole_and_has_a_digest_of_its_own(tmp_path, bars):
    found, piece, reused = of(tmp_path, bars)
    table = small_series.table()

    assert (["QQQ", "SPY"], False) == ([one.symbol for one in found], reused)
    for one in found:
        expected = table.filter(pc.equal(table["symbol"], one.symbol))
        assert expected["close"].to_pylist() == one.bars.close.tolist()
        assert (STEP, "5m", content_sha256(candle_table(one.bars))) == (one.step, one.timeframe, one.digest)
    assert found[0].digest != found[1].digest
    assert piece.facts.rows == table.num_rows


def test_symbols_are_given_in_the_order_asked_for_and_found_again(tmp_path, bars):
    both, _, _ = of(tmp_path, bars, symbols=["SPY", "QQQ"])
    again, _, reused = of(tmp_path, bars, symbols=["SPY", "QQQ"])
    one, _, other = of(tmp_path, bars, symbols=["QQQ"])

    assert (["SPY", "QQQ"], True, False) == ([each.symbol for each in both], reused, other)
    assert [each.digest for each in both] == [each.digest for each in again]
    assert both[1].digest == one[0].digest


def test_a_time_range_is_kept_to(tmp_path, bars):
    lo, hi = FIRST + 10 * STEP, FIRST + 20 * STEP
    (one, _), _, _ = of(tmp_path, bars, from_=lo, to=hi)

    assert list(range(lo, hi, STEP)) == one.bars.ts.tolist()


def test_candles_are_resampled_before_they_are_cut(tmp_path, bars):
    (one, _), _, _ = of(tmp_path, bars, resample=1_800_000, from_=FIRST + STEP)

    assert ("30m", FIRST + 1_800_000) == (one.timeframe, one.bars.ts[0])


def test_a_file_of_one_series_without_a_name_is_given_one(tmp_path, bars):
    table = small_series.table()
    spy = table.filter(pc.equal(table["symbol"], "SPY")).drop_columns("symbol")
    pq.write_table(spy, tmp_path / "unnamed.parquet")
    (plain,), _, _ = of(tmp_path, tmp_path / "unnamed.parquet")
    (named,), _, _ = of(tmp_path, tmp_path / "unnamed.parquet", symbols=["SPY"])

    assert ("unnamed", "SPY") == (plain.symbol, named.symbol)
    assert plain.digest == named.digest == of(tmp_path, bars, symbols=["SPY"])[0][0].digest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"symbols": ["SPX"]}, "holds no candles of SPX; did you mean 'SPY'"),
        ({"symbols": ["SPY", "TLT", "GLD"]}, "holds no candles of TLT, GLD; it holds QQQ, SPY"),
        ({"from_": FIRST + 400 * small_series.DAY}, "QQQ has none in that time, but from 2024-01-02T14:30Z to"),
        ({"symbols": ["SPY"], "to": FIRST}, "SPY has none in that time"),
    ],
)
def test_a_symbol_without_candles_is_told(tmp_path, bars, options, message):
    with pytest.raises(DataError, match=message) as caught:
        of(tmp_path, bars, **options)

    assert 3 == caught.value.exit_code


def test_a_series_that_contradicts_itself_is_refused_alone_and_left_out_of_many(tmp_path, bars):
    table = small_series.table()
    spy = table.filter(pc.equal(table["symbol"], "SPY"))
    changed = spy.slice(0, 1).set_column(2, "open", [[999.0]]).set_column(3, "high", [[1000.0]])
    pq.write_table(pa.concat_tables([spy.slice(0, 1), changed, table.slice(1)]), tmp_path / "x.parquet")
    found, piece, _ = of(tmp_path, tmp_path / "x.parquet")
    with pytest.raises(DataError, match="SPY: two different bars at 2024-01-02T14:30Z"):
        of(tmp_path, tmp_path / "x.parquet", symbols=["SPY"])

    assert ["QQQ"] == [one.symbol for one in found]
    assert {"SPY"} == set(piece.facts.rejected)


@pytest.fixture
def saved(tmp_path, bars):
    """Return the manifest of a run that read both series, its series, and the folder of its slice."""
    market = Market(candles=bars, to=FIRST + 5 * small_series.DAY)
    found, piece, _ = prepared(market, Store(runs=tmp_path / "runs"))
    with stage(tmp_path / "runs", "traces") as s:
        path = s.publish(config=read_config(market, STEP), inputs=inputs(market, piece))
    return read_manifest(path), found, tmp_path / "runs" / ".slices"


def test_a_series_is_found_again_in_its_slice_or_its_source(saved, bars, tmp_path):
    manifest, found, slices = saved
    for folder in (slices, tmp_path / "nowhere"):
        for one in found:
            again = found_again(manifest, folder, one.symbol, one.digest)

            assert (one.symbol, one.step, one.digest) == (again.symbol, again.step, again.digest)
            np.testing.assert_array_equal(one.bars.close, again.bars.close)
    bars.unlink()

    assert found[0].digest == found_again(manifest, slices, found[0].symbol, found[0].digest).digest


def test_candles_that_are_gone_or_others_are_told(saved, bars, tmp_path):
    manifest, (one, _), _ = saved
    where = (manifest, tmp_path / "nowhere", one.symbol, one.digest)
    pq.write_table(small_series.table(seed=8), bars)
    with pytest.raises(MissingError, match=r"bars.parquet holds others; name their slices .* with --candles"):
        found_again(*where)
    bars.unlink()
    with pytest.raises(MissingError, match=r"are not in .*nowhere; name their slices with --slices, or a file"):
        found_again(*where)
    moved = small_series.write(tmp_path / "elsewhere")

    assert one.digest == found_again(*where, moved).digest


def test_the_settings_of_a_run_are_read_back(saved, bars):
    manifest, _, _ = saved

    assert Market(candles=bars, to=FIRST + 5 * small_series.DAY, interval=STEP) == market_of(manifest, bars)
    with pytest.raises(IntegrityError, match="does not say symbols_asked; another version wrote it"):
        market_of(dataclasses.replace(manifest, config={}, config_digest=EMPTY), bars)


EMPTY = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
