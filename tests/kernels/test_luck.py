from itertools import combinations

import numpy as np
import pytest
from golden_statistics import REFERENCE, number
from highwater.kernels.jit import share, threads
from highwater.kernels.luck import (
    LEAST,
    TILE,
    Standings,
    fill_statistics,
    grouped,
    halves_of,
    p_value,
    raise_highest,
    step_down,
)
from kernel_market import COMPILED


def counted(case):
    return np.array([np.bincount(row, minlength=len(row)) for row in case["idx"]], float)


def statistics(case):
    """Return what ``raise_highest`` takes of a reference case, whose deviation is held fixed: sums, squares, trials."""
    sums, omega = np.array(case["D"]), np.array(case["omega"])
    days, trials = sums.shape
    own = sums.mean(axis=0) * days**0.5 / omega
    least = -((2 * np.log(np.log(days))) ** 0.5)
    centres = np.stack([own, np.where(own >= least, own, 0.0), np.maximum(own, 0.0)])
    known = Standings(1 / days**0.5 / omega, np.ones(trials), np.zeros(trials), centres)
    drawn = (counted(case) @ sums).T.copy()
    return drawn, np.ones_like(drawn), known


def highest(sums, squares, trials, joined=()):
    """Return the highest statistics of some trials in each resample."""
    highs = np.full((3, sums.shape[1]), -np.inf)
    apart = np.isin(np.arange(len(sums)), joined)
    share(raise_highest, sums.shape[1], sums, squares, trials, apart, highs)
    return np.sign(highs) * np.sqrt(np.abs(highs))


CASES = REFERENCE["reality_check_spa_romano_wolf"]


@pytest.mark.parametrize("case", CASES)
def test_superior_predictive_ability(case):
    sums, squares, trials = statistics(case)
    highs, best = highest(sums, squares, trials), max(trials.centres[0].max(), 0.0)

    assert case["spa_stat"] == pytest.approx(best, abs=1e-9)
    assert case["t"] == pytest.approx(trials.centres[0].tolist(), abs=1e-9)
    names = ("spa_p_upper", "spa_p_consistent", "spa_p_lower")
    assert [number(case[name]) for name in names] == [p_value(np.maximum(row, 0), best) for row in highs]


@pytest.mark.parametrize("case", CASES)
def test_reality_check_is_the_same_unstudentised(case):
    sums, squares, trials = statistics(case | {"omega": [1.0] * len(case["omega"])})
    highs = highest(sums, squares, trials)

    assert case["rc_stat"] == pytest.approx(trials.centres[0].max(), abs=1e-9)
    assert number(case["rc_p"]) == p_value(highs[0], trials.centres[0].max())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kept", [1, 2, 10])
def test_step_down(case, kept):
    sums, squares, trials = statistics(case)
    own = trials.centres[0]
    order = np.argsort(-own)[:kept]
    resampled = sums * trials.scale[:, None] - own[:, None]
    found = step_down(own[order], resampled[order], highest(sums, squares, trials, order)[0])

    assert [number(case["rw_adj_p"][i]) for i in order] == pytest.approx(found.tolist())


def test_a_lower_statistic_is_never_surer_than_a_higher_one():
    """Of two trials the better one is beaten by its own resamples, the other by nothing."""
    found = step_down(np.array([2.0, 1.0]), np.array([[3.0] * 9, [0.0] * 9]), np.zeros(9))

    assert [1.0, 1.0] == found.tolist()


def made_up(trials=60, resamples=40):
    rng = np.random.default_rng(2)
    own = rng.normal(size=trials)
    centres = np.stack([own, np.where(own >= -0.5, own, 0.0), np.maximum(own, 0.0)])
    known = Standings(*rng.random((3, trials)), centres)
    return rng.normal(size=(trials, resamples)), 2 * rng.random((trials, resamples)), known


def naive_statistics(sums, squares, trials, centre):
    """Return the squared statistics of each trial, [N][B], by plain loops."""
    parts = zip(sums.tolist(), squares.tolist(), *(each.tolist() for each in trials[:3]), trials.centres.T, strict=True)
    found = []
    for row, more, scale, spread, pull, centres in parts:
        found.append([])
        for each, square in zip(row, more, strict=True):
            variance = max(spread * square - pull * (each * scale - centres[0]) ** 2, LEAST)
            value = each * scale - centres[centre]
            found[-1].append((1 if value > 0 else -1) * value**2 / variance)
    return found


