"""What can go wrong on disk, with the clock and with what was saved: the exit code and the words it gets."""

import errno
import itertools
import json
import os
import re
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import small_market
from highwater.engine import recipe
from highwater.io import alerts
from highwater.io.runs import find_run, list_runs, verify
from small_market import Market, leftovers, program, run

HOUR_NS = 3_600_000_000_000


def command(folder):
    """Return the words of a command on the market of a folder."""
    market = Market(folder / "candles.parquet", folder / "alerts.parquet")
    market = market if market.alerts.exists() else small_market.write(folder)
    return ["baseline", *market.flags, "--runs", folder / "runs", "--quiet"]


DISK_FULL, DISK_ERROR = "disk full while writing", "the disk reported an error while writing"
REFUSED = [
    ("F048", "write", "truth/paths.parquet", errno.ENOSPC, (DISK_FULL, "truth/paths.parquet (after ")),
    ("F049", "write", "run.json", errno.ENOSPC, (DISK_FULL, "run.json (after 0 bytes)")),
    ("F049", "write", "_SUCCESS", errno.ENOSPC, (DISK_FULL, "_SUCCESS (after 0 bytes)")),
    ("F051", "fsync", "truth/paths.parquet", errno.EIO, (DISK_ERROR, "truth/paths.parquet (after ")),
    ("F051", "fsync", "_SUCCESS", errno.EIO, (DISK_ERROR, "_SUCCESS (after 64 bytes)")),
    ("F056", "write", "truth/paths.parquet", errno.EDQUOT, ("disk quota reached while writing truth/paths.parquet",)),
]


