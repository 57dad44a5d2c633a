"""Searches that go on around their best trials: what is tried, what is told of, and that nothing else moves it."""

import contextlib
import dataclasses
import json
import subprocess
import sys

import day_market
import numpy as np
import pytest
import small_market
from highwater.engine import kept, refine, sweep_run
from highwater.engine.diff import Change, changes
from highwater.engine.frontier import Frontier
from highwater.engine.refine import refined
from highwater.engine.space import GRID, Space, policy_at, rungs_of, to_policies
from highwater.engine.strategy import trade_columns
from highwater.engine.sweep import Choices, constraint, plan, search
from highwater.engine.sweep_run import tried
from highwater.engine.tallies import ground, tally
from highwater.engine.values import Range
from highwater.io.runs import find_run, read_artifact, read_manifest
from highwater.io.searches import Keeper, unfinished
from small_market import run

TRIALS, MORE = 120, 70
LADDER = rungs_of("1.02:1.3@50%,1.1:2@30%")
SPACES = {
    "fixed": Space({"tp": Range(1.1, 3.0, None, True), "sl": Range(0.5, 0.95)}),
    "one": Space({"tp": Range(1.1, 3.0, 0.1), "sl": Range(0.7, 0.7)}),
    "trailing": Space({"trail": Range(0.05, 0.5), "trail_activate": Range(1.0, 1.4), "sl": Range(0.7, 0.9)}),
    "ladder": Space({"sl": Range(0.6, 0.95)} | LADDER[0], LADDER[1]),
    "time": Space({"time_stop_ms": Range(300_000, 36_000_000, None, True), "sl": Range(0.8, 0.9)}),
}
SWEEP = ["sweep", "--horizon", "12h", "--quiet", "--trials", TRIALS, "--tp", "1.1:5", "--sl", "0.3:0.95"]


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return small_market.prepared(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    return day_market.written(tmp_path_factory.mktemp("days"))


def done(
    ready, space, more=MORE, objective="avg_return_bps", where=(), seed=3, memory=1 << 20, threads=2, engine="bars"
):
    """Return the plan, the parameters of the trials that refine a search, and the rows of both kinds of trials."""
    limits, how = tuple(map(constraint, where)), Choices(engine, refine=more)
    work = plan(space, TRIALS, seed, objective, limits, ready, memory, 10**9, how)
    there, best, blind, steps = ground(ready, engine, memory, threads), Frontier(work), [], []
    for _, columns, _ in search(there, work, lambda done: None):
        best.add(columns)
        blind += rows_of(columns)
    found = list(refined(there, work, best, steps.append))
    drawn = {name: np.concatenate([part[name] for part, _, _ in found]) for name in space.named}

    assert steps == [min(more, 32 * (i + 1)) * work.alerts for i in range(-(-more // 32))]
    return work, drawn, blind, [row for _, columns, _ in found for row in rows_of(columns)]


def rows_of(columns):
    given = {name: np.ma.asarray(v).tolist() for name, v in columns.items() if v is not None}
    return [dict(zip(given, row, strict=True)) for row in zip(*given.values(), strict=True)]


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_each_is_a_policy_of_the_space_traded_on_every_alert(ready, space):
    work, drawn, _, rows = done(ready, space)
    for i, row in enumerate(rows):
        assert TRIALS + i == row["trial_id"]
        for name, each in space.ranges.items():
            if not name.startswith("rung"):  # which are lifted where two are equal
                steps = (row[name] - each.low) / (each.step or GRID[name])
                assert each.low <= row[name] <= each.high
                assert row[name] == each.high or abs(steps - round(steps)) < 1e-6
        if space.shares:
            assert row["rung1"] < row["rung2"]
    for i in range(0, MORE, 11):
        trades, _ = trade_columns(ready, policy_at(space, drawn, i), 1)
        assert trades["ret_q"].sum() == rows[i]["sum_ret_q"]
    assert (TRIALS + MORE) * int(ready.ok.sum()) == work.pairs


@pytest.mark.parametrize(
    "how",
    [{"threads": 1}, {"memory": 30_000}, {"memory": 1 << 28, "engine": "tables"}, {"threads": 1, "engine": "tables"}],
    ids=str,
)
def test_however_it_is_done(ready, how):
    usual, other = (done(ready, SPACES["trailing"], **each)[2:] for each in ({}, {"memory": 1 << 26} | how))

    assert usual == other


def test_more_of_them_begin_with_the_same(ready):
    few, many = (done(ready, SPACES["fixed"], more)[3] for more in (41, 100))

    assert few == many[:41]


def test_another_seed_or_objective_asks_for_others(ready):
    seeds = [done(ready, SPACES["fixed"], 32, seed=seed)[3] for seed in (3, -1, 2**63 - 1)]
    wins = done(ready, SPACES["fixed"], 32, "win_rate")[3]

    assert 4 == len({tuple(row["tp"] for row in rows) for rows in (*seeds, wins)})


OBJECTIVES = ["avg_return_bps", "-avg_return_bps", "win_rate", "avg_return_bps - 4000 * stop_out_rate"]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", ["fixed", "trailing", "time"])
def test_they_lie_where_the_objective_is_high(ready, name, objective):
    """On average they beat three of four random trials, whichever way the objective points."""
    _, _, blind, rows = done(ready, SPACES[name], 100, objective)
    before, after = ([eval(objective, {}, row) for row in some] for some in (blind, rows))

    assert sorted(before)[int(0.75 * TRIALS)] < sum(after) / len(after)


def test_they_keep_to_the_constraints(ready):
    """Of the trials that pay best few stop out seldom: the search goes where both are had."""
    where = ["stop_out_rate<=0.35", "trades_count>=1"]
    _, _, blind, free = done(ready, SPACES["fixed"], 100, "avg_return_bps")
    _, _, _, bound = done(ready, SPACES["fixed"], 100, "avg_return_bps", where)
    kept = [sum(row["stop_out_rate"] <= 0.35 for row in rows) / len(rows) for rows in (blind, free, bound)]

    assert kept[2] > 0.5 > kept[1]
    assert kept[2] > kept[0]


def test_where_no_trial_keeps_a_constraint_they_come_nearer(ready):
    _, _, blind, rows = done(ready, SPACES["fixed"], 100, "avg_return_bps", ["stop_out_rate<=-1"])
    before, after = (sorted(row["stop_out_rate"] for row in some) for some in (blind, rows))

    assert after[50] < before[TRIALS // 2]


def test_by_how_much_constraints_are_broken():
    class Work:
        constraints = tuple(map(constraint, ["win_rate>=0.5", "stop_out_rate<0.2", "profit_factor>0"]))

    rows = {
        "win_rate": np.array([0.6, 0.4, 0.5, np.nan, 0.6]),
        "stop_out_rate": np.array([0.1, 0.5, 0.2, 0.1, 0.1]),
        "profit_factor": np.array([np.inf, 1.0, 1.0, 1.0, -2.0]),
        "meets": np.array([1.0, 0.0, 0.0, 0.0, 0.0]),
    }
    found = refine._broken(Work, rows).tolist()

    assert [0.0, pytest.approx(0.1 / 0.5 + 0.3 / 0.2), sys.float_info.min, np.inf, 2.0] == found


def test_what_is_undefined_or_without_end_is_no_stumbling_block(ready):
    for objective in ("profit_factor", "log(avg_return_bps)", "1 / (win_rate - win_rate)", "median_return_bps"):
        assert 40 == len(done(ready, SPACES["fixed"], 40, objective)[3])


def test_the_trials_of_a_search_are_both_in_order(ready):
    work, drawn, blind, rows = done(ready, SPACES["ladder"])
    every, there = tried(work, [drawn]), ground(ready, "bars", 1 << 20, 1)
    sums = [row["sum_ret_q"] for row in (*blind, *rows)]

    assert (TRIALS + MORE, TRIALS, TRIALS) == (every.count, every.blind, every.sample.sl.size)
    for first, count in ((0, TRIALS + MORE), (TRIALS - 3, 9), (TRIALS, 5), (TRIALS + 8, 3), (7, 4), (50, 0)):
        found = tally(there, every.policies(first, count), False, lambda done: None) if count else np.zeros(0, "i8,i8")
        assert sums[first : first + count] == (found["sum_q"].tolist() if count else [])
        assert count == every.policies(first, count).sl.size
    assert to_policies(work.space, drawn).sl.tolist() == every.policies(TRIALS, MORE).sl.tolist()


def searched(days, runs, more=MORE, *words):
    done = run(*SWEEP, *days.flags, "--runs", runs, "--refine", more, *words)
    assert (0, "") == (done.code, done.err)
    path = find_run(runs, "latest").path
    return done, path, read_manifest(path)


@pytest.fixture(scope="module")
def both(days, tmp_path_factory):
    """Return the run of a search that was refined, and of the same that was not."""
    runs = tmp_path_factory.mktemp("runs")
    return searched(days, runs / "more"), searched(days, runs / "blind", 0)


def test_a_run_holds_them_behind_the_random_ones(both):
    (done, path, manifest), (_, before, _) = both
    every, blind = (read_artifact(each, "trials").drop_columns("run_id").to_pylist() for each in (path, before))

    assert [*range(TRIALS + MORE)] == [row["trial_id"] for row in every]
    assert blind == every[:TRIALS]
    assert (TRIALS, MORE) == tuple(manifest.config["search"][name] for name in ("trials", "refine"))
    assert (MORE, TRIALS + MORE) == tuple(manifest.execution[name] for name in ("refined", "trials"))
    assert f"search   {TRIALS} trials and {MORE} around the best, seed 1" in done.out
    assert f"Best of {TRIALS + MORE} trials" in done.out
    best = read_artifact(path, "frontier").to_pylist()
    assert [row["avg_return_bps"] for row in best] == sorted((row["avg_return_bps"] for row in every), reverse=True)
    assert best[0]["trial_id"] >= TRIALS


def test_they_are_counted_but_do_not_vouch_for_themselves(both):
    """What was chosen with a look at all days tells nothing of halves and folds, and passes no test that the best
    random trial fails."""
    found, blind = (json.loads((path / "results/guards.json").read_text()) for _, path, _ in both)
    manifest = both[0][2]

    assert (TRIALS + MORE, MORE) == (found["search"]["trials"], found["search"]["refined"])
    assert manifest.execution["distinct"] == found["search"]["distinct"] == found["tried"] > blind["tried"]
    assert (blind["winner"]["halving"], blind["winner"]["unseen"]) == (
        found["winner"]["halving"],
        found["winner"]["unseen"],
    )
    assert blind["search"]["sharpe_variance"] == found["search"]["sharpe_variance"]
    assert blind["winner"]["ratio"]["independent"] == found["winner"]["ratio"]["independent"]
    rows = read_artifact(both[0][1], "frontier").to_pylist()
    floor = min(row["p_luck"] for row in rows if row["trial_id"] < TRIALS)
    assert floor <= min(row["p_luck"] for row in rows if row["trial_id"] >= TRIALS)


def test_the_heat_map_is_that_of_the_random_trials(both):
    maps = [next(a.sha256 for a in manifest.artifacts if a.type == "heatmap") for _, _, manifest in both]

    assert maps[0] == maps[1]


def test_a_search_of_the_same_trials_counts_once_and_another_refinement_adds(days, tmp_path):
    def tried_so_far(more, *words):
        return searched(days, tmp_path, more, *words)[2].trials_so_far

    blind, first = tried_so_far(0), tried_so_far(40)

    assert blind < first <= blind + 40
    assert [first] * 3 == [tried_so_far(more) for more in (40, 30, 0)]
    assert first < tried_so_far(40, "--objective", "win_rate") <= first + 40


def contents(path):
    return {a.path: a.content_sha256 for a in read_manifest(path).artifacts if a.type != "log"}


@pytest.mark.parametrize("at", [2, 4])
def test_a_search_that_was_stopped_ends_as_if_it_had_not_been(both, days, tmp_path, monkeypatch, at):
    """Stopped among the random trials, and in the middle of those around the best, which are asked for again."""
    within, calls = kept._within, []

    @contextlib.contextmanager
    def progress(what, *_):
        def advance(_):
            calls.append(what)
            if len(calls) == at:
                raise KeyboardInterrupt

        yield advance

    monkeypatch.setattr(kept, "FILE_S", 0.0)
    monkeypatch.setattr(kept, "_within", lambda plan, size: min(60, within(plan, size)))
    with monkeypatch.context() as patched:
        patched.setattr(sweep_run, "progress", progress)
        assert 130 == run(*SWEEP, *days.flags, "--engine", "bars", "--runs", tmp_path, "--refine", MORE).code
    (one,) = unfinished(tmp_path)
    blocks = Keeper(one.path).blocks

    assert {2: 60, 4: TRIALS}[at] == blocks[-1].last
    assert (0, "") == run("sweep", "--resume", one.run_id, "--runs", tmp_path, "--quiet")[::2]
    assert contents(both[0][1]) == contents(find_run(tmp_path, one.run_id).path)


def test_another_version_of_optuna_is_named(both):
    (_, _, manifest), (_, _, blind) = both
    other = dataclasses.replace(manifest, execution=manifest.execution | {"optuna": "0.1"})

    assert (Change("environment", "optuna", refine.version(), "0.1"),) == changes(manifest, other)
    assert () == changes(manifest, manifest) == changes(blind, blind)


WORDS = {
    "more than there are": (["--trials", "50", "--refine", "51"], "--refine is 51; it must be from 0 (none) to 50, as"),
    "more than are ranked": (
        ["--trials", "2000", "--refine", "1001"],
        "--refine is 1001; it must be from 0 (none) to 1,000",
    ),
    "fewer than none": (["--refine=-1"], "--refine is -1; it must be from 0"),
    "nothing to vary": (["--tp", "2", "--sl", "0.5", "--refine", "5"], "--refine needs a parameter to vary"),
    "a plateau": (
        ["--objective", "plateau_bps", "--refine", "5"],
        "is known of every trial; plateau_bps is found for the hundred",
    ),
    "growth": (["--objective", "2*log_growth_bps", "--refine", "5"], "of every trial; log_growth_bps is found"),
    "trades in all": (["--max-pairs", "5000", "--trials", "50", "--refine", "50"], "100 trials on "),
}


@pytest.mark.parametrize(("words", "text"), WORDS.values(), ids=WORDS)
def test_what_cannot_be_is_refused_in_one_line(days, tmp_path, words, text):
    done = run("sweep", *days.flags, "--runs", tmp_path / "runs", "--quiet", *words)

    assert (5 if "--max-pairs" in words else 2, "") == (done.code, done.out)
    assert text in done.err
    assert 1 == done.err.count("\n")


def test_without_optuna_nothing_is_begun(both, days, tmp_path, monkeypatch):
    line = "--refine needs optuna, which is not installed; pip install 'highwater[optuna]'\n"
    monkeypatch.setitem(sys.modules, "optuna", None)
    nowhere = ["--alerts", tmp_path / "none.parquet", "--candles", tmp_path / "none.parquet"]

    assert (2, "", f"highwater: {line}") == run("sweep", *nowhere, "--refine", "5", "--runs", tmp_path)
    path = both[0][1]
    again = run("runs", "rerun", path, "--runs", path.parents[1], "--quiet")
    assert (2, "", f"highwater: {line}") == again


def test_optuna_is_loaded_only_where_it_is_asked_for(days, tmp_path):
    code = (
        "import sys; from highwater.engine.cli import main; main(sys.argv[1:]);"
        "print([name for name in ('optuna', 'sqlalchemy') if name in sys.modules], file=sys.stderr)"
    )
    words = ["sweep", *days.flags, "--runs", tmp_path, "--quiet", "--trials", "20"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stderr
