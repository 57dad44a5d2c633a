import csv
import io
import json

import pyarrow.parquet as pq
import pytest
import small_series
from highwater.io.runs import list_runs
from highwater.io.traces import read_signals
from small_market import run
from small_series import trace


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a catalog of a run on both series, and of one on SPY with a fee, an ensemble among its strategies."""
    folder = tmp_path_factory.mktemp("queries")
    candles = small_series.write(folder)
    vote = {"strategy": [{"sma_crossover": {}, "weight": 0.4}, {"bollinger_bands": {}, "weight": 0.6}]}
    document = {"strategies": [{"sma_crossover": {"fast_period": 5, "slow_period": 20}}, vote]}
    assert 0 == trace(candles, folder / "runs").code
    assert (
        0 == trace(candles, folder / "runs", "--symbols", "SPY", "--fee-bps", "5", strategies=json.dumps(document)).code
    )
    assert 0 == run("catalog", "sync", "--runs", folder / "runs").code
    return folder / "runs"


def ask(runs, *words):
    done = run("traces", *words, "--runs", runs)
    assert 0 == done.code, done.err
    return done


def asked(runs, *words):
    return json.loads(ask(runs, *words, "--json").out)


def test_query_answers_by_type_parameter_and_result(runs):
    rows = asked(runs, "query", "--type", "sma_crossover", "--where", "fast_period=5", "slow_period=20")

    assert [("SPY", 5.0), ("QQQ", 0.0), ("SPY", 0.0)] == [(row["symbol"], row["fee_bps"]) for row in rows]
    assert {"sma_crossover": {"fast_period": 5, "slow_period": 20}} == rows[0]["config"]
    assert "std_dev" not in rows[0]


def test_query_prints_what_fits_80_columns_and_says_the_fills(runs):
    done = ask(runs, "query", "--sort", "sharpe", "--limit", "3")
    lines = done.out.splitlines()

    assert "highwater: there are more than 3; --limit raises that" in done.err
    assert [] == [line for line in lines if len(line.rstrip()) > 80]
    assert ["hash", "series", "sharpe", "return", "down", "wins", "trades", "run"] == lines[1].split()
    assert any(line.startswith("filled at next_open, fee 0 bps and slippage 1 bps a side") for line in lines)


def test_query_without_an_answer_has_an_exit_code(runs):
    done = run("traces", "query", "--where", "fast_period=6", "--runs", runs)

    assert (2, "") == (done.code, done.out)
    assert "no such strategy in the catalog; highwater catalog sync finds new runs" in done.err


def test_find_takes_parameters_or_a_hash(runs):
    row = asked(runs, "find", "fast_period=8", "slow_period=25")[0]

    assert row in asked(runs, "find", row["strategy_hash"][:8])
    assert [row] == asked(runs, "find", row["trace_key"][:16])
    for words, message in ((("fast_period>5",), "must be NAME=VALUE"), (("abcd", "efab"), "must be NAME=VALUE")):
        done = run("traces", "find", *words, "--runs", runs)
        assert (2, "") == (done.code, done.out)
        assert message in done.err


def test_load_prints_a_trace_as_a_table_and_as_csv(runs):
    table = ask(runs, "load", "strategy_0", "--run", "latest", "--limit", "2").out
    rows = list(csv.DictReader(io.StringIO(ask(runs, "load", "strategy_0", "--run", "latest", "--format", "csv").out)))
    told, found = read_signals(next(list_runs(runs)[0].path.glob("traces/SPY_5m/*/*/SPY_5m_strategy_0.parquet")))

    assert f"strategy_hash    {told['strategy_hash']}" in table
    assert f"and {len(rows) - 2:,} more; --limit raises that" in table
    assert found["idx"].to_pylist() == [int(row["idx"]) for row in rows]
    assert found["px"].to_pylist() == [float(row["px"]) for row in rows]


@pytest.mark.parametrize("name", ["trace.parquet", "trace.csv"])
def test_load_writes_a_file(runs, tmp_path, name):
    output = tmp_path / name
    ask(runs, "load", "strategy_0", "--run", "latest", "--output", output)
    if name.endswith("parquet"):
        shown = run("traces", "show", output)
        assert (0, True) == (shown.code, "strategy_id      strategy_0" in shown.out)
        assert 8 == len(pq.read_table(output).column_names)
    else:
        assert "SPY" == next(csv.DictReader(output.read_text().splitlines()))["sym"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "parquet"), "--format parquet needs a file: --output trace.parquet"),
        (("--output", "trace.txt"), "must end in .csv or .parquet, or say --format"),
    ],
)
def test_load_needs_to_know_what_to_write(runs, words, message):
    done = run("traces", "load", "strategy_0", "--run", "latest", "--runs", runs, *words)

    assert (2, "") == (done.code, done.out)
    assert message in done.err


def test_show_says_what_a_file_found_alone_is(runs, tmp_path):
    (path, *_) = sorted(list_runs(runs)[1].path.glob("traces/QQQ_5m/signals/sma_crossover/*.parquet"))
    alone = tmp_path / "alone.parquet"
    alone.write_bytes(path.read_bytes())
    text = run("traces", "show", alone).out
    told = json.loads(run("traces", "show", alone, "--json").out)["metadata"]

    for name in ("strategy_type", "strategy_hash", "trace_key", "data_digest", "symbol", "run_id", "engine_semantics"):
        assert f"{name:<16} {told[name]}" in text
    assert "first_ts         2024-01-02T14:30Z" in text
    assert ("QQQ", "5m") == (told["symbol"], told["timeframe"])


def test_duplicates_are_strategies_of_several_runs(runs):
    (row,) = asked(runs, "duplicates")

    assert (2, 2, "QQQ 5m, SPY 5m") == (row["runs"], row["traces"], row["series"])
    assert {"sma_crossover": {"fast_period": 5, "slow_period": 20}} == row["config"]
    assert "sma_crossover(5, 20)" in ask(runs, "duplicates").out


def test_parameters_say_how_they_vary(runs):
    found = {each["name"]: each for each in asked(runs, "parameters", "sma_crossover")}

    assert {"fast_period", "slow_period"} == set(found)
    assert [9, 2, 5, 8] == [found["fast_period"][name] for name in ("strategies", "unique", "low", "high")]
    assert [[5, 5], [8, 4]] == found["fast_period"]["counts"]
    assert "fast_period  5 (5), 8 (4)" in ask(runs, "parameters", "sma_crossover").out
    assert 2 == run("traces", "parameters", "sma", "--runs", runs).code


def test_compare_puts_series_and_runs_side_by_side(runs):
    rows = asked(runs, "query", "--where", "fast_period=5", "slow_period=20")
    text = ask(runs, "compare", rows[0]["strategy_hash"][:12]).out

    assert f"{rows[0]['strategy_hash'][:12]}  sma_crossover(5, 20)" in text
    for row in rows:
        assert f"{row['symbol']} 5m  {row['run_id'][-6:]}  next_open  {row['fee_bps']:g}+1 bps" in text
    assert 3 == len(asked(runs, "compare", rows[0]["strategy_hash"][:12]))
    assert 2 == run("traces", "compare", "0" * 12, "--runs", runs).code


def test_an_ensemble_is_told_by_its_rules(runs):
    done = ask(runs, "query", "--type", "ensemble")

    assert "ensemble (bollinger_bands + sma_crossover)" in done.out
    assert {"type": "ensemble"}.items() <= {
        "type": asked(runs, "query", "--type", "ensemble")[0]["strategy_type"]
    }.items()


@pytest.mark.parametrize(
    "words", [("query",), ("find", "period=20"), ("duplicates",), ("parameters", "x"), ("compare", "abcd")]
)
def test_without_a_catalog_the_remedy_is_said(tmp_path, words):
    done = run("traces", *words, "--runs", tmp_path)

    assert (2, "") == (done.code, done.out)
    assert "highwater catalog sync makes it" in done.err
