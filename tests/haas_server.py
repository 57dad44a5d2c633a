"""The made-up server as tests use it: labs of a few backtests, and the credentials it takes in the environment."""

from contextlib import contextmanager

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
