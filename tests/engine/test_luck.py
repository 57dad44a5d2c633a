import dataclasses
from itertools import combinations
from math import log

import day_market
import numpy as np
import plain_luck
import pytest
from highwater.engine import best, luck
from highwater.engine.space import Space, draw, to_policies
from highwater.engine.tallies import Calendar, by_day, ground
from highwater.engine.values import DAY, Range
from highwater.kernels.arrays import Policies
from highwater.kernels.bootstrap import resamples

TRIALS, FEW = 150, 40
WATCHED = np.array([149, 0, 0, 77])
HOUR = 3_600_000
MEMORY = 10**8


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return day_market.prepared(tmp_path_factory.mktemp("days"))


@pytest.fixture(scope="module")
def policies():
    """Return the trials of a search, of which the last ten are the first ten again."""
    drawn = to_policies(day_market.SPACE, draw(day_market.SPACE, 3, 0, TRIALS - 10))
    return Policies(*(np.concatenate([part, part[:10]]) for part in drawn))


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(best, "RESAMPLES", 200)


def cut(policies, first, count):
    return Policies(*(np.ascontiguousarray(part[first : first + count]) for part in policies))


def luck_of(ready, policies, engine="tables", memory=MEMORY, threads=2, blind=None):
    there = ground(ready, engine, memory, threads)
    few = cut(policies, 0, FEW)
    return luck.luck_of(
        there, policies.sl.size, lambda first, count: cut(policies, first, count), few, blind=blind, watched=WATCHED
    )


def bits(found):
    """Return every field of a ``Luck`` to the bit."""
    fields = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
    fields["calendar"] = (found.calendar.first, found.calendar.alerts)
    return {name: repr(each) if not isinstance(each, np.ndarray) else each.tobytes() for name, each in fields.items()}


@pytest.fixture(scope="module")
def expected(ready, policies):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(best, "RESAMPLES", 200)
        return luck_of(ready, policies)


@pytest.mark.parametrize(
    ("engine", "memory", "threads"), [("tables", 1, 1), ("tables", 16 * 35 * 70, 2), ("bars", MEMORY, 2)]
)
def test_luck_for_any_engine_memory_and_threads(ready, policies, expected, engine, memory, threads):
    assert bits(expected) == bits(luck_of(ready, policies, engine, memory, threads))


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_luck_for_any_chunk(ready, policies, expected, monkeypatch, chunk):
    monkeypatch.setattr(luck, "CHUNK", chunk)

    assert bits(expected) == bits(luck_of(ready, policies))


@pytest.mark.parametrize("ranked", [1, 5, 60])
@pytest.mark.parametrize("chunk", [3, 4096])
def test_trials_that_fall_out_of_the_ranked_still_count(ready, policies, expected, monkeypatch, ranked, chunk):
    monkeypatch.setattr(best, "RANKED", ranked)
    monkeypatch.setattr(luck, "CHUNK", chunk)
    found = luck_of(ready, policies)
    of_the_ranked = {"ranked": expected.ranked[:ranked], "p": expected.p[:ranked]}

    assert bits(dataclasses.replace(expected, **of_the_ranked)) == bits(found)


@pytest.mark.parametrize("blind", [FEW, 64, 101, TRIALS])
@pytest.mark.parametrize("chunk", [32, 4096])
def test_halves_folds_and_the_spread_are_of_the_blind_alone(ready, policies, expected, monkeypatch, blind, chunk):
    monkeypatch.setattr(luck, "CHUNK", chunk)
    found, alone = luck_of(ready, policies, memory=16 * 35 * 70, blind=blind), luck_of(ready, cut(policies, 0, blind))
    of_the_blind = {name: getattr(alone, name) for name in ("halving", "folds", "sharpe_variance", "blind")}

    assert bits(dataclasses.replace(expected, **of_the_blind)) == bits(found)
    before = [p for trial, p in zip(found.ranked.tolist(), found.p.tolist(), strict=True) if trial < blind]
    assert before[0] == found.p_blind == min(before)
    assert 1.0 == dataclasses.replace(found, blind=0).p_blind


def test_different_policies_are_counted(ready, policies, expected, monkeypatch):
    monkeypatch.setattr(luck, "PIECE", 17)
    different = {tuple(np.concatenate([np.ravel(part[i]) for part in policies])) for i in range(TRIALS)}

    assert len(different) == expected.distinct
    assert len(different) == luck.distinct_of(TRIALS, lambda first, count: cut(policies, first, count))


def market_sums(ready, policies):
    return by_day(ground(ready, "tables", MEMORY, 2), policies)


