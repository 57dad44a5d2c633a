import math

import pytest
import small_market
from highwater.engine import caller_policies as room
from highwater.engine.caller_policies import caller_policies
from highwater.io.errors import LimitError
from plain_callers import CELLS, made, returns


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return small_market.prepared(tmp_path_factory.mktemp("market"))


def best_of(trades):
    """Return the number of the cell that paid best, of equal ones the first."""
    sums = [sum(cells[i] for *_, cells in trades) for i in range(len(CELLS))]
    return sums.index(max(sums))


def mean_of(trades, cell):
    return sum(cells[cell] for *_, cells in trades) / len(trades) / 100


def test_each_caller_is_judged_by_a_policy_chosen_without_him(ready):
    trades, found = returns(ready), caller_policies(made(ready), 1)
    names = sorted({name for name, *_ in trades})
    hindsight = judged = calls = 0

    assert names == [row.caller_name for row in found.rows]
    for row in found.rows:
        own = [trade for trade in trades if trade[0] == row.caller_name]
        tokens = {mint for _, mint, _ in own}
        others = [trade for trade in trades if trade[0] != row.caller_name and trade[1] not in tokens]

        assert (len(own), len(others)) == (row.calls, row.others)
        assert (*CELLS[best_of(own)], mean_of(own, best_of(own))) == pytest.approx(
            (row.best.tp, row.best.sl, row.best.avg_return_bps)
        )
        if others:
            chosen = best_of(others)
            assert (*CELLS[chosen], mean_of(own, chosen)) == pytest.approx(
                (row.chosen.tp, row.chosen.sl, row.chosen.avg_return_bps)
            )
            assert row.chosen.avg_return_bps <= row.best.avg_return_bps
            hindsight += mean_of(own, best_of(own)) * len(own)
            judged += mean_of(own, chosen) * len(own)
            calls += len(own)
        else:
            assert row.chosen is None

    assert calls
    assert pytest.approx((hindsight / calls, judged / calls)) == (found.best_bps, found.chosen_bps)
    assert CELLS[best_of(trades)] == (found.whole.tp, found.whole.sl)
    assert pytest.approx(mean_of(trades, best_of(trades))) == found.whole.avg_return_bps


def test_hindsight_is_above_what_was_to_be_had(ready):
    found = caller_policies(made(ready), 1)

    assert found.best_bps > found.chosen_bps


def test_callers_with_too_few_calls_are_left_out(ready):
    every = caller_policies(made(ready), 1)
    most = max(row.calls for row in every.rows)

    assert [row for row in every.rows if row.calls >= most] == list(caller_policies(made(ready), most).rows)
    assert () == caller_policies(made(ready), most + 1).rows
    assert math.isnan(caller_policies(made(ready), most + 1).chosen_bps)


def test_a_caller_without_others_has_none_chosen(ready, tmp_path):
    alone = small_market.tables()[1]
    name = alone["caller_name"][0].as_py()
    small_market.write(tmp_path, None, alone.filter([each == name for each in alone["caller_name"].to_pylist()]))
    (row,) = caller_policies(made(small_market.prepared(tmp_path)), 1).rows

    assert (name, 0, None) == (row.caller_name, row.others, row.chosen)


def test_the_cut_of_the_work_changes_nothing(ready, monkeypatch):
    whole = caller_policies(made(ready), 1)
    monkeypatch.setattr(room, "BLOCK", 3 * len(CELLS))

    assert whole == caller_policies(made(ready), 1)


def test_too_many_callers_for_the_grid_are_refused(ready, monkeypatch):
    monkeypatch.setattr(room, "MOST", len(CELLS))
    with pytest.raises(LimitError, match=r"18 fixed exits for each of \d callers are more than 18; raise --min-calls"):
        caller_policies(made(ready), 1)


def test_threads_change_nothing(ready):
    assert caller_policies(made(ready, threads=1), 1) == caller_policies(made(ready, threads=2), 1)
