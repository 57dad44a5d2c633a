"""Damage of every artifact, of the manifest and of the marker is found and named."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from highwater.io.digest import canonical_json
from highwater.io.publish import stage
from highwater.io.runs import verify
from highwater.io.schemas import FIXED, PATHS, paths
from hypothesis import given, settings
from hypothesis import strategies as st

ANY = pa.schema([("call_id", pa.string()), ("size", pa.int64()), ("share", pa.float64())])
KINDS = {path: kind for kind, path in reversed(PATHS.items())}  # runs of one type never have two at one path
TABLES = [kind for path, kind in KINDS.items() if path.endswith(".parquet")]
HOLDS = {"int64": 7, "int32": 7, "int8": 1, "double": 0.5, "bool": True, "string": "text"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the directory of a run that has every artifact there is."""
    with stage(tmp_path_factory.mktemp("runs"), "search") as staged:
        for path, kind in KINDS.items():
            if kind in TABLES:
                schema = {**FIXED, "paths": paths()}.get(kind, ANY)
                staged.write(kind, pa.Table.from_pylist([{f.name: HOLDS[str(f.type)] for f in schema}] * 20, schema))
            else:
                staged.write_file(path, b"what was said", kind)
        published = staged.publish()
    for path in published.rglob("*"):
        path.chmod(0o700)
    return published


@pytest.mark.parametrize("path", [*KINDS, "run.json", "_SUCCESS"])
@settings(max_examples=20, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_and_named(run, path, where, bit):
    data = (run / path).read_bytes()
    at = int(where * len(data))
    (run / path).write_bytes(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])
    found = verify(run)
    (run / path).write_bytes(data)

    assert [("error", path if path in KINDS else "run.json")] == [(f.level, f.path) for f in found]
    assert str(run / path) in found[0].problem or path == "_SUCCESS"


@pytest.mark.parametrize("content", [False, True])
def test_a_whole_run_has_nothing_wrong(run, content):
    assert [] == verify(run, content)


def test_all_that_is_damaged_is_named_in_the_order_of_the_manifest(run):
    kept = {path: (run / path).read_bytes() for path in KINDS}
    for path, data in kept.items():
        (run / path).write_bytes(data[:-1])
    found = verify(run)
    for path, data in kept.items():
        (run / path).write_bytes(data)

    assert [("error", path) for path in KINDS] == [(f.level, f.path) for f in found]
    assert all(": size is " in f.problem for f in found)


def remarked(run, path, data, **changes):
    """Replace an artifact with a manifest and a marker that fit its bytes, as no honest writer would."""
    (run / path).write_bytes(data)
    told = json.loads((run / "run.json").read_bytes())
    facts = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), **changes}
    told["artifacts"] = [{**each, **facts} if each["path"] == path else each for each in told["artifacts"]]
    (run / "run.json").write_bytes(canonical_json(told))
    (run / "_SUCCESS").write_text(hashlib.sha256(canonical_json(told)).hexdigest())


@pytest.fixture
def other(tmp_path):
    """Return the directory of a run whose table may be replaced."""
    with stage(tmp_path, "search") as staged:
        staged.write("features", pa.table({"size": np.arange(300_000), "run_id": ["a"] * 300_000}))
        published = staged.publish()
    for path in published.rglob("*"):
        path.chmod(0o700)
    return published


def parquet(values, **options):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"size": values, "run_id": ["b"] * len(values)}), sink, **options)
    return sink.getvalue().to_pybytes()


def test_values_that_changed_under_a_fitting_digest_are_found_by_content(other):
    remarked(other, PATHS["features"], parquet(np.arange(300_000) + (np.arange(300_000) == 299_999)))

    assert [] == verify(other)
    assert ["features/features.parquet"] == [found.path for found in verify(other, content=True)]
    assert "content_sha256 is" in verify(other, content=True)[0].problem


def test_other_bytes_of_the_same_values_have_the_same_content(other):
    remarked(other, PATHS["features"], parquet(np.arange(300_000), compression="gzip", row_group_size=1000))

    assert [] == verify(other, content=True)


def test_a_table_that_cannot_be_decoded_is_found_by_content(other):
    remarked(other, PATHS["features"], b"no table")

    assert [] == verify(other)
    assert "cannot be read: " in verify(other, content=True)[0].problem
