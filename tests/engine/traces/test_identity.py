import pytest
from highwater.engine.traces.identity import trace_key
from highwater.io.errors import UsageError

HASH, DATA = "a" * 64, "b" * 64
ONE = {"strategy_hash": HASH, "data_digest": DATA, "symbol": "SPY", "timeframe": "5m", "zone": "America/New_York"}

GOLDEN = "55e041b70bdc7332d417cc72c9544c6925515087d8f0d6855701ed564afb1617"


@pytest.mark.parametrize(
    "other",
    [
        {"strategy_hash": "c" * 64},
        {"data_digest": "c" * 64},
        {"symbol": "QQQ"},
        {"timeframe": "1m"},
        {"zone": "UTC"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_series_another_key(other):
    assert trace_key(**ONE) != trace_key(**ONE | other)


def test_a_key_stays_what_it_was():
    assert GOLDEN == trace_key(**ONE)
    assert GOLDEN == trace_key(**ONE | {"timeframe": "300s"})


def test_a_timeframe_that_is_none():
    with pytest.raises(UsageError, match="timeframe is '5'; it needs a unit: 5h, 5m"):
        trace_key(**ONE | {"timeframe": "5"})