def test_p_values_by_the_whole_matrix(ready, policies, expected):
    sums = market_sums(ready, policies)
    drawn = resamples(best.SEED, sums.shape[1], expected.length, 200)
    _, p, highs = plain_luck.romano_wolf(sums.tolist(), expected.length, drawn)
    own = plain_luck.statistics(sums.tolist(), expected.length)
    days = sums.shape[1], expected.length

    assert [own[trial] for trial in expected.ranked] == pytest.approx(sorted(own, reverse=True))
    assert np.abs(np.array(p) - expected.p).max() <= 1 / 201  # where a resample ties, the last bits decide
    assert plain_luck.hansen(sums.tolist(), expected.length, drawn) == pytest.approx(expected.p_spa, abs=1e-12)
    assert [plain_luck.as_if_known(t, *days) for t in expected.highs] == pytest.approx(highs.tolist(), rel=1e-9)


def test_what_is_counted_of_all_trials(ready, policies, expected):
    sums = market_sums(ready, policies)
    series = sums.tolist()
    sharpes = [np.mean(row) / np.std(row, ddof=1) for row in series if len(set(row)) > 1]
    different = {tuple(np.concatenate([np.ravel(part[t]) for part in policies]).tolist()) for t in range(TRIALS)}

    assert TRIALS == expected.trials
    assert len(different) == expected.distinct < TRIALS
    assert np.var(sharpes) == pytest.approx(expected.sharpe_variance, rel=1e-12)
    correlations = np.corrcoef(sums[:FEW])
    assert FEW**2 / (correlations**2).sum() == pytest.approx(expected.independent, rel=1e-9)
    assert expected.length == best.block_days(sums[:FEW].mean(axis=0), 12 * HOUR) >= 2


def calendars():
    """Return calendars of many lengths, some with days without alerts."""
    rng = np.random.default_rng(4)
    full = [Calendar(0, np.full(days, 2)) for days in (3, 4, 7, 12, 18, 19, 40, 365)]
    return full + [Calendar(0, rng.integers(0, 3, days)) for days in (9, 15, 30, 61, 100)]


