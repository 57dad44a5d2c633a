"""The made-up server as tests use it: labs of a few backtests, and the credentials it takes in the environment."""

from contextlib import contextmanager
from types import SimpleNamespace

from highwater.io.labs.access import read_access
from highwater.io.labs.client import Client
from highwater.io.labs.made_up import MadeUpLab
from highwater.io.labs.made_up_server import EMAIL, PASSWORD, MadeUp, serving

LAB = "caed4df4-bcf9-4d4c-a8af-a51af6b7982e"


@contextmanager
def haas(backtests=25, **state):
    """Yield a ``MadeUp`` that runs, with one lab ``LAB``."""
    with serving(MadeUp(labs=[MadeUpLab(LAB, backtests)], **state)) as found:
        yield found


def environment(state):
    """Return the variables that lead to the server."""
    host, _, port = state.at.removeprefix("http://").partition(":")
    return {"API_HOST": host, "API_PORT": port, "API_EMAIL": EMAIL, "API_PASSWORD": PASSWORD}


def connected(state, **options):
    """Return a client whose waits between tries are only noted, in ``waits``."""
    found = Client(read_access(environment(state)), rate=1e6, **options)
    found.waits = []
    found.pace = SimpleNamespace(
        take=lambda: None, rest=found.waits.append, hold=lambda seconds: None, stop=lambda: None
    )
    return found
