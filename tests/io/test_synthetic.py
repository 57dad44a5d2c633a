import hashlib
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from highwater.io.errors import UsageError
from highwater.io.sources.synthetic import BASE58, make_market, write_market

MINUTE = 60_000


@pytest.fixture(scope="module")
def market():
    return make_market(seed=7, tokens=150, callers=12, days=4)


@pytest.fixture(scope="module")
def series(market):
    """Return mint -> (ts, columns) of every token."""
    candles = market[0]
    mints = candles["token_address"].to_numpy()
    edges = np.flatnonzero(np.r_[True, mints[1:] != mints[:-1], True])
    ts = candles["timestamp"].cast(pa.int64()).to_numpy()
    prices = {name: candles[name].to_numpy() for name in ("open", "high", "low", "close", "volume")}
    return {mints[a]: (ts[a:b], {k: v[a:b] for k, v in prices.items()}) for a, b in pairwise(edges)}


def coverage_end(candles):
    return int(candles.schema.metadata[b"coverage_end_ms"])


def test_a_seed_means_these_values_on_every_platform():
    candles, alerts = make_market(seed=3, tokens=4, callers=3, days=1)
    candles = candles.set_column(1, "timestamp", candles["timestamp"].cast(pa.int64()))
    text = repr((candles.to_pydict(), alerts.to_pydict()))
    expected = "96ac59303ba1c5833e1d49f4a896081cfa53f2a61b9baaa37fc9c027cf954aa7"

    assert expected == hashlib.sha256(text.encode()).hexdigest()


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    first = [path.read_bytes() for path in write_market(tmp_path / "a" / "b", tokens=5, days=1)]
    second = [path.read_bytes() for path in write_market(tmp_path / "c", tokens=5, days=1)]

    assert first == second


def test_another_seed_is_another_market():
    first, second = (make_market(seed=seed, tokens=5, days=1) for seed in (7, 8))

    assert not set(first[0]["token_address"].to_pylist()) & set(second[0]["token_address"].to_pylist())
    assert first[0].num_rows != second[0].num_rows


def test_more_tokens_leave_the_first_ones_as_they_were(market):
    candles, alerts = make_market(seed=7, tokens=10, callers=12, days=4)
    mints = pc.unique(candles["token_address"])
    more_candles, more_alerts = market

    assert candles.equals(more_candles.slice(0, candles.num_rows))
    called = alerts.filter(pc.is_in(alerts["mint"], value_set=mints))
    assert called.equals(more_alerts.filter(pc.is_in(more_alerts["mint"], value_set=mints)))


def test_candles_are_clean(series, market):
    start, end = 1_735_689_600_000, coverage_end(market[0])

    assert 150 == len(series)
    assert start + 4 * 86_400_000 == end
    for ts, c in series.values():
        assert np.all(np.diff(ts) > 0)
        assert np.all((ts - start) % MINUTE == 0)
        assert start <= ts[0] and ts[-1] + MINUTE <= end
        assert np.all((c["low"] > 0) & (c["volume"] > 0) & np.isfinite(c["high"]))
        assert np.all(c["low"] <= np.minimum(c["open"], c["close"]))
        assert np.all(c["high"] >= np.maximum(c["open"], c["close"]))


def test_prices_are_micro_and_wide_apart(series):
    first = np.array([c["open"][0] for _, c in series.values()])

    assert np.all((first > 0.9e-9) & (first < 1.1e-2))
    assert first.max() / first.min() > 1e5


