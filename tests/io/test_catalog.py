import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from highwater.io import catalog
from highwater.io.catalog import sync
from highwater.io.catalog_rows import CatalogRun, configurations, data_digest
from highwater.io.catalog_store import FOLDER, POINTER, rows
from highwater.io.digest import canonical_json
from highwater.io.errors import AccessError, MissingError
from highwater.io.manifest import Input
from highwater.io.publish import stage
from highwater.io.runs import list_runs, read_manifest
from highwater.io.schemas import TRADES, trials
from hypothesis import given, settings
from hypothesis import strategies as st

INPUTS = (Input("alerts", "alerts.parquet", "a" * 64, 5, 1000, 2000), Input("candles", "candles", "c" * 64))


def publish(root, failure=None, run_type="policy", tried=0, **config):
    """Publish a run of one policy, or of a search of ``tried`` trials."""
    schema = trials(("tp",))
    with stage(root, run_type) as staged:
        if run_type != "path-only":
            staged.write("trades", TRADES.empty_table())
        if tried:
            columns = {name: pa.nulls(tried, field.type) for name, field in zip(schema.names, schema, strict=True)}
            columns |= {"run_id": pa.array(["x"] * tried), "trial_id": range(tried), "trades_count": range(tried)}
            staged.write("trials", pa.table(columns, schema=schema))
        facts = {"inputs": INPUTS, "config": {"interval_ms": 60_000, **config}, "counts": {"OK": 5}}
        return staged.publish(**facts) if failure is None else staged.fail(failure, **facts)


def replace(path, data):
    path.unlink()
    path.write_bytes(data)


def remark(run, **changes):
    """Change a manifest and its marker with it, as no honest writer would."""
    manifest = canonical_json({**json.loads((run / "run.json").read_bytes()), **changes})
    replace(run / "run.json", manifest)
    replace(run / "_SUCCESS", hashlib.sha256(manifest).hexdigest().encode())


def counts(report):
    names = ("registered", "updated", "unchanged", "removed", "failed")
    return {name: n for name in names if (n := getattr(report, name))} | Counter(e.status for e in report.corrupt)


def statuses(root):
    return dict(rows(root, "SELECT path, status FROM catalog.runs"))


def listed(root):
    return {f"{entry.path.parent.name}/{entry.path.name}": entry.status for entry in list_runs(root)}


def files(root):
    return sorted(path.name for path in (root / FOLDER).iterdir())


def test_a_run_is_registered_with_what_its_manifest_says(tmp_path):
    run = publish(tmp_path)
    report = sync(tmp_path)
    manifest = read_manifest(run)
    (row,) = (CatalogRun(*row) for row in rows(tmp_path, "FROM catalog.runs"))
    artifacts = rows(tmp_path, "SELECT * EXCLUDE (run_id) FROM catalog.artifacts ORDER BY path")

    assert {"registered": 1} == counts(report)
    assert report.fresh
    assert (run.relative_to(tmp_path).as_posix(), manifest.run_id, "policy", "completed", "") == (
        *(row.path, row.run_id, row.run_type, row.status, row.reason),
    )
    assert manifest.created_at == row.created_at.isoformat(timespec="milliseconds") + "Z"
    assert hashlib.sha256((run / "run.json").read_bytes()).hexdigest() == row.manifest_digest
    assert (60_000, 5, 1000, 2000, 1) == (row.interval_ms, row.calls, row.from_ms, row.to_ms, row.trials)
    assert ("a" * 64, "c" * 64, data_digest(INPUTS)) == (row.alerts_digest, row.candles_digest, row.data_digest)
    assert manifest.config == json.loads(row.config)
    assert [
        (a.type, a.path, a.rows, a.bytes, a.sha256, a.content_sha256, a.schema_version)
        for a in sorted(manifest.artifacts, key=lambda a: a.path)
    ] == artifacts


def test_a_second_and_a_third_sync_write_nothing(tmp_path):  # F069
    runs = [publish(tmp_path), publish(tmp_path, ValueError("no data"))]
    (publish(tmp_path) / "policy/trades.parquet").unlink()
    sync(tmp_path)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / FOLDER).iterdir()}

    for _ in range(2):
        report = sync(tmp_path)

        assert {"unchanged": len(runs), "failed": 1, "corrupt": 1} == counts(report)
        assert not report.written
        assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / FOLDER).iterdir()}


