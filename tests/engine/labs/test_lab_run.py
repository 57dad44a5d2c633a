import json

import pytest
import small_lab
from highwater.engine.cli import main
from highwater.engine.diff import differences
from highwater.engine.labs.again import again
from highwater.engine.labs.exits import Leaving
from highwater.engine.labs.ground import ground_of, token_of
from highwater.engine.labs.run import Task, kept_tables, run_lab
from highwater.engine.policy import Policy, Rung
from highwater.engine.recipe import Clock
from highwater.engine.settings import Guards, Store
from highwater.io import lab_schemas
from highwater.io.errors import DataError, MissingError, UsageError
from highwater.io.labs import made_up
from highwater.io.labs.store import writing
from highwater.io.runs import read_artifact, read_manifest, verify

LAB = made_up.MadeUpLab(backtests=12, days=10)
LEAVING = Leaving(Policy(sl=0.99, tp=(Rung(1.02),)), 12 * 3_600_000)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Return a folder with a kept lab and the candles of its market."""
    folder = tmp_path_factory.mktemp("lab")
    small_lab.keep(folder / "labs", LAB)
    small_lab.write_candles(folder / "candles.parquet", LAB)
    return folder


@pytest.fixture(scope="module")
def run(kept):
    """Return a lab run on candles."""
    return made(kept, candles=True, leaving=LEAVING)


def made(kept, candles=False, **task):
    store = Store(runs=kept / "runs", threads=1, quiet=True)
    tables = kept_tables(kept / "labs", LAB.lab[:8], None, True)
    ground = ground_of(kept / "candles.parquet", tables, store, LEAVING.horizon) if candles else None
    return run_lab(Task(**task), tables, ground, store, ("labs", "analyze"), Clock())


def test_a_run_is_as_published(run):
    manifest = read_manifest(run.path)

    assert [] == verify(run.path, content=True)
    assert ("lab", "completed") == (manifest.run_type, manifest.status)
    assert {"lab_backtests", "lab_positions", "lab_orders", "lab_analytics", "lab_days", "lab_equity", "lab_fills"} <= {
        each.type for each in manifest.artifacts
    }
    assert ["backtests", "positions", "orders", "candles"] == [each.kind for each in manifest.inputs]
    assert (12, 12, 12) == tuple(manifest.counts[name] for name in ("backtests", "complete", "judged"))
    assert 12 == manifest.trials_so_far == manifest.execution["distinct"]


def test_artifacts_have_their_schemas(run):
    for artifact in read_manifest(run.path).artifacts:
        if artifact.type in lab_schemas.FIXED:
            table = read_artifact(run.path, artifact.type)

            assert lab_schemas.FIXED[artifact.type].equals(table.schema.remove_metadata())
            assert table.num_rows > 0


def test_every_fill_of_the_made_up_lab_is_possible(run):
    counts = read_manifest(run.path).counts
    rows = read_artifact(run.path, "lab_replay").to_pylist()

    assert counts["orders"] == counts["fills_possible"] > 100
    assert [row["realized_profit"] for row in rows] == pytest.approx([row["fs1_profit"] for row in rows])


def test_entries_are_left_by_the_scripts_own_exits_and_by_those_asked_for(run):
    rows = read_artifact(run.path, "lab_exits").to_pylist()
    asked, own = ([row for row in rows if row["exits"] == name] for name in ("asked", "own"))

    assert len(asked) == len(own) == read_manifest(run.path).counts["positions"]
    assert {"TP 1.02x, SL -1%"} == {row["policy"] for row in asked}
    assert 1 < len({row["policy"] for row in own})
    assert {"long", "short"} == {row["direction"] for row in own if row["status"] == "OK"}
    assert {"policy": LEAVING.policy.canonical(), "horizon_ms": LEAVING.horizon} == run.config["exits"]


def test_it_comes_out_again(kept, run):
    store = Store(runs=kept / "runs", threads=2, quiet=True)
    second = again(run.path, read_manifest(run.path), store)
    sides = [(path, read_manifest(path)) for path in (run.path, second.path)]

    assert () == differences(*sides[0], *sides[1])
    assert sides[0][1].config_digest == sides[1][1].config_digest


def test_what_was_amiss_comes_out_again(tmp_path):
    small_lab.keep(tmp_path / "labs", LAB)
    with writing(tmp_path / "labs", small_lab.SERVER, LAB.lab) as writer:
        writer.seen("late", b'{"ST": 3}', finished=True)
        writer.add("late", "runtime", b"{")
        writer.begin_listing(json.dumps(made_up.details(LAB)))
    first = made(tmp_path, guards=Guards(guards=False))
    second = again(first.path, read_manifest(first.path), Store(runs=tmp_path / "runs", quiet=True))
    errors = [read_artifact(each.path, "errors").drop_columns(["run_id", "timestamp"]) for each in (first, second)]

    assert errors[0].equals(errors[1])
    assert [None, "late"] == errors[0]["call_id"].to_pylist()
    assert "was not read to its end" in errors[0]["message"][0].as_py()
    assert first.proved is None


def test_candles_that_are_gone_are_named(kept, run, tmp_path):
    with pytest.raises(MissingError, match=r"the candles of run .* are not in .*; name their folder with --slices"):
        again(run.path, read_manifest(run.path), Store(runs=tmp_path, quiet=True))


def test_rules_of_another_version_are_refused(run, kept):
    manifest = read_manifest(run.path)
    manifest.config["lab_semantics"] = "LAB-0"

    with pytest.raises(UsageError, match="is of rules LAB-0; here they are LAB-1"):
        again(run.path, manifest, Store(runs=kept / "runs", quiet=True))


def test_nothing_of_who_asked_is_in_a_run(run):
    for path in run.path.rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            assert not [word for word in (b"user@example.invalid", small_lab.SERVER.encode()) if word in text], path


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (("X", small_lab.MARKET), small_lab.MARKET),
        (("X", "uniusdt"), "uniusdt"),
        (("UNI/USDT", "X"), "UNI/USDT"),
        (("anything",), "anything"),
    ],
)
def test_a_market_goes_by_its_tag_or_its_pair(tokens, expected):
    assert expected == token_of(small_lab.MARKET, tokens, 1)


def test_a_market_without_candles_is_refused():
    with pytest.raises(DataError, match="the candles have no series named A_B_C or BC; they are of X, Y"):
        token_of("A_B_C", ("X", "Y"), 1)
    with pytest.raises(DataError, match="no series named"):
        token_of("A_B_C", ("X",), 2)


def test_the_commands_on_runs_know_it(run, kept, capsys, monkeypatch):
    monkeypatch.chdir(kept)
    name, other = run.run_id, made(kept, capital=5000.0).run_id
    for words in (["show", name], ["verify", name], ["rerun", name, "--quiet"], ["diff", name, other]):
        assert not main(["runs", *words])
    printed = capsys.readouterr().out

    assert "identical" in printed
    assert "changed    config capital: nothing became 5000" in printed
    assert "figures differ" in printed


def test_a_diff_pairs_backtests(run, kept, capsys, monkeypatch):
    monkeypatch.chdir(kept)
    assert not main(["runs", "diff", run.run_id, made(kept, capital=5000.0).run_id, "--json", "--top", "1"])
    told = json.loads(capsys.readouterr().out)

    assert {"only in the first": 0, "only in the second": 0, "figures differ": 12, "same": 0} == told["backtests"]
    assert 2 * told["rows"][0]["first_return_on_balance_pct"] == told["rows"][0]["second_return_on_balance_pct"]


@pytest.mark.parametrize("form", ["guide", "csv", "parquet", "duckdb"])
def test_it_is_exported(run, kept, tmp_path, monkeypatch, form):
    monkeypatch.chdir(kept)
    assert not main(["runs", "export", run.run_id, "--format", form, "--output", str(tmp_path)])
    found = {path.name for path in tmp_path.rglob("*") if path.is_file()}

    assert {"guide": "backtests_analytics.csv", "csv": "analytics.csv", "parquet": "analytics.parquet"}.get(
        form, "runs.duckdb"
    ) in found
