"""How long does the REST API take on 10,000 runs: a page of them, and 1,000 requests of 8 clients at once?"""

import contextlib
import http.client
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from highwater.bench.conftest import Times
from highwater.bench.many_runs import RUNS, TABLES, made
from highwater.io.catalog import sync
from highwater.io.runs import list_runs
from highwater.io.schemas import ALERTS

ROWS, CLIENTS, REQUESTS = 1000, 8, 1000


@contextlib.contextmanager
def serving(root):
    """Yield the number of the process that serves runs, and its port."""
    command = [sys.executable, "-m", "highwater", "serve", "--runs", str(root), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = int(re.search(r":([0-9]+)/docs", process.stdout.readline())[1])
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield int(children[0]) if children else process.pid, port  # the command itself watches over its work
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    root = made(folder, [("alerts", ALERTS, ROWS), *((kind, schema, ROWS) for kind, schema, _ in TABLES[:2])])
    sync(root)
    yield root
    shutil.rmtree(folder)


def memory(process):
    """Return the bytes that a process holds."""
    return 1024 * int(re.search(r"VmRSS:\s+([0-9]+)", Path(f"/proc/{process}/status").read_text())[1])


def processor(process):
    """Return the processor seconds that a process spent."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / 100


def asked(port, paths):
    """Return the seconds of each request, one after the other; every one must be answered."""
    took, link = [], http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for path in paths:
        began = time.perf_counter()
        link.request("GET", path)
        response = link.getresponse()
        body = response.read()
        took.append(time.perf_counter() - began)
        assert response.status == 200, (path, body[:300])
    link.close()
    return took


def together(port, paths):
    """Return the seconds of the requests of all clients, ascending."""
    found, threads = [], []
    for i in range(CLIENTS):
        threads.append(threading.Thread(target=lambda i=i: found.extend(asked(port, paths[i::CLIENTS]))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(paths)
    return sorted(found)


def times(took, spent):
    return Times(took[0], took[len(took) // 2], spent / len(took))


def test_api_on_10000_runs(bench, runs, benchmark):
    some = [entry.run_id for entry in list_runs(runs)[:: RUNS // 50]]
    paths = []
    for i in range(REQUESTS):
        run = some[i % len(some)]
        each = (
            f"/api/trades?run_id={run}",
            f"/api/runs?limit=50&offset={i}",
            f"/api/runs/{run}",
            f"/api/equity?run_id={run}",
        )
        paths.append(each[i % 4])
    with serving(runs) as (process, port):
        asked(port, ["/api/runs?limit=100"] * 20)
        before = processor(process)
        page = sorted(asked(port, ["/api/runs?limit=100"] * 100))
        bench.say("a page of 100 runs", times(page, processor(process) - before), f"p95 {1e3 * page[94]:.1f} ms")
        together(port, paths)
        held, before = memory(process), processor(process)
        took = benchmark.pedantic(lambda: together(port, paths), rounds=1)
        spent, grown = processor(process) - before, (memory(process) - held) / 2**20
        figure = f"p95 {1e3 * took[REQUESTS * 95 // 100]:.1f} ms, no error, {grown:+.1f} MiB held"
        bench.say(f"{REQUESTS:,} requests of {CLIENTS} clients", times(took, spent), figure)
