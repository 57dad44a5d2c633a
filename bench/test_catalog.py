"""How long does a catalog of 10,000 runs take: made, brought up to date, asked?"""

import shutil
from pathlib import Path

import pytest
from highwater.bench.many_runs import RUNS, made
from highwater.engine.catalog import query_runs
from highwater.io.catalog import sync
from highwater.io.catalog_sql import ask


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalog")
    yield made(folder)
    shutil.rmtree(folder)


def made_anew(root: Path) -> int:
    shutil.rmtree(root / ".catalog", ignore_errors=True)
    return sync(root).registered


def test_catalog_of_10000_runs(bench, runs):
    assert made_anew(runs) == RUNS
    latest = query_runs(runs, limit=1)[0].run_id
    total = f"SELECT count(*) FROM summary WHERE run_id <= '{latest}'"
    ways = {
        "a second sync that finds nothing new": lambda: sync(runs),
        "the 20 newest of a type and a month": lambda: query_runs(
            runs, run_type="policy", from_date="2024-06-01", to_date="2024-06-30", limit=20
        ),
        "one run's trades by its file": lambda: ask(
            runs,
            f"SELECT avg(realized_return_bps) FROM '{runs}/{query_runs(runs, limit=1)[0].path}/policy/trades.parquet'",
        ),
        "the summaries of all runs": lambda: ask(runs, total),
    }
    for way, took in bench.compare(ways, rounds=3).items():
        bench.say(way, took, f"{RUNS:,} runs")


def test_first_sync_of_10000_runs(bench, runs):
    for way, took in bench.compare({"all runs": lambda: made_anew(runs)}, rounds=1).items():
        bench.say(way, took, f"{RUNS / took.best:,.0f} runs/s")
