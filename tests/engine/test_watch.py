"""What becomes of a command that the system kills in the middle of its work."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import small_market
from highwater.engine.watch import reason
from highwater.io.runs import list_runs
from highwater.io.slices import slices
from small_market import leftovers, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux does one process watch another")

# The front door, with something that happens in the process that does the work.
DOOR = """
import os, signal, sys
from pathlib import Path
from highwater import __main__
from highwater.engine import watch

def watched(real=watch.watch):
    code = real()
    if code is None:
        happens()
    return code

def happens():
    {happens}

watch.watch = watched
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores for what runs behind it
sys.argv = ["highwater", *sys.argv[1:]]
__main__.main()
"""
KILLED_IN_THE_SECOND_BLOCK = """
    from highwater.engine import sweep
    usual, blocks = sweep.tally, []
    def tally(*given):
        blocks.append(1)
        if len(blocks) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return usual(*given)
    sweep.tally = tally
"""
CUT_SHORT = """
    from highwater.engine import run
    usual = run.path_metrics
    def cut(prepared, *given):
        prepared.slice.path.chmod(0o600)
        os.truncate(prepared.slice.path, 100)
        return usual(prepared, *given)
    run.path_metrics = cut
"""
TELLS_ITS_NUMBER = """
    from highwater.engine import run
    def wait(*given):
        print(os.getpid(), flush=True)
        while True:
            signal.pause()
    run.path_metrics = wait
"""


def started(happens, words, folder):
    """Start a command at the front door."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", DOOR.format(happens=happens), *map(str, words)]
    return subprocess.Popen(command, cwd=folder, **pipes)


@pytest.fixture
def words(tmp_path):
    """Return the words behind a command on a market whose runs have one run already."""
    found = [*small_market.write(tmp_path).flags, "--runs", tmp_path / "runs", "--quiet"]
    assert 0 == run("baseline", *found).code
    return found


def test_a_worker_killed_for_memory_is_told_with_its_trials(words, tmp_path):  # F046
    assert 0 == run("sweep", *words, "--trials", "2").code  # compiled by now: a block that takes seconds is kept
    before = leftovers(tmp_path / "runs")
    done = started(KILLED_IN_THE_SECOND_BLOCK, ["sweep", *words, "--trials", "300", "--mem", "30K"], tmp_path)
    out, err = done.communicate(timeout=300)

    assert (1, "", 1) == (done.returncode, out, err.count("\n"))
    assert err.startswith("highwater: the process at work was killed (signal 9, probably out of memory) in trials ")
    assert " in trials 0 to " not in err
    assert err.endswith("; ask for less at once, or use a larger machine; nothing was saved\n")
    assert before == leftovers(tmp_path / "runs")
    assert [] == list((tmp_path / "runs" / ".staging").iterdir())
    assert ["completed"] * 2 == [entry.status for entry in list_runs(tmp_path / "runs")]


def test_a_slice_cut_short_under_a_run_is_named(words, tmp_path):  # F081
    (one,) = slices(tmp_path / "runs" / ".slices")
    done = started(CUT_SHORT, ["baseline", *words], tmp_path)
    out, err = done.communicate(timeout=300)

    assert (1, "", 1) == (done.returncode, out, err.count("\n"))
    assert f"highwater: {one.path} changed while it was being read: it had " in err
    assert "and has 100; let nothing write to it; nothing was saved" in err
    assert [] == list((tmp_path / "runs" / ".staging").iterdir())
    assert 1 == len(list_runs(tmp_path / "runs"))


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_is_asked_of_the_watcher_is_asked_of_the_work(words, tmp_path, sent, code):
    done = started(TELLS_ITS_NUMBER, ["baseline", *words], tmp_path)
    worker = int(done.stdout.readline())
    done.send_signal(sent)
    _, err = done.communicate(timeout=300)

    assert worker != done.pid
    assert (code, 1) == (done.returncode, err.count("\n")), err
    assert [] == list((tmp_path / "runs" / ".staging").iterdir())


def test_work_does_not_outlive_its_watcher(words, tmp_path):
    done = started(TELLS_ITS_NUMBER, ["baseline", *words], tmp_path)
    worker = int(done.stdout.readline())
    done.kill()
    done.communicate(timeout=300)
    while Path(f"/proc/{worker}/stat").exists() and " Z " not in Path(f"/proc/{worker}/stat").read_text():
        time.sleep(0.01)

    assert -signal.SIGKILL == done.returncode


def test_a_signal_that_is_no_fault_ends_both_alike(words, tmp_path):
    done = started(TELLS_ITS_NUMBER, ["baseline", *words], tmp_path)
    os.kill(int(done.stdout.readline()), signal.SIGUSR1)
    _, err = done.communicate(timeout=300)

    assert (-signal.SIGUSR1, "") == (done.returncode, err)


def test_a_kill_says_what_it_knows(tmp_path):
    whole = tmp_path / "slice.arrow"
    whole.write_bytes(b"x" * 10)

    assert "the process at work was killed (signal 11, SIGSEGV)" == reason(signal.SIGSEGV, {})
    assert "the process at work was killed (signal 7, SIGBUS) in paths" == reason(
        signal.SIGBUS, {"doing": "paths", "mapped": [str(whole), 10]}
    )
    assert "it had 11 bytes and has 10" in reason(signal.SIGBUS, {"mapped": [str(whole), 11]})
    assert "it had 10 bytes and has 0" in reason(signal.SIGBUS, {"mapped": [str(tmp_path / "gone"), 10]})
