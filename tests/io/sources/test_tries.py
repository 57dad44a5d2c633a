import pytest
from highwater.io.errors import BusyError, StoreError
from highwater.io.sources.tries import Refused, insist, seconds


def asking(*answers):
    """Return a question that is answered, or refused, in turn; and the waits there were."""
    left, waits = list(answers), []

    def ask():
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask, waits, left


@pytest.mark.parametrize("status", [0, 418, 429, 500, 503, 599])
def test_what_may_pass_is_asked_again(status):
    ask, waits, left = asking(Refused(status, "x"), Refused(status, "x"), "answer", "not asked")

    assert "answer" == insist(ask, "Yahoo", waits.append)
    assert [1.0, 2.0] == waits
    assert ["not asked"] == left


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_will_not_pass_is_not(status):
    ask, waits, _ = asking(Refused(status, "x"), "answer")

    with pytest.raises(Refused):
        insist(ask, "Yahoo", waits.append)
    assert [] == waits


def test_the_server_may_ask_for_a_longer_wait_but_not_for_any():
    ask, waits, _ = asking(Refused(429, "x", 7.5), Refused(429, "x", 0.5), "answer")

    assert "answer" == insist(ask, "Yahoo", waits.append)
    assert [7.5, 2.0] == waits
    with pytest.raises(BusyError, match="Yahoo refused at once: too many requests and asks for 3600 s of patience"):
        insist(asking(Refused(429, "x", 3600))[0], "Yahoo", waits.append)


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (429, BusyError, "Yahoo refused after 4 tries: too many requests; try again later"),
        (503, StoreError, r"Yahoo failed after 4 tries with HTTP 503 \(why\)"),
        (0, StoreError, r"Yahoo could not be read after 4 tries \(why\); look to the network"),
    ],
)
def test_in_the_end_it_says_why_and_what_else_there_is(status, kind, says):
    ask, waits, left = asking(*[Refused(status, "why\nand more")] * 5)

    with pytest.raises(kind, match=f"{says}.*--data FILE.*--synthetic"):
        insist(ask, "Yahoo", waits.append)
    assert [1.0, 2.0, 4.0] == waits
    assert 1 == len(left)


@pytest.mark.parametrize(
    ("text", "expected"), [(None, 0.0), ("", 0.0), ("3", 3.0), ("1.5", 1.5), ("-2", 0.0), ("Fri, 1 Jan", 0.0)]
)
def test_retry_after(text, expected):
    assert expected == seconds(text)
