"""What can go wrong with data, settings, names and limits: how it is provoked, the exit code and the words it gets."""

import csv
import json
import re
import resource
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small_market
from highwater.engine import run as engine_run
from highwater.io import exports, exports_guide
from highwater.io.runs import find_run, read_artifact, read_manifest, verify
from small_market import EARLY, Market, by_token, leftovers, ms, program, run, tables

DATA = "F003 F006 F007 F010 F012 F013 F014 F015 F016 F017 F018 F019 F020 F021 F022 F023 F024"
CONFIG = "F027 F028 F029 F032 F034 F035 F037 F039 F040"
LIMITS = "F043 F044 F045 F046 F047"
NAMES = "F089 F090 F091 F092 F093 F095 F096 F097 F098 F099"
DISK = "F048 F049 F050 F051 F052 F054 F055 F056"
CRASH = "F058 F061 F062 F063 F065 F066 F069 F070"
BYTES = "F072 F073 F074 F075 F078 F079 F081 F083 F086 F087 F088"
LATER = {
    "F046": "one process does all the work; there is no worker to lose",
    "F081": "one process does all the work; a mapped slice cut short in place ends it, and none of ours ever is",
    "F099": "there is neither a report nor a dashboard yet",
}


class Fault(NamedTuple):
    """A fault: ``provoke`` makes it in a folder and returns the words of a command.

    ``code`` is the exit code and ``words`` stand in the one line on stderr, or for 0 in what the run says of itself.
    """

    id: str
    slug: str
    provoke: Callable[[Path], list[Any]]
    code: int
    words: tuple[str, ...] = ()


def mint(number):
    return list(by_token(tables()[0]))[number]


def command(folder, *words, name="baseline"):
    """Return the words of a command on the market of a folder."""
    market = Market(folder / "candles.parquet", folder / "alerts.parquet")
    market = market if market.alerts.exists() else small_market.write(folder)
    return [name, *market.flags, "--runs", folder / "runs", "--quiet", *words]


def flags(*words, name="strategy"):
    return lambda folder: command(folder, *words, name=name)


def candles(change, *words):
    """Provoke by a change of one sound series, the rows of which ``change`` takes and returns."""

    def provoke(folder):
        series = by_token(tables()[0])
        series[mint(EARLY)] = change(series[mint(EARLY)])
        rows = [row for rows in series.values() for row in rows]
        small_market.write(folder, pa.Table.from_pylist(rows, tables()[0].schema))
        return command(folder, *words)

    return provoke


def candle(**cells):
    """Provoke by other cells in one candle."""
    return candles(lambda rows: [*rows[:20], rows[20] | cells, *rows[21:]])


def whole(change, *words):
    """Provoke by a change of the table of candles."""

    def provoke(folder):
        small_market.write(folder, change(tables()[0]))
        return command(folder, *words)

    return provoke


def cast(name, kind):
    """Provoke by another type of a column."""
    return whole(lambda table: table.set_column(table.schema.get_field_index(name), name, table[name].cast(kind)))


def alerts(change, *words):
    """Provoke by a change of the rows of alerts."""

    def provoke(folder):
        rows = change(tables()[1].to_pylist())
        schema = tables()[1].schema if not rows or rows[0].keys() == set(tables()[1].schema.names) else None
        small_market.write(folder, None, pa.Table.from_pylist(rows, schema=schema))
        return command(folder, *words)

    return provoke


def each_alert(*words, **change):
    return alerts(lambda rows: [row | {name: new(row[name]) for name, new in change.items()} for row in rows], *words)


def callers(*names):
    """Provoke by the names of callers, in turn."""
    return alerts(lambda rows: [row | {"caller_name": names[i % len(names)]} for i, row in enumerate(rows)])


def config(text, suffix=".yaml"):
    """Provoke by a config file."""

    def provoke(folder):
        file = folder / f"settings{suffix}"
        file.write_text(text)
        return command(folder, "--config", file)

    return provoke


