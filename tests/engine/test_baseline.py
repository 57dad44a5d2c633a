import dataclasses
import errno

import naive
import numpy as np
import pyarrow as pa
import pytest
import small_market
from highwater.engine import baseline
from highwater.engine.baseline import flag_texts, origin_of, path_columns, path_metrics, path_table, values
from highwater.engine.recipe import prepare
from highwater.engine.settings import Sources, Store, Trading
from highwater.io import cache, schemas
from highwater.kernels import jit, paths
from small_market import HORIZON, STEP, close, oracle, plain

_NAMES = """p0:entry_price entry_ts_ms:entry_ts n_bars
ath_mult peak_multiple:ath_mult t_ath_ms peak_close_mult dd_overall
recovered t_recovery_ms dd_initial dd_initial_opt dd_after_ath dd_after_ath_opt mdd mdd_opt ret_end_bps censored stale
coverage max_gap_ms alert_to_entry_ms alert_to_activity_ms"""
SAME = _NAMES.split()
OF_MULTIPLE = {"hit_{}": "hit", "t_{}_ms": "t_ms", "t_{}_lo_ms": "t_lo_ms"} | {
    f"dd_{name}": f"dd_{name.replace('_{}', '')}"
    for name in ("pre_{}", "pre_{}_opt", "pre_{}_or_horizon", "after_{}", "after_{}_opt")
}
EXTRA = (1.2, 1.05)


@pytest.fixture(scope="module", params=["next_open", "bar_close", "alert_price"])
def measured(request, tmp_path_factory):
    """Return (prepared, path columns, the oracle's rows: None without a window) for one way to enter."""
    ready = small_market.prepared(tmp_path_factory.mktemp("market"), entry=request.param)
    multiples = sorted({*schemas.MULTIPLES, *EXTRA})
    rows = [
        naive.paths(bars, entry, multiples, alert["alert_ts_ms"], STEP) if entry["status"] == "OK" else None
        for alert, (bars, entry) in zip(ready.alerts.to_pylist(), oracle(ready), strict=True)
    ]
    return ready, path_columns(ready, EXTRA, 1), rows


def test_every_metric_is_the_oracles(measured):
    _, columns, rows = measured
    for name in SAME:
        mine, _, theirs = name.partition(":")
        wanted = [None if row is None else row[theirs or mine] for row in rows]

        assert close(wanted) == plain(columns[mine]), mine


def test_every_metric_of_a_multiple_is_the_oracles(measured):
    _, columns, rows = measured
    for multiple in (*schemas.MULTIPLES, *EXTRA):
        for mine, theirs in OF_MULTIPLE.items():
            wanted = [None if row is None else row["k"][multiple][theirs] for row in rows]
            name = mine.format(schemas.multiple_name(multiple))

            assert close(wanted) == plain(columns[name]), name


def test_basis_points_are_ten_thousand_times_the_fraction(measured):
    _, columns, _ = measured
    for bps, fraction in (("dd_bps", "dd_overall"), ("dd_to_2x_bps", "dd_pre_2x")):
        wanted = [None if value is None else value * 10_000 for value in plain(columns[fraction])]

        assert close(wanted) == plain(columns[bps])


def test_statuses_and_flags_are_the_oracles(measured):
    ready, columns, _ = measured
    entries = [entry for _, entry in oracle(ready)]

    assert [entry["status"] for entry in entries] == plain(columns["status"])
    assert [entry["flags"] for entry in entries if entry["status"] == "OK"] == [
        set(filter(None, flags.split(",")))
        for flags, status in zip(*(plain(columns[name]) for name in ("flags", "status")), strict=True)
        if status == "OK"
    ]


def test_the_columns_are_a_table_of_the_schema(measured):
    ready, columns, _ = measured
    table = schemas.table(schemas.paths(EXTRA), columns, "run")

    assert ready.alerts["call_id"].to_pylist() == table["call_id"].to_pylist()
    assert {"5m"} == set(table["interval"].to_pylist())
    assert not any(np.isnan(v) for name in table.schema.names for v in table[name].to_pylist() if isinstance(v, float))


def test_an_alert_without_a_window_has_no_metric(measured):
    ready, columns, _ = measured
    known = {"call_id", "caller_name", "mint", "chain", "interval", "alert_ts_ms", "flags", "status"}
    table = schemas.table(schemas.paths(EXTRA), columns, "run").drop_columns(["run_id", *known])
    gone = [row for row, status in zip(table.to_pylist(), ready.status, strict=True) if status != "OK"]

    assert gone
    assert [{}] * len(gone) == [{name: v for name, v in row.items() if v is not None} for row in gone]


def test_the_market_has_hits_misses_and_short_watches(tmp_path):
    columns = path_columns(small_market.prepared(tmp_path), (), None)

    assert {True, False, None} == set(plain(columns["hit_2x"]))
    assert {True, False, None} == set(plain(columns["censored"]))
    assert {True, False, None} == set(plain(columns["stale"]))


