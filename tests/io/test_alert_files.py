import json
import os
import subprocess
import sys

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from highwater.io.alerts import read_alerts
from highwater.io.errors import BusyError, DataError, HighwaterError, MissingError, SchemaError, UsageError
from small_alerts import T, call_id, column, parquet, rows

HOSTILE = [
    "a\0b",
    "../../x",
    "/etc/x",
    "CON",
    'it\'s "q"',
    "x" * 300,
    "\N{PILE OF POO}" * 64,
    "\u00e9",
    "e\u0301",
    "=1+1",
    " a ",
]


def database(path, *statements):
    with duckdb.connect(str(path)) as con:
        for statement in statements:
            con.execute(statement)
    return path


def as_csv(path, data):
    pyarrow.csv.write_csv(pa.table(data), path)


def as_lines(path, data):
    path.write_text(
        "\n".join(json.dumps(dict(zip(data, row, strict=True))) for row in zip(*data.values(), strict=True))
    )


def as_duckdb(path, data):
    with duckdb.connect(str(path)) as con:
        given = pa.table(data)  # noqa: F841
        con.execute("CREATE TABLE user_calls_d AS SELECT * FROM given")


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.csv", as_csv), ("a.jsonl", as_lines), ("a.ndjson", as_lines), ("a.json", as_lines), ("a.duckdb", as_duckdb)],
)
def test_every_source_gives_the_same_table(tmp_path, name, write):
    data = rows(mcap_usd=[1.5, None, 3.0])
    parquet(tmp_path / "a.parquet", mcap_usd=[1.5, None, 3.0])
    write(tmp_path / name, data)

    assert read_alerts(tmp_path / "a.parquet").table.equals(read_alerts(tmp_path / name).table)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl"])
def test_empty_source(tmp_path, name):
    (tmp_path / "a.csv").write_text("mint,ts\n")
    pq.write_table(
        pa.table({"mint": pa.array([], pa.string()), "ts": pa.array([], pa.int64())}), tmp_path / "a.parquet"
    )
    (tmp_path / "a.jsonl").write_text("")
    if name == "a.jsonl":
        with pytest.raises(SchemaError, match="no column 'mint'"):
            read_alerts(tmp_path / name)
    else:
        assert 0 == read_alerts(tmp_path / name).counts["read"]


def test_blank_cells_of_a_csv_are_null(tmp_path):
    (tmp_path / "a.csv").write_text("mint,ts,caller,mcap,price\nA,2024-01-01T00:00:00Z,NA,,null\nB,,x,5,1\n")
    batch = read_alerts(tmp_path / "a.csv")

    assert (1, ["NA"]) == (batch.counts["bad_time"], column(batch, "caller_name"))
    assert [[None], [None]] == [column(batch, "mcap_usd"), column(batch, "alert_price")]


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl"])
def test_hostile_names_survive(tmp_path, name):
    data = {"mint": HOSTILE, "ts": [T] * len(HOSTILE), "caller": HOSTILE}
    if name == "a.jsonl":
        as_lines(tmp_path / name, data)
    else:
        pq.write_table(pa.table(data), tmp_path / name)
    batch = read_alerts(tmp_path / name)

    assert sorted(HOSTILE) == column(batch, "mint")
    assert sorted(HOSTILE) == column(batch, "caller_name")
    assert [call_id("solana", name, T, name) for name in sorted(HOSTILE)] == column(batch, "call_id")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"mint": "A", "ts": ', "is not JSON"),
        ("[1]", "is a JSON list; it must be one object a line"),
        ('{"mint": "\\ud800", "ts": 1}', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"mint": "A", "ts": "soon"}', "ts is 'soon'"),
        ('{"mint": "A", "ts": 99999999999999999999}', "ts is '99999999999999999999'"),
        ('{"mint": "A", "ts": {"a": 1}}', "ts is '{\"a\": 1}'"),
    ],
)
def test_bad_json_line_is_named(tmp_path, line, reason):
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"mint": "A", "ts": {T}}}\n\n{line}\n')
    with pytest.raises(DataError) as caught:
        read_alerts(path)

    assert str(caught.value).startswith(f"{path}:3") and reason in str(caught.value)
    assert 1 == len(str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("made", "place"),
    [
        (("canon.alerts_final", "caller_links_d"), "canon.alerts_final"),
        (("canon.alerts_std", "user_calls_d"), "canon.alerts_std"),
        (("caller_links_d", "user_calls_d"), "caller_links_d"),
        (("user_calls_d",), "user_calls_d"),
    ],
)
def test_first_table_there_is_read(tmp_path, made, place):
    tables = [f"CREATE TABLE {name} AS SELECT '{name}' mint, {T}::BIGINT call_ts_ms" for name in reversed(made)]
    path = database(tmp_path / "alerts.duckdb", "CREATE SCHEMA canon", *tables)
    batch = read_alerts(path)

    assert (f"{path}:{place}", [place]) == (batch.place, column(batch, "mint"))


