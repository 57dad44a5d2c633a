"""How much memory of its own does a command need, on a slice three times a limit and on a million alerts?

Pages of a mapped slice are the system's: it takes them back where memory runs short. Own memory is what it cannot take.
"""

import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from highwater.bench.conftest import Times, linux, spent
from highwater.bench.market import START, STEP, market

MIB = 1 << 20
LIMIT = 640 * MIB
GRID = ("--tp", "1.1:3:0.1", "--sl", "0.5:0.95:0.05", "--horizon", "2h")
PRICES = ("open", "high", "low", "close", "volume")
CANDLES = pa.schema({"mint": pa.string(), "timestamp": pa.int64(), **dict.fromkeys(PRICES, pa.float64())})


def written(folder: Path, tokens: int, length: int, alerts: int) -> tuple[str, ...]:
    """Write a market, streamed, minute by minute with all tokens interleaved; return the words that name it."""
    made = [part.reshape(1_000, length) for part in market(1_000, length).candles]
    names = pa.array([f"Token{i:07}{'x' * 32}" for i in range(tokens)])
    with pq.ParquetWriter(folder / "candles.parquet", CANDLES, compression="zstd") as out:
        some = max(1, (1 << 20) // tokens)
        for first in range(0, length, some):
            at, token = np.meshgrid(np.arange(first, min(length, first + some)), np.arange(tokens), indexing="ij")
            where = token.ravel() % 1_000, at.ravel()
            columns = [
                names.take(pa.array(token.ravel())),
                START + STEP * where[1],
                *(part[where] for part in made[1:]),
            ]
            out.write_table(pa.table(columns, schema=CANDLES))
    rng = np.random.Generator(np.random.PCG64(5))
    called = {
        "mint": names.take(pa.array(np.arange(alerts) % tokens)),
        "alert_ts_ms": START + STEP * rng.integers(0, length - 130, alerts),
        "caller_name": pa.array([f"caller{i:03}" for i in range(50)]).take(pa.array(rng.integers(0, 50, alerts))),
    }
    pq.write_table(pa.table(called), folder / "alerts.parquet")
    return ("--candles", str(folder / "candles.parquet"), "--alerts", str(folder / "alerts.parquet"))


def memory(process: int) -> dict[str, int]:
    """Return the bytes that a process and its children hold, in all and of their own; the largest of them."""
    found = {"VmRSS": 0, "RssAnon": 0}
    for each in (process, *map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())):
        for line in Path(f"/proc/{each}/status").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in found:
                found[name] = max(found[name], 1024 * int(rest.split()[0]))
    return found


def ran(words: tuple[str, ...], folder: Path, limit: int | None = None) -> tuple[Times, dict[str, int]]:
    """Run a command, its own memory limited to ``limit`` bytes; return its time and the most memory it held."""

    command = [sys.executable, "-m", "highwater", *words, "--runs", str(folder / "runs"), "--quiet"]
    # Arrow's own allocator reserves a gigabyte at once, which a limit would count.
    variables = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"} if limit else os.environ
    began, before, peak = time.perf_counter(), spent(), {"VmRSS": 0, "RssAnon": 0}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables)
    if limit is not None:
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (limit, limit))

    def look():
        while process.poll() is None:
            try:
                now = memory(process.pid)
            except OSError:  # it has just ended
                continue
            peak.update({name: max(peak[name], size) for name, size in now.items()})
            time.sleep(0.01)

    watcher = threading.Thread(target=look)
    watcher.start()
    out = process.communicate()[0]
    watcher.join()
    assert process.returncode == 0, out[-2000:]
    took = time.perf_counter() - began
    return Times(took, took, spent() - before), peak


def said(took: Times, peak: dict[str, int], of: str) -> str:
    return f"{of}: own memory {peak['RssAnon'] / MIB:,.0f} MiB, with mapped pages {peak['VmRSS'] / MIB:,.0f} MiB"


@linux
def test_memory_of_a_slice_of_three_times_a_limit(bench, benchmark, tmp_path):
    rows = 3 * LIMIT // 48
    tokens = rows // 1_440 + 1
    words = written(tmp_path, tokens, 1_440, 0)
    # An alert on every token, at its beginning: the slice has all candles.
    ways = {
        "baseline": ("baseline", "--horizon", "24h"),
        "strategy": ("strategy", "--tp", "2", "--sl", "0.6", "--horizon", "24h"),
        "surface": ("surface", *GRID[:4], "--horizon", "24h", "--mem", "256M"),
    }
    names = pa.array([f"Token{i:07}{'x' * 32}" for i in range(tokens)])
    pq.write_table(pa.table({"mint": names, "alert_ts_ms": np.full(tokens, START)}), tmp_path / "alerts.parquet")
    found = {name: ran((*way, *words), tmp_path, LIMIT) for name, way in ways.items()}
    (piece,) = (tmp_path / "runs" / ".slices").glob("*.arrow")
    assert piece.stat().st_size >= 3 * LIMIT
    for name, (took, peak) in found.items():
        of = f"slice of {piece.stat().st_size / MIB:,.0f} MiB, limit {LIMIT / MIB:,.0f} MiB"
        bench.say(name, took, said(took, peak, of))
    benchmark.pedantic(lambda: None)
    shutil.rmtree(tmp_path)


@linux
def test_memory_of_a_surface_over_a_million_alerts(bench, benchmark, tmp_path):
    words = written(tmp_path, 4_000, 1_440, 1_000_000)
    took, peak = ran(("surface", *GRID, *words), tmp_path)
    bench.say("surface", took, said(took, peak, "1,000,000 alerts"))
    benchmark.pedantic(lambda: None)
    shutil.rmtree(tmp_path)
    assert peak["VmRSS"] < 2 << 30
