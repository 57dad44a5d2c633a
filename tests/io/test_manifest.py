import dataclasses
import json
import subprocess
import sys

import numpy
import pytest
from highwater.io.digest import canonical_json, config_digest
from highwater.io.errors import IntegrityError
from highwater.io.manifest import (
    Artifact,
    Code,
    Environment,
    Input,
    Manifest,
    code,
    environment,
    made_at,
    new_run_id,
    utc_text,
)

CONFIG = {"seed": "42", "multiples": ["1.2", "2"], "tp": 2.5}
MANIFEST = Manifest(
    run_id="01hzy4x7k3qv5t8m2n6p9r0sab",
    run_type="search",
    status="completed",
    created_at="2024-06-01T10:00:00.000Z",
    started_at="2024-06-01T10:00:00.001Z",
    completed_at="2024-06-01T10:00:09.000Z",
    config_digest=config_digest(CONFIG),
    code=Code("0.1.0", None, None, "ab" * 32),
    environment=Environment("3.11.7", "0.62", "2.1", "20", None, "Linux 6", "x86_64"),
    artifacts=(Artifact("alerts", "inputs/alerts.parquet", 3, 1200, "cd" * 32, "ef" * 32, 1),),
    config=CONFIG,
    command=("highwater", "sweep"),
    inputs=(Input("candles", "candles.parquet", "12" * 32, 100, 0, 60_000, 60_000),),
    counts={"OK": 3},
    timing_ms={"search": 8000},
    trials_so_far=1000,
)


def edited(**changes):
    return canonical_json({**json.loads(MANIFEST.to_json()), **changes})


def test_a_manifest_comes_back_from_its_json():
    assert MANIFEST == Manifest.from_json(MANIFEST.to_json())


def test_its_json_is_canonical():
    text = MANIFEST.to_json().decode()
    expected = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert expected == text


def test_a_newer_manifest_is_named_and_not_guessed_at():
    with pytest.raises(IntegrityError) as caught:
        Manifest.from_json(edited(schema_version=9, novel=1), "x/run.json")

    assert "E_VERSION" == caught.value.code
    assert f"x/run.json: run {MANIFEST.run_id} was written by a newer version (schema 9, this is 1)" in str(
        caught.value
    )


ARTIFACT = dataclasses.asdict(MANIFEST.artifacts[0])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Expecting value"),
        (b"[]", "must be dict"),
        (b'{"a":1,"a":2}', "stands twice"),
        (b"[" * 100_000, "recursion"),
        (edited(novel=1), "novel"),
        (edited(status="running"), "status 'running'"),
        (edited(run_type="tea"), "run_type 'tea'"),
        (edited(run_id="../../etc"), "run_id"),
        (edited(created_at=5), "manifest.created_at is 5; it must be str"),
        (edited(schema_version=True), "schema_version is True"),
        (edited(counts={"OK": "3"}), "manifest.counts.OK"),
        (edited(config={"seed": "43"}), "config_digest"),
        (edited(trials_so_far="many"), "trials_so_far"),
        (edited(artifacts=[{**ARTIFACT, "path": "../../secret"}]), "plain names"),
        (edited(artifacts=[{**ARTIFACT, "path": "/etc/passwd"}]), "plain names"),
        (edited(artifacts=[{**ARTIFACT, "path": "a//b"}]), "plain names"),
        (edited(artifacts=[{**ARTIFACT, "rows": 1.5}]), r"artifacts\[0\].rows"),
    ],
)
def test_what_is_no_manifest_is_refused(data, message):
    with pytest.raises(IntegrityError, match=message) as caught:
        Manifest.from_json(data)

    assert "E_CORRUPT" == caught.value.code


def test_an_artifact_is_found_by_type_or_path():
    found = [MANIFEST.artifact("alerts"), MANIFEST.artifact("inputs/alerts.parquet"), MANIFEST.artifact("trades")]

    assert [MANIFEST.artifacts[0], MANIFEST.artifacts[0], None] == found


def test_a_run_id_begins_with_its_time():
    # Times from the ULID specification's reference encoding: 0 and the largest 48-bit number.
    assert "0000000000" == new_run_id(0)[:10]
    assert "7zzzzzzzzz" == new_run_id(2**48 - 1)[:10]
    assert "01arz3ndek" == new_run_id(1469922850259)[:10]


@pytest.mark.parametrize("ms", [0, 1469922850259, 2**48 - 1])
def test_the_time_in_a_run_id_is_read_back(ms):
    assert ms == made_at(new_run_id(ms))


def test_run_ids_of_one_moment_differ_and_those_of_later_ones_sort_later():
    ids = [new_run_id(ms) for ms in (5, 6, 6, 7)]

    assert 4 == len({i[10:] for i in ids})
    assert [i[:10] for i in ids] == sorted(i[:10] for i in ids)
    assert {26} == {len(i) for i in ids}


@pytest.mark.parametrize(("ms", "text"), [(0, "1970-01-01T00:00:00.000Z"), (1706695200007, "2024-01-31T10:00:00.007Z")])
def test_times_are_written_in_utc(ms, text):
    assert text == utc_text(ms)


def test_the_environment_names_what_it_runs_on():
    found = environment()

    assert (sys.version.split()[0], numpy.__version__) == (found.python, found.numpy)
    assert "" not in dataclasses.astuple(found)


def test_asking_for_the_environment_imports_no_library():
    script = (
        "import sys; from highwater.io.manifest import environment, code; environment(); code();"
        "print([m for m in ('numba', 'duckdb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


@pytest.mark.parametrize(
    ("file", "dirty"),
    [("market/alerts.parquet", False), ("mine.py", False), ("kernels/a.py", True), ("engine/new.py", True)],
)
def test_only_changes_of_the_code_are_changes(tmp_path, monkeypatch, file, dirty):
    for path in (tmp_path / "kernels/a.py", tmp_path / file):
        path.parent.mkdir(exist_ok=True)
    (tmp_path / "kernels/a.py").write_text("one = 1\n")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a", "commit", "-qm", "a"]):
        subprocess.run(["git", "-C", tmp_path, *words], check=True)
    monkeypatch.setattr("highwater.io.manifest.__file__", str(tmp_path / "io" / "manifest.py"))
    clean = code()
    (tmp_path / file).write_text("two = 2\n")

    assert (False, dirty) == (clean.dirty, code().dirty)
    assert clean.git_commit == code().git_commit


def test_the_kernels_digest_is_the_one_that_names_the_compiled_code():
    from highwater.kernels.jit import kernels_digest

    found = code().kernels_digest

    assert kernels_digest() == found
