import json
from pathlib import Path

import numpy as np
import pytest
from highwater.engine.policy import Policy, Rung, describe, parse_policy, policy_from_flags, to_arrays
from highwater.io.errors import MissingError, UsageError
from highwater.kernels.arrays import NEVER

GOLDEN = Path(__file__).parents[1] / "golden"
FULL = {
    "kind": "exits",
    "sl": "0.7",
    "tp": [{"mult": "1.5", "frac_bps": 5000}, {"mult": "2.0", "frac_bps": 3000}],
    "trail": {"pct": "0.25", "activate": "1.5"},
    "breakeven": {"trigger": "1.4", "offset": "0.02"},
    "time_ms": 86400000,
    "tp_gap_fill": "open",
}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"tp": 0.8}, "tp must be > 1 (a multiple of the entry price); got 0.8. Did you mean --sl 0.8?"),
        ({"tp": -2.0}, "tp must be > 1 (a multiple of the entry price); got -2"),
        ({"tp": float("inf")}, "tp must be > 1 (a multiple of the entry price); got inf"),
        ({"sl": 30}, "sl is a multiple of the entry price in (0,1); got 30: for a 30% stop use --sl 0.7"),
        ({"sl": -0.3}, "sl is a multiple of the entry price in (0,1); got -0.3: for a 30% stop use --sl 0.7"),
        ({"sl": -15}, "sl is a multiple of the entry price in (0,1); got -15: for a 15% stop use --sl 0.85"),
        ({"sl": 0}, "sl is a multiple of the entry price in (0,1); got 0: for a 30% stop use --sl 0.7"),
        ({"sl": float("nan")}, "sl is a multiple of the entry price in (0,1); got nan: for a 30% stop use --sl 0.7"),
        (
            {"sl": 1.2},
            "sl is a multiple of the entry price in (0,1); got 1.2: for a 30% stop use --sl 0.7. "
            "Did you mean --tp 1.2?",
        ),
        ({"trail": 25}, "trail is a fraction in (0,1); got 25. Did you mean 0.25?"),
        (
            {"trail": 0.25, "trail_activate": 0.2},
            "trail_activate is a multiple of the entry price, at least 1; got 0.2. Did you mean 1.2?",
        ),
        ({"trail_activate": 2.0}, "trail_activate needs a trailing stop, --trail; got 2"),
        ({"breakeven": 0.5}, "breakeven is a multiple of the entry price above 1; got 0.5. Did you mean 1.5?"),
        (
            {"breakeven": 1.5, "breakeven_offset": 2.0},
            "breakeven_offset is a fraction above -1 and, to lie below its trigger, below 0.5; got 2. "
            "Did you mean 0.02?",
        ),
        ({"breakeven_offset": 0.1}, "breakeven_offset needs a trigger, --breakeven; got 0.1"),
        ({"time_stop": 0}, "time_ms is a whole number of ms above 0; got 0"),
        ({"tp_gap_fill": "close"}, "tp_gap_fill is level or open; got close"),
        ({"ladder": "1.5@50%,2@40%,3@20%"}, "ladder sells 110% of the position (50+40+20)"),
        ({"ladder": "2@50%,1.5@50%"}, "rungs must ascend, each multiple once; got 1.5 after 2.0"),
        ({"ladder": "2@50%,2@50%"}, "rungs must ascend, each multiple once; got 2.0 after 2.0"),
        ({"ladder": "2@0%"}, "frac_bps is a whole number from 1 to 10000 (100%); got 0"),
        ({"ladder": "2@33.333%"}, "--ladder has a share of 33.33300%; it must be whole basis points (0.01%)"),
        ({"ladder": "2:0.5"}, "--ladder has '2:0.5'; a rung is multiple@percent, such as 1.5@50%"),
        (
            {"ladder": "2@50%", "tp": 2.0},
            "--tp and --ladder exclude each other; write --tp as a rung: --ladder 2@100%",
        ),
    ],
)
def test_a_rule_outside_its_limits_is_refused_with_the_remedy(flags, message):
    with pytest.raises(UsageError) as caught:
        policy_from_flags(**flags)

    assert message == str(caught.value)
    assert "E_CONFIG" == caught.value.code


