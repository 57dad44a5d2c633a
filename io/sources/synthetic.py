"""A made-up market from one seed: tokens that pump, fade and die, and the callers who called them.

Only raw PCG64 bits, integers and correctly rounded operations (+ - * / sqrt) are used, so a seed means the same bytes
on every platform: prices lie on a grid of one basis point and a return is a whole number of steps on it. Lives are
counted in candles, so another interval has the same shapes at another pace.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...kernels.arrays import Floats, Ints
from ..errors import UsageError

DAY_MS = 86_400_000
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
MOODS = ("amber", "brisk", "calm", "daring", "early", "frank", "grim", "hasty", "idle", "jolly", "keen", "lucky")
ANIMALS = ("otter", "falcon", "badger", "heron", "lynx", "marten", "osprey", "puffin", "raven", "stoat", "tern", "wolf")
TOKEN, CALLER, CALLS, GHOST = range(4)  # what a random stream is for

_TIME, _PRICES = pa.timestamp("ms", "UTC"), ("open", "high", "low", "close", "volume")
CANDLES = pa.schema({"token_address": pa.string(), "timestamp": _TIME, **dict.fromkeys(_PRICES, pa.float64())})
ALERTS = pa.schema(
    {
        "mint": pa.string(),
        "alert_ts_ms": pa.int64(),
        "caller_name": pa.string(),
        "chain": pa.string(),
        "mcap_usd": pa.float64(),
        "alert_price": pa.float64(),
    }
)


class Clock(NamedTuple):
    """When candle ``i`` opens: ``start_ms + i * interval_ms``, for ``i`` below ``size``."""

    start_ms: int
    interval_ms: int
    size: int


class Caller(NamedTuple):
    """A caller, whether they see a pump coming, and the share of tokens they call."""

    name: str
    gifted: bool
    share: float


class Life(NamedTuple):
    """When a token lives and how far it pumps: times in candles, ``gain`` and ``drop`` in steps of the price grid.

    ``quality`` is the share of tokens that pump less, ``worth`` the market cap at the first close, in dollars.
    """

    listed: int
    pump: int
    rise: int
    fall: int
    dead: int
    rugged: bool
    gain: int
    drop: int
    quality: float
    worth: float


class Bars(NamedTuple):
    """The candles of one token; ``at`` is the candle's number since the start of the market."""

    at: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


