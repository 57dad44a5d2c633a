import dataclasses
import hashlib
import json
import shutil

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import rfc8785
import small_market
from highwater.engine import rerun as again
from highwater.engine import run as work
from highwater.engine.settings import MEMORY, Store
from highwater.io import publish
from highwater.io.errors import IntegrityError, MissingError, UsageError
from highwater.io.publish import stage
from highwater.io.runs import find_run, read_artifact, read_manifest, verify
from highwater.io.schemas import ERRORS
from highwater.io.slices import slices
from shared_market import DATA, needs_data
from small_market import HORIZON, REJECTED, run, tables
from small_runs import made_by, with_a_crash

LADDER = '{"tp":[{"mult":1.1,"frac_bps":5000},{"mult":2,"frac_bps":3000}],"trail":{"pct":0.2},"tp_gap_fill":"open"}'
COMMANDS = {
    "baseline": ["baseline", "--multiples", "1.1", "1.5"],
    "baseline of some": ["baseline", "--chain", "solana", "--from", "2025-01-01", "--resample", "10m"],
    "strategy": ["strategy", "--tp", "2", "--sl", "0.7"],
    "ladder": ["strategy", "--policy", LADDER, "--latency", "30s", "--costs", "legacy", "--coverage-end", "2025-01-02"],
    "sweep": [
        "sweep",
        "--trials",
        "60",
        "--where",
        "stop_out_rate<=0.00001",
        "avg_return_bps>-9",
    ],
    "surface": [
        "surface",
        "--tp",
        "1.1:3:0.1",
        "--sl",
        "0.5:0.9:0.1",
        "--trail",
        "0.1:0.3:0.1",
        "--time-stop",
        "30m",
        "2h:6h:2h",
        "--by",
        "caller",
        "--medians",
    ],
    "rungs": ["sweep", "--trials", "40", "--ladder", "1.1:2@50%,2:4@30%", "--time-stop", "1h:9h", "--seed", "9" * 18],
    "refined": ["sweep", "--trials", "60", "--refine", "40", "--trail", "0.05:0.4", "--where", "win_rate>=0.3"],
    "many trades": ["sweep", "--trials", "40", "--trail", "0.05:0.4", "--trades", "3", "--medians", "all"],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder with a market, and the directory of the run of each command, whose inputs are gone."""
    folder = tmp_path_factory.mktemp("market")
    market = small_market.write(folder)
    made = {name: made_by(words, market, folder / "runs") for name, words in COMMANDS.items()}
    for path in market:
        path.rename(path.with_suffix(".away"))
    return folder, made


def store(folder):
    return Store(runs=folder / "runs", quiet=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_run_done_again_is_identical(home, name):
    folder, made = home
    done = again.rerun(made[name], store(folder))
    contents = [{a.path: a.content_sha256 for a in manifest.artifacts} for manifest in (done.before, done.after)]

    assert ((), ()) == (done.differences, done.changes)
    assert contents[0] == contents[1]
    assert [] == verify(done.path, content=True)
    assert done.before.run_id != done.after.run_id
    for fact in ("run_type", "config_digest", "inputs", "counts"):
        assert getattr(done.before, fact) == getattr(done.after, fact), fact
    assert ("runs", "rerun", done.before.run_id) == done.after.command


def test_a_rerun_can_be_rerun(home):
    folder, made = home
    done = again.rerun(again.rerun(made["strategy"], store(folder)).path, store(folder))

    assert ((), ()) == (done.differences, done.changes)


def test_the_command_says_identical(home):
    folder, made = home
    run_id = made["strategy"].name.removeprefix("run_id=")
    said = run("runs", "rerun", run_id, "--runs", folder / "runs", "--quiet")
    found = json.loads(run("runs", "rerun", run_id, "--runs", folder / "runs", "--quiet", "--json").out)

    assert (0, "") == (said.code, said.err)
    assert "identical  24 alerts, 24 paths, 24 trades, " in said.out
    assert (True, [], []) == (found["identical"], found["differences"], found["changes"])
    assert read_manifest(find_run(folder / "runs", found["rerun_id"]).path).run_id == found["rerun_id"]


@pytest.fixture
def fresh(tmp_path):
    """Return a market of one's own and the directory of a strategy's run on it."""
    market = small_market.write(tmp_path)
    return market, made_by(COMMANDS["strategy"], market, tmp_path / "runs")


def test_one_changed_candle_is_named_by_its_effect(fresh, tmp_path):
    market, before = fresh
    candles, row = with_a_crash(before, 12)
    pq.write_table(candles, tmp_path / "changed.parquet")
    done = again.rerun(before, store(tmp_path), candles=tmp_path / "changed.parquet")
    call = read_artifact(before, "alerts")["call_id"][row].as_py()
    (trade,) = (each for each in done.differences if each.artifact == "trades")
    old, new = (read_artifact(path, "trades")[trade.column][row].as_py() for path in (before, done.path))

    assert {("data", "candles")} == {(change.kind, change.what) for change in done.changes}
    assert (row, f"call_id {call}", old, new) == (trade.row, trade.key, trade.before, trade.after)
    assert old != new
    assert "SL" == read_artifact(done.path, "trades")["exit_reason"][row].as_py()
    assert {"paths", "trades", "fills", "callers", "summary"} == {each.artifact for each in done.differences}
    assert str(market.alerts) == done.after.inputs[0].source
    assert str(tmp_path / "changed.parquet") == done.after.inputs[1].source

    said = run("runs", "rerun", "--runs", tmp_path / "runs", "--candles", tmp_path / "changed.parquet", "--", before)
    assert 4 == said.code
    assert f"differs    trades {trade.column}, row {row} (call_id {call}): {old} became {new}\n" in said.out
    assert "changed    data candles: " in said.out


def test_other_alerts_are_named_by_their_effect(fresh, tmp_path):
    _, before = fresh
    pq.write_table(tables()[1].slice(0, 20), tmp_path / "fewer.parquet")
    done = again.rerun(before, store(tmp_path), alerts=tmp_path / "fewer.parquet")

    assert 20 == read_artifact(done.path, "trades").num_rows
    assert ("data", "alerts") in {(change.kind, change.what) for change in done.changes}
    assert "alerts" in {each.artifact for each in done.differences}
    assert done.before.config_digest == done.after.config_digest


def test_the_same_data_from_files_are_identical(fresh, tmp_path):
    market, before = fresh
    done = again.rerun(before, store(tmp_path), alerts=market.alerts, candles=market.candles)

    assert ((), ()) == (done.differences, done.changes)
    assert ("--alerts", str(market.alerts), "--candles", str(market.candles)) == done.after.command[3:]


def test_a_changed_environment_is_named(fresh, tmp_path, monkeypatch):
    usual, code = publish.environment(), publish.code()
    monkeypatch.setattr(publish, "environment", lambda: dataclasses.replace(usual, numpy="0.1", cpu="another"))
    monkeypatch.setattr(publish, "code", lambda: dataclasses.replace(code, kernels_digest="e" * 64))
    done = run("runs", "rerun", "latest", "--runs", tmp_path / "runs", "--quiet")
    kernels = read_manifest(fresh[1]).code.kernels_digest

    assert 0 == done.code
    assert f"changed    environment numpy: {usual.numpy} became 0.1\n" in done.out
    assert f"changed    environment cpu: {usual.cpu} became another\n" in done.out
    assert f"changed    code kernels_digest: {kernels[:12]} became {'e' * 12}\n" in done.out
    assert "identical" in done.out


def test_another_result_of_the_same_data_is_named(fresh, tmp_path, monkeypatch):
    usual = work.caller_columns

    def otherwise(*given):
        found = usual(*given)
        return found | {"win_rate": [*found["win_rate"][:1], 0.125, *found["win_rate"][2:]]}

    monkeypatch.setattr(work, "caller_columns", otherwise)
    done = again.rerun(fresh[1], store(tmp_path))
    old = read_artifact(fresh[1], "callers")
    named = ("callers", "win_rate", 1, f"caller_name {old['caller_name'][1]}", old["win_rate"][1].as_py(), 0.125)

    assert [named] == [dataclasses.astuple(each) for each in done.differences]


def test_runs_with_the_same_candles_and_other_alerts_each_find_their_slice(fresh, tmp_path):
    market, whole = fresh
    refused = tables()[0]["token_address"].unique()[REJECTED].as_py()
    alerts = tables()[1].filter(pc.not_equal(tables()[1]["mint"], refused))
    pq.write_table(alerts, tmp_path / "some.parquet")
    some = made_by(COMMANDS["strategy"], market._replace(alerts=tmp_path / "some.parquet"), tmp_path / "runs")
    found = list(slices(tmp_path / "runs" / ".slices"))

    assert (2, 1) == (len(found), len({one.facts.content_sha256 for one in found}))
    for before in (whole, some):
        assert () == again.rerun(before, store(tmp_path)).differences


def test_a_slice_that_is_gone_is_cut_again_if_its_source_is_still_the_same(fresh, tmp_path):
    shutil.rmtree(tmp_path / "runs" / ".slices")

    assert () == again.rerun(fresh[1], store(tmp_path)).differences


def test_a_slice_whose_source_is_gone_or_changed_is_missing(fresh, tmp_path):
    market, before = fresh
    shutil.rmtree(tmp_path / "runs" / ".slices")
    pq.write_table(with_a_crash(before, 12)[0], market.candles)
    with pytest.raises(MissingError, match=r"are not in .*, and .* holds others now; name their folder"):
        again.rerun(before, store(tmp_path))
    market.candles.unlink()
    with pytest.raises(MissingError, match=r"are not in .*; name their folder with --slices, or a file .*--candles"):
        again.rerun(before, store(tmp_path))


def test_a_damaged_run_or_slice_is_not_repeated(fresh, tmp_path):
    (path,) = (tmp_path / "runs" / ".slices").glob("*.arrow")
    flip(path, path.stat().st_size // 2)
    with pytest.raises(IntegrityError, match="content digest is"):
        again.rerun(fresh[1], store(tmp_path))
    flip(fresh[1] / "policy/trades.parquet", 100)
    with pytest.raises(IntegrityError, match=r"is corrupt: .*policy/trades.parquet: sha256 is"):
        again.rerun(fresh[1], store(tmp_path))


def flip(path, at):
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("run_type", "config", "message"),
    [
        ("rerun", {}, "is of type rerun; those that can be repeated: path-only, policy, search"),
        ("policy", {"fill_semantics": "FS-0"}, "filled by FS-0, this version fills by FS-1; repeat it with version"),
    ],
)
def test_a_run_that_cannot_be_repeated_here_says_why(tmp_path, run_type, config, message):
    with stage(tmp_path, run_type) as staged:
        path = staged.publish(config=config)
    with pytest.raises(UsageError, match=message):
        again.rerun(path, Store(runs=tmp_path))


def test_a_failed_run_is_not_repeated(tmp_path):
    with stage(tmp_path, "policy") as staged:
        staged.write("errors", ERRORS.empty_table())
        path = staged.fail(ValueError("no data"))
    with pytest.raises(UsageError, match=r"failed \(no data\); it has no result to repeat"):
        again.rerun(path, Store(runs=tmp_path))


@pytest.mark.parametrize("name", ["sweep", "surface"])
def test_a_search_is_done_again_with_the_memory_it_had_or_is_given(tmp_path, name):
    surface = ["surface", "--tp", "1.1:10:0.01", "--sl", "0.5:0.9:0.1", "--trail", "0.1:0.3:0.1", "--medians"]
    words, least = {"sweep": (COMMANDS["sweep"], 30_000), "surface": (surface, 5 << 19)}[name]
    before = made_by([*words, "--mem", f"{least}B"], small_market.write(tmp_path), tmp_path / "runs")
    same, more = (again.rerun(before, store(tmp_path), memory=memory) for memory in (None, 64 << 20))
    found = [read_manifest(path).execution for path in (before, same.path, more.path)]

    assert [least, least, 64 << 20] == [each["memory"] for each in found]
    assert found[0]["block"] == found[1]["block"] < found[2]["block"]
    assert ((), ()) == (same.differences, more.differences)
    assert 0 == run("runs", "rerun", before, "--mem", "64M", "--runs", tmp_path / "runs", "--quiet").code


def test_a_search_that_does_not_tell_its_memory_is_done_again_with_the_usual(fresh, tmp_path):
    before = made_by(COMMANDS["sweep"], fresh[0], tmp_path / "runs")
    told = json.loads((before / "run.json").read_bytes())
    del told["execution"]["memory"]
    data = rfc8785.dumps(told)
    for name, text in (("run.json", data), ("_SUCCESS", hashlib.sha256(data).hexdigest().encode())):
        (before / name).unlink()
        (before / name).write_bytes(text)
    done = again.rerun(before, store(tmp_path))

    assert () == done.differences
    assert MEMORY == done.after.execution["memory"]


@needs_data[0]
@needs_data[1]
@pytest.mark.parametrize(
    "words", [["baseline"], ["strategy", "--tp", "1.1", "--trail", "0.1"], ["sweep", "--trials", "50"]]
)
def test_runs_on_real_calls_are_identical(words, tmp_path):
    market = small_market.Market(
        DATA / "candles" / "pump_events_binance_1m.parquet", DATA / "alerts" / "pump_calls_with_candles.parquet"
    )
    done = again.rerun(made_by([*words, "--horizon", "2h"], market, tmp_path / "runs"), store(tmp_path))

    assert ((), ()) == (done.differences, done.changes)
    assert 157 == done.after.counts["OK"]
    assert HORIZON > done.after.config["horizon_ms"]
