"""The strategies that the owner's document writes out, and candles on which anything can be asked."""

import numpy as np
from highwater.kernels.arrays import candles

STEP = 300_000
START = 1_717_421_400_000  # 9:30 in New York, Monday 3 June 2024

ENSEMBLE = {
    "strategy": [
        {"sma_crossover": {"fast_period": 15, "slow_period": 50, "weight": 0.4}},
        {"bollinger_bands": {"period": 20, "std": 2.0, "weight": 0.6}},
        {"threshold": "0.5 AND volume > sma(volume, 20) AND market_hours() == 'regular'"},
    ]
}
COMPOSITE = {
    "strategy": [
        {
            "weight": 0.6,
            "strategy": [
                {"ma_crossover": {"fast": 10, "slow": 30, "weight": 0.5}},
                {"momentum": {"period": 14, "weight": 0.5}},
            ],
            "threshold": "0.3 AND adx(14) > 25",
        },
        {
            "weight": 0.4,
            "strategy": [
                {"bollinger_bands": {"period": 20, "std": 2.0, "weight": 0.6}},
                {"rsi_extreme": {"period": 14, "oversold": 30, "weight": 0.4}},
            ],
            "threshold": "0.5 AND adx(14) < 20",
        },
    ]
}


def market(bars, seed=0):
    """Return candles of small whole numbers, of 78 candles a day."""
    rng = np.random.default_rng(seed)
    prices = rng.integers(1, 20, (4, bars)).astype(float)
    place = np.arange(bars)
    ts = START + STEP * (place % 78) + 86_400_000 * (place // 78)
    volume = rng.integers(0, 6, bars).astype(float)
    return candles(ts, prices[0], prices.max(axis=0), prices.min(axis=0), prices[3], volume)
