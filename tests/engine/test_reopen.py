import shutil

import pyarrow as pa
import pytest
import small_market
from highwater.engine.policy import describe
from highwater.engine.reopen import numbers, reopened, traded
from highwater.engine.settings import Store
from highwater.io.errors import IntegrityError, MissingError, UsageError
from highwater.io.runs import find_run, read_artifact
from small_market import HORIZON, run

COMMANDS = {
    "baseline": ["baseline"],
    "strategy": ["strategy", "--tp", "2", "--sl", "0.7", "--entry", "bar_close", "--costs", "legacy"],
    "sweep": ["sweep", "--trials", "40", "--trail", "0.05:0.4", "--trades", "3"],
    "surface": ["surface", "--tp", "1.1:3:0.1", "--sl", "0.5:0.9:0.1"],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a store, and the directory of the run of each command, whose inputs are gone."""
    folder = tmp_path_factory.mktemp("market")
    market, made = small_market.write(folder), {}
    for name, words in COMMANDS.items():
        done = run(*words, *market.flags, "--horizon", f"{HORIZON}ms", "--runs", folder / "runs", "--quiet")
        assert 0 == done.code, done.err
        made[name] = find_run(folder / "runs", "latest").path
    for path in market:
        path.unlink()
    return Store(runs=folder / "runs", quiet=True), made


@pytest.mark.parametrize("name", COMMANDS)
def test_windows_are_those_that_were_measured(home, name):
    store, made = home
    manifest, prepared = reopened(made[name], store)
    paths = read_artifact(made[name], "paths")

    assert made[name].name == f"run_id={manifest.run_id}"
    assert paths["status"].to_pylist() == prepared.status
    assert paths["call_id"].to_pylist() == prepared.alerts["call_id"].to_pylist()
    assert paths["p0"].drop_null().to_pylist() == prepared.windows.price[prepared.ok].tolist()
    assert paths["entry_ts_ms"].drop_null().to_pylist() == prepared.windows.ts[prepared.ok].tolist()
    assert HORIZON == prepared.trading.horizon
    assert ("legacy" if name == "strategy" else "fs1") == prepared.trading.costs


@pytest.mark.parametrize("name", ["strategy", "sweep", "surface"])
def test_trades_are_those_of_the_policy_or_the_winner(home, name):
    store, made = home
    manifest, prepared = reopened(made[name], store)
    done = traded(made[name], manifest)

    assert {done.policy.policy_id} == set(done.trades["policy_id"].to_pylist())
    assert prepared.alerts["call_id"].to_pylist() == done.trades["call_id"].to_pylist()
    assert done.fills.num_rows == sum(done.trades["n_fills"].drop_null().to_pylist())
    if name == "strategy":
        assert "TP 2x, SL -30%" == describe(done.policy)
    else:
        best = read_artifact(made[name], "frontier")["policy_id"][0].as_py()
        assert best == done.policy.policy_id
    assert (name == "sweep") == (len(set(read_artifact(made[name], "trades")["policy_id"].to_pylist())) > 1)


def test_a_run_that_traded_nothing_is_refused(home):
    store, made = home
    manifest, _ = reopened(made["baseline"], store)

    with pytest.raises(UsageError, match="is of type path-only and traded nothing; name one of strategy, sweep"):
        traded(made["baseline"], manifest)


def test_a_run_whose_slice_is_gone_says_where_to_look(home, tmp_path):
    store, made = home

    with pytest.raises(MissingError, match=r"are not in .*; name their folder with --slices"):
        reopened(made["baseline"], Store(runs=store.runs, slices=tmp_path, quiet=True))


def test_a_damaged_run_is_not_taken_up(home, tmp_path):
    store, made = home
    copy = shutil.copytree(made["strategy"], tmp_path / made["strategy"].name)
    (copy / "policy" / "trades.parquet").write_bytes(b"")

    with pytest.raises(IntegrityError, match="is corrupt"):
        reopened(copy, store)


def test_a_null_is_not_a_number():
    assert [1.5, None] == [None if x != x else x for x in numbers(pa.table({"x": [1.5, None]}), "x").tolist()]
    assert [2.0, None] == [None if x != x else x for x in numbers(pa.table({"x": [2, None]}), "x").tolist()]
