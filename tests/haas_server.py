"""The made-up server as tests use it: labs of a few backtests, and the credentials it takes in the environment."""

from contextlib import contextmanager
from types import SimpleNamespace

from highwater.engine.cli import main
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


@contextmanager
def at_hand(folder, monkeypatch):
    """Yield a server that the environment leads to; commands work in ``folder`` meanwhile."""
    monkeypatch.chdir(folder)
    with haas() as state:
        for name, value in environment(state).items():
            monkeypatch.setenv(name, value)
        yield state


def labs(*words):
    """Return the exit code of ``highwater labs``."""
    return main(["labs", *words])


def fast(*words):
    """Return the exit code of ``highwater labs`` at a thousand questions a second."""
    return labs(*words, "--rate", "1000")


def connected(state, **options):
    """Return a client whose waits between tries are only noted, in ``waits``."""
    found = Client(read_access(environment(state)), rate=1e6, **options)
    found.waits = []
    found.pace = SimpleNamespace(
        take=lambda: None, rest=found.waits.append, hold=lambda seconds: None, stop=lambda: None
    )
    return found
