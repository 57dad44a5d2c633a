"""Every registered strategy from its definition, in plain Python over lists, on the plain indicators.

A rule says of each candle by how much it is past what makes it long, and past what makes it short, as a part of the
numbers compared: (long, short), where neither is NaN. ``bars`` has lists by name, and ``starts``, where sessions begin.
"""

import math

import plain_indicators as plain

NAN = math.nan
NONE = -128
CLOSE_CALL = 1e-9  # of such a part: rounding may decide


def signal(name, bars, values):
    """Return (what the rule wants, whether rounding may decide otherwise) of every candle, as lists."""
    margins = RULES[name](bars, **values)
    return [wanted(*pair) for pair in margins], [min(map(abs, pair)) < CLOSE_CALL for pair in margins]


def wanted(long, short):
    if math.isnan(long) or math.isnan(short):
        return NONE
    return (long > 0) - (short > 0)


def over(a, b):
    """Return by which part of the larger ``a`` is above ``b``."""
    return (a - b) / max(abs(a), abs(b), 1e-300) if a == a and b == b else NAN


def both(a, b):
    return NAN if a != a or b != b else min(a, b)


def above(one, other):
    """Return the margins of being long while ``one`` is above ``other`` and short while it is below."""
    return [(over(a, b), over(b, a)) for a, b in zip(one, other, strict=True)]


def levels(x, low, high):
    """Return the margins of being long below ``low`` and short above ``high``."""
    return [(over(low, a), over(a, high)) for a in x]


def mirrored(x, level):
    """Return the margins of being long above ``level`` and short below its negative."""
    return [(over(a, level), over(-level, a)) for a in x]


def inside_out(pairs):
    return [(short, long) for long, short in pairs]


def between(x, lower, upper):
    """Return the margins of being long below ``lower`` and short above ``upper``, lists."""
    return [(over(low, a), over(a, high)) for a, low, high in zip(x, lower, upper, strict=True)]


def joined(one, other):
    return [(both(a, c), both(b, d)) for (a, b), (c, d) in zip(one, other, strict=True)]


def hlc(bars):
    return bars["high"], bars["low"], bars["close"]


def hl(bars):
    return bars["high"], bars["low"]


def typical(bars):
    return [(h + l + c) / 3 for h, l, c in zip(*hlc(bars), strict=True)]


def before(x, n):
    return ([NAN] * n + x)[: len(x)]


def averages(quick, slow):
    return lambda bars, fast_period, slow_period: above(
        quick(bars["close"], fast_period), slow(bars["close"], slow_period)
    )


def macd_crossover(bars, fast_ema, slow_ema, signal_ema):
    return above(*plain.macd(bars["close"], fast_ema, slow_ema, signal_ema)[:2])


def donchian_bands(bars, period, buffer_pct, use_middle_exit):
    lower, middle, upper = plain.donchian(*hl(bars), period)
    found = between(bars["close"], [x * (1 + buffer_pct) for x in lower], [x * (1 - buffer_pct) for x in upper])
    now = 0
    for i, (long, short) in enumerate(found):
        entered = wanted(long, short)
        if not use_middle_exit or entered == NONE:
            continue
        ahead = bars["close"][i] - middle[i]
        if entered:
            now = entered
        elif now * ahead >= 0:
            now = 0
        elif now:
            found[i] = (1.0, -1.0) if now > 0 else (-1.0, 1.0)
    return found


def donchian_breakout(bars, period):
    """The channel of the candles before: of one with this candle in it, no close is ever outside."""
    high, low, close = hlc(bars)
    tops = [max(high[i - period : i]) if i >= period else NAN for i in range(len(close))]
    bottoms = [min(low[i - period : i]) if i >= period else NAN for i in range(len(close))]
    return inside_out(between(close, bottoms, tops))


def ichimoku(bars, conversion_period, base_period):
    *_, one, other = plain.ichimoku(*hl(bars), conversion_period, base_period, 2 * base_period)
    tops = [NAN if a != a or b != b else max(a, b) for a, b in zip(one, other, strict=True)]
    bottoms = [NAN if a != a or b != b else min(a, b) for a, b in zip(one, other, strict=True)]
    return inside_out(between(bars["close"], bottoms, tops))


def vwap_bands(bars, middle, band_pct, atr_multiplier, atr_period):
    widths = [atr_multiplier * x for x in plain.atr(*hlc(bars), atr_period)]
    widths = widths if atr_multiplier > 0 else [band_pct * x for x in middle]
    lower, upper = ([m + side * w for m, w in zip(middle, widths, strict=True)] for side in (-1, 1))
    return between(bars["close"], lower, upper)


def momentum_breakout(bars, momentum_period, threshold):
    gained = [(c - b) / c for c, b in zip(bars["close"], before(bars["close"], momentum_period), strict=True)]
    return mirrored(gained, threshold)


def price_momentum(bars, period, threshold):
    gained = [c / b - 1 for c, b in zip(bars["close"], before(bars["close"], period), strict=True)]
    return mirrored(gained, threshold)


def momentum_strategy(bars, sma_period, rsi_period, oversold, overbought):
    trend = above(bars["close"], plain.sma(bars["close"], sma_period))
    return joined(trend, levels(plain.rsi(bars["close"], rsi_period), oversold, overbought))


