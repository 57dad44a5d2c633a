"""Real components for the tests beside, started here on 127.0.0.1 and ended by their process ids."""

import secrets
import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from highwater.io.sources.clickhouse import Table

sys.path.insert(0, str(Path(__file__).parent))
import engines
from engines import Engine
from processes import free_port, stop, until


@pytest.fixture(scope="session")
def moto():
    """Return the address of an S3 server: real HTTP, in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: urllib.request.urlopen(f"{address}/moto-api/", timeout=5).read(), process)
        yield address
    finally:
        stop(process)


@pytest.fixture
def s3(moto, monkeypatch, tmp_path):
    """Return the name of a new bucket; the environment names the server, and the cache is the test's own."""
    from highwater.io.objects import client

    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    client.cache_clear()
    bucket = f"bucket-{secrets.token_hex(6)}"
    client().create_bucket(Bucket=bucket)
    yield bucket
    client.cache_clear()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Return Debian's ClickHouse server, started on a configuration of ours; its clock is New York's."""
    folder = tmp_path_factory.mktemp("server")
    http, tcp, https = free_port(), free_port(), free_port()
    engines.write_config(folder, http, tcp, https)
    process = engines.start(folder)
    try:
        until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{http}/ping", timeout=5).read(), process)
        table = Table("default", "ohlcv_candles", "127.0.0.1", http)
        yield Server(
            Engine(table, partial(engines.post, http), partial(engines.insert, http), False), http, tcp, https, folder
        )
    finally:
        stop(process)


class Server(NamedTuple):
    """A running server and its ports."""

    engine: Engine
    http: int
    tcp: int
    https: int
    folder: Path


@pytest.fixture(scope="session")
def embedded(tmp_path_factory):
    """Return the engine inside this process (chdb), of today's version; one folder a process is all it can."""
    import clickhouse_connect

    folder = tmp_path_factory.mktemp("chdb")
    client = clickhouse_connect.get_client(interface="chdb", path=str(folder))

    def insert(name, bar, data):
        database, table = name.split(".")
        about = f"FROM system.columns WHERE database = '{database}' AND table = '{table}'"
        kind = str(client.command(f"SELECT type {about} AND name = 'timestamp'"))
        (folder / "rows.bin").write_bytes(data)
        columns = "token_address, chain, toDateTime(timestamp), bar, open, high, low, close, volume"
        if kind.startswith("DateTime64"):
            columns = columns.replace("toDateTime(timestamp)", "toDateTime64(timestamp, 3)")
        source = f"file('{folder / 'rows.bin'}', 'RowBinary', '{engines.ROWS.format(bar=bar)}')"
        client.command(f"INSERT INTO {name} SELECT {columns} FROM {source}")

    return Engine(Table("default", "ohlcv_candles", folder=folder), client.command, insert, True)


@pytest.fixture(params=["server", "embedded"])
def engine(request):
    """Return each of the two engines."""
    found = request.getfixturevalue(request.param)
    return found.engine if request.param == "server" else found
