"""The charts that a server has of backtests, as candles of their markets: to replay on without any of one's own.

All backtests of a lab test one period, so one chart of each market will do; a server takes up to a minute for one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...kernels.arrays import candles
from ..candle_rows import CandleRows, joined
from ..candles import CandleOptions, CandleSet, clean
from ..errors import DataError
from .client import Client
from .store import Key, each, lab_records, raw, writing
from .wire import unwrapped

MINUTE_MS = 60_000
_FIELDS = "OHLCV"


@dataclass(frozen=True)
class Charts:
    """Candles of charts, a series a market tag, and the sha256 of each chart as it was kept."""

    candles: CandleSet
    digests: tuple[str, ...]


def fetch_charts(client: Client, store: Path, lab: str) -> tuple[str, ...]:
    """Keep a chart of each market of a kept lab that has none yet, and return these markets."""
    server = client.access.server
    lacking = {tag: keys[0] for tag, keys in _markets(store, server, lab).items() if not keys[0][1]}
    for key, _ in lacking.values():
        body = client.detail("chart", lab, key.backtest)
        with writing(store, server, lab) as out:
            out.add(key.backtest, "chart", body)
    return tuple(lacking)


def kept_charts(store: Path, server: str, lab: str) -> Charts:
    """Return the candles of one kept chart of each market of a lab.

    Raises DataError where a market has no chart, or its chart no candles; and as ``candles.clean`` does.
    """
    rows, digests = [], []
    for tag, ((key, kept), *_) in _markets(store, server, lab).items():
        if not kept:
            raise DataError(f"no chart of {tag} is kept; fetch one with highwater labs sync {lab[:8]} --charts")
        body = raw(store, key)["chart"]
        rows.append(_rows(tag, unwrapped(body)))
        digests.append(hashlib.sha256(body).hexdigest())
    if not rows:
        raise DataError(f"lab {lab} has no finished backtest that names its market, so no chart")
    return Charts(clean(joined(rows), CandleOptions(), f"the charts of lab {lab}"), tuple(digests))


def _markets(store: Path, server: str, lab: str) -> dict[str, list[tuple[Key, bool]]]:
    """Return by market tag its finished backtests, each with whether its chart is kept; those with a chart first."""
    records = {one.key.backtest: one for one in lab_records(store, server, lab).backtests if one.finished}
    found: dict[str, list[tuple[Key, bool]]] = {}
    for key, parts in each(store, server, lab, ("summary",)):
        one = records.get(key.backtest)
        tag = _tag(parts.get("summary", b"{}"))
        if one is not None and tag:
            found.setdefault(tag, []).append((key, "chart" in one.parts))
    return {tag: sorted(some, key=lambda pair: not pair[1]) for tag, some in sorted(found.items())}


def _tag(summary: bytes) -> str | None:
    settings = json.loads(summary).get("SE")
    tag = settings.get("marketTag") if isinstance(settings, dict) else None
    return tag if isinstance(tag, str) else None


def _rows(tag: str, chart: Any) -> CandleRows:
    """Return the candles of a chart's price plot, oldest first; what is no number is NaN, as a bad candle's is."""
    plots = chart.get("Charts") if isinstance(chart, dict) else None
    for plot in plots.values() if isinstance(plots, dict) else ():
        price = plot.get("PricePlot") if isinstance(plot, dict) else None
        bars = price.get("Candles") if isinstance(price, dict) else None
        if isinstance(price, dict) and isinstance(bars, dict) and bars and price.get("Market") == tag:
            return _candles(tag, bars, price.get("Interval"))
    raise DataError(f"the chart of {tag} that the server sent has no candles")


def _candles(tag: str, bars: Mapping[str, Any], minutes: Any) -> CandleRows:
    times = sorted((int(at), at) for at in bars if at.isdecimal())
    values = np.array([[_number(bars[at], name) for name in _FIELDS] for _, at in times]).reshape(-1, len(_FIELDS))
    step = minutes * MINUTE_MS if isinstance(minutes, int) else 0
    ts = np.array([at * 1000 for at, _ in times], np.int64)
    zeros = np.zeros(ts.size, np.int64)
    return CandleRows((tag,), zeros, candles(ts, *values.T), zeros + step)


def _number(bar: Any, name: str) -> float:
    value = bar.get(name) if isinstance(bar, dict) else None
    return float(value) if isinstance(value, int | float) else np.nan
