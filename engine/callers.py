"""What each caller's alerts did: one row a caller, and a chance of a multiple that counts short watches fairly."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ..io import schemas
from ..kernels.arrays import Floats
from ..kernels.stats import kaplan_meier, mean, quantile
from .baseline import values
from .recipe import Prepared

_TRADE_COLUMNS = "trades_count avg_return_bps median_return_bps win_rate stop_out_rate mean_worst_bps mean_best_bps"

_CONTRACT = tuple(map(schemas.multiple_name, schemas.MULTIPLES))
_METRICS = (
    *(name for k in _CONTRACT for name in (f"hit_{k}", f"t_{k}_ms")),
    *("ath_mult", "dd_overall", "dd_pre_2x_or_horizon", "ret_end_bps", "censored"),
)


def caller_columns(prepared: Prepared, paths: pa.Table, trades: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the columns of ``schemas.CALLERS`` but ``run_id``, best median high first, then by name.

    ``paths`` is the table of that artifact, ``trades`` the columns of theirs; without trades their columns are null.
    Rates are fractions of the caller's alerts that have a window.
    """
    metrics = {name: values(paths, name) for name in _METRICS}
    groups: dict[str, list[int]] = {}
    for i, name in enumerate(prepared.alerts["caller_name"].to_pylist()):
        groups.setdefault(name, []).append(i)
    rows = [caller_row(name, np.array(mine), prepared, metrics, trades) for name, mine in groups.items()]
    rows.sort(key=lambda row: (-np.nan_to_num(row["median_ath_mult"]), row["caller_name"]))
    return {name: [row[name] for row in rows] for name in schemas.CALLERS.names if name != "run_id"}


def caller_row(
    name: str, rows: np.ndarray, prepared: Prepared, metrics: Mapping[str, Floats], trades: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return one row of the caller table, of the alerts numbered ``rows``; ``metrics`` has one value an alert."""
    ok = rows[prepared.ok[rows]]

    def of(column: str) -> Floats:
        return metrics[column][ok]

    row: dict[str, Any] = {"caller_name": name, "calls": rows.size, "calls_excluded": rows.size - ok.size}
    watched = np.minimum(prepared.windows.end, prepared.windows.coverage_end)[ok] - prepared.windows.ts[ok]
    for k in _CONTRACT:
        hit = of(f"hit_{k}") == 1
        row[f"hit_{k}_rate"] = mean(hit.astype(float))
        row[f"hit_{k}_km"] = kaplan_meier(np.where(hit, of(f"t_{k}_ms"), watched), hit)
    for q, label in ((0.5, "median"), (0.25, "p25"), (0.75, "p75")):
        row[f"{label}_ath_mult"] = quantile(of("ath_mult"), q)
    for column, source in (
        ("median_t_2x_ms", "t_2x_ms"),
        ("median_dd_overall", "dd_overall"),
        ("median_dd_pre_2x_or_horizon", "dd_pre_2x_or_horizon"),
        ("median_ret_end_bps", "ret_end_bps"),
    ):
        row[column] = quantile(of(source), 0.5)
    row["censored_rate"] = mean(of("censored"))
    row |= dict.fromkeys(_TRADE_COLUMNS.split()) if trades is None else trade_statistics(trades, ok)
    return row


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
