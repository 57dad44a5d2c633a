"""Which of the tokens that have alerts have candles where these need them, before anything is cut."""

import json as json_format
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..io.candles import read_candles
from ..io.errors import DataError
from ..io.remote import origin_of
from ..io.slices import Spans
from ..kernels.arrays import Ints
from . import show
from .places import local
from .recipe import alerts_of, spans_of
from .settings import Sources, Trading
from .values import show_instant


def coverage(sources: Sources, trading: Trading) -> pa.Table:
    """Return a row a token that has alerts: token, alerts, candles, inside, last_ms.

    ``candles`` of any kind are in the source, ``inside`` of them between its first alert and the end of its last
    horizon; ``last_ms`` is that of the last sound one, null without. Of a table nothing but counts is asked for.
    """
    alerts = alerts_of(sources).table
    tokens = tuple(sorted(set(alerts["mint"].to_pylist())))
    if isinstance(candles := local(sources.candles), Path):
        try:
            found = read_candles(candles, set(tokens), sources.candle_options)
        except DataError as error:
            if "holds no candles of" not in str(error):
                raise
            return _table(spans_of(alerts, trading, 1), {}, {}, {})
        spans = spans_of(alerts, trading, found.interval_ms)
        lo, hi = _bounds(spans)
        place = {token: i for i, token in enumerate(spans.tokens)}
        inside = {}
        for token, s, e in zip(found.tokens, found.offsets[:-1], found.offsets[1:], strict=True):
            first, last = np.searchsorted(found.candles.ts[s:e], (lo[place[token]] + 1, hi[place[token]]))
            inside[token] = int(last - first)
        return _table(
            spans, {r.token: r.rows_in for r in found.reports}, inside, {r.token: r.last_ts for r in found.reports}
        )
    from .table_slices import looked_at

    _, spans, there = looked_at(sources, tokens, lambda step: spans_of(alerts, trading, step))
    last = np.where(there.sound > 0, there.last, 0).tolist()
    columns = (there.rows.tolist(), there.inside.tolist(), [each or None for each in last])
    return _table(spans, *(dict(zip(tokens, column, strict=True)) for column in columns))


def _bounds(spans: Spans) -> tuple[Ints, Ints]:
    lo = np.full(len(spans.tokens), np.iinfo(np.int64).max)
    hi = np.zeros(len(spans.tokens), np.int64)
    np.minimum.at(lo, spans.token, spans.lo)
    np.maximum.at(hi, spans.token, spans.hi)
    return lo, hi


def _table(spans: Spans, rows: dict[str, Any], inside: dict[str, Any], last: dict[str, Any]) -> pa.Table:
    columns = {
        "token": pa.array(spans.tokens, pa.string()),
        "alerts": pa.array(np.bincount(spans.token, minlength=len(spans.tokens))),
        "candles": pa.array([rows.get(token, 0) for token in spans.tokens], pa.int64()),
        "inside": pa.array([inside.get(token, 0) for token in spans.tokens], pa.int64()),
        "last_ms": pa.array([last.get(token) for token in spans.tokens], pa.int64()),
    }
    return pa.table(columns)


def show_coverage(sources: Sources, trading: Trading, limit: int, json: bool) -> int | None:
    """Print the coverage, the tokens with least inside first; exit code 3 where no token has a candle."""
    found = coverage(sources, trading)
    rows = sorted(found.to_pylist(), key=lambda row: (row["inside"], row["token"]))
    some = sum(row["inside"] > 0 for row in rows)
    lost = sum(row["alerts"] for row in rows if not row["inside"])
    if json:
        whole = {
            "candles": origin_of(local(sources.candles)),
            "tokens": len(rows),
            "covered": some,
            "alerts_lost": lost,
        }
        print(json_format.dumps({**whole, "series": rows}, indent=2))
        return None if some else 3
    out = show.console()
    out.print(f"candles  {origin_of(local(sources.candles))}", soft_wrap=True)
    out.print(f"tokens   {some:,} of {len(rows):,} have candles where their alerts need them")
    out.print(f"alerts   {lost:,} of {sum(row['alerts'] for row in rows):,} on tokens that have none")
    out.print("inside   candles from a token's first alert to the end of its last")
    cells = [
        [row["token"], f"{row['alerts']:,}", f"{row['candles']:,}", f"{row['inside']:,}", _last(row["last_ms"])]
        for row in rows[:limit]
    ]
    out.print(show.table("Least covered first", ["token", "alerts", "candles", "inside", "last"], cells))
    if rows[limit:]:
        out.print(f"and {len(rows[limit:]):,} more; --limit shows them")
    return None if some else 3


def _last(ms: int | None) -> str:
    return "-" if ms is None else show_instant(ms)
