import numpy as np
import pytest
from highwater.engine.session.asked import BATCH, FIRST, asked
from highwater.engine.session.axes import axis
from highwater.engine.session.config import parse
from highwater.engine.session.trials import Made
from highwater.io.errors import UsageError

pytest.importorskip("optuna")
AXES = (axis("trade.runner_r=1.6:4:0.1"), axis("trade.stop_mode=swing,or_opposite"), axis("trade.t1_r=0.1:1.4:0.1"))
PLAIN = parse({}, "settings")
NONE = np.zeros(0, np.int64)


def away(config):
    """Return how far some settings lie from the best there are."""
    trade = config.trade
    return abs(trade.runner_r - 3.1) + abs(trade.t1_r - 0.4) + (trade.stop_mode == "swing")


def tried(configs):
    return [Made({}, {"away": away(config)}, NONE, 0) for config in configs]


def score(made):
    return -made.metrics["away"]


def search(count, axes=AXES, seed=1):
    return asked(PLAIN, axes, count, seed, tried, score)


def test_the_first_of_more_are_the_same_and_any_of_the_same_seed():
    few, many, other = search(FIRST + BATCH + 5), search(FIRST + 3 * BATCH), search(FIRST + 9, seed=2)
    size = len(few[0].ids)

    assert few[0].settings == many[0].settings[:size] and few[0].ids == many[0].ids[:size]
    assert len(many[0].ids) > size
    assert few[0].settings[:9] != other[0].settings[:9]
    assert [each.metrics["away"] for each in few[1]] == [away(config) for config in few[0].configs]


def test_what_is_asked_for_lies_nearer_to_the_best_than_what_is_drawn():
    found, made = search(160)
    first = [each.metrics["away"] for i, each in zip(found.ids, made, strict=True) if i < FIRST]
    later = [each.metrics["away"] for i, each in zip(found.ids, made, strict=True) if i >= FIRST + BATCH]

    assert np.median(later) < np.median(first) / 2
    assert min(later) < min(first)


def test_every_configuration_is_tried_once_and_all_are_counted():
    found, made = search(120, (axis("trade.t1_r=0.5,1,1.4,1.6"), axis("trade.t2_r=1.5,1.45")))

    assert len(found.ids) == len(made) == len(set(found.settings)) == 6  # two of eight are above t2_r
    assert (120, 2, 112) == (found.asked, found.refused, found.repeated)


def test_where_all_are_refused_that_is_said():
    with pytest.raises(UsageError, match="the settings refuse all 40 configurations"):
        search(40, (axis("trade.t1_r=1.6,1.7"),))