def test_limits_themselves_are_accepted():
    policy = Policy(trail_pct=0.999, trail_activate=1.0, be_trigger=1.5, be_offset=0.4999, time_ms=1)

    assert 1.0 == policy.trail_activate


def test_flags_and_their_mapping_are_the_same_policy():
    actual = policy_from_flags(
        ladder="1.5@50%, 2@30%",
        sl=0.7,
        trail=0.25,
        trail_activate=1.5,
        breakeven=1.4,
        breakeven_offset=0.02,
        time_stop=86_400_000,
        tp_gap_fill="open",
    )

    assert parse_policy(FULL) == actual
    assert FULL == actual.canonical()


def test_only_what_is_set_is_canonical():
    assert {"kind": "exits"} == Policy().canonical()
    assert {"kind": "exits", "tp": [{"mult": "2.0", "frac_bps": 10000}]} == policy_from_flags(tp=2).canonical()


def test_the_id_is_of_the_rules_and_not_of_how_they_are_written():
    forms = [
        {"kind": "fixed_stop", "stop_loss_bps": 500, "take_profit_bps": 10000},
        {"kind": "fixed_stop", "stopPct": 0.05, "takeProfitPct": 1},
        {"kind": "fixed_stop", "stop_pct": "0.05", "take_profit_pct": "1.0"},
        {"sl": 0.95, "tp": 2},
        {"sl": "0.950", "tp": [{"mult": "2"}], "trail": None},
        {"kind": "combo", "policies": [{"sl": 0.95}, {"tp": 2.0}]},
    ]

    assert {"a035ba84261d"} == {parse_policy(form).policy_id for form in forms}
    assert "a035ba84261d" != parse_policy({"sl": 0.95, "tp": 2.5}).policy_id


