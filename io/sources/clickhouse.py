"""Tables of candles in ClickHouse: where they lie, and how a connection asks for them.

A server is asked over HTTP in ``FORMAT RowBinary``, which every version since 2016 speaks, so it needs no library; the
embedded engine (chdb) through clickhouse-connect, in Arrow. Both answer with the same columns.
"""

import http.client
import importlib
import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlencode, urlsplit

import numpy as np

from ..errors import AccessError, BusyError, DataError, HighwaterError, MissingError, StoreError, UsageError
from .tries import Refused, insist, seconds

SERVER, SECURE, EMBEDDED = "clickhouse://", "clickhouses://", "chdb://"
VARIABLES = ("HOST", "PORT", "DATABASE", "TABLE", "USER", "SECURE")  # each behind CLICKHOUSE_, as is PASSWORD
PASSWORD = "CLICKHOUSE_PASSWORD"
ROW = np.dtype(
    [("code", "<u4"), ("ts", "<i8"), *((name, "<f8") for name in ("open", "high", "low", "close", "volume"))]
)
OTHERWISE = "see to the server, then repeat: batches that came are kept"
_CONNECT, _ANSWER = 10.0, 300.0  # seconds
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
_OTHER_PORT = re.compile(rb"You must use port (\d+) for HTTP")
_CODE = re.compile(r"Code: (\d+)")
_NAME = re.compile(r"[^\s`\"'\\/?#]+")

Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Table:
    """A table of a server (``host``) or of an embedded engine's ``folder``. The password is never part of it."""

    database: str
    table: str
    host: str = ""
    port: int = 8123
    user: str = "default"
    secure: bool = False
    folder: Path | None = None

    def __post_init__(self) -> None:
        for what, name in (("database", self.database), ("table", self.table)):
            if not _NAME.fullmatch(name):
                raise UsageError(f"ClickHouse {what} is {name!r}; it must be a name, such as mkt or ohlcv_candles")
        if not 0 < self.port < 65536:
            raise UsageError(f"ClickHouse port is {self.port}; it must be from 1 to 65535, such as 8123")

    def __str__(self) -> str:
        return f"{self.server}/{self.database}.{self.table}"

    @property
    def server(self) -> str:
        """The server, or the folder of an embedded engine, as messages name it."""
        if self.folder is not None:
            return f"{EMBEDDED}{self.folder}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{SECURE if self.secure else SERVER}{self.user}@{host}:{self.port}"


class Connection(NamedTuple):
    """A way to ask: ``ask`` for the rows of a small answer as texts, ``rows`` for candles as columns of ``ROW``.

    ``parallel``: how many may be asked for at once, if that is limited.
    """

    ask: Callable[[str], list[list[str]]]
    rows: Callable[[str], Columns]
    parallel: int | None = None


def table_of(text: str) -> Table:
    """Return the table that ``clickhouse://user@host:port/db.table`` or ``chdb://folder/db.table`` names.

    Raises ValueError with the end of a sentence.
    """
    if text.startswith(EMBEDDED):
        folder, _, name = text.removeprefix(EMBEDDED).rpartition("/")
        database, table = _names(name)
        if not folder:
            raise ValueError("it must be chdb://folder/database.table")
        return Table(database, table, folder=Path(folder))
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError("its port must be a number from 1 to 65535") from None
    if url.password is not None:
        raise ValueError(f"it must hold no password, which would be recorded; put it into {PASSWORD}")
    if not url.hostname or url.query or url.fragment:
        raise ValueError("it must be clickhouse://user@host:port/database.table")
    database, table = _names(url.path.strip("/"))
    secure = text.startswith(SECURE)
    user = unquote(url.username) if url.username else os.environ.get("CLICKHOUSE_USER", "default")
    return Table(database, table, url.hostname, port or (8443 if secure else 8123), user, secure)


def _names(text: str) -> tuple[str, str]:
    database, dot, table = unquote(text).partition(".")
    return (database or "default", table or "ohlcv_candles") if dot else ("default", database or "ohlcv_candles")