def test_flags_as_text():
    found = flag_texts(np.array([0, 1, 9]))

    assert ["", "PARTIAL_BAR_SKIPPED", "PARTIAL_BAR_SKIPPED,STALE_EXIT"] == found.to_pylist()


def test_alerts_measured_in_blocks_are_measured_alike(tmp_path, monkeypatch):
    ready = small_market.prepared(tmp_path)
    whole = path_table(ready, EXTRA, 1)
    monkeypatch.setattr(baseline, "BLOCK", 7)

    assert whole.num_rows > 7
    assert whole.equals(path_table(ready, EXTRA, 2))


def test_values_are_numbers():
    found = pa.table({"a": [1, None, 3], "b": [True, False, None], "c": [0.5, None, -1.5]})
    nan = float("nan")

    for name, numbers in {"a": [1, nan, 3], "b": [1, 0, nan], "c": [0.5, nan, -1.5]}.items():
        np.testing.assert_array_equal(numbers, values(found, name))


@pytest.fixture
def kernel(monkeypatch):
    """Return the list that gets an entry each time the kernel of path metrics runs."""
    ran, real = [], paths.measure_all
    monkeypatch.setattr(paths, "measure_all", lambda *given: ran.append(1) or real(*given))
    return ran


@pytest.fixture
def fresh(tmp_path):
    """Return a market of one's own, prepared."""
    return small_market.prepared(tmp_path)


def store(folder, **more):
    return Store(runs=folder / "runs", quiet=True, **more)


def test_the_second_time_no_kernel_runs_and_every_value_is_the_same(fresh, tmp_path, kernel):
    first, again = (
        path_metrics(prepared, EXTRA, store(tmp_path)) for prepared in (fresh, small_market.prepared(tmp_path))
    )

    assert [1] == kernel
    assert [False, True] == [first.cached, again.cached]
    assert first.read().equals(again.read())
    assert first.read().schema.equals(again.read().schema, check_metadata=True)
    assert path_table(fresh, EXTRA, 1).equals(again.read())
    assert {"paths", "cache"} <= fresh.clock.spent.keys()


def test_without_cache_nothing_is_read_and_nothing_is_kept(fresh, tmp_path, kernel):
    found = [path_metrics(fresh, (), store(tmp_path, cache=False)).cached]

    assert not (tmp_path / "runs" / ".cache").exists()
    path_metrics(fresh, (), store(tmp_path))
    found.append(path_metrics(fresh, (), store(tmp_path, cache=False)).cached)
    assert [False, False] == found
    assert [1, 1, 1] == kernel


def changed_candle(calls, candles):
    """Return the candles with one low inside a window moved by the least there is."""
    rows, row = candles.to_pylist(), next(row for row in calls.to_pylist() if row["mint"] == SOUND)
    begin = row["alert_ts_ms"] + 2 * STEP
    one = next(r for r in rows if r["token_address"] == SOUND and begin < small_market.ms(r["timestamp"]))
    one["low"] = float(np.nextafter(one["low"], 0))
    return calls, pa.Table.from_pylist(rows, candles.schema)


def changed_caller(calls, candles):
    rows = calls.to_pylist()
    rows[-1] |= {"caller_name": rows[-1]["caller_name"] + "x"}
    return pa.Table.from_pylist(rows, calls.schema), candles


def changed_time(calls, candles):
    rows = calls.to_pylist()
    rows[0] |= {"alert_ts_ms": rows[0]["alert_ts_ms"] + 1}
    return pa.Table.from_pylist(rows, calls.schema), candles


def prepared(folder, how=None, files=None, **asked):
    candles, calls = small_market.tables()
    calls, candles = (calls, candles) if files is None else files(calls, candles)
    market = small_market.write(folder, candles, calls)
    sources = Sources(alerts=market.alerts, candles=market.candles, **asked)
    return prepare(sources, Trading(**({"horizon": HORIZON} | (how or {}))), store(folder))