def test_a_name_is_the_id_and_survives_the_canonical_form():
    named = parse_policy({"kind": "fixed_stop", "stop_loss_bps": 500, "policyId": "fixed-stop-5pct"})

    assert "fixed-stop-5pct" == named.policy_id
    assert {"kind": "exits", "sl": "0.95", "policy_id": "fixed-stop-5pct"} == named.canonical()
    assert named == parse_policy(named.canonical())
    assert parse_policy({"sl": 0.95}).policy_id != named.policy_id


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"kind": "fixed_stop", "stop_pct": 0.1}, Policy(sl=0.9)),
        (
            {"kind": "time_stop", "maxHoldMs": 3600000, "takeProfitPct": 0.5},
            Policy(tp=(Rung(1.5),), time_ms=3600000),
        ),
        ({"kind": "time_stop", "max_hold_ms": "60000"}, Policy(time_ms=60000)),
        (
            {"kind": "trailing_stop", "activationPct": 0.2, "trailPct": 0.25, "hardStopPct": 0.3},
            Policy(sl=0.7, trail_pct=0.25, trail_activate=1.2),
        ),
        ({"kind": "trailing_stop", "trail_bps": 2500}, Policy(trail_pct=0.25, trail_activate=1.0)),
        (
            {
                "kind": "ladder",
                "levels": [{"multiple": 2, "fraction": 0.3333}, {"multiple": "3", "fraction": "0.5"}],
                "stopPct": 0.5,
            },
            Policy(sl=0.5, tp=(Rung(2.0, 3333), Rung(3.0, 5000))),
        ),
        ({"kind": "ladder", "levels": [{"multiple": 2, "fraction": 1}]}, Policy(tp=(Rung(2.0),))),
        (
            {
                "kind": "combo",
                "policies": [
                    {"kind": "fixed_stop", "stopPct": 0.3},
                    {"kind": "fixed_stop", "stopPct": 0.2},
                    {"kind": "time_stop", "maxHoldMs": 9},
                    {"kind": "time_stop", "maxHoldMs": 5},
                    {"kind": "ladder", "levels": [{"multiple": 3, "fraction": 0.5}]},
                    {
                        "kind": "combo",
                        "policies": [{"kind": "ladder", "levels": [{"multiple": 2, "fraction": 0.25}]}],
                    },
                    {"kind": "trailing_stop", "activationPct": 1, "trailPct": 0.2},
                    {"breakeven": {"trigger": 1.5}},
                ],
            },
            Policy(
                sl=0.8,
                tp=(Rung(2.0, 2500), Rung(3.0, 5000)),
                trail_pct=0.2,
                trail_activate=2.0,
                be_trigger=1.5,
                be_offset=0.0,
                time_ms=5,
            ),
        ),
        (
            {
                "kind": "combo",
                "policies": [
                    {"kind": "fixed_stop", "stopPct": 0.3, "takeProfitPct": 1},
                    {"kind": "time_stop", "maxHoldMs": 5, "takeProfitPct": 1},
                ],
            },
            Policy(sl=0.7, tp=(Rung(2.0),), time_ms=5),
        ),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_every_kind_becomes_one_policy(form, expected):
    assert expected == parse_policy(form)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"traill": 0.2}, "exits: unknown key 'traill'; did you mean 'trail'?"),
        ({"trail": {"pct": 0.2, "activat": 1}}, "trail: unknown key 'activat'; did you mean 'activate'?"),
        ({"trail": {"activate": 2}}, "pct is missing"),
        ({"trail": 0.2}, "trail must be a mapping of keys to values, not 0.2"),
        ({"sl": "low"}, "sl is 'low'; it must be a finite decimal number such as 0.7"),
        ({"sl": True}, "sl is True; it must be a finite decimal number such as 0.7"),
        ({"sl": 0.7, "SL": 0.7}, "sl is given twice"),
        ({"time_ms": 1.5}, "time_ms is 1.5; it must be a whole number, digits only"),
        (
            {"tp": [{"mult": 2}, {"mult": 3}]},
            "tp has several rungs, so each needs frac_bps, the basis points of the position it sells",
        ),
        (
            {"kind": "fixd_stop"},
            "kind is 'fixd_stop'; it must be one of exits, fixed_stop, time_stop, trailing_stop, ladder, combo",
        ),
        ({"kind": "fixed_stop"}, "stop_pct (or stop_loss_bps) is missing"),
        ({"kind": "fixed_stop", "stopPct": 0.1, "stop_loss_bps": 1}, "give stop_loss_bps or stop_pct, not both"),
        (
            {"kind": "fixed_stop", "stopPct": 30},
            "stop_pct is 30; it must be a fraction, such as 0.05 for 5%; did you mean 0.3?",
        ),
        (
            {"kind": "fixed_stop", "stopPct": 0.1, "takeProfitPct": 50},
            "take_profit_pct is 50; it must be a fraction, such as 0.05 for 5%; did you mean 0.5?",
        ),
        (
            {"kind": "ladder", "levels": [{"multiple": 2, "fraction": 50}]},
            "fraction is 50; it must be a fraction, such as 0.05 for 5%; did you mean 0.5?",
        ),
        ({"kind": "ladder", "levels": []}, "levels must be a list with at least one member; got []"),
        (
            {"kind": "combo", "policies": [{"sl": 0.7}, {"sl": 30}]},
            "policies[1]: sl is a multiple of the entry price in (0,1); got 30: for a 30% stop use --sl 0.7",
        ),
        (
            {"kind": "combo", "policies": ["a.json"]},
            "policies[0] must be a mapping of keys to values, not 'a.json'",
        ),
        (
            {"kind": "combo", "policies": [{"tp": 2}, {"tp": 3}]},
            "combo cannot be one position: its targets sell more than all of it (100% at 2x + 100% at 3x)",
        ),
        (
            {"kind": "combo", "policies": [{"trail": {"pct": 0.2}}, {"trail": {"pct": 0.3}}]},
            "combo cannot be one position: its policies differ in trail_pct and trail_activate",
        ),
        ({"policy_id": " "}, "policy_id is ' '; it must be a printable name, such as fixed-stop-5pct"),
        ({"policy_id": "a\nb"}, "policy_id is 'a\\nb'; it must be a printable name, such as fixed-stop-5pct"),
        ({"policy_id": 7}, "policy_id is 7; it must be text"),
    ],
)
def test_what_is_no_policy_is_refused(form, message):
    with pytest.raises(UsageError) as caught:
        parse_policy(form, "p.json")

    assert f"p.json: {message}" == str(caught.value)


