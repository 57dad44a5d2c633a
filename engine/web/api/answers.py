"""Answers on their way out: JSON, CSV or Arrow as was asked for, with a tag by digest, and errors of one shape."""

import hashlib
import io
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
from fastapi import Request, Response

from .... import __version__
from ....io.errors import BusyError, HighwaterError, IntegrityError, LimitError, MissingError, UsageError
from ....io.exports import csv_bytes
from ...bugs import record
from ...service.runs import Run, RunPage

pc: Any = pyarrow.compute
JSON, CSV, ARROW = "application/json", "text/csv", "application/vnd.apache.arrow.stream"
KINDS = (JSON, CSV, ARROW)
_PART = re.compile(r"\s*([^;\s]+)\s*(?:;(.*))?", re.DOTALL)


class Unchanged(Exception):
    """The client has this answer already."""

    def __init__(self, tag: str):
        super().__init__(tag)
        self.tag = tag


class Refused(Exception):
    """A request that is answered with an error of ours."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code = status, code


def wanted(accept: str | None, kinds: Sequence[str] = KINDS) -> str:
    """Return which of ``kinds`` an Accept header likes best, the first of equals. Raises Refused 406 for none."""
    best, kind = 0.0, ""
    weights = [_weighed(part) for part in (accept or "*/*").split(",")]
    for each in kinds:
        fits = [(rank, q) for name, q in weights if (rank := _fit(name, each)) is not None]
        if fits and (found := max(fits)[1]) > best:
            best, kind = found, each
    if not kind:
        raise Refused(406, "E_CONFIG", f"Accept must allow one of {', '.join(kinds)}")
    return kind


def _weighed(part: str) -> tuple[str, float]:
    found = _PART.fullmatch(part)
    if found is None:
        return "", 0.0
    weight = re.search(r"(?:^|;)\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*(?:;|$)", found[2] or "")
    return found[1].lower(), float(weight[1]) if weight else 1.0


def _fit(name: str, kind: str) -> int | None:
    """Return how closely a range of an Accept header names a kind; None where it does not."""
    return {"*/*": 0, f"{kind.partition('/')[0]}/*": 1, kind: 2}.get(name)


def tagged(request: Request, *runs: Run | RunPage) -> str:
    """Return the tag of an answer out of these alone, by their digests. Raises Unchanged where the client has it."""
    words = [__version__, request.url.path, request.url.query, request.headers.get("accept", "")]
    return _checked(request, "\0".join([*words, *(run.digest for run in runs)]).encode())


def _checked(request: Request, content: bytes) -> str:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if tag in known or known == ["*"]:
        raise Unchanged(tag)
    return tag


def answer(
    request: Request,
    document: Mapping[str, Any],
    table: pa.Table | None = None,
    tag: str | None = None,
    total: int | None = None,
) -> Response:
    """Return a document as JSON, or where the client likes these better, ``table`` as CSV or an Arrow stream."""
    kind = wanted(request.headers.get("accept"), KINDS if table is not None else (JSON,))
    if kind == JSON or table is None:
        body = json_bytes(document)
    else:
        body = csv_bytes(table) if kind == CSV else arrow_bytes(table)
    headers = {"x-total-count": str(total)} if total is not None else {}
    media = f"{kind}; charset=utf-8; header=present" if kind == CSV else kind
    return sent(body, media, tag or _checked(request, body), headers)


def sent(body: bytes, media: str, tag: str, headers: Mapping[str, str] = {}) -> Response:
    """Return bytes as an answer; it may be kept, and is asked for anew each time."""
    more = {"etag": tag, "cache-control": "private, no-cache", "vary": "accept, authorization", **headers}
    return Response(body, headers=more | {"content-type": media})


def json_bytes(value: Any) -> bytes:
    """Return a value as JSON: null for what is not finite, times in ISO 8601 and UTC, no ``<`` that opens a tag."""
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"), default=plain)
    except ValueError:  # somewhere in it is a number that is not finite; 1,000 rows take 6 times as long so
        text = json.dumps(plain(value), allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").encode()


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        moment = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return moment.isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, pa.Table):
        return plain(value.to_pylist())
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    return str(value)


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of a table, times in ISO 8601 and UTC: a column at once, which takes a tenth of the time."""
    for i, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            text = pc.strftime(table.column(i).cast(pa.timestamp("ms"), safe=False), "%Y-%m-%dT%H:%M:%SZ")
            table = table.set_column(i, field.name, text)
    return table.to_pylist()


def arrow_bytes(table: pa.Table) -> bytes:
    """Return a table as an Arrow IPC stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def failure(status: int, code: str, message: str, number: str = "") -> Response:
    """Return an error as an answer: what is wrong in a line, a stable code, and an id to ask about."""
    body = {"detail": message, "code": code, "id": number or secrets.token_hex(4)}
    headers = {"cache-control": "no-store"}
    headers |= {401: {"www-authenticate": 'Basic realm="highwater", charset="UTF-8"'}, 503: {"retry-after": "5"}}.get(
        status, {}
    )
    headers |= {"allow": "GET, HEAD"} if status == 405 else {}
    return Response(json_bytes(body), status, headers=headers, media_type=JSON)


def failed(error: Exception, root: Path) -> Response:
    """Return an error that was raised as an answer; what nobody foresaw is kept in the log, and told by its id."""
    if isinstance(error, Refused):
        return failure(error.status, error.code, str(error))
    if isinstance(error, HighwaterError):
        text = str(error).replace(f"{root}/", "").replace(str(root), "the runs")
        return failure(status_of(error), error.code, " ".join(text.split())[:1000])
    number, _ = record(error)
    return failure(500, "E_BUG", f"internal error, id {number}", number)


def status_of(error: HighwaterError) -> int:
    """Return the status of an error of ours."""
    if isinstance(error, MissingError):
        return 410 if error.code in ("E_GONE", "E_SLICE_GONE") else 404
    kinds = ((UsageError, 400), (IntegrityError, 409), (LimitError, 422), (BusyError, 503))
    return next((status for kind, status in kinds if isinstance(error, kind)), 500)
