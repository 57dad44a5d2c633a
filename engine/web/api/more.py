"""What the service layer holds beyond the documents: manifests, artifacts, callers, surfaces, strategies, candles."""

import json
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from ....io.errors import UsageError
from ...callers_command import Order
from ...service import candles, results
from ...service import strategies as service
from ...service.runs import completed, open_run, verify_run
from ...service.tables import artifact_of, file_of, page
from ...values import parse_instant, parse_until
from . import examples
from .answers import JSON, answer, rows_of, sent, tagged, wanted
from .origin import moment
from .routes import (
    NO_WHERE,
    Falling,
    Limit,
    Names,
    Offset,
    Rising,
    RunId,
    RunPath,
    Text,
    Where,
    listed,
    paged,
    reading,
    root_of,
    run_of,
)

router = APIRouter()
_MEDIA = {".json": JSON, ".log": "text/plain; charset=utf-8", ".svg": "image/svg+xml"}


@reading(router, "/api/runs/{run_id}", examples.MANIFEST, free=("config", "counts"))
def manifest(request: Request, run_id: RunPath) -> Response:
    """The manifest of a run: what was asked, from what, with which code, and what came out."""
    run = run_of(request, run_id)
    return answer(request, asdict(run.manifest) | {"manifest_digest": run.digest}, tag=tagged(request, run))


@reading(router, "/api/runs/{run_id}/artifacts/{artifact}", examples.ARTIFACT, free=("rows",), tabular=True)
def artifact(
    request: Request,
    run_id: RunPath,
    artifact: Annotated[str, Path(max_length=64, description="The type of an artifact of the run")],
    asked: Rising,
    columns: Names = None,
) -> Response:
    """An artifact of a run, by its type: rows of a table, or a file (guards, log, heatmap) as it is.

    Its sha256 is checked before anything of it is sent.
    """
    run = run_of(request, run_id)
    found = artifact_of(run, artifact)
    if artifact != "errors":
        completed(run)
    if found.rows is None:
        return _file(request, run, found)
    tag = tagged(request, run)
    rows = page(run, artifact, columns=listed(columns), **vars(asked))
    head = {"run_id": run.run_id, "artifact": found.type, "sha256": found.sha256}
    found = paged(rows_of(rows.table), rows.total, asked.limit, asked.offset)
    return answer(request, head | found, rows.table, tag, rows.total)


def _file(request: Request, run: Any, found: Any) -> Response:
    """Return an artifact that is no table; a page is given to be kept, not to be opened here."""
    path = PurePosixPath(found.path)
    media = _MEDIA.get(path.suffix, "application/octet-stream")
    wanted(request.headers.get("accept"), (media.partition(";")[0],))
    away = {"content-disposition": f'attachment; filename="{path.name}"'}
    return sent(file_of(run, found.type), media, tagged(request, run), {} if path.suffix in _MEDIA else away)


