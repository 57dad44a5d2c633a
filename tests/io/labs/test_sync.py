import json
import os
import signal
import subprocess
import sys

import pytest
from haas_server import LAB, connected, environment, haas
from highwater.io.errors import BusyError, DataError, StoreError
from highwater.io.labs import made_up
from highwater.io.labs.made_up_server import EMAIL, PASSWORD
from highwater.io.labs.store import Key, each, lab_records, raw, writing
from highwater.io.labs.sync import Event, sync
from highwater.io.labs.wire import unwrapped

RUNTIME, PAGE = "GET_BACKTEST_RUNTIME", "GET_BACKTEST_RESULT_PAGE"


def fetch(client, store, **options):
    return sync(client, store, LAB, **options)


def kept(client, store):
    return lab_records(store, client.access.server, LAB)


def test_a_lab_comes_whole(server, client, tmp_path):
    events = []
    done = fetch(client, tmp_path, page=10, on_event=events.append)
    found = kept(client, tmp_path)

    assert (25, 0, 25, True, {}) == (done.found, done.kept, done.fetched, done.complete, done.failed)
    assert server.labs[0].ids() == [one.key.backtest for one in found.backtests]
    assert made_up.details(server.labs[0]) == found.details
    assert [Event("page", LAB, n, 25) for n in (10, 20, 25)] == [one for one in events if one.kind == "page"]
    assert [Event("stored", LAB, 25, 25), Event("done", LAB, 25, 25)] == events[-2:]
    for i, (key, parts) in enumerate(each(tmp_path, client.access.server, LAB)):
        assert made_up.runtime(server.labs[0], i) == unwrapped(parts["runtime"])
        assert made_up.item(server.labs[0], i) == json.loads(parts["summary"])
        assert key == found.backtests[i].key


def test_what_is_kept_is_not_fetched_twice(server, client, tmp_path):
    fetch(client, tmp_path)
    before = len(server.asked)
    done = fetch(client, tmp_path)

    assert ["GET_LAB_DETAILS"] == [name for name, _ in server.asked[before:]]
    assert (25, 25, 0, True) == (done.found, done.kept, done.fetched, done.complete)


def test_charts_and_logs_come_where_asked_for(server, client, tmp_path):
    server.faults["GET_BACKTEST_LOG"] = [504] * 4
    done = fetch(client, tmp_path, parts=("runtime", "chart", "log"), workers=1)
    found = raw(tmp_path, Key(client.access.server, LAB, server.labs[0].ids()[1]))

    assert {"summary", "runtime", "chart", "log"} == found.keys()
    assert {server.labs[0].ids()[0]} == done.failed.keys()
    assert "log: " in done.failed[server.labs[0].ids()[0]]
    assert (1, {}) == (fetch(client, tmp_path, parts=("log",)).fetched, fetch(client, tmp_path, parts=("log",)).failed)


def test_a_running_lab_grows(server, client, tmp_path):
    server.done[LAB], server.step = 4, 8
    first = fetch(client, tmp_path)
    second = fetch(client, tmp_path)
    while fetch(client, tmp_path).running:
        pass
    found = kept(client, tmp_path)

    assert (True, 25, 12) == (first.running, first.found, first.fetched)
    assert (True, 25, 8) == (second.running, second.found, second.fetched)
    assert found.complete and all(one.finished for one in found.backtests)
    assert 25 == server.count(RUNTIME)


def test_one_that_the_server_does_not_have_stops_no_other(server, client, tmp_path):
    server.faults[RUNTIME] = [None, "refused"]
    done = fetch(client, tmp_path, workers=1)

    assert (24, False) == (done.fetched, done.complete)
    assert [server.labs[0].ids()[1]] == list(done.failed) == [o.key.backtest for o in kept(client, tmp_path).missing]
    assert (1, True) == (fetch(client, tmp_path).fetched, kept(client, tmp_path).complete)


def test_a_server_that_is_gone_ends_the_fetch_and_what_came_stays(server, client, tmp_path):
    server.faults[RUNTIME] = [None] * 6 + [503] * 1000
    with pytest.raises(StoreError, match="HTTP 503"):
        fetch(client, tmp_path, workers=1)

    assert 6 == sum("runtime" in one.parts for one in kept(client, tmp_path).backtests)
    server.faults.clear()
    assert (19, True) == (fetch(client, tmp_path).fetched, kept(client, tmp_path).complete)
    assert 25 == len({fields["backtestid"] for name, fields in server.asked if name == RUNTIME})


@pytest.mark.parametrize("fault", [500, "loop", "refused"])
def test_a_list_that_was_not_read_to_its_end_is_not_complete(server, client, tmp_path, fault):
    server.faults[PAGE] = [None, *[fault] * 4]
    with pytest.raises((StoreError, DataError)):
        fetch(client, tmp_path, page=10)

    found = kept(client, tmp_path)
    assert (False, False) == (found.listed, found.complete)
    assert len(found.backtests) in (10, 20)
    server.faults.clear()
    assert fetch(client, tmp_path, page=10).complete


def test_a_limit_is_no_complete_list(client, tmp_path):
    done = fetch(client, tmp_path, page=10, most=10)

    assert (10, 10, False) == (done.found, done.fetched, done.complete)
    assert fetch(client, tmp_path, page=10).complete


def test_two_fetches_of_one_lab_are_refused(client, tmp_path):
    with writing(tmp_path, client.access.server, LAB), pytest.raises(BusyError):
        fetch(client, tmp_path)


def test_a_fetch_that_is_interrupted_keeps_what_came(server, client, tmp_path):
    def stop(event):
        if event.kind == "page" and event.done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(client, tmp_path, page=10, on_event=stop)

    assert 20 == len(kept(client, tmp_path).backtests)


CHILD = """
import sys
from pathlib import Path
from highwater.io.labs.access import read_access, read_variables
from highwater.io.labs.client import Client
from highwater.io.labs import sync as syncing
import os
syncing.COMMIT_S = 0.1
with Client(read_access(read_variables(os.environ)), rate=500) as client:
    tell = lambda event: print(event.kind, event.done, flush=True)
    syncing.sync(client, Path(sys.argv[1]), sys.argv[2], on_event=tell)
"""


def test_a_fetch_of_a_thousand_that_is_killed_loses_nothing_and_goes_on(tmp_path):
    with haas(1000) as server:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), LAB],
            env={**os.environ, **environment(server)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in child.stdout:
            kind, done = line.split()
            if kind == "stored" and int(done) >= 300:
                child.send_signal(signal.SIGKILL)
                break
        child.wait()
        child.stdout.close()
        with connected(server) as client:
            before = kept(client, tmp_path)
            stored = [one.key.backtest for one in before.backtests if "runtime" in one.parts]
            asked = server.count(RUNTIME)
            done = fetch(client, tmp_path)
            after = kept(client, tmp_path)

        assert int(done.kept) == len(stored) >= 300 and asked < 1000
        assert (1000, 1000 - len(stored), True) == (done.found, done.fetched, after.complete)
        assert 1000 - len(stored) == server.count(RUNTIME) - asked
        for i, (_, parts) in enumerate(each(tmp_path, client.access.server, LAB)):
            if i % 50 == 0:
                assert made_up.runtime(server.labs[0], i) == unwrapped(parts["runtime"])
    held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert not any(secret.encode() in held for secret in (PASSWORD, EMAIL))