def test_no_two_tokens_and_no_two_days_are_alike(series):
    returns = [np.diff(np.log(c["close"])) for _, c in series.values()]
    days = [c["close"][(ts - ts[0]) // 86_400_000 == day] for ts, c in series.values() for day in range(4)]
    shapes = [tuple(np.round(day[:50] / day[0], 6)) for day in days if day.size >= 50]

    assert len({tuple(r[:20]) for r in returns if r.size >= 20}) == sum(r.size >= 20 for r in returns)
    assert len(set(shapes)) == len(shapes)


def test_returns_are_heavy_tailed_and_clustered(series):
    moves = [np.abs(np.diff(np.log(c["close"]))) for _, c in series.values() if c["close"].size > 1000]
    tails = np.median([np.quantile(m, 0.999) / np.quantile(m, 0.5) for m in moves])
    quiet_or_wild = np.median([np.corrcoef(np.minimum(m[1:], 0.05), np.minimum(m[:-1], 0.05))[0, 1] for m in moves])

    assert tails > 20  # 4.9 for a normal distribution
    assert quiet_or_wild > 0.1


def test_some_tokens_die_and_some_have_holes(series, market):
    end = coverage_end(market[0])
    dead = np.mean([end - ts[-1] > 6 * 60 * MINUTE for ts, _ in series.values()])
    holes = np.mean([np.any(np.diff(ts) > 5 * MINUTE) for ts, _ in series.values()])

    assert 0.2 < dead < 0.6
    assert holes > 0.5


def test_some_tokens_pump_tenfold_and_most_do_not(series):
    multiples = np.array([c["high"].max() / c["open"][0] for _, c in series.values()])

    assert 0.02 < np.mean(multiples > 10) < 0.3
    assert np.mean(multiples < 3) > 0.5


def test_alerts_come_in_order_at_odd_milliseconds(market):
    ts = market[1]["alert_ts_ms"].to_numpy()

    assert np.all(np.diff(ts) >= 0)
    assert np.all(ts % 2 == 1)
    assert ts[-1] < coverage_end(market[0])


def test_some_alerts_have_nothing_to_enter(series, market):
    calls = list(zip(market[1]["mint"].to_pylist(), market[1]["alert_ts_ms"].to_pylist(), strict=True))
    unknown = [mint for mint, _ in calls if mint not in series]
    early = [mint for mint, ts in calls if mint in series and ts < series[mint][0][0]]
    fresh = [mint for mint, ts in calls if mint in series and 0 <= ts - series[mint][0][0] < 60 * MINUTE]

    assert 3 == len(unknown) == len(set(unknown))
    assert 0 < len(early) < 20
    assert len(fresh) > 50
    assert {mint for mint, _ in calls} >= series.keys()


def test_a_known_alert_price_lies_in_the_last_candle(series, market):
    for row in market[1].to_pylist():
        if row["alert_price"] is not None:
            ts, c = series[row["mint"]]
            last = np.searchsorted(ts, row["alert_ts_ms"], side="right") - 1

            assert c["close"][last] == row["alert_price"]
    assert 0 < market[1]["alert_price"].null_count < market[1].num_rows / 4
    assert market[1]["alert_price"].null_count < market[1]["mcap_usd"].null_count < market[1].num_rows / 2


def test_one_caller_in_four_has_an_edge(series, market):
    peaks: dict[str, list[float]] = {}
    for row in market[1].to_pylist():
        ts, c = series.get(row["mint"], (np.empty(0), {}))
        entry = int(np.searchsorted(ts, row["alert_ts_ms"]))
        if entry < ts.size:
            peaks.setdefault(row["caller_name"], []).append(c["high"][entry:].max() / c["open"][entry])
    ranked = sorted(peaks, key=lambda name: -np.median(peaks[name]))

    assert len(ranked) == 12
    assert np.median(peaks[ranked[2]]) > 1.25 * np.median(peaks[ranked[3]])
    assert max(map(len, peaks.values())) > 3 * min(map(len, peaks.values()))


def test_callers_share_tokens(market):
    pairs = list(zip(market[1]["mint"].to_pylist(), market[1]["caller_name"].to_pylist(), strict=True))

    assert len(set(pairs)) == len(pairs)
    assert len({mint for mint, _ in pairs}) < 0.7 * len(pairs)


def test_many_callers_have_many_names():
    names = set(make_market(tokens=40, callers=300, days=1)[1]["caller_name"].to_pylist())

    assert 250 < len(names) <= 300


def test_mints_look_like_addresses(market):
    mints = set(market[1]["mint"].to_pylist())
    numbers = [sum(BASE58.index(c) * 58**i for i, c in enumerate(reversed(mint))) for mint in mints]

    assert {44} == {len(mint) for mint in mints}
    assert max(numbers) < 2**256


def test_files_hold_the_tables(tmp_path):
    paths = write_market(tmp_path, tokens=5, days=1, interval_ms=300_000)
    tables = make_market(tokens=5, days=1, interval_ms=300_000)

    assert ["candles.parquet", "alerts.parquet"] == [path.name for path in paths]
    for path, table in zip(paths, tables, strict=True):
        assert pq.read_table(path).equals(table)
        assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("interval_ms", [1000, 3_600_000])
def test_any_interval_has_candles_and_calls(interval_ms):
    candles, alerts = make_market(tokens=3, callers=1, days=1, interval_ms=interval_ms)

    assert np.all(candles["timestamp"].cast(pa.int64()).to_numpy() % interval_ms == 0)
    assert alerts.num_rows == 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seed": -1}, "seed must be >= 0"),
        ({"tokens": 0}, "tokens 0"),
        ({"callers": 0}, "callers 0"),
        ({"days": 0}, "days 0"),
        ({"interval_ms": 7_000_000}, "interval_ms is 7000000; it must divide a day"),
        ({"interval_ms": 1}, "interval_ms is 1;"),
        ({"interval_ms": 7_001}, "interval_ms is 7001;"),
    ],
)
def test_what_cannot_be_made_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        make_market(**wrong)
