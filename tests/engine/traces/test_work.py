import itertools

import numpy as np
import pyarrow as pa
import pytest
from highwater.engine.policy import Policy
from highwater.engine.traces import work
from highwater.engine.traces.kept import Kept
from highwater.engine.traces.listing import Named
from highwater.engine.traces.performance import Fills, performance_of
from highwater.engine.traces.series import Series
from highwater.engine.traces.trace import Trace, trace_of
from highwater.engine.traces.work import Asked, How, blocks
from highwater.io.publish import stage
from highwater.io.runs import read_artifact
from highwater.io.traces import Place, read_traces, trace_files
from highwater.kernels.arrays import candles
from highwater.kernels.signals import NONE

BARS, STEP = 400, 300_000
STOP = Policy(sl=0.995)


def series(seed=3):
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 2e-3, BARS)))
    opened = np.concatenate([[100.0], close[:-1]])
    ts = 1_704_205_800_000 + np.arange(BARS) * STEP
    bars = candles(ts, opened, np.maximum(opened, close), np.minimum(opened, close), close)
    return Series("SPY", bars, STEP, "c3" * 32)


def signal(seed):
    random = np.random.default_rng(seed)
    made = np.repeat(random.integers(-1, 2, BARS // 8), 8).astype(np.int8)
    made[: seed % 30] = NONE
    return made


def asked(i, seed, exits=None, calls=None):
    def make(_):
        if calls is not None:
            calls.append(seed)
        return signal(seed)

    return Asked(Named(f"strategy_{i}", f"{seed:064x}", "made_up", "{}"), lambda _: exits, make)


def done(root, strategies, fills=Fills(slippage_bps=1.0), held=(), threads=1):  # noqa: B008
    """Return what comes of strategies on the series, and the run that holds their traces."""
    how = How("UTC", fills, 1 << 20, threads)
    with stage(root, "traces") as s:
        with trace_files(s) as files:
            args = (series(), strategies, how, dict(held), files, itertools.count(), s.run_id)
            found = list(itertools.chain.from_iterable(blocks(*args)))
        return found, s.publish()


@pytest.mark.parametrize("block", [1, 2, 256])
@pytest.mark.parametrize("threads", [1, 3])
def test_rows_come_in_order_with_the_trace_of_each(tmp_path, monkeypatch, block, threads):
    monkeypatch.setattr(work, "BLOCK", block)
    found, run = done(tmp_path, [asked(i, seed) for i, seed in enumerate((5, 9, 2))], threads=threads)
    places = [Place(each.row.where.trace_path, each.row.where.trace_row, each.row.where.changes) for each in found]
    stored = read_traces(run, zip(places, (each.row.where.strategy for each in found), strict=True))

    assert ["strategy_0", "strategy_1", "strategy_2"] == [each.row.named.strategy_id for each in found]
    for each, seed, (idx, val) in zip(found, (5, 9, 2), stored, strict=True):
        expected = trace_of(signal(seed))
        assert expected.signal().tolist() == each.trace.signal().tolist() == Trace(idx, val, BARS).signal().tolist()
        assert performance_of(expected, series().bars, STEP, Fills(slippage_bps=1.0)).metrics == each.row.earned


@pytest.mark.parametrize("block", [1, 2, 256])
def test_strategies_of_one_trace_share_it_whichever_block_they_are_in(tmp_path, monkeypatch, block):
    monkeypatch.setattr(work, "BLOCK", block)
    strategies = [asked(0, 5), asked(1, 7), asked(2, 5, STOP)]
    found, run = done(tmp_path, strategies)

    assert [0, 1, 0] == [each.row.where.strategy for each in found]
    assert {0, 1} == set(read_artifact(run, "traces")["strategy"].to_pylist())
    assert found[0].row.where == found[2].row.where
    assert (None, '{"kind":"exits","sl":"0.995"}') == (found[0].row.fills["exits"], found[2].row.fills["exits"])
    expected = performance_of(trace_of(signal(5)), series().bars, STEP, Fills(slippage_bps=1.0, exits=STOP)).metrics
    assert expected == found[2].row.earned != found[0].row.earned


def test_a_trace_that_another_run_holds_is_read_and_not_made(tmp_path):
    before, run = done(tmp_path, [asked(0, 5), asked(1, 7)])
    held = {each.row.trace_key: Kept(run, each.row.where) for each in before}
    calls: list = []
    after, other = done(tmp_path, [asked(0, 7, None, calls), asked(1, 11, None, calls)], held=held)

    assert [11] == calls
    assert before[1].row.where == after[0].row.where
    assert before[1].row.earned == after[0].row.earned
    assert [0] * after[1].row.where.changes == read_artifact(other, "traces")["strategy"].to_pylist()


def test_without_fills_nothing_is_earned(tmp_path):
    (one,), _ = done(tmp_path, [asked(0, 5)], fills=None)

    assert (None, None) == (one.row.fills, one.row.earned)


def test_an_error_in_one_strategy_is_raised(tmp_path):
    def broken(_):
        raise pa.ArrowInvalid("broken")

    bad = Asked(Named("strategy_1", "0" * 64, "made_up", "{}"), lambda _: None, broken)
    with pytest.raises(pa.ArrowInvalid, match="broken"):
        done(tmp_path, [asked(0, 5), bad, asked(2, 6)], threads=2)

    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]
