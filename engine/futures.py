"""Candles with another future: what a signal is shown to see whether it looks ahead."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..io.errors import UsageError
from ..kernels.arrays import Candles, column
from ..kernels.philox import uniforms

Columns = dict[str, NDArray[Any]]

FUTURES = {"shuffled": "shuffled", "nan": "NaN", "cut": "cut off", "scaled": "scaled"}
_PRICES = ("open", "high", "low", "close")


def columns_of(candles: Candles | Mapping[str, Any]) -> Columns:
    """Return the candles as read-only columns: ``ts`` int64, all else float64."""
    given = candles._asdict() if isinstance(candles, Candles) else candles
    if "ts" not in given:
        raise UsageError(f"the candles have no column ts (found: {', '.join(given)})")
    return {name: column(values, np.int64 if name == "ts" else np.float64) for name, values in given.items()}


def another_future(columns: Columns, t: int, future: str, at_open: bool, seed: int) -> Columns:
    """Return the candles with another future after candle ``t``, or with ``at_open`` after its open; times stay.

    ``shuffled``: the same candles in another order; ``nan``: no numbers; ``cut``: no candles; ``scaled``: each candle's
    prices times a factor of its own from 0.5 to 2. Candles stay valid: one that just opened, and has no future, has no
    price but its open.
    """
    first, end = t + (not at_open), t + 1 if future == "cut" else columns["ts"].size
    draws = uniforms(seed, 0, end - first, t, 1)
    order, factor = first + np.argsort(draws, kind="stable"), 0.5 + 1.5 * draws
    made = {name: values[:end].copy() for name, values in columns.items()}
    for name in made.keys() - {"ts"}:
        if future == "shuffled":
            made[name][first:] = made[name][order]
        elif future == "scaled":
            made[name][first:] *= factor if name in _PRICES else factor[::-1]
        else:
            made[name][first:] = np.nan if future == "nan" else 0.0
    if at_open and "open" in made:
        opened = made["open"][t] = columns["open"][t]
        for name in made.keys() & set(_PRICES) if future in ("nan", "cut") else ():
            made[name][t] = opened
        for name, reach in (("high", np.maximum), ("low", np.minimum)):
            if name in made:
                made[name][t] = reach(made[name][t], opened)
    return {name: column(values, values.dtype) for name, values in made.items()}
