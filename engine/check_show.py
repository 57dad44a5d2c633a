"""What ``highwater check`` prints."""

import dataclasses
import json as json_format
import math
from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

import numpy as np

from ..io.candles import CandleSet
from ..io.columns import NO_TIME, iso
from ..io.errors import DataError, IntegrityError, UsageError
from ..io.trades import Trades
from ..kernels.arrays import Candles, of_rows
from . import show
from .hindsight import IMPOSSIBLE, MEANING, NO_CANDLE, OPEN, POSSIBLE, REASONS, audit
from .lookahead import Leak, Verdict

LEAST_BARS = 3


def show_lookahead(found: CandleSet, ask: Callable[[Candles], Verdict], json: bool) -> int | None:
    """Print whether a signal looks ahead on any series, the first that shows it; exit code 4 where one does."""
    verdicts: list[Verdict] = []
    leak, where = None, None
    for token, bars in _series(found, LEAST_BARS):
        verdicts.append(ask(bars))
        if (leak := verdicts[-1].leak) is not None:
            where = token
            break
    if not verdicts:
        raise DataError(f"no series has {LEAST_BARS} usable candles")
    left_out = 0 if leak else len(found.tokens) - len(verdicts)
    if json:
        print(_document(verdicts, leak, where, left_out))
    elif leak:
        of = f"{show.plain(where)}, " if len(found.tokens) > 1 else ""
        show.console().print(f"LEAKS: {of}{show.plain(leak)}", soft_wrap=True)
    else:
        print(_clean(verdicts, left_out))
    return IntegrityError.exit_code if leak else None


def _series(found: CandleSet, least: int) -> Iterator[tuple[str, Candles]]:
    """Yield each token and its candles, series with fewer than ``least`` left out."""
    for token, first, last in zip(found.tokens, found.offsets[:-1], found.offsets[1:], strict=True):
        if last - first >= least:
            yield token, of_rows(found.candles, slice(first, last))


def _clean(verdicts: list[Verdict], left_out: int) -> str:
    bars, cuts = sum(one.bars for one in verdicts), max(len(one.cuts) for one in verdicts)
    several = f"{len(verdicts):,} series, " if len(verdicts) > 1 else ""
    kinds = len(verdicts[0].futures)
    each = " each" if several else ""
    said = f"clean: {several}{bars:,} bars, {cuts} cuts{each}, {kinds} kind{'s' * (kinds > 1)} of future"
    return f"{said}\n{left_out:,} series without {LEAST_BARS} usable candles left out" if left_out else said


def _document(verdicts: list[Verdict], leak: Leak | None, token: str | None, left_out: int) -> str:
    made = None
    if leak is not None:
        values = {"before": _json(leak.before), "after": _json(leak.after)}
        made = {"token": token, **dataclasses.asdict(leak), **values}
    found = {
        "clean": leak is None,
        "series": len(verdicts),
        "series_left_out": left_out,
        "bars": sum(one.bars for one in verdicts),
        "cuts": max(len(one.cuts) for one in verdicts),
        "futures": list(verdicts[0].futures),
        "leak": made,
    }
    return json_format.dumps(found, indent=2, allow_nan=False)


def _json(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_json(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int | str) or value is None else str(value)


def show_trades(
    found: CandleSet,
    trades: Trades,
    entered: Literal["open", "close"] | None,
    tolerance: float,
    limit: int,
    json: bool,
) -> int | None:
    """Print which trades could not have happened; exit code 4 where there is one."""
    verdict = _audited(found, trades, entered, tolerance)
    wrong = np.flatnonzero(np.isin(verdict, IMPOSSIBLE))
    counts = np.bincount(verdict, minlength=len(REASONS)).tolist()
    rows = [_row(trades, i, int(verdict[i])) for i in wrong.tolist()]
    if json:
        named = dict(zip(REASONS, counts, strict=True))
        print(json_format.dumps({"trades": verdict.size, "counts": named, "impossible": rows}, indent=2))
        return IntegrityError.exit_code if rows else None
    out = show.console()
    out.print(f"{verdict.size:,} trades, {counts[POSSIBLE]:,} {MEANING[POSSIBLE]}")
    for code in (*IMPOSSIBLE, OPEN):
        if counts[code]:
            out.print(f"{REASONS[code]:<11} {counts[code]:,} {MEANING[code]}")
    if rows:
        heads, cells = [*rows[0]], [["-" if cell is None else str(cell) for cell in row.values()] for row in rows]
        out.print()
        out.print(show.table("Impossible", heads, cells[:limit], left=2))
    if len(rows) > limit:
        out.print(f"and {len(rows) - limit:,} more; --limit shows them")
    return IntegrityError.exit_code if rows else None


def _audited(
    found: CandleSet, trades: Trades, entered: Literal["open", "close"] | None, tolerance: float
) -> np.ndarray:
    if trades.token is None and len(found.tokens) > 1:
        raise UsageError(
            f"the trades name no token and the candles are of {len(found.tokens)}; choose one with --token"
        )
    verdict = np.full(trades.entry_bar.size, NO_CANDLE, np.int8)
    for token, bars in _series(found, 1):
        mine = np.array([token] * verdict.size if trades.token is None else trades.token) == token
        part = Trades(None, *(cast(Any, values[mine]) for values in trades[1:]))
        verdict[mine] = audit(part, bars, found.interval_ms, entered, tolerance)
    return verdict


def _row(trades: Trades, i: int, code: int) -> dict[str, Any]:
    """Return an impossible trade as the table and the JSON document show it; ``trade`` counts from 1."""
    entry, left = (None if t == NO_TIME else iso(int(t)) for t in (trades.entry_bar[i], trades.exit_bar[i]))
    return {
        "trade": i + 1,
        "why": REASONS[code],
        "entry": entry,
        "price": float(trades.entry_price[i]),
        "exit": left,
        "exit price": float(trades.exit_price[i]),
    }
