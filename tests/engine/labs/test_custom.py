from importlib.metadata import EntryPoint

import pytest
from highwater.engine.labs import custom
from highwater.engine.labs.analysis import analyse
from highwater.engine.labs.custom import functions, measured
from highwater.io.errors import MissingError, UsageError
from small_lab import position, tables

DAY = 86_400
START = 20_000 * DAY
GOOD = [position(START, START + 60, 5.0, 6.0), position(START + 120, START + 240, 5.0, 5.5)]
SOURCE = """
import pyarrow.compute as pc

def largest(positions):
    return {"positions": positions.num_rows, "best": pc.max(positions["realized_profit"]).as_py(), "word": "x"}

def fails_on_none(positions):
    return {"first": positions["realized_profit"][0].as_py()}

def wrong(positions):
    return 3

def nested(positions):
    return {"a": [1]}

LIMIT = 3
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return lambda name: f"{path}:{name}"


@pytest.fixture
def found():
    return analyse(tables([GOOD, [], GOOD[:1]]))


def test_a_function_is_asked_about_each_backtest(mine, found):
    name = mine("largest")
    table, notes = measured(found, functions([name]))
    best = max(each["rp"] for each in GOOD)

    assert ["b0"] * 3 + ["b1"] * 3 + ["b2"] * 3 == table["backtest_id"].to_pylist()
    assert ["positions", "best", "word"] * 3 == table["metric"].to_pylist()
    assert [2.0, best, None, 0.0, None, None, 1.0, GOOD[0]["rp"], None] == table["number"].to_pylist()
    assert ["x"] * 3 == table["text"].drop_null().to_pylist()
    assert {name} == set(table["function"].to_pylist())
    assert () == notes


def test_where_it_fails_is_noted(mine, found):
    name = mine("fails_on_none")
    table, notes = measured(found, functions([name]))

    assert 2 == table.num_rows
    assert [("b1", f"{name} raised IndexError: index out of bounds")] == list(notes)


def test_failing_everywhere_is_refused(mine):
    with pytest.raises(UsageError, match=r"fails_on_none failed on every backtest: .* raised IndexError"):
        measured(analyse(tables([[], []])), functions([mine("fails_on_none")]))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wrong", "returned a int; it must be a dict of names"),
        ("nested", r"returned 'a': \[1\]; it must be a text with"),
    ],
)
def test_what_it_returns_must_be_values_by_name(mine, found, name, said):
    with pytest.raises(UsageError, match=said):
        measured(found, functions([mine(name)]))


def test_what_is_no_function_is_refused(mine):
    with pytest.raises(UsageError, match="it must be a function of positions"):
        functions([mine("LIMIT")])


def test_a_registered_function_goes_by_its_name(mine, monkeypatch):
    entries = [EntryPoint("turnover", "math:fsum", custom.GROUP), EntryPoint("gone", "nowhere_at_all:f", custom.GROUP)]
    monkeypatch.setattr(custom, "entry_points", lambda group: entries if group == custom.GROUP else [])

    assert "fsum" == functions(["turnover"])["turnover"].__name__
    with pytest.raises(MissingError, match=r"no analytics 'turnovr' is registered .*did you mean 'turnover'"):
        functions(["turnovr"])
    with pytest.raises(UsageError, match="analytics 'gone': loading it raised ModuleNotFoundError"):
        functions(["gone"])


def test_without_functions_the_table_is_empty(found):
    table, _ = measured(found, {})

    assert (0, ["backtest_id", "function", "metric", "number", "text"]) == (table.num_rows, table.schema.names)