def refusing(monkeypatch, step, place, number):
    """Let ``os.write`` or ``os.fsync`` fail on what lies at a place, a pattern."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not say what a descriptor is of")
    real = getattr(os, step)

    def refuses(file, *given):
        if re.search(f"{place}$", str(Path(f"/proc/self/fd/{file}").readlink())):
            raise OSError(number, os.strerror(number))
        return real(file, *given)

    monkeypatch.setattr(os, step, refuses)


@pytest.mark.parametrize(
    ("step", "place", "number", "words"), [row[1:] for row in REFUSED], ids=[f"{row[0]} {row[2]}" for row in REFUSED]
)
def test_what_the_disk_refuses_leaves_no_run_and_a_second_try_succeeds(
    tmp_path, monkeypatch, step, place, number, words
):
    with monkeypatch.context() as full:
        refusing(full, step, place, number)
        done = run(*command(tmp_path))

    assert 74 == done.code, done.err
    assert [] == [text for text in (*words, "is not saved; put that right and repeat") if text not in done.err]
    assert 1 == done.err.count("\n")
    assert [] == leftovers(tmp_path / "runs")
    assert 0 == run(*command(tmp_path)).code


KEY_NUMBERS = {
    "baseline": ([], "truth/paths.parquet", ["Callers, by the median"]),
    "strategy": (["--tp", "2", "--sl", "0.7"], "policy/trades.parquet", ["mean return", "resolution"]),
    "sweep": (["--trials", "40"], "policy/trades.parquet", ["Best of 40 trials", "mean return", "winner"]),
    "sweep of many trials": (["--trials", "40"], "results/trials.parquet", ["Best of 40 trials", "mean return"]),
    "surface": (["--tp", "1.1:3:0.1", "--sl", "0.7"], "results/surface.parquet", ["Best of 20 cells", "mean return"]),
}


@pytest.mark.parametrize("name", KEY_NUMBERS)
def test_what_was_found_is_printed_even_where_the_disk_is_full(tmp_path, monkeypatch, name):  # F048
    words, place, said = KEY_NUMBERS[name]
    words = [name.split()[0], *command(tmp_path)[1:], *words]
    sound = run(*words)
    numbers = sound.out.partition("\nslice ")[0]
    with monkeypatch.context() as full:
        refusing(full, "write", place, errno.ENOSPC)
        done, document = run(*words), run(*words, "--json")

    assert (0, 74, 74) == (sound.code, done.code, document.code)
    assert [] == [text for text in said if text not in done.out]
    assert untimed(numbers) == untimed(done.out.partition("\nslice ")[0])
    assert json.loads(document.out)["path"] is None
    for err in (done.err, document.err):
        assert 1 == err.count("\n")
        assert f"{DISK_FULL} {place} (after " in err
        assert "is not saved; put that right and repeat" in err
    assert 1 == len(list_runs(tmp_path / "runs"))
    assert [] == list((tmp_path / "runs" / ".staging").iterdir())


def untimed(text):
    return [line for line in text.splitlines() if " s, " not in line and not line.endswith(" s")]


def test_a_disk_that_does_not_confirm_the_run_is_told(tmp_path, monkeypatch):  # F052
    with monkeypatch.context() as failing:
        refusing(failing, "fsync", r"/\d{4}-\d\d", errno.EIO)
        done = run(*command(tmp_path))
    (entry,) = list_runs(tmp_path / "runs")

    assert 74 == done.code
    assert f"run {entry.run_id} is complete but the disk did not confirm it; verify it after a restart" in done.err
    assert ("completed", []) == (entry.status, verify(entry.path))


def test_a_file_size_limit_is_a_full_disk(tmp_path):  # F050
    words, plain = command(tmp_path), {"PYTHONDONTWRITEBYTECODE": "1"}  # Python 3.11 keeps half a .pyc
    done = program(words, tmp_path, plain, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000)))
    out, err = done.communicate(timeout=300)

    assert (74, "", 1) == (done.returncode, out, err.count("\n"))
    assert "file size limit reached while writing" in err
    assert [] == leftovers(tmp_path / "runs")


def test_a_directory_of_runs_that_may_not_be_written_is_refused(tmp_path, monkeypatch):  # F054
    real = os.mkdir

    def denied(path, *given, **named):  # root is not: no mode of a directory keeps it out
        if str(path).endswith(".staging"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, *given, **named)

    monkeypatch.setattr(os, "mkdir", denied)
    done = run(*command(tmp_path))

    assert (77, "", 1) == (done.code, done.out, done.err.count("\n"))
    assert "Permission denied while writing to" in done.err
    assert "name a directory for runs that you may write to" in done.err


def test_staging_on_another_file_system_is_refused(tmp_path):  # F055
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system to try")
    words = command(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / ".staging").symlink_to(memory)
    done = run(*words)

    assert (2, "") == (done.code, done.out)
    assert ".staging must be on the same file system as" in done.err


def test_a_clock_that_jumps_back_disturbs_nothing(tmp_path, monkeypatch):  # F063
    late = time.time_ns()
    monkeypatch.setattr(time, "time_ns", (late - i * HOUR_NS for i in itertools.count()).__next__)
    codes = [run(*command(tmp_path)).code for _ in range(2)]
    found = list_runs(tmp_path / "runs")

    assert [0, 0] == codes
    assert 2 == len({entry.run_id for entry in found})
    assert [[], []] == [verify(entry.path) for entry in found]
    assert min(ms for entry in found for ms in entry.manifest.timing_ms.values()) >= 0


@pytest.mark.parametrize(
    ("which", "room", "name"), [("candles", recipe, "read_candles"), ("alerts", alerts, "read_table")]
)
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch, which, room, name):  # F081
    words, file = command(tmp_path), tmp_path / f"{which}.parquet"
    usual = getattr(room, name)

    def changed(*given):
        found = usual(*given)
        file.write_bytes(file.read_bytes() + b"x")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(room, name, changed)
        done = run(*words)

    assert (3, "") == (done.code, done.out)
    assert f"{file} changed while it was being read; let nothing write to it, then repeat" in done.err
    assert [] == leftovers(tmp_path / "runs")
    assert [] == list(tmp_path.glob("runs/.slices/*.arrow"))


def test_compiled_code_that_others_may_change_is_refused(tmp_path):  # F086
    cache = tmp_path / "cache" / "highwater" / "kernels"
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    done = program(command(tmp_path), tmp_path, {"XDG_CACHE_HOME": str(tmp_path / "cache")})
    out, err = done.communicate(timeout=300)

    assert (77, "", 1) == (done.returncode, out, err.count("\n")), err
    assert "others may write compiled code here" in err


class Damage(NamedTuple):
    """A change of a published run: what ``do`` does to it, the exit code of ``runs verify`` and words it says."""

    id: str
    slug: str
    do: Callable[[Path], Any]
    code: int
    words: str


def replaced(path, data):
    path.unlink()
    path.write_bytes(data)


PATHS = "truth/paths.parquet"
# fmt: off
DAMAGES = [
    Damage("F072", "truncated_artifact", lambda r: replaced(r / PATHS, (r / PATHS).read_bytes()[:-1]), 4, "size is"),
    Damage("F073", "missing_artifact", lambda r: (r / PATHS).unlink(), 4, "is missing; the run was saved with it"),
    Damage("F074", "extra_file", lambda r: (r / "notes.txt").touch(), 0, "notes.txt: is no part of the run"),
    Damage("F075", "manifest_edited",
           lambda r: replaced(r / "run.json", (r / "run.json").read_bytes().replace(b"path-only", b"policy", 1)),
           4, "run.json was changed after the run was saved"),
    Damage("F087", "symlink_artifact", lambda r: ((r / PATHS).unlink(), (r / PATHS).symlink_to("/etc/passwd")),
           4, "is not a plain file"),
    Damage("F088", "fifo_artifact", lambda r: ((r / PATHS).unlink(), os.mkfifo(r / PATHS)), 4, "is not a plain file"),
]
# fmt: on


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return a directory of one run."""
    folder = tmp_path_factory.mktemp("saved")
    assert 0 == run(*command(folder)).code
    return folder / "runs"


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: f"{damage.id} {damage.slug}")
def test_damage_is_found(tmp_path, saved, damage):
    runs = shutil.copytree(saved, tmp_path / "runs")
    damage.do(find_run(runs, "latest").path)
    (entry,) = list_runs(runs)
    done = run("runs", "verify", "--all", "--runs", runs)

    assert damage.code == done.code, done.out + done.err
    assert damage.words.replace("run.json was", "was") in " ".join((done.out + done.err).split())
    assert (entry.status == "corrupt") == (damage.code == 4)
