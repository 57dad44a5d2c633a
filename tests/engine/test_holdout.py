import dataclasses

import day_market
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from highwater.engine.holdout import first_sealed_ms, hold_out, only_held_out, windows_before
from highwater.engine.recipe import enter
from highwater.io.errors import UsageError
from highwater.io.runs import find_run, read_manifest
from highwater.io.sources.synthetic import make_market
from highwater.kernels import arrays
from small_market import Market, run, write

DAY, SHARE = 86_400_000, 0.3
SWEEP = ["sweep", "--trials", "60", "--horizon", "12h", "--quiet", "--holdout", "30%"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("days")
    day_market.prepared(made)
    return made


def test_the_last_days_are_sealed_and_what_reaches_them_purged(folder):
    whole = day_market.prepared(folder)
    part, first = hold_out(whole, SHARE), first_sealed_ms(whole, SHARE)
    was, now = whole.windows, part.windows
    days = whole.asked.ts // DAY

    assert 0 == first % DAY
    assert first // DAY == days.max() + 1 - round((days.max() - days.min() + 1) * SHARE)
    for a in np.flatnonzero(whole.ok):
        expected = arrays.SEALED if was.ts[a] >= first else arrays.PURGED if was.end[a] > first else arrays.OK
        assert expected == now.status[a]
        assert (expected != arrays.OK) == (now.first[a] == now.last[a])
    assert (now.status[whole.asked.ts >= first] == arrays.SEALED).all()
    assert {arrays.SEALED, arrays.PURGED, arrays.OK} <= set(now.status.tolist())
    assert (now.end[part.ok] <= first).all()


def test_the_last_days_are_those_of_the_alerts_and_not_of_those_that_could_be_entered(folder):
    whole = day_market.prepared(folder)
    for spoiled in (whole.asked.ts > np.median(whole.asked.ts), whole.asked.ts < np.median(whole.asked.ts)):
        windows = whole.windows._replace(status=np.where(spoiled, arrays.NO_ENTRY_BAR, whole.windows.status))

        assert first_sealed_ms(whole, SHARE) == first_sealed_ms(dataclasses.replace(whole, windows=windows), SHARE)
    late = day_market.prepared(folder, latency=3 * DAY)
    assert first_sealed_ms(whole, SHARE) + 3 * DAY == first_sealed_ms(late, SHARE)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """Return a folder with a market of many alerts, of tokens that seldom trade."""
    made = tmp_path_factory.mktemp("crowded")
    candles, alerts = make_market(seed=7, tokens=250, callers=5, days=8, interval_ms=3_600_000)
    write(made, candles.filter(pa.array(np.random.default_rng(1).random(candles.num_rows) < 0.2)), alerts)
    return made


ENTRIES = {
    "the next open": {},
    "a late open": {"max_entry_delay": 3 * DAY, "latency": DAY // 3},
    "the next high": {"entry": "next_high", "horizon": 7_200_000, "max_entry_delay": DAY},
    "a close": {"entry": "bar_close", "max_entry_delay": DAY // 2},
    "the price of the alert": {"entry": "alert_price", "horizon": 10_800_000},
}


def spoilt(piece, first, way):
    """Return a slice without some of the candles from ``first`` on, or with none there, or with other prices."""
    ts, rng = piece.candles.ts, np.random.default_rng(4)
    sealed = ts >= first
    if way == "other prices":
        drawn = np.where(sealed, rng.permutation(np.flatnonzero(sealed))[np.cumsum(sealed) - 1], np.arange(ts.size))
        names = ("open", "high", "low", "close", "volume")
        moved = {name: np.ascontiguousarray(getattr(piece.candles, name)[drawn]) for name in names}
        return dataclasses.replace(piece, candles=piece.candles._replace(**moved))
    kept = ~sealed | (rng.random(ts.size) < (0.3 if way == "fewer candles" else 0.0))
    offsets = tuple(int(kept[:end].sum()) for end in piece.facts.offsets)
    left = type(piece.candles)(*(np.ascontiguousarray(part[kept]) for part in piece.candles))
    return dataclasses.replace(piece, candles=left, facts=dataclasses.replace(piece.facts, offsets=offsets))


@pytest.mark.parametrize("way", ["other prices", "fewer candles", "no candles"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_nothing_of_an_alert_that_is_searched_hangs_on_sealed_candles(crowded, entry, way):
    whole = day_market.prepared(crowded, **ENTRIES[entry])
    first = first_sealed_ms(whole, SHARE)
    other = dataclasses.replace(whole, slice=spoilt(whole.slice, first, way))
    _, windows = enter(other.batch, other.slice, other.trading)
    other = dataclasses.replace(other, windows=windows)
    one, same = windows_before(whole, first), windows_before(other, first_sealed_ms(other, SHARE))
    before = whole.slice.candles.ts[np.minimum(one.first, whole.slice.candles.ts.size - 1)]

    early = whole.asked.ts + whole.trading.latency < first
    assert (whole.windows.status != windows.status)[early].any() or way == "other prices"
    for name in ("status", "price", "ts", "end", "flags", "fresh"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name), name)
    ok = one.status == arrays.OK
    np.testing.assert_array_equal((one.last - one.first)[ok], (same.last - same.first)[ok])
    assert (before[ok] < first).all()
    assert {arrays.OK, arrays.SEALED, arrays.PURGED} >= set(one.status[whole.ok].tolist())
    sealed = whole.ok & (one.status == arrays.SEALED)
    np.testing.assert_array_equal(sealed, only_held_out(whole, SHARE).ok)
    candle = whole.windows.ts - (whole.step if entry in ("the next high", "a close") else 0)
    np.testing.assert_array_equal(candle[whole.ok] >= first, sealed[whole.ok])


def test_the_holdout_alone_is_what_was_sealed(folder):
    whole = day_market.prepared(folder)
    sealed, opened = hold_out(whole, SHARE), only_held_out(whole, SHARE)

    assert (whole.ok & (sealed.windows.status == arrays.SEALED)).tolist() == opened.ok.tolist()
    assert not (sealed.ok & opened.ok).any()


def test_no_holdout_is_no_change(folder):
    whole = day_market.prepared(folder)

    assert whole is hold_out(whole, 0.0)


def test_a_holdout_that_leaves_nothing_is_refused(folder):
    whole = day_market.prepared(folder, horizon=90 * DAY)
    with pytest.raises(
        UsageError, match=r"leaves 0 alerts to search and .* take another share, or a shorter --horizon"
    ):
        hold_out(whole, SHARE)


def test_a_holdout_that_cannot_be_entered_is_refused(folder):
    whole = day_market.prepared(folder)
    late = np.where(whole.asked.ts >= first_sealed_ms(whole, SHARE), arrays.NO_ENTRY_BAR, whole.windows.status)
    without = dataclasses.replace(whole, windows=whole.windows._replace(status=late))
    with pytest.raises(UsageError, match=r"leaves \d+ alerts to search and 0 to hold out; .* the candles end \(--to\)"):
        hold_out(without, SHARE)


@pytest.mark.parametrize("text", ["90%", "0.81", "-1%", "half", "101%"])
def test_bad_shares_are_one_line(folder, tmp_path, text):
    market = Market(folder / "candles.parquet", folder / "alerts.parquet")
    done = run("sweep", *market.flags, "--runs", tmp_path, f"--holdout={text}")

    assert (2, "", 1) == (done.code, done.out, done.err.count("\n"))
    assert "--holdout" in done.err


@pytest.mark.parametrize("words", [(), ("--entry", "bar_close", "--max-entry-delay", "12h")], ids=" ".join)
def test_sealed_candles_are_in_no_result(folder, tmp_path, words):
    """Shuffled among all tokens, and two of three left out but for the last of each, which says where data ended."""
    whole = day_market.prepared(folder)
    first = first_sealed_ms(whole, SHARE)
    order = [("token_address", "ascending"), ("timestamp", "ascending")]
    candles = pq.read_table(folder / "candles.parquet").sort_by(order)
    later = pc.greater_equal(candles["timestamp"], pa.scalar(first, candles["timestamp"].type)).to_numpy()
    rng, tokens = np.random.default_rng(8), candles["token_address"].to_numpy(zero_copy_only=False)
    drawn = np.where(later, rng.permutation(np.flatnonzero(later))[np.cumsum(later) - 1], np.arange(later.size))
    shuffled = candles.take(drawn)
    for name in ("token_address", "timestamp"):
        shuffled = shuffled.set_column(shuffled.schema.get_field_index(name), name, candles[name])
    last = np.append(tokens[1:] != tokens[:-1], True)
    other = tmp_path / "other.parquet"
    pq.write_table(shuffled.filter(pa.array(~later | last | (rng.random(later.size) < 1 / 3))), other)
    found = []
    for place, runs in ((folder / "candles.parquet", tmp_path / "a"), (other, tmp_path / "b")):
        named = ["--alerts", folder / "alerts.parquet", "--candles", place, "--runs", runs]
        done = run(*SWEEP, *words, *named)
        assert 0 == done.code, done.err
        manifest = read_manifest(find_run(runs, "latest").path)
        found.append({a.path: a.content_sha256 for a in manifest.artifacts if a.type != "log"})

    assert found[0] == found[1]