@reading(router, "/api/callers", examples.CALLERS, free=("callers",), tabular=True)
def callers(
    request: Request,
    run_id: RunId,
    multiple: float = 2.0,
    sort: Order = "shrunk",
    min_calls: Annotated[int, Query(ge=0, le=10**9)] = 1,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Response:
    """The callers of a run, ranked as far as their calls prove it, beside all of them together."""
    run = run_of(request, run_id)
    tag = tagged(request, run)
    found = results.callers(run, multiple, sort, min_calls)
    table, total = found.rows.slice(offset, limit), found.rows.num_rows
    head = {"run_id": run.run_id, "multiple": found.k, "pool": asdict(found.pool)}
    return answer(request, head | paged(table.to_pylist(), total, limit, offset, "callers"), table, tag, total)


@reading(router, "/api/surface", examples.SURFACE, free=("cells", "values", "held"), tabular=True)
def surface(
    request: Request,
    run_id: RunId,
    x: Text = None,
    y: Text = None,
    value: Annotated[str, Query(max_length=100)] = "avg_return_bps",
    where: Where = NO_WHERE,
    limit: Limit = 1000,
    offset: Offset = 0,
) -> Response:
    """The cells of a surface over two of its parameters; the others are held at the winner's, or where=trail=0.2."""
    run = run_of(request, run_id)
    tag = tagged(request, run)
    found = results.surface(run, x, y, dict(map(_level, where)), value, limit, offset)
    table, total = found.table, found.total
    head = {"run_id": run.run_id, "x": found.x, "y": found.y, "value": value}
    head |= {"values": found.values, "held": found.held}
    return answer(request, head | paged(table.to_pylist(), total, limit, offset, "cells"), table, tag, total)


def _level(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        return name.strip(), float(number)
    except ValueError:
        raise UsageError(f"where is '{text[:60]}'; it must be PARAMETER=NUMBER") from None


@reading(router, "/api/strategies", examples.STRATEGIES, free=("strategies",), tabular=True)
def strategies(
    request: Request,
    asked: Falling,
    fields: Names = None,
) -> Response:
    """Strategies of all runs by what they are and what they earned: where=period=20, where=sharpe>1.5, sort=sharpe."""
    found = service.strategies(root_of(request), fields=listed(fields), **vars(asked))
    rows = paged(rows_of(found.table), found.total, asked.limit, asked.offset, "strategies")
    return answer(request, rows, found.table, total=found.total)


@reading(router, "/api/traces/{strategy_hash}", examples.TRACE, free=("changes", "config"), tabular=True)
def trace(
    request: Request,
    strategy_hash: Annotated[str, Path(max_length=64, description="A hash or trace key, or 4 or more digits of it")],
    run_id: Text = None,
    symbol: Text = None,
    limit: Limit = 1000,
    offset: Offset = 0,
) -> Response:
    """The changes of a strategy's signal on a series, with the closes of their candles."""
    if run_id is not None:
        run_of(request, run_id)
    found = service.trace(root_of(request), strategy_hash, run_id, symbol, limit, offset)
    row, table = found.loaded.row, found.page.table
    names = ("run_id", "strategy_id", "strategy_hash", "trace_key", "strategy_type", "symbol", "timeframe", "bars")
    head = {name: row[name] for name in names} | {"config": json.loads(row["config"])}
    changes = paged(table.drop_columns("metadata").to_pylist(), found.page.total, limit, offset, "changes")
    return answer(request, head | changes, table, total=found.page.total)


@reading(router, "/api/compare", examples.COMPARE, free=("changes", "differences", "totals", "trades", "metrics"))
def compare(
    request: Request,
    first: Annotated[str, Query(max_length=64, description="The id of a run", examples=[examples.OTHER])],
    second: Annotated[str, Query(max_length=64, description="The id of another", examples=[examples.ID])],
    limit: Limit = 100,
) -> Response:
    """What changed around two runs, where their artifacts part, and their trades or path metrics pair by pair."""
    runs = [open_run(root_of(request), each) for each in (first, second)]
    tag = tagged(request, *runs)
    found = results.compare(runs[0], runs[1], limit)
    sides = [{"run_id": run.run_id, "run_type": run.manifest.run_type} for run in runs]
    whole: dict[str, Any] = {"first": sides[0], "second": sides[1], "identical": not found.differences}
    whole |= {name: [asdict(each) for each in getattr(found, name)] for name in ("changes", "differences")}
    pairs, measured = found.trades, found.metrics
    whole["totals"] = [_in_bps(row) for row in pairs.totals.to_pylist()] if pairs else []
    whole["trades"] = [_in_bps(row) for row in pairs.rows.to_pylist()] if pairs else []
    whole["metrics"] = [asdict(each) for each in measured.metrics] if measured else []
    return answer(request, whole, tag=tag)


def _in_bps(row: dict[str, Any]) -> dict[str, Any]:
    """Return sums in millionths of a stake as basis points."""
    return {f"{k[:-2]}_bps" if k.endswith("_q") else k: v / 100 if k.endswith("_q") else v for k, v in row.items()}


@reading(router, "/api/ohlc", examples.OHLC, free=("trade",), tabular=True)
def ohlc(
    request: Request,
    run_id: RunId,
    symbol: Text = None,
    from_: Annotated[str | None, Query(alias="from", max_length=40, description="First open, UTC")] = None,
    to: Annotated[str | None, Query(max_length=40, description="Opens before this time, UTC")] = None,
    trade: Annotated[str | None, Query(max_length=200, description="A trade_id or call_id to look around")] = None,
    before: Annotated[int, Query(ge=0, le=1000, description="Candles before its entry")] = 30,
    after: Annotated[int, Query(ge=0, le=1000, description="Candles after its exit")] = 30,
    limit: Limit = 1000,
) -> Response:
    """Candles that a run saw: of a symbol or token in a span of time, or around one of its trades."""
    run = run_of(request, run_id)
    if (symbol is None) == (trade is None):
        raise UsageError("name a symbol or a trade, and not both")
    tag = tagged(request, run)
    if trade is not None:
        found = candles.around(run, trade, before, after, limit)
    else:
        span = moment("from", from_, parse_instant), moment("to", to, parse_until)
        found = candles.ohlc(run, symbol or "", *span, limit)
    head = {"run_id": run.run_id, "symbol": found.symbol, "interval_ms": found.interval_ms}
    rows = paged(rows_of(found.table), found.total, limit, 0, "candles")
    return answer(request, head | rows | {"trade": found.trade}, found.table, tag, found.total)


@reading(router, "/api/verify", examples.VERIFY)
def verify(request: Request, run_id: RunId, content: bool = False) -> Response:
    """Whether every byte of a run is as it was published; with content also every value of its tables."""
    found = verify_run(root_of(request), run_id, content)
    sound = not any(each.level == "error" for each in found)
    return answer(request, {"run_id": run_id, "sound": sound, "findings": [asdict(each) for each in found]})