def test_statistics_and_the_highest_by_plain_loops():
    sums, squares, trials = made_up()
    joined, highs, out = np.arange(60) % 7 == 3, np.full((3, 40), -np.inf), np.empty((60, 40))
    share(raise_highest, 40, sums, squares, trials, joined, highs)
    share(fill_statistics, 60, sums, squares, trials, out)
    whole, consistent, lower = (naive_statistics(sums, squares, trials, centre) for centre in range(3))

    np.testing.assert_allclose(whole, out, rtol=1e-12)
    np.testing.assert_allclose(np.max(np.array(whole)[~joined], axis=0), highs[0], rtol=1e-12)
    np.testing.assert_allclose(np.max(consistent, axis=0), highs[1], rtol=1e-12)
    np.testing.assert_allclose(np.max(lower, axis=0), highs[2], rtol=1e-12)


def test_highest_for_any_cut_and_number_of_threads():
    sums, squares, trials = made_up()
    nobody, whole, cut = np.zeros(60, np.bool_), np.full((3, 40), -np.inf), np.full((3, 40), -np.inf)
    with threads(2):
        share(raise_highest, 40, sums, squares, trials, nobody, whole)
    with threads(1):
        for part in (slice(0, 33), slice(33, 60)):
            some = Standings(*(np.ascontiguousarray(each[..., part]) for each in trials))
            share(raise_highest, 40, sums[part], squares[part], some, nobody[part], cut)

    np.testing.assert_array_equal(whole, cut)


def naive_halves(sums):
    """Return (inside blocks, trial, sum inside, sum outside, rank outside) of every half; plain loops."""
    blocks, trials = len(sums), range(len(sums[0]))
    found = []
    for inside in combinations(range(blocks), blocks // 2):
        here = [sum(sums[s][n] for s in inside) for n in trials]
        there = [sum(sums[s][n] for s in range(blocks) if s not in inside) for n in trials]
        best = max(trials, key=lambda n: (here[n], -n))
        below, equal = (sum(t < there[best] for t in there), sum(t == there[best] for t in there))
        found.append((inside, best, here[best], there[best], below + (equal + 1) / 2))
    return found


def test_halves_of_the_reference():
    case = REFERENCE["cscv_mean"]
    matrix = np.array(case["M"])
    group = np.repeat(np.arange(4), 2)
    found = halves_of(grouped(np.ascontiguousarray(matrix.T), group, 4))

    assert [tuple(split["is"]) for split in case["splits"]] == [tuple(np.flatnonzero(row)) for row in found.blocks]
    assert [split["n_star"] for split in case["splits"]] == found.chosen.tolist()
    assert [number(split["is_perf"]) for split in case["splits"]] == (found.inside / 4).tolist()
    assert [number(split["oos_perf"]) for split in case["splits"]] == (found.outside / 4).tolist()
    assert [split["rank"] for split in case["splits"]] == found.rank.tolist()
    logits = np.log(found.rank / (4 - found.rank))
    assert [split["logit"] for split in case["splits"]] == pytest.approx(logits.tolist())
    assert number(case["pbo"]) == (logits <= 0).mean()
    assert number(case["prob_oos_loss"]) == (found.outside < 0).mean()


def test_of_equals_the_first_is_chosen_in_whichever_tile():
    assert [0, 0] == halves_of(np.zeros((2, TILE + 1), np.int64)).chosen.tolist()


@pytest.mark.parametrize(("blocks", "trials"), [(2, 1), (4, 7), (6, TILE + 3 if COMPILED else 40)])
def test_halves_by_plain_loops(blocks, trials):
    sums = np.random.default_rng(blocks).integers(-9, 9, (blocks, trials))
    with threads(2):
        found = halves_of(sums)
    actual = [
        (tuple(np.flatnonzero(row)), *each)
        for row, *each in zip(found.blocks, found.chosen, found.inside, found.outside, found.rank, strict=True)
    ]

    assert naive_halves(sums.tolist()) == actual


def test_groups_leave_days_out():
    sums = np.arange(12).reshape(2, 6)

    assert [[0 + 5, 6 + 11], [2, 8]] == grouped(sums, np.array([0, -1, 1, -1, -1, 0]), 2).tolist()
