import json
import shutil

import pyarrow as pa
import pytest
import small_market
from highwater.engine import rerun as again
from highwater.engine.baseline import origin_of, path_table
from highwater.engine.recipe import prepare
from highwater.engine.settings import Sources, Store, Trading
from highwater.io import cache, tables
from highwater.io.runs import find_run, list_runs, read_artifact, read_manifest
from highwater.io.slice_parts import unfinished
from highwater.kernels import paths
from small_market import Market, run

COMMANDS = {
    "baseline": ["baseline", "--multiples", "1.1"],
    "strategy": ["strategy", "--tp", "2", "--sl", "0.7", "--trail", "0.3"],
    "sweep": ["sweep", "--trials", "30", "--seed", "3"],
    "surface": ["surface", "--tp", "1.1:3:0.2", "--sl", "0.5:0.9:0.1", "--by", "caller"],
}


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return small_market.write(tmp_path_factory.mktemp("market"))


def done(words, market, folder, *more):
    """Run a command, and return its answer and the manifest of its run."""
    found = run(*words, *market.flags, "--runs", folder / "runs", "--quiet", *more)
    assert (0, "") == (found.code, found.err)
    return found, read_manifest(find_run(folder / "runs", "latest").path)


def contents(manifest):
    return {artifact.path: artifact.content_sha256 for artifact in manifest.artifacts}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_run_is_the_same_with_the_cache_and_without(market, tmp_path, monkeypatch, name):
    words = COMMANDS[name]
    first, measured = done(words, market, tmp_path)
    without, plain = done(words, market, tmp_path, "--no-cache")
    with monkeypatch.context() as no:
        no.delattr(paths, "measure_all")
        second, cached = done(words, market, tmp_path)
        told = json.loads(done(words, market, tmp_path, "--json")[0].out)

    assert "slice cut, path metrics measured; alerts" in " ".join(first.out.split())
    assert "slice cut, path metrics measured; alerts" in " ".join(without.out.split())
    assert "slice found again, path metrics from cache; alerts" in " ".join(second.out.split())
    assert {"slice": True, "path_metrics": True} == told["cached"]
    assert contents(measured) == contents(plain) == contents(cached)
    assert [False, False, True] == [one.execution["paths_cached"] for one in (measured, plain, cached)]
    assert 1 == len({one.config_digest for one in (measured, plain, cached)})


def test_commands_share_path_metrics(market, tmp_path):
    assert not done(["baseline"], market, tmp_path)[1].execution["paths_cached"]
    assert done(["strategy", "--tp", "3"], market, tmp_path)[1].execution["paths_cached"]
    assert not done(COMMANDS["sweep"], market, tmp_path)[1].execution["paths_cached"]  # it has no multiples but five
    assert done(COMMANDS["surface"], market, tmp_path)[1].execution["paths_cached"]


def test_a_rerun_measures_whatever_is_kept(market, tmp_path):
    _, before = done(["baseline"], market, tmp_path)
    store = Store(runs=tmp_path / "runs", quiet=True)
    prepared = prepare(Sources(alerts=market.alerts, candles=market.candles), Trading(), store)
    table = path_table(prepared, (1.2, 1.5), None)
    false = table.set_column(table.schema.get_field_index("mdd"), table.schema.field("mdd"), table["mdd_opt"])
    origin = origin_of(prepared, (1.2, 1.5))
    cache.keep(store.cache_folder, origin, cache.pack([false], origin))
    _, misled = done(["baseline"], market, tmp_path)
    found = again.rerun(find_run(tmp_path / "runs", misled.run_id).path, store)

    assert misled.execution["paths_cached"]
    assert contents(before) != contents(misled)
    assert ["paths"] == [each.artifact for each in found.differences]
    assert contents(before) == contents(found.after)
    assert not found.after.execution["paths_cached"]


def test_a_damaged_file_is_told_and_the_run_is_the_same(market, tmp_path):
    _, before = done(["baseline"], market, tmp_path)
    (path,) = (tmp_path / "runs" / ".cache").iterdir()
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-100])
    words = ["baseline", *market.flags, "--runs", tmp_path / "runs", "--quiet"]
    found = run(*words)
    after = read_manifest(find_run(tmp_path / "runs", "latest").path)

    assert (0, 1) == (found.code, found.err.count("\n"))
    assert f"highwater: {path} is damaged: " in found.err
    assert "path metrics measured" in " ".join(found.out.split())
    assert contents(before) == contents(after)
    assert ("", True) == (run(*words).err, "path metrics from cache" in " ".join(run(*words).out.split()))


