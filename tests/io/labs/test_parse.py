import json

import pytest
import small_lab
from highwater.engine.labs.analysis import analyse, analytics_table
from highwater.io.labs import parse
from highwater.io.labs.parse import lab_of, tables_of
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_market import DATA, document, needs_data
from small_lab import MARKET, parts, position, runtime

LAB = lab_of("lab", {})
SAMPLE = DATA / "haas" / "backtest_runtime_closed_position.json"


def read(*backtests, lab=LAB):
    return tables_of(lab, [(f"b{i}", each) for i, each in enumerate(backtests)])


def one(data, **summary):
    """Return the only rows of backtests, positions and orders of a runtime."""
    found = read(parts(data, **summary))
    return found.backtests.to_pylist()[0], found.positions.to_pylist(), found.orders.to_pylist()


@pytest.mark.shared_data
@needs_data[1]
@pytest.mark.parametrize("envelope", [True, False])
def test_the_sample_to_the_cent(envelope):
    body = SAMPLE.read_bytes() if envelope else json.dumps(json.loads(SAMPLE.read_bytes())["Data"]).encode()
    found = read({"runtime": body})
    (row,), (held,), (enter, out) = (each.to_pylist() for each in (found.backtests, found.positions, found.orders))
    expected = {case["id"]: case["expected"] for case in document("haas_arithmetic")["cases"]}
    rates = [order["fees"] / (order["executed_price"] * order["filled_amount"]) for order in (enter, out)]
    totals = [row[f"reported_{name}"] for name in ("fees", "gross_profit", "realized_profit", "roi_on_margin_pct")]

    assert expected["gross_profit"] == pytest.approx(held["gross_profit"], abs=1e-9)
    assert expected["gross_profit"] == pytest.approx((out["executed_price"] - enter["executed_price"]) * held["amount"])
    assert expected["fees"] == held["fees"] == pytest.approx(enter["fees"] + out["fees"])
    assert expected["realised"] == held["realized_profit"]
    assert expected["margin"] == held["margin"] == row["reported_margin"]
    assert expected["roi_pct"] == held["roi_on_margin_pct"]
    assert [expected["fee_rate"]] * 2 == pytest.approx(rates)
    assert expected["holding_seconds"] * 1000 == held["exit_ts_ms"] - held["entry_ts_ms"]
    assert expected["report_totals"] == [*totals, row["reported_positions"], row["reported_winning_positions"]]
    assert ("long", 9.963, -0.2509) == (held["direction"], row["start_price"], row["buy_hold_pct"])


@pytest.mark.shared_data
@needs_data[1]
def test_the_balance_is_that_after_the_run():
    """Six results of one account, on two markets and from three labs, have one balance before them."""
    found = json.loads((DATA / "haas" / "lab_backtests_filtered.json").read_text())
    kept = [each for lab in found["labs"].values() for each in lab["top_performances"]]
    before = {round(each["starting_balance"] - each["realized_profits"], 6) for each in kept}
    sample = read({"runtime": SAMPLE.read_bytes()}).backtests["starting_balance"][0].as_py()

    assert 5 == len(kept)
    assert {9366.932545} == before == {round(sample, 6)}


def test_times_are_ms_and_zero_is_none():
    _, (held,), (enter, _) = one(runtime([position(1_700_000_000, 1_700_000_060, 5.0, 6.0)]))
    never, late = ({"ot": t, "ct": t} for t in (0, 1_700_000_000_000))
    _, found, _ = one(runtime([position(1, 2, 5.0, 6.0) | never, position(1, 2, 5.0, 6.0) | late]))

    assert (1_700_000_000_000, 1_700_000_060_000) == (held["entry_ts_ms"], held["exit_ts_ms"])
    assert 1_700_000_000_000 == enter["filled_ts_ms"]
    assert [None, 1_700_000_000_000] == [each["exit_ts_ms"] for each in found]


def test_a_short_is_known_by_what_it_made():
    rows = [position(60, 120, 5.0, 4.0, short=True), position(60, 120, 5.0, 6.0, short=True)]
    rows += [position(60, 120, 5.0, 5.0, short=True), position(60, 120, 5.0, 5.0)]

    assert ["short", "short", None, "long"] == [each["direction"] for each in one(runtime(rows))[1]]


