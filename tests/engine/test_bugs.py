import platformdirs
import pytest
from highwater.engine.bugs import record


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(platformdirs, "user_log_path", lambda *_, **__: tmp_path)
    return tmp_path


def raised():
    try:
        raise ValueError("\ud800 odd")
    except ValueError as error:
        return error


def test_a_traceback_stands_in_the_log_under_its_id(folder):
    first, second = record(raised()), record(raised())
    text = (folder / "errors.log").read_text()

    assert (folder / "errors.log", 8) == (first[1], len(first[0]))
    assert first[0] != second[0] and first[0] in text and second[0] in text
    assert 2 == text.count("Traceback")


def test_a_disk_that_refuses_is_no_second_error(folder):
    (folder / "errors.log").mkdir()

    assert None is record(raised())[1]
