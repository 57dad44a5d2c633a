import numpy as np
import plain_session as plain
import pytest
from highwater.engine.session.config import parse
from highwater.engine.session.prepare import prepare
from session_days import STEP, candles_of, random_days, random_settings

EVERY = {name: {"enabled": True} for name in ("rel_volume", "price_action", "profile_proxy", "vwap", "adx")}


def settings(seed, only=None):
    found = random_settings(seed)
    found["factors"] = {name: {**EVERY[name], **found["factors"].get(name, {}), "enabled": True} for name in EVERY}
    if only:
        found["factors"] = {name: {**own, "enabled": name == only} for name, own in found["factors"].items()}
        found["scoring"] |= {"base_required": 0, "weak_trend_required": 1}
    return parse(found, "here")


def both(seed, config):
    """Return (``Factors``, flags in plain Python, scores in plain Python)."""
    bars, hours = random_days(seed)
    ready = prepare(candles_of(bars), STEP, hours, config)
    days = plain.sessions_of(bars, hours.open, hours.close)
    flags = plain.factors(days, plain.ranges(days, STEP, config), config)
    return ready.factors, flags, plain.scores(flags, config)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("seed", range(6))
def test_each_factor_is_that_of_its_definition(name, seed):
    factors, flags, scores = both(seed, settings(seed, name))

    assert [long for long, _ in flags[name]] == factors.long[name].tolist()
    assert [short for _, short in flags[name]] == factors.short[name].tolist()
    assert [long for long, *_ in scores] == factors.score_long.tolist()
    assert (name,) == factors.names
    assert any(long for long, _ in flags[name])


@pytest.mark.parametrize("seed", range(6))
def test_scores_and_what_is_needed(seed):
    factors, _, scores = both(seed, settings(seed))

    assert [list(each) for each in scores] == np.stack(
        [factors.score_long, factors.score_short, factors.needed], axis=1
    ).tolist()


@pytest.mark.parametrize("seed", range(6))
def test_volume_beside_that_of_the_sessions_before_at_the_same_time(seed):
    found = random_settings(seed)
    found["factors"] = {"rel_volume": {"lookback": 5, "by_time_of_day": True, "spike_mult": 1.5}}
    bars, hours = random_days(seed, count=30, holes=0.2)
    factors = prepare(candles_of(bars), STEP, hours, config := parse(found, "here")).factors
    days = plain.sessions_of(bars, hours.open, hours.close)
    ratio = plain.by_time_of_day(days, 5)
    np.testing.assert_array_equal(factors.numbers["rel_vol"], ratio)

    flags = plain.factors(days, plain.ranges(days, STEP, config), config)["rel_volume"]
    assert [long for long, _ in flags] == factors.long["rel_volume"].tolist()
    assert 0.05 < factors.long["rel_volume"].mean() < 0.6


def test_the_time_of_day_is_told_of_earlier_days_only():
    """A spike changes nothing before the next session, and there only its own minute."""
    bars, hours = random_days(3, count=12, holes=0.0)
    found = {"factors": {"rel_volume": {"lookback": 5, "by_time_of_day": True}}}
    moments = {int(each) + 5 * STEP for each in hours.open[6:]}
    at = next(i for i, bar in enumerate(bars) if bar[0] in moments)
    loud = [(*bar[:5], 1e6) if i == at else bar for i, bar in enumerate(bars)]
    one, two = (prepare(candles_of(each), STEP, hours, parse(found, "here")) for each in (bars, loud))
    changed = np.flatnonzero(
        ~np.isclose(one.factors.numbers["rel_vol"], two.factors.numbers["rel_vol"], equal_nan=True)
    )
    days = np.searchsorted(hours.open, one.bars.ts[changed], side="right") - 1

    assert bars[at][0] == one.bars.ts[changed[0]]
    assert {5} == set(((one.bars.ts[changed] - hours.open[days]) // STEP).tolist())
    assert days.tolist() == sorted(set(days.tolist()))
    assert days.size > 2


def test_the_numbers_behind_the_factors():
    factors, *_ = both(1, settings(1))

    assert ["rel_vol", "val", "vah", "vwap", "adx"] == list(factors.numbers)
    assert {factors.marks[0].size} == {line.size for line in factors.numbers.values()}


def test_without_scoring_nothing_is_needed():
    found = random_settings(2)
    found["scoring"] = {"enabled": False}
    bars, hours = random_days(2)
    ready = prepare(candles_of(bars), STEP, hours, parse(found, "here"))

    assert {0.0} == set(ready.factors.needed.tolist())
    assert ready.known.long.all()
    assert ready.known.short.all()


def test_a_weak_trend_needs_more():
    config = parse({"factors": {"adx": {"enabled": True, "period": 5, "threshold": 30.0}}}, "here")
    bars, hours = random_days(3)
    factors = prepare(candles_of(bars), STEP, hours, config).factors
    adx = factors.numbers["adx"]

    assert np.isnan(adx[:9]).all()
    np.testing.assert_array_equal(np.where(adx >= 30.0, 2.0, 3.0), factors.needed)