def test_prices_are_weighted_by_what_was_filled():
    held = position(60, 120, 5.0, 6.0)
    held["eno"].append(held["eno"][0] | {"ep": 8.0, "af": 30.0, "id": "second"})
    held["eno"].append(held["eno"][0] | {"ep": 0.0, "af": 0.0, "id": "never filled"})
    _, (row,), orders = one(runtime([held]))

    assert (7.25, 40.0, 3, 1) == (row["entry_price"], row["amount"], row["entry_orders"], row["exit_orders"])
    assert [0, 1, 2, 3] == [each["number"] for each in orders]
    assert ["entry"] * 3 + ["exit"] == [each["side"] for each in orders]


def test_open_positions_are_apart():
    still = position(60, 0, 5.0, 0.0) | {"ic": False, "exo": [], "rp": 0.0, "up": -3.0}
    managed = {"ManagedLongPosition": still, "ManagedShortPosition": position(0, 0, 0.0, 0.0)}
    _, rows, _ = one(runtime([position(60, 120, 5.0, 6.0)], UnmanagedPositions=[still], **managed))

    assert [True, False, False] == [each["closed"] for each in rows]
    assert [None, -3.0, -3.0] == [each["unrealized_profit"] for each in rows]
    assert [None, None] == [each["realized_profit"] for each in rows[1:]]


def test_reports_add_up_in_one_currency():
    whole = runtime([position(60, 120, 5.0, 6.0)])
    report = whole["Reports"][f"account_{MARKET}"]
    whole["Reports"] = {"a_X": report, "b_Y": report | {"PL": "BTC"}, f"account_{MARKET}": report}
    row, *_ = one(whole)

    assert 3 == row["reports"]
    assert 2 * report["PR"]["RP"] == row["reported_realized_profit"]
    assert (2, "USDT") == (row["reported_positions"], row["currency"])


@pytest.mark.parametrize(
    "broken",
    [
        {"Reports": None},
        {"Reports": {"x": None}, "FinishedPositions": {"a": 1}},
        {"Reports": {"x": {"PR": {"RP": "much", "SB": True, "RM": float("1e999")}}}},
        {"FinishedPositions": [None, 3, {"eno": "none", "rp": [], "ot": "soon"}]},
        {"InputFields": [1], "Leverage": "twenty", "AccountId": 7},
    ],
)
def test_what_is_missing_or_of_another_type_is_null(broken):
    row, rows, _ = one({"New": {"field": 1}, **broken})

    assert row["has_runtime"]
    assert {None} == {row[name] for name in ("reported_realized_profit", "starting_balance", "leverage", "account_id")}
    assert all(each["realized_profit"] is None for each in rows)


def test_numbers_may_be_texts():
    held = position(60, 120, 5.0, 6.0)
    _, (row,), _ = one(runtime([held]) | {"FinishedPositions": [held | {"rp": "1.5", "fe": "0.5", "ct": "120"}]})

    assert (1.5, 0.5, 2.0, 120_000) == tuple(row[n] for n in ("realized_profit", "fees", "gross_profit", "exit_ts_ms"))


@pytest.mark.parametrize(
    ("body", "note"),
    [
        (b"{", "its runtime cannot be read: "),
        (b"\xff", "its runtime cannot be read: "),
        (b'{"Success": false, "Error": "no such backtest", "Data": null}', "failure: no such backtest"),
        (b'{"Success": true, "Error": "", "Data": null}', "its runtime is empty"),
        (None, "its runtime was not fetched"),
    ],
)
def test_a_runtime_that_cannot_be_read_is_noted(body, note):
    found = read({"summary": b'{"ST": 3, "NG": 2, "NP": 5}'} | ({} if body is None else {"runtime": body}))
    row = found.backtests.to_pylist()[0]
    ((name, said),) = found.notes

    assert "b0" == name
    assert note in said
    assert (False, 3, 2, 5) == (row["has_runtime"], row["status_code"], row["generation"], row["population"])


@pytest.mark.parametrize(("status", "notes"), [(0, 0), (1, 0), (2, 0), (3, 1), (None, 1)])
def test_what_is_not_finished_needs_no_runtime(status, notes):
    assert notes == len(read({"summary": json.dumps({"ST": status}).encode()}).notes)


