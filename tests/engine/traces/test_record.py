import numpy as np
import pytest
from highwater.engine.policy import Policy
from highwater.engine.trace_settings import Market
from highwater.engine.traces.performance import Fills
from highwater.engine.traces.record import config_of, exits_line, fills_line, lines_of, strategies_of
from highwater.engine.traces.series import Series
from highwater.engine.traces.sweeps import parse_strategies
from highwater.kernels.arrays import candles

TS = np.array([1_704_205_800_000, 1_704_206_100_000])
SPY = Series("SPY", candles(TS, *np.ones((4, 2))), 300_000, "c3" * 32)
MARKET = Market(candles="bars.parquet", to=1_704_300_000_000, resample=300_000)  # type: ignore[arg-type]


def test_a_config_holds_all_that_decides_the_results():
    document = {"strategies": ["bollinger_bands", {"sma_crossover": {}, "risk": {"stop_loss": 0.01}}]}
    expansion = parse_strategies(document)
    config = config_of(expansion, MARKET, Fills(slippage_bps=1.0), [SPY])
    other = config_of(parse_strategies("bollinger_bands"), MARKET, None, [SPY])

    assert (2, "TS-1", ["SPY"], "America/New_York") == (
        config["strategies"]["count"],
        *(config[name] for name in ("trace_semantics", "symbols", "zone")),
    )
    assert (300_000, 300_000, None, 1_704_300_000_000) == tuple(
        config[name] for name in ("interval_ms", "resample_ms", "from_ms", "to_ms")
    )
    assert (True, "next_open", "0.0", "1.0") == tuple(
        config[name] for name in ("performance", "fill", "fee_bps", "slippage_bps")
    )
    assert other["performance"] is False and "fill" not in other
    assert config["strategies"]["sha256"] != other["strategies"]["sha256"]
    assert [{}, {"stop_loss": 0.01}] == [each["risk"] for each in strategies_of(expansion)]


def test_what_a_sweep_left_out_is_counted():
    document = {"strategies": [{"sma_crossover": {"fast_period": [10, 30], "slow_period": [20, 20]}}]}
    lines = lines_of(parse_strategies(document), MARKET, None, [SPY])

    assert "strategies 1, 2 combinations out of order left out, 1 given twice left out" == lines[0]
    assert "candles    SPY 5m, 2 from 2024-01-02T14:30Z to 2024-01-02T14:35Z (UTC)" == lines[1]
    assert "fills      none: not traded" == lines[-1]


@pytest.mark.parametrize(
    ("fills", "line", "exits"),
    [
        (Fills(), "next_open, fee 0 bps and slippage 0 bps a side", []),
        (
            Fills("signal_close", 2.5, 1.0, Policy(sl=0.99)),
            "signal_close, fee 2.5 bps and slippage 1 bps a side",
            ["exits      SL -1%; then no trade until the signal changes"],
        ),
        (
            Fills(exits=Policy(sl=0.99), memory=False),
            "next_open, fee 0 bps and slippage 0 bps a side",
            ["exits      SL -1%; then at once the next trade"],
        ),
    ],
)
def test_fills_and_costs_are_said_with_every_result(fills, line, exits):
    assert (line, exits) == (fills_line(fills), exits_line(fills))
