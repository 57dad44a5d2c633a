"""How long from 5 million candles in ClickHouse to a verified slice, and what does it take of memory?

Needs chdb: ``.venv/sources/bin/python -m pytest bench/test_sources.py --benchmark-only`` after ``make test-sources``.
"""

import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from highwater.bench.test_slices import own_memory
from highwater.io.candles import CandleOptions
from highwater.io.slices import Spans, verify
from highwater.io.sources.clickhouse import Table
from highwater.io.sources.clickhouse_export import Bulk, covered, export, opened

pytest.importorskip("chdb")
TOKENS, CANDLES, START, MINUTE = 1_737, 2_880, 1_735_689_600_000, 60_000
_PRICES = "1 + rand(1) / 1e10 AS open, open + 2 AS high, open / 2 AS low, open + 1 AS close, 3. AS volume"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Return a table of 5 million one-minute candles in the shape of the wild."""
    import clickhouse_connect

    folder = tmp_path_factory.mktemp("chdb")
    client = clickhouse_connect.get_client(interface="chdb", path=str(folder))
    client.command("CREATE DATABASE mkt")
    rows = f"concat('token', leftPad(toString(intDiv(number, {CANDLES})), 39, '0')) AS token_address, 'solana' AS chain"
    when = (
        f"toDateTime({START // 1000} + 60 * (number % {CANDLES}), 'UTC') AS timestamp, toUInt32(60) AS interval_seconds"
    )
    client.command(
        f"CREATE TABLE mkt.bars ENGINE = MergeTree ORDER BY (token_address, chain, timestamp) "
        f"AS SELECT {rows}, {when}, {_PRICES} FROM numbers({TOKENS * CANDLES})"
    )
    yield Table("mkt", "bars", folder=folder)
    shutil.rmtree(folder)


@contextmanager
def silent(total):
    yield lambda done: None


def to_slice(table: Table, folder: Path) -> int:
    """Return the candles of the slice that an alert on every token needs: asked for, judged, written, and verified."""
    tokens = tuple(f"token{i:039}" for i in range(TOKENS))
    asked = np.full(TOKENS, START)
    spans = Spans(tokens, np.arange(TOKENS), asked - MINUTE, asked, asked + CANDLES * MINUTE)
    source = opened(table, tokens, CandleOptions(), None, Bulk())
    made = export(source, spans, covered(source, spans), "ab" * 32, folder, silent)
    verify(made)
    rows = made.facts.rows
    shutil.rmtree(folder)
    return rows


def test_clickhouse_to_slice(bench, table, tmp_path):
    most, done = [own_memory()], threading.Event()

    def watch():
        while not done.wait(0.01):
            most[0] = max(most[0], own_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        times = bench.compare(
            {"chdb to a verified slice": lambda: to_slice(table, tmp_path / "s")}, rounds=3, cores=None
        )
    finally:
        done.set()
        watcher.join()
    for way, took in times.items():
        bench.say(
            way,
            took,
            f"{TOKENS * CANDLES:,} candles; at most {most[0] / 1024:.0f} MiB of our own and the engine's",
        )