@pytest.mark.parametrize(
    "told",
    [
        {"T": 4, "P": 1, "RP": {"USDT": 7.5}, "FC": {"USDT": 0.5}, "ROI": [3.0]},
        {"Trades": 4, "RealizedProfits": {"USDT": 7.5}, "FeeCosts": {"USDT": 0.5}, "ReturnOnInvestment": [3.0]},
    ],
)
def test_a_summary_stands_in_for_a_runtime_in_either_shape(told):
    found = read({"summary": json.dumps({"S": told, "P": {"k": "2"}, "SE": {"marketTag": "M"}}).encode()})
    row = found.backtests.to_pylist()[0]
    money = [row[f"reported_{name}"] for name in ("realized_profit", "fees", "roi_on_margin_pct")]

    assert [7.5, 0.5, 3.0] == money
    assert ("USDT", "M", '{"k": "2"}') == (row["currency"], row["market_tag"], row["parameters"])


def test_parameters_go_by_name_and_by_key_where_names_repeat():
    fields = {"1.A": {"N": "A", "V": "1"}, "2.A": {"N": "A", "V": "2"}, "3.B": {"N": "B", "V": "x"}, "4": {"V": None}}
    row, *_ = one(runtime([]) | {"InputFields": fields}, P={"ignored": "0"})

    assert {"1.A": "1", "2.A": "2", "B": "x", "4": None} == json.loads(row["parameters"])


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"N": "L", "SID": "s", "SU": 5, "EU": 9, "SB": 7, "CB": 6}, ("L", "s", 5000, 9000, 7)),
        (
            {"name": "L", "script_id": "s", "start_unix": 5, "end_unix": 9, "completed_backtests": 6},
            ("L", "s", 5000, 9000, 6),
        ),
        ({"SU": 0, "EU": None, "SB": "?"}, (None, None, None, None, None)),
    ],
)
def test_a_lab_by_either_of_its_names(details, expected):
    found = lab_of("id", details)

    assert expected == (found.name, found.script_id, found.start_ms, found.end_ms, found.backtests)


KEYS = [
    *("Reports", "FinishedPositions", "UnmanagedPositions", "ManagedLongPosition", "InputFields", "AccountId"),
    *("PR", "F", "P", "O", "PL", "RP", "SB", "C", "ot", "ct", "eno", "exo", "ep", "af", "rp", "fe", "d", "ma"),
    *("N", "V", "Leverage"),
]
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=4) | st.just("1e400"),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(KEYS), each, max_size=6),
    max_leaves=40,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), values, max_size=8), values)
def test_no_answer_breaks_it(data, item):
    found = read({"runtime": json.dumps(data).encode(), "summary": json.dumps(item).encode()}, parts(runtime([])))
    row = analytics_table(analyse(found), "run").to_pylist()[0]

    assert 2 == found.backtests.num_rows
    assert json.dumps(row, allow_nan=False)


@pytest.mark.parametrize("at", [-5, 0, 2**70, 10**18, 4_102_444_800, 1.5, True, "x", None])
def test_what_is_no_time_is_null(at):
    assert None is one(runtime([position(60, 120, 5.0, 6.0) | {"ct": at}]))[1][0]["exit_ts_ms"]


def test_half_a_surrogate_pair_is_no_crash():
    held = position(60, 120, 5.0, 6.0, pl="\ud800", ma="\udc00x")
    row, rows, _ = one(runtime([held], ScriptName="\ud83d", InputFields={"k": {"N": "\ud800", "V": "\udfff"}}))
    failed = {"runtime": b'{"Success": false, "Error": "\\ud800", "Data": 1}'}

    assert ("?", "?", "?x") == (row["script_name"], rows[0]["currency"], rows[0]["market_tag"])
    assert '{"?": "?"}' == row["parameters"]
    assert ("?", "failure: ?") == (lab_of("lab", {"N": "\ud800"}).name, read(failed).notes[0][1][-10:])


def test_blocks_leave_no_trace(monkeypatch):
    _, whole = small_lab.made_up_tables(7)
    monkeypatch.setattr(parse, "BLOCK", 2)
    _, cut = small_lab.made_up_tables(7)

    assert whole.positions.num_rows > 20
    for name in ("backtests", "positions", "orders"):
        assert getattr(whole, name).equals(getattr(cut, name))


def test_no_backtest_at_all():
    found = read()

    assert (0, 0, 0) == tuple(each.num_rows for each in (found.backtests, found.positions, found.orders))
