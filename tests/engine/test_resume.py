"""Searches that are stopped, however, and go on: they end as if they had never been stopped."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import small_market
from highwater.engine import kept
from highwater.engine import sweep_run as work
from highwater.io.errors import StoreError
from highwater.io.runs import find_run, list_runs, read_manifest, verify
from highwater.io.searches import Keeper, hold, unfinished
from small_market import HORIZON, leftovers, run, tables

TRIALS = 600
SWEEP = ["sweep", "--trials", TRIALS, "--horizon", f"{HORIZON // 3_600_000}h", "--quiet"]
WAYS = {
    "bars": ["--engine", "bars", "--mem", "70K", "--ladder", "1.02:1.3@50%,1.1:2@30%", "--sl", "0.5:0.95"],
    "tables": ["--engine", "tables", "--mem", "16M", "--trail", "0.05:0.5", "--time-stop", "5m:12h"],
    "medians": ["--engine", "tables", "--mem", "16M", "--medians", "all", "--trades", "3", "--where", "win_rate>=0.1"],
}


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return small_market.write(tmp_path_factory.mktemp("market"))


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def each_block(monkeypatch):
    """Keep every block, and take at most 90 trials at a time."""
    within = kept._within
    monkeypatch.setattr(kept, "FILE_S", 0.0)
    monkeypatch.setattr(kept, "_within", lambda plan, size: min(90, within(plan, size)))


def words(market, runs, way="bars"):
    return [*SWEEP, *market.flags, "--runs", runs, *WAYS[way]]


def contents(run_of):
    found = read_manifest(run_of.path)
    return {a.path: a.content_sha256 for a in found.artifacts} | {"config": found.config_digest}


@pytest.fixture(scope="module", params=WAYS)
def whole(request, market, tmp_path_factory):
    """Return a way, and what a search done in that way at one go contains."""
    runs = tmp_path_factory.mktemp("whole")
    assert 0 == run(*words(market, runs, request.param)).code
    return request.param, contents(find_run(runs, "latest"))


@contextlib.contextmanager
def stopping(at, error=KeyboardInterrupt):
    """Let a search stop at its call number ``at`` of the progress."""
    usual, calls = work.progress, iter(range(1, 10**6))

    @contextlib.contextmanager
    def progress(*_):
        def advance(_):
            if next(calls) == at:
                raise error

        yield advance

    work.progress = progress
    try:
        yield
    finally:
        work.progress = usual


def interrupted(market, runs, way="bars", at=4, error=KeyboardInterrupt):
    """Return the id of a search that was stopped, and how it ended."""
    with stopping(at, error):
        done = run(*words(market, runs, way))
    return unfinished(runs)[0].run_id, done


def resumed(runs, run_id, *more):
    return run("sweep", "--resume", run_id, "--runs", runs, "--quiet", *more)


@pytest.mark.usefixtures("each_block")
@pytest.mark.parametrize("at", [2, 6])
def test_a_search_that_was_stopped_ends_as_if_it_had_not_been(market, runs, whole, at):
    way, contained = whole
    run_id, done = interrupted(market, runs, way, at)
    kept_then = sum(block.last - block.first for block in Keeper(unfinished(runs)[0].path).blocks)

    assert (130, "") == done[:2]
    assert 0 < kept_then < TRIALS
    assert (
        f"highwater: interrupted; stopped at trial {kept_then} of 600; "
        f"go on with: highwater sweep --resume {run_id} --runs {runs}\n" == done.err
    )
    again = resumed(runs, run_id)
    run_of = find_run(runs, run_id)

    assert (0, "") == (again.code, again.err)
    assert contained == contents(run_of)
    assert kept_then == read_manifest(run_of.path).execution["resumed_at"]
    assert f"{kept_then} trials were kept when it was stopped" in again.out
    assert [] == verify(run_of.path)
    assert [] == list((runs / ".staging").iterdir())


@pytest.mark.usefixtures("each_block")
def test_it_may_be_stopped_again_and_go_on_in_another_way(market, runs, whole):
    way, contained = whole
    run_id, _ = interrupted(market, runs, way)
    ways = (["--threads", "1", "--mem", "17M"], ["--threads", "2"], ["--engine", "bars", "--mem", "40K"])
    at = []
    for more in ways:
        with stopping(2):
            assert 130 == resumed(runs, run_id, *more).code
        at.append(Keeper(unfinished(runs)[0].path).blocks[-1].last)

    assert sorted(set(at)) == at
    assert 0 == resumed(runs, run_id[-8:].upper(), "--engine", "auto", "--mem", "512M", "--json").code
    assert contained == contents(find_run(runs, run_id))


@pytest.mark.usefixtures("each_block")
def test_a_search_stopped_when_all_trials_were_found_only_ends(market, runs, whole, monkeypatch):
    way, contained = whole
    with monkeypatch.context() as patched:
        patched.setattr(work, "exact", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        done = run(*words(market, runs, way))
    (one,) = unfinished(runs)

    assert "stopped at trial 600 of 600" in done.err
    with stopping(1, AssertionError):
        assert 0 == resumed(runs, one.run_id).code
    assert contained == contents(find_run(runs, one.run_id))


def test_a_search_stopped_before_it_kept_anything_leaves_nothing(market, runs):
    with stopping(3):
        done = run(*words(market, runs))

    assert (130, "", "highwater: interrupted\n") == done
    assert [] == leftovers(runs)


@pytest.mark.usefixtures("each_block")
def test_a_search_of_one_block_keeps_nothing(market, runs):
    with stopping(2):
        done = run("sweep", "--trials", "60", *market.flags, "--runs", runs, "--quiet")

    assert 0 == done.code
    assert ["completed"] == [entry.status for entry in list_runs(runs)]


@pytest.mark.usefixtures("each_block")
@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_damaged_block_is_named_and_done_again(market, runs, whole, which):
    way, contained = whole
    run_id, _ = interrupted(market, runs, way, 6)
    block = Keeper(unfinished(runs)[0].path).blocks[which]
    block.path.chmod(0o644)
    block.path.write_bytes(block.path.read_bytes()[:-9] + b"otherwise")
    done = resumed(runs, run_id)

    assert 0 == done.code
    assert f"trials {block.first} to {block.last - 1} are damaged on disk" in done.err
    assert contained == contents(find_run(runs, run_id))


@pytest.mark.usefixtures("each_block")
def test_a_missing_block_is_done_again(market, runs, whole):
    way, contained = whole
    run_id, _ = interrupted(market, runs, way, 6)
    blocks = Keeper(unfinished(runs)[0].path).blocks
    blocks[len(blocks) // 2].path.unlink()
    blocks[0].path.unlink()

    assert (0, "") == (resumed(runs, run_id).code, resumed(runs, run_id).out)
    assert contained == contents(find_run(runs, run_id))


def with_alerts(folder):
    rows = tables()[1].to_pylist()
    small_market.write(folder, None, pa.Table.from_pylist(rows[1:], tables()[1].schema))


def with_candles(folder):
    candles = tables()[0]
    close = pa.array([value * 1.001 if value else value for value in candles["close"].to_pylist()])
    small_market.write(folder, candles.set_column(candles.schema.get_field_index("close"), "close", close))


@pytest.mark.usefixtures("each_block")
@pytest.mark.parametrize(("change", "kind"), [(with_alerts, "alerts"), (with_candles, "candles")])
def test_other_alerts_or_candles_are_refused(tmp_path, runs, change, kind):
    market = small_market.write(tmp_path / "market")
    run_id, _ = interrupted(market, runs)
    change(tmp_path / "market")
    done = resumed(runs, run_id)

    assert (4, "") == done[:2]
    assert f"search {run_id}: the {kind} changed since it began, digest " in done.err
    assert f"put back {getattr(market, kind)} as it was" in done.err
    assert 1 == done.err.count("\n")
    small_market.write(tmp_path / "market")
    assert 0 == resumed(runs, run_id).code


@pytest.mark.usefixtures("each_block")
@pytest.mark.parametrize(
    ("change", "words_of"),
    [
        (("version", "0.0.1"), "began with version 0.0.1 and finds"),
        (("kernels_digest", "ab" * 32), "began with kernels abababababab and finds"),
        (("libraries", {"numpy": "1.0"}), "began with numpy 1.0 and finds"),
        (("config", {"horizon_ms": 1}), "began with horizon_ms 1 and finds 43200000 now; start it anew"),
        (("windows", "ab"), "began with windows ab and finds"),
        (("columns", ["a"]), "began with columns ['a'] and finds"),
    ],
)
def test_another_program_or_other_settings_are_refused(market, runs, monkeypatch, change, words_of):
    run_id, _ = interrupted(market, runs)
    usual = Keeper.about

    def about(keeper):
        found, (name, value) = dict(usual(keeper)), change
        return found | {name: found[name] | value if isinstance(value, dict) else value}

    monkeypatch.setattr(Keeper, "about", about)
    done = resumed(runs, run_id)

    assert (2, "") == done[:2]
    assert words_of in done.err
    assert 1 == done.err.count("\n")
    assert [run_id] == [one.run_id for one in unfinished(runs)]


@pytest.mark.usefixtures("each_block")
def test_what_decides_results_is_no_flag_of_a_search_that_goes_on(market, runs, monkeypatch, tmp_path):
    run_id, _ = interrupted(market, runs)
    for more in (["--tp", "2"], ["--seed", "1"], ["--alerts", "a.csv"], ["--fee-bps=3"], ["--max-pairs", "9"]):
        done = resumed(runs, run_id, *more)

        assert (2, "") == done[:2]
        assert done.err.startswith(f"highwater: {more[0].partition('=')[0]} beside --resume: a search goes on with")
    (tmp_path / "settings.yaml").write_text("seed: 4\nmem: 71K\n")
    monkeypatch.setenv("HIGHWATER_FEE_BPS", "7")

    assert 0 == resumed(runs, run_id, "--config", tmp_path / "settings.yaml").code
    manifest = read_manifest(find_run(runs, run_id).path)
    assert ("1", 30.0) == (manifest.config["search"]["seed"], manifest.config["fee_bps"])


@pytest.mark.usefixtures("each_block")
def test_what_is_complete_unknown_or_at_work_says_so(market, runs):
    run_id, _ = interrupted(market, runs)
    with hold(runs, run_id):
        busy = resumed(runs, run_id)
    assert (75, "") == busy[:2]
    assert f"another process is at work on the search {run_id}" in busy.err
    assert 0 == resumed(runs, run_id).code
    for text, line in (
        (run_id, f"run {run_id} is complete; see highwater runs show {run_id}"),
        ("nothing", f"there is no interrupted search 'nothing' in {runs}; highwater runs list names those there are"),
    ):
        assert (2, "", f"highwater: {line}\n") == resumed(runs, text)


@pytest.mark.usefixtures("each_block")
def test_what_the_disk_refuses_can_go_on(market, runs, whole):
    way, contained = whole
    run_id, done = interrupted(market, runs, way, 5, StoreError("disk full while writing trials; put that right"))

    assert 74 == done.code
    assert "disk full while writing trials; put that right; stopped at trial" in done.err
    assert 0 == resumed(runs, run_id).code
    assert contained == contents(find_run(runs, run_id))


@pytest.mark.usefixtures("each_block")
def test_a_bug_is_a_failed_run_which_cannot_go_on(market, runs):
    with stopping(5, ZeroDivisionError("a bug")):
        done = run(*words(market, runs))
    (entry,) = list_runs(runs)

    assert 1 == done.code
    assert "resume" not in done.err
    assert ("failed", [], []) == (entry.status, unfinished(runs), list((runs / ".staging").iterdir()))
    assert f"run {entry.run_id} is failed, so nothing of it can go on" in resumed(runs, entry.run_id).err


@pytest.mark.usefixtures("each_block")
def test_an_interrupted_search_is_listed_until_it_is_dropped(market, runs):
    run_id, _ = interrupted(market, runs)
    go_on = f"go on with: highwater sweep --resume {run_id} --runs {runs}"
    listed, rows = (run("runs", "list", "--runs", runs, *more) for more in ([], ["--json"]))
    (row,) = json.loads(rows.out)

    assert ("interrupted", "search", run_id) == (row["status"], row["run_type"], row["run_id"])
    assert go_on in listed.out
    for more in (["--dry-run"], []):
        done = run("runs", "gc", "--runs", runs, *more)
        assert f"nothing to remove in {runs}\nsearch {run_id} stopped at trial" in done.out
        assert f"{go_on}; or remove it with --drop {run_id}\n" in done.out
    with hold(runs, run_id):
        assert "running" == json.loads(run("runs", "list", "--runs", runs, "--json").out)[0]["status"]
        assert f"nothing to remove in {runs}\n" == run("runs", "gc", "--runs", runs, "--older-than", "0s").out
    assert "would remove interrupted search" in run("runs", "gc", "--runs", runs, "--older-than", "0s", "--dry-run").out
    assert [run_id] == [one.run_id for one in unfinished(runs)]
    assert f"removed interrupted search {runs}" in run("runs", "gc", "--runs", runs, "--drop", run_id[-6:]).out
    assert ([], 2) == (leftovers(runs), run("runs", "gc", "--runs", runs, "--drop", run_id).code)


# A search that waits once it has found four blocks, in a process of its own.
WAITING = """
import contextlib, sys, time
from highwater.engine import kept, sweep_run
from highwater.__main__ import main
kept.FILE_S = 0.0
@contextlib.contextmanager
def progress(*_):
    calls = iter(range(100))
    def advance(done):
        if next(calls) == 4:
            print("waiting", flush=True)
            time.sleep(600)
    yield advance
