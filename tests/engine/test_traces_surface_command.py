import json

import pyarrow.csv as pa_csv
import pytest
import small_series
from highwater.engine.policy import Policy, Rung
from highwater.engine.traces.load import load_trace, series_of
from highwater.engine.traces.performance import Fills, performance_of
from highwater.engine.traces.trace import Trace
from small_market import run

GRID = ("--sl", "0.99:0.998:0.004", "--tp", "1.002:1.01:0.004")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("surface")
    candles = small_series.write(folder)
    words = ("--symbols", "SPY")
    assert 0 == small_series.trace(candles, folder / "runs", *words, strategies='{"sma_crossover": {}}').code
    return folder / "runs"


def surface(runs, *words):
    return run("traces", "surface", "strategy_0", "--run", "latest", "--runs", runs, *words)


def test_each_cell_is_what_the_trace_makes_with_these_exits(runs):
    cells = json.loads(surface(runs, *GRID, "--json").out)["cells"]
    one = load_trace(runs, "strategy_0", "latest")
    series = series_of(runs, one)
    idx, val = (one.table[name].to_numpy() for name in ("idx", "val"))
    trace = Trace(idx.astype("int32"), val.astype("int8"), series.bars.ts.size)

    assert 9 == len(cells)
    for cell in cells:
        exits = Policy(sl=cell["sl"], tp=(Rung(cell["tp"]),))
        alone = performance_of(trace, series.bars, series.step, Fills(slippage_bps=1.0, exits=exits)).metrics
        assert pytest.approx(alone["expectancy"], abs=1e-12) == cell["mean"]
        assert (alone["num_trades"], pytest.approx(alone["win_rate"])) == (cell["trades"], cell["win_rate"])
        assert cell["mean_worst"] <= cell["mean"] <= cell["mean_best"]


def test_the_best_come_first_and_fit_80_columns(runs, tmp_path):
    done = surface(runs, *GRID, "--output", tmp_path / "cells.csv", "--top", "3")
    written = pa_csv.read_csv(tmp_path / "cells.csv")

    assert (0, "") == (done.code, done.err)
    assert all(len(line) <= 80 for line in done.out.splitlines() if "cells.csv" not in line)
    assert sorted(written["mean"].to_pylist(), reverse=True) == written["mean"].to_pylist()
    assert 9 == written.num_rows


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--sl", "0.99", "--tp", "0.9"), 2, "tp"),
        (("--sl", "1.2", "--tp", "1.1"), 2, "sl"),
        ((*GRID, "--max-cells", "4"), 5, "above the limit of 4"),
        ((*GRID, "--output", "cells.txt"), 2, "must end in .csv or .parquet"),
        ((*GRID, "--symbol", "QQQ"), 2, "no strategy 'strategy_0' of QQQ"),
    ],
)
def test_bad_input_is_one_line(runs, words, code, message):
    done = surface(runs, *words)

    assert code == done.code
    assert message in done.err and 1 == len(done.err.splitlines())