@pytest.fixture(scope="module")
def made(market, tmp_path_factory):
    """Return a folder with two runs, their slice and their path metrics."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("baseline", "sweep"):
        done(COMMANDS[name], market, folder)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """Return a copy of it."""
    return shutil.copytree(made, tmp_path / "copy")


def files(folder):
    return sorted(path for name in (".slices", ".cache") for path in (folder / "runs" / name).glob("*"))


def test_what_is_kept_is_listed(made, monkeypatch):
    listed = run("cache", "list", "--runs", made / "runs")
    found = json.loads(run("cache", "list", "--runs", made / "runs", "--json").out)
    size = sum(path.stat().st_size for path in files(made))
    digest = read_manifest(list_runs(made / "runs")[0].path).inputs[1].digest

    assert (0, "") == (listed.code, listed.err)
    assert ["slice", "path metrics", "path metrics"] == [each["kind"] for each in found]
    assert ["16 tokens, 5m, ", "24 alerts, 5m, next_open, 48h, ", "24 alerts, 5m, next_open, 48h, "] == [
        each["of"][: len("16 tokens, 5m, " if each["kind"] == "slice" else "24 alerts, 5m, next_open, 48h, ")]
        for each in found
    ]
    assert {"5 multiples", "6 multiples"} == {each["of"].rpartition(", ")[2] for each in found[1:]}
    assert all(each["of"] in listed.out for each in found)
    assert {digest} == {each["candles"] for each in found}
    assert size == sum(each["bytes"] for each in found)
    assert sorted(map(str, files(made))) == sorted(file for each in found for file in each["files"])
    assert all(each["usable"] for each in found)
    assert max(map(len, listed.out.splitlines())) <= 80
    assert "2 files of path metrics, " in listed.out
    assert "; 2 files of slices, " in listed.out


def test_slices_elsewhere_are_listed_and_removed_there(made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "copy")
    (folder / "runs" / ".slices").rename(tmp_path / "cuts")
    words = ["--runs", folder / "runs", "--slices", tmp_path / "cuts"]

    assert 3 == len(json.loads(run("cache", "list", *words, "--json").out))
    assert 2 == len(json.loads(run("cache", "list", "--runs", folder / "runs", "--json").out))
    assert 0 == run("cache", "clear", "--with-slices", *words).code
    assert [] == [*(tmp_path / "cuts").iterdir()]


def test_nothing_kept_is_said(tmp_path):
    listed = run("cache", "list", "--runs", tmp_path)

    assert f"nothing is kept in {tmp_path}/.slices and {tmp_path}/.cache\n" == listed.out
    assert [] == json.loads(run("cache", "list", "--runs", tmp_path, "--json").out)
    assert "removed 0 files of path metrics, 0 B\n" == run("cache", "clear", "--runs", tmp_path).out


def test_damage_is_listed_and_removed(folder):
    path = next((folder / "runs" / ".cache").iterdir())
    path.chmod(0o600)
    path.write_bytes(b"")
    listed = run("cache", "list", "--runs", folder / "runs")
    found = json.loads(run("cache", "list", "--runs", folder / "runs", "--json").out)

    assert f"damaged or of another version: {path.name}"[:40] in listed.out
    assert [path.name] == [one["files"][0].rpartition("/")[2] for one in found if not one["usable"]]
    run("cache", "clear", "--runs", folder / "runs")
    assert [] == [*(folder / "runs" / ".cache").iterdir()]


@pytest.mark.parametrize("more", [[], ["--with-slices"]], ids=["metrics", "slices too"])
def test_what_is_kept_is_removed_and_runs_stay(folder, market, more):
    before = files(folder)
    runs = [entry.run_id for entry in list_runs(folder / "runs")]
    words = ["cache", "clear", "--runs", folder / "runs", *more]
    dry, as_json = run(*words, "--dry-run"), json.loads(run(*words, "--dry-run", "--json").out)
    gone = [path for path in before if more or path.parent.name == ".cache"]
    size = sum(path.stat().st_size for path in before if path.parent.name == ".cache")

    assert before == files(folder)
    assert sorted(map(str, gone)) == sorted(file for one in as_json["would_remove"] for file in one["files"])
    removed = run(*words)
    assert dry.out.replace("would remove", "removed") == removed.out
    assert sorted(f"removed {path}" for path in gone) == sorted(removed.out.splitlines()[:-1])
    assert f"removed 2 files of path metrics, {size / 1000:.3g} kB" in removed.out.splitlines()[-1]
    assert ("; 2 files of slices, " in removed.out) == bool(more)
    assert sorted(set(before) - set(gone)) == files(folder)
    assert runs == [entry.run_id for entry in list_runs(folder / "runs")]
    assert 24 == read_artifact(find_run(folder / "runs", runs[0]).path, "paths").num_rows
    _, manifest = done(COMMANDS["baseline"], Market(*market), folder)
    assert not manifest.execution["paths_cached"]


def test_an_interrupted_export_is_listed_and_removed_unless_a_process_is_at_it(folder):
    slices = folder / "runs" / ".slices"
    (slices / ".export_abcdef012345").mkdir()
    (slices / ".export_abcdef012345" / "part_0_1.arrow").write_bytes(bytes(1000))
    words = ["--runs", folder / "runs"]
    with unfinished(slices, "0" * 64) as live:
        (live / "part_0_1.arrow").write_bytes(bytes(7))
        found = json.loads(run("cache", "list", *words, "--json").out)
        listed = run("cache", "list", *words).out
        kept = run("cache", "clear", *words).out
        removed = run("cache", "clear", *words, "--with-slices").out

        assert (1007, 2) == (sum(one["bytes"] for one in found if "export" in one["kind"]), listed.count("1 part; "))
        assert "the same command goes on from there" in listed and "more are coming now" in listed
        assert "; 2 files of unfinished exports, 1.01 kB" in " ".join(listed.split())
        assert ".export_" not in kept and f"removed {slices}/.export_abcdef012345\n" in removed
        assert ["part_0_1.arrow"] == [path.name for path in live.iterdir()]
    assert [live] == list(slices.iterdir())


def test_tables_handed_over_are_listed_and_removed_with_slices(tmp_path):
    given = tables.kept(pa.table({"a": [1, 2]}), tmp_path / tables.FOLDER, "alerts")
    mine = given.with_name("mine.parquet")
    mine.touch()
    (row,) = json.loads(run("cache", "list", "--runs", tmp_path, "--json").out)

    assert ("table", [str(given)], given.stat().st_size, True) == tuple(
        row[name] for name in ("kind", "files", "bytes", "usable")
    )
    assert given.name in run("cache", "list", "--runs", tmp_path).out
    assert 0 == run("cache", "clear", "--runs", tmp_path).code
    assert given.exists()
    assert "1 file of tables" in run("cache", "clear", "--with-slices", "--runs", tmp_path).out
    assert [mine] == list((tmp_path / tables.FOLDER).iterdir())
