"""What the tests of the sources share: a server that stands for Yahoo and Binance, and waits that are only noted."""

from types import SimpleNamespace

import pytest
from highwater.io.sources import tries
from market_server import serving


@pytest.fixture
def server():
    with serving() as state:
        yield state


@pytest.fixture
def waits(monkeypatch):
    noted = []
    monkeypatch.setattr(tries, "time", SimpleNamespace(sleep=noted.append))
    return noted


@pytest.fixture(scope="session")
def own_yfinance(tmp_path_factory):
    """Keep yfinance's notes of symbols and cookies out of the user's folder."""
    yfinance = pytest.importorskip("yfinance")
    yfinance.set_tz_cache_location(str(tmp_path_factory.mktemp("yfinance")))
