"""How an endpoint is declared: the parameters that several share, what it answers by example, and its errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request

from ....io.config import nearest
from ....io.patience import within
from ...service.limits import TIME_S
from ...service.runs import MOST, Run, open_run, plain
from .answers import ARROW, CSV, JSON, Refused

_ID = "01m8fy0mkb9whzpkv3exm0mymn"
_ID_TEXT = 'The id of a run; "latest", or a session run as the guide names it: backtest_20241002_153045'
RunId = Annotated[str, Query(max_length=64, description=_ID_TEXT, examples=[_ID])]
RunPath = Annotated[str, Path(max_length=64, description=_ID_TEXT, examples=[_ID])]
Text = Annotated[str | None, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=MOST, description="Rows of a page")]
Offset = Annotated[int, Query(ge=0, le=2**53 - 1, description="Rows before the first")]
Where = Annotated[
    list[Annotated[str, Query(max_length=200)]],
    Query(max_length=20, description="A condition: NAME=VALUE, or with != < <= > >=; null is a value"),
]
NO_WHERE: list[str] = []
Names = Annotated[str | None, Query(max_length=2000, description="Columns to return, separated by commas")]
Sort = Annotated[str | None, Query(max_length=100, description="A column; nulls stand last")]


@dataclass(frozen=True)
class Asked:
    """Which rows of a table are asked for, as ``tables.page`` takes them."""

    where: list[str]
    sort: str | None
    ascending: bool
    limit: int
    offset: int


def asked(ascending: bool) -> Any:
    """Return what gives an endpoint its Asked; ``ascending`` where the request does not say."""
    up = ascending

    async def of(
        where: Where = NO_WHERE, sort: Sort = None, ascending: bool = up, limit: Limit = 100, offset: Offset = 0
    ) -> Asked:
        return Asked(where, sort, ascending, limit, offset)

    return Depends(of)


Rising = Annotated[Asked, asked(True)]
Falling = Annotated[Asked, asked(False)]

_ERROR = {"detail": "there is no run 'x'", "code": "E_MISSING", "id": "7f3a91c2"}
_STATUSES = {
    400: "What was asked for is wrong",
    401: "Missing or wrong token",
    403: "The request comes from a page of another origin",
    404: "There is no such thing",
    405: "Only GET and HEAD are served",
    406: "No format that Accept allows",
    409: "It is not as it was published, and is not served",
    410: "It was deleted",
    413: "The body is larger than 1 MiB",
    421: "The Host header is not a name of this server",
    422: "A parameter is out of bounds, or the answer too large",
    500: "A bug; the id stands in the log",
    503: "Busy, or it takes longer than 10 s; try again",
}


def shape(value: Any, free: tuple[str, ...] = (), name: str = "") -> dict[str, Any]:
    """Return the JSON schema of values like an example: its keys are always there, any figure may be null.

    Of those that ``free`` names only the kind is said: their keys hang on the run.
    """
    if isinstance(value, dict):
        if name in free:
            return {"type": ["object", "null"]}
        parts = {key: shape(each, free, key) for key, each in value.items()}
        return {"type": ["object", "null"], "properties": parts, "required": list(parts)}
    if isinstance(value, list):
        return {"type": "array", "items": shape(value[0], free, name) if value else {}}
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return {"type": [kinds[type(value)], "null"]} if value is not None else {}


def reading(
    router: APIRouter, path: str, example: Mapping[str, Any], free: tuple[str, ...] = (), tabular: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what makes a function the answer to GET ``path``; its docstring is the description.

    ``tabular``: it answers with CSV and Arrow too.
    """
    content: dict[str, Any] = {JSON: {"schema": shape(dict(example), free), "example": example}}
    if tabular:
        content |= {CSV: {"schema": {"type": "string"}}, ARROW: {"schema": {"type": "string", "format": "binary"}}}
    known = {"description": "What was asked for", "content": content}
    responses: dict[int | str, dict[str, Any]] = {200: known, 304: {"description": "The client has it already"}}
    error = {JSON: {"schema": shape(_ERROR), "example": _ERROR}}
    responses |= {status: {"description": text, "content": error} for status, text in _STATUSES.items()}

    def made(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*given: Any, **named: Any) -> Any:
            with within(TIME_S):
                return function(*given, **named)

        title, _, more = (function.__doc__ or "").partition("\n")
        router.get(path, summary=title.rstrip("."), description=more.strip(), responses=responses, response_model=None)(
            timed
        )
        return function

    return made


async def only_known(request: Request) -> None:
    """Raise Refused where a query has a parameter that its endpoint does not know, or one twice."""
    route = request.scope.get("route")
    known = _parameters(route.dependant) if route is not None else {}
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            near = nearest(name, known) or f"; there are {', '.join(known) or 'none'}"
            raise Refused(400, "E_CONFIG", f"unknown parameter '{plain(name)}'{near}")
        if names.count(name) > 1 and name != "where":
            raise Refused(400, "E_CONFIG", f"{name} is given twice")


def _parameters(one: Any) -> dict[str, Any]:
    """Return the parameters of a query that an endpoint knows, those of what it depends on too."""
    found = {each.alias: each for each in one.query_params}
    for each in one.dependencies:
        found |= _parameters(each)
    return found


def root_of(request: Request) -> Any:
    """Return the directory of runs that is served."""
    return request.app.state.root


def run_of(request: Request, run_id: str) -> Run:
    """Return a run by its id; raises as ``open_run`` does."""
    return open_run(root_of(request), run_id)


def listed(names: str | None) -> tuple[str, ...]:
    """Return names that were separated by commas."""
    return tuple(name.strip() for name in (names or "").split(",") if name.strip())


def paged(rows: Any, total: int, limit: int, offset: int, name: str = "rows") -> dict[str, Any]:
    """Return rows with how many there are in all, and where the next page begins, null after the last."""
    following = offset + limit if offset + limit < total else None
    return {"total_count": total, "returned_count": len(rows), "next_offset": following, name: rows}
