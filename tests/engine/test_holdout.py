import day_market
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from highwater.engine.holdout import first_sealed_ms, hold_out, only_held_out
from highwater.io.errors import UsageError
from highwater.io.runs import find_run, read_manifest
from highwater.kernels import arrays
from small_market import Market, run

DAY = 86_400_000
SWEEP = ["sweep", "--trials", "60", "--horizon", "12h", "--quiet", "--holdout", "25%"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("days")
    day_market.prepared(made)
    return made


def test_the_last_days_are_sealed_and_what_reaches_them_purged(folder):
    whole = day_market.prepared(folder)
    part, first = hold_out(whole, 0.25), first_sealed_ms(whole, 0.25)
    was, now = whole.windows, part.windows
    days = was.ts[whole.ok] // DAY

    assert 0 == first % DAY
    assert first // DAY == days.max() + 1 - round((days.max() - days.min() + 1) * 0.25)
    for a in np.flatnonzero(whole.ok):
        expected = arrays.SEALED if was.ts[a] >= first else arrays.PURGED if was.end[a] > first else arrays.OK
        assert expected == now.status[a]
        assert (expected != arrays.OK) == (now.first[a] == now.last[a])
    assert {arrays.SEALED, arrays.PURGED, arrays.OK} <= set(now.status.tolist())
    assert (now.end[part.ok] <= first).all()


def test_the_holdout_alone_is_what_was_sealed(folder):
    whole = day_market.prepared(folder)
    sealed, opened = hold_out(whole, 0.25), only_held_out(whole, 0.25)

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
        hold_out(whole, 0.25)


@pytest.mark.parametrize("text", ["90%", "0.81", "-1%", "half", "101%"])
def test_bad_shares_are_one_line(folder, tmp_path, text):
    market = Market(folder / "candles.parquet", folder / "alerts.parquet")
    done = run("sweep", *market.flags, "--runs", tmp_path, f"--holdout={text}")

    assert (2, "", 1) == (done.code, done.out, done.err.count("\n"))
    assert "--holdout" in done.err


def test_sealed_candles_are_in_no_result(folder, tmp_path):
    whole = day_market.prepared(folder)
    first = first_sealed_ms(whole, 0.25)
    candles = pq.read_table(folder / "candles.parquet")
    later = pc.greater_equal(candles["timestamp"], pa.scalar(first, candles["timestamp"].type))
    halved = [
        pc.if_else(later, pc.multiply(candles[name], 0.5), candles[name]) if name in ("open", "high", "low", "close")
        else candles[name]
        for name in candles.schema.names
    ]  # fmt: skip
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table(halved, candles.schema), other)
    found = []
    for place, runs in ((folder / "candles.parquet", tmp_path / "a"), (other, tmp_path / "b")):
        words = ["--alerts", folder / "alerts.parquet", "--candles", place, "--runs", runs]
        assert 0 == run(*SWEEP, *words).code
        manifest = read_manifest(find_run(runs, "latest").path)
        found.append({a.path: a.content_sha256 for a in manifest.artifacts if a.type != "log"})

    assert found[0] == found[1]
