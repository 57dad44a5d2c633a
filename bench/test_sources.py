"""How long from 5 million candles in ClickHouse to a verified slice, and what does it take of memory of our own?

Needs chdb: ``.venv/sources/bin/python -m pytest bench/test_sources.py --benchmark-only`` after ``make test-sources``.

Each way is a process of its own, whose memory that no file backs (RssAnon) is looked at from here every few
milliseconds. A server's process is not ours. The engine of chdb is in ours: what it takes is what the process takes
that asks it the same questions and throws the answers away; what is more than that is our own.
"""

import json
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from highwater.bench.conftest import Times
from highwater.io.candles import CandleOptions
from highwater.io.slices import Spans, verify
from highwater.io.sources import clickhouse_export
from highwater.io.sources.clickhouse import Table, connect, table_of
from highwater.io.sources.clickhouse_export import Bulk, covered, export, opened

pytest.importorskip("chdb")
TOKENS, CANDLES, START, MINUTE = 1_737, 2_880, 1_735_689_600_000, 60_000
NAME = "sourcesourcesourcesourcesourcesou{}"  # 44 characters, as the addresses of a chain have
ROUNDS = 3
_ROWS = f"concat('{NAME.format('')}', toString(10000000000 + intDiv(number, {CANDLES}))) AS token_address"
_WHEN = f"toDateTime({START // 1000} + 60 * (number % {CANDLES})) AS timestamp, toUInt32(60) AS interval_seconds"
_PRICES = "1 + rand(1) / 1e10 AS open, open + 2 AS high, open / 2 AS low, open + 1 AS close, toFloat64(3) AS volume"
MAKE = (
    "CREATE TABLE mkt.bars ENGINE = MergeTree PARTITION BY tuple() ORDER BY (token_address, chain, timestamp) "
    f"AS SELECT {_ROWS}, 'solana' AS chain, {_WHEN}, {_PRICES} FROM numbers({TOKENS * CANDLES})"
)


@contextmanager
def server(folder: Path):
    """Yield the table on Debian's server, a process of its own."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "sources"))
    import engines
    import processes

    http, tcp, https = (processes.free_port() for _ in range(3))
    engines.write_config(folder, http, tcp, https)
    process = engines.start(folder)
    try:
        ping = partial(urllib.request.urlopen, f"http://127.0.0.1:{http}/ping", timeout=5)
        processes.until(lambda: ping().read(), process)
        for statement in ("CREATE DATABASE mkt", MAKE):
            engines.post(http, statement)
        yield Table("mkt", "bars", "127.0.0.1", http)
    finally:
        processes.stop(process)


@contextmanager
def embedded(folder: Path):
    """Yield the table of a folder of chdb, which a process made that has ended."""
    code = f"import clickhouse_connect as c; k = c.get_client(interface='chdb', path={str(folder)!r}); "
    made = f"{code} k.command('CREATE DATABASE mkt'); k.command({MAKE!r})"
    folder.mkdir()
    subprocess.run([sys.executable, "-c", made], check=True)
    yield Table("mkt", "bars", folder=folder)


@contextmanager
def silent(total):
    yield lambda done: None


def to_slice(table: Table, folder: Path) -> list[str]:
    """Make the verified slice that an alert on every token needs; return the questions for candles that it took."""
    asked: list[str] = []
    tokens = tuple(NAME.format(10_000_000_000 + i) for i in range(TOKENS))
    at = np.full(TOKENS, START)
    spans = Spans(tokens, np.arange(TOKENS), at - MINUTE, at, at + CANDLES * MINUTE)
    source = opened(table, tokens, CandleOptions(), None, Bulk())
    rows = source.connection.rows
    noting = source.connection._replace(rows=lambda sql: asked.append(sql) or rows(sql))
    source = clickhouse_export.Source(source.table, noting, source.shape, source.options, source.bulk)
    made = export(source, spans, covered(source, spans), "ab" * 32, folder, silent)
    verify(made)
    assert made.facts.rows == TOKENS * CANDLES
    shutil.rmtree(folder)
    return asked


def main(what: str, url: str, place: str) -> None:
    """Do one way a few times, print the seconds of each, by the clock and of the processor; questions lie in a file."""
    table, questions, took = table_of(url), Path(place) / "questions.json", []
    for _ in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        if what == "slice":
            questions.write_text(json.dumps(to_slice(table, Path(place) / "slices")))
        else:
            rows = connect(table).rows
            for question in json.loads(questions.read_text()):
                rows(question)
        took.append((time.perf_counter() - wall, time.process_time() - cpu))
    print(json.dumps(took))


def measured(what: str, table: Table, place: Path) -> tuple[Times, float]:
    """Return the times of a way and the most MiB that its process took."""
    words = f"from highwater.bench.test_sources import main; main({what!r}, {str(table)!r}, {str(place)!r})"
    process = subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE, text=True)
    most = 0
    while process.poll() is None:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                most = max(most, int(line.split()[1]))
        time.sleep(0.005)
    out, _ = process.communicate()
    assert process.returncode == 0
    walls, cpus = zip(*json.loads(out), strict=True)
    return Times(min(walls), statistics.median(walls), min(cpus)), most / 1024


def test_clickhouse_to_slice(bench, tmp_path):
    found: dict[str, tuple[Times, float]] = {}

    def measure():
        with server(tmp_path / "server") as table:
            found["server"] = measured("slice", table, tmp_path)
        with embedded(tmp_path / "chdb") as table:
            found["chdb"] = measured("slice", table, tmp_path)
            found["thrown away"] = measured("nothing", table, tmp_path)

    bench.benchmark.pedantic(measure, rounds=1)
    own = found["chdb"][1] - found["thrown away"][1]
    more = {
        "server": f"{TOKENS * CANDLES:,} candles, all of it our own",
        "chdb": f"{own:.0f} MiB of it our own",
        "thrown away": "what chdb takes",
    }
    for way, (took, most) in found.items():
        bench.say(way, took, f"at most {most:.0f} MiB; {more[way]}")

    assert max(found["server"][1], own) < 600
