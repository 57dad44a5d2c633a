"""Trades of traces against the plain oracle are in tests/engine/traces/test_performance; here are the edges by name."""

import numpy as np
import pytest
from highwater.kernels.arrays import NEVER, REASONS, Costs, Rules, candles, column, costs, policy
from highwater.kernels.mirror import reflected
from highwater.kernels.positions import AROUND, Exits, Taking, around, market_of, room_for, walk
from highwater.kernels.signals import changes

STEP = 60_000


def bars(*rows):
    """Return candles a minute apart from rows of (open, high, low, close), or of one price."""
    full = [(row,) * 4 if isinstance(row, int | float) else row for row in rows]
    return candles(np.arange(len(full)) * STEP, *np.array(full, float).T)


def walked(signal, market, exits=None, fill="next_open", memory=True, rules=Rules(), paid=Costs()):  # noqa: B008
    """Return (positions as dicts, room, market, exits, taking) of a signal."""
    idx, val = changes(np.array(signal, np.int8))
    rows = column(idx, np.int32), column(val, np.int8)
    long = exits or policy()
    given = market_of(market), Exits(long, reflected(long))
    taking = Taking(fill == "signal_close", memory, exits is not None, STEP, rules, paid)
    room = room_for(idx.size, *given, taking)
    n = walk(*rows, *given, taking, room)
    names = room.positions.dtype.names
    return [dict(zip(names, row.tolist(), strict=True)) for row in room.positions[:n]], room, *given, taking


def trades(*args, **kwargs):
    """Return (direction, entry bar and price, exit bar and price, reason) of each trade."""
    names = ("direction", "entry_bar", "entry_px", "exit_bar", "exit_px")
    return [(*(row[name] for name in names), REASONS[row["reason"]]) for row in walked(*args, **kwargs)[0]]


RISING = bars(*((p, p + 0.5, p - 0.5, p + 0.25) for p in range(100, 111)))
EXAMPLE = [0, 1, 1, 1, -1, -1, -1, 1, 1, 0, 0]  # of the study of the origin, which finds 5, 6 or 8 points in it


def test_a_reversal_closes_and_opens_at_one_fill():
    expected = [
        (1, 2, 102.0, 5, 105.0, "SIGNAL"),
        (-1, 5, 105.0, 8, 108.0, "SIGNAL"),
        (1, 8, 108.0, 10, 110.0, "SIGNAL"),
    ]

    assert expected == trades(EXAMPLE, RISING)


def test_a_signal_may_be_filled_at_its_own_close():
    expected = [
        (1, 1, 101.25, 4, 104.25, "SIGNAL"),
        (-1, 4, 104.25, 7, 107.25, "SIGNAL"),
        (1, 7, 107.25, 9, 109.25, "SIGNAL"),
    ]

    assert expected == trades(EXAMPLE, RISING, fill="signal_close")


@pytest.mark.parametrize(
    ("fill", "signal", "expected"),
    [
        ("next_open", [0, 0, 0, 1], []),
        ("next_open", [0, 0, 1, 1], [(1, 3, 103.0, 3, 103.25, "END_OF_DATA")]),
        ("next_open", [0, 1, 1, -1], [(1, 2, 102.0, 3, 103.25, "END_OF_DATA")]),
        ("signal_close", [0, 0, 0, 1], []),
        ("signal_close", [0, 0, 1, 1], [(1, 2, 102.25, 3, 103.25, "END_OF_DATA")]),
        ("signal_close", [0, 0, 1, -1], [(1, 2, 102.25, 3, 103.25, "SIGNAL")]),
        ("next_open", [1], []),
        ("next_open", [0, 0, 0, 0], []),
    ],
)
def test_the_end_of_the_data(fill, signal, expected):
    market = candles(*(each[: len(signal)] for each in RISING))

    assert expected == trades(signal, market, fill=fill)


