"""What can go wrong with data, settings, names and limits: how it is provoked, the exit code and the words it gets."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from highwater.io.runs import find_run, read_artifact, read_manifest, verify
from provoke import (
    alerts,
    callers,
    candle,
    candles,
    cast,
    command,
    config,
    each_alert,
    flags,
    instead,
    mint,
    partitions,
    scaled,
    starred,
    twice,
    whole,
    write,
)
from shared_market import DATA, needs_data
from small_market import leftovers, run

SPOILT = "F003 F006 F007 F010 F012 F013 F014 F015 F016 F017 F018 F019 F020 F021 F022 F023 F024"
CONFIG = "F027 F028 F029 F032 F034 F035 F037 F039 F040"
LIMITS = "F043 F044 F045 F046 F047"
NAMES = "F089 F090 F091 F092 F093 F095 F096 F097 F098 F099"
DISK = "F048 F049 F050 F051 F052 F054 F055 F056"
CRASH = "F058 F061 F062 F063 F065 F066 F069 F070"
BYTES = "F072 F073 F074 F075 F078 F079 F081 F083 F086 F087 F088"


class Fault(NamedTuple):
    """A fault: ``provoke`` makes it in a folder and returns the words of a command.

    ``code`` is the exit code and ``words`` stand in the one line on stderr, or for 0 in what the run says of itself.
    """

    id: str
    slug: str
    provoke: Callable[[Path], list[Any]]
    code: int
    words: tuple[str, ...] = ()


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
    Fault("F012", "nothing_to_run: without candles", each_alert(mint=lambda _: mint(0)), 3,
          ("24 SERIES_REJECTED (the token's candles were refused: ",)),
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


# Tests of their own, which name them, are in these files.
ELSEWHERE = {
    "test_faults_data.py": "F021 F022",
    "test_faults_limits.py": "F044 F045 F047",
    "test_faults_names.py": "F098 F099",
    "test_faults_disk.py": f"{DISK} F063 F072 F073 F074 F075 F081 F086 F087 F088",
    "crash/test_power.py": "F058",
    "crash/test_together.py": "F065",
    "engine/test_catalog_commands.py": "F070",
    "engine/test_watch.py": "F046 F081",
    "io/test_catalog.py": "F069 F079",
    "io/test_catalog_store.py": "F061 F078",
    "io/test_housekeeping.py": "F062 F066",
}


def test_the_table_and_the_other_files_are_the_list_of_faults():
    listed = " ".join([SPOILT, CONFIG, LIMITS, NAMES, DISK, CRASH, BYTES]).split()
    named = {name for names in ELSEWHERE.values() for name in names.split()}
    here = Path(__file__).parent
    tests = [(name, (here / file).read_text()) for file, names in ELSEWHERE.items() for name in names.split()]

    assert {*listed} == {fault.id for fault in TABLE if fault.id != "-"} | named
    assert [] == [name for name, text in tests if not re.search(rf'(# |"""|\("){name}\b', text)]


# Areas of the list that are tested otherwise, and how.
APART = {
    "api": "there is no server yet",
    "determinism": "test_determinism.py (F113 F114 F118), test_house.py (F117); F115: nothing is distributed yet",
}


@needs_data[0]
@needs_data[1]
def test_no_fault_of_the_list_is_left_out():
    faults = json.loads((DATA.parent / "faults.json").read_text())["faults"]
    listed = " ".join([SPOILT, CONFIG, LIMITS, NAMES, DISK, CRASH, BYTES]).split()

    assert {each["id"] for each in faults if each["area"] not in APART} == {*listed}
    assert {*APART} <= {each["area"] for each in faults}
