import numpy as np
import pytest
import small_market
from highwater.engine.glance import DIGITS, equity, fall, landscape, levels_of, small_map, spark
from highwater.engine.recipe import prepare
from highwater.engine.settings import Guards, Sources, Store, Trading
from highwater.engine.space import DEFAULT, Space
from highwater.engine.sweep import Choices, plan
from highwater.engine.sweep_run import run_sweep
from highwater.io.runs import find_run, read_artifact, read_manifest
from small_market import HORIZON, run


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Return the outcome of a search of 200 trials, published."""
    market = small_market.write(tmp_path_factory.mktemp("market"))
    store = Store(runs=market.alerts.parent / "runs", quiet=True)
    ready = prepare(Sources(alerts=market.alerts, candles=market.candles), Trading(horizon=HORIZON), store)
    space = Space(DEFAULT)

    def sized(prepared):
        return plan(space, 200, 1, "avg_return_bps", (), prepared, 1 << 28, 10**9, Choices(trades=3))

    return run_sweep(ready, store, space, sized, Guards(guards=False), ())


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([], ""),
        ([5.0], "▁"),
        ([3.0, 3.0], "▁▁"),
        ([0.0, 7.0], "▁█"),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([-7.0, 0.0, -3.5], "▁█▅"),
    ],
)
def test_a_spark_line_runs_from_the_lowest_to_the_highest(values, shown):
    assert shown == spark(np.array(values, float))


def test_a_long_spark_line_keeps_its_ends_and_its_width():
    shown = spark(np.arange(10_000.0), 20)

    assert (20, "▁", "█") == (len(shown), shown[0], shown[-1])
    assert sorted(shown) == list(shown)


@pytest.mark.parametrize(("encoding", "digits"), [("utf-8", False), ("ascii", True), ("latin-1", True), (None, True)])
def test_where_there_are_no_blocks_digits_stand(encoding, digits):
    assert digits == (levels_of(encoding) == DIGITS)


@pytest.mark.parametrize(
    ("sums", "deepest"), [([], 0.0), ([1, 2, 3], 0.0), ([-1, -2, 1], -2.0), ([5, 2, 6, 1, 9], -5.0)]
)
def test_the_deepest_fall_counts_from_zero(sums, deepest):
    assert deepest == fall(np.array(sums, float))


def test_equity_is_of_the_first_policy_in_the_order_of_entries(searched):
    first = searched.tables["frontier"]["policy_id"][0].as_py()
    rows = read_artifact(searched.path, "trades").to_pylist()
    own = [r for r in rows if r["policy_id"] == first and r["realized_return_bps"] is not None]
    own.sort(key=lambda r: r["entry_ts_ms"])
    ts, sums, unit = equity(searched.path, read_manifest(searched.path))

    assert len(rows) > 2 * len(own) > 0
    assert ("bps", [r["entry_ts_ms"] for r in own]) == (unit, ts.tolist())
    assert np.cumsum([r["realized_return_bps"] for r in own]).tolist() == sums.tolist()
    assert read_artifact(searched.path, "frontier")["max_drawdown_bps"][0].as_py() == pytest.approx(fall(sums))


def test_the_map_is_that_of_the_search(searched):
    x, y, means = searched.landscape
    found = landscape(searched.path, read_manifest(searched.path)).liveliest(searched.notes["work"].alerts)

    assert (x, y) == found[:2]
    np.testing.assert_array_equal(means, found[2])


def test_a_run_is_shown_in_80_columns_with_its_equity_and_its_map(searched, tmp_path):
    runs = searched.path.parents[1]
    done = run("runs", "show", "latest", "--runs", runs)
    shown = done.out.splitlines()
    (line,) = [each for each in shown if each.startswith("equity ")]
    drawn = [each for each in shown if " | " in each]

    assert 0 == done.code
    assert len(set(line.removeprefix("equity   "))) > 3
    assert 12 == len(drawn) and {len(drawn[0])} == set(map(len, drawn))
    assert [] == [each for each in shown if len(each) > 80 and not each.startswith(("command", "input", " "))]
    assert "\x1b" not in done.out


def test_a_run_without_trades_has_no_equity_and_no_map(searched):
    market = small_market.Market(*(searched.path.parents[2] / f"{name}.parquet" for name in ("candles", "alerts")))
    runs = searched.path.parents[2] / "others"
    assert 0 == run("baseline", *market.flags, "--runs", runs, "--quiet").code
    path = find_run(runs, "latest").path

    assert (None, None) == (equity(path, read_manifest(path)), small_map(path, read_manifest(path)))
    assert "equity" not in run("runs", "show", "latest", "--runs", runs).out
