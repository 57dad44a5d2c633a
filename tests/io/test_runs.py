import hashlib
import json
import os
import shutil

import numpy as np
import pytest
from highwater.io import runs
from highwater.io.digest import canonical_json
from highwater.io.errors import IntegrityError, MissingError, UsageError
from highwater.io.publish import stage
from highwater.io.runs import find_run, list_runs, read_artifact, read_manifest, verify
from highwater.io.schemas import ALERTS, FILLS, table

TEXTS = dict.fromkeys(("call_id", "mint", "caller_name", "chain", "created_at"), "text")
ROWS = table(ALERTS, {**TEXTS, "alert_ts_ms": np.arange(5), "alert_id": None, "alert_price": None, "mcap_usd": None})


def publish(root, failure=None):
    with stage(root, "path-only") as staged:
        staged.write("alerts", ROWS)
        staged.write("fills", FILLS.empty_table())
        return staged.publish() if failure is None else staged.fail(failure)


def replace(path, data):
    """Change a file of a run, as a careless hand would."""
    path.unlink()
    path.write_bytes(data)


def remark(run, **changes):
    """Change a manifest and its marker with it, as no honest writer would."""
    manifest = canonical_json({**json.loads((run / "run.json").read_bytes()), **changes})
    replace(run / "run.json", manifest)
    replace(run / "_SUCCESS", hashlib.sha256(manifest).hexdigest().encode())


def truncated(run):
    data = (run / "inputs/alerts.parquet").read_bytes()
    replace(run / "inputs/alerts.parquet", data[:-1])


def missing(run):
    (run / "inputs/alerts.parquet").unlink()


def linked(run):
    (run / "inputs/alerts.parquet").rename(run.parent / "elsewhere.parquet")
    (run / "inputs/alerts.parquet").symlink_to(run.parent / "elsewhere.parquet")


def linked_folder(run):
    (run / "inputs").rename(run.parent / "elsewhere")
    (run / "inputs").symlink_to(run.parent / "elsewhere")


def pipe(run):
    (run / "inputs/alerts.parquet").unlink()
    os.mkfifo(run / "inputs/alerts.parquet")


def edited(run):
    replace(run / "run.json", (run / "run.json").read_bytes().replace(b"path-only", b"policy"))


def both_markers(run):
    (run / "_FAILED").write_bytes((run / "_SUCCESS").read_bytes())


def no_manifest(run):
    (run / "run.json").unlink()


def linked_manifest(run):
    (run / "run.json").rename(run.parent / "run.json")
    (run / "run.json").symlink_to(run.parent / "run.json")


def escaping(run):
    (run.parent / "secret").write_bytes(b"")
    artifacts = json.loads((run / "run.json").read_bytes())["artifacts"]
    remark(run, artifacts=[{**artifacts[0], "path": "../secret", "bytes": 0}])


def wrong_marker(run):
    (run / "_SUCCESS").rename(run / "_FAILED")


def newer(run):
    remark(run, schema_version=9, novelty=True)


def unmarked(run):
    (run / "_SUCCESS").unlink()


def empty_marker(run):
    replace(run / "_SUCCESS", b"")


DAMAGES = [
    (truncated, "corrupt", "inputs/alerts.parquet: size is"),
    (missing, "corrupt", "inputs/alerts.parquet is missing"),
    (linked, "corrupt", "inputs/alerts.parquet is not a plain file"),
    (linked_folder, "corrupt", "inputs/alerts.parquet does not lie in plain directories"),
    (pipe, "corrupt", "inputs/alerts.parquet is not a plain file"),
    (edited, "corrupt", "run.json was changed after the run was saved"),
    (both_markers, "corrupt", "both _SUCCESS and _FAILED"),
    (no_manifest, "corrupt", "run.json is missing"),
    (linked_manifest, "corrupt", "run.json is not a plain file"),
    (escaping, "corrupt", "'../secret' must be plain names"),
    (wrong_marker, "corrupt", "it was renamed or mixed up"),
    (newer, "newer", "written by a newer version (schema 9, this is 1)"),
    (unmarked, "unverified", "has no marker"),
    (empty_marker, "unverified", "has no _SUCCESS"),
]


