from statistics import NormalDist

import numpy as np
import pytest
from golden_statistics import REFERENCE
from highwater.kernels.sharpe import (
    Record,
    deflated,
    effective_trials,
    expected_highest,
    probabilistic,
    record_of,
    shortest_record,
    shortest_search,
)


@pytest.mark.parametrize("case", REFERENCE["psr"], ids=lambda case: case["cite"])
def test_probabilistic_sharpe(case):
    found = probabilistic(Record(case["sr"], case["skew"], case["kurt"], case["T"]), case["benchmark"])

    assert case["value"] == pytest.approx(found, abs=1e-9)
    assert case["paper"] == round(found, 3)


@pytest.mark.parametrize("case", REFERENCE["dsr"], ids=lambda case: case["cite"])
def test_deflated_sharpe(case):
    record = Record(case["sr_ann"] / case["q"] ** 0.5, case["skew"], case["kurt"], case["T"])
    found = deflated(record, case["var_sr_ann"] / case["q"], case["N"])

    assert case["value"] == pytest.approx(found, abs=1e-9)
    assert case.get("paper_dsr", round(found, 4)) == round(found, 4)


@pytest.mark.parametrize("trials", REFERENCE["expected_max_z"])
def test_expected_highest_of_normal_numbers(trials):
    assert REFERENCE["expected_max_z"][trials] == pytest.approx(expected_highest(int(trials)), abs=1e-9)


def test_the_highest_of_few_is_never_below_the_mean_of_one():
    found = [expected_highest(1 + few / 100) for few in range(101)]

    assert 0.0 == found[0] == min(found)
    assert sorted(found) == found


@pytest.mark.parametrize("case", REFERENCE["mintrl_years_sr2_vs_1_p95"], ids=lambda case: str(case["freq"]))
def test_shortest_record(case):
    root = case["freq"] ** 0.5
    found = shortest_record(Record(2 / root, case["skew"], case["kurt"], 100), 1 / root) / case["freq"]

    assert case["value"] == pytest.approx(found, abs=1e-9)
    assert case["paper"] == round(found, 2)


def test_shortest_record_of_a_ratio_below_its_benchmark():
    assert shortest_record(Record(0.1, 0.0, 3.0, 50), 0.1) == float("inf")


@pytest.mark.parametrize("case", REFERENCE["minbtl_years"], ids=lambda case: case["cite"])
def test_shortest_search(case):
    found = shortest_search(case["N"], case["target"])

    assert case["value"] == pytest.approx(found, abs=1e-9)


def test_record_by_its_definition():
    returns = [3, -1, 4, 1, -5, 9, 2]
    n, mean = len(returns), sum(returns) / len(returns)
    second, third, fourth = (sum((r - mean) ** k for r in returns) / n for k in (2, 3, 4))
    expected = (mean / (second * n / (n - 1)) ** 0.5, third / second**1.5, fourth / second**2, n)

    assert expected == pytest.approx(tuple(record_of(np.array(returns))), rel=1e-12)


def test_a_series_that_does_not_vary_has_no_ratio():
    found = record_of(np.array([5, 5, 5]))

    assert np.isnan(found.sharpe)
    assert np.isnan(probabilistic(found))
    assert np.isnan(deflated(found, 1.0, 10))
    assert np.isnan(shortest_record(found))


def test_a_benchmark_equal_to_the_ratio_is_a_coin():
    assert probabilistic(Record(0.2, -1.0, 6.0, 40), 0.2) == 0.5
    normal = Record(0.2, 0.0, 3.0, 401)
    expected = NormalDist().cdf(0.2 * 20 / (1 + 0.02) ** 0.5)
    assert expected == pytest.approx(probabilistic(normal), rel=1e-12)


def test_effective_trials_of_copies_and_of_strangers():
    three = np.eye(3)
    copies = np.repeat(three, 50, axis=0)

    assert effective_trials(three.T @ three) == pytest.approx(3)
    assert effective_trials(copies.T @ copies) == pytest.approx(3)
    assert effective_trials(np.ones((20, 1)).T @ np.ones((20, 1))) == pytest.approx(1)