def chosen(named: Table | None, flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Table:
    """Return the table that flags (host, port, database, table, user, secure) name, over a URL, over CLICKHOUSE_*.

    Raises UsageError where one of these is nothing of the kind.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if named is not None:
        if named.folder is not None and set(given) - {"database", "table"}:
            raise UsageError(
                "--candles is a folder of chdb; of the --ch- flags only --ch-database and --ch-table apply"
            )
        if given.get("secure") and named.port == 8123:
            given.setdefault("port", 8443)
        return replace(named, **given)
    told = {name.lower(): environment.get(f"CLICKHOUSE_{name}") for name in VARIABLES}
    told = {name: value for name, value in told.items() if value}
    found: dict[str, Any] = {"host": "localhost", "database": "default", "table": "ohlcv_candles", **told, **given}
    secure = str(found.pop("secure", "")).lower() in ("1", "true", "yes", "on")
    port = str(found.pop("port", 8443 if secure else 8123))
    if not port.isdecimal():
        raise UsageError(f"CLICKHOUSE_PORT is {port!r}; it must be a number, such as 8123")
    return Table(**found, port=int(port), secure=secure)


def connect(table: Table) -> Connection:
    """Return a connection, proved by one question. Raises AccessError, MissingError or StoreError in one line."""
    if table.folder is not None:
        return _embedded(table)
    try:
        answer = _insisted(table, "SELECT 1")
    except _Native as told:  # a port of the native protocol, as older tools were given; it names the one for HTTP
        table = replace(table, port=told.port)
        answer = _insisted(table, "SELECT 1")
    if answer != b"1\n":
        raise StoreError(f"what answers at {table.server} is no ClickHouse; give the port of its HTTP interface")

    def ask(sql: str) -> list[list[str]]:
        return _texts(_insisted(table, f"{sql} FORMAT TSV"))

    def rows(sql: str) -> Columns:
        return _unpacked(_insisted(table, f"{sql} FORMAT RowBinary"), table)

    return Connection(ask, rows)


class _Native(Exception):
    """A port answered that it is of the native protocol."""

    def __init__(self, port: int):
        super().__init__(port)
        self.port = port


def _insisted(table: Table, sql: str) -> bytes:
    return insist(partial(_asked, table, sql), f"ClickHouse at {table.server}", otherwise=OTHERWISE)


def _asked(table: Table, sql: str) -> bytes:
    """Return the server's whole answer. Raises Refused where asking again may help, else what is wrong."""
    kind = partial(http.client.HTTPSConnection, context=ssl.create_default_context()) if table.secure else None
    link = (kind or http.client.HTTPConnection)(table.host, table.port, timeout=_CONNECT)
    headers = {"X-ClickHouse-User": table.user, "X-ClickHouse-Key": os.environ.get(PASSWORD, "")}
    try:
        link.connect()
        link.sock.settimeout(_ANSWER)
        link.request("POST", f"/?{urlencode({'database': table.database})}", sql.encode(), _plain(headers))
        answer = link.getresponse()
        body = answer.read()
    except ssl.SSLCertVerificationError as error:
        text = f"{table.server} shows a certificate that is not trusted ({error.verify_message})"
        raise AccessError(f"{text}; name its authority with SSL_CERT_FILE") from error
    except ssl.SSLError as error:
        if error.reason not in _NO_TLS:
            raise Refused(0, str(error)) from error
        raise StoreError(f"{table.server} does not speak TLS; ask without it ({SERVER} or no --ch-secure)") from error
    except (OSError, http.client.HTTPException) as error:
        raise Refused(0, str(error) or type(error).__name__) from error
    finally:
        link.close()
    if native := _OTHER_PORT.search(body[:1000]):
        raise _Native(int(native[1]))
    if answer.status == 200 and b"DB::Exception" not in body[-4096:]:
        return body
    raise _refusal(
        table, body[-4096:].decode("utf-8", "replace"), answer.status, seconds(answer.getheader("Retry-After"))
    )


def _plain(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers as HTTP takes them: a name or a password may be of any letters."""
    return {name: value.encode().decode("latin-1") for name, value in headers.items()}


def _texts(answer: bytes) -> list[list[str]]:
    lines = answer.decode("utf-8", "replace").split("\n")
    return [[_unescaped(cell) for cell in line.split("\t")] for line in lines if line]


def _unescaped(cell: str) -> str:
    escapes = {"t": "\t", "n": "\n", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}
    return re.sub(r"\\(.)", lambda found: escapes.get(found[1], found[1]), cell)


def _unpacked(answer: bytes, table: Table) -> Columns:
    if len(answer) % ROW.itemsize:
        raise StoreError(f"{table} sent part of a row; repeat")
    rows = np.frombuffer(answer, ROW)
    return {name: np.ascontiguousarray(rows[name]) for name in ROW.names or ()}


def _embedded(table: Table) -> Connection:
    """Return a connection to a folder of chdb, of which this process is then the only user."""
    folder = Path(str(table.folder)).absolute()
    if not folder.is_dir():
        raise MissingError(f"{folder} does not exist; it must be a folder of chdb")
    if not (folder / "metadata").is_dir():  # chdb would begin one there
        raise MissingError(f"{folder} holds no tables of chdb; name the folder that was given to it as its path")
    try:
        importlib.import_module("chdb")
        import clickhouse_connect
    except ImportError:
        raise MissingError(
            "chdb:// needs clickhouse-connect and chdb: pip install 'highwater[clickhouse]' chdb"
        ) from None
    from clickhouse_connect.driver.exceptions import ClickHouseError

    def trying(do: Callable[[], Any]) -> Any:
        try:
            return do()
        except ClickHouseError as error:
            if "initializing EmbeddedServer" in str(error):
                text = "another process may be at it, and chdb lets one at a time"
                raise BusyError(f"{table.server} cannot be opened: {text}; repeat when it is done") from error
            raise _refusal(table, str(error), 500, 0.0) from error

    client = trying(partial(clickhouse_connect.get_client, interface="chdb", path=str(folder)))

    def texts(sql: str) -> list[list[str]]:
        return _texts(trying(partial(client.raw_query, sql, fmt="TSV")))

    def rows(sql: str) -> Columns:
        found = trying(partial(client.query_arrow, sql))
        return {name: found[name].to_numpy() for name in ROW.names or ()}

    return Connection(texts, rows, parallel=1)


def quoted(name: str) -> str:
    """Return a name of a column, table or database as SQL has it."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _refusal(table: Table, text: str, status: int, wait: float) -> HighwaterError | Refused:
    """Return what a refusal of ClickHouse's is to a user."""
    code = int(found[1]) if (found := _CODE.search(text)) else 0
    where = f"ClickHouse at {table.server}"
    _, _, said = " ".join(text.split()).rpartition("DB::Exception: ")
    said = re.sub(r",? e\.what\(\).*|\(version .*|Stack trace.*", "", said or text).strip(" .,")[:240]
    if code in (192, 193, 194, 516) or (status in (401, 403) and code != 497):
        return AccessError(f"{where} does not let user '{table.user}' in: {said}; the password is read from {PASSWORD}")
    if code in (164, 291, 497):
        return AccessError(f"{where} lets user '{table.user}' not do that: {said}")
    if code in (60, 81):
        return MissingError(f"{where}: {said}")
    if code in (202, 439) or status == 429:
        return Refused(429, said, wait)
    if code in (159, 160, 241, 307, 396):
        return StoreError(f"{where}: {said}; ask for less at once with a smaller --ch-batch or --ch-parallel")
    if code in (6, 27, 41, 43, 47, 53, 62, 70, 72, 386):
        return DataError(f"{table}: {said}")
    return Refused(status if status >= 500 else 500, said) if code in (0, 210, 1000) else StoreError(f"{where}: {said}")