@pytest.mark.parametrize(("damage", "status", "reason"), DAMAGES, ids=[d[0].__name__ for d in DAMAGES])
def test_a_damaged_run_is_named_and_not_served(tmp_path, damage, status, reason):
    run, sound = publish(tmp_path), publish(tmp_path)
    damage(run)
    entries = {entry.path: entry for entry in list_runs(tmp_path)}

    assert (status, None) == (entries[run].status, entries[run].manifest)
    assert reason in entries[run].reason
    assert "completed" == entries[sound].status
    with pytest.raises(IntegrityError):
        read_artifact(run, "alerts")
    assert "error" == verify(run)[0].level
    assert reason in verify(run)[0].problem


def test_the_other_artifacts_of_a_damaged_run_can_be_read(tmp_path):
    run = publish(tmp_path)
    missing(run)

    assert 0 == read_artifact(run, "fills").num_rows
    assert ["inputs/alerts.parquet"] == [finding.path for finding in verify(run)]


@pytest.mark.parametrize("check", [True, False])
def test_a_changed_byte_is_found_by_digest_and_by_page_checksum(tmp_path, check):
    run = publish(tmp_path)
    data = bytearray((run / "inputs/alerts.parquet").read_bytes())
    data[data.index(b"text")] ^= 1
    replace(run / "inputs/alerts.parquet", bytes(data))
    (entry,) = list_runs(tmp_path)

    assert "completed" == entry.status
    with pytest.raises(IntegrityError, match="sha256 is" if check else "cannot be read"):
        read_artifact(run, "alerts", check)
    assert ["inputs/alerts.parquet"] == [finding.path for finding in verify(run)]


def test_an_artifact_comes_back(tmp_path):
    run = publish(tmp_path)

    assert ROWS == read_artifact(run, "alerts").replace_schema_metadata(None)
    assert ROWS == read_artifact(run, "inputs/alerts.parquet", check=False).replace_schema_metadata(None)
    assert [] == verify(run)


@pytest.mark.parametrize("name", ["trades", "log", "../alerts"])
def test_a_table_the_run_has_not_is_named_with_those_it_has(tmp_path, name):
    with pytest.raises(MissingError, match=r"no table .*; it has alerts, errors, fills"):
        read_artifact(publish(tmp_path), name)


def test_a_table_of_a_newer_schema_is_not_guessed_at(tmp_path):
    run = publish(tmp_path)
    artifacts = json.loads((run / "run.json").read_bytes())["artifacts"]
    remark(run, artifacts=[{**artifact, "schema_version": 2} for artifact in artifacts])
    with pytest.raises(IntegrityError, match="schema 2, this is 1") as caught:
        read_artifact(run, "alerts")

    assert "E_VERSION" == caught.value.code


def test_a_deleted_run_is_gone(tmp_path):
    run = publish(tmp_path)
    shutil.rmtree(run)
    for read in (read_manifest, lambda run: read_artifact(run, "alerts")):
        with pytest.raises(MissingError, match="was deleted") as caught:
            read(run)

        assert "E_GONE" == caught.value.code
    assert [] == list_runs(tmp_path)


def test_a_stranger_in_a_run_is_a_warning(tmp_path):
    run = publish(tmp_path)
    (run / "logs/notes.txt").touch()
    (run / "shortcut").symlink_to(tmp_path)

    assert [("warning", "logs/notes.txt"), ("warning", "shortcut")] == [(f.level, f.path) for f in verify(run)]
    assert "completed" == list_runs(tmp_path)[0].status


def test_what_is_no_run_is_not_listed(tmp_path):
    publish(tmp_path)
    (tmp_path / "2024-01" / "run_id=empty").mkdir(parents=True)
    (tmp_path / "2024-01" / "notes").mkdir()
    (tmp_path / "old").mkdir()

    assert ["completed"] == [entry.status for entry in list_runs(tmp_path)]
    assert [] == list_runs(tmp_path / "nothing here")


