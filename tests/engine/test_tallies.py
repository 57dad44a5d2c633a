import dataclasses
from datetime import UTC, datetime

import day_market
import numpy as np
import pytest
from highwater.engine.space import draw, to_policies
from highwater.engine.tallies import by_day, calendar, ground, returns

TRIALS = 30
MEMORY = 10**8


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return day_market.prepared(tmp_path_factory.mktemp("days"))


@pytest.fixture(scope="module")
def policies():
    return to_policies(day_market.SPACE, draw(day_market.SPACE, 3, 0, TRIALS))


def laid(ready, engine, memory=MEMORY, threads=2):
    """Return the ground of an engine; of a "mixture" every third alert goes candle by candle."""
    there = ground(ready, "bars" if engine == "bars" else "tables", memory, threads)
    if engine == "mixture":
        there = dataclasses.replace(there, fits=there.fits & (np.arange(there.fits.size) % 3 > 0))
    return there


def entry_dates(ready):
    """Return the UTC date of each entry of the alerts that have one."""
    entries = ready.windows.ts[ready.ok].tolist()
    return [datetime.fromtimestamp(ts / 1000, UTC).date() for ts in entries]


def test_calendar_runs_from_the_first_entry_to_the_last(ready):
    dates = entry_dates(ready)
    known, days = calendar(laid(ready, "tables"))
    numbers = [date.toordinal() - datetime(1970, 1, 1, tzinfo=UTC).toordinal() for date in dates]

    assert min(numbers) == known.first
    assert max(numbers) - min(numbers) + 1 == known.days
    assert [number - min(numbers) for number in numbers] == days.tolist()
    assert [numbers.count(known.first + d) for d in range(known.days)] == known.alerts.tolist()
    assert 0 in known.alerts  # a day without alerts is a day


@pytest.mark.parametrize("engine", ["tables", "bars", "mixture"])
def test_days_are_sums_of_returns(ready, policies, engine):
    there, dates = laid(ready, engine), entry_dates(ready)
    expected = [[0] * ((max(dates) - min(dates)).days + 1) for _ in range(TRIALS)]
    for row, earned in zip(expected, returns(there, policies).tolist(), strict=True):
        for date, ret_q in zip(dates, earned, strict=True):
            row[(date - min(dates)).days] += ret_q

    assert {"tables": 0, "bars": len(dates), "mixture": (len(dates) + 2) // 3}[engine] == there.bars
    assert len({tuple(row) for row in expected}) > TRIALS // 2
    assert expected == by_day(there, policies).tolist()


@pytest.mark.parametrize("engine", ["bars", "mixture"])
@pytest.mark.parametrize(("memory", "threads"), [(1, 1), (20_000, 2), (MEMORY, 1)])
def test_days_for_any_engine_memory_and_threads(ready, policies, engine, memory, threads):
    expected = by_day(laid(ready, "tables"), policies)

    np.testing.assert_array_equal(expected, by_day(laid(ready, engine, memory, threads), policies))
