"""Work killed, or let down by the disk, at each of its system calls: what readers see then, and what comes of it."""

import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from crash.strace import KILL, chosen
from crash.victims import MARK, SIX, archives_of, cache_of, cut, fail, keep, measure, origin, pack, publish, slices_of
from highwater.io import cache
from highwater.io.archives import restore
from highwater.io.catalog import sync
from highwater.io.catalog_store import FOLDER, POINTER, rows
from highwater.io.errors import MissingError
from highwater.io.housekeeping import collect, leftovers
from highwater.io.runs import list_runs, verify
from highwater.io.searches import Keeper, hold, unfinished
from highwater.io.slices import find, slices
from highwater.io.slices import verify as verify_slice

# 4: a run that cannot be read is not proved, so a month with it is not archived and an archive with it not restored.
CODES = {"error=ENOSPC": {74}, "error=EIO": {4, 74}, "error=EXDEV": {74}, "error=EACCES": {4, 74, 77}}
UNCONFIRMED = "is complete but the disk did not confirm it"
OTHER = "0" * 26
NEVER = "0000"  # no failed run was made before that


def bare(root):
    """Two runs, one failed, and what a dead process left."""
    publish(root)
    fail(root)
    (root / ".staging" / "01dead.1.aa" / "inputs").mkdir(parents=True)


def searched(root):
    """A run, an interrupted search, and what a search left that was killed before it kept anything."""
    publish(root)
    with suppress(KeyboardInterrupt), hold(root, OTHER) as kept:
        kept.begin({"trials": SIX})
        kept.add(0, {"trial_id": np.arange(2)})
        kept.keep()
        raise KeyboardInterrupt
    (root / ".staging" / "01dead.search").mkdir()
    (root / ".staging" / "01dead.search" / "part").touch()


def synced(root):
    """Two runs in the catalog and one that is not."""
    publish(root)
    fail(root)
    sync(root)
    publish(root)


def unsynced(root):
    """Two runs and no catalog."""
    publish(root)
    fail(root)


def sliced(root):
    """A slice."""
    cut(root, "cd" * 32)


def measured(root):
    """Path metrics of the same origin, as another version may have written them."""
    measure(root, ["mdd"])


def packed(root):
    """An archive of one run."""
    publish(root)
    pack(root)


def seen(root):
    """Return run -> what it holds, of all runs that readers see; each is whole."""
    found = list_runs(root)

    assert [] == [finding for run in found for finding in verify(run.path)]
    assert {run.status for run in found} <= {"completed", "failed"}
    return {run.run_id: {p.name: p.read_bytes() for p in run.path.rglob("*") if p.is_file()} for run in found}


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def after_publish(root, before, end):
    now = seen(root)

    assert before.items() <= now.items()
    assert len(now) - len(before) == (end.code == 0 or UNCONFIRMED in end.err) or end.code == -9
    assert len(now) - len(before) in (0, 1)
    publish(root)
    assert [] == names(root / ".staging")
    assert len(now) + 1 == len(seen(root))


def after_keep(root, before, end):
    """What was kept is whole and goes on where it stopped; nothing is left of it once its run is in view."""
    now = seen(root)
    found = [one for one in unfinished(root) if one.run_id != OTHER]

    assert len(now) - len(before) == (end.code == 0 or UNCONFIRMED in end.err) or end.code == -9
    assert len(found) + len(now) - len(before) in (0, 1)
    for one in found:
        kept = Keeper(one.path)
        assert {"trials": SIX} == kept.about()
        assert [(0, 2), (2, 4), (4, 6)][: len(kept.blocks)] == [(block.first, block.last) for block in kept.blocks]
        assert all(block.is_sound() for block in kept.blocks)
        keep(root, one.run_id)
        assert b"[2, 4, 6]" == seen(root)[one.run_id]["trials.txt"]
    publish(root)
    assert [f"{OTHER}.search"] == names(root / ".staging")


def after_sync(root, before, end):
    """The catalog is the old one or the new one; the next sync repairs what there is to repair, and finds no damage."""
    known = (root / FOLDER / POINTER).exists()
    if known:
        assert rows(root, "SELECT count(*) FROM catalog.runs")[0][0] in {len(before), 2}
    else:
        with pytest.raises(MissingError):
            rows(root, "FROM catalog.runs")
        assert end.code
    assert before == seen(root)
    assert "" == sync(root).damage
    assert {("completed", len(before) - 1), ("failed", 1)} == set(
        rows(root, "SELECT status, count(*) FROM catalog.runs GROUP BY 1")
    )
    left = [name for name in names(root / FOLDER) if not name.endswith(".damaged")]  # it could not be read
    assert ["catalog-", "current", "lock"] == [name.partition("-")[0] + "-" * ("-" in name) for name in left]


