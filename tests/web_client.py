"""A client of the REST API in this process, as a browser or curl on this machine would ask it."""

import warnings
from pathlib import Path

from highwater.engine.web.api.app import application
from highwater.engine.web.api.gate import Gate

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have httpx2
    from starlette.testclient import TestClient


def client(root, gate=None, **options):
    """Return a client of the runs below ``root``."""
    return TestClient(application(Path(root), gate or Gate()), "http://localhost:8000", **options)