def scaled(rows, unit):
    return [row | {"alert_ts_ms": row["alert_ts_ms"] // unit} for row in rows]


def twice(rows):
    return [row | {"alert_id": str(i % (len(rows) - 1))} for i, row in enumerate(rows)]


def partitions(folder):
    """Tokens that are digits, in partitions whose names a reader could take for one number."""
    market, names = small_market.write(folder), {mint(EARLY): "012", mint(EARLY + 1): "12"}
    for token, name in names.items():
        part = folder / "parts" / f"token_address={name}"
        part.mkdir(parents=True)
        rows = [row | {"token_address": name} for row in by_token(tables()[0])[token]]
        table = pa.Table.from_pylist(rows, tables()[0].schema)
        pq.write_table(table.drop_columns(["token_address"]) if name == "012" else table, part / "data.parquet")
    calls = [row | {"mint": names[row["mint"]]} for row in tables()[1].to_pylist() if row["mint"] in names]
    pq.write_table(pa.Table.from_pylist(calls, tables()[1].schema), market.alerts)
    return [folder / "parts" if word == str(market.candles) else word for word in command(folder)]


def starred(folder):
    """A candle file whose name is a pattern that fits another file too."""
    words = instead("a*b.parquet", small_market.write(folder).candles.read_bytes())(folder)
    write(folder / "axb.parquet", b"not Parquet")
    return words


def instead(name, data=None):
    """Provoke by another file of candles, or by none."""

    def provoke(folder):
        if data is not None:
            write(folder / name, data)
        words = command(folder)
        return [folder / name if word == str(folder / "candles.parquet") else word for word in words]

    return provoke


def write(path, data):
    path.write_bytes(data)
    return path


DEEP = '{"a":' + "[" * 70 + "]" * 70 + "}"
SL = "sl is a multiple of the entry price in (0,1)"
# fmt: off
TABLE = [
    Fault("F003", "dup_conflict",
          candles(lambda rows: [*rows, rows[-1] | dict.fromkeys(("close", "low"), rows[-1]["low"] * 0.99)]),
          0, ("2 rejected", "E_DUP_CONFLICT", "two different bars at 2025-01-0")),
    Fault("F006", "zero_price", candle(low=0.0), 0, ("3 unusable candles made holes", "bars unusable (zero 1)")),
    Fault("F007", "negative_price", candle(low=-1.0),
          0, ("3 unusable candles made holes", "bars unusable (negative 1)")),
    Fault("F010", "all_bars_bad", candles(lambda rows: [row | {"open": 0.0} for row in rows]),
          0, ("NO_ENTRY_BAR: no candle at or after the alert", "bars unusable (zero ")),
    Fault("F012", "nothing_to_run", alerts(lambda _: []), 3, ("no alert left to backtest: 0 in the file",)),
    Fault("F012", "nothing_to_run: without candles", each_alert(mint=lambda _: mint(0)), 3, ("24 SERIES_REJECTED",)),
    Fault("F013", "seconds_vs_ms", alerts(lambda rows: scaled(rows, 1000)),
          2, ("alert_ts_ms looks like seconds (1735", "Pass --alert-unit s.")),
    Fault("F013", "seconds as told", alerts(lambda rows: scaled(rows, 1000), "--alert-unit", "s"),
          0, ("used of 24 read",)),
    Fault("F013", "ns_vs_ms", alerts(lambda rows: [r | {"alert_ts_ms": r["alert_ts_ms"] * 10**6} for r in rows]),
          2, ("looks like nanoseconds", "Pass --alert-unit ns.")),
    Fault("F014", "naive_timezone", flags("--from", "2025-01-01", "--to", "2025-01-02"),
          0, ("(UTC)", '"from_ms": 1735689600000', '"to_ms": 1735776000000')),
    Fault("F015", "off_grid_bars",
          candles(lambda rows: [row | {"timestamp": row["timestamp"] + timedelta(seconds=7)} for row in rows]),
          0, ("off the grid",)),
    Fault("F016", "interval_mismatch", flags("--interval", "1m"),
          2, ("bars are 5m apart but interval is 1m; set --interval 5m",)),
    Fault("F017", "wrong_price_unit",
          each_alert("--entry", "alert_price", alert_price=lambda price: price and price * 5),
          0, ("20 BAD_ENTRY_PRICE", "the entry price is not a price of that market")),
    Fault("F018", "missing_columns", whole(lambda table: table.drop_columns(["low"])),
          2, ("has no column 'low' (found: token_address, timestamp, open, high, close, volume)",)),
    Fault("F019", "wrong_types: float32", cast("high", pa.float32()),
          2, ("column 'high' is float; expected float64; --allow-float32",)),
    Fault("F019", "wrong_types: text", cast("high", pa.string()), 2, ("column 'high' is string; expected float64",)),
    Fault("F019", "wrong_types: decimal", cast("high", pa.decimal128(38, 25)),
          2, ("column 'high' is decimal128(38, 25); expected float64",)),
    Fault("F020", "nulls_in_arrow", candle(close=None), 0, ("3 unusable candles made holes", "bars unusable (nan 1)")),
    Fault("F023", "duplicate_alert_id", alerts(twice), 2, ("alert_id 0 occurs twice (rows 1 and 24)",)),
    Fault("F024", "alert_after_data",
          alerts(lambda rows: [*rows, rows[-1] | {"alert_ts_ms": rows[-1]["alert_ts_ms"] + 10**9}]),
          0, ("NO_ENTRY_BAR",)),
    Fault("F027", "tp_below_one", flags("--tp", "0.8"),
          2, ("tp must be > 1 (a multiple of the entry price); got 0.8. Did you mean --sl 0.8?",)),
    Fault("F028", "sl_percent_confusion: 30", flags("--sl", "30"), 2, (SL, "for a 30% stop use --sl 0.7",)),
    Fault("F028", "sl_percent_confusion: -0.3", flags("--sl=-0.3"), 2, (SL, "for a 30% stop use --sl 0.7",)),
    Fault("F028", "sl_percent_confusion: 1.2", flags("--sl", "1.2"), 2, (SL, "Did you mean --tp 1.2?",)),
    Fault("F028", "sl_percent_confusion in a sweep", flags("--sl", "30:50", name="sweep"), 2, (SL,)),
    Fault("F029", "ladder_over_100", flags("--ladder", "1.5@50%,2@40%,3@20%"),
          2, ("ladder sells 110% of the position (50+40+20)",)),
    Fault("F029", "one level twice", flags("--ladder", "2@50%,2@50%"),
          2, ("rungs must ascend, each multiple once; got 2.0 after 2.0",)),
    Fault("F029", "one level twice in a sweep", flags("--ladder", "2@50%,2@50%", name="sweep"),
          2, ("rungs must ascend, each multiple once; got 2 after 2",)),
    Fault("F032", "unknown_key", config("horizn: 2h\n"), 2, ("unknown key 'horizn'; did you mean 'horizon'?",)),
    Fault("F032", "unknown_key of a policy", flags("--policy", '{"traill":0.2}'),
          2, ("unknown key 'traill'; did you mean 'trail'?",)),
    Fault("F034", "duplicate_keys: yaml", config("top: 1\nhorizon: 2h\ntop: 2\n"),
          2, ("key 'top' occurs twice (lines 1 and 3)",)),
    Fault("F034", "duplicate_keys: json", flags("--policy", '{"tp":2,\n"tp":3}'),
          2, ("key 'tp' occurs twice (lines 1 and 2)",)),
    Fault("F035", "yaml11_surprises: octal", config("top: 0123\n"),
          2, ("'0123' is ambiguous in YAML; quote it or write 123",)),
    Fault("F035", "yaml11_surprises: sexagesimal", config("horizon: 1:30\n"),
          2, ("'1:30' is ambiguous in YAML; quote it",)),
    Fault("F035", "yaml11_surprises: no", config("chain: no\n"),
          2, ("'no' is ambiguous in YAML; quote it or write false",)),
    Fault("F037", "json_deep_nesting", config(DEEP, ".json"), 2, ("it nests deeper than 64 levels",)),
    Fault("F037", "json_too_large", config('{"chain":"' + "x" * (1 << 20) + '"}', ".json"),
          2, ("it is larger than 1 MiB",)),
    Fault("F039", "python_object_tag", config("chain: !!python/object/apply:os.getcwd []\n"),
          2, ("tags such as", "are not accepted")),
    Fault("F040", "date_reversed", flags("--from", "2024-02-01", "--to", "2024-01-01"),
          2, ("--from 2024-02-01T00:00Z is not before --to 2024-01-01T00:00Z",)),
    Fault("F043", "memory_budget", flags("--trials", "10", "--mem", "5000B", name="sweep"),
          5, ("a search over 19 alerts needs at least", "raise it with --mem")),
    Fault("F043", "too many pairs", flags("--trials", "10", "--max-pairs", "100", name="sweep"),
          5, ("above the limit of 100; raise it with --max-pairs",)),
    Fault("F043", "decoded bytes", flags("--max-decoded", "10K"),
          5, ("decodes to more than", "raise it with --max-decoded")),
    Fault("F083", "parquet_bomb", whole(lambda table: table.take([0] * 500_000), "--max-decoded", "10M"),
          5, ("candles.parquet decodes to more than", "raise it with --max-decoded")),
    Fault("F089", "traversal_caller", callers("../../x"), 0, ("../../x",)),
    Fault("F090", "absolute_name", callers("/etc/x"), 0, ("/etc/x",)),
    Fault("F091", "nul_byte", callers("a\0b"), 0, ("a\\x00b",)),
    Fault("F092", "reserved_windows", callers("CON", "NUL", "a.", "a ", "a:b"),
          0, ("CON", "NUL", "a.", "a:b")),
    Fault("F093", "long_name: text", callers("x" * 300), 0, ("xxxxx",)),
    Fault("F093", "long_name: emoji", callers("\U0001f43a" * 64), 0, ("\U0001f43a",)),
    Fault("F095", "unicode_forms", callers("caf\u00e9", "cafe\u0301", "c\u0430fe"),
          0, ("callers cafe\u0301, caf\u00e9 differ only in Unicode form",)),
    Fault("F096", "glob_chars", starred, 0, ("used of 24 read",)),
    Fault("F097", "hive_autocast", partitions, 0, ("5m, 2 tokens",)),
    Fault("-", "misspelt flag", flags("--horizn", "2h"), 2, ("unknown flag --horizn; did you mean '--horizon'?",)),
    Fault("-", "misspelt command", lambda _: ["basline"], 2, ("unknown command 'basline'; did you mean 'baseline'?",)),
    Fault("-", "missing flags", lambda _: ["baseline"], 2, ("missing --alerts, --candles",)),
    Fault("-", "a flag without its unit", flags("--horizon", "48"), 2, ("--horizon is '48'; it needs a unit: 48h",)),
    Fault("-", "missing config", flags("--config", "nothing.yaml"), 2, ("nothing.yaml: there is no such file",)),
    Fault("-", "missing candles", instead("no.parquet"),
          2, ("no.parquet does not exist",)),
    Fault("-", "candles that are no Parquet", instead("x.parquet", b"hello"),
          3, ("x.parquet is not a readable Parquet file",)),
    Fault("-", "an unknown kind of file", instead("x.xls", b"hello"),
          2, ("x.xls: unknown kind of file",)),
    Fault("-", "alerts without a mint",
          alerts(lambda rows: [{"alert_ts_ms": r["alert_ts_ms"], "coin": r["mint"]} for r in rows]),
          2, ("has no column 'mint'", "found: alert_ts_ms, coin")),
    Fault("-", "an empty candle file", whole(lambda table: table.slice(0, 0)), 3, ("holds no candles of the",)),
    Fault("-", "an alert without candles", alerts(lambda rows: [*rows, rows[0] | {"mint": "nothing"}]),
          0, ("used of 25 read", "NO_ENTRY_BAR")),
    Fault("-", "a directory that is a file", lambda f: [*command(f)[:6], write(f / "file", b"")],
          74, ("File exists while writing to",)),
    Fault("-", "an unknown constraint", flags("--where", "sharpe>=1", name="sweep"),
          2, ("--where 'sharpe>=1' must be a column",)),
    Fault("-", "no trials", flags("--trials", "0", name="sweep"), 2, ("--trials is 0; it must be at least 1",)),
    Fault("-", "bad candles refused", flags("--on-bad-bar", "error"),
          3, ("2 of ", "--on-bad-bar drop makes them holes")),
]
# fmt: on


def report(done, runs):
    """Return what a run says of itself: its output, its log, its errors and its config."""
    run_of = find_run(runs, "latest").path
    errors = read_artifact(run_of, "errors").to_pylist()
    log = (run_of / "logs" / "run.log").read_text()
    return "\n".join([done.out, log, json.dumps(read_manifest(run_of).config), *(row["message"] for row in errors)])


@pytest.mark.parametrize("fault", TABLE, ids=lambda fault: f"{fault.id} {fault.slug}")
def test_a_fault_is_met_as_it_should_be(tmp_path, fault):
    done = run(*fault.provoke(tmp_path))
    said = done.err if fault.code else report(done, tmp_path / "runs")

    assert fault.code == done.code, done.err
    assert [] == [text for text in fault.words if text not in said], said
    if fault.code:
        assert "" == done.out
        assert [] == leftovers(tmp_path / "runs")
        assert 1 == done.err.count("\n")
        assert done.err.startswith("highwater: ")
    else:
        assert "" == done.err
        assert [] == verify(find_run(tmp_path / "runs", "latest").path)
        assert not any(".staging" in path for path in leftovers(tmp_path / "runs"))


# Tests of their own, which name them: below, or in these files.
ELSEWHERE = {
    "test_faults.py": "F021 F022 F044 F045 F047 F098",
    "test_faults_disk.py": f"{DISK} F063 F072 F073 F074 F075 F086 F087 F088",
    "crash/test_power.py": "F058",
    "crash/test_together.py": "F065",
    "engine/test_catalog_commands.py": "F070",
    "io/test_catalog.py": "F069 F079",
    "io/test_catalog_store.py": "F061 F078",
    "io/test_housekeeping.py": "F062 F066",
}


def test_the_table_and_what_comes_later_are_the_list_of_faults():
    listed = " ".join([DATA, CONFIG, LIMITS, NAMES, DISK, CRASH, BYTES]).split()
    named = {name for names in ELSEWHERE.values() for name in names.split()}
    here = Path(__file__).parent
    tests = {name: (here / file).read_text() for file, names in ELSEWHERE.items() for name in names.split()}

    assert {*listed} == {fault.id for fault in TABLE if fault.id != "-"} | named | LATER.keys()
    assert not LATER.keys() & ({fault.id for fault in TABLE} | named)
    assert [] == [name for name, text in tests.items() if not re.search(rf'(# |"""|\("){name}\b', text)]


def paths_of(folder, words):
    """Return the paths of the run that a command makes, without its id."""
    assert 0 == run(*words).code

    return read_artifact(find_run(folder / "runs", "latest").path, "paths").drop_columns(["run_id"])


KINDS = {"dictionary": pa.dictionary(pa.int32(), pa.string()), "large": pa.large_string(), "view": pa.string_view()}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_of_string_is_a_token(tmp_path, kind):  # F022
    usual = paths_of(tmp_path / "a", command(tmp_path / "a"))
    (tmp_path / "b").mkdir()
    words = cast("token_address", pa.string())(tmp_path / "b")
    table = tables()[0].set_column(0, "token_address", tables()[0]["token_address"].cast(kind))
    file = tmp_path / "b" / "candles.arrow"
    with pa.ipc.new_file(file, table.schema) as sink:
        sink.write_table(table)
    words[words.index(str(tmp_path / "b" / "candles.parquet"))] = file

    assert usual.equals(paths_of(tmp_path / "b", words))


def test_columns_in_many_chunks_give_the_same(tmp_path):  # F021
    usual = paths_of(tmp_path / "a", command(tmp_path / "a"))
    words = command(tmp_path / "b")
    pq.write_table(tables()[0], tmp_path / "b" / "candles.parquet", row_group_size=97)

    assert usual.equals(paths_of(tmp_path / "b", words))


def test_a_full_disk_refuses_a_search_up_front(tmp_path, monkeypatch):  # F044
    full = type(shutil.disk_usage(tmp_path))(10**9, 10**9 - 100, 100)
    monkeypatch.setattr(engine_run.shutil, "disk_usage", lambda _: full)
    done = run(*command(tmp_path, "--trials", "1000", name="sweep"))

    assert 5 == done.code
    assert "GB free; free space, choose another --runs, or ask for fewer --trials" in done.err
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


def test_a_name_is_no_formula_in_csv(tmp_path):  # F098
    name = '=HYPERLINK("http://x")'
    assert 0 == run(*callers(name)(tmp_path)).code
    done = run("runs", "export", "latest", "--runs", tmp_path / "runs", "--format", "csv", "--output", tmp_path)
    (file,) = tmp_path.glob("*_csv/results/callers.csv")

    assert 0 == done.code, done.err
    assert ["'" + name] == [row["caller_name"] for row in csv.DictReader(file.read_text().splitlines())]


@pytest.mark.parametrize(("limit", "codes"), [(5, {74}), (8, {0, 74}), (16, {0, 74})])
def test_too_many_open_files_is_said(tmp_path, limit, codes):  # F047
    words = command(tmp_path, "--slices", tmp_path / "slices")
    done = program(words, tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
    out, err = done.communicate(timeout=60)

    assert done.returncode in codes, err
    if done.returncode:
        assert "" == out
        assert "too many open files" in err.lower()
        assert 1 == err.count("\n")
        assert [] == leftovers(tmp_path / "runs")


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a\0b", "CON", "x" * 300, "a*b", "caf\u00e9", "cafe\u0301"])
def test_a_name_is_a_value_and_never_a_path(tmp_path, name):
    assert 0 == run(*callers(name)(tmp_path)).code
    found = find_run(tmp_path / "runs", "latest").path
    files = sorted(str(path.relative_to(found)) for path in found.rglob("*") if path.is_file())

    assert {name} == set(read_artifact(found, "callers")["caller_name"].to_pylist())
    assert ["_SUCCESS", "errors/errors.parquet", "inputs/alerts.parquet", "logs/run.log"] == files[:4]
    assert ["results/callers.parquet", "run.json", "truth/paths.parquet"] == files[4:]
    assert ["alerts.parquet", "candles.parquet", "runs"] == sorted(path.name for path in tmp_path.iterdir())


def test_partitions_named_by_digits_stay_text(tmp_path):
    mints = paths_of(tmp_path, partitions(tmp_path))["mint"].to_pylist()

    assert {"012", "12"} == set(mints)


def test_a_null_is_a_hole(tmp_path):
    hole, without = candle(close=None), candles(lambda rows: [*rows[:20], *rows[21:]])
    found = [paths_of(tmp_path / name, words(tmp_path / name)) for name, words in (("a", hole), ("b", without))]

    assert found[0].equals(found[1])
    assert ms(by_token(tables()[0])[mint(EARLY)][20]["timestamp"]) > found[0]["alert_ts_ms"][0].as_py()
