"""The application: its endpoints, its documentation, and what becomes of errors, behind the gate."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from .... import __version__
from ....io.errors import HighwaterError
from . import docs, more, origin
from .answers import Refused, Unchanged, failed, failure, sent, tagged
from .gate import App, Gate, Receive, Scope, Send, guarded
from .routes import only_known

_ABOUT = "What published runs hold. Nothing can be changed here; what is not as it was published is not served."


def application(root: Path, gate: Gate) -> App:
    """Return the ASGI application that serves the runs below ``root`` to whoever passes ``gate``."""
    app = FastAPI(
        title="Highwater",
        version=__version__,
        description=_ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(only_known)],
    )
    app.state.root = root.absolute()
    for router in (origin.router, more.router):
        app.include_router(router)
    _document(app)
    _errors(app)

    async def quiet(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(Exception):  # Starlette raises it again after it was answered, and is in the log
            await app(scope, receive, send)

    return guarded(quiet, gate, failure)


def _document(app: FastAPI) -> None:
    """Serve the OpenAPI document and the page of it; none of these is described by itself."""
    files: dict[str, tuple[Callable[[], str], str]] = {
        "/docs": (lambda: docs.page(_described(app)), "text/html; charset=utf-8"),
        "/docs/style.css": (lambda: docs.STYLE, "text/css; charset=utf-8"),
        "/docs/script.js": (lambda: docs.SCRIPT, "text/javascript; charset=utf-8"),
        "/docs/icon.svg": (lambda: docs.ICON, "image/svg+xml"),
        "/favicon.ico": (lambda: docs.ICON, "image/svg+xml"),  # of pages that are no page of ours, such as JSON
        "/openapi.json": (lambda: json.dumps(_described(app)), "application/json"),
    }

    def served(make: Callable[[], str], media: str) -> Callable[[Request], Response]:
        def give(request: Request) -> Response:
            return sent(make().encode(), media, tagged(request))

        return give

    for path, (make, media) in files.items():
        app.add_route(path, served(make, media), include_in_schema=False)


def _described(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document with examples as they were given: FastAPI leaves nulls out of them."""
    document = app.openapi()
    for router in (origin.router, more.router):
        for route in router.routes:
            if isinstance(route, APIRoute):
                told = document["paths"][route.path]["get"]["responses"]["200"]["content"]["application/json"]
                told["example"] = route.responses[200]["content"]["application/json"]["example"]
    return document


def _errors(app: FastAPI) -> None:
    """Answer every error in one shape."""

    def ours(_: Request, error: Any) -> Response:
        return failed(error, app.state.root)

    def unchanged(_: Request, error: Any) -> Response:
        return Response(status_code=304, headers={"etag": error.tag, "cache-control": "private, no-cache"})

    def unfit(_: Request, error: Any) -> Response:
        return failure(422, "E_CONFIG", _unfit(error))

    def other(_: Request, error: Any) -> Response:
        return failure(error.status_code, "E_MISSING", "there is nothing here; see /docs")

    for kind in (Refused, HighwaterError, Exception):
        app.exception_handler(kind)(ours)
    app.exception_handler(Unchanged)(unchanged)
    app.exception_handler(RequestValidationError)(unfit)
    app.exception_handler(HTTPException)(other)


def _unfit(error: RequestValidationError) -> str:
    """Return what is wrong with the first parameter that is out of bounds."""
    first = error.errors()[0]
    name = str(first["loc"][-1])
    if name == "limit":
        return "limit must be 1..1000"
    if first["type"] == "missing":
        return f"{name} is missing"
    return f"{name}: {first['msg']}"[:300]
