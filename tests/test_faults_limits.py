"""Work that is too large for the disk, for a directory, or for the files a process may open."""

import resource
import shutil

import pyarrow.parquet as pq
import pytest
from highwater.io import exports, exports_guide
from provoke import command
from small_market import leftovers, program, run


def test_a_full_disk_refuses_a_search_up_front(tmp_path, monkeypatch):  # F044
    full = type(shutil.disk_usage(tmp_path))(10**9, 10**9 - 100, 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    done = run(*command(tmp_path, "--trials", "1000", name="sweep"))

    assert 5 == done.code
    assert (
        "kB in " in done.err
        and ", 100 B free; free space, choose another --runs, or ask for fewer --trials" in done.err
    )
    assert [] == leftovers(tmp_path / "runs")


def test_many_alerts_share_files_and_too_many_files_are_refused(tmp_path, monkeypatch):  # F045
    monkeypatch.setattr(exports_guide, "PART", 8)
    monkeypatch.setattr(exports, "MOST_FILES", 3)
    alerts, by_caller = tmp_path / "per_alert", tmp_path / "per_caller"
    flags = ["--export-per-alert-parquet", alerts, "--export-per-caller-parquet", by_caller]
    done = run(*command(tmp_path, *flags[:2]))
    refused = run(*command(tmp_path, *flags[2:]))

    assert 0 == done.code, done.err
    assert ["alerts_17_24.parquet", "alerts_1_8.parquet", "alerts_9_16.parquet", "index.parquet"] == leftovers(alerts)
    index = pq.read_table(alerts / "index.parquet", filters=[("file", "=", "alerts_1_8.parquet")]).to_pylist()
    ids = pq.read_table(alerts / "alerts_1_8.parquet")["alert_id"].to_pylist()
    assert [each["alert_id"] for each in index for _ in range(each["rows"])] == ids
    assert 5 == refused.code
    assert "per_caller would hold 4 files; at most 3" in refused.err
    assert not by_caller.exists()


@pytest.mark.parametrize(("limit", "codes"), [(5, {74}), (8, {0, 74}), (16, {0, 74})])
def test_too_many_open_files_is_said(tmp_path, limit, codes):  # F047
    words = command(tmp_path, "--slices", tmp_path / "slices")
    done = program(words, tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
    out, err = done.communicate(timeout=300)

    assert done.returncode in codes, err
    if done.returncode:
        assert "" == out
        assert "too many open files" in err.lower()
        assert 1 == err.count("\n")
        assert [] == leftovers(tmp_path / "runs")
