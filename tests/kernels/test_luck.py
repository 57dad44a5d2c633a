from itertools import combinations

import numpy as np
import pytest
from golden_statistics import REFERENCE, number
from highwater.kernels.jit import share, threads
from highwater.kernels.luck import TILE, grouped, halves_of, p_value, raise_highest, step_down
from kernel_market import COMPILED


def counted(case):
    return np.array([np.bincount(row, minlength=len(row)) for row in case["idx"]], float)


def statistics(case):
    """Return what ``raise_highest`` takes of a reference case: means of resamples, scale and centre."""
    sums, omega = np.array(case["D"]), np.array(case["omega"])
    days = len(sums)
    return counted(case) @ sums, 1 / days**0.5 / omega, sums.mean(axis=0) * days**0.5 / omega


CASES = REFERENCE["reality_check_spa_romano_wolf"]


@pytest.mark.parametrize("case", CASES)
def test_superior_predictive_ability(case):
    means, scale, centre = statistics(case)
    days, nobody = len(case["D"]), np.zeros(scale.size, np.bool_)
    highs = np.full((len(means), 3), -np.inf)
    least = -((2 * np.log(np.log(days))) ** 0.5)
    share(raise_highest, len(means), means, scale, centre, least, nobody, highs)
    highest = max(centre.max(), 0.0)

    assert case["spa_stat"] == pytest.approx(highest, abs=1e-9)
    assert case["t"] == pytest.approx(centre.tolist(), abs=1e-9)
    names = ("spa_p_upper", "spa_p_consistent", "spa_p_lower")
    assert [number(case[name]) for name in names] == [p_value(np.maximum(highs[:, c], 0), highest) for c in range(3)]


@pytest.mark.parametrize("case", CASES)
def test_reality_check_is_the_same_unstudentised(case):
    means, scale, centre = statistics(case | {"omega": [1.0] * len(case["omega"])})
    highs = np.full((len(means), 3), -np.inf)
    share(raise_highest, len(means), means, scale, centre, -np.inf, np.zeros(scale.size, np.bool_), highs)

    assert case["rc_stat"] == pytest.approx(centre.max(), abs=1e-9)
    assert number(case["rc_p"]) == p_value(highs[:, 0], centre.max())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kept", [1, 2, 10])
def test_step_down(case, kept):
    means, scale, centre = statistics(case)
    order = np.argsort(-centre)[:kept]
    joined = np.isin(np.arange(scale.size), order)
    highs = np.full((len(means), 3), -np.inf)
    share(raise_highest, len(means), means, scale, centre, 0.0, joined, highs)
    found = step_down(centre[order], (means * scale - centre).T[order], highs[:, 0])

    assert [number(case["rw_adj_p"][i]) for i in order] == pytest.approx(found.tolist())


def test_highest_for_any_cut_and_number_of_threads():
    rng = np.random.default_rng(2)
    means, scale, centre = rng.normal(size=(40, 100)), rng.random(100), rng.normal(size=100)
    nobody = np.zeros(100, np.bool_)
    whole, cut = np.full((40, 3), -np.inf), np.full((40, 3), -np.inf)
    with threads(2):
        share(raise_highest, 40, means, scale, centre, -0.5, nobody, whole)
    with threads(1):
        for part in (slice(0, 33), slice(33, 100)):
            given = (np.ascontiguousarray(means[:, part]), scale[part], centre[part], -0.5, nobody[part])
            share(raise_highest, 40, *given, cut)

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
