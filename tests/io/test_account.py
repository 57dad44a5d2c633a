import os

import pytest
from highwater.io import account


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setattr(account, "_page", None)
    monkeypatch.setattr(account, "_known", {})
    return account.share()


def test_a_process_reads_what_another_told_last(page):
    child = os.fork()
    if child == 0:
        account.tell(doing="trials 0 to 9", stage="runs/.staging/x")
        account.tell(doing="trials 10 to 19")
        os._exit(0)
    os.waitpid(child, 0)

    assert {"doing": "trials 10 to 19", "stage": "runs/.staging/x"} == account.told(page)


def test_nothing_told_is_nothing_known(page):
    assert {} == account.told(page)


def test_what_does_not_fit_leaves_what_was_told(page):
    account.tell(doing="paths")
    account.tell(mapped=["x" * account.SIZE, 1])

    assert {"doing": "paths"} == account.told(page)


def test_half_a_sentence_is_not_read(page):
    account.tell(doing="paths")
    page[:4] = bytes(4)

    assert {} == account.told(page)


def test_where_nobody_watches_nothing_is_kept(monkeypatch):
    monkeypatch.setattr(account, "_page", None)
    monkeypatch.setattr(account, "_known", {})
    account.tell(doing="paths")

    assert {} == account._known
