"""Work that is to be interrupted. Reads jobs, and does each in a child of its own that stops first, so as to be traced.

A job is a line of JSON, ``[work, directory of runs, file for what is printed]``. It is answered by the child's process
id once that has stopped, and by its exit code (-9: killed) once it has ended.
"""

import ctypes
import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import duckdb  # noqa: F401  # or every child would
import fire  # noqa: F401
import numpy as np
from highwater.engine import shell
from highwater.io import cache, catalog_store
from highwater.io import publish as publishing
from highwater.io.archives import archive, months, restore
from highwater.io.candles import CandleSet
from highwater.io.catalog import sync
from highwater.io.catalog_store import rows
from highwater.io.housekeeping import remove
from highwater.io.labs.store import writing
from highwater.io.manifest import new_run_id
from highwater.io.publish import stage
from highwater.io.runs import list_runs
from highwater.io.schemas import ALERTS, paths, table, without_run
from highwater.io.searches import hold
from highwater.io.slices import Spans, build
from highwater.kernels.arrays import candles

ROW = {"call_id": "c", "mint": "m", "caller_name": "k", "chain": "solana", "created_at": "2024-01-01T00:00:00Z"}
SIX = 6
ALWAYS, MARK, MINUTE = "9999", "ab" * 32, 60_000
EACH = 25  # runs of one writer
PR_SET_PTRACER, ANYBODY = 0x59616D61, -1


def publish(root):
    columns = {**ROW, "alert_ts_ms": np.arange(3), "alert_id": None, "alert_price": None, "mcap_usd": None}
    with stage(root, "path-only") as staged:
        staged.write("alerts", table(ALERTS, columns))
        print(staged.publish().name)


def fail(root):
    with stage(root, "path-only") as staged:
        print(staged.fail(ValueError("bad alerts")).name)


def keep(root, run_id=""):
    """Do a search of six trials, or the rest of one: a block for each two, then publish."""
    with hold(root, run_id or new_run_id()) as kept, stage(root, "search", kept.run_id) as staged:
        kept.begin({"trials": SIX})
        done = [block.last for block in kept.blocks]
        for first in range(max(done, default=0), SIX, 2):
            kept.add(first, {"trial_id": np.arange(first, first + 2), "sum_ret_q": np.arange(2)})
            kept.keep()
        staged.write_file("trials.txt", str([block.last for block in kept.blocks]).encode(), "trials")
        print(staged.publish().name)


def cut(root, mark=MARK):
    """Build a slice of one token and ten candles beside the runs."""
    ts = np.arange(10) * MINUTE
    price = 1.0 + np.arange(10)
    found = CandleSet(
        ("A",), np.array([0, 10]), candles(ts, price, price, price, price, price), MINUTE, np.array([600_000]), (), ()
    )
    spans = Spans(("A",), *(np.array([n]) for n in (0, -1, 0, 600_000)))
    print(build(slices_of(root), found, spans, mark).path.name)


def origin():
    names = ("candles", "alerts", "windows", "entry", "fill_semantics", "code")
    numbers = ("calls", "interval_ms", "horizon_ms", "latency_ms", "max_entry_delay_ms")
    return cache.Origin(**dict.fromkeys(names, "x"), **dict.fromkeys(numbers, 1), multiples=("2.0",))


def measure(root, without=()):
    """Keep path metrics of no alert beside the runs, all columns but some."""
    metrics = without_run(paths()).empty_table()
    packed = cache.pack([metrics.drop_columns([*without])], origin())
    print(cache.keep(cache_of(root), origin(), packed).name)


def pack(root):
    for month, found in months(root, ALWAYS).items():
        print(archive(root, month, found, archives_of(root)))


def unpack(root):
    for path in sorted(path for path in archives_of(root).iterdir() if path.suffix == ".zst"):
        print(len(restore(root, path)[0]))


def prune(root):
    remove(root, list_runs(root)[0].path)


def fetch(root):
    """Keep two backtests of a lab more, each durably before it is told of."""
    with writing(root / "labs", "h:1", "lab") as out:
        for name in ("c", "d"):
            out.seen(name, b"{}", True)
            out.add(name, "runtime", name.encode() * 9000)
            out.commit()
            print(name, flush=True)


def look(root):
    for run in list_runs(root):
        print(run.status)


def publish_many(root):
    for _ in range(EACH):
        publish(root)


COMPLETED = "SELECT count(*) FROM catalog.runs WHERE status = 'completed'"


def sync_often(root):
    """Sync for as long as another process says, by a file, that it is at work."""
    while (root / "busy").exists():
        sync(root)


def read_often(root):
    """Read the catalog and print each number of runs in it, the last when others are done."""
    busy = True
    while busy:
        busy = (root / "busy").exists()
        print(rows(root, COMPLETED)[0][0])
        time.sleep(0.002)


def slices_of(root):
    return root / "slices"


def cache_of(root):
    return root / "cache"


def archives_of(root):
    return root / "archives"


ALONE = (publish, fail, keep, cut, measure, sync, pack, unpack, prune, fetch, look)
WORK = {work.__name__: work for work in (*ALONE, publish_many, sync_often, read_often)}


def main():
    found = publishing.code()  # asks git, which is another process
    publishing.code = lambda: found
    catalog_store._SAFE["threads"] = 1  # so that the nth call is the same one in every process
    for line in sys.stdin:
        name, root, said = json.loads(line)
        child = os.fork()
        if child == 0:
            interruptible(partial(WORK[name], Path(root)), Path(said))
        os.waitpid(child, os.WUNTRACED)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def interruptible(work, said):
    """Stop, then do the work as the command line does it, and leave with its exit code."""
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(ANYBODY), 0, 0, 0)
    for number, end in ((1, ".out"), (2, ".err")):
        os.dup2(os.open(said.with_suffix(end), os.O_WRONLY | os.O_CREAT), number)
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(shell.run(lambda: work() and None, [], version="0"))


if __name__ == "__main__":
    main()
