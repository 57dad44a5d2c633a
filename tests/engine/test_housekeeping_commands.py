import pytest
from highwater.io.manifest import utc_text
from highwater.io.publish import stage
from highwater.io.runs import list_runs
from small_market import run

JANUARY, DAY = 1_735_689_600_000, 86_400_000


def made(root, ms, fail=False):
    with stage(root, "path-only") as staged:
        staged.created_at = utc_text(ms)
        return staged.fail(ValueError("a bug")) if fail else staged.publish()


@pytest.fixture
def runs(tmp_path):
    """Return a directory of five runs: two of January, one of February, an old failed one, a damaged one of March."""
    root = tmp_path / "runs"
    for day in (0, 1, 31):
        made(root, JANUARY + day * DAY)
    made(root, JANUARY + 2 * DAY, fail=True)
    (made(root, JANUARY + 70 * DAY) / "errors" / "errors.parquet").unlink()
    return root


def left(root):
    """Return the (month, status) of the runs that are left."""
    return sorted((entry.path.parent.name, entry.status) for entry in list_runs(root))


ALL = [
    ("2025-01", "completed"),
    ("2025-01", "completed"),
    ("2025-01", "failed"),
    ("2025-02", "completed"),
    ("2025-03", "corrupt"),
]


def test_gc_removes_old_failed_runs_and_says_so_first(runs):
    dry = run("runs", "gc", "--runs", runs, "--dry-run")

    assert ALL == left(runs)
    assert (0, "") == (dry.code, dry.err)
    assert dry.out.startswith(f"would remove failed run {runs}/2025-01/run_id=")
    done = run("runs", "gc", "--runs", runs)
    assert dry.out.replace("would remove", "removed") == done.out
    assert [one for one in ALL if one[1] != "failed"] == left(runs)
    assert f"nothing to remove in {runs}\n" == run("runs", "gc", "--runs", runs).out


def test_gc_keeps_failed_runs_that_are_young(runs):
    assert f"nothing to remove in {runs}\n" == run("runs", "gc", "--runs", runs, "--older-than", "36500d").out
    assert ALL == left(runs)


@pytest.mark.parametrize(
    ("words", "kept"), [(["--before", "2025-02-01"], ALL[3:]), (["--keep", "1"], ALL[3:]), (["--keep", "9"], ALL)]
)
def test_prune_removes_old_runs_and_leaves_damaged_ones(runs, words, kept):
    dry = run("runs", "prune", *words, "--runs", runs, "--dry-run")

    assert ALL == left(runs)
    done = run("runs", "prune", *words, "--runs", runs)
    assert dry.out.replace("would remove", "removed").replace("would be ", "") == done.out
    assert kept == left(runs)
    assert f"{5 - len(kept)} runs removed, 1 left alone\n" in done.out
    assert "errors/errors.parquet is missing" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prune"], "name either --before or --keep"),
        (["prune", "--keep", "1", "--before", "2025-01-01"], "name either --before or --keep"),
        (["prune", "--keep=-1"], "--keep is -1; it must be at least 0"),
        (["archive"], "missing --before"),
        (["archive", "--before", "2025-13"], "it must be a month such as 2025-03"),
        (["archive", "--before", "2025-01-01"], "it must be a month such as 2025-03"),
        (["restore", "no.tar.zst"], "no.tar.zst does not exist"),
    ],
)
def test_a_command_that_makes_no_sense_removes_nothing(runs, words, message):
    done = run("runs", *words, "--runs", runs)

    assert (2, "") == (done.code, done.out)
    assert message in done.err
    assert ALL == left(runs)


def test_months_are_archived_and_restored(runs, tmp_path):
    dry = run("runs", "archive", "--before", "2025-03", "--runs", runs, "--dry-run")
    done = run("runs", "archive", "--before", "2025-03", "--runs", runs)
    gone = left(runs)
    back = run("runs", "restore", runs / "archive" / "2025-01.tar.zst", "--runs", runs)
    again = run("runs", "restore", runs / "archive" / "2025-01.tar.zst", "--runs", runs)

    assert "would archive 2025-01: 3 runs\nwould archive 2025-02: 1 runs\n" == dry.out
    assert f"{runs}/archive/2025-01.tar.zst: 3 runs\n{runs}/archive/2025-02.tar.zst: 1 runs\n" == done.out
    assert ALL[4:] == gone
    assert ALL[:3] + ALL[4:] == left(runs)
    assert 3 == back.out.count("restored ")
    assert 3 == again.out.count(": there already\n")
    assert f"no runs before 2025-01 in {runs}\n" == run("runs", "archive", "--before", "2025-01", "--runs", runs).out


def test_a_damaged_run_keeps_its_month_where_it_is(runs):
    done = run("runs", "archive", "--before", "2025-04", "--runs", runs, "--to", runs.parent / "old")

    assert (4, "") == (done.code, done.out)
    assert "put that right, then archive 2025-03" in done.err
    assert ALL == left(runs)
    assert not (runs.parent / "old").exists()
