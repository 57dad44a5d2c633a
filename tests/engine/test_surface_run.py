import json
import re
import shutil

import numpy as np
import pyarrow as pa
import pytest
import small_market
from highwater.engine import surface_run as work
from highwater.engine.recipe import prepare
from highwater.engine.settings import Guards, Sources, Store, Trading
from highwater.engine.surface import plan
from highwater.engine.surface_grid import grid_of
from highwater.engine.values import Range
from highwater.io import schemas
from highwater.io.errors import LimitError
from highwater.io.runs import find_run, read_artifact, read_manifest, verify
from rich.cells import cell_len
from small_market import Market, leftovers, run

HOSTILE = (
    "a\x1b[31mred\x1b]0;t\x07",
    "[red]b[/red] :smile:",
    "c\0d\ne\r",
    "\u202eevil",
    "é" * 30,
    "<b>&amp;",
    "狼" * 40,
)
RANGES = {
    "tp": (Range(1.05, 2.0, 0.05),),
    "sl": (Range(0.5, 0.95, 0.05),),
    "trail": (Range(0.1, 0.3, 0.1),),
    "time_stop_ms": (Range(1_800_000, 7_200_000, 1_800_000),),
}
CELLS = 20 * 10 * 3 * 4
PLAIN = ["--tp", "1.1:3:0.1", "--sl", "0.5:0.9:0.1"]
COMMANDS = {
    "plain": PLAIN,
    "one axis": ["--tp", "1.1:3:0.1", "--sl", "0.7"],
    "one cell": ["--tp", "2", "--sl", "0.7"],
    "everything": [
        *["--tp", "1.1:2:0.3", "--sl", "0.7:0.9:0.1", "--trail", "0.1:0.3:0.1", "--trail-activate", "1.1"],
        *["--breakeven", "1.2", "--breakeven-offset=-0.05", "--time-stop", "30m", "1h:3h:1h", "--medians"],
        *["--objective", "plateau_bps", "--top", "3"],
    ],
    "by caller": [*PLAIN, "--by", "caller"],
    "by day": [*PLAIN, "--by", "day", "--objective", "median_return_bps"],
}
each_command = pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)


def refuse(word):
    raise AssertionError(f"{word} is no JSON")


