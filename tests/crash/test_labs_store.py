"""A fetch killed, or let down by the disk, at each of its system calls: what was told of as stored is there, whole."""

import shutil

import pytest
from crash.strace import KILL, chosen
from crash.victims import fetch
from highwater.io.labs.store import Key, each, lab_records, raw, writing

LAB = "h:1", "lab"
HITS = (KILL, "error=ENOSPC", "error=EIO")


def kept(root):
    """Return backtest -> runtime, of all that are kept."""
    return {key.backtest: parts.get("runtime") for key, parts in each(root / "labs", *LAB)}


@pytest.mark.parametrize("what", HITS)
def test_whatever_happens_at_any_call_what_was_stored_is_whole(tmp_path, victims, each_hit, what):
    model = tmp_path / "model"
    with writing(model / "labs", *LAB) as out:
        number = out.begin_listing("{}")
        for name in ("a", "b"):
            out.seen(name, b"{}", True)
            out.add(name, "runtime", name.encode() * 9000)
        out.end_listing(number, 1)
    before = kept(model)
    calls = victims[0].calls("fetch", shutil.copytree(model, tmp_path / "traced"))

    def struck(mine, hit):
        call, _ = hit
        root = mine.folder / "runs"
        shutil.copytree(model, root)
        end = mine.hit("fetch", root, call, what)
        try:
            now = kept(root)
            assert before.items() <= now.items()
            assert set(end.out.split()) <= now.keys() - before.keys() <= {"c", "d"}
            assert all(now[name] == name.encode() * 9000 for name in end.out.split())
            assert end.code in (0, -9, 74)
            fetch(root)
            assert {name: name.encode() * 9000 for name in "abcd"} == kept(root)
            assert lab_records(root / "labs", *LAB).complete
            assert b"{}" == raw(root / "labs", Key(*LAB, "d"))["summary"]
        except Exception as error:
            return f"{what} at {call.name} {call.nth}, {call.text}: {end}: {error!r:.300}".replace(str(tmp_path), "")
        finally:
            shutil.rmtree(root)
        return ""

    hits = [(call, what) for call in chosen(calls) if what in call.hits]
    assert len(hits) > 15
    problems = each_hit(struck, hits)
    if problems:
        pytest.fail("\n".join([f"{len(problems)} of {len(hits)}", *problems]), pytrace=False)
