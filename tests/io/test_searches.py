import errno
import os
from pathlib import Path

import numpy as np
import pytest
from highwater.io import searches
from highwater.io.errors import BusyError, IntegrityError, MissingError, StoreError, UsageError
from highwater.io.manifest import new_run_id
from highwater.io.publish import stage
from highwater.io.searches import Keeper, find_unfinished, hold, is_kept, stopped, unfinished

ABOUT = {"trials": 10}
RUN = new_run_id()


class Stopped(BaseException):
    pass


def columns(first, count):
    trial = np.arange(first, first + count)
    factor = np.ma.array(trial / 3, mask=trial % 2 == 0)
    return {"trial_id": trial, "sl": trial / 7, "policy_id": None, "profit_factor": factor}


def search(root, *blocks, run_id=RUN, end=Stopped, about=ABOUT):
    """Keep blocks of (first, count) trials, and stop by ``end``."""
    try:
        with hold(root, run_id) as kept:
            kept.begin(about)
            for first, count in blocks:
                kept.add(first, columns(first, count))
                kept.keep()
            if end:
                raise end
    except Stopped:
        pass
    return root / ".staging" / f"{run_id}.search"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_kept_is_read_back_as_it_was_given(tmp_path):
    path = search(tmp_path, (0, 4), (4, 3))
    kept = Keeper(path)
    read = [part for block in kept.blocks for part in block.columns()]

    assert [(0, 4), (4, 7)] == [(block.first, block.last) for block in kept.blocks]
    assert ABOUT == kept.about()
    for part, (first, count) in zip(read, ((0, 4), (4, 3)), strict=True):
        given = columns(first, count)
        assert {"trial_id": np.dtype("int64"), "sl": np.dtype("float64"), "profit_factor": np.dtype("float64")} == {
            name: values.dtype for name, values in part.items()
        }
        assert given["trial_id"].tolist() == part["trial_id"].tolist()
        assert given["sl"].tobytes() == part["sl"].tobytes()
        assert given["profit_factor"].tolist() == part["profit_factor"].tolist()


def test_a_column_that_is_masked_throughout_stays_so(tmp_path):
    with hold(tmp_path, RUN) as kept:
        kept.begin(ABOUT)
        kept.add(0, {"profit_factor": np.ma.masked_all(3)})
        kept.keep()
        (part,) = kept.blocks[0].columns()

    assert [None] * 3 == part["profit_factor"].tolist()


def test_a_block_takes_several_parts(tmp_path):
    with hold(tmp_path, RUN) as kept:
        kept.begin(ABOUT)
        kept.add(0, columns(0, 2))
        kept.add(2, columns(2, 5))
        kept.keep()
        kept.keep()
        (block,) = kept.blocks

        assert (0, 7) == (block.first, block.last)
        assert [[0, 1], [2, 3, 4, 5, 6]] == [part["trial_id"].tolist() for part in block.columns()]


def test_nothing_is_left_where_nothing_was_kept(tmp_path):
    with pytest.raises(Stopped), hold(tmp_path, RUN) as kept:
        kept.begin(ABOUT)
        kept.add(0, columns(0, 2))
        raise Stopped

    assert [] == names(tmp_path / ".staging")


def test_what_was_not_kept_yet_is_let_go_and_the_rest_stays(tmp_path):
    with pytest.raises(Stopped), hold(tmp_path, RUN) as kept:
        kept.begin(ABOUT)
        kept.add(0, columns(0, 2))
        kept.keep()
        kept.add(2, columns(2, 2))
        raise Stopped

    assert [f"{RUN}.search"] == names(tmp_path / ".staging")
    assert ["0-2", "about"] == [name.partition("~")[0] for name in names(tmp_path / ".staging" / f"{RUN}.search")]


def test_it_is_gone_once_the_run_is_in_view(tmp_path):
    search(tmp_path, (0, 4))
    with hold(tmp_path, RUN) as kept, stage(tmp_path, "search", RUN) as staged:
        assert ABOUT == kept.about()
        run = staged.publish()

    assert f"run_id={RUN}" == run.name
    assert [] == names(tmp_path / ".staging")


def test_what_a_published_run_left_behind_is_swept(tmp_path):
    path = search(tmp_path, (0, 4))
    with stage(tmp_path, "search", RUN) as staged:
        staged.publish()

    assert path.exists()
    assert ([], False) == (unfinished(tmp_path), is_kept(path))
    with stage(tmp_path, "search"):
        assert not path.exists()


def test_a_publish_sweeps_no_search_that_can_go_on(tmp_path):
    path = search(tmp_path, (0, 4))
    empty = path.with_name(f"{new_run_id()}.search")
    empty.mkdir()
    with stage(tmp_path, "path-only") as staged:
        staged.publish()

    assert [path.name] == names(tmp_path / ".staging")


