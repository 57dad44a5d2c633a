"""What the tests of labs share: a made-up server, and a client of it that does not wait."""

import pytest
from haas_server import connected, haas


@pytest.fixture
def server():
    with haas() as state:
        yield state


@pytest.fixture
def client(server):
    with connected(server) as found:
        yield found
