"""What does it save that an earlier run kept its path metrics, and which share of a strategy's run is that?"""

import shutil
import statistics

import numpy as np
import pytest
from highwater.bench.market import ALERTS, CANDLES, START, STEP, market
from highwater.engine.baseline import DEFAULT_MULTIPLES, path_metrics
from highwater.engine.policy import Policy, Rung
from highwater.engine.recipe import Clock, prepare_on
from highwater.engine.run import run_strategy
from highwater.engine.settings import Sources, Store, Trading
from highwater.io import schemas
from highwater.io.alerts import AlertBatch
from highwater.io.candles import CandleSet
from highwater.io.files import SourceFile
from highwater.io.slices import Spans, build, open_slice

END = START + STEP * CANDLES
TOKENS = tuple(f"token{a:05}" for a in range(ALERTS))
SOLD = Policy(sl=0.7, tp=(Rung(2.0),))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a slice of 1.4 GB, in the page cache because it was just written."""
    made = tmp_path_factory.mktemp("cache")
    found = CandleSet(TOKENS, CANDLES * np.arange(ALERTS + 1), market().candles, STEP, np.full(ALERTS, END), (), ())
    starts = np.full(ALERTS, START)
    build(made, found, Spans(TOKENS, np.arange(ALERTS), starts - 1, starts, starts + END), "0" * 64)
    yield made
    shutil.rmtree(made)


def alerts():
    """Return an alert on each token, of fifty callers."""
    columns = {
        "call_id": [f"{a:032x}" for a in range(ALERTS)],
        "mint": list(TOKENS),
        "caller_name": [f"caller{a % 50:02}" for a in range(ALERTS)],
        "chain": "solana",
        "alert_ts_ms": np.full(ALERTS, START),
        "created_at": "2025-01-01T00:00:00.000Z",
        **dict.fromkeys(("alert_id", "alert_price", "mcap_usd")),
    }
    counts = {"read": ALERTS, "kept": ALERTS}
    return AlertBatch(schemas.table(schemas.ALERTS, columns), counts, (SourceFile("a", 0, "a" * 64),), "a")


def prepared(folder):
    """Return the alerts on the slice, opened anew: its pages are in memory, and in no process."""
    sources = Sources(alerts=folder / "alerts", candles=folder / "candles")
    piece = open_slice(next(folder.glob("*.arrow")))
    return prepare_on(alerts(), piece, True, sources, Trading(), Clock())


def test_path_metrics_kept(bench, folder):
    ready, runs = prepared(folder), folder / "runs"
    ways = {
        name: lambda store=store: path_metrics(ready, DEFAULT_MULTIPLES, store)
        for name, store in {"measured": Store(runs=runs, cache=False), "from cache": Store(runs=runs)}.items()
    }
    first, kept = (path_metrics(ready, DEFAULT_MULTIPLES, Store(runs=runs)) for _ in range(2))
    assert (False, True) == (first.cached, kept.cached)
    assert first.read().equals(kept.read())
    times = bench.compare(ways, cores=None)
    for way, took in times.items():
        bench.say(way, took, f"{times['measured'].median / took.median:.1f}x; the slice's pages are at hand")


def test_strategy_from_its_slice_on(bench, folder):
    runs, spent = folder / "runs", {"measured": [], "from cache": []}

    def whole(name, store):
        done = run_strategy(prepared(folder), store, SOLD, DEFAULT_MULTIPLES, ())
        assert done.cached == (name == "from cache")
        spent[name].append(done.prepared.clock.spent["paths"])
        shutil.rmtree(done.path)

    run_strategy(prepared(folder), Store(runs=runs), SOLD, DEFAULT_MULTIPLES, ())
    ways = {"measured": Store(runs=runs, cache=False), "from cache": Store(runs=runs)}
    ways = {name: lambda name=name, store=store: whole(name, store) for name, store in ways.items()}
    times = bench.compare(ways, rounds=9, cores=None)
    for way, took in times.items():
        share = statistics.median(spent[way])
        bench.say(way, took, f"path metrics {share:.0f} ms of it, {share / 10 / took.median:.0f} %")
