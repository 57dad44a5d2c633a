import json
import os

import old_workspace
import pyarrow as pa
import pytest
from highwater.io.errors import DataError, MissingError
from highwater.io.old_traces import as_text, old_traces, open_workspace
from old_workspace import TRACE, put, rows

START_MS = 1_704_205_800_000
PROBLEMS = {
    "traces/SPY/signals/bad/x.parquet": "the directory 'SPY' does not say its series as SYMBOL_timeframe",
    "traces/SPY_1m/classifiers/hmm/x.parquet": "a classifier's: its values are no signals",
    "traces/SPY_1m/signals/bad/back.parquet": "row 3: idx must ascend from 0 or more, in whole numbers",
    "traces/SPY_1m/signals/bad/no_px.parquet": "it has no column px (found: idx, ts, sym, val, strat)",
    "traces/SPY_1m/signals/bad/text.parquet": "not a readable Parquet file",
    "traces/SPY_1m/signals/bad/two.parquet": "row 2: val must be 1, 0 or -1",
    "traces/SPY_1m/signals/trend/SPY_trend.parquet": "a classifier's: its values are no signals",
    "traces/SPY_1m/signals/words/x.parquet": "a classifier's: its values are text, and no signals",
}


@pytest.fixture
def old(tmp_path):
    return old_workspace.write(tmp_path / "old")


def read(folder):
    return {each.path: each for each in old_traces(open_workspace(folder))}


def one(folder, **columns):
    """Return the only file of a workspace, of the usual rows with some columns changed."""
    put(folder, "traces/SPY_5m/signals/x/y.parquet", rows(TRACE, "SPY", "s", **columns))
    return read(folder)["traces/SPY_5m/signals/x/y.parquet"]


def test_each_file_is_read_or_says_why_not(old):
    found = read(old)

    assert 14 == len(found)
    assert set(PROBLEMS) == {path for path, each in found.items() if each.problem}
    for path, problem in PROBLEMS.items():
        assert found[path].rows is None
        assert problem in found[path].problem


def test_a_file_is_matched_with_what_metadata_json_says(old):
    found = read(old)
    bands = found["traces/SPY_5m/signals/bollinger_bands/SPY_5m_bollinger_bands_0_1234.parquet"]

    assert ("SPY", "5m", "bollinger_bands", "SPY_5m_strategy_0") == (
        bands.symbol,
        bands.timeframe,
        bands.kind,
        bands.strategy_id,
    )
    assert 20 == bands.component["parameters"]["period"]
    assert ([0, 45, 127], [1, 0, -1], [470.5, 471.2, 469.8]) == tuple(
        getattr(bands.rows, name).tolist() for name in ("idx", "val", "px")
    )
    assert [START_MS, START_MS + 45 * 300_000, START_MS + 127 * 300_000] == bands.rows.ts.tolist()
    assert found["traces/QQQ_5m/signals/bollinger_bands/QQQ_0.parquet"].component is None


def test_a_path_in_metadata_json_comes_before_a_name(tmp_path):
    path = "traces/SPY_5m/signals/x/y.parquet"
    put(tmp_path, path, rows(TRACE, "SPY", "s"))
    told = {"s": {"type": "wrong"}, "other": {"type": "strategy", "signal_file_path": path}}
    (tmp_path / "metadata.json").write_text(json.dumps({"components": told}))

    assert "strategy" == read(tmp_path)[path].component["type"]


@pytest.mark.parametrize(
    "ts",
    [
        pa.array([START_MS + 300_000 * i for i in (0, 45, 127)], pa.timestamp("ms", "UTC")),
        [START_MS + 300_000 * i for i in (0, 45, 127)],
        [START_MS // 1000 + 300 * i for i in (0, 45, 127)],
        ["2024-01-02 14:30:00", "2024-01-02T18:15:00Z", "2024-01-02T20:05:00-05:00"],
    ],
)
def test_times_of_any_kind_are_read(tmp_path, ts):
    assert [START_MS, START_MS + 13_500_000, START_MS + 38_100_000] == one(tmp_path, ts=ts).rows.ts.tolist()


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"ts": ["a", "b", "c"]}, "ts is 'a'; it must be an integer"),
        ({"ts": [1, 2, 3]}, "in no unit"),
        ({"ts": [START_MS, START_MS, START_MS + 1]}, "row 2: ts is missing, or does not ascend"),
        ({"ts": [None, None, None]}, "ts"),
        ({"idx": [0.5, 1, 2]}, "row 1: idx must ascend"),
        ({"idx": [-1, 1, 2]}, "row 1: idx must ascend"),
        ({"idx": [0, 1, 2**31]}, "row 3: idx must ascend"),
        ({"idx": [None, 1, 2]}, "row 1: idx must ascend"),
        ({"val": [1, None, 0]}, "row 2: val must be"),
        ({"val": [1, 0.5, 0]}, "row 2: val must be"),
        ({"px": [1, float("inf"), 1]}, "row 2: px must be a price"),
        ({"px": [1, 1, -1]}, "row 3: px must be a price"),
        ({"px": ["x", "y", "z"]}, "px is 'x'; it must be a number"),
    ],
)
def test_rows_that_are_no_changes_are_refused(tmp_path, columns, problem):
    assert problem in one(tmp_path, **columns).problem


def test_the_name_of_a_file_stands_for_rows_that_do_not_agree(tmp_path):
    assert "y" == one(tmp_path, strat=["a", "b", "a"]).strategy_id
    assert "y" == one(tmp_path, strat=None).strategy_id
    assert "s" == one(tmp_path).strategy_id


def test_the_digest_is_that_of_all_its_content(old):
    def digest():
        workspace = open_workspace(old)
        return workspace.digest({each.path: each.sha256 for each in old_traces(workspace)})

    first = digest()
    again = digest()
    (old / "metadata.json").write_text("{}")
    other = digest()
    (old / "traces/SPY/signals/bad/x.parquet").unlink()

    assert first == again
    assert 3 == len({first, other, digest()})


def test_what_is_no_workspace_is_told(tmp_path):
    with pytest.raises(MissingError, match="is not a directory; name an older workspace"):
        open_workspace(tmp_path / "none")
    with pytest.raises(MissingError, match="holds no traces/<SYMBOL>_<timeframe>"):
        open_workspace(tmp_path)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "[1]", "\ud800"])
def test_a_damaged_metadata_json_is_told(tmp_path, text):
    one(tmp_path)
    (tmp_path / "metadata.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError, match=r"metadata\.json"):
        open_workspace(tmp_path)


def test_without_a_metadata_json_files_are_read_all_the_same(tmp_path):
    assert (None, "") == ((found := one(tmp_path)).component, found.problem)


def test_a_pipe_among_the_files_is_not_opened(tmp_path):
    one(tmp_path)
    os.mkfifo(tmp_path / "traces/SPY_5m/signals/x/z.parquet")

    assert 1 == len(read(tmp_path))


def test_any_json_is_one_line():
    assert '{"a":1,"b":[null]}' == as_text({"b": [None], "a": 1})
    assert "\n" not in as_text({"big": 2**70, "text": "a\nb"})
