import numpy as np
import pytest
import small_market
from highwater.engine.fixed_exits import not_covered
from highwater.engine.values import Range
from highwater.io.errors import LimitError, UsageError
from plain_callers import CELLS, made, returns


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return small_market.prepared(tmp_path_factory.mktemp("market"))


def test_each_cell_is_the_sum_of_its_trades(ready):
    exits, trades = made(ready), [cells for *_, cells in returns(ready)]
    some = [0, 11, 3, 4]

    assert [sum(cell) for cell in zip(*trades, strict=True)] == exits.sums().tolist()
    assert [trades[i] for i in some] == exits.returns(np.array(some)).tolist()


def test_the_best_cell_has_its_mean(ready):
    exits = made(ready)
    sums, alerts = exits.sums(), int(ready.ok.sum())
    best = exits.best(sums, alerts)

    assert CELLS[int(np.argmax(sums))] == (best.tp, best.sl)
    assert max(sums.tolist()) / alerts / 100 == best.avg_return_bps
    assert CELLS[0] == (exits.best(np.zeros(18, np.int64), 1).tp, exits.best(np.zeros(18, np.int64), 1).sl)


def test_threads_change_nothing(ready):
    found = [made(ready, Range(1.1, 4.0, 0.1), Range(0.3, 0.9, 0.1), threads).sums().tolist() for threads in (1, 2)]

    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("trading", "what"),
    [({"intrabar": "optimistic"}, "--intrabar optimistic"), ({"costs": "legacy"}, "--costs legacy")],
)
def test_what_no_surface_covers_is_refused(tmp_path, trading, what):
    ready = small_market.prepared(tmp_path, **trading)

    assert what == not_covered(ready)
    with pytest.raises(UsageError, match=f"the run traded with {what}, which fixed exits in hindsight do not cover"):
        made(ready)


def test_a_grid_too_large_is_refused(ready):
    with pytest.raises(LimitError, match="above the limit of 100,000"):
        made(ready, Range(1.1, 1000, 0.001))
    assert "" == not_covered(ready)