def test_a_run_with_another_manifest_is_updated_and_one_that_left_is_removed(tmp_path):
    changed, gone = publish(tmp_path), publish(tmp_path)
    sync(tmp_path)
    remark(changed, peak_memory_bytes=7)
    shutil.rmtree(gone)

    assert {"updated": 1, "removed": 1} == counts(sync(tmp_path))
    assert [(7,)] == rows(tmp_path, "SELECT peak_memory_bytes FROM catalog.runs")
    assert [(read_manifest(changed).run_id,)] == rows(tmp_path, "SELECT DISTINCT run_id FROM catalog.artifacts")


def test_a_moved_directory_of_runs_is_unchanged(tmp_path):
    publish(tmp_path / "a")
    sync(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")

    assert not sync(tmp_path / "b").written


def test_a_run_moved_to_another_month_keeps_its_digest_and_gets_its_path(tmp_path):
    run = publish(tmp_path)
    sync(tmp_path)
    (tmp_path / "2001-01").mkdir()
    moved = run.rename(tmp_path / "2001-01" / run.name)

    assert {"unchanged": 1} == counts(sync(tmp_path))
    assert {f"2001-01/{moved.name}": "completed"} == statuses(tmp_path)
    assert [(3,)] == rows(tmp_path, "SELECT count(*) FROM catalog.artifacts")


@pytest.mark.parametrize("first", ["the original", "both"])
def test_a_copy_of_a_run_is_corrupt_and_the_run_is_not(tmp_path, first):
    run = publish(tmp_path)
    if first == "the original":
        sync(tmp_path)
    shutil.copytree(run, tmp_path / "9999-01" / run.name)

    for _ in range(2):
        report = sync(tmp_path)

        assert 1 == len(report.corrupt)
        assert "holds the run that" in report.corrupt[0].reason
        assert sorted(["completed", "corrupt"]) == sorted(statuses(tmp_path).values())
        assert [(3,)] == rows(tmp_path, "SELECT count(*) FROM catalog.artifacts")


def truncated(run):  # F072
    replace(run / "policy/trades.parquet", (run / "policy/trades.parquet").read_bytes()[:-1])


def missing(run):  # F073
    (run / "policy/trades.parquet").unlink()


def edited(run):  # F075
    replace(run / "run.json", (run / "run.json").read_bytes().replace(b"policy", b"search", 1))


def newer(run):  # F079
    remark(run, schema_version=9)


def linked(run):  # F087
    (run / "policy/trades.parquet").rename(run.parent / "elsewhere.parquet")
    (run / "policy/trades.parquet").symlink_to(run.parent / "elsewhere.parquet")


def linked_folder(run):
    (run / "policy").rename(run.parent / "elsewhere")
    (run / "policy").symlink_to(run.parent / "elsewhere")


def pipe(run):  # F088
    (run / "policy/trades.parquet").unlink()
    os.mkfifo(run / "policy/trades.parquet")


def manifest_pipe(run):
    (run / "run.json").unlink()
    os.mkfifo(run / "run.json")


def unmarked(run):
    (run / "_SUCCESS").unlink()


def both_markers(run):
    (run / "_FAILED").write_bytes((run / "_SUCCESS").read_bytes())


def linked_run(run):
    run.rename(run.parent.parent / "elsewhere")
    run.symlink_to(run.parent.parent / "elsewhere")


DAMAGES = [
    *(truncated, missing, edited, newer, linked, linked_folder, pipe, manifest_pipe),
    *(unmarked, both_markers, linked_run),
]


@pytest.mark.parametrize("registered", [True, False])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_run_is_named_and_offers_no_artifact(tmp_path, damage, registered):
    run, sound = publish(tmp_path), publish(tmp_path)
    if registered:
        sync(tmp_path)
    damage(run)
    report = sync(tmp_path)

    assert [run] == [entry.path for entry in report.corrupt]
    assert listed(tmp_path) == statuses(tmp_path)
    assert {"completed": 1, report.corrupt[0].status: 1} == Counter(statuses(tmp_path).values())
    assert [(report.corrupt[0].reason,)] == rows(tmp_path, "SELECT reason FROM catalog.runs WHERE reason <> ''")
    assert [(read_manifest(sound).run_id,)] == rows(tmp_path, "SELECT DISTINCT run_id FROM catalog.artifacts")
    assert 0 == report.removed


def test_numbers_and_texts_that_no_column_takes_become_null_and_question_marks(tmp_path):
    run = publish(tmp_path)
    manifest = (run / "run.json").read_bytes()
    changed = manifest.replace(b'"command":[]', b'"command":["\\ud800"]').replace(b'"OK":5', b'"OK":' + b"9" * 30)
    replace(run / "run.json", changed)
    replace(run / "_SUCCESS", hashlib.sha256(changed).hexdigest().encode())
    sync(tmp_path)

    assert [("'?'", None)] == rows(tmp_path, "SELECT command, calls FROM catalog.runs")


STEPS = ["publish", "publish", "fail", "delete", "truncate", "restore", "unmark", "sync"]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from(STEPS), max_size=12), st.randoms())
def test_after_any_steps_the_catalog_is_what_the_runs_are(steps, random):
    with tempfile.TemporaryDirectory() as folder:
        root, backup = Path(folder) / "runs", Path(folder) / "backup"
        root.mkdir()
        for step in [*steps, "sync"]:
            runs = sorted(root.glob("*/run_id=*"))
            chosen = random.choice(runs) if runs else None
            if step in ("publish", "fail"):
                run = publish(root, ValueError("no") if step == "fail" else None)
                shutil.copytree(run, backup / run.name)
            elif step == "sync":
                known = statuses(root) if (root / FOLDER / POINTER).exists() else {}
                sound = {path for path, status in known.items() if status in ("completed", "failed")}
                report, now = sync(root), listed(root)
                here = {path for path, status in now.items() if status in ("completed", "failed")}

                assert now == statuses(root)
                assert (len(here - sound), len(here & sound)) == (report.registered, report.unchanged)
                assert (len(sound - now.keys()), len(now.keys() - here)) == (report.removed, len(report.corrupt))
                assert not sync(root).written
            elif chosen and step == "delete":
                shutil.rmtree(chosen)
            elif chosen and step == "truncate":
                replace(chosen / "policy/trades.parquet", b"")
            elif chosen and step == "restore":
                shutil.rmtree(chosen)
                shutil.copytree(backup / chosen.name, chosen)
            elif chosen:
                for name in ("_SUCCESS", "_FAILED"):
                    (chosen / name).unlink(missing_ok=True)


