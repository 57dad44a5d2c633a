"""Processes at work on one directory of runs at the same time."""

import time
from itertools import pairwise

import pytest
from crash.strace import Victims
from crash.victims import COMPLETED, EACH, publish
from highwater.io.catalog import sync
from highwater.io.catalog_store import rows
from highwater.io.runs import list_runs, verify

WRITERS = 4


@pytest.fixture
def many(tmp_path):
    made = [Victims(tmp_path / f"{i}") for i in range(WRITERS + 2)]
    yield made
    for each in made:
        each.close()


def test_four_writers_a_sync_and_a_reader_at_once(tmp_path, many):  # F065
    root = tmp_path / "runs"
    publish(root)
    sync(root)
    (root / "busy").touch()
    *writers, syncing, reading = many
    for each, work in zip(many, ["publish_many"] * WRITERS + ["sync_often", "read_often"], strict=True):
        each.prepare(work, root)
    for each in reversed(many):  # who reads is there before there is much to read
        each.go()
    ends = [each.end() for each in writers]
    until = time.monotonic() + 60
    while rows(root, COMPLETED) != [(1 + WRITERS * EACH,)] and time.monotonic() < until:
        time.sleep(0.01)
    (root / "busy").unlink()
    ends += [each.end() for each in (syncing, reading)]
    counts = [int(line) for line in ends[-1].out.split()]
    found = list_runs(root)

    assert [(0, "")] * len(many) == [(end.code, end.err) for end in ends]
    assert [] == [pair for pair in pairwise(counts) if pair[0] > pair[1]]
    assert counts[0] < counts[-1]
    assert [("completed", [])] * (1 + WRITERS * EACH) == [(run.status, verify(run.path)) for run in found]
    assert [] == list((root / ".staging").iterdir())
    assert "" == sync(root).damage
    assert [(len(found),)] == rows(root, COMPLETED)
    assert 3 == len(list((root / ".catalog").iterdir()))
