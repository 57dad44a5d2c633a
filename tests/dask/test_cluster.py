"""Searches on real Dask clusters: the digests of one process, whoever dies on the way."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import day_market
import distributed
import highwater.engine
import pytest
from distributed import Client, LocalCluster
from highwater.engine import kept
from highwater.engine.cluster import crew, spread, worker
from highwater.io.runs import find_run, read_manifest
from highwater.io.searches import Keeper, unfinished
from lone_crew import unseen
from small_market import HORIZON, program, run

ROOT = Path(__file__).parents[2]
HOURS = f"{HORIZON // 3_600_000}h"
SWEEP = ["sweep", "--trials", "3000", "--trail", "0.05:0.5", "--tp", "log:1.1:5", "--horizon", HOURS]
WAYS = {
    "tables": [*SWEEP, "--refine", "40", "--trades", "3"],
    "bars": ["sweep", "--trials", "600", "--ladder", "1.02:1.3@50%,1.1:2@30%", "--sl", "0.5:0.95", "--horizon", HOURS],
    "medians": [*SWEEP, "--medians", "all", "--holdout", "20%"],
    "surface": [
        *["surface", "--tp", "1.1:3:0.05", "--sl", "0.5:0.95:0.05", "--trail", "0.1:0.4:0.1", "--by", "caller"],
        *["--horizon", HOURS],
    ],
    "surface with medians": ["surface", "--tp", "1.1:3:0.1", "--sl", "0.5:0.95:0.1", "--medians", "--horizon", HOURS],
}


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return day_market.written(tmp_path_factory.mktemp("market"))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(spread, "ALERTS", 20)


def contents(run_of):
    """Return the digests of a run's config and artifacts."""
    found = read_manifest(run_of)
    return {a.path: a.content_sha256 for a in found.artifacts} | {"config": found.config_digest}


def done(words, market, runs, *more):
    found = run(*words, *market.flags, "--runs", runs, *more)
    assert 0 == found.code, found.err
    return find_run(runs, "latest").path, found.err


@pytest.fixture(scope="module")
def alone(market, tmp_path_factory):
    """Return what each way contains, done by one process."""
    return {
        name: contents(done(words, market, tmp_path_factory.mktemp("alone"), "--quiet")[0])
        for name, words in WAYS.items()
    }


@pytest.fixture(scope="module")
def cluster():
    """Return a cluster of a user's own."""
    with LocalCluster(
        2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50
    ) as made:
        yield made


@pytest.fixture(scope="module")
def client(cluster):
    with Client(cluster, set_as_default=False) as made:
        yield made


@pytest.mark.parametrize("way", WAYS)
def test_two_workers_find_what_one_process_finds(way, market, alone, tmp_path):
    path, told = done(WAYS[way], market, tmp_path, "--workers", "2")
    how = read_manifest(path).execution

    assert alone[way] == contents(path)
    assert 2 == how["workers"]
    assert how["bytes_moved"] > 0
    said = re.findall("^worker (tcp://127.0.0.1:[0-9]+): [0-9,]+ items, [0-9,]+ trades, [0-9,]+ a second$", told, re.M)
    assert 2 == len(set(said))


def test_one_worker_and_a_scheduler_of_others(market, alone, tmp_path, cluster):
    one, _ = done([*WAYS["tables"], "--engine", "dask"], market, tmp_path / "one", "--workers", "1")
    other, _ = done([*WAYS["tables"], "--engine", "tables"], market, tmp_path, "--scheduler", cluster.scheduler_address)

    assert alone["tables"] == contents(one) == contents(other)
    assert 1 == read_manifest(one).execution["workers"]
    assert 2 == len(cluster.scheduler.workers)


SETTINGS = {"trials": 3000, "trail": "0.05:0.5", "tp": "log:1.1:5", "horizon": HOURS, "refine": 40, "trades": 3}


def test_a_search_on_the_client_of_a_program(market, alone, tmp_path, client):
    found = highwater.engine.search(market.alerts, market.candles, client=client, runs=tmp_path, **SETTINGS)

    assert alone["tables"] == contents(found.path)
    assert "running" == client.status


