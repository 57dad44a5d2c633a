import threading

import pytest
from highwater.io.errors import BusyError
from highwater.io.labs.pace import Pace


class Clock:
    """A clock that only waiting moves."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def paced(monkeypatch):
    clock = Clock()

    def made(rate, burst=1):
        pace = Pace(rate, burst, clock)
        monkeypatch.setattr(pace, "rest", lambda seconds: setattr(clock, "now", clock.now + max(0.0, seconds)))
        return pace, clock

    return made


def test_questions_come_at_the_rate(paced):
    pace, clock = paced(4.0)
    for _ in range(9):
        pace.take()

    assert 102.0 == pytest.approx(clock.now)


def test_after_a_rest_a_burst_passes_and_no_more(paced):
    pace, clock = paced(2.0, burst=3)
    clock.now += 1000
    times = []
    for _ in range(5):
        pace.take()
        times.append(clock.now - 1100)

    assert [0, 0, 0, 0.5, 1.0] == pytest.approx(times)


def test_a_pause_holds_everyone(paced):
    pace, clock = paced(10.0, burst=5)
    pace.take()
    pace.hold(7.0)
    pace.take()

    assert clock.now >= 107.0


def test_what_waits_is_let_go():
    pace, errors = Pace(0.001), []
    pace.take()

    def wait():
        try:
            pace.take()
        except BusyError as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    pace.stop()
    thread.join(5)

    assert 1 == len(errors)
    with pytest.raises(BusyError):
        pace.take()
