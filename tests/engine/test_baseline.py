import naive
import numpy as np
import pytest
import small_market
from highwater.engine.baseline import flag_text, path_columns
from highwater.io import schemas
from small_market import STEP, close, oracle, plain

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

    assert [entry["status"] for entry in entries] == columns["status"]
    assert [entry["flags"] for entry in entries if entry["status"] == "OK"] == [
        set(filter(None, flags.split(",")))
        for flags, status in zip(columns["flags"], columns["status"], strict=True)
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


@pytest.mark.parametrize(
    ("flags", "text"), [(0, ""), (1, "PARTIAL_BAR_SKIPPED"), (9, "PARTIAL_BAR_SKIPPED,STALE_EXIT")]
)
def test_flags_as_text(flags, text):
    assert text == flag_text(flags)
