"""Every indicator with its arguments by name, made-up markets to call it on, and how its answer is held against one."""

import numpy as np
import plain_indicators as plain
from highwater import kernels
from highwater.kernels import _ROOMS
from hypothesis import strategies as st
from kernel_market import COMPILED

ROOMS = ("averages", "ranges", "oscillators", "channels", "trends", "volumes", "adaptive")
NAMES = {room: _ROOMS[room].split() for room in ROOMS}
EXAMPLES = 60 if COMPILED else 12
seeds = st.integers(0, 2**63)

# A column of a market or a number that ``numbers`` draws, in the order of the signature.
ARGUMENTS = {
    **dict.fromkeys(("sma", "ema", "wma", "rma", "dema", "tema", "highest", "lowest", "deviation"), "x n"),
    **dict.fromkeys(("percent_rank", "rsi", "momentum", "roc"), "x n"),
    **dict.fromkeys(("atr", "cci", "williams_r", "directional", "vortex"), "h l c n"),
    **dict.fromkeys(("keltner", "supertrend"), "h l c n k"),
    **dict.fromkeys(("donchian", "aroon"), "h l n"),
    **dict.fromkeys(("mfi", "chaikin_money_flow"), "h l c v n"),
    "linear_slope": "x m",
    "true_range": "h l c",
    "stochastic": "h l c n s d",
    "stochastic_rsi": "x n m s d",
    "macd": "x n m d",
    "bollinger": "x n k",
    "ichimoku": "h l n m s",
    "parabolic_sar": "h l step most",
    "heikin_ashi": "o h l c",
    "obv": "c v",
    "accumulation_distribution": "h l c v",
    "vwap": "x v n",
    "session_vwap": "c v starts",
    "volume_ratio": "v n",
    "mama": "x fast slow",
}
ONE_SERIES = [name for name, words in ARGUMENTS.items() if words.split()[0] == "x" and "v" not in words.split()]


def market(seed, size=None):
    """Return the columns of a made-up market, read-only; ``x`` is the close.

    Prices are multiples of a power of two, so that what is equal on paper is equal in floats: ticks, a walk, a dead
    market, or one of each in turn, of about 100,000, 100 or a millionth.
    """
    rng = np.random.default_rng(seed)
    size = int(rng.integers(0, 120)) if size is None else size
    kinds = np.repeat(rng.integers(0, 3, size // 20 + 1), 20)[:size]
    steps = np.select([kinds == 0, kinds == 1], [rng.integers(-1, 2, size), np.rint(rng.normal(0, 200, size))], 0)
    unit = 2.0 ** rng.choice([-7, -14, -40])
    close = unit * np.maximum(rng.choice([2**13, 2**24]) + np.cumsum(steps), 1)
    begin = np.concatenate([close[:1], close[:-1]])
    reach = unit * rng.integers(0, 3, (2, size)) * (kinds < 2) * rng.choice([1, 50])
    lows = np.minimum(begin, close)
    columns = {
        "o": begin,
        "h": np.maximum(begin, close) + reach[0],
        "l": np.maximum(lows - reach[1], np.minimum(lows, unit)),
        "c": close,
        "v": rng.integers(0, 4, size) * (rng.random(size) < 0.7) * 1.0,
        "starts": rng.random(size) < 0.1,
        "x": close,
    }
    return {name: frozen(column) for name, column in columns.items()}


def frozen(column):
    column = np.array(column)
    column.flags.writeable = False
    return column


def numbers(seed):
    """Return periods and factors; what is not a period is a float."""
    rng = np.random.default_rng([seed, 1])
    periods = {name: int(rng.integers(low, high)) for name, low, high in (("n", 1, 30), ("m", 2, 30), ("s", 1, 9))}
    step = float(rng.uniform(0.01, 0.1))
    factors = {"k": float(rng.uniform(0.5, 4)), "step": step, "most": step * float(rng.uniform(0.9, 12))}
    return periods | factors | {"d": int(rng.integers(1, 9)), "fast": 0.5, "slow": 0.05}


def answer(name, given):
    """Return the lines of an indicator, a tuple of arrays even of one."""
    found = getattr(kernels, name)(*(given[word] for word in ARGUMENTS[name].split()))
    return found if isinstance(found, tuple) else (found,)


def oracle(name, given):
    """Return the same from the definition."""
    found = getattr(plain, name)(
        *(given[w].tolist() if isinstance(given[w], np.ndarray) else given[w] for w in ARGUMENTS[name].split())
    )
    return tuple(np.array(line, float) for line in (found if isinstance(found, tuple) else (found,)))


def hold_against_the_oracle(name, seed):
    given = market(seed) | numbers(seed)
    if name in ONE_SERIES and seed % 2:
        given["x"] = frozen(np.concatenate([np.full(seed % 13, np.nan), given["x"]]))

    for wanted, found in zip(oracle(name, given), answer(name, given), strict=True):
        finite = wanted[np.isfinite(wanted)]
        scale = np.abs(finite).max() if finite.size else 0.0
        rounding = 1e-14 * given["c"].max() if name == "macd" and finite.size else 0.0  # of the averages it subtracts
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11 * scale + rounding, err_msg=name)