sweep_run.progress = progress
main()
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_stops_a_search_that_goes_on_later(market, runs, tmp_path, sent):
    (tmp_path / "main.py").write_text(WAITING)
    command = [sys.executable, tmp_path / "main.py", *map(str, words(market, runs))]
    search = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert search.stdout is not None
    assert "waiting\n" == search.stdout.readline()
    (one,) = unfinished(runs)
    assert (True, 75) == (one.held, resumed(runs, one.run_id).code)
    search.send_signal(sent)
    _, err = search.communicate(timeout=300)
    other = tmp_path / "other"
    line = f"stopped at trial 260 of 600; go on with: highwater sweep --resume {one.run_id} --runs {runs}\n"

    assert {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[sent] == search.returncode
    said = {signal.SIGINT: f"highwater: interrupted; {line}", signal.SIGTERM: f"highwater: terminated; {line}"}
    assert said.get(sent, "") == err
    assert 0 == run("baseline", *market.flags, "--runs", runs, "--quiet").code
    assert 0 == run("runs", "gc", "--runs", runs).code
    assert 0 == resumed(runs, one.run_id).code
    assert 0 == run(*words(market, other)).code
    assert contents(find_run(other, "latest")) == contents(find_run(runs, one.run_id))
    assert [] == list((Path(runs) / ".staging").iterdir())
