"""Who is let in, before anything is looked at: host, origin, token, method and size of a request."""

import base64
import binascii
import hmac
import ipaddress
import os
import re
import secrets
import socket
import stat
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....io.durable import disk_errors
from ....io.errors import UsageError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Refuse = Callable[[int, str, str], App]

MOST_BODY = 1 << 20
LOCAL = ("localhost", "127.0.0.1", "[::1]")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}))(?::[0-9]{1,5})?")
_LEAST_TOKEN = 16  # characters
# Nothing but what we serve is loaded, no script of another kind, and no page may frame ours.
HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@dataclass(frozen=True)
class Gate:
    """What a request must show: a host out of ``hosts`` (any address too where ``addresses``), and the token if any."""

    hosts: tuple[str, ...] = LOCAL
    addresses: bool = False
    token: str | None = None


def gate_of(host: str, token_file: Path | None, names: tuple[str, ...] = ()) -> Gate:
    """Return the gate of a server at ``host``, which also goes by ``names``.

    Raises UsageError where others than this machine could reach it and there is no token, or the file of it is not
    for its owner alone. A file that is not there is made, with a new token.
    """
    local = is_local(host)
    if not local and token_file is None:
        raise UsageError(f"--host {host} needs --token-file: others can reach it")
    token = None if token_file is None else read_token(token_file)
    wild = host in ("", "0.0.0.0", "::")
    own = () if local or wild else (f"[{host}]" if ":" in host else host,)
    called = (socket.gethostname(),) if wild else ()
    return Gate(tuple(name.lower() for name in (*LOCAL, *own, *called, *names)), wild, token)


def is_local(host: str) -> bool:
    """Return whether only this machine can reach a server there."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def read_token(path: Path) -> str:
    """Return the token in a file that only its owner may read; where there is none, make one."""
    with disk_errors(f"reading {path}", "name another --token-file"):
        with suppress(FileExistsError):
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(made, "w") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            found = os.fstat(file.fileno())
            text = file.read(4096) if stat.S_ISREG(found.st_mode) else b""
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{path} is not a plain file; name another --token-file")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise UsageError(f"{path} can be read by others (mode {stat.S_IMODE(found.st_mode):03o}): chmod 600 {path}")
    token = text.decode("ascii", "replace").strip()
    if len(token) < _LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(f"{path} must hold one token of {_LEAST_TOKEN} or more plain characters")
    return token


def guarded(app: App, gate: Gate, refuse: Refuse) -> App:
    """Return ``app`` behind a gate; ``refuse(status, code, message)`` makes the app that says no."""

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        scope.setdefault("state", {})
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        head = scope["method"] == "HEAD"

        async def answer(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_RAW]
            elif head:
                message["body"] = b""
            await send(message)

        found = _refusal(scope, headers, gate)
        if found is None and await _too_much(headers, receive):
            found = 413, "E_LIMIT", f"the body is larger than {MOST_BODY >> 20} MiB"
        if found is None and scope["method"] not in ("GET", "HEAD"):
            found = 405, "E_CONFIG", f"{scope['method'][:20]} is not served; use GET"
        inner = app if found is None else refuse(*found)
        await inner({**scope, "method": "GET"} if head else scope, _nothing, answer)

    return checked


_RAW = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


def _refusal(scope: Scope, headers: dict[str, list[str]], gate: Gate) -> tuple[int, str, str] | None:
    """Return why a request is not let in: status, code and message; None where it is."""
    host = headers.get("host", [])
    found = _HOST.fullmatch(host[0]) if len(host) == 1 else None
    if found is None or not _known(found[1].lower(), gate):
        return 421, "E_HOST", "bad Host header: this server goes by another name; --allow-host adds one"
    origin = headers.get("origin")
    if origin and [each.lower() for each in origin] != [f"{scope.get('scheme', 'http')}://{host[0].lower()}"]:
        return 403, "E_ORIGIN", "the request comes from a page of another origin"
    if gate.token is not None and not _proved(headers.get("authorization", []), gate.token):
        return 401, "E_TOKEN", "missing or wrong token"
    return None


def _known(name: str, gate: Gate) -> bool:
    if name in gate.hosts:
        return True
    with suppress(ValueError):
        ipaddress.ip_address(name.strip("[]"))
        return gate.addresses  # an address cannot be made to lead elsewhere, as a name can
    return False


def _proved(given: list[str], token: str) -> bool:
    """Return whether a header shows the token: as a bearer's, or as the password a browser asks for."""
    if len(given) != 1:
        return False
    kind, _, word = given[0].partition(" ")
    shown = word.strip().encode("latin-1")
    if kind.lower() == "basic":
        with suppress(binascii.Error, ValueError):
            shown = base64.b64decode(shown, validate=True).partition(b":")[2]
    elif kind.lower() != "bearer":
        return False
    return hmac.compare_digest(shown, token.encode())


async def _too_much(headers: dict[str, list[str]], receive: Receive) -> bool:
    """Return whether a body is longer than MOST_BODY; it is read to be thrown away, and never unpacked."""
    sizes = headers.get("content-length", [])
    if any(not each.isdecimal() or int(each[:20]) > MOST_BODY for each in sizes):
        return True
    if not sizes and "transfer-encoding" not in headers:
        return False
    total = 0
    while total <= MOST_BODY:
        message = await receive()
        total += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return total > MOST_BODY
    return True


async def _nothing() -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}
