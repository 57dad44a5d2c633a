"""What all indicators have in common: nothing of the future, warm-up, and what has left a window is gone."""

import numpy as np
import pytest
from hypothesis import given, settings
from indicator_calls import ARGUMENTS, EXAMPLES, NAMES, ONE_SERIES, answer, frozen, market, numbers, seeds

SMALL = {"n": 3, "m": 4, "s": 2, "d": 2, "k": 1.5, "step": 0.02, "most": 0.2, "fast": 0.5, "slow": 0.05}
# Candles after which nothing is left of one, with the numbers above; all others never quite forget.
FORGETS = {
    **dict.fromkeys(("sma", "wma", "highest", "lowest", "deviation", "bollinger", "vwap", "cci", "williams_r"), 3),
    **dict.fromkeys(("donchian", "chaikin_money_flow"), 3),
    **dict.fromkeys(("percent_rank", "momentum", "roc", "linear_slope", "vortex", "mfi", "aroon", "volume_ratio"), 4),
    "true_range": 2,
    "stochastic": 3 + 1 + 1,
    "ichimoku": 4 + 4,
}
BY_VOLUME = {"vwap", "chaikin_money_flow", "mfi", "volume_ratio"}


def cut(given, size):
    return {name: value[:size] if isinstance(value, np.ndarray) else value for name, value in given.items()}


def test_every_indicator_is_called():
    assert set(ARGUMENTS) == {name for names in NAMES.values() for name in names}


@pytest.mark.parametrize("name", ARGUMENTS)
@settings(max_examples=EXAMPLES // 6, deadline=None)
@given(seed=seeds)
def test_nothing_depends_on_later_candles(name, seed):
    given = market(seed) | (SMALL if seed % 2 else numbers(seed))
    whole = answer(name, given)
    for size in range(len(given["c"])):
        for line, full in zip(answer(name, cut(given, size)), whole, strict=True):
            assert full[:size].tobytes() == line.tobytes(), (name, size)


@pytest.mark.parametrize("name", ONE_SERIES)
@pytest.mark.parametrize("before", [1, 2, 3, 7])
def test_warm_up_counts_from_the_first_number(name, before):
    given = market(5, 90) | SMALL
    late = given | {"x": frozen(np.concatenate([np.full(before, np.nan), given["x"]]))}
    wanted = [np.concatenate([np.full(before, np.nan), line]) for line in answer(name, given)]

    assert [line.tobytes() for line in wanted] == [line.tobytes() for line in answer(name, late)]


@pytest.mark.parametrize("name", [name for name, words in ARGUMENTS.items() if {"n", "x"} & set(words.split())])
@pytest.mark.parametrize("size", [0, 1, 2, 20])
def test_a_period_longer_than_the_series_gives_no_number(name, size):
    given = market(1, size) | SMALL | {"n": size + 1, "m": size + 1, "fast": 0.5}

    assert [0] * len(answer(name, given)) == [np.isfinite(line).sum() for line in answer(name, given)]


@pytest.mark.parametrize("name", ONE_SERIES)
def test_a_series_without_a_number_has_no_answer(name):
    given = SMALL | {"x": frozen(np.full(40, np.nan))}

    assert all(np.isnan(line).all() for line in answer(name, given))


@pytest.mark.parametrize("name", FORGETS)
@pytest.mark.parametrize("place", [9, 10, 11, 12])
def test_what_has_left_the_window_leaves_no_trace(name, place):
    """Whatever block of the window it was in: not a bit."""
    rng = np.random.default_rng(5)
    low, close = (100 + rng.normal(0, 1, 60) + k for k in (0, 5))
    given = SMALL | {"l": low, "c": close, "x": close, "h": close + 5, "v": rng.random(60)}
    words = {"v"} if name in BY_VOLUME else {"h", "c", "x"} if name != "lowest" else {"x"}
    struck = dict(given)
    for word in words & set(ARGUMENTS[name].split()):
        struck[word] = given[word].copy()
        struck[word][place] = -1e150 if name == "lowest" else 1e150
    gone = place + FORGETS[name]
    before, after = np.array(answer(name, given)), np.array(answer(name, struck))

    assert before[:, :place].tobytes() == after[:, :place].tobytes()
    assert before[:, gone:].tobytes() == after[:, gone:].tobytes()
    assert (before != after)[:, place:gone].any()
