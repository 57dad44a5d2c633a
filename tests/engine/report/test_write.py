import shutil

import pytest
from highwater.engine.report import write
from highwater.engine.report.write import write_report
from highwater.io import exports
from highwater.io.errors import MissingError
from highwater.io.housekeeping import leftovers
from old_runs import ALWAYS, JANUARY, made, names


def test_a_page_of_a_run_that_is_removed_meanwhile_does_not_bring_it_back(tmp_path, monkeypatch):
    run = made(tmp_path, JANUARY)

    def page(*_):
        shutil.rmtree(run)
        return "a page"

    monkeypatch.setattr(write, "page", page)
    with pytest.raises(MissingError, match=rf"^run {run.name.removeprefix('run_id=')} was deleted$"):
        write_report(run, tmp_path / "slices")

    assert [] == names(run.parent)


def test_a_draft_of_a_page_lies_where_it_is_swept_and_not_in_the_run(tmp_path, monkeypatch):
    run = made(tmp_path, JANUARY)
    before = names(run)
    monkeypatch.setattr(write, "page", lambda *_: "a page")

    class Killed(BaseException):
        pass

    def swap(new, _):
        assert "a page" == new.read_text()
        assert before == names(run)
        shutil.copytree(new.parent, new.parent.with_name(f".report.html.{'0' * 12}.draft"))
        raise Killed

    with monkeypatch.context() as killed, pytest.raises(Killed):
        killed.setattr(exports, "_swap", swap)
        write_report(run, tmp_path / "slices")
    (left,) = leftovers(tmp_path, ALWAYS)

    assert ("draft", run.parent) == (left.what, left.path.parent)
    assert run / "report.html" == write_report(run, tmp_path / "slices")
    assert [run.name] == [name for name in names(run.parent) if "0000" not in name]
