import json
import re

import numpy as np
import pyarrow as pa
import pytest
import small_market
from highwater.engine import rates
from highwater.engine.callers_show import between
from highwater.io.runs import find_run, list_runs
from rich.cells import cell_len
from small_market import HORIZON, run, table_of

HOSTILE = ("a\x1b[31mred", "[red]b[/red] :smile:", "c\0d\ne", "\u202eevil", "é" * 30, "name " * 60, "狼" * 40, "")
COMMANDS = {
    "rates": [],
    "times": ["--times"],
    "policies": ["--policies", "--tp", "1.1:3:0.1", "--sl", "0.5:0.9:0.1"],
    "all": ["--multiple", "5", "--sort", "score", "--top", "2", "--min-calls", "2", "--times", "--policies"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a directory with a baseline run of callers whose names no terminal should see; its inputs are gone."""
    folder = tmp_path_factory.mktemp("market")
    calls = small_market.tables()[1].to_pylist()
    named = [call | {"caller_name": HOSTILE[i % len(HOSTILE)]} for i, call in enumerate(calls)]
    market = small_market.write(folder, None, pa.Table.from_pylist(named, schema=small_market.tables()[1].schema))
    done = run("baseline", *market.flags, "--horizon", f"{HORIZON}ms", "--runs", folder / "runs", "--quiet")
    assert 0 == done.code, done.err
    for path in market:
        path.unlink()
    return folder / "runs"


def command(runs, words, *more):
    return run("callers", "latest", *words, "--runs", runs, "--quiet", *more)


def refuse(word):
    raise AssertionError(f"{word} is no JSON")


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_command_prints_its_tables(runs, words):
    done = command(runs, words)
    run_id = find_run(runs, "latest").run_id

    assert (0, "") == (done.code, done.err)
    assert f"Callers of run {run_id}\n" in re.sub(" +\n", "\n", done.out)
    assert ("Time to" in done.out) == ("--times" in words)
    assert ("Best fixed exits" in done.out) == ("--policies" in words)
    assert ("more than luck?" in done.out) == ("few      fewer than 20 days" in done.out) == ("--policies" in words)
    assert ("and 6 more; --top, --json\n" in done.out) == ("--top" in words)


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_no_line_is_wider_than_80_columns_and_none_is_broken(runs, words):
    lines = command(runs, words).out.splitlines()

    assert [] == [line for line in lines if cell_len(line.rstrip()) > 80]
    assert [] == [line for line in lines if re.fullmatch(r"[a-z]+\s*", line)]


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_hostile_name_never_reaches_the_terminal(runs, words):
    done = command(runs, words)

    assert [] == [c for c in done.out + done.err if not c.isprintable() and c != "\n"]


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_json_is_one_document_with_every_caller(runs, words):
    found = json.loads(command(runs, words, "--json").out, parse_constant=refuse)
    table = {row["caller_name"]: row for row in table_of(runs, "callers").to_pylist()}

    assert find_run(runs, "latest").run_id == found["run_id"]
    assert ("5x" if "5" in words else "2x") == found["multiple"]
    for row in found["callers"]:
        assert {name: value for name, value in table[row["caller_name"]].items() if name != "run_id"} == row
    assert ("--top" in words) or len(table) == len(found["callers"])
    assert ("times" in found, "policies" in found) == ("--times" in words, "--policies" in words)
    if "times" in found:
        rows = {each["caller_name"]: each for each in found["times"]}
        assert found["pool"]["reached"] == rows[None]["reached"]
        for name, row in table.items():
            if row["calls"] > row["calls_excluded"]:
                assert row[f"hit_{found['multiple']}_km"] == rows[name]["chances"][-1]["chance"]
                assert row[f"calls_died_{found['multiple']}"] == rows[name]["died"]
    if "policies" in found:
        pairs = zip(found["policies"]["rows"], found["policies"]["guards"], strict=True)
        assert all(row["caller_name"] == guard["caller_name"] for row, guard in pairs)
        assert {"too few days to tell"} == {guard["word"] for guard in found["policies"]["guards"]}
        assert found["policies"]["whole"]["avg_return_bps"] <= found["policies"]["best_bps"] or "--min-calls" in words


def test_a_row_shows_what_the_artifact_holds(runs):
    rows = table_of(runs, "callers").to_pylist()
    first = min(rows, key=lambda row: (-(row["hit_2x_shrunk"] or 0), row["caller_name"]))
    shown = next(line for line in command(runs, []).out.splitlines() if re.search(r"\d-\d+%", line)).split()
    hits, calls = np.array([first["calls_reached_2x"]]), np.array([first["calls"] - first["calls_excluded"]])
    figures = [first["hit_2x_rate"], None, first["hit_2x_shrunk"]]
    figures[1] = between(*(float(end[0]) for end in rates.wilson(hits, calls)))

    wanted = [each if isinstance(each, str) else f"{each * 100:.0f}%" for each in figures]
    assert [str(calls[0]), *wanted, f"{first['hit_2x_q']:.3f}"] == shown[-8:-3]


def test_nothing_is_published_and_threads_change_nothing(runs):
    before = [entry.run_id for entry in list_runs(runs)]
    documents = {command(runs, COMMANDS["all"], "--json", "--threads", n).out for n in (1, 2)}

    assert before == [entry.run_id for entry in list_runs(runs)]
    assert 1 == len(documents)


def test_an_unnamed_caller_is_not_all_callers(runs):
    lines = command(runs, ["--times"]).out.partition("Time to")[2].splitlines()

    assert 1 == sum(line.startswith("all ") for line in lines)
    assert 1 == sum(line.startswith("(none) ") for line in lines)


REFUSED = {
    "another multiple": (["--multiple", "2.5"], 2, "--multiple is 2.5; it must be one of 2, 3, 4, 5, 10"),
    "an order": (["--sort", "luck"], 2, "--sort is 'luck'; it must be one of shrunk"),
    "a grid": (["--policies", "--tp", "0.5:2:0.1"], 2, "tp must be > 1"),
    "no slices": (["--times", "--slices", "nowhere"], 2, "name their folder with --slices"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_in_one_line(runs, case, tmp_path, monkeypatch):
    words, code, message = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    done = command(runs, words)

    assert (code, "", 1) == (done.code, done.out, done.err.count("\n"))
    assert message in done.err
