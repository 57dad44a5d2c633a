import sys

import pytest
from highwater.engine.user_code import function_named
from highwater.io.errors import MissingError, UsageError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text("FACTOR = 3\n")
    (tmp_path / "signal.py").write_text(
        "from beside import FACTOR\n"
        "from dataclasses import dataclass\n"
        "@dataclass\nclass Rule:\n    factor: int = FACTOR\n"
        "    @staticmethod\n    def ask(x):\n        return 2 * x\n"
        "def times(x):\n    return Rule().factor * x\n"
    )
    (tmp_path / "mine_only_here.py").write_text("def half(x):\n    return x / 2\nLIMIT = 5\n")
    (tmp_path / "broken.py").write_text("raise KeyError('no data')\n")
    (tmp_path / "lacking.py").write_text("import no_such_library\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_function_of_a_file(folder):
    assert 12 == function_named("signal.py:times")(4)
    assert 12 == function_named(f"{folder / 'signal.py'}:times")(4)
    assert 8 == function_named("signal.py:Rule.ask")(4)


def test_a_file_named_like_a_module_of_python_takes_nothing_away():
    import signal

    function_named("signal.py:times")

    assert sys.modules["signal"] is signal


def test_a_function_of_a_module():
    assert 2 == function_named("mine_only_here:half")(4)
    assert function_named("os.path:join") is __import__("os").path.join


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("signal.py", UsageError, "'signal.py' names no function; it must be module:function or file.py:function"),
        (":times", UsageError, "names no function"),
        ("signal.py:", UsageError, "names no function"),
        ("none.py:f", MissingError, "none.py does not exist"),
        ("no_such_module:f", MissingError, "no_such_module: there is no module no_such_module"),
        ("lacking.py:f", MissingError, "lacking.py: there is no module no_such_library"),
        ("signal.py:timse", MissingError, "signal.py has no timse; did you mean 'times'?"),
        ("mine_only_here:LIMIT", UsageError, "mine_only_here:LIMIT is a int; it must be a function of candles"),
        ("broken.py:f", UsageError, "broken.py: importing it raised KeyError: 'no data'"),
    ],
)
def test_what_is_not_there_is_told(name, error, says):
    with pytest.raises(error) as found:
        function_named(name)

    assert says in str(found.value)
