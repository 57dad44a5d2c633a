import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import small_market
from highwater.engine import run as work
from highwater.engine import sweep_run
from highwater.engine.policy import Policy, Rung, parse_policy
from highwater.engine.recipe import prepare
from highwater.engine.settings import Guards, Sources, Store, Trading
from highwater.engine.space import Space
from highwater.engine.sweep import plan
from highwater.engine.values import Range
from highwater.io import schemas
from highwater.io.errors import LimitError
from highwater.io.publish import stage
from highwater.io.runs import find_run, list_runs, read_artifact, read_manifest, verify
from small_market import HORIZON, leftovers

SPACE = Space({"tp": Range(1.1, 3.0, None, True), "sl": Range(0.5, 0.95)})
TRIALS = 60


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return (sources, trading, store) of a market of its own."""
    folder = tmp_path_factory.mktemp("market")
    market = small_market.write(folder)
    sources = Sources(alerts=market.alerts, candles=market.candles)
    return sources, Trading(horizon=HORIZON), Store(runs=folder / "runs", quiet=True)


@pytest.fixture(scope="module")
def outcomes(home):
    """Return the outcome of each kind of run."""
    return {
        "path-only": work.run_baseline(prepare(*home), home[2], (1.2,), ("baseline",)),
        "policy": work.run_strategy(prepare(*home), home[2], Policy(sl=0.7, tp=(Rung(2.0),)), (), ("strategy",)),
        "search": swept(*home),
    }


def swept(sources, trading, store, trials=TRIALS, memory=512 << 20):
    def sized(prepared):
        return plan(SPACE, trials, 1, "avg_return_bps", (), prepared, memory, 10**9)

    return sweep_run.run_sweep(prepare(sources, trading, store), store, SPACE, sized, Guards(), ("sweep",))


_PATHS = {"alerts", "paths", "callers", "errors", "log"}
_TRADES = _PATHS | {"trades", "fills", "summary"}
GUARDED = ("t_stat", "p_luck", "psr", "dsr_independent", "dsr_tried", "plateau_bps")
ARTIFACTS = {"path-only": _PATHS, "policy": _TRADES, "search": _TRADES | {"frontier", "trials", "heatmap", "guards"}}


@pytest.mark.parametrize("kind", ARTIFACTS)
def test_a_run_is_published_whole(outcomes, kind):
    one = outcomes[kind]
    manifest = read_manifest(one.path)

    assert (kind, "completed", one.run_id) == (manifest.run_type, manifest.status, manifest.run_id)
    assert ARTIFACTS[kind] == {artifact.type for artifact in manifest.artifacts}
    assert [] == verify(one.path)
    assert [] == list((one.path.parents[1] / ".staging").iterdir())


@pytest.mark.parametrize("kind", ARTIFACTS)
def test_artifacts_have_their_schemas_and_no_nan(outcomes, kind):
    extra = {"paths": schemas.paths((1.2,) if kind == "path-only" else ()), **schemas.FIXED}
    extra |= {"trials": schemas.trials(("tp", "sl")), "frontier": schemas.frontier(("tp", "sl"), GUARDED)}
    for artifact in read_manifest(outcomes[kind].path).artifacts:
        if artifact.rows is not None:
            table = read_artifact(outcomes[kind].path, artifact.type)

            assert extra[artifact.type].names == table.schema.names
            assert extra[artifact.type].types == table.schema.types
            for column in table.columns:
                if str(column.type) == "double":
                    assert not np.isnan(column.drop_null().to_numpy()).any()


def test_one_row_an_alert_in_one_order(outcomes):
    calls = [
        read_artifact(outcomes["policy"].path, kind)["call_id"].to_pylist() for kind in ("alerts", "paths", "trades")
    ]

    assert calls[0] == calls[1] == calls[2]
    assert set(read_artifact(outcomes["policy"].path, "fills")["call_id"].to_pylist()) <= set(calls[0])


def test_the_manifest_has_the_config_the_inputs_and_the_counts(outcomes):
    manifest = read_manifest(outcomes["search"].path)
    config = manifest.config

    assert ("FS-1", HORIZON, "pessimistic", "next_open") == tuple(
        config[name] for name in ("fill_semantics", "horizon_ms", "intrabar", "entry")
    )
    assert {"trials": TRIALS, "seed": "1"} == {name: config["search"][name] for name in ("trials", "seed")}
    assert not {"alerts", "candles", "max_decoded", "threads", "runs"} & set(config)
    assert ["alerts", "candles"] == [one.kind for one in manifest.inputs]
    assert manifest.counts["read"] == manifest.counts["kept"] == 24
    assert {"slice", "search", "write"} <= set(manifest.timing_ms)
    assert TRIALS * manifest.counts["OK"] == manifest.execution["pairs"]


def test_the_winners_trades_are_those_of_its_policy(outcomes, home):
    search = outcomes["search"]
    winner = search.tables["frontier"].to_pylist()[0]
    alone = work.run_strategy(prepare(*home), home[2], parse_policy(winner["policy_params"]), (), ())

    for kind in ("trades", "fills", "summary"):
        assert alone.tables[kind].drop_columns(["run_id"]).equals(search.tables[kind].drop_columns(["run_id"]))
    assert pytest.approx(alone.tables["summary"]["avg_return_bps"][0].as_py(), abs=0.01) == winner["avg_return_bps"]


def test_memory_cuts_blocks_and_changes_no_content(home, tmp_path):
    stores = [Store(runs=tmp_path / name, quiet=True) for name in ("large", "small")]
    large, small = swept(*home[:2], stores[0]), swept(*home[:2], stores[1], memory=58 * 8 * 24)
    found = [read_manifest(one.path) for one in (large, small)]
    contents = [{a.type: a.content_sha256 for a in one.artifacts} for one in found]

    assert found[0].execution["block"] > found[1].execution["block"]
    assert contents[0] == contents[1]
    assert found[0].config_digest == found[1].config_digest


def test_the_heat_map_is_in_the_run(outcomes):
    assert (outcomes["search"].path / "results" / "heatmap.svg").read_text().startswith("<svg")


def test_what_was_left_out_is_in_errors(outcomes):
    rows = pq.read_table(outcomes["path-only"].path / "errors" / "errors.parquet").to_pylist()
    excluded = sum(
        n for name, n in read_manifest(outcomes["path-only"].path).counts.items() if name.isupper() and name != "OK"
    )

    assert excluded == sum(row["phase"] == "entry" for row in rows)
    assert "1 ENTRY_TOO_LATE" in (outcomes["path-only"].path / "logs" / "run.log").read_text()


def test_a_disk_without_room_refuses_before_it_starts(home, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    store = Store(runs=tmp_path / "runs", quiet=True)
    with pytest.raises(LimitError, match=r"needs about [0-9.]+ kB in .*, 1 B free; free space, choose another --runs"):
        swept(*home[:2], store)

    assert [] == leftovers(store.runs)


def test_returns_that_could_pass_64_bits_refuse_the_search(home, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_run, "guard_overflow", lambda *_: (_ for _ in ()).throw(LimitError("sums pass 64 bits")))
    store = Store(runs=tmp_path / "runs", quiet=True)
    with pytest.raises(LimitError, match="64 bits"):
        swept(*home[:2], store)

    assert [] == leftovers(store.runs)


def test_a_bug_is_published_as_a_failed_run(home, tmp_path, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("something is wrong")

    monkeypatch.setattr(work, "caller_columns", broken)
    store = Store(runs=tmp_path / "runs", quiet=True)
    with pytest.raises(ZeroDivisionError):
        work.run_baseline(prepare(*home[:2], store), store, (), ())
    (entry,) = list_runs(store.runs)

    assert ("failed", "something is wrong") == (entry.status, entry.reason)
    assert (entry.path / "_FAILED").exists()
    assert "ZeroDivisionError" == json.loads(read_artifact(entry.path, "errors")["details"][0].as_py())["code"]
    assert [] == list((store.runs / ".staging").iterdir())


def test_running_out_of_memory_publishes_nothing(home, tmp_path, monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr(work, "caller_columns", full)
    store = Store(runs=tmp_path / "runs", quiet=True)
    with pytest.raises(MemoryError):
        work.run_baseline(prepare(*home[:2], store), store, (), ())

    assert [] == leftovers(store.runs)


def test_the_newest_run_is_found(outcomes, home):
    assert find_run(home[2].runs, outcomes["search"].run_id[-6:]).run_id == outcomes["search"].run_id


def test_stages_of_other_runs_are_left_alone(home, tmp_path):
    store = Store(runs=tmp_path / "runs", quiet=True)
    with stage(store.runs, "search") as other:
        work.run_baseline(prepare(*home[:2], store), store, (), ())

        assert other.path.is_dir()