def test_a_policy_is_read_from_text_or_from_a_file(tmp_path):
    (tmp_path / "p.json").write_text(json.dumps(FULL))
    (tmp_path / "p.yaml").write_text('kind: exits\nsl: "0.7"\n')
    (tmp_path / "p.toml").write_text("sl = 0.7\n")

    assert parse_policy(FULL) == parse_policy(json.dumps(FULL)) == parse_policy(str(tmp_path / "p.json"))
    assert Policy(sl=0.7) == parse_policy(str(tmp_path / "p.yaml")) == parse_policy(str(tmp_path / "p.toml"))


def test_text_that_is_neither_json_nor_a_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--policy is 'tp2'; it must be JSON"):
        parse_policy("tp2")
    with pytest.raises(MissingError, match="there is no such file"):
        parse_policy(str(tmp_path / "gone.yaml"))
    with pytest.raises(UsageError, match=r"--policy: key 'tp' occurs twice \(lines 1 and 2\)"):
        parse_policy('{"tp": 2,\n"tp": 3}')


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (policy_from_flags(2, 0.7, 0.25, 1.5, time_stop=86_400_000), "TP 2x, SL -30%, trail 25% from 1.5x, 24h"),
        (policy_from_flags(ladder="1.5@50%,2@12.5%"), "TP 50% at 1.5x, TP 12.5% at 2x"),
        (policy_from_flags(breakeven=1.5, breakeven_offset=0.02), "breakeven +2% from 1.5x"),
        (policy_from_flags(breakeven=1.5), "breakeven from 1.5x"),
        (Policy(), "hold to the horizon"),
        (Policy(sl=0.95, name="fixed-stop-5pct"), "fixed-stop-5pct: SL -5%"),
    ],
)
def test_a_policy_in_one_line(policy, expected):
    assert expected == describe(policy)


def test_arrays_are_padded_and_read_only():
    arrays = to_arrays([Policy(), parse_policy(FULL)])

    np.testing.assert_array_equal([0.0, 0.7], arrays.sl)
    np.testing.assert_array_equal([[np.inf, np.inf], [1.5, 2.0]], arrays.tp)
    np.testing.assert_array_equal([[0, 0], [5000, 3000]], arrays.frac_bps)
    np.testing.assert_array_equal([np.inf, 1.4], arrays.be_trigger)
    np.testing.assert_array_equal([0.0, 0.02], arrays.be_offset)
    np.testing.assert_array_equal([0.0, 0.25], arrays.trail_pct)
    np.testing.assert_array_equal([np.inf, 1.5], arrays.activate)
    np.testing.assert_array_equal([NEVER, 86_400_000], arrays.time_ms)
    assert ["f8", "f8", "i8", "f8", "f8", "f8", "f8", "i8"] == [array.dtype.str[1:] for array in arrays]
    assert not any(array.flags.writeable or not array.flags.c_contiguous for array in arrays)


def test_no_policies_are_no_rows():
    assert [(0,), (0, 1), (0, 1), (0,), (0,), (0,), (0,), (0,)] == [array.shape for array in to_arrays([])]


def test_policies_of_one_run_fill_gaps_alike():
    level, opened = policy_from_flags(tp=2), policy_from_flags(tp=2, tp_gap_fill="open")
    with pytest.raises(UsageError, match="tp_gap_fill must be the same for every policy of a run"):
        to_arrays([level, opened])

    assert (3,) == to_arrays([opened, opened, Policy(sl=0.5)]).sl.shape


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("x*.json")), ids=lambda path: path.stem)
def test_the_policies_of_the_worked_cases_survive_their_canonical_form(path):
    policy = parse_policy(json.loads(path.read_text())["exits"])

    assert policy == parse_policy(policy.canonical())
