"""Does a fetch of a lab keep the rate it is allowed, and is its memory bounded?

The server is the made-up one, in a process of its own, and takes a twentieth of a second for each answer.
"""

import itertools
import os
import subprocess
import sys

import pytest
from highwater.bench.conftest import linux

pytestmark = linux
RATE, FEW, MANY = 100, 600, 3000
LABS = {"few": FEW, "many": MANY}
_SERVER = """
import sys, time
from highwater.io.labs.made_up import MadeUpLab
from highwater.io.labs.made_up_server import MadeUp, serving
labs = [MadeUpLab(word.split("=")[0], int(word.split("=")[1])) for word in sys.argv[1:]]
with serving(MadeUp(labs, delay_s=0.05)) as state:
    print(state.at.rpartition(":")[2], state.email, state.password, sep="\\t", flush=True)
    time.sleep(3600)
"""
_FETCH = """
import os, sys, time
from pathlib import Path
from highwater.io.labs.access import read_access
from highwater.io.labs.client import Client
from highwater.io.labs.sync import sync
with Client(read_access(os.environ), rate=float(sys.argv[3])) as client:
    client.labs()
    began = time.monotonic()
    done = sync(client, Path(sys.argv[1]), sys.argv[2], workers=16)
    took = time.monotonic() - began
assert done.complete and done.fetched == done.found, done
asked = done.fetched + -(-done.found // 100) + 1
print(asked / took, open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""


@pytest.fixture(scope="module")
def variables():
    words = [sys.executable, "-c", _SERVER, *(f"{lab}={count}" for lab, count in LABS.items())]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        port, email, password = server.stdout.readline().rstrip("\n").split("\t")
        yield {"API_HOST": "127.0.0.1", "API_PORT": port, "API_EMAIL": email, "API_PASSWORD": password}
        server.kill()


def fetch(variables, store, lab, rate):
    """Return questions a second and the peak of memory, MiB, of a fetch in a process of its own."""
    words = [sys.executable, "-c", _FETCH, store, lab, str(rate)]
    done = subprocess.run(words, env={**os.environ, **variables}, check=True, capture_output=True, text=True)
    asked, memory = map(float, done.stdout.split())
    return asked, memory / 1024


def test_fetch_at_the_allowed_rate(bench, variables, tmp_path):
    number, found = itertools.count(), []
    way = f"{FEW} backtests"
    ways = {way: lambda: found.append(fetch(variables, tmp_path / str(next(number)), "few", RATE)[0])}
    took = bench.compare(ways, rounds=3)
    bench.say(way, took[way], f"{max(found):.1f} questions a second of {RATE} allowed")

    assert 0.9 * RATE <= max(found) <= 1.1 * RATE


def test_fetch_memory(bench, variables, tmp_path):
    number, found = itertools.count(), {}

    def fetched(lab):
        found[lab] = fetch(variables, tmp_path / str(next(number)), lab, 1000)[1]

    ways = {f"{FEW:,} backtests": lambda: fetched("few"), f"{MANY:,} backtests": lambda: fetched("many")}
    for (way, times), lab in zip(bench.compare(ways, rounds=1).items(), LABS, strict=True):
        bench.say(way, times, f"{found[lab]:.0f} MiB at its peak")

    assert found["many"] < found["few"] + 32
