import pytest
import service_runs
from highwater.engine.service.runs import open_run
from highwater.engine.service.tables import artifact_of, file_of, page
from highwater.io.errors import IntegrityError, MissingError, UsageError
from highwater.io.runs import read_artifact


@pytest.fixture(scope="module")
def run():
    runs = service_runs.made()
    return open_run(runs.root, runs.ids["policy"])


@pytest.fixture(scope="module")
def rows(run):
    return read_artifact(run.path, "trades").to_pylist()


def test_a_page_is_a_cut_of_the_file(run, rows):
    found = page(run, "trades", limit=5, offset=3)

    assert (rows[3:8], 24) == (found.table.to_pylist(), found.total)
    assert [] == page(run, "trades", offset=24).table.to_pylist()
    assert 24 == page(run, "trades", offset=10**9).total


def test_rows_are_filtered_and_sorted(run, rows):
    found = page(run, "trades", ["status=OK", "realized_return_bps>0"], "realized_return_bps", columns=["call_id"])
    fit = [row for row in rows if row["status"] == "OK" and row["realized_return_bps"] > 0]

    assert len(fit) == found.total
    expected = [row["call_id"] for row in sorted(fit, key=lambda row: row["realized_return_bps"])]
    assert [{"call_id": call} for call in expected] == found.table.to_pylist()


def test_equal_rows_keep_the_order_of_the_file_on_every_page(run, rows):
    seen = [
        row
        for at in range(0, 24, 5)
        for row in page(run, "trades", sort="policy_id", limit=5, offset=at).table.to_pylist()
    ]

    assert rows == seen


def test_nulls_are_asked_for_and_last(run, rows):
    nulls = [row["call_id"] for row in rows if row["exit_px"] is None]

    assert nulls == page(run, "trades", ["exit_px=null"]).table["call_id"].to_pylist()
    for up in (True, False):
        assert nulls == page(run, "trades", sort="exit_px", ascending=up).table["call_id"].to_pylist()[-len(nulls) :]


def test_columns_of_another_table_are_joined_by_call(run, rows):
    alerts = read_artifact(run.path, "alerts").select(["call_id", "caller_name", "mint"])
    callers = dict(zip(*(alerts[name].to_pylist() for name in ("call_id", "caller_name")), strict=True))
    found = page(run, "trades", [f"caller_name='{service_runs.FORMULA}'"], joined=alerts)

    expected = [row["call_id"] for row in rows if callers[row["call_id"]] == service_runs.FORMULA]
    assert expected == found.table["call_id"].to_pylist()
    assert 0 < found.total < 24
    assert [*rows[0], "caller_name", "mint"] == found.table.column_names


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"where": ["1=1; DROP TABLE x"]}, "where is '1=1; DROP TABLE x'; it must be NAME=VALUE"),
        ({"where": ["statu=OK"]}, "no row has 'statu'.*status"),
        ({"where": ["entry_px=soon"]}, "where 'entry_px=soon'"),
        ({"sort": 'entry_px" DESC; --'}, "sort is 'entry_px"),
        ({"columns": ["call_id", "*"]}, r"columns is '\*'; there are run_id, "),
        ({"limit": 1001}, r"limit is 1001; it must be 1\.\.1000"),
    ],
)
def test_what_is_asked_is_checked(run, asked, message):
    with pytest.raises(UsageError, match=message):
        page(run, "trades", **asked)


@pytest.mark.parametrize("name", ["../run.json", "run.json", "policy/trades.parquet", "equity", "tradez"])
def test_artifacts_are_known_by_type_and_never_by_path(run, name):
    with pytest.raises(MissingError, match=r"has no artifact '.*'"):
        artifact_of(run, name)


def test_a_file_that_is_not_as_published_is_not_served(tmp_path):
    runs = service_runs.copy(tmp_path)
    run = open_run(runs.root, runs.ids["policy"])
    path = run.path / "policy" / "trades.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    with pytest.raises(IntegrityError, match=r"trades.parquet: sha256 is"):
        page(run, "trades")
    with pytest.raises(IntegrityError, match=r"trades.parquet: sha256 is"):
        file_of(run, "trades")
    assert b"" == file_of(run, "log")[:0]
