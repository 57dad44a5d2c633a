"""A power cut may undo whatever was not synced: what a publish has synced, and when (F058)."""

from pathlib import Path

import pytest


def undone(calls, run):
    """Return what a power cut could take from ``run``: its parts as it comes into view, its names in the end.

    A file is safe once it was synced after its last write; a name once its directory was, after the name came.
    """
    loose, problems = set(), []
    for call in calls:
        if call.text.split(" = ")[-1].startswith("-1"):
            continue
        *_, path = call.paths
        if call.name in ("mkdir", "mkdirat") or (call.name in ("open", "openat") and "O_CREAT" in call.text):
            loose |= {path, (path.parent, path.name)}
        elif "write" in call.name:
            loose.add(path)
        elif call.name in ("fsync", "fdatasync"):
            loose -= {path, *(name for name in loose if isinstance(name, tuple) and name[0] == path)}
        elif call.name.startswith("rename"):
            source = call.paths[0]
            inside = [what for what in loose if (what if isinstance(what, Path) else what[0]).is_relative_to(source)]
            problems += [f"{what} as the run comes into view" for what in inside]
            loose.add((path.parent, path.name))
    names = {(folder.parent, folder.name) for folder in (run, run.parent)}
    return problems + [f"{name} after all" for name in loose & names]


@pytest.fixture
def published(victims, tmp_path):
    """Return the calls of a publish into an empty directory, and the run."""
    root = tmp_path / "runs"
    root.mkdir()
    calls = victims[0].calls("publish", root)
    (run,) = root.glob("*/run_id=*")
    return calls, run


def test_a_power_cut_takes_nothing_from_a_run_in_view_and_no_run_that_was_told(published):  # F058
    calls, run = published

    assert 1 == sum(call.name.startswith("rename") for call in calls)
    assert [] == undone(calls, run)


def test_without_any_one_sync_it_would(published):
    calls, run = published
    syncs = [i for i, call in enumerate(calls) if call.name == "fsync"]
    idle = [i for i in syncs if not undone(calls[:i] + calls[i + 1 :], run)]

    assert len(syncs) > 8
    assert [run.parents[1]] == [calls[i].paths[0] for i in idle]  # made durable for the stage, whose name nobody needs
