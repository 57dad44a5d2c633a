"""A folder in which the parquet guide's workflow was done, as fixtures, and what lies there."""

import shlex
import shutil

import duckdb
import pyarrow.parquet as pq
import pytest
import small_market
from highwater.io.runs import find_run
from small_market import run

# The guide's complete workflow as it is typed there, but for where alerts and candles lie and which file stores runs.
WORKFLOW = [
    """baseline
  --from 2024-12-31 --to 2025-12-31
  --alerts data/alerts.duckdb --candles data/candles.parquet
  --store-duckdb results/store.duckdb
  --export-baseline-parquet results/baseline_cache_20250101_20251231.parquet
  --export-per-alert-parquet results/per_alert
  --export-per-caller-parquet results/per_caller""",
    """strategy
  --from 2024-12-31 --to 2025-12-31
  --alerts data/alerts.duckdb --candles data/candles.parquet
  --tp 2.0 --sl 0.7
  --store-duckdb results/store.duckdb
  --export-per-trade-parquet results/per_trade""",
    """optimizer
  --from 2024-12-31 --to 2025-12-31
  --alerts data/alerts.duckdb --candles data/candles.parquet
  --trials 100""",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with a market, its alerts also in a DuckDB file, and what the guide's workflow leaves there."""
    folder = tmp_path_factory.mktemp("workflow")
    small_market.write(folder / "data")
    with duckdb.connect(str(folder / "data" / "alerts.duckdb")) as database:
        alerts = folder / "data" / "alerts.parquet"
        rows = "mint, alert_ts_ms AS trigger_ts_ms, caller_name, chain"
        database.execute(f"CREATE TABLE caller_links_d AS SELECT {rows} FROM '{alerts}'")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in WORKFLOW:
            done = run(*shlex.split(words))
            assert 0 == done.code, done.err
    return folder


@pytest.fixture
def there(made, monkeypatch):
    monkeypatch.chdir(made)
    return made


@pytest.fixture
def copy(made, tmp_path, monkeypatch):
    """Return a copy of it that may be changed, the working directory meanwhile."""
    found = shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(found)
    return found


def files(folder, prefix):
    return sorted(path.name for path in folder.glob(f"{prefix}_*.parquet"))


def rows(path):
    return pq.read_table(path, partitioning=None).to_pylist()


def runs_by_type(folder):
    entries = [find_run(folder / "runs", path.name.removeprefix("run_id=")) for path in folder.glob("runs/*/run_id=*")]
    return {entry.manifest.run_type: entry for entry in entries}
