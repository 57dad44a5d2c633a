"""How often a search is called PROVEN: where no policy has an edge, and where all have one of a known size.

``python -m highwater.bench.power [SEEDS]`` prints the table of engine/SEARCH.md. Every search is run as a user runs it,
on made-up alerts of its own: 300 over 120 days, followed for 48 hourly candles, no costs. Without an edge prices are a
martingale, one a candle, so that what is sold is sold at a price that was there, and no exit rule can gain on average;
alerts of one day share a third of their moves. An edge lifts every path by that much, evenly, until its horizon.
"""

import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from highwater.engine.recipe import Clock, Prepared, prepare_on
from highwater.engine.settings import Guards, Sources, Store, Trading
from highwater.engine.space import Space
from highwater.engine.sweep import plan
from highwater.engine.sweep_run import run_sweep
from highwater.engine.values import Range
from highwater.io import schemas
from highwater.io.alerts import AlertBatch
from highwater.io.candles import CandleSet
from highwater.io.files import SourceFile
from highwater.io.slices import Spans, build
from highwater.kernels.arrays import candles

HOUR, DAY = 3_600_000, 86_400_000
START, DAYS, ALERTS, LENGTH, TRIALS = 1_735_689_600_000, 120, 300, 50, 2_000
EDGES = (0.0, 0.05, 0.1, 0.2)
SPACE = Space({"tp": Range(1.05, 3.0, None, True), "sl": Range(0.5, 0.95), "trail": Range(0.05, 0.6)})


def market(edge: float, seed: int, folder: Path) -> Prepared:
    """Return the alerts of one seed, ready to be searched."""
    rng = np.random.Generator(np.random.PCG64([seed, 7]))
    days = np.sort(rng.integers(0, DAYS, ALERTS))
    tails = rng.standard_t(4, (ALERTS, LENGTH)) + rng.standard_t(4, (DAYS, LENGTH))[days] / 2**0.5
    paths = np.cumprod(1 + np.clip(0.05 * tails, -0.6, 0.6), axis=1)  # up and down alike: a martingale
    close = paths * (1 + edge) ** (np.arange(1, LENGTH + 1) / (LENGTH - 2))
    series = [*[close] * 4, np.ones_like(close)]
    starts = START + DAY * days + HOUR * rng.integers(0, 24, ALERTS)
    ts = (starts[:, None] + HOUR * np.arange(LENGTH)).ravel()
    tokens = tuple(f"token{a:03}" for a in range(ALERTS))
    ends = starts + HOUR * LENGTH
    bars = candles(ts, *(part.ravel() for part in series))
    found = CandleSet(tokens, LENGTH * np.arange(ALERTS + 1), bars, HOUR, ends, (), ())
    piece = build(folder, found, Spans(tokens, np.arange(ALERTS), starts - 1, starts, ends), "0" * 64)
    columns = {
        "call_id": [f"{a:032x}" for a in range(ALERTS)],
        "mint": list(tokens),
        "caller_name": [f"caller{a % 20:02}" for a in range(ALERTS)],
        "chain": "solana",
        "alert_ts_ms": starts,
        "created_at": "2025-01-01T00:00:00.000Z",
        **dict.fromkeys(("alert_id", "alert_price", "mcap_usd")),
    }
    counts = {"read": ALERTS, "kept": ALERTS}
    table = schemas.table(schemas.ALERTS, columns)
    batch = AlertBatch(table, counts, (SourceFile("alerts", 0, f"{seed:064x}"),), "alerts")
    trading = Trading(fee_bps=0.0, slippage_bps=0.0)
    return prepare_on(batch, piece, True, Sources(alerts=folder / "a", candles=folder / "c"), trading, Clock())


def searched(asked: tuple[float, int]) -> tuple[float, str, float]:
    """Return (edge, verdict, p-value of the winner) of one search."""
    edge, seed = asked
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Store(runs=folder / "runs", threads=1, quiet=True)

        def sized(prepared: Prepared):
            return plan(SPACE, TRIALS, seed, "avg_return_bps", (), prepared, 256 << 20, 2**62)

        judged = run_sweep(market(edge, seed, folder / "slices"), store, SPACE, sized, Guards(), ()).judged
    return edge, judged.verdict.word, judged.evidence.chance.p


def main(seeds: int) -> None:
    """Print, for each edge, how often which verdict came out."""
    asked = [(edge, seed) for edge in EDGES for seed in range(seeds)]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        found = list(pool.map(searched, asked, chunksize=10))
    print("| edge an alert | luck passes (p <= 0.05) | PROVEN | NOT PROVEN | REFUTED |\n|--:|--:|--:|--:|--:|")
    for edge in EDGES:
        mine = [(word, p) for each, word, p in found if each == edge]
        shares = [sum(p <= 0.05 for _, p in mine), *(sum(w == x for w, _ in mine) for x in WORDS)]
        print(f"| {edge:.0%} | " + " | ".join(f"{share / seeds:.1%}" for share in shares) + " |")


WORDS = ("PROVEN", "NOT PROVEN", "REFUTED")

if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 200)