def dual_momentum(bars, fast_period, slow_period):
    fast, slow = plain.sma(bars["close"], fast_period), plain.sma(bars["close"], slow_period)
    return joined(above(fast, slow), above(bars["close"], fast))


def adx_trend_strength(bars, adx_period, adx_threshold):
    plus, minus, adx = plain.directional(*hlc(bars), adx_period)
    strong = [(over(x, adx_threshold),) * 2 for x in adx]
    return joined(above(plus, minus), strong)


def supertrend(bars, period, multiplier):
    return [(x, -x) for x in plain.supertrend(*hlc(bars), period, multiplier)[1]]


def outer(bands):
    return bands[0], bands[2]


RULES = {
    "sma_crossover": averages(plain.sma, plain.sma),
    "ma_crossover": averages(plain.sma, plain.sma),
    "ema_crossover": averages(plain.ema, plain.ema),
    "ema_sma_crossover": averages(plain.ema, plain.sma),
    "dema_crossover": averages(plain.dema, plain.dema),
    "dema_sma_crossover": averages(plain.dema, plain.sma),
    "tema_sma_crossover": averages(plain.tema, plain.sma),
    "macd_crossover": macd_crossover,
    "stochastic_crossover": lambda b, k_period, d_period: above(*plain.stochastic(*hlc(b), k_period, 1, d_period)),
    "vortex_crossover": lambda b, period: above(*plain.vortex(*hlc(b), period)),
    "aroon_crossover": lambda b, period: above(*plain.aroon(*hl(b), period)),
    "bollinger_bands": lambda b, period, std_dev: between(
        b["close"], *outer(plain.bollinger(b["close"], period, std_dev))
    ),
    "bollinger_breakout": lambda b, period, std_dev: inside_out(
        between(b["close"], *outer(plain.bollinger(b["close"], period, std_dev)))
    ),
    "keltner_bands": lambda b, period, multiplier: between(
        b["close"], *outer(plain.keltner(*hlc(b), period, multiplier))
    ),
    "keltner_breakout": lambda b, period, multiplier: inside_out(
        between(b["close"], *outer(plain.keltner(*hlc(b), period, multiplier)))
    ),
    "donchian_bands": donchian_bands,
    "donchian_breakout": donchian_breakout,
    "ichimoku_cloud_position": ichimoku,
    "rsi_bands": lambda b, rsi_period, oversold, overbought: levels(
        plain.rsi(b["close"], rsi_period), oversold, overbought
    ),
    "cci_bands": lambda b, cci_period, oversold, overbought: levels(
        plain.cci(*hlc(b), cci_period), oversold, overbought
    ),
    "stochastic_rsi": lambda b, rsi_period, stoch_period, k_period, oversold, overbought: levels(
        plain.stochastic_rsi(b["close"], rsi_period, stoch_period, k_period, 1)[0], oversold, overbought
    ),
    "williams_r": lambda b, williams_period, oversold, overbought: levels(
        plain.williams_r(*hlc(b), williams_period), oversold, overbought
    ),
    "mfi_bands": lambda b, mfi_period, oversold, overbought: levels(
        plain.mfi(*hlc(b), b["volume"], mfi_period), oversold, overbought
    ),
    "vwap_deviation": lambda b, period, **band: vwap_bands(b, plain.vwap(typical(b), b["volume"], period), **band),
    "session_vwap_deviation": lambda b, **band: vwap_bands(
        b, plain.session_vwap(typical(b), b["volume"], b["starts"]), **band
    ),
    "rsi_threshold": lambda b, rsi_period, threshold: above(
        plain.rsi(b["close"], rsi_period), [threshold] * len(b["close"])
    ),
    "cci_threshold": lambda b, cci_period, threshold: above(
        plain.cci(*hlc(b), cci_period), [threshold] * len(b["close"])
    ),
    "roc_threshold": lambda b, roc_period, threshold: mirrored(plain.roc(b["close"], roc_period), threshold),
    "roc_trend": lambda b, roc_period, threshold: mirrored(plain.roc(b["close"], roc_period), threshold),
    "linear_regression_slope": lambda b, period, threshold: mirrored(plain.linear_slope(b["close"], period), threshold),
    "obv_trend": lambda b, threshold: mirrored(plain.obv(b["close"], b["volume"]), threshold),
    "accumulation_distribution": lambda b, threshold: mirrored(
        plain.accumulation_distribution(*hlc(b), b["volume"]), threshold
    ),
    "chaikin_money_flow": lambda b, period, threshold: mirrored(
        plain.chaikin_money_flow(*hlc(b), b["volume"], period), threshold
    ),
    "momentum": lambda b, period: above(b["close"], before(b["close"], period)),
    "momentum_breakout": momentum_breakout,
    "price_momentum": price_momentum,
    "momentum_strategy": momentum_strategy,
    "dual_momentum": dual_momentum,
    "adx_trend_strength": adx_trend_strength,
    "supertrend": supertrend,
    "parabolic_sar": lambda b, af_start, af_max: above(b["close"], plain.parabolic_sar(*hl(b), af_start, af_max)),
}
