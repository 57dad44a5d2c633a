"""Real ClickHouse engines for the tests beside: how each is started, and how the candles of a table get in."""

import os
import shutil
import struct
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from highwater.io.columns import bar_ms
from highwater.io.sources.clickhouse import Table

CONFIG = """<yandex>
  <logger><level>warning</level><log>{folder}/log</log><errorlog>{folder}/errors</errorlog></logger>
  <http_port>{http}</http_port> <tcp_port>{tcp}</tcp_port> {secure}
  <listen_host>127.0.0.1</listen_host>
  <path>{folder}/data/</path> <tmp_path>{folder}/tmp/</tmp_path> <user_files_path>{folder}/files/</user_files_path>
  <users_config>users.xml</users_config> <default_profile>default</default_profile>
  <default_database>default</default_database> <mark_cache_size>100000000</mark_cache_size>
  <timezone>America/New_York</timezone>
</yandex>"""
SECURE = """<https_port>{https}</https_port><openSSL><server>
  <certificateFile>{folder}/cert.pem</certificateFile><privateKeyFile>{folder}/key.pem</privateKeyFile>
  <verificationMode>none</verificationMode><cacheSessions>true</cacheSessions>
</server></openSSL>"""
USERS = """<yandex>
  <profiles><default><max_memory_usage>2000000000</max_memory_usage></default>
    <reading><readonly>1</readonly></reading></profiles>
  <users>
    <default><password></password><profile>default</profile>{who}</default>
    <reader><password>{password}</password><profile>reading</profile>{who}</reader>
  </users>
  <quotas><all></all></quotas>
</yandex>"""
PASSWORD = "se}cret ü"
WHO = "<networks><ip>127.0.0.1</ip></networks><quota>all</quota>"


class Engine(NamedTuple):
    """A running engine: where its tables lie, and ways to have it do a statement, and to add rows to a table."""

    table: Table
    run: object
    insert: object
    modern: bool

    def named(self, database, table):
        return self.table.__class__(**{**self.table.__dict__, "database": database, "table": table})


ROWS = "token_address String, chain String, timestamp UInt32, bar {bar}, " + ", ".join(
    f"{each} Float64" for each in ("open", "high", "low", "close", "volume")
)


def post(port, sql, data=b"", user="default", password="", scheme="http", context=None):
    """Return the answer of a server to a statement, as text."""
    query = urllib.parse.urlencode({"query": sql})
    request = urllib.request.Request(f"{scheme}://127.0.0.1:{port}/?{query}", data or b"\n", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()[:500]) from None


def insert(port, name, bar, data):
    """Add rows to a table of a server, which reads a DateTime as the number of seconds that it is."""
    return post(port, f"INSERT INTO {name} FORMAT RowBinary", data)


def write_config(folder, http, tcp, https):
    """Write the configuration of a server into ``folder``, with a certificate of its own where openssl is there."""
    for name in ("data", "tmp", "files"):
        (folder / name).mkdir(parents=True)
    secure = ""
    if shutil.which("openssl"):
        words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
        words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
        secure = SECURE.format(https=https, folder=folder)
    (folder / "config.xml").write_text(CONFIG.format(folder=folder, http=http, tcp=tcp, secure=secure))
    (folder / "users.xml").write_text(USERS.format(who=WHO, password=PASSWORD))


def start(folder):
    """Start Debian's server on a configuration; it is ended by its process id."""
    words = ["clickhouse-server", f"--config-file={folder}/config.xml"]
    environment = {"PATH": os.environ["PATH"], "TZ": "America/New_York"}
    with (folder / "out").open("wb") as out:
        return subprocess.Popen(words, cwd=folder, stdout=out, stderr=out, env=environment)


def ms_of(table):
    """Return the times of candles, ms."""
    return table["timestamp"].cast(pa.timestamp("ms", "UTC")).cast(pa.int64()).to_numpy()


def rows_of(table, length):
    """Return candles (Arrow: token_address, timestamp, prices, volume) as RowBinary: old servers read texts inexactly.

    ``length`` is a number (UInt32) or a text; times are seconds (UInt32).
    """

    def word(text):
        data = text.encode()
        assert len(data) < 128
        return bytes([len(data)]) + data

    chain, bar = word("solana"), word(length) if isinstance(length, str) else struct.pack("<I", length)
    tokens, ts = table["token_address"].to_pylist(), ms_of(table) // 1000
    prices = np.stack([table[name].to_numpy() for name in ("open", "high", "low", "close", "volume")], axis=1)
    times = ts.astype("<u4").tobytes()
    values = prices.astype("<f8").tobytes()
    return b"".join(
        word(token) + chain + times[4 * i : 4 * i + 4] + bar + values[40 * i : 40 * i + 40]
        for i, token in enumerate(tokens)
    )


def make_table(engine, database, name, table, shape="interval_seconds", time="DateTime", bars="5m"):
    """Write candles as a table in one of the shapes of the wild; the shape '' has no column of lengths."""
    kind = {"interval_seconds": "interval_seconds UInt32", "interval": "`interval` String", "": "unused UInt32"}[shape]
    length = bars if shape == "interval" else bar_ms(bars) // 1000
    engine.run(f"CREATE DATABASE IF NOT EXISTS {database}")
    engine.run(f"DROP TABLE IF EXISTS {database}.{name}")
    prices = ", ".join(f"{each} Float64" for each in ("open", "high", "low", "close", "volume"))
    engine.run(
        f"CREATE TABLE {database}.{name} (token_address String, chain String, timestamp {time}, {kind}, {prices}) "
        "ENGINE = MergeTree PARTITION BY (chain, toYYYYMM(timestamp)) ORDER BY (token_address, chain, timestamp)"
    )
    add(engine, database, name, table, length)


def add(engine, database, name, table, length):
    """Add candles to a table."""
    bar = "String" if isinstance(length, str) else "UInt32"
    engine.insert(f"{database}.{name}", bar, rows_of(table, length))