def after_cut(root, before, end):
    found = find(slices_of(root), MARK)
    listed = list(slices(slices_of(root)))

    assert found or end.code
    assert 1 + (found is not None) == len(listed)
    for one in listed:
        verify_slice(one)
    cut(root)
    assert 4 == len(names(slices_of(root)))


def after_measure(root, before, end):
    """There are the old metrics or the new ones, whole; only a kill between the two leaves both."""
    found, there = cache.find(cache_of(root), origin()), names(cache_of(root))
    parquet = [name for name in there if name.endswith(".parquet")]

    assert found is not None
    assert "mdd" in found.schema.names or end.code or len(parquet) == 2
    assert len(parquet) in (1, 2)
    measure(root)
    assert 1 == len(names(cache_of(root)))
    assert "mdd" in cache.find(cache_of(root), origin()).schema.names


def after_prune(root, before, end):
    now = seen(root)

    assert now.items() <= before.items()
    assert len(before) - len(now) == 1 or end.code
    collect(root, leftovers(root, NEVER))
    assert [] == names(root / ".trash")
    assert now == seen(root)


def after_pack(root, before, end):
    assert seen(root).items() <= before.items()
    for path in archives_of(root).glob("*.tar.zst"):
        restore(root, path)
    assert before == seen(root)
    pack(root)
    collect(root, leftovers(root, NEVER))
    assert {} == seen(root)
    assert {".zst"} == {path.suffix for path in archives_of(root).rglob("*")}
    assert [] == names(root / ".trash")


def after_unpack(root, before, end):
    now = seen(root)

    assert len(now) == 1 or end.code
    for path in archives_of(root).glob("*.tar.zst"):
        restore(root, path)
    assert now.items() <= seen(root).items()
    assert 1 == len(seen(root))
    assert [] == names(root / ".staging")


WORK = [
    ("publish", bare, after_publish),
    ("fail", bare, after_publish),
    ("keep", searched, after_keep),
    ("sync", synced, after_sync),
    ("sync", unsynced, after_sync),
    ("cut", sliced, after_cut),
    ("measure", measured, after_measure),
    ("prune", unsynced, after_prune),
    ("pack", unsynced, after_pack),
    ("unpack", packed, after_unpack),
]


@pytest.mark.parametrize(("work", "given", "after"), WORK, ids=[f"{row[0]} {row[1].__name__}" for row in WORK])
def test_whatever_happens_at_any_call_nothing_is_half_there_and_nothing_lost(
    tmp_path, victims, each_hit, work, given, after
):
    model = tmp_path / "model"
    given(model)
    before = seen(model)
    calls = victims[0].calls(work, Path(shutil.copytree(model, tmp_path / "traced", symlinks=True)))
    hits = [(call, what) for call in chosen(calls) for what in call.hits]

    def struck(mine, hit):
        call, what = hit
        root = mine.folder / "runs"
        shutil.copytree(model, root)
        end = mine.hit(work, root, call, what)
        try:
            as_told(call, what, end)
            after(root, before, end)
        except Exception as error:
            return f"{what} at {call.name} {call.nth}, {call.text}: {end}: {error!r:.300}".replace(str(tmp_path), "")
        finally:
            shutil.rmtree(root)
        return ""

    problems = each_hit(struck, hits)
    if problems:
        pytest.fail("\n".join([f"{len(problems)} problems", *problems]), pytrace=False)


def test_a_directory_that_cannot_be_read_is_not_an_empty_one(tmp_path, victims):
    root = tmp_path / "runs"
    unsynced(root)
    opened = [call for call in victims[0].calls("look", root) if call.paths[0] in (root, *root.glob("[0-9]*"))]
    ends = [victims[0].hit("look", root, call, "error=EACCES") for call in opened if call.reads]

    assert [(77, "")] * 2 == [(end.code, end.out) for end in ends]


def as_told(call, what, end):
    """A kill kills; an error is met with its exit code and one line, or survived; but a failed sync is never."""
    assert end.hit
    if what == KILL:
        assert -9 == end.code
    elif end.code:
        assert end.code in CODES[what]
        assert 1 == end.err.count("\n")
        assert end.err.startswith("highwater: ")
    else:
        assert "sync" not in call.name
