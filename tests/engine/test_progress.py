import io
import subprocess
import sys

import pytest
from highwater.engine import progress as room
from highwater.engine.progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose only member is the time in seconds."""
    now = [100.0]
    monkeypatch.setattr(room.time, "monotonic", lambda: now[0])
    return now


def shown(monkeypatch, clock, steps, stream=None, **how):
    """Return what is printed by work of 1,000 trials that has done ``steps`` (seconds, done)."""
    stream = stream or io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress("trials", 1000, **how) as advance:
        for seconds, done in steps:
            clock[0] = 100.0 + seconds
            advance(done)
    return stream.getvalue()


def test_a_line_for_every_tenth(monkeypatch, clock):
    lines = shown(monkeypatch, clock, [(k, 50 * k) for k in range(21)]).splitlines()

    assert 10 == len(lines)
    assert "trials: 10 %, 100 of 1,000, 50/s, 18 s left" == lines[0]
    assert "trials: 100 %, 1,000 of 1,000, 50/s, 0 s left" == lines[-1]


def test_tenths_that_pass_at_once_are_one_line(monkeypatch, clock):
    lines = shown(monkeypatch, clock, [(2, 10), (3, 450), (4, 460), (5, 1000)]).splitlines()

    assert ["trials: 40 %", "trials: 100 %"] == [line.split(",")[0] for line in lines]


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_work_done_within_a_second_shows_nothing(monkeypatch, clock, stream):
    assert "" == shown(monkeypatch, clock, [(0.2, 100), (0.99, 1000)], stream())


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_quiet_shows_nothing(monkeypatch, clock, stream):
    assert "" == shown(monkeypatch, clock, [(5, 100), (50, 1000)], stream(), quiet=True)


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_nothing_to_do_shows_nothing(monkeypatch, clock, stream):
    text = stream()
    monkeypatch.setattr(sys, "stderr", text)
    with progress("trials", 0) as advance:
        clock[0] += 10
        advance(0)

    assert "" == text.getvalue()


def test_a_terminal_gets_a_bar_with_rate_and_time_left(monkeypatch, clock):
    monkeypatch.setenv("TERM", "xterm")
    text = shown(monkeypatch, clock, [(2, 100), (4, 250), (5, 500)], Terminal())

    assert "trials" in text
    assert "100/s" in text
    assert "50%" in text


def test_a_name_is_never_read_as_markup(monkeypatch, clock):
    monkeypatch.setenv("TERM", "xterm")
    text = Terminal()
    monkeypatch.setattr(sys, "stderr", text)
    with progress("[red]trials[/nothing]", 10) as advance:
        clock[0] += 5
        advance(5)

    assert "[red]trials[/nothing]" in text.getvalue()


def test_an_error_inside_passes_through(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(KeyError), progress("trials", 10) as advance:
        clock[0] += 5
        advance(5)
        raise KeyError("x")


def test_rich_is_not_imported_before_a_bar_is_shown():
    code = (
        "import sys, highwater.engine.progress as p\nwith p.progress('x', 3) as a: a(1)\nprint('rich' in sys.modules)"
    )

    assert "False\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
