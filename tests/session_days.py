"""Made-up exchange days and their hours, for the rooms that prepare a pass over sessions."""

import random
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from highwater.engine.session.calendar import Hours
from highwater.kernels.arrays import candles

STEP, MINUTE, DAY = 60_000, 60_000, 86_400_000
BEGIN = 1_710_000_000_000 // DAY * DAY + 14 * 3_600_000


def random_days(seed, count=14, candles_a_day=70, holes=0.06):
    """Return (bars, ``Hours``) of days with holes, short days, an empty one, candles outside of sessions, ties."""
    rng = random.Random(seed)
    bars, opens, closes, price = [], [], [], 400
    for k in range(count):
        length = rng.choice([candles_a_day] * 4 + [candles_a_day // 2, 20])
        begin = BEGIN + k * DAY
        opens.append(begin)
        closes.append(begin + length * STEP)
        empty = rng.random() < 0.05
        late = rng.choice([0] * 8 + [3, 12, 40])
        for i in range(-3, length + 3):
            if rng.random() < holes or (0 <= i < late) or (empty and 0 <= i < length):
                continue
            open_ = price + rng.choice([0, 0, 0, 1, -1, 4, -4])
            price = max(200, open_ + rng.choice([0, 1, -1, 2, -2, 3, -3]))
            high, low = max(open_, price) + rng.choice([0, 0, 1, 2]), min(open_, price) - rng.choice([0, 0, 1, 2])
            bars.append(
                (begin + i * STEP, *(x / 4 for x in (open_, high, low, price)), float(rng.choice([0, 1, 4, 5, 9])))
            )
    days = tuple(date(2024, 3, 9) + timedelta(days=k) for k in range(count))
    return bars, Hours(days, np.array(opens), np.array(closes), ZoneInfo("UTC"), "the made-up days")


def candles_of(bars):
    return candles(*zip(*bars, strict=True))


def random_settings(seed):
    """Return settings of the parts that ranges, factors and trades are made by."""
    rng = random.Random(seed)
    orb = {"base_minutes": rng.choice([10, 15]), "adaptive": rng.random() < 0.8, "atr_period": rng.choice([5, 7])}
    orb |= {
        "short_or_minutes": rng.choice([5, 8]),
        "long_or_minutes": 20,
        "norm_vol": rng.choice(["scaled", "literal"]),
    }
    orb |= {"validity_atr": rng.choice(["range", "range", "daily"]), "enable_validity_filter": rng.random() < 0.8}
    orb |= {"low_norm_vol": 0.4, "high_norm_vol": rng.choice([0.5, 0.8]), "max_atr_mult": rng.choice([1.0, 1.75, 3.0])}
    factors = {
        "rel_volume": {"lookback": rng.choice([5, 20]), "by_time_of_day": rng.random() < 0.3},
        "price_action": {"pivot_len": rng.choice([2, 3, 5]), "enable_engulfing": rng.random() < 0.7},
        "profile_proxy": {"enabled": rng.random() < 0.7},
        "vwap": {"enabled": rng.random() < 0.7, "reset_mode": rng.choice(["session", "or_end"])},
        "adx": {"enabled": rng.random() < 0.5, "period": rng.choice([5, 14]), "threshold": rng.choice([18.0, 40.0])},
    }
    stops = rng.choice(["or_opposite", "swing", "atr_capped"])
    found = {
        "orb": orb,
        "factors": factors,
        "trade": {"stop_mode": stops, "sides": rng.choice(["both", "long", "short"])},
    }
    found["scoring"] = {"base_required": rng.choice([0, 1, 2]), "weak_trend_required": 2, "weights": {"vwap": 0.5}}
    found["buffers"] = {"fixed": rng.choice([0.0, 0.1]), "use_atr": rng.random() < 0.4}
    found["governance"] = {
        "flatten_minutes_before": rng.choice([0, 0, 5]),
        "second_chance_minutes": rng.choice([0, 30]),
    }
    return found