GUARDED = ("t_stat", "p_luck", "psr", "dsr_independent", "dsr_tried", "plateau_bps")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return (sources, trading, store) of a market whose callers have names that no terminal should see."""
    folder = tmp_path_factory.mktemp("market")
    calls = small_market.tables()[1].to_pylist()
    named = [call | {"caller_name": HOSTILE[i % len(HOSTILE)]} for i, call in enumerate(calls)]
    market = small_market.write(folder, None, pa.Table.from_pylist(named, schema=small_market.tables()[1].schema))
    sources = Sources(alerts=market.alerts, candles=market.candles)
    return sources, Trading(horizon=small_market.HORIZON), Store(runs=folder / "runs", quiet=True)


def surfaced(home, memory=512 << 20, by=None, medians=False, **store):
    sources, trading, usual = home
    usual = Store(**({"runs": usual.runs, "quiet": True} | store))

    def sized(prepared):
        return plan(grid_of(RANGES, 10**6), prepared, "avg_return_bps", medians, by, memory, 10**6)

    return work.run_surface(prepare(sources, trading, usual), usual, sized, Guards(), ("surface",))


@pytest.fixture(scope="module")
def outcome(home):
    return surfaced(home, by="caller", medians=True)


def test_a_run_is_published_whole(outcome):
    manifest = read_manifest(outcome.path)
    kinds = {
        "alerts",
        "paths",
        "callers",
        "errors",
        "log",
        "trades",
        "fills",
        "summary",
        "frontier",
        "heatmap",
        "guards",
    }

    assert ("surface", "completed", []) == (manifest.run_type, manifest.status, verify(outcome.path))
    assert kinds | {"surface", "surface_by"} == {artifact.type for artifact in manifest.artifacts}
    assert CELLS == manifest.execution["trials"]
    assert {"low": "0.1", "high": "0.3", "step": "0.1"} == manifest.config["surface"]["trail"][0]
    assert (outcome.path / "results" / "heatmap.svg").read_text().startswith("<svg")


@pytest.mark.parametrize("kind", ["surface", "surface_by", "frontier"])
def test_tables_have_their_schemas(outcome, kind):
    named = tuple(RANGES)
    wanted = {
        "surface": schemas.surface(named),
        "surface_by": schemas.surface_by("caller", named),
        "frontier": schemas.frontier(named, GUARDED),
    }[kind]
    found = read_artifact(outcome.path, kind)

    assert (wanted.names, wanted.types) == (found.schema.names, found.schema.types)
    assert {"surface": CELLS, "surface_by": 7 * CELLS, "frontier": 1000}[kind] == found.num_rows


def test_cells_stand_in_the_order_of_their_parameters(outcome):
    rows = read_artifact(outcome.path, "surface").to_pylist()
    order = [tuple(row[name] for name in RANGES) for row in rows]

    assert [*range(CELLS)] == [row["trial_id"] for row in rows]
    assert sorted(set(order)) == order


def test_a_row_is_what_its_numbers_say(outcome):
    trades = int(outcome.prepared.ok.sum())
    for row in read_artifact(outcome.path, "surface").to_pylist()[::97]:
        assert trades == row["trades_count"]
        assert row["sum_ret_q"] / trades / 100 == row["avg_return_bps"]
        assert row["mean_worst_bps"] <= row["avg_return_bps"] <= row["mean_best_bps"]
        assert row["plateau_bps"] <= row["avg_return_bps"]
        assert row["median_return_bps"] is not None


def test_the_frontier_holds_the_best_cells(outcome):
    cells = read_artifact(outcome.path, "surface").to_pylist()
    best = sorted(cells, key=lambda row: (-row["avg_return_bps"], row["trial_id"]))[:1000]
    found = read_artifact(outcome.path, "frontier").to_pylist()

    for name in ("trial_id", "avg_return_bps", "median_return_bps", "plateau_bps", "profit_factor", *RANGES):
        assert [row[name] for row in best] == [row[name] for row in found], name


def test_the_trades_are_those_of_the_best_cell(outcome):
    best = read_artifact(outcome.path, "frontier").to_pylist()[0]
    trades = read_artifact(outcome.path, "trades")

    assert {best["policy_id"]} == set(trades["policy_id"].to_pylist())
    assert round(best["avg_return_bps"] * 100 * best["trades_count"]) == sum(trades["ret_q"].drop_null().to_pylist())


def test_callers_add_up_to_all(outcome):
    whole = read_artifact(outcome.path, "surface")["sum_ret_q"].to_numpy()
    parts = read_artifact(outcome.path, "surface_by")
    names = parts["caller_name"].to_pylist()

    assert sorted(set(outcome.prepared.alerts["caller_name"].filter(outcome.prepared.ok).to_pylist())) == names[::CELLS]
    assert whole.tolist() == parts["sum_ret_q"].to_numpy().reshape(-1, CELLS).sum(axis=0).tolist()


def test_neither_memory_nor_threads_change_a_content(home, outcome):
    runs = [outcome, *(surfaced(home, by="caller", medians=True, **how) for how in ({"threads": 1}, {"threads": 2}))]
    runs.append(surfaced(home, by="caller", medians=True, memory=800_000, threads=2))
    manifests = [read_manifest(one.path) for one in runs]

    assert [20, 20, 20, 14] == [one.execution["block"] for one in manifests]
    assert 1 == len({one.config_digest for one in manifests})
    for kind in {artifact.type for artifact in manifests[0].artifacts}:
        assert 1 == len({a.content_sha256 for one in manifests for a in one.artifacts if a.type == kind}), kind


def test_medians_are_left_out_unless_asked_for(home, outcome):
    found = read_artifact(surfaced(home).path, "surface")
    named = [name for name in found.schema.names if name not in ("run_id", "median_return_bps")]

    assert CELLS == found["median_return_bps"].null_count
    assert read_artifact(outcome.path, "surface").select(named).equals(found.select(named))


def test_a_disk_without_room_refuses_before_it_starts(home, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(
        LimitError, match=r"needs about [0-9.]+ [kM]B in .*, 1 B free; free space, choose another --runs, or take long"
    ):
        surfaced(home, runs=tmp_path / "runs")

    assert [] == leftovers(tmp_path / "runs")


def command(home, words, *more):
    market = Market(home[0].candles, home[0].alerts)
    return run("surface", *words, *market.flags, "--runs", home[2].runs, "--quiet", *more)


@each_command
def test_the_command_prints_what_was_done_and_what_came_out(home, words):
    done = command(home, words)
    manifest = read_manifest(find_run(home[2].runs, "latest").path)

    assert (0, "") == (done.code, done.err)
    for text in (
        "19 used of 24 read",
        " cells x 19 alerts = ",
        " trades in ",
        "Best of ",
        "plateau",
        "resolution",
        "VERDICT",
    ):
        assert text in done.out
    assert f"run {manifest.run_id}\n" in done.out
    assert ("Mean return per trade" in done.out) == (words not in (COMMANDS["one axis"], COMMANDS["one cell"]))


@each_command
def test_no_line_is_wider_than_80_columns(home, words):
    lines = command(home, words).out.splitlines()
    free = re.compile(r"^winner |^run |^    /")

    assert [] == [line for line in lines if cell_len(line.rstrip()) > 80 and not free.match(line)]


def test_a_hostile_name_never_reaches_the_terminal_or_the_page(home, tmp_path):
    done = command(home, COMMANDS["by caller"], "--html", tmp_path / "page.html")
    text = done.out + done.err + (tmp_path / "page.html").read_text()

    assert [] == [c for c in text if not c.isprintable() and c != "\n"]


def test_the_page_needs_no_other_file(home, tmp_path):
    assert 0 == command(home, COMMANDS["everything"], "--html", tmp_path / "page.html").code
    text = (tmp_path / "page.html").read_text()

    assert {"http://www.w3.org/2000/svg"} == set(re.findall(r"https?://[^\"]*", text))
    for part in (
        "<!doctype html>",
        "<svg",
        "Best of 144 cells, by plateau",
        "19 used of 24 read",
    ):
        assert part in text
    ranking = text.partition('<section id="ranking">')[2].partition("</section>")[0]
    assert re.search("<th[^>]*>plateau</th>", ranking)
    assert 21 >= ranking.count("<tr>") > 1


@each_command
def test_json_is_one_document(home, words):
    found = json.loads(command(home, words, "--json").out, parse_constant=refuse)

    assert find_run(home[2].runs, "latest").run_id == found["run_id"]
    assert {"frontier", "summary", "config"} <= set(found)
    assert found["frontier"][0]["plateau_bps"] <= found["frontier"][0]["avg_return_bps"]


REFUSED = {
    "a step of nothing": (["--tp", "1.1:2:0"], 2, "--tp is '1.1:2:0'; its step must be above 0"),
    "a step back": (["--tp", "1.1:2:-0.1"], 2, "--tp is '1.1:2:-0.1'; its step must be above 0"),
    "reversed": (["--sl", "0.9:0.2:0.1"], 2, "--sl is '0.9:0.2:0.1'; it must run from low to high"),
    "across 1": (["--tp", "0.5:2:0.1"], 2, "tp must be > 1 (a multiple of the entry price); got 0.5"),
    "at 1": (["--sl", "0.5:1:0.1"], 2, "sl is a multiple of the entry price in (0,1); got 1"),
    "twice": (["--time-stop", "30m", "10m:1h:10m"], 2, "--time-stop has 30m twice"),
    "optimistic": (["--intrabar", "optimistic"], 2, "a surface does not cover --intrabar optimistic"),
    "path": (["--intrabar", "ohlc_path"], 2, "a surface does not cover --intrabar ohlc_path"),
    "legacy": (["--costs", "legacy"], 2, "a surface does not cover --costs legacy"),
    "a ladder": (["--ladder", "2@50%"], 2, "unknown flag --ladder"),
    "cells": (["--tp", "1.1:1000000:0.000001"], 5, "--tp 1.1:1000000:10 --sl 0.2:0.98:0.005 fits"),
    "cells of callers": (["--by", "caller", "--max-cells", "200000"], 5, "139,887 cells for each of 7 callers"),
    "memory": (["--mem", "100K"], 5, "raise it with --mem "),
    "a page that is there": (["--html", "{there}"], 2, "is there already; name a new file"),
    "a page nowhere": (["--html", "{there}/x/page.html"], 2, "there is no directory"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_in_one_line(home, case, tmp_path):
    words, code, message = REFUSED[case]
    there = tmp_path / "there.html"
    there.write_text("")
    done = command((*home[:2], Store(runs=tmp_path / "runs")), [word.format(there=there) for word in words])

    assert (code, "", 1) == (done.code, done.out, done.err.count("\n"))
    assert message in done.err
    assert [] == leftovers(tmp_path / "runs")


def test_defaults_are_a_grid(home):
    done = command(home, [])
    found = read_artifact(find_run(home[2].runs, "latest").path, "surface")

    assert "891 x 157 cells x 19 alerts = 2,657,853 trades in " in done.out
    assert 891 * 157 == found.num_rows
    assert np.array_equal(np.unique(found["tp"]), np.round(np.arange(110, 1001) / 100, 10))
