from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from highwater.engine.session.calendar import Hours
from highwater.engine.session.config import parse
from highwater.engine.session.ground import ground_of
from highwater.engine.session.prepare import SKIPPED, prepare, ready_on
from highwater.engine.session.quality import REASONS, quality_of, session_rows, skipped, verdicts
from highwater.io.schemas import SESSIONS, table, without_run
from session_days import DAY, MINUTE, STEP, candles_of, random_days

BEGIN, LENGTH = 1_710_167_400_000, 390


def one_day(missing=(), silent=(), length=LENGTH):
    """Return the ``Ground`` of a session without the candles ``missing``, numbered from its open."""
    hours = Hours((date(2024, 3, 11),), np.array([BEGIN]), np.array([BEGIN + length * STEP]), ZoneInfo("UTC"), "a day")
    bars = [
        (BEGIN + i * STEP, 1.0, 2.0, 1.0, 1.5, float(i not in silent)) for i in range(length) if i not in set(missing)
    ]
    return ground_of(candles_of(bars or [(BEGIN - STEP, 1.0, 1.0, 1.0, 1.0, 1.0)]), STEP, hours)


def found_of(ground, minutes=15):
    found = quality_of(ground, np.full(ground.first.size, minutes))
    return found, found.reasons[0].split()


@pytest.mark.parametrize(
    ("missing", "reasons"),
    [
        ((), []),
        ((0,), ["first_missing"]),  # the origin let the first and the last go, and refused one in the middle
        ((14,), []),
        ((7,), []),
        ((7, 9), ["range_incomplete"]),
        ((7, 8), ["range_incomplete", "range_hole"]),
        ((13, 14), ["range_incomplete", "range_hole"]),
        ((0, 1), ["first_missing", "range_incomplete", "range_hole"]),
        (range(15), ["first_missing", "range_incomplete", "range_hole"]),
        (range(100, 119), []),  # 4.9 % of the day
        (range(100, 120), ["day_incomplete"]),
        (range(LENGTH), list(REASONS)),
    ],
)
def test_what_is_missing_has_a_reason(missing, reasons):
    found, actual = found_of(one_day(missing))

    assert reasons == actual
    assert (not reasons) == found.passes[0]
    assert (set(reasons) <= {"day_incomplete"}) == found.range_complete[0]


def test_of_a_longer_range_two_side_by_side_are_a_hole_and_nine_tenths_are_enough():
    assert [] == found_of(one_day((5, 10, 20)), 30)[1]
    assert ["range_hole"] == found_of(one_day((5, 6)), 30)[1]
    assert ["range_incomplete"] == found_of(one_day((5, 10, 20, 25)), 30)[1]
    assert ["range_hole"] == found_of(one_day((28, 29)), 30)[1]


def test_the_numbers_of_a_day():
    found, _ = found_of(one_day((3, 200, 201, 202), silent=(9, 300)))
    numbers = [int(getattr(found, name)[0]) for name in ("expected", "present", "or_expected", "or_present")]

    assert [390, 386, 15, 14] == numbers
    assert BEGIN + 3 * STEP == found.first_missing_ms[0]
    assert 3 * STEP == found.max_gap_ms[0]
    assert 2 == found.zero_volume[0]
    assert 386 / 390 == found.coverage[0]


@pytest.mark.parametrize(("missing", "first"), [((0, 1), 0), ((388, 389), 388), ((), None)])
def test_the_first_missing_and_the_gap_may_be_at_either_end(missing, first):
    found, _ = found_of(one_day(missing))

    assert (-1 if first is None else BEGIN + first * STEP) == found.first_missing_ms[0]
    assert len(missing) * STEP == found.max_gap_ms[0]


def test_candles_beside_the_grid_count_for_their_slot_once():
    ground = one_day()
    ts = np.sort(np.append(ground.bars.ts, ground.bars.ts[5] + STEP // 2))
    rest = [np.append(array, array[-1]) for array in ground.bars[1:]]
    found, reasons = found_of(ground_of(type(ground.bars)(ts, *rest), STEP, ground.hours))

    assert ([], 390) == (reasons, found.present[0])


def test_a_half_day_is_held_against_its_own_hours():
    assert [] == found_of(one_day(length=210))[1]


def test_skip_day_skips_by_the_range_alone():
    days = tuple(date(2024, 3, 11) + timedelta(days=k) for k in range(3))
    opens = BEGIN + DAY * np.arange(3)
    hours = Hours(days, opens, opens + LENGTH * STEP, ZoneInfo("UTC"), "three days")
    gone = [(), (0,), range(200, 300)]
    bars = [
        (int(begin) + i * STEP, 1.0, 2.0, 1.0, 1.5, 1.0)
        for begin, missing in zip(opens, gone, strict=True)
        for i in range(LENGTH)
        if i not in missing
    ]
    ground = ground_of(candles_of(bars), STEP, hours)
    found = quality_of(ground, np.full(3, 15))
    skip = skipped(found, "skip_day")
    ready = ready_on(ground, parse({}, "here"), skip)

    assert ["", "first_missing", "day_incomplete"] == found.reasons
    assert [False, True, False] == skip.tolist()
    assert SKIPPED == ready.ranges.verdict[1]
    assert skipped(found, "warn") is None


def test_the_verdict_table_and_the_artifact_fit_their_columns():
    bars, hours = random_days(4)
    config = parse({"orb": {"atr_period": 5}}, "here")
    ready = prepare(candles_of(bars), STEP, hours, config)
    ground = ground_of(candles_of(bars), STEP, hours)
    found = quality_of(ground, ready.ranges.minutes)
    whole = table(SESSIONS, session_rows(ready, ground, found, "SPY"), "a run")
    names = "symbol day open_ms close_ms expected present coverage or_expected or_present first_missing_ms max_gap_ms"

    assert 14 == whole.num_rows
    assert f"{names} zero_volume verdict reasons".split() == list(verdicts(ground, found, "SPY"))
    assert {"pass", "fail"} == set(whole["verdict"].to_pylist())
    assert (hours.open + ready.ranges.minutes * MINUTE).tolist() == whole["or_end_ms"].to_pylist()
    assert [str(day) for day in hours.days] == whole["day"].to_pylist()
    assert "run_id" not in without_run(SESSIONS).names
    for value, high, low in zip(*(whole[name].to_pylist() for name in ("or_width", "or_high", "or_low")), strict=True):
        assert value is None or value == high - low