@pytest.mark.parametrize("what", ["tally", "days"])
def test_a_worker_killed_in_the_middle_changes_nothing(market, alone, tmp_path, client, monkeypatch, what):
    killed, count = [], crew.Crew._count

    def counted(self, each, told):
        count(self, each, told)
        if each.item.what == what and not killed:
            at_work = next(h for h in self.hands)
            killed.append(self.client.run(os.getpid, workers=[at_work])[at_work])
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(crew.Crew, "_count", counted)
    found = highwater.engine.search(market.alerts, market.candles, client=client, runs=tmp_path, **SETTINGS)

    assert 1 == len(killed)
    assert alone["tables"] == contents(found.path)
    assert not Path(f"/proc/{killed[0]}").exists() or "Z" in Path(f"/proc/{killed[0]}/stat").read_text()


def test_a_slice_that_a_worker_does_not_have_is_sent_to_it(market, alone, tmp_path, monkeypatch):
    home = tmp_path / "cache" / "highwater"
    unseen(monkeypatch)
    home.mkdir(parents=True)
    (home / "kernels").symlink_to(worker.platformdirs.user_cache_path("highwater") / "kernels")
    options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    with (
        LocalCluster(1, env={"XDG_CACHE_HOME": str(home.parent)}, **options) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        found = highwater.engine.search(market.alerts, market.candles, client=client, runs=tmp_path, **SETTINGS)
    there = sorted(path.suffix for path in (home / "slices").iterdir())

    assert alone["tables"] == contents(found.path)
    assert [".arrow", ".json"] == there
    assert found.manifest.execution["bytes_moved"] > max(path.stat().st_size for path in tmp_path.rglob("*.arrow"))


@contextlib.contextmanager
def started(*words, **environment):
    """Hold a process of Dask's own commands; it is ended by its id."""
    command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
    process = subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def scheduling(folder):
    """Hold a scheduler without workers: its process and its address."""
    file = folder / "scheduler.json"
    words = "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file
    with started(*words) as process:
        for _ in range(300):
            if file.exists() and file.stat().st_size:
                break
            time.sleep(0.1)
        yield process, json.loads(file.read_text())["address"]


@pytest.fixture
def scheduler(tmp_path):
    with scheduling(tmp_path) as (_, address):
        yield address


def test_a_worker_of_another_version_is_given_nothing(market, tmp_path, scheduler):
    other = tmp_path / "other" / "highwater"
    for floor in ("kernels", "io", "engine"):
        shutil.copytree(ROOT / floor, other / floor, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "__init__.py", other)
    with (other / "kernels" / "stats.py").open("a") as file:
        file.write("# another\n")
    words = "dask_worker", scheduler, "--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"
    with started(*words, PYTHONPATH=str(other.parent)):
        wait_for(scheduler, 1)
        found = run(*WAYS["bars"], *market.flags, "--runs", tmp_path / "runs", "--scheduler", scheduler, "--quiet")

    first, second = found.err.strip().splitlines()
    assert 2 == found.code
    assert "is given nothing: its digest of kernels and engine is" in first
    assert "highwater: every worker is refused; install the same version of highwater on them as here" == second


def test_nobody_comes(market, tmp_path, scheduler, monkeypatch):
    monkeypatch.setattr(crew, "PATIENCE_S", 1.0)
    found = run(*WAYS["bars"], *market.flags, "--runs", tmp_path / "runs", "--scheduler", scheduler, "--quiet")

    assert 75 == found.code
    assert "no worker came in 1 s" in found.err


def test_a_scheduler_that_dies_in_the_middle_is_told_of_and_the_search_goes_on_without_it(
    market, alone, tmp_path, monkeypatch
):
    killed = []
    words = "dask_worker", "--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"
    with scheduling(tmp_path) as (process, address), started(*words, address):
        wait_for(address, 1)
        wait = distributed.wait

        def wait_for_it(futures, **options):
            if unfinished(tmp_path) and not killed:
                killed.append(process.kill())
            return wait(futures, **options)

        monkeypatch.setattr(spread, "ALERTS", 10**6)  # so that it is cut by trials
        monkeypatch.setattr(kept, "FILE_S", 0.0)
        monkeypatch.setattr(distributed, "wait", wait_for_it)
        found = run(*WAYS["tables"], *market.flags, "--runs", tmp_path, "--scheduler", address, "--quiet")
    (left,) = unfinished(tmp_path)
    resumed = run("sweep", "--resume", left.run_id, "--runs", tmp_path)

    assert 74 == found.code
    assert 1 == found.err.count("\n")
    assert f"the scheduler {address} does not answer any more; start it again, then repeat" in found.err
    assert f"go on with: highwater sweep --resume {left.run_id}" in found.err
    assert 0 == resumed.code, resumed.err
    assert alone["tables"] == contents(find_run(tmp_path, "latest").path)


def wait_for(scheduler, count):
    with Client(scheduler, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=30)


def test_a_scheduler_that_is_not_there_is_said_soon(market, tmp_path):
    began = time.monotonic()
    found = run(*WAYS["bars"], *market.flags, "--runs", tmp_path, "--scheduler", "tcp://127.0.0.1:9")

    assert 74 == found.code
    assert [
        "highwater: no scheduler at tcp://127.0.0.1:9: [Errno 111] Connection refused; start one (dask scheduler), "
        "or use --workers"
    ] == found.err.splitlines()
    assert time.monotonic() - began < 5


def test_a_search_that_was_interrupted_goes_on_with_workers(market, alone, tmp_path, monkeypatch):
    keep = Keeper.keep

    def stop(self):
        monkeypatch.setattr(Keeper, "keep", keep)
        keep(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(spread, "ALERTS", 10**6)  # so that it is cut by trials
    monkeypatch.setattr(kept, "FILE_S", 0.0)
    monkeypatch.setattr(Keeper, "keep", stop)
    words = [*WAYS["tables"], *market.flags, "--runs", tmp_path, "--workers", "2"]
    stopped = run(*words)
    (left,) = unfinished(tmp_path)
    resumed = run("sweep", "--resume", left.run_id, "--runs", tmp_path, "--engine", "dask", "--workers", "1")
    found = find_run(tmp_path, "latest").path

    assert 130 == stopped.code
    assert "highwater: interrupted; stopped at trial " in stopped.err
    assert 0 == resumed.code, resumed.err
    assert alone["tables"] == contents(found)
    assert 0 < read_manifest(found).execution["resumed_at"] < 3000


def test_ctrl_c_ends_all_workers_without_a_word_of_theirs(market, tmp_path):
    words = [*WAYS["bars"], "--trials", "3000000", *market.flags, "--runs", tmp_path, "--workers", "2", "--quiet"]
    words.remove("600"), words.remove("--trials")
    process = program(words, tmp_path, start_new_session=True)
    while len(children(process.pid)) < 3:  # the one at work, and two workers
        time.sleep(0.05)
    time.sleep(1.0)
    pids = children(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert 130 == process.returncode
    assert ["highwater: interrupted"] == err.splitlines()
    assert gone(pids)


def children(pid):
    """Return the ids of a process's children and of theirs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found += [int(path.parent.name), *children(int(path.parent.name))]
    return found


def gone(pids):
    """Return whether processes end within ten seconds."""

    def alive(pid):
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        return False

    for _ in range(100):
        if not any(map(alive, pids)):
            return True
        time.sleep(0.1)
    return False


def test_a_worker_of_ours_that_is_killed_is_replaced(market, alone, tmp_path, monkeypatch):
    killed, count, seen = [], crew.Crew._count, set()

    def counted(self, each, told):
        count(self, each, told)
        seen.update(self.hands)
        if not killed:
            at_work = next(iter(self.hands))
            killed.append(self.client.run(os.getpid, workers=[at_work])[at_work])
            os.kill(killed[0], signal.SIGKILL)
        elif len(seen) < 3:
            time.sleep(0.2)

    monkeypatch.setattr(crew.Crew, "_count", counted)
    path, _ = done(WAYS["tables"], market, tmp_path, "--workers", "2")

    assert alone["tables"] == contents(path)
    assert 3 == len(seen)
    assert [] == [pid for pid in children(os.getpid()) if b"cluster.processes" in commanded(pid)]


def commanded(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def test_workers_that_cannot_start_are_one_line(market, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "distributed.py").write_text("raise SystemExit(3)")
    found = run(*WAYS["bars"], *market.flags, "--runs", tmp_path / "runs", "--workers", "2", "--quiet")

    assert 74 == found.code
    assert ["highwater: workers do not start: one ended as it began, with code 3; ask for fewer --workers"] == (
        found.err.splitlines()
    )
