"""How fast is a run proved: every byte hashed, and every value too?"""

import hashlib
import shutil

import numpy as np
import pyarrow as pa
import pytest
from highwater.io.publish import stage
from highwater.io.runs import read_manifest, verify

ROWS = 8_000_000


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the directory of a run with four large tables, in the page cache because it was just written."""
    folder, rng = tmp_path_factory.mktemp("runs"), np.random.Generator(np.random.PCG64(3))
    with stage(folder, "search") as staged:
        for kind in ("trials", "surface", "features", "sessions"):
            staged.write(kind, pa.table({"trial_id": np.arange(ROWS), "score": rng.normal(size=ROWS)}))
        yield staged.publish()
    shutil.rmtree(folder)


def hashed(run) -> None:
    """Hash the files one by one, and compare nothing."""
    for artifact in read_manifest(run).artifacts:
        with (run / artifact.path).open("rb") as file:
            hashlib.file_digest(file, "sha256")


def test_verify(bench, run):
    assert verify(run, content=True) == []
    size = sum(artifact.bytes for artifact in read_manifest(run).artifacts)
    ways = {
        "runs verify": lambda: verify(run),
        "with --content": lambda: verify(run, content=True),
        "hashing alone, one by one": lambda: hashed(run),
    }
    for way, took in bench.compare(ways, rounds=5).items():
        bench.say(way, took, f"{size / took.cpu / 1e9:.2f} GB/s a core, of {size / 1e6:,.0f} MB")