def test_a_run_of_an_older_engine_is_listed_as_unverified(tmp_path):
    old = tmp_path / "2024-01" / "run_id=1b4e28ba-2fa1-11d2-883f-0016d3cca427"
    old.mkdir(parents=True)
    (old / "run.json").write_text('{"run_id": "1b4e28ba-2fa1-11d2-883f-0016d3cca427"}')
    (old / "_SUCCESS").touch()
    (entry,) = list_runs(tmp_path)

    assert ("1b4e28ba-2fa1-11d2-883f-0016d3cca427", "unverified") == (entry.run_id, entry.status)


def test_a_run_under_another_name_or_behind_a_link_is_corrupt(tmp_path):
    run = publish(tmp_path)
    (run.parent / "run_id=link").symlink_to(run)
    shutil.copytree(run, run.parent / "run_id=copy")

    assert {run.name: "completed", "run_id=link": "corrupt", "run_id=copy": "corrupt"} == {
        entry.path.name: entry.status for entry in list_runs(tmp_path)
    }


def test_a_run_that_cannot_be_read_is_listed(tmp_path, monkeypatch):
    run = publish(tmp_path)

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(runs, "open_plain", refused)
    (entry,) = list_runs(tmp_path)

    assert (run, "unverified") == (entry.path, entry.status)
    assert entry.reason.startswith("Permission denied while reading ")


@pytest.fixture
def three(tmp_path, monkeypatch):
    """Return the directories of three runs, the newest first; the newest failed."""
    found = []
    for month, failure in ((4, None), (5, None), (6, ValueError("no data"))):
        # 2024-05-01 00:00 UTC, and a month of 31 days before and after.
        now = 1714521600000 + (month - 5) * 31 * 86_400_000
        monkeypatch.setattr("highwater.io.publish.time.time_ns", lambda now=now: now * 1_000_000)
        found.insert(0, publish(tmp_path, failure))
    return found


def test_runs_are_listed_newest_first_in_the_month_they_began(tmp_path, three):
    assert three == [entry.path for entry in list_runs(tmp_path)]
    assert ["2024-06", "2024-05", "2024-03"] == [run.parent.name for run in three]
    assert [("failed", "no data"), ("completed", ""), ("completed", "")] == [
        (entry.status, entry.reason) for entry in list_runs(tmp_path)
    ]


def test_a_run_is_found_by_its_id_either_end_of_it_its_path_or_as_the_latest(tmp_path, three, monkeypatch):
    _, second, third = three
    run_id = second.name.removeprefix("run_id=")
    monkeypatch.chdir(third)
    texts = [run_id, run_id.upper(), run_id[:6], run_id[-5:], str(second), f"../../2024-05/{second.name}", "latest"]

    assert [second] * 7 == [find_run(tmp_path, text).path for text in texts]
    assert third == find_run(tmp_path, ".").path


def test_the_latest_run_is_a_completed_one(tmp_path, three):
    truncated(three[1])

    assert three[2] == find_run(tmp_path, "latest").path


def test_a_damaged_run_is_found_as_damaged(tmp_path, three):
    truncated(three[1])

    assert "corrupt" == find_run(tmp_path, three[1].name.removeprefix("run_id=")).status


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("01h", UsageError, "too short"),
        ("", UsageError, "too short"),
        ("01hv", MissingError, "no run '01hv'"),
        ("*****", MissingError, "no run"),
        ("../../etc", MissingError, "not the directory of a run"),
    ],
)
def test_a_text_that_names_no_run_is_refused(tmp_path, text, kind, message):
    with pytest.raises(kind, match=message):
        find_run(tmp_path, text)


def test_a_text_that_fits_two_runs_names_them(tmp_path, monkeypatch):
    monkeypatch.setattr("highwater.io.publish.time.time_ns", lambda: 1714521600000 * 1_000_000)
    both = [publish(tmp_path), publish(tmp_path)]
    with pytest.raises(UsageError, match="fits 2 runs: ") as caught:
        find_run(tmp_path, "01HWRQ6W")
    for run in both:
        assert run.name.removeprefix("run_id=") in str(caught.value)


def test_without_a_completed_run_there_is_no_latest(tmp_path):
    publish(tmp_path, ValueError("no data"))
    with pytest.raises(MissingError, match="no completed run"):
        find_run(tmp_path, "latest")
