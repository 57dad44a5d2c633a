"""The command that measures how fast Highwater is here; it needs the repository, where the benches lie."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from ..io.config import nearest
from ..io.errors import MissingError, UsageError

ROOT = Path(__file__).parents[1]


def bench(questions: list[str] | None = None, *, figures: bool = False) -> int:
    """Measure how fast it is on this machine; works in a clone of the repository.

    Args:
        questions: What to measure (default: all): api, cache, catalog, cluster, dashboard, exits, guards,
            indicators, labs, labs_fetch, memory, million, paths, peers, real, report, scale, search,
            session, slices, sources, start, trace_store, traces, verify.
        figures: Write the table into bench/FIGURES.md, and the curves beside it.
    """
    if not (ROOT / "bench" / "conftest.py").is_file():
        raise MissingError(f"{ROOT}: the benches are not here; clone the repository and run: make bench")
    if importlib.util.find_spec("pytest_benchmark") is None:
        raise MissingError(f"pytest-benchmark is not installed; in {ROOT} run: make bench")
    known = sorted(path.stem.removeprefix("test_") for path in (ROOT / "bench").glob("test_*.py"))
    for each in questions or ():
        if each not in known:
            near = nearest(each, known) or f"; there are {', '.join(known)}"
            raise UsageError(f"unknown question '{each}'{near}")
    files = [f"bench/test_{each}.py" for each in questions or known]
    command = [sys.executable, "-m", "pytest", *files, "--benchmark-only", *(["--figures"] if figures else [])]
    return subprocess.run(command, cwd=ROOT, check=False).returncode