def test_times_are_those_of_the_fills():
    rows = walked(EXAMPLE, RISING)[0], walked(EXAMPLE, RISING, fill="signal_close")[0]

    assert [(2, 5, 3), (5, 8, 3), (8, 10, 2)] == [
        (row["entry_ts"] // STEP, row["exit_ts"] // STEP, row["bars_held"]) for row in rows[0]
    ]
    assert [(2, 5, 3), (5, 8, 3), (8, 10, 2)] == [
        (row["entry_ts"] // STEP, row["exit_ts"] // STEP, row["bars_held"]) for row in rows[1]
    ]


def test_no_values_repeated_end_a_position():
    given = market_of(RISING)
    exits, taking = Exits(policy(), policy()), Taking(False, True, False, STEP, Rules(), Costs())
    idx, val = column([1, 3, 5, 7], np.int32), column([1, 1, 0, 0], np.int8)
    room = room_for(4, given, exits, taking)

    assert 1 == walk(idx, val, given, exits, taking, room)
    assert (2, 6) == (room.positions[0]["entry_bar"], room.positions[0]["exit_bar"])


DIP = bars(100, (100, 100, 100, 100), (100, 101, 94, 98), (98, 99, 97, 98), (98, 104, 97, 103), 103)


@pytest.mark.parametrize(
    ("memory", "fill", "expected"),
    [
        (True, "next_open", [(1, 1, 100.0, 2, 95.0, "SL")]),
        (False, "next_open", [(1, 1, 100.0, 2, 95.0, "SL"), (1, 3, 98.0, 5, 103.0, "END_OF_DATA")]),
        (True, "signal_close", [(1, 0, 100.0, 2, 95.0, "SL")]),
        (False, "signal_close", [(1, 0, 100.0, 2, 95.0, "SL"), (1, 2, 98.0, 5, 103.0, "END_OF_DATA")]),
    ],
)
def test_exit_memory(memory, fill, expected):
    assert expected == trades([1] * 6, DIP, policy(sl=0.95), fill, memory)


def test_memory_ends_when_the_signal_changes():
    expected = [(1, 1, 100.0, 2, 95.0, "SL"), (-1, 4, 98.0, 4, 102.9, "SL"), (1, 5, 103.0, 5, 103.0, "END_OF_DATA")]

    assert expected == trades([1, 1, 1, -1, 1, 1], DIP, policy(sl=0.95))


def test_a_time_limit_is_entered_again_whatever_the_memory():
    expected = [(1, 1, 101.0, 3, 103.0, "TIME"), (1, 4, 104.0, 6, 106.0, "TIME"), (1, 7, 107.0, 8, 108.0, "SIGNAL")]

    assert expected == trades([1] * 7 + [0] * 4, RISING, policy(time_ms=2 * STEP))


def test_a_time_limit_at_the_open_of_the_signal_is_the_signal():
    assert [(1, 1, 101.0, 3, 103.0, "SIGNAL")] == trades([1, 1] + [0] * 9, RISING, policy(time_ms=2 * STEP))


def test_an_entry_at_the_open_is_stopped_in_its_own_candle():
    market = bars(100, (100, 100, 90, 100), 100)

    assert [(1, 1, 100.0, 1, 95.0, "SL")] == trades([1, 1, 1], market, policy(sl=0.95))
    assert [(-1, 1, 100.0, 1, 90.0, "TP")] == trades([-1] * 3, market, policy(tp=[1.1]))


def test_an_entry_at_the_close_is_not_stopped_by_what_came_before_it():
    market = bars((100, 100, 90, 100), (100, 100, 99, 100), 100)

    assert [(1, 0, 100.0, 2, 100.0, "END_OF_DATA")] == trades([1] * 3, market, policy(sl=0.95), "signal_close")


def test_a_stop_in_the_candle_of_the_signal_comes_before_its_close_and_after_its_open():
    market = bars(100, 100, (100, 100, 90, 100), 100)

    assert [(1, 0, 100.0, 2, 95.0, "SL")] == trades([1, 1, 0, 0], market, policy(sl=0.95), "signal_close")
    assert [(1, 1, 100.0, 2, 100.0, "SIGNAL")] == trades([1, 0, 0, 0], market, policy(sl=0.95))


def test_a_short_is_stopped_above_and_sold_below():
    market = bars(100, 100, (100, 104, 99, 103), 103, (103, 103, 90, 92))

    assert [(-1, 1, 100.0, 2, 102.0, "SL")] == trades([-1] * 5, market, policy(sl=0.98))
    assert [(-1, 1, 100.0, 4, 95.0, "TP")] == trades([-1] * 5, market, policy(tp=[1.05]))
    assert [(-1, 1, 100.0, 2, 102.0, "TRAIL")] == trades([-1] * 5, market, policy(trail_pct=0.02))


def test_part_of_a_position_may_be_sold_before_its_signal_ends_it():
    rungs = policy(tp=[1.02, 1.5], frac_bps=[4000, 6000])
    (row,), room, *_ = walked([1, 1, 1, 1, 0, 0], RISING, rungs)
    expected = 0.4 * 101 * 1.02 + 0.6 * 105

    assert pytest.approx(expected, rel=1e-15) == row["gross"]
    assert (2, "SIGNAL", 105.0) == (row["n_fills"], REASONS[row["reason"]], row["exit_px"])
    assert [101 * 1.02, 105.0] == [fill["price"] for fill in room.fills[0][:2]]


@pytest.mark.parametrize("fill", ["next_open", "signal_close"])
def test_positions_without_exits_are_those_with_exits_out_of_reach(fill):
    rng = np.random.default_rng(3)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 400)))
    open_ = np.r_[100, close[:-1]] * np.exp(rng.normal(0, 0.002, 400))
    market = bars(*zip(open_, np.maximum(open_, close) * 1.01, np.minimum(open_, close) * 0.99, close, strict=True))
    signal, paid = rng.integers(-1, 2, 400), costs(3, 2)
    plain, far = (walked(signal, market, exits, fill, paid=paid)[0] for exits in (None, policy(time_ms=NEVER)))

    assert plain == far
    assert len(plain) > 100


def test_bounds_and_extremes_of_a_short():
    _, room, market, exits, taking = walked([-1] * 3, bars(100, (100, 104, 95, 100), 100), policy(sl=0.97, tp=[1.04]))
    out = np.empty(1, AROUND)
    around(room.positions[:1], market, exits, taking, out)

    assert pytest.approx((-0.03, 0.04, -0.03, 0.0), abs=1e-15) == out[0].item()[:4]
    assert out[0]["ambiguous"]


def test_a_ratchet_does_not_wait_for_the_next_candle():
    """A candle that rises 10 % and closes 10 % lower has met the trailing stop that its own high has set."""
    market = bars(100, (100, 110, 99.5, 100), 100)

    assert [(1, 1, 100.0, 1, 110 * 0.95, "TRAIL")] == trades([1] * 3, market, policy(trail_pct=0.05))
    optimist = trades([1] * 3, market, policy(trail_pct=0.02, activate=1.05), rules=Rules(intrabar=1))

    assert [(1, 1, 100.0, 1, 110 * 0.98, "TRAIL")] == optimist
