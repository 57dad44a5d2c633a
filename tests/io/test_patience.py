import time
from contextvars import copy_context

import pytest
from highwater.io.errors import BusyError
from highwater.io.patience import check, left, within


def test_without_an_end_there_is_time_for_everything():
    check()

    assert 10.0 == left(10.0)


def test_what_takes_longer_than_was_given_is_stopped():
    with within(0.01):
        check()
        time.sleep(0.02)
        with pytest.raises(BusyError, match=r"^the answer takes longer than 0\.01 s; ask for less$"):
            check()
        assert 0.001 == left(10.0)
    check()


def test_what_is_left_is_never_more_than_was_asked_for():
    with within(60):
        assert 5.0 == left(5.0)
        assert 59 < left(100.0) <= 60


def test_a_context_that_was_copied_has_the_same_end():
    with within(0.0):
        time.sleep(0.001)
        with pytest.raises(BusyError):
            copy_context().run(check)
