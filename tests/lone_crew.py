"""A crew of nobody but this process, and a search it is at: what workers do, without any."""

import dataclasses
import json

import pyarrow as pa
from highwater.engine.cluster import job, worker
from highwater.engine.cluster.job import job_of
from highwater.engine.space import Space, canonical
from highwater.engine.sweep import Choices, plan
from highwater.engine.tallies import ground
from highwater.engine.values import Range

TRIALS = 90
SPACE = Space({"tp": Range(1.1, 3.0, None, True), "sl": Range(0.5, 0.95), "trail": Range(0.1, 0.4)})


class Alone:
    """A crew of nobody but this process; ``done`` holds what it did."""

    def __init__(self, job, workers=3):
        self.job, self.workers, self.done = job, workers, []
        worker.take(job.digest, job.message, 1)

    def each(self, items, advance):
        trades = 0
        for item in items:
            self.done.append(item)
            trades += item.trades
            advance(trades)
            yield worker.do(self.job.digest, item.what, item.given)["found"]


def searching(ready, engine="tables", medians="top"):
    """Return the plan of a search, its ground, and the same ground with a crew."""
    work = plan(SPACE, TRIALS, 3, "avg_return_bps", (), ready, 512 << 20, 10**9, Choices(engine, medians))
    there = ground(ready, work.engine, work.memory, 1)
    config = {"search": {"space": canonical(SPACE), "trials": TRIALS, "seed": "3"}, "medians": medians}
    return work, there, dataclasses.replace(there, crew=Alone(job_of(there, config, work)))


def unseen(monkeypatch):
    """Have every search name its slice by a path that no worker sees, as from another machine."""
    made = job.job_of

    def elsewhere(*given):
        found = made(*given)
        spec = job.spec_of(found.message)
        spec["slice"]["path"] += ".not"
        return dataclasses.replace(found, message=_rewritten(found.message, spec))

    monkeypatch.setattr(job, "job_of", elsewhere)


def _rewritten(message, spec):
    """Return a message whose spec is another."""
    table = pa.ipc.open_stream(message).read_all().replace_schema_metadata({"job": json.dumps(spec).encode()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
