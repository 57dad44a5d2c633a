"""One policy on every alert: its trades, its fills and their summary."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ..kernels import arrays
from ..kernels.stats import mean, quantile
from .baseline import flag_texts, named, values
from .callers import trade_statistics
from .policy import Policy, to_arrays
from .recipe import Prepared

_STOPS = (arrays.SL, arrays.BE, arrays.TRAIL)


def trade_columns(prepared: Prepared, policy: Policy, threads: int | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the columns of ``schemas.TRADES`` and of ``schemas.FILLS`` but ``run_id``.

    One trade an alert, masked where it has none; ``tail_capture`` is left to ``with_tail_capture``, which needs the
    path metrics.
    """
    windows, (trades, fills) = prepared.windows, simulated(prepared, policy, threads)
    bounds = bracketed(prepared, policy, threads)

    def known(values: Any) -> Any:
        return np.ma.array(values, mask=~prepared.ok)

    found = {
        "policy_id": policy.policy_id,
        "call_id": prepared.alerts["call_id"],
        "entry_ts_ms": known(windows.ts),
        "entry_px": known(windows.price),
        "exit_ts_ms": known(trades["ts"]),
        "exit_px": known(trades["price"]),
        "exit_reason": named(trades["reason"], [reason or None for reason in arrays.REASONS]),
        "realized_return_bps": known(trades["ret"] * 10000),
        "stop_out": known(np.isin(trades["reason"], _STOPS)),
        "max_adverse_excursion_bps": known(trades["mae"] * 10000),
        "max_favorable_excursion_bps": known(trades["mfe"] * 10000),
        "time_exposed_ms": known(trades["ts"] - windows.ts),
        "worst_bps": known(bounds["worst"] * 10000),
        "best_bps": known(bounds["best"] * 10000),
        "ambiguous": known(bounds["n_ambiguous"] > 0),
        "flags": flag_texts(trades["flags"] | windows.flags),
        "status": prepared.status,
        "gap": known(trades["gap"]),
        "censored": known(trades["reason"] == arrays.END_OF_DATA),
        "exit_bar": known(trades["bar"]),
        "n_ambiguous_bars": known(bounds["n_ambiguous"]),
        "n_fills": known(trades["n_fills"]),
        "ret_q": known(trades["ret_q"]),
        "gross": known(trades["gross"]),
    }
    return found, _fill_columns(prepared, policy, trades, fills)


def simulated(prepared: Prepared, policy: Policy, threads: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the trade of every alert, TRADE[A], and its fills, FILL[A, F]."""
    from ..kernels.exits import simulate_all
    from ..kernels.jit import threads as on

    with on(threads):
        return simulate_all(*_work(prepared, policy))


def bracketed(prepared: Prepared, policy: Policy, threads: int | None) -> np.ndarray:
    """Return the worst and the best outcome of every alert's trade, BOUND[A]."""
    from ..kernels.bounds import bracket_all
    from ..kernels.jit import threads as on

    with on(threads):
        return bracket_all(*_work(prepared, policy))


def _work(prepared: Prepared, policy: Policy) -> tuple[Any, ...]:
    """Return what the kernels of one policy take."""
    from ..kernels.walk import policy_of

    rules = prepared.rules._replace(tp_at_open=policy.tp_gap_fill == "open")
    row = policy_of(to_arrays([policy]), 0)
    return prepared.slice.candles, prepared.windows, prepared.step, row, rules, prepared.costs


def _fill_columns(prepared: Prepared, policy: Policy, trades: np.ndarray, fills: np.ndarray) -> dict[str, Any]:
    """Return the fills one behind the other, in the order of alerts and fills."""
    alert, fill = np.nonzero(np.arange(fills.shape[1]) < trades["n_fills"][:, None])
    made = fills[alert, fill]
    opened = prepared.slice.candles.ts[prepared.windows.first[alert] + made["bar"]]
    at_open = made["gap"] | (made["reason"] == arrays.TIME)
    return {
        "policy_id": policy.policy_id,
        "call_id": prepared.alerts["call_id"].take(alert),
        "fill": fill,
        "ts_ms": opened + np.where(at_open, 0, prepared.step),
        "price": made["price"],
        "frac_bps": made["frac_bps"],
        "reason": named(made["reason"], arrays.REASONS),
        "gap": made["gap"],
    }


def with_tail_capture(trades: dict[str, Any], paths: pa.Table) -> dict[str, Any]:
    """Return ``trades`` with the share of the path's high that each trade kept; masked where there was no high."""
    gained = trades["gross"] / trades["entry_px"] - 1.0
    peak = values(paths, "ath_mult") - 1.0
    flat = np.isnan(peak) | (peak == 0)
    return trades | {"tail_capture": np.ma.array(gained / np.where(flat, 1.0, peak), mask=flat)}


def summary_columns(prepared: Prepared, trades: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of ``schemas.SUMMARY`` but ``run_id``, of one row."""
    ok = np.flatnonzero(prepared.ok)

    def of(column: str) -> np.ndarray:
        return np.ma.filled(np.ma.asarray(trades[column])[ok].astype(float), np.nan)

    micro = np.ma.getdata(trades["ret_q"])[ok]
    gain, loss = int(micro[micro > 0].sum()), int(-micro[micro < 0].sum())
    shared = trade_statistics(trades, ok)
    row = {
        **shared,
        "calls_processed": prepared.alerts.num_rows,
        "calls_excluded": prepared.alerts.num_rows - ok.size,
        **{f"p{p}_return_bps": quantile(of("realized_return_bps"), p / 100) for p in (25, 75, 90)},
        "profit_factor": gain / loss if loss else None,
        "avg_max_adverse_excursion_bps": mean(of("max_adverse_excursion_bps")),
        "avg_time_exposed_ms": mean(of("time_exposed_ms")),
        "avg_tail_capture": mean(of("tail_capture")),
        "median_tail_capture": quantile(of("tail_capture"), 0.5),
        "ambiguous_rate": mean(of("ambiguous")),
        "gain_q": gain,
        "loss_q": loss,
        "verdict": verdict(shared["avg_return_bps"], shared["mean_worst_bps"]),
        "intrabar": prepared.trading.intrabar,
    }
    return {name: [value] for name, value in row.items()}


def verdict(mean_bps: float, mean_worst_bps: float) -> str:
    """Return what the bounds say of a policy: does it pay whatever happened inside the candles?"""
    if mean_worst_bps > 0:
        return "ROBUST"
    return "RESOLUTION-DEPENDENT" if mean_bps > 0 else "NEGATIVE"
