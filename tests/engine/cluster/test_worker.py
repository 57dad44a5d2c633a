import pytest
import small_market
from highwater.engine.cluster import worker
from highwater.io.errors import IntegrityError
from lone_crew import searching


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return small_market.prepared(tmp_path_factory.mktemp("market"))


def test_a_worker_that_began_anew_says_so(ready):
    _, _, manned = searching(ready)
    worker._open.clear()

    assert {worker.MISSING: True} == worker.do(manned.crew.job.digest, "tally", {})


def test_a_slice_comes_in_parts_and_is_verified(ready, tmp_path, monkeypatch):
    monkeypatch.setattr(worker.platformdirs, "user_cache_path", lambda *_: tmp_path)
    facts, path = ready.slice.facts, ready.slice.path
    data, manifest = path.read_bytes(), path.with_suffix(".json").read_bytes()
    content = facts.content_sha256
    for offset in range(0, len(data), 1000):
        worker.put(content, offset, data[offset : offset + 1000])
    worker.have(content, manifest)

    assert content == worker.open_slice(worker.place_of(content)).facts.content_sha256
    assert 2 == len(list(worker.place_of(content).parent.iterdir()))

    worker.put(content, 0, data[:3000] + bytes(8) + data[3008:])
    with pytest.raises(IntegrityError):
        worker.have(content, manifest)
    assert 2 == len(list(worker.place_of(content).parent.iterdir()))
