"""The ten endpoints of the owner's documents, in their shapes."""

import time
from typing import Annotated, Any, Literal

import pyarrow as pa
from fastapi import APIRouter, Query, Request, Response

from .... import __version__
from ....io.errors import UsageError
from ....io.manifest import utc_text
from ...catalog_commands import RunType, Status
from ...service import results
from ...service.runs import Filter, counts, list_runs
from ...values import parse_instant, parse_until
from . import examples
from .answers import answer, rows_of, tagged
from .routes import Limit, Offset, Rising, RunId, Text, paged, reading, root_of, run_of

router = APIRouter()
_FACTOR = "factor_"


def _now() -> str:
    return utc_text(time.time_ns() // 1_000_000)


@reading(router, "/", examples.HOME, free=("endpoints",))
def home(request: Request) -> Response:
    """What this server answers."""
    paths = request.app.openapi()["paths"]
    known = {path: each["get"]["summary"] for path, each in paths.items()}
    about = {"name": "highwater", "version": __version__, "status": "ok", "docs": "/docs", "endpoints": known}
    return answer(request, about)


@reading(router, "/health", examples.HEALTH)
def health(request: Request) -> Response:
    """Whether the runs can be read, and how many there are."""
    total = list_runs(root_of(request), limit=1).total
    return answer(request, {"status": "ok", "timestamp": _now(), "runs_available": total})


@reading(router, "/api/status", examples.STATUS, free=("by_status", "by_type"))
def status(request: Request) -> Response:
    """How many runs there are of each kind, and the newest that completed."""
    total, latest, by_status, by_type = counts(root_of(request))
    held = {"total_runs": total, "latest_run": latest, "by_status": by_status, "by_type": by_type}
    about = {"api_version": __version__, "status": "ok", "timestamp": _now(), "statistics": held}
    return answer(request, about)


@reading(router, "/api/runs", examples.RUNS, tabular=True)
def runs(
    request: Request,
    run_type: RunType | None = None,
    status: Status | None = None,
    from_: Annotated[str | None, Query(alias="from", max_length=40, description="Made from this time on, UTC")] = None,
    to: Annotated[str | None, Query(max_length=40, description="Made before this time; a date is included")] = None,
    artifact: Text = None,
    config_digest: Text = None,
    data_digest: Text = None,
    sort: Annotated[str, Query(max_length=40)] = "created_at",
    ascending: bool = False,
    limit: Limit = 100,
    offset: Offset = 0,
    cursor: Annotated[str | None, Query(max_length=64, description="next_cursor of the page before")] = None,
) -> Response:
    """Runs, the newest first; those that are damaged with the reason.

    Sort by created_at, completed_at, run_id, run_type, status, calls, trials, total_trades or total_ms.
    """
    span = moment("from", from_, parse_instant), moment("to", to, parse_until)
    only = Filter(run_type, status, *span, artifact, config_digest, data_digest)
    page = list_runs(root_of(request), only, sort, ascending, limit, offset, cursor)
    tag, table = tagged(request, page), _renamed(page.table)
    rows = [row | {"symbol": _symbols(row["symbol"])} for row in rows_of(table)]
    found = {"count": len(rows), "total_count": page.total, "next_cursor": page.cursor, "runs": rows}
    return answer(request, found, table, tag, page.total)


def moment(name: str, text: str | None, parse: Any) -> int | None:
    """Return a time that was given as text, ms UTC. Raises UsageError naming the parameter."""
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise UsageError(f"{name} is '{text}': {error}") from None


def _renamed(table: pa.Table) -> pa.Table:
    """Return the columns of a list of runs, the first four as the documents call them."""
    names = {"run_id": "run_id", "created": "created_at", "symbol": "symbols", "total_trades": "total_trades"}
    others = ("run_type", "status", "reason", "calls", "trials", "total_ms", "version", "command")
    names |= {name: name for name in others} | {"completed": "completed_at"}
    names |= {name: name for name in ("config_digest", "data_digest")}
    return pa.table({name: table[column] for name, column in names.items()})


def _symbols(found: str | None) -> str | None:
    """Return the symbols of a run, which JSON lists, as one text."""
    return None if found is None else ", ".join(found.strip('[]"').split('","'))


@reading(router, "/api/config/hash", examples.CONFIG_HASH)
def config_hash(request: Request, run_id: RunId) -> Response:
    """The digest of all that a run was asked, and when it was done."""
    run = run_of(request, run_id)
    found = {"config_hash": run.manifest.config_digest, "timestamp": run.manifest.completed_at}
    return answer(request, {"run_id": run.run_id, **found}, tag=tagged(request, run))


@reading(router, "/api/trades", examples.TRADES, free=("trades",), tabular=True)
def trades(
    request: Request,
    run_id: RunId,
    asked: Rising,
    symbol: Text = None,
    direction: Literal["long", "short"] | None = None,
) -> Response:
    """The trades of a run: of sessions in R, of alerts in basis points.

    A symbol is that of a session, or the mint of an alert. Those of a search are of its best policies: filter by
    policy_id.
    """
    run = run_of(request, run_id)
    tag = tagged(request, run)
    page = results.trades(run, symbol, direction, **vars(asked))
    rows = [_trade(row) for row in page.table.to_pylist()] if results.is_session(run) else page.table.to_pylist()
    head = {"run_id": run.run_id, "symbol": symbol}
    return answer(
        request, head | paged(rows, page.total, asked.limit, asked.offset, "trades"), page.table, tag, page.total
    )


def _trade(row: dict[str, Any]) -> dict[str, Any]:
    """Return a trade of a session with its times as text and its factors together."""
    factors = {name.removeprefix(_FACTOR): value for name, value in row.items() if name.startswith(_FACTOR)}
    kept = {name: value for name, value in row.items() if not name.startswith(_FACTOR)}
    return kept | {name: utc_text(row[name]) for name in ("entry_timestamp", "exit_timestamp")} | {"factors": factors}


@reading(router, "/api/equity", examples.EQUITY, free=("equity_curve",), tabular=True)
def equity(
    request: Request, run_id: RunId, symbol: Text = None, policy: Text = None, limit: Limit = 1000, offset: Offset = 0
) -> Response:
    """The running sum of a run's trades by their exit: in R, or in basis points of one stake a trade.

    Runs on alerts have cumulative_return_bps and drawdown_bps, final_bps and max_drawdown_bps; those in R are null.
    """
    run = run_of(request, run_id)
    tag = tagged(request, run)
    found = results.equity(run, symbol, policy)
    table, unit = found.table.slice(offset, limit), found.unit.lower()
    rows = table.to_pylist()
    for row in rows:
        row |= {name: utc_text(row[name]) for name in ("entry_timestamp", "exit_timestamp") if name in row}
    total = found.table.num_rows
    whole = {"run_id": run.run_id, "unit": found.unit, **paged(rows, total, limit, offset, "equity_curve")}
    ends = {"final": found.final, "max_drawdown": found.max_drawdown}
    whole |= {f"{name}_{each}": x if each == unit else None for each in ("r", "bps") for name, x in ends.items()}
    return answer(request, whole, table, tag, total)


@reading(router, "/api/factors/sample", examples.FACTORS, tabular=True)
def factors(request: Request, run_id: RunId, symbol: Text = None, limit: Limit = 100) -> Response:
    """What a session run knew at the closes of candles, evenly spread over all of them; the same ones each time."""
    run = run_of(request, run_id)
    tag = tagged(request, run)
    table = results.factors(run, symbol, limit)
    rows = [_snapshot(row) for row in table.to_pylist()]
    return answer(request, {"run_id": run.run_id, "sample_count": len(rows), "snapshots": rows}, table, tag)


def _snapshot(row: dict[str, Any]) -> dict[str, Any]:
    spikes = [row["rel_volume_long"], row["rel_volume_short"]]
    spike = None if None in spikes else any(spikes)
    kept = ("symbol", "bar_number", "rel_vol", "vwap", "adx", "price_action_long", "price_action_short")
    sides = {f"profile_{side}": row[f"profile_proxy_{side}"] for side in ("long", "short")}
    return {
        "timestamp": utc_text(row["timestamp"]),
        **{name: row[name] for name in kept},
        "rel_vol_spike": spike,
        **sides,
    }


@reading(router, "/api/metrics/core", examples.METRICS, free=("metrics", "undefined"))
def metrics(request: Request, run_id: RunId, symbol: Text = None) -> Response:
    """The figures of a run; null for what is undefined, and why."""
    run = run_of(request, run_id)
    found = results.metrics(run, symbol)
    whole = {"run_id": run.run_id, "symbol": symbol, "metrics": found.values, "undefined": found.undefined}
    return answer(request, whole, tag=tagged(request, run))


@reading(router, "/api/attribution", examples.ATTRIBUTION)
def attribution(request: Request, run_id: RunId, symbol: Text = None) -> Response:
    """What each factor of a session run was worth: trades with it against trades without; and by score."""
    run = run_of(request, run_id)
    by_factor, scores = results.attribution(run, symbol)
    named = [{"factor_name": row.pop("factor"), **row} for row in by_factor]
    return answer(
        request,
        {"run_id": run.run_id, "factor_attribution": named, "score_buckets": scores},
        tag=tagged(request, run),
    )