def test_configurations_are_counted_once_a_config_and_data(tmp_path):
    runs = [
        publish(tmp_path, run_type="path-only"),
        publish(tmp_path, policy="a"),
        publish(tmp_path, policy="a"),
        publish(tmp_path, policy="b"),
        publish(tmp_path, ValueError("broken"), policy="c"),
        publish(tmp_path, run_type="search", tried=40, seed="1"),
        publish(tmp_path, run_type="search", tried=40, seed="2"),
    ]
    sync(tmp_path)

    assert [0, 1, 1, 1, 0, 40, 40] == [configurations(read_manifest(run)) for run in runs]
    assert [(data_digest(INPUTS), 82, 5)] == rows(tmp_path, "FROM catalog.trials_ledger")


def test_the_digest_of_the_data_knows_no_order_and_no_place():
    moved = [Input(i.kind, "elsewhere", i.digest) for i in reversed(INPUTS)]

    assert data_digest(INPUTS) == data_digest(moved)
    assert data_digest(INPUTS) != data_digest(INPUTS[:1])


def test_there_is_no_catalog_before_the_first_sync(tmp_path):
    with pytest.raises(MissingError, match="highwater catalog sync makes it"):
        rows(tmp_path, "FROM catalog.runs")
    with pytest.raises(MissingError, match="nothing is not a directory"):
        sync(tmp_path / "nothing")

    assert {} == counts(sync(tmp_path))
    assert [] == rows(tmp_path, "FROM catalog.runs")
    assert not (tmp_path / "nothing").exists()


def test_a_run_deleted_while_it_is_read_is_none(tmp_path, monkeypatch):
    publish(tmp_path)
    real = catalog.read_entry

    def reads_and_loses(path):
        entry = real(path)
        shutil.rmtree(path)
        return entry

    monkeypatch.setattr(catalog, "read_entry", reads_and_loses)

    assert {} == counts(sync(tmp_path))


def test_a_directory_that_takes_no_catalog_is_told(tmp_path, monkeypatch):
    publish(tmp_path)

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(catalog, "make_folder", refused)
    with pytest.raises(AccessError, match="the runs are safe"):
        sync(tmp_path)
