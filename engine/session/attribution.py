"""Where the R of a run comes from: by factor, score, time of entry, side and exit, for each symbol and for all."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from ...io import schemas, session_schemas
from .metrics import attribution, buckets, merged
from .walk import Walked

TIERS = (0.0, 2.0, 3.0, 4.0)  # the scores that tiers begin with


def attribution_table(walked: Sequence[Walked], run_id: str) -> pa.Table:
    """Return the artifact ``attribution``: rows of each symbol, and of all with a null ``symbol``."""
    parts = [dict(each.trades) | {"minute": entry_minutes(each)} for each in walked]
    scopes = [(each.symbol, part) for each, part in zip(walked, parts, strict=True)] + [(None, merged(parts))]
    rows = [{"symbol": symbol, **row} for symbol, trades in scopes for row in rows_of(trades)]
    names = session_schemas.ATTRIBUTION.names[1:]
    columns = {name: [row.get(name) for row in rows] for name in names}
    return schemas.table(session_schemas.ATTRIBUTION, columns, run_id)


def rows_of(trades: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of some trades, by ``kind``; ``minute`` of a trade is that of its entry, local."""
    found = []
    for row in attribution(trades):
        here = {name: row[f"present_{name}"] for name in ("count", "win_rate", "avg_r")}
        rest = {name: value for name, value in row.items() if name.startswith(("absent", "delta"))}
        found.append({"kind": "factor", "bucket": row["factor"], **here, **rest})
    for kind, labels in kinds_of(trades).items():
        found += [{"kind": kind, **row} for row in buckets(trades, labels)]
    return found


def kinds_of(trades: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the bucket of each trade, by kind: scores in halves and in tiers, half hours of entry, side, exit."""
    score = np.asarray(trades["confluence_score"], np.float64)
    tier = np.searchsorted(TIERS, score, "right") - 1
    tiers = [f"{low:g}-{high:g}" for low, high in pairwise(TIERS)] + [f"{TIERS[-1]:g}+"]
    clock = np.asarray(trades["minute"]) // 30 * 30
    return {
        "score": np.array([f"{half / 2:.1f}" for half in np.floor(score * 2).tolist()], object),
        "score_tier": np.array([tiers[i] for i in tier.tolist()], object),
        "entry_time": np.array([f"{each // 60:02}:{each % 60:02}" for each in clock.tolist()], object),
        "direction": np.asarray(trades["direction"], object),
        "exit_reason": np.asarray(trades["exit_reason"], object),
    }


def entry_minutes(one: Walked) -> np.ndarray:
    """Return the local time of each entry, int64 minutes after midnight."""
    zone = one.ready.hours.zone
    entered = np.asarray(one.trades["entry_timestamp"]).tolist()
    moments = (datetime.fromtimestamp(ts / 1000, UTC).astimezone(zone) for ts in entered)
    return np.array([moment.hour * 60 + moment.minute for moment in moments], np.int64)
