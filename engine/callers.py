"""What each caller's alerts did: one row a caller, with what few calls prove and how short watches are allowed for."""

from collections.abc import Mapping
from math import exp, nan, sqrt
from typing import Any

import numpy as np
import pyarrow as pa

from ..io import schemas
from ..kernels.arrays import Floats
from ..kernels.stats import mean, quantile
from . import rates
from .baseline import values
from .recipe import Prepared
from .values import HOUR

_TRADE_COLUMNS = (
    "trades_count avg_return_bps median_return_bps win_rate stop_out_rate mean_worst_bps mean_best_bps "
    "median_return_low_bps median_return_high_bps"
)

_CONTRACT = tuple(map(schemas.multiple_name, schemas.MULTIPLES))
METRICS = (
    *(name for k in _CONTRACT for name in (f"hit_{k}", f"t_{k}_ms")),
    *("ath_mult", "dd_overall", "dd_pre_2x_or_horizon", "ret_end_bps", "censored"),
)


def caller_columns(prepared: Prepared, paths: pa.Table, trades: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the columns of ``schemas.CALLERS`` but ``run_id``, best median high first, then by name.

    ``paths`` is the table of that artifact, ``trades`` the columns of theirs; without trades their columns are null.
    Rates are fractions of the caller's alerts that have a window.
    """
    metrics = {name: values(paths, name) for name in METRICS}
    told = prepared.alerts["caller_name"].combine_chunks().dictionary_encode()
    number = told.indices.to_numpy()
    order, ends = np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))
    groups = zip(told.dictionary.to_pylist(), np.split(order, ends[:-1]), strict=True)
    rows = [caller_row(name, mine, prepared, metrics, trades) for name, mine in groups]
    rows.sort(key=lambda row: (-np.nan_to_num(row["median_ath_mult"]), row["caller_name"]))
    for k in _CONTRACT:
        _judge(rows, k)
    return {name: [row[name] for row in rows] for name in schemas.CALLERS.names if name != "run_id"}


def _judge(rows: list[dict[str, Any]], k: str) -> None:
    """Add to each row what its rate of reaching ``k`` proves beside all others'."""
    hits = np.array([row[f"calls_reached_{k}"] or 0 for row in rows])
    found = rates.judge(hits, np.array([row["calls"] - row["calls_excluded"] for row in rows]))
    for i, row in enumerate(rows):
        row |= {f"hit_{k}_{name}": float(getattr(found, name)[i]) for name in ("low", "high", "shrunk", "q")}
        row[f"hit_{k}_needs"] = None if np.isnan(found.needs[i]) else int(found.needs[i])


def caller_row(
    name: str, rows: np.ndarray, prepared: Prepared, metrics: Mapping[str, Floats], trades: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return one row of the caller table, of the alerts numbered ``rows``; ``_judge`` adds the rest.

    ``metrics`` has one value an alert.
    """
    ok = rows[prepared.ok[rows]]

    def of(column: str) -> Floats:
        return metrics[column][ok]

    row: dict[str, Any] = {"caller_name": name, "calls": rows.size, "calls_excluded": rows.size - ok.size}
    watched, ended, died = watches(prepared, ok)
    for k in _CONTRACT:
        hit = of(f"hit_{k}") == 1
        times = np.where(hit, of(f"t_{k}_ms"), watched)
        row[f"hit_{k}_rate"] = mean(hit.astype(float))
        names = (f"hit_{k}_{part}" for part in ("km", "km_low", "km_high"))
        row |= zip(names, rates.reached_by(times, hit, float("inf")), strict=True)
        for what, which in (("reached", hit), ("data_ended", ended & ~hit), ("died", died & ~hit)):
            row[f"calls_{what}_{k}"] = int(which.sum()) if ok.size else None
    highs = of("ath_mult")
    for q, label in ((0.5, "median"), (0.25, "p25"), (0.75, "p75")):
        row[f"{label}_ath_mult"] = quantile(highs, q)
    row["median_ath_low"], row["median_ath_high"] = rates.median_interval(highs)
    for column, source in (
        ("median_t_2x_ms", "t_2x_ms"),
        ("median_dd_overall", "dd_overall"),
        ("median_dd_pre_2x_or_horizon", "dd_pre_2x_or_horizon"),
        ("median_ret_end_bps", "ret_end_bps"),
    ):
        row[column] = quantile(of(source), 0.5)
    row["censored_rate"] = mean(of("censored"))
    row["caller_score"] = score(row, quantile(highs, 0.95))
    if trades is None:
        return row | dict.fromkeys(_TRADE_COLUMNS.split())
    ends = rates.median_interval(np.ma.filled(trades["realized_return_bps"][ok], np.nan))
    row["median_return_low_bps"], row["median_return_high_bps"] = ends
    return row | trade_statistics(trades, ok)


def watches(prepared: Prepared, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for how long alerts that have a window were watched, ms, whether the data ended, and the token died.

    The data ended where they do not reach the horizon; a token died where they do and its last candle is longer ago
    than a trade would wait for its entry.
    """
    windows, longest = prepared.windows, prepared.trading.max_entry_delay
    start, end, covered = windows.ts[rows], windows.end[rows], windows.coverage_end[rows]
    known = np.minimum(end, covered)
    traded = prepared.slice.candles.ts[windows.last[rows] - 1] + prepared.step
    silent = known - traded > (10 * prepared.step if longest is None else longest)
    return (known - start).astype(float), covered < end, (covered >= end) & silent


def score(row: Mapping[str, Any], p95: float) -> float:
    """Return the caller score of earlier tools, corrected; ``p95`` is the 95 % quantile of the caller's highs.

    confidence * ((gain * hit rate + tail) * (1 + 0.8 * speed) + 0.6 * discipline) - penalty, where confidence is
    sqrt(n / (n + 50)); gain the median high less 1; tail 0.1 * (p75 - median) + 0.05 * (p95 - p75); speed halves with
    each hour to 2x; discipline is 1 where half of the calls reach 2x and the median drawdown before it is at most
    0.3, else 0; penalty is exp(15 * (drawdown - 0.3)) - 1 beyond that. Corrected are: doubt takes from merit alone (it
    used to lighten the penalty), the half-life is one, alerts not followed to the horizon are allowed for, and a
    caller who never reached 2x has speed 0. NaN without calls.
    """
    n = row["calls"] - row["calls_excluded"]
    if not n:
        return nan
    middle, upper, hit = row["median_ath_mult"], row["p75_ath_mult"], row["hit_2x_km"]
    fall, to_2x = -row["median_dd_pre_2x_or_horizon"], row["median_t_2x_ms"]
    speed = 0.0 if np.isnan(to_2x) else 2.0 ** (-to_2x / HOUR)
    tail = 0.1 * (upper - middle) + 0.05 * (p95 - upper)
    merit = ((middle - 1.0) * hit + tail) * (1.0 + 0.8 * speed) + 0.6 * (hit >= 0.5 and fall <= 0.3)
    return sqrt(n / (n + 50)) * merit - max(0.0, exp(15.0 * (fall - 0.3)) - 1.0)


def trade_statistics(trades: Mapping[str, Any], rows: np.ndarray) -> dict[str, Any]:
    """Return the statistics of the trades numbered ``rows``; wins are returns above 0."""
    returns = np.ma.filled(trades["realized_return_bps"][rows], np.nan)
    return {
        "trades_count": rows.size,
        "avg_return_bps": mean(returns),
        "median_return_bps": quantile(returns, 0.5),
        "win_rate": mean((returns > 0).astype(float)),
        "stop_out_rate": mean(np.ma.filled(trades["stop_out"][rows], 0).astype(float)),
        "mean_worst_bps": mean(np.ma.filled(trades["worst_bps"][rows], np.nan)),
        "mean_best_bps": mean(np.ma.filled(trades["best_bps"][rows], np.nan)),
    }
