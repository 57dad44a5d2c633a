from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from crash.strace import Victims, refusal
from highwater.io import publish

INJECTED = Counter()


@pytest.fixture(scope="session", autouse=True)
def _traceable(tmp_path_factory):
    problem = refusal(tmp_path_factory.mktemp("refusal"))
    if problem:
        pytest.exit(f"the crash tests did not run: {problem}", returncode=1)


@pytest.fixture(scope="session", autouse=True)
def _code():
    """Ask once which code this is: git takes longer than a publish."""
    found = publish.code()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(publish, "code", lambda: found)
        yield


@pytest.fixture
def victims(tmp_path):
    """Return two processes that do work."""
    made = [Victims(tmp_path / name) for name in ("one", "two")]
    yield made
    for each in made:
        each.close()


@pytest.fixture
def each_hit(victims, request):
    """Return a function that does ``one(victims, hit)`` for all hits, two at a time; it returns the problems."""

    def all_of(one, hits):
        halves = [hits[i :: len(victims)] for i in range(len(victims))]
        with ThreadPoolExecutor(len(victims)) as threads:
            problems = list(threads.map(lambda mine, half: [one(mine, hit) for hit in half], victims, halves))
        for _, what in hits:
            INJECTED[request.node.callspec.id, what.partition("=")[2]] += 1
        return [problem for half in problems for problem in half if problem]

    return all_of


def pytest_terminal_summary(terminalreporter):
    for name in dict.fromkeys(name for name, _ in INJECTED):
        counts = ", ".join(f"{n} {what}" for (of, what), n in INJECTED.items() if of == name)
        terminalreporter.write_line(f"injected into {name}: {counts}")
    terminalreporter.write_line(f"{INJECTED.total()} faults injected")
