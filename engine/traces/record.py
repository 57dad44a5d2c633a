"""What a run of traces says of itself: its config, its counts, its lines and its notes."""

import time
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ...io import schemas
from ...io.digest import canonical_json, config_digest
from ...io.manifest import utc_text
from ...io.slices import Slice
from ..policy import describe
from ..recipe import FILL_SEMANTICS
from ..trace_settings import Market
from ..values import show_instant
from .identity import SEMANTICS
from .performance import Fills
from .series import Series, read_config
from .sweeps import Expansion


def config_of(expansion: Expansion, market: Market, fills: Fills | None, series: Sequence[Series]) -> dict[str, Any]:
    """Return what decides the results of a run of traces, nothing left to be found out.

    The strategies stand in ``inputs/strategies.json`` as they were given; here is the digest of what they came to.
    """
    strategies = strategies_of(expansion)
    return {
        "fill_semantics": FILL_SEMANTICS,
        "trace_semantics": SEMANTICS,
        "strategies": {"count": len(strategies), "sha256": config_digest(strategies)},
        "symbols": [one.symbol for one in series],
        **read_config(market, series[0].step),
        "performance": fills is not None,
        **(fills.canonical() if fills else {}),
    }


def strategies_of(expansion: Expansion) -> list[dict[str, Any]]:
    """Return the strategies as JSON values: what each wants, and its exits."""
    return [
        {"config": each.config, "risk": each.risk.canonical() if each.risk else {}} for each in expansion.strategies
    ]


def counts_of(expansion: Expansion, series: Sequence[Series], index: pa.Table, kept: int) -> dict[str, int]:
    """Return how many strategies, series and traces there are, and how many traces other runs hold."""
    return {
        "strategies": len(expansion.strategies),
        "series": len(series),
        "traces": index.num_rows,
        "kept": kept,
        "changes": sum(index["changes"].to_pylist()),
        "skipped": expansion.skipped,
        "duplicates": expansion.duplicates,
    }


def lines_of(expansion: Expansion, market: Market, fills: Fills | None, series: Sequence[Series]) -> list[str]:
    """Return what was asked of what, and how it was traded, one line each; the same on every machine."""
    left = {"combinations out of order": expansion.skipped, "given twice": expansion.duplicates}
    notes = "".join(f", {n:,} {what} left out" for what, n in left.items() if n)
    lines = [f"strategies {len(expansion.strategies):,}{notes}"]
    for one in series:
        first, last = (show_instant(int(one.bars.ts[i])) for i in (0, -1))
        lines.append(f"candles    {one.symbol} {one.timeframe}, {one.bars.ts.size:,} from {first} to {last} (UTC)")
    lines.append(f"hours      of {market.zone}")
    return [*lines, f"fills      {fills_line(fills)}", *exits_line(fills)]


def fills_line(fills: Fills | None) -> str:
    """Return in words how signals are filled and what that costs."""
    if fills is None:
        return "none: not traded"
    return f"{fills.fill}, fee {fills.fee_bps:g} bps and slippage {fills.slippage_bps:g} bps a side"


def exits_line(fills: Fills | None) -> list[str]:
    """Return in words which exits end a trade before its signal does, if any do."""
    if fills is None or fills.exits is None:
        return []
    again = "then no trade until the signal changes" if fills.memory else "then at once the next trade"
    return [f"exits      {describe(fills.exits)}; {again}"]


def errors_of(piece: Slice, index: pa.Table, run_id: str) -> pa.Table:
    """Return the notes on candles, and a row for each strategy that never had a signal."""
    facts = piece.facts
    rows: list[Any] = [("warning", "candles", f"{name}: {why}", None) for name, why in facts.rejected.items()]
    rows += [("info", "candles", note, None) for note in facts.notes]
    for row in index.select(["strategy_id", "symbol", "changes", "bars", "trace_key"]).to_pylist():
        if not row["changes"]:
            text = f"{row['strategy_id']} on {row['symbol']} has no signal: {row['bars']:,} candles are too few for it"
            rows.append(("info", "traces", text, canonical_json({"trace_key": row["trace_key"]}).decode()))
    now = utc_text(time.time_ns() // 1_000_000)
    names = ("level", "phase", "message", "details")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    columns |= {"timestamp": [now] * len(rows), "call_id": [None] * len(rows)}
    return schemas.table(schemas.ERRORS, columns, run_id)