def make_market(
    seed: int = 7,
    tokens: int = 200,
    callers: int = 12,
    days: int = 7,
    interval_ms: int = 60_000,
    start_ms: int = 1_735_689_600_000,
    on_token: Callable[[int], None] = lambda made: None,
) -> tuple[pa.Table, pa.Table]:
    """Return the candles, token after token in time order, and the alerts, in time order, of a made-up market.

    Time without a trade has no row. The feed is complete up to ``start_ms`` plus ``days``, which the candles'
    schema metadata give as ``coverage_end_ms``: a token whose rows end earlier is dead. ``alert_price`` and
    ``mcap_usd`` are null where unknown; some alerts come before the token's first candle, some name a mint without
    candles. A token's candles and calls depend on its index, not on how many tokens are asked for. ``on_token`` is told
    how many have been made.

    Raises UsageError where an argument is out of range.
    """
    if seed < 0 or min(tokens, callers, days) < 1:
        raise UsageError(
            f"market: seed {seed}, tokens {tokens}, callers {callers}, days {days}; seed must be >= 0, the rest >= 1"
        )
    if not 1000 <= interval_ms <= DAY_MS // 24 or DAY_MS % interval_ms:
        raise UsageError(f"market: interval_ms is {interval_ms}; it must divide a day, from 1000 to {DAY_MS // 24}")
    clock, prices = Clock(start_ms, interval_ms, days * DAY_MS // interval_ms), _price_grid()
    people = _callers(seed, callers)
    candles, alerts = [], [_ghost_call(seed, ghost, people, clock) for ghost in range((tokens + 49) // 50)]
    for token in range(tokens):
        life = _life(seed, token, clock.size, prices)
        bars = _bars(seed, token, life, clock.size, prices)
        candles.append(_candle_table(_mint(seed, TOKEN, token), bars, clock))
        alerts.append(_calls(seed, token, life, bars, people, clock))
        on_token(token + 1)
    coverage = {"interval_ms": str(interval_ms), "coverage_end_ms": str(start_ms + days * DAY_MS)}
    order = [(name, "ascending") for name in ("alert_ts_ms", "mint", "caller_name")]
    return pa.concat_tables(candles).replace_schema_metadata(coverage), pa.concat_tables(alerts).sort_by(order)


def write_market(
    directory: Path, on_token: Callable[[int], None] = lambda made: None, **market: int
) -> tuple[Path, Path]:
    """Write ``candles.parquet`` and ``alerts.parquet`` of ``make_market``; return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = directory / "candles.parquet", directory / "alerts.parquet"
    for path, table in zip(paths, make_market(**market, on_token=on_token), strict=True):
        pq.write_table(table, path, compression="zstd")
    return paths


def _uniform(seed: int, *key: int, size: Any) -> Floats:
    """Return float64 in the open interval (0, 1), shaped ``size``, of the stream of ``seed`` and ``key``."""
    raw = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)).random_raw(size)
    return ((raw >> np.uint64(12)) + 0.5) * 2.0**-52


def _price_grid() -> Floats:
    """Return the prices a candle can have: 1e-13 upwards, each a basis point above the last, to about 1e3."""
    grid = np.full(368_000, 1.0001)
    grid[0] = 1e-13
    return np.multiply.accumulate(grid)


def _mint(seed: int, *key: int) -> str:
    """Return 44 base58 characters that stand for 32 bytes, as a real address does."""
    number = 58**43 + int.from_bytes(hashlib.sha256(repr((seed, key)).encode()).digest()) % (2**256 - 58**43)
    return "".join(BASE58[number // 58**place % 58] for place in reversed(range(44)))


def _life(seed: int, token: int, size: int, prices: Floats) -> Life:
    u = _uniform(seed, TOKEN, token, 0, size=10).tolist()
    pump = int((0.02 + 0.88 * u[0]) * size)
    listed = max(0, pump - 2 - int(58 * u[2])) if u[1] < 0.6 else 0
    rise = 5 + int(180 * u[3] * u[3])
    fall = rise * (3 + int(12 * u[4]))
    multiple, crash = min(0.9 + 0.25 / (1 - u[5]), 100.0), min(1 + 3 / u[6], 400.0)
    gain, drop = (int(np.searchsorted(prices, prices[0] * ratio)) for ratio in (multiple, multiple * crash))
    dead = size if u[7] < 0.55 else min(size, pump + rise + int(fall * (0.2 + 3 * u[8])))
    return Life(listed, pump, rise, fall, dead, u[8] < 0.3, gain, drop, u[5], min(4000 / u[9], 1e6))


def _bars(seed: int, token: int, life: Life, size: int, prices: Floats) -> Bars:
    floor, calm, width, wealth = _uniform(seed, TOKEN, token, 1, size=4).tolist()
    u = _uniform(seed, TOKEN, token, 2, size=(size, 10)).T
    t = np.arange(size)
    hot = (t >= life.pump) & (t < life.pump + life.rise + life.fall)
    chance = np.where(hot, 0.97, 0.1 + 0.8 * calm) * np.where(u[0][t // 90] < 0.1, 0.2, 1.0)
    traded = (u[1] < chance) & (t >= life.listed) & (t < life.dead)
    traded[life.listed] = True
    heat = np.where(hot, 40 + 60 * width, 10 + 40 * width)  # basis points a candle
    for row, span in zip(u[2:5], (6, 48, 384), strict=True):  # clusters within clusters
        heat *= np.where(row[t // span] < 0.5, 0.6, 1.5)

    at, heat, u = t[traded], heat[traded], u[:, traded]
    student = (2 * u[5] - 1) / np.sqrt(2 * u[5] * (1 - u[5]))  # t with two degrees of freedom: jumps come by themselves
    walk = np.cumsum(_steps(heat * student, 5000))
    pump = np.clip(at - life.pump, 0, life.rise) * life.gain // life.rise
    fade = np.clip(at - life.pump - life.rise, 0, life.fall) * life.drop // life.fall
    close = 92_000 + int(161_000 * floor) + walk + pump - fade
    if life.rugged and life.dead < size:
        close[-1] -= 20_000
    gap = np.where(u[6] < 0.2, 10 * heat * (u[6] - 0.1), 0.0)
    open_ = np.append(close[0] - walk[0], close[:-1]) + _steps(gap, 900)
    high = np.maximum(open_, close) + _steps(0.6 * heat * (1 / np.sqrt(u[7]) - 1), 3000)
    low = np.minimum(open_, close) - _steps(0.6 * heat * (1 / np.sqrt(u[8]) - 1), 3000)
    open_, high, low, close = (prices[np.clip(steps, 0, prices.size - 1)] for steps in (open_, high, low, close))
    dollars = (20 + 400 * wealth) * np.where(hot[traded], 8.0, 1.0) / np.sqrt(u[9])
    return Bars(at, open_, high, low, close, np.maximum(np.rint(dollars / close), 1.0))


def _steps(basis_points: Floats, most: int) -> Ints:
    return np.rint(np.clip(basis_points, -most, most)).astype(np.int64)


def _candle_table(mint: str, bars: Bars, clock: Clock) -> pa.Table:
    times = pa.array(clock.start_ms + bars.at * clock.interval_ms).cast(CANDLES.field("timestamp").type)
    return pa.Table.from_arrays([pa.repeat(mint, bars.at.size), times, *map(pa.array, bars[1:])], schema=CANDLES)


def _callers(seed: int, count: int) -> list[Caller]:
    found = []
    for index in range(count):
        block, number = divmod(index, 144)
        name = f"{MOODS[number % 12]}_{ANIMALS[(number // 12 + number) % 12]}{block or ''}"
        share = 0.05 + 0.4 * float(_uniform(seed, CALLER, index, size=1)[0])
        found.append(Caller(name, (index + seed) % 4 == 0, share))
    return found


def _calls(seed: int, token: int, life: Life, bars: Bars, callers: list[Caller], clock: Clock) -> pa.Table:
    """Return who called the token and when, at least one: the gifted pick good tokens early, the others chase."""
    u = _uniform(seed, CALLS, token, size=(len(callers), 6)).T
    gifted = np.array([caller.gifted for caller in callers])
    wish = np.array([caller.share for caller in callers]) * np.where(gifted, 3 * life.quality**2, 1.0)
    at = np.where(gifted, life.pump - 4 + 7 * u[1], life.pump + 1.1 * life.rise * u[1])
    at = np.where(~gifted & (u[2] < 0.2), life.listed + u[3] * (clock.size - life.listed), at)
    at = np.minimum(np.where(u[2] > 0.98, life.listed - 30 * u[3], at), clock.size - 1)
    before = np.searchsorted(bars.at, np.floor(at), side="right") - 1
    price = np.where((before >= 0) & (u[4] > 0.1), bars.close[before], np.nan)
    mcap = np.where(u[5] > 0.2, price / bars.close[0] * life.worth, np.nan)
    rows = np.flatnonzero((u[0] < wish) | (u[0] / wish == np.min(u[0] / wish)))
    names = [callers[row].name for row in rows]
    return _alert_table(_mint(seed, TOKEN, token), names, at[rows], mcap[rows], price[rows], clock)


def _ghost_call(seed: int, ghost: int, callers: list[Caller], clock: Clock) -> pa.Table:
    """Return one call of a mint that has no candles."""
    who, when = _uniform(seed, GHOST, ghost, size=2)
    name, unknown = callers[int(who * len(callers))].name, np.full(1, np.nan)
    return _alert_table(_mint(seed, GHOST, ghost), [name], np.array([when * clock.size]), unknown, unknown, clock)


def _alert_table(mint: str, names: list[str], at: Floats, mcap: Floats, price: Floats, clock: Clock) -> pa.Table:
    times = clock.start_ms + np.floor(at * clock.interval_ms).astype(np.int64) | 1  # odd, so never on a candle's open
    same = [pa.repeat(text, at.size) for text in (mint, "solana")]
    known = [pa.array(values, from_pandas=True) for values in (mcap, price)]  # NaN becomes null
    return pa.Table.from_arrays([same[0], pa.array(times), pa.array(names), same[1], *known], schema=ALERTS)