def test_a_killed_search_leaves_what_it_kept(tmp_path):
    pid = os.fork()
    if pid == 0:
        with hold(tmp_path, RUN) as kept:
            kept.begin(ABOUT)
            for first in (0, 2):
                kept.add(first, columns(first, 2))
                kept.keep()
            kept.add(4, columns(4, 2))
            os._exit(9)
    os.waitpid(pid, 0)
    (one,) = unfinished(tmp_path)
    with hold(tmp_path, RUN) as kept:
        kept.add(4, columns(4, 6))
        kept.keep()

        assert [(0, 2), (2, 4), (4, 10)] == [(block.first, block.last) for block in kept.blocks]
        assert all(block.is_sound() for block in kept.blocks)
    assert (RUN, False) == (one.run_id, one.held)


def test_two_processes_never_do_one_search(tmp_path):
    search(tmp_path, (0, 4))
    with (
        hold(tmp_path, RUN),
        pytest.raises(BusyError, match=f"another process is at work on the search {RUN}; stop that one"),
        hold(tmp_path, RUN),
    ):
        pass

    assert [f"{RUN}.search"] == names(tmp_path / ".staging")


def damage(path):
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_damaged_block_is_not_sound(tmp_path):
    path = search(tmp_path, (0, 4), (4, 3), (7, 3))
    blocks = Keeper(path).blocks
    damage(blocks[1].path)
    blocks[2].path.unlink()
    blocks[2].path.symlink_to(blocks[0].path)

    assert [True, False, False] == [block.is_sound() for block in blocks]


def test_a_search_whose_description_is_damaged_cannot_go_on(tmp_path):
    path = search(tmp_path, (0, 4))
    damage(next(path.glob("about~*")))

    with pytest.raises(IntegrityError, match=rf"is damaged .*; remove it with: highwater runs gc --drop {RUN}"):
        Keeper(path).about()
    assert "cannot go on: what it was is damaged" in stopped(path, tmp_path)
    assert [RUN] == [one.run_id for one in unfinished(tmp_path)]


def test_where_it_stopped_and_how_it_goes_on(tmp_path):
    path = search(tmp_path, (0, 4), (4, 3))
    words = f"stopped at trial 7 of 10; go on with: highwater sweep --resume {RUN}"

    assert words == stopped(path, Path("runs"))
    assert f"{words} --runs 'my runs'" == stopped(path, Path("my runs"))


def test_unfinished_searches_are_listed_newest_first_with_who_is_at_work(tmp_path):
    older, newer = new_run_id(1), new_run_id(2)
    search(tmp_path, (0, 4), run_id=older)
    search(tmp_path, (0, 4), run_id=newer)
    with hold(tmp_path, older):
        found = unfinished(tmp_path)

    assert [(newer, False), (older, True)] == [(one.run_id, one.held) for one in found]
    assert [] == unfinished(tmp_path / "none")


@pytest.mark.parametrize("name", [RUN, RUN.upper(), RUN[:14], RUN[-5:]], ids=["whole", "capitals", "start", "end"])
def test_a_search_is_named_by_its_id_or_a_part_of_it(tmp_path, name):
    search(tmp_path, (0, 4))

    assert RUN == find_unfinished(tmp_path, name)


def test_a_search_that_has_kept_nothing_yet_is_found_at_work(tmp_path):
    with hold(tmp_path, RUN):
        assert RUN == find_unfinished(tmp_path, RUN)


def test_what_cannot_go_on_says_why(tmp_path):
    done, failed = new_run_id(1), new_run_id(1)
    for run_id in (done, failed):
        with stage(tmp_path, "search", run_id) as staged:
            staged.publish() if run_id == done else staged.fail(ValueError("a bug"))
    search(tmp_path, (0, 4), run_id=new_run_id(1))
    for text, kind, words in (
        (done, UsageError, f"run {done} is complete; see highwater runs show {done}"),
        (failed, UsageError, f"run {failed} is failed, so nothing of it can go on; start it anew"),
        ("zzzz", MissingError, "there is no interrupted search 'zzzz' in"),
        ("zz", UsageError, "give at least 4 characters"),
        (done[:8], UsageError, "fits 3 runs: "),
    ):
        with pytest.raises(kind) as caught:
            find_unfinished(tmp_path, text)
        assert words in str(caught.value)


@pytest.mark.parametrize("step", ["open", "write", "fsync"])
def test_a_disk_that_refuses_leaves_whole_blocks_only(tmp_path, monkeypatch, step):
    """Each call of ``step`` fails once, in turn, until a search gets through."""
    real, at, problems = getattr(os, step), 0, []
    while at == len(problems):
        at += 1
        root, calls = tmp_path / str(at), iter(range(1, 10_000))

        def failing(*given, at=at, calls=calls, **named):
            if next(calls) == at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*given, **named)

        monkeypatch.setattr(searches.os, step, failing)
        try:
            search(root, (0, 2), (2, 2))
        except StoreError as error:
            problems.append(str(error))
        finally:
            monkeypatch.setattr(searches.os, step, real)
        for one in unfinished(root):
            kept = Keeper(one.path)
            assert ABOUT == kept.about()
            assert [(0, 2), (2, 4)][: len(kept.blocks)] == [(block.first, block.last) for block in kept.blocks]
            assert all(block.is_sound() for block in kept.blocks)
        with stage(root, "path-only"):
            assert {True} >= {is_kept(path) for path in (root / ".staging").glob("*.search")}

    assert len(problems) > 3
    assert {"disk full"} == {problem.partition(" while writing")[0] for problem in problems}
