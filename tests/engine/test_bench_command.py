import subprocess
import sys

import pytest
from highwater.engine import bench_command
from small_market import run


@pytest.fixture
def started(monkeypatch):
    """Return the commands that are started, instead of starting them; each ends with exit code 5."""
    commands = []

    def start(command, cwd, check):
        commands.append((command, cwd, check))
        return subprocess.CompletedProcess(command, 5)

    monkeypatch.setattr(subprocess, "run", start)
    return commands


def test_a_wheel_has_no_benches(monkeypatch, tmp_path):
    monkeypatch.setattr(bench_command, "ROOT", tmp_path)
    done = run("bench")

    assert (2, "") == (done.code, done.out)
    assert f"highwater: {tmp_path}: the benches are not here; clone the repository and run: make bench\n" == done.err


def test_a_bare_environment_has_no_pytest_benchmark(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = run("bench")

    assert 2 == done.code
    assert "pytest-benchmark is not installed; in" in done.err
    assert done.err.endswith("run: make bench\n")


def test_a_question_is_one_file_of_the_benches(started):
    done = run("bench", "paths", "search", "--figures")
    files = ["bench/test_paths.py", "bench/test_search.py"]

    assert 5 == done.code
    assert [
        ([sys.executable, "-m", "pytest", *files, "--benchmark-only", "--figures"], bench_command.ROOT, False)
    ] == started


def test_without_a_question_all_are_asked_and_the_help_names_them(started):
    run("bench")
    ((command, *_),) = started
    files = sorted(path.name for path in (bench_command.ROOT / "bench").glob("test_*.py"))
    names = [name.removeprefix("test_").removesuffix(".py") for name in files]

    assert [f"bench/{name}" for name in files] == command[3:-1]
    assert f"(default: all): {', '.join(names)}." in " ".join(run("bench", "--help").out.split())


def test_an_unknown_question_is_named(started):
    done = run("bench", "serch")

    assert (2, []) == (done.code, started)
    assert "unknown question 'serch'" in done.err
    assert "search" in done.err
