"""A made-up market in memory: heavy-tailed one-minute candles, one series an alert, built once a process."""

import functools
from typing import NamedTuple

import numpy as np
from highwater.kernels.arrays import NEVER, NEXT_OPEN, Alerts, Candles, Policies, Windows, candles, column
from highwater.kernels.entries import enter_all, entry_rule

STEP = 60_000
START = 1_735_689_600_000
ALERTS, CANDLES = 10_000, 2_880
DISTINCT = 1_000  # series drawn; the rest repeat them, in memory of their own


class Market(NamedTuple):
    """The candles of all series, one behind the other; the alerts on them, each with its window; ms a candle."""

    candles: Candles
    alerts: Alerts
    windows: Windows
    step: int = STEP


@functools.cache
def market(alerts: int = ALERTS, length: int = CANDLES, seed: int = 7) -> Market:
    """Return ``alerts`` windows of ``length`` candles.

    Closes walk by Student's t with three degrees of freedom, 30 bps a minute in spells of 12 hours that are up to
    three times calmer or wilder; wicks are as heavy as the steps, and one open in five gaps.
    """
    drawn = _series(np.random.Generator(np.random.PCG64(seed)), min(alerts, DISTINCT), length)
    columns = [np.resize(part, alerts * length) for part in drawn]
    return opened(candles(np.tile(START + STEP * np.arange(length), alerts), *columns), alerts, length)


def opened(bars: Candles, alerts: int, length: int) -> Market:
    """Return ``bars``, ``alerts`` series of ``length`` candles, with an alert and a window on each."""
    firsts = length * np.arange(alerts)
    called = Alerts(
        *(column(part, np.int64) for part in (firsts, firsts + length, np.full(alerts, START))),
        column(np.full(alerts, np.nan)),
        column(np.full(alerts, START + STEP * length), np.int64),
        column(np.ones(alerts), np.bool_),
    )
    windows = enter_all(bars, called, entry_rule(NEXT_OPEN, length * STEP, STEP), column(np.zeros(alerts), np.int64))
    return Market(bars, called, Windows(*(column(part, part.dtype) for part in windows)))


def policies(kind: str, trials: int, seed: int = 11) -> Policies:
    """Return random policies: ``fixed``, a stop of 5 to 60 % and a target of 1.05x to 4x; ``trailing``, a stop of
    10 to 60 % and a trail of 5 to 50 %, half of them armed at once and half at 1.1x to 2x.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    unset, never = np.zeros(trials), np.full(trials, np.inf)
    fixed = kind == "fixed"
    armed = np.where(rng.random(trials) < 0.5, 1.0, rng.uniform(1.1, 2.0, trials))
    return Policies(
        column(1 - (rng.uniform(0.05, 0.6, trials) if fixed else rng.uniform(0.1, 0.6, trials))),
        column((rng.uniform(1.05, 4.0, trials) if fixed else never)[:, None]),
        column(np.full((trials, 1), 10_000 if fixed else 0), np.int64),
        column(never),
        column(unset),
        column(unset if fixed else rng.uniform(0.05, 0.5, trials)),
        column(never if fixed else armed),
        column(np.full(trials, NEVER), np.int64),
    )


def _series(rng: np.random.Generator, alerts: int, length: int) -> np.ndarray:
    """Return float64[5, alerts, length]: open, high, low, close, volume."""
    spells = rng.uniform(-1.1, 1.1, (alerts, -(-length // 720)))
    width = 0.003 * np.exp(np.repeat(spells, 720, axis=1)[:, :length])
    close = np.exp(np.cumsum(np.clip(rng.standard_t(3, (alerts, length)) * width, -0.7, 0.7), axis=1))
    open_ = np.empty_like(close)
    open_[:, 0], open_[:, 1:] = 1.0, close[:, :-1]
    open_ *= np.exp(np.where(rng.random(close.shape) < 0.2, rng.normal(0, 1, close.shape) * width / 2, 0.0))
    up, down = (np.exp(np.clip(np.abs(rng.standard_t(3, close.shape)) * width / 2, 0, 0.7)) for _ in range(2))
    high, low = np.maximum(open_, close) * up, np.minimum(open_, close) / down
    return np.stack([open_, high, low, close, np.ones_like(close)])
