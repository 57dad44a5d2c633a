from pathlib import Path

import pytest
from highwater.engine.policy import Policy, Rung
from highwater.engine.trace_settings import Dealing, Market
from highwater.io.candles import CandleOptions
from highwater.io.errors import UsageError

CANDLES = Path("bars.parquet")


def test_what_is_read_is_told_to_the_reader():
    market = Market(candles=CANDLES, interval=60_000, resample=300_000, time_unit="s", on_unsorted="sort")
    expected = CandleOptions(interval_ms=60_000, resample_ms=300_000, time_unit="s", on_unsorted="sort")

    assert expected == market.candle_options
    assert "America/New_York" == market.zone


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"from_": 2, "to": 2}, "--from .* is not before --to"),
        ({"symbols": ["SPY", "QQQ", "SPY"]}, "--symbols names SPY twice"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        Market(candles=CANDLES, **options)


def test_exits_are_those_that_flags_name():
    assert None is Dealing().exits
    assert None is Dealing(tp_gap_fill="open").exits
    assert Policy(0.99, (Rung(1.02),), tp_gap_fill="open") == Dealing(tp=1.02, sl=0.99, tp_gap_fill="open").exits


def test_trading_costs_a_basis_point_a_side_unless_told_otherwise():
    assert ("next_open", 0.0, 1.0, True) == (
        Dealing().fill,
        Dealing().fee_bps,
        Dealing().slippage_bps,
        Dealing().memory,
    )
