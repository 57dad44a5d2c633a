"""Two made-up series of 5-minute candles, SPY and QQQ, that walk at random through whole exchange days."""

import functools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from small_market import run

STEP, DAY = 300_000, 86_400_000
FIRST = 1_704_205_800_000  # 2024-01-02 14:30 UTC, 9:30 in New York
SWEEP = '{"strategies": [{"sma_crossover": {"fast_period": [5, 8], "slow_period": [20, 25]}}, "bollinger_bands"]}'


@functools.cache
def table(days=8, seed=7):
    """Return the candles of both series: 78 a day, with a hole of two a day."""
    random = np.random.default_rng(seed)
    parts = []
    for symbol, price in (("SPY", 470.0), ("QQQ", 400.0)):
        ts = np.concatenate([FIRST + day * DAY + np.arange(78) * STEP for day in range(days)])
        ts = np.delete(ts, [78 * day + hole for day in range(days) for hole in (30, 31)])
        close = price * np.exp(np.cumsum(random.normal(0, 1e-3, ts.size)))
        opened = np.concatenate([[price], close[:-1]])
        spread = np.abs(random.normal(0, 5e-4, (2, ts.size)))
        high, low = np.maximum(opened, close) * (1 + spread[0]), np.minimum(opened, close) * (1 - spread[1])
        columns = {"symbol": [symbol] * ts.size, "timestamp": pa.array(ts, pa.timestamp("ms", "UTC"))}
        parts.append(pa.table({**columns, "open": opened, "high": high, "low": low, "close": close}))
    made = pa.concat_tables(parts)
    return made.append_column("volume", pa.array(random.integers(100, 1000, made.num_rows).astype(float)))


def write(folder, **options):
    """Write both series into a file of ``folder``, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table(**options), folder / "bars.parquet")
    return folder / "bars.parquet"


def trace(candles, runs, *words, strategies=SWEEP):
    """Run ``highwater traces run`` on a file of candles, in this process."""
    return run("traces", "run", "--candles", candles, "--strategies", strategies, "--runs", runs, "--quiet", *words)