SOUND = list(small_market.by_token(small_market.tables()[0]))[4]
CALLER = small_market.tables()[1]["caller_name"][0].as_py()
CHANGES = {
    "a filter of callers": lambda folder: prepared(folder, caller=[CALLER]),
    "a filter of times": lambda folder: prepared(folder, from_=1_735_750_000_000),
    "a candle": lambda folder: prepared(folder, files=changed_candle),
    "the name of a caller": lambda folder: prepared(folder, files=changed_caller),
    "the time of an alert": lambda folder: prepared(folder, files=changed_time),
    "coarser candles": lambda folder: prepared(folder, resample=2 * STEP),
    "the end of the feed": lambda folder: prepared(folder, coverage_end=1_735_850_000_000),
    "the horizon": lambda folder: prepared(folder, {"horizon": HORIZON + 1}),
    "the entry": lambda folder: prepared(folder, {"entry": "next_high"}),
    "the latency": lambda folder: prepared(folder, {"latency": 1}),
    "the longest delay": lambda folder: prepared(folder, {"max_entry_delay": 10 * STEP + 1}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_measured(fresh, tmp_path, kernel, what):
    path_metrics(fresh, (), store(tmp_path))
    other = CHANGES[what](tmp_path)

    assert not path_metrics(other, (), store(tmp_path)).cached
    assert path_metrics(other, (), store(tmp_path)).cached
    assert [1, 1] == kernel
    assert path_metrics(small_market.prepared(tmp_path / "again"), (), store(tmp_path)).cached


def test_other_multiples_are_measured(fresh, tmp_path, kernel):
    found = [path_metrics(fresh, extra, store(tmp_path)).cached for extra in ((), (1.2,), (1.2, 1.5), (1.2,), ())]

    assert [False, False, False, True, True] == found


def test_other_rules_or_code_measure_again(fresh, tmp_path, kernel, monkeypatch):
    path_metrics(fresh, (), store(tmp_path))
    with monkeypatch.context() as changed:
        changed.setattr(baseline, "FILL_SEMANTICS", "FS-2")
        assert not path_metrics(fresh, (), store(tmp_path)).cached
    with monkeypatch.context() as changed:
        changed.setattr(jit, "kernels_digest", lambda: "0" * 64)
        assert not path_metrics(fresh, (), store(tmp_path)).cached
    assert path_metrics(fresh, (), store(tmp_path)).cached


def test_what_changes_no_path_hits(fresh, tmp_path, kernel):
    path_metrics(fresh, (), store(tmp_path))
    ways = ({"fee_bps": 1.0}, {"intrabar": "optimistic"}, {"costs": "legacy"}, {"max_entry_delay": 10 * STEP})

    assert [True] * len(ways) == [
        path_metrics(prepared(tmp_path, how), (), store(tmp_path, threads=1)).cached for how in ways
    ]
    assert [1] == kernel


def kept(folder):
    (path,) = (folder / "runs" / ".cache").iterdir()
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:99] + b"?" + data[100:]]
)
def test_a_damaged_file_is_told_measured_again_and_replaced(fresh, tmp_path, kernel, capsys, damage):
    first = path_metrics(fresh, (), store(tmp_path))
    good = kept(tmp_path).read_bytes()
    kept(tmp_path).write_bytes(damage(good))
    again = path_metrics(fresh, (), store(tmp_path))
    said = capsys.readouterr()

    assert first.read() == again.read()
    assert [1, 1] == kernel
    assert ("", 1) == (said.out, said.err.count("\n"))
    assert f"highwater: {kept(tmp_path)} is damaged: " in said.err
    assert said.err.endswith("; path metrics are measured again\n")
    assert good == kept(tmp_path).read_bytes()
    assert path_metrics(fresh, (), store(tmp_path)).cached


def test_metrics_of_other_alerts_are_not_taken_whatever_their_file_says(fresh, tmp_path, kernel):
    table = path_metrics(fresh, (), store(tmp_path)).read()
    for wrong in (table.take([1, 0, *range(2, table.num_rows)]), table.slice(1), table.drop_columns(["mdd"])):
        origin = origin_of(fresh, ())
        cache.keep(tmp_path / "runs" / ".cache", origin, cache.pack([wrong], origin))
        again = path_metrics(fresh, (), store(tmp_path))

        assert (False, table) == (again.cached, again.read())
    assert [1] * 4 == kernel


def test_a_cache_that_cannot_be_written_or_read_is_told_and_done_without(fresh, tmp_path, kernel, capsys, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    usual = path_table(fresh, (), 1)
    with monkeypatch.context() as disk:
        disk.setattr("os.write", full)
        first = path_metrics(fresh, (), store(tmp_path))
    said = capsys.readouterr().err

    assert usual == first.read()
    assert said.startswith("highwater: path metrics are not kept: disk full while writing paths_")
    assert said.endswith("do without it: --no-cache\n")
    assert [] == [*(tmp_path / "runs" / ".cache").iterdir()]
    path_metrics(fresh, (), store(tmp_path))
    with monkeypatch.context() as disk:
        disk.setattr("os.fdopen", full)
        again = path_metrics(fresh, (), store(tmp_path))
    assert usual == again.read()
    assert "No space left on device; path metrics are measured again" in capsys.readouterr().err


def test_the_entries_of_an_origin_are_those_of_the_run(fresh):
    found = dataclasses.asdict(origin_of(fresh, (1.5,)))

    assert fresh.slice.facts.content_sha256 == found["candles"]
    assert ("1.5", "2.0", "3.0", "4.0", "5.0", "10.0") == found["multiples"]
    assert ("FS-1", "next_open", HORIZON, 0, 10 * STEP, STEP) == tuple(
        found[name]
        for name in ("fill_semantics", "entry", "horizon_ms", "latency_ms", "max_entry_delay_ms", "interval_ms")
    )
    assert fresh.alerts.num_rows == found["calls"]