def test_table_and_query_override(tmp_path):
    path = database(
        tmp_path / "alerts.db",
        f"CREATE TABLE caller_links_d AS SELECT 'A' mint, {T}::BIGINT ts",
        f"""CREATE TABLE "it's" AS SELECT 'B' mint, {T}::BIGINT ts""",
    )

    assert ["B"] == column(read_alerts(path, table="it's"), "mint")
    assert ["C"] == column(read_alerts(path, query=f"SELECT 'C' AS mint, {T} AS ts;"), "mint")
    with pytest.raises(MissingError, match="has no table 'nope'; found: caller_links_d, it's"):
        read_alerts(path, table="nope")
    with pytest.raises(UsageError, match="Error"):
        read_alerts(path, query="SELECT nothing FROM nowhere")
    with pytest.raises(UsageError, match="Permission Error"):
        read_alerts(path, query=f"SELECT * FROM read_csv('{__file__}')")


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize(
    "sql",
    ["TIMESTAMP '2024-01-01 12:00:00'", "TIMESTAMPTZ '2024-01-01 14:00:00+02'", "TIMESTAMP_S '2024-01-01 12:00:00'"],
)
def test_database_times_are_utc_wherever_it_runs(tmp_path, monkeypatch, zone, sql):
    monkeypatch.setenv("TZ", zone)
    path = database(tmp_path / "a.duckdb", f"CREATE TABLE caller_links_d AS SELECT 'A' mint, {sql} AS ts")

    assert ["2024-01-01T12:00:00.000Z"] == column(read_alerts(path), "created_at")


ZONED = """
import sys
import duckdb
from highwater.io.alerts import read_alerts

with duckdb.connect() as there:
    print(there.execute("SELECT current_setting('TimeZone')").fetchone()[0])
for cell in sys.argv[2:]:
    query = f"SELECT 'A' AS mint, {cell} AS ts"
    print(read_alerts(sys.argv[1], query=query).table["created_at"][0])
"""


def test_a_query_that_hangs_on_the_time_zone_is_answered_in_utc(tmp_path):
    """In a process of its own: DuckDB asks for the machine's zone once."""
    path, then = database(tmp_path / "a.duckdb", "CREATE SCHEMA canon"), "TIMESTAMPTZ '2024-01-01 20:00:00+00'"
    cells = [f"{then}::TIMESTAMP", f"{then}::VARCHAR", f"{then}::DATE", "TIMESTAMP '2024-01-01 20:00:00'::TIMESTAMPTZ"]
    done = subprocess.run(
        [sys.executable, "-c", ZONED, path, *cells],
        env=os.environ | {"TZ": "Asia/Tokyo"},
        check=True,
        capture_output=True,
        text=True,
    )
    evening = "2024-01-01T20:00:00.000Z"

    assert ["Asia/Tokyo", evening, evening, "2024-01-01T00:00:00.000Z", evening] == done.stdout.split()


def test_locked_database_is_busy(tmp_path):
    path = database(tmp_path / "a.duckdb", f"CREATE TABLE caller_links_d AS SELECT 'A' mint, {T} ts")
    hold = "import duckdb,sys; c=duckdb.connect(sys.argv[1]); print(1,flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout and holder.stdin
        holder.stdout.readline()
        with pytest.raises(BusyError, match="in use") as caught:
            read_alerts(path)
        holder.stdin.close()

    assert 75 == caught.value.exit_code


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.duckdb", b"x" * 5000),
        ("a.parquet", b""),
        ("a.csv", b"mint,ts\nA\n"),
        ("a.jsonl", b"\xff\n"),
        ("a.xls", b"x"),
    ],
)
def test_damaged_source_is_one_line(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(HighwaterError) as caught:
        read_alerts(path)

    assert (True, 1) == (str(caught.value).startswith(str(path)), len(str(caught.value).splitlines()))


def test_missing_file_and_misplaced_arguments(tmp_path):
    with pytest.raises(MissingError):
        read_alerts(tmp_path / "no.duckdb")
    with pytest.raises(UsageError, match="DuckDB"):
        read_alerts(parquet(tmp_path / "a.parquet"), table="x")
    with pytest.raises(UsageError, match="alert unit"):
        read_alerts(tmp_path / "a.parquet", time_unit="min")


def test_another_kind_of_file_is_refused_with_all_that_are_read(tmp_path):
    (tmp_path / "alerts.xls").write_bytes(b"x")
    with pytest.raises(
        SchemaError, match=r"alerts.xls: unknown kind of file; expected one of .*\.csv.*\.duckdb.*\.jsonl"
    ):
        read_alerts(tmp_path / "alerts.xls")
