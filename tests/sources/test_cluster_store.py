"""Workers of a cluster that fetch the slice of a search from a real S3 server, each machine by its digest."""

import contextlib

import highwater.engine
import platformdirs
import small_market
from distributed import Client, LocalCluster
from highwater.io.runs import read_manifest
from lone_crew import unseen

KERNELS = platformdirs.user_cache_path("highwater") / "kernels"  # before a test has a cache of its own
SETTINGS = {"trials": 300, "trail": "0.05:0.5", "tp": "log:1.1:5", "horizon": small_market.HORIZON}


def contents(path):
    """Return the digests of a run's config and artifacts."""
    found = read_manifest(path)
    return {a.path: a.content_sha256 for a in found.artifacts} | {"config": found.config_digest}


@contextlib.contextmanager
def elsewhere(tmp_path, monkeypatch, **environment):
    """Hold another machine: yield its cache, empty, and a client of workers there, who see no path of ours."""
    home = tmp_path / "elsewhere" / "highwater"
    home.mkdir(parents=True)
    KERNELS.mkdir(parents=True, exist_ok=True)
    (home / "kernels").symlink_to(KERNELS)
    unseen(monkeypatch)
    environment["XDG_CACHE_HOME"] = str(home.parent)
    options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    with LocalCluster(2, env=environment, **options) as cluster, Client(cluster, set_as_default=False) as client:
        yield home, client


def searched(market, tmp_path, name, **more):
    return highwater.engine.search(market.alerts, market.candles, runs=tmp_path / name, **SETTINGS, **more)


def test_workers_fetch_a_slice_of_the_store_by_its_digest(s3, tmp_path, monkeypatch):
    market, slices = small_market.write(tmp_path / "market"), f"s3://{s3}/slices"
    alone = searched(market, tmp_path, "alone")
    with elsewhere(tmp_path, monkeypatch) as (home, client):
        cut = searched(market, tmp_path, "cut", client=client, slices=slices)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "third"))
        found = searched(market, tmp_path, "found", client=client, slices=slices)
    (there,) = (home / "objects" / "slices").iterdir()

    assert contents(alone.path) == contents(cut.path) == contents(found.path)
    assert 0 < cut.manifest.execution["bytes_moved"] < max(path.stat().st_size for path in there.iterdir())
    assert not (home / "slices").exists()  # nothing was sent


def test_where_a_worker_cannot_read_the_store_the_slice_is_sent(s3, tmp_path, monkeypatch):
    market = small_market.write(tmp_path / "market")
    alone = searched(market, tmp_path, "alone")
    with elsewhere(tmp_path, monkeypatch, AWS_ENDPOINT_URL="http://127.0.0.1:9") as (home, client):
        sent = searched(market, tmp_path, "sent", client=client, slices=f"s3://{s3}/slices")

    assert contents(alone.path) == contents(sent.path)
    assert 2 == len(list((home / "slices").iterdir()))
