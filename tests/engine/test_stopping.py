import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest
from highwater.engine.progress import progress
from highwater.engine.recipe import Clock
from highwater.engine.shell import run
from highwater.engine.stopping import Terminated, behind, check, stoppable

SIGNALS = {signal.SIGINT: (KeyboardInterrupt, 130, "interrupted"), signal.SIGTERM: (Terminated, 143, "terminated")}
each_signal = pytest.mark.parametrize("number", SIGNALS)


@pytest.fixture(autouse=True)
def attentive():
    """Hear SIGINT as a terminal has it, whatever started these tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def swallowed(number):
    """Meet a signal where code of others drops what it raises."""
    with suppress(BaseException):
        os.kill(os.getpid(), number)
        threading.Event().wait(30)


@each_signal
def test_a_signal_becomes_an_exception_and_the_handlers_come_back(number):
    before = signal.getsignal(number)
    with pytest.raises(SIGNALS[number][0]), stoppable():
        os.kill(os.getpid(), number)
        threading.Event().wait(30)

    assert before == signal.getsignal(number)
    check()


@each_signal
@pytest.mark.parametrize("quiet", [True, False])
def test_what_was_swallowed_is_raised_again_by_the_next_piece_of_work(number, quiet):
    with stoppable():
        swallowed(number)
        with pytest.raises(SIGNALS[number][0]), Clock().phase("paths"):
            pytest.fail("the phase went on")
        with progress("trades", 10, quiet) as advance, pytest.raises(SIGNALS[number][0]):
            advance(1)


@each_signal
def test_a_signal_waits_until_llvm_is_done(number):
    code = (
        "import os, time\ndef work(number):\n    os.kill(os.getpid(), number)\n    time.sleep(0.1)\n    done.append(1)"
    )
    module = {"__name__": "llvmlite.binding.executionengine", "done": []}
    exec(code, module)
    with pytest.raises(SIGNALS[number][0]), stoppable():
        module["work"](number)
        assert [1] == module["done"]
        threading.Event().wait(30)


def command(does):
    def work() -> None:
        """Work."""
        does()

    return work


@each_signal
def test_a_command_that_swallowed_a_signal_still_ends_with_its_code(number, capsys):
    _, code, word = SIGNALS[number]

    assert code == run(command(lambda: swallowed(number)), [], version="1")
    assert f"highwater: {word}\n" == capsys.readouterr().err


@each_signal
def test_an_error_that_came_of_a_signal_is_the_signal(number, capsys):
    kind, code, word = SIGNALS[number]

    def wraps():
        try:
            os.kill(os.getpid(), number)
            threading.Event().wait(30)
        except kind as error:
            raise RuntimeError("Error calling __set_name__") from error

    assert code == run(command(wraps), [], version="1")
    assert f"highwater: {word}\n" == capsys.readouterr().err


def test_an_error_of_its_own_stays_itself():
    error = ValueError("a")
    error.__cause__ = OSError("b")

    assert error is behind(error)


@each_signal
def test_an_error_that_follows_a_swallowed_signal_is_the_signal(number, capsys):
    """Pandas half loaded by pyarrow, which swallowed the signal, fails on itself as it is loaded again."""
    _, code, word = SIGNALS[number]

    def fails():
        swallowed(number)
        raise AttributeError("partially initialized module 'pandas' has no attribute 'plotting'")

    with stoppable():
        assert code == run(command(fails), [], version="1")
    assert f"highwater: {word}\n" == capsys.readouterr().err


def test_an_ignored_interrupt_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGINT)
            check()
    finally:
        signal.signal(signal.SIGINT, before)


def test_one_inside_another_forgets_nothing():
    with stoppable():
        swallowed(signal.SIGINT)
        with stoppable(), pytest.raises(KeyboardInterrupt):
            check()


@pytest.mark.parametrize("wait", [0.01, 0.03, 0.05, 0.08, 0.12])
def test_an_interrupt_while_it_is_loaded_is_one_line(tmp_path, wait):
    """From the front door on; what comes before is the start of Python."""
    code = (
        "import highwater.__main__ as door; run = door._run; "
        "door._run = lambda: (print('here', flush=True), run())[1]; door.main()"
    )
    words = [sys.executable, "-c", code, "data", "synth", str(tmp_path / "market")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as door:
        assert door.stdout and "here\n" == door.stdout.readline()
        time.sleep(wait)
        door.send_signal(signal.SIGINT)
        _, err = door.communicate(timeout=300)

    assert (130, "highwater: interrupted\n") == (door.returncode, err)


class Ending:
    """What does something as it goes."""

    def __init__(self, action):
        self.action = action

    def __del__(self):
        self.action()


def refuse():
    raise ValueError("lost")


def test_a_signal_that_meets_the_end_of_an_object_is_raised_again_and_not_told_of(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    with pytest.raises(KeyboardInterrupt), stoppable():
        Ending(lambda: signal.raise_signal(signal.SIGINT))
        check()

    assert [] == told


def test_another_error_at_the_end_of_an_object_is_told(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: told.append(str(lost.exc_value)))
    with stoppable():
        Ending(refuse)

    assert ["lost"] == told
