"""What a search says to ranges and limits that cannot be: one line, and an exit code."""

import pytest
import small_market
from small_market import leftovers, run

USAGE, LIMIT = 2, 5
STEP = "its step must be above 0 and no longer than the range"
ORDER = "it must run from low to high"
WORDS = {
    "a step of zero": (["--tp", "1.1:3:0"], USAGE, f"--tp is '1.1:3:0'; {STEP}"),
    "a negative step": (["--sl", "0.5:0.9:-0.1"], USAGE, f"--sl is '0.5:0.9:-0.1'; {STEP}"),
    "a step above the range": (["--sl", "0.5:0.6:0.2"], USAGE, f"--sl is '0.5:0.6:0.2'; {STEP}"),
    "a step of no time": (["--time-stop", "5m:2h:0s"], USAGE, f"--time-stop is '5m:2h:0s'; {STEP}"),
    "a step of a logarithm": (["--tp", "log:1.1:3:0.1"], USAGE, "--tp is 'log:1.1:3:0.1'; it must be low:high"),
    "a reversed range": (["--tp", "3:1.1"], USAGE, f"--tp is '3:1.1'; {ORDER}"),
    "a reversed logarithm": (["--tp", "log:3:1.1"], USAGE, f"--tp is 'log:3:1.1'; {ORDER}, both above 0"),
    "a reversed time": (["--time-stop", "2h:5m"], USAGE, f"--time-stop is '2h:5m'; {ORDER}"),
    "a reversed rung": (["--ladder", "3:1.5@100%"], USAGE, f"--ladder is '3:1.5'; {ORDER}"),
    "a logarithm from zero": (["--trail", "log:0:0.5"], USAGE, f"--trail is 'log:0:0.5'; {ORDER}, both above 0"),
    "a target at 1": (["--tp", "1:3"], USAGE, "tp must be > 1 (a multiple of the entry price); got 1"),
    "a target across 1": (["--tp", "0.9:3"], USAGE, "tp must be > 1 (a multiple of the entry price); got 0.9"),
    "a rung at 1": (["--ladder", "1:2@100%"], USAGE, "tp must be > 1 (a multiple of the entry price); got 1"),
    "a stop at 1": (["--sl", "0.5:1"], USAGE, "sl is a multiple of the entry price in (0,1); got 1"),
    "a stop across 1": (["--sl", "0.5:1.2"], USAGE, "sl is a multiple of the entry price in (0,1); got 1.2"),
    "a stop at 0": (["--sl", "0:0.5"], USAGE, "sl is a multiple of the entry price in (0,1); got 0"),
    "a trail at 1": (["--trail", "0.1:1"], USAGE, "trail is a fraction in (0,1); got 1"),
    "armed below 1": (
        ["--trail", "0.1:0.5", "--trail-activate", "0.9:2"],
        USAGE,
        "trail_activate is a multiple of the entry price, at least 1; got 0.9",
    ),
    "a breakeven at 1": (["--breakeven", "1:2"], USAGE, "breakeven is a multiple of the entry price above 1; got 1"),
    "an offset across its trigger": (
        ["--breakeven", "1.1:2", "--breakeven-offset=-0.1:0.2"],
        USAGE,
        "an offset must lie below its trigger; keep it below 0.1",
    ),
    "a flag twice": (["--tp", "2:3", "--tp", "2:4"], USAGE, "--tp"),
    "two kinds of targets": (["--tp", "2:3", "--ladder", "2:3@100%"], USAGE, "--tp and --ladder exclude each other"),
    "an unknown engine": (["--engine", "table"], USAGE, "--engine is 'table'; it must be one of auto, tables, bars"),
    "tables of what they do not cover": (
        ["--engine", "tables", "--intrabar", "optimistic"],
        USAGE,
        "--engine tables does not cover --intrabar optimistic; use --engine bars",
    ),
    "medians of some": (["--medians", "some"], USAGE, "--medians is 'some'; it must be one of top, all"),
    "no trades": (["--trades", "0"], USAGE, "--trades is 0; it must be from 1 to 1,000"),
    "more trades than are ranked": (["--trades", "1001"], USAGE, "--trades is 1001; it must be from 1 to 1,000"),
    "too little memory": (
        ["--mem", "1K"],
        LIMIT,
        "needs at least 0.00841 MiB; the budget is 0.000977 MiB: raise it with",
    ),
    "too little memory for tables": (["--mem", "20K", "--engine", "tables"], LIMIT, "or use --engine bars"),
    "too many trades": (["--max-pairs", "200"], LIMIT, "raise it with --max-pairs, or ask for at most 10 --trials"),
    "10^12 trials": (
        ["--trials", "1000000000000"],
        LIMIT,
        "1,000,000,000,000 trials on 19 alerts are 19,0",
    ),
    "10^12 trials by workers": (
        ["--trials", "1000000000000", "--engine", "dask", "--workers", "2"],
        LIMIT,
        "above the limit of 100,000,000,000; raise it with --max-pairs, or ask for at most 5,263,157,894 --trials",
    ),
    "10^12 trials that are wanted": (
        ["--trials", "1000000000000", "--engine", "dask", "--workers", "1", "--max-pairs", "100000000000000"],
        LIMIT,
        "free space, choose another --runs, or ask for fewer --trials",
    ),
    "too many moving stops": (
        ["--engine", "tables", "--trials", "30000", "--trail", "0.05:0.6", "--trail-activate", "1:3"],
        LIMIT,
        "--engine tables takes fewer than 20,000",
    ),
}


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return small_market.write(tmp_path_factory.mktemp("market"))


@pytest.mark.parametrize(("words", "code", "text"), WORDS.values(), ids=WORDS)
def test_a_search_that_cannot_be_is_refused_in_one_line(market, tmp_path, words, code, text):
    done = run("sweep", *market.flags, "--runs", tmp_path / "runs", "--quiet", *words)

    assert (code, "") == (done.code, done.out)
    assert text in done.err
    assert 1 == done.err.count("\n")
    assert [] == leftovers(tmp_path / "runs")
