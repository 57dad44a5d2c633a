"""The command ``highwater serve``: the REST API on a port of this machine."""

import socket
from pathlib import Path

from ..io.errors import MissingError, UsageError


def serve(
    *,
    runs: Path = Path("runs"),
    host: str = "127.0.0.1",
    port: int = 8000,
    token_file: Path | None = None,
    allow_host: list[str] | None = None,
) -> int | None:
    """Answer over HTTP what the runs hold, until Ctrl-C; /docs says what can be asked.

    Only this machine can reach it. Another --host needs a token, which every request then has to show, as
    "Authorization: Bearer TOKEN" or as the password a browser asks for.

    Args:
        runs: Directory of runs.
        host: Address to listen at.
        port: Port to listen at; 0 takes a free one.
        token_file: A file with the token, that nobody else may read; where it is not there it is made.
        allow_host: Further names that this server goes by.
    """
    try:
        import uvicorn

        from .web.api.app import application
        from .web.api.gate import gate_of
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("fastapi", "starlette", "uvicorn"):
            raise
        raise MissingError("serve needs fastapi and uvicorn: pip install 'highwater[api]'") from None
    if not runs.is_dir():
        raise MissingError(f"{runs} is not a directory; name the directory of runs with --runs")
    gate = gate_of(host, token_file, tuple(allow_host or ()))
    listening = _listening(host, port)
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{listening.getsockname()[1]}/docs  (runs in {runs}; Ctrl-C ends it)", flush=True)
    config = uvicorn.Config(
        application(runs, gate),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        limit_concurrency=200,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[listening])
    return None


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises UsageError where that cannot be."""
    if not 0 <= port <= 65535:
        raise UsageError(f"--port is {port}; it must be 0..65535")
    try:
        kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=kind, backlog=128)
    except OSError as error:
        text = error.strerror or str(error)
        raise UsageError(f"--host {host} --port {port}: {text.partition(' (')[0]}; name another") from None