@pytest.mark.parametrize("horizon", [HOUR, 12 * HOUR, DAY, 5 * DAY // 2])
@pytest.mark.parametrize("known", calendars(), ids=lambda known: str(known.days))
def test_folds_train_on_what_is_over_a_day_before(known, horizon):
    folds = luck.folds_of(known, horizon)

    for trained, begin, end in folds:
        assert trained * DAY + horizon + DAY <= begin * DAY  # the last entry is before the end of the last day
        assert (trained + 1) * DAY + horizon + DAY > begin * DAY  # and not a day more is left out
        assert known.alerts[:trained].sum() > 0 < known.alerts[begin:end].sum()
    assert [end for *_, end in folds] == [begin for _, begin, _ in folds][1:] + [known.days] * bool(folds)
    assert len(folds) != 1
    assert len(folds) <= luck.FOLDS
    assert bool(folds) or known.days < 3 * (horizon / DAY + 3)


def test_the_trial_of_a_fold_is_the_best_before_it(ready, policies, expected):
    sums = market_sums(ready, policies).tolist()
    cuts = luck.folds_of(expected.calendar, 12 * HOUR)
    alerts = expected.calendar.alerts.tolist()

    assert len(cuts) == len(expected.folds) > 1
    for (trained, begin, end), fold in zip(cuts, expected.folds, strict=True):
        best, high = 0, sum(sums[0][:trained])
        for k in range(TRIALS):
            if sum(sums[k][:trained]) > high:
                best, high = k, sum(sums[k][:trained])
        told = luck.Fold(begin, end, sum(alerts[:trained]), sum(alerts[begin:end]), best, sum(sums[best][begin:end]))
        assert told == fold


def test_the_days_of_the_trials_watched_and_of_those_of_the_folds(ready, policies, expected):
    sums = market_sums(ready, policies)

    np.testing.assert_array_equal(sums[WATCHED], expected.watched)
    np.testing.assert_array_equal(sums[[fold.trial for fold in expected.folds]], expected.raced)


def test_of_equal_trials_the_first_races():
    known = Calendar(0, np.ones(12, np.int64))
    race = luck._Race(known, [(4, 6, 9)])
    row = np.arange(12)
    race.add(np.array([-row, row, row]), 0)
    race.add(np.array([row, row + (row > 8)]), 3)

    assert (luck.Fold(6, 9, 4, 3, 1, 6 + 7 + 8),) == race.found()


@pytest.mark.parametrize("horizon", [HOUR, 12 * HOUR, DAY, 5 * DAY // 2])
@pytest.mark.parametrize("known", calendars(), ids=lambda known: str(known.days))
def test_no_trade_reaches_over_the_end_of_its_block(known, horizon):
    split = luck.split_of(known, horizon)
    if split is None:
        assert known.days < 40
        return
    blocks, block = split
    ends = [known.days * (b + 1) // blocks for b in range(blocks)]
    for day, b in enumerate(block.tolist()):
        own = next(i for i, end in enumerate(ends) if day < end)
        over = (day + 1) * DAY + horizon > ends[own] * DAY and own < blocks - 1

        assert b == (-1 if over else own)
    assert blocks in (4, 6, 8, 10)
    assert all(known.alerts[block == b].sum() for b in range(blocks))


def naive_halving(sums, alerts, block, blocks):
    """Return (overfit, losing, slope) of choosing the best on half of the blocks, by plain loops."""
    trials, worse, losing, here, there = range(len(sums)), 0, 0, [], []
    halves = list(combinations(range(blocks), blocks // 2))
    for half in halves:
        inside = [d for d, b in enumerate(block) if b in half]
        outside = [d for d, b in enumerate(block) if b >= 0 and b not in half]
        before, after = ([sum(sums[k][d] for d in days) for k in trials] for days in (inside, outside))
        best = max(trials, key=lambda k: (before[k], -k))
        rank = sum(x < after[best] for x in after) + (sum(x == after[best] for x in after) + 1) / 2
        share = rank / (len(sums) + 1)
        worse, losing = worse + (log(share / (1 - share)) <= 0), losing + (after[best] < 0)
        here.append(before[best] / sum(alerts[d] for d in inside))
        there.append(after[best] / sum(alerts[d] for d in outside))
    slope = np.polyfit(here, there, 1)[0]
    return worse / len(halves), losing / len(halves), slope


def test_halving_is_plain_cscv(ready, policies, expected):
    known = expected.calendar
    blocks, block = luck.split_of(known, 12 * HOUR)
    some = list(range(TRIALS))
    plain = naive_halving(market_sums(ready, policies)[some].tolist(), known.alerts.tolist(), block.tolist(), blocks)
    found = expected.halving

    assert plain == pytest.approx((found.overfit, found.losing, found.slope))
    assert (blocks, block.tolist().count(-1)) == (found.blocks, found.purged)


def entered(ready, days):
    """Return the ground of the alerts entered on the first so many days of the calendar."""
    there = ground(ready, "tables", MEMORY, 2)
    kept = there.windows.ts // DAY < there.windows.ts.min() // DAY + days
    windows = type(there.windows)(*(np.ascontiguousarray(part[kept]) for part in there.windows))
    for part in windows:
        part.flags.writeable = False
    return dataclasses.replace(there, windows=windows, fits=there.fits[kept], order=np.argsort(windows.ts))


@pytest.mark.parametrize(("days", "told"), [(1, None), (2, None), (4, ((), None)), (5, ((), None))])
def test_too_few_days(ready, policies, days, told):
    found = luck.luck_of(entered(ready, days), 20, lambda first, count: cut(policies, first, count), policies)

    assert told == (found and (found.folds, found.halving))


def test_too_few_days_for_folds_and_halves():
    known = Calendar(0, np.ones(5, np.int64))

    assert luck.folds_of(known, 3 * DAY) == []
    assert luck.split_of(known, 3 * DAY) is None


def test_one_trial_has_no_halves(ready, policies):
    one = cut(policies, 0, 1)
    found = luck_of(ready, one)

    assert (found.halving, found.trials, found.distinct) == (None, 1, 1)
    assert found.p[0] == found.p_spa[2] or found.p[0] > 0.5


def test_keys_tell_policies_apart():
    space = Space(
        {
            "tp": Range(1.25, 9.0, 0.25),
            "sl": Range(0.25, 0.875, 0.125),
            "trail": Range(0.05, 0.6),
            "time_stop_ms": Range(300_000.0, 86_400_000.0),
        }
    )
    many = to_policies(space, draw(space, 1, 0, 300_000))
    rows = np.column_stack([np.reshape(part, (300_000, -1)).astype(np.float64) for part in many])
    keys = luck.keys_of(many)

    assert np.unique(rows, axis=0).shape[0] == np.unique(keys).size > 290_000
    np.testing.assert_array_equal(
        keys, np.concatenate([luck.keys_of(cut(many, s, 77_777)) for s in range(0, 300_000, 77_777)])
    )


def test_keys_of_a_grid_of_round_numbers():
    tp, sl = (each.ravel() for each in np.meshgrid(np.arange(2.0, 502.0), np.arange(1, 500) / 512))
    n = tp.size
    unset = (np.full(n, np.inf), np.zeros(n), np.zeros(n), np.full(n, np.inf), np.full(n, 2**62))
    keys = luck.keys_of(Policies(sl, tp[:, None], np.full((n, 1), 10_000), *unset))
    again = luck.keys_of(Policies(sl, tp[:, None], np.full((n, 1), 10_000), unset[0], -unset[1], *unset[2:]))

    assert n == np.unique(keys).size
    np.testing.assert_array_equal(keys, again)  # -0 is 0
