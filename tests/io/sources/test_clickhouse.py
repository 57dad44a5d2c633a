"""Which table is meant, what an answer says, and what a refusal is to a user; engines are asked in tests/sources."""

import http.server
import struct
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from highwater.io.errors import AccessError, BusyError, DataError, MissingError, StoreError, UsageError
from highwater.io.sources import tries
from highwater.io.sources.clickhouse import Table, chosen, connect, quoted, table_of


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in ("HOST", "PORT", "DATABASE", "TABLE", "USER", "SECURE", "PASSWORD"):
        monkeypatch.delenv(f"CLICKHOUSE_{name}", raising=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("clickhouse://ch.local/mkt.bars", Table("mkt", "bars", "ch.local")),
        ("clickhouse://me@ch.local:9123/bars", Table("default", "bars", "ch.local", 9123, "me")),
        ("clickhouse://ch.local", Table("default", "ohlcv_candles", "ch.local")),
        ("clickhouses://ch.local/mkt.", Table("mkt", "ohlcv_candles", "ch.local", 8443, secure=True)),
        ("clickhouse://a%40b@[::1]:8123/mkt.bars", Table("mkt", "bars", "::1", 8123, "a@b")),
        ("chdb:///data/ch/mkt.bars", Table("mkt", "bars", folder=Path("/data/ch"))),
        ("chdb://ch/bars", Table("default", "bars", folder=Path("ch"))),
    ],
)
def test_a_url_names_a_table(text, expected):
    found = table_of(text)

    assert expected == found
    assert expected == table_of(str(found).replace("a@b@", "a%40b@"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("clickhouse://me:secret@ch.local/mkt.bars", "CLICKHOUSE_PASSWORD"),
        ("clickhouse://", "it must be clickhouse://user@host:port/database.table"),
        ("clickhouse://ch.local:x/mkt.bars", "its port must be a number"),
        ("clickhouse://ch.local/a.b?secure=1", "it must be"),
        ("clickhouse://ch.local/mkt.a b", "must be a name"),
        ("chdb://mkt.bars", "it must be chdb://folder"),
    ],
)
def test_what_names_no_table_is_refused(text, why):
    with pytest.raises(ValueError, match=why) as caught:
        table_of(text)

    assert "secret" not in str(caught.value)


def test_flags_go_over_a_url_and_over_the_environment():
    named = table_of("clickhouse://me@ch.local/mkt.bars")
    environment = {
        "CLICKHOUSE_HOST": "h",
        "CLICKHOUSE_PORT": "9000",
        "CLICKHOUSE_USER": "u",
        "CLICKHOUSE_SECURE": "true",
    }
    flags = {"host": None, "port": 1, "database": "d", "table": None, "user": None, "secure": None}

    assert Table("d", "bars", "ch.local", 1, "me") == chosen(named, flags)
    assert Table("d", "ohlcv_candles", "h", 1, "u", True) == chosen(None, flags, environment)
    assert Table("default", "ohlcv_candles", "localhost", 8123) == chosen(None, {}, {})
    assert Table("default", "ohlcv_candles", "h", 8443, secure=True) == chosen(None, {"host": "h", "secure": True}, {})
    assert Table("mkt", "bars", "ch.local", 8443, "me", True) == chosen(named, {"secure": True})
    assert Table("mkt", "bars", "ch.local", 1, "me", True) == chosen(named, {"secure": True, "port": 1})


def test_what_no_flag_or_variable_can_be_is_refused():
    with pytest.raises(UsageError, match="CLICKHOUSE_PORT is 'http'"):
        chosen(None, {}, {"CLICKHOUSE_PORT": "http"})
    with pytest.raises(UsageError, match="only --ch-database and --ch-table"):
        chosen(table_of("chdb://ch/bars"), {"host": "h"})
    with pytest.raises(UsageError, match="port is 70000"):
        chosen(None, {"port": 70000}, {})


class Fake(http.server.BaseHTTPRequestHandler):
    """Answers each question with the next of ``answers``: (status, body, bytes promised beyond it)."""

    answers: list = []  # noqa: RUF012
    asked: list = []  # noqa: RUF012

    def do_POST(self):
        self.asked.append(
            (self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"])).decode())
        )
        status, body, more = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + more))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    """Return a table of a server that answers as ``Fake.answers`` say; nobody waits between tries."""
    monkeypatch.setattr(tries.time, "sleep", lambda _: None)
    Fake.answers, Fake.asked = [(200, b"1\n", 0)], []
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fake)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield Table("mkt", "bars", "127.0.0.1", made.server_address[1], "me")
    made.shutdown()
    made.server_close()


def test_texts_and_rows_are_read_as_they_are_sent(server, monkeypatch):
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "pä:ss")
    link = connect(server)
    Fake.answers = [(200, b"a\\tb\tc\\\\\\n\nd\t\\'e\n", 0)]
    texts = link.ask("SELECT 'ü'")
    Fake.answers = [(200, struct.pack("<Iqddddd", 3, 60_000, 1, 2, 0.5, 1.5, 7) * 2, 0)]
    rows = link.rows("SELECT 1")

    assert [["a\tb", "c\\\n"], ["d", "'e"]] == texts
    assert [3, 3] == rows["code"].tolist()
    assert ([60_000] * 2, [0.5] * 2, [7.0] * 2) == tuple(rows[name].tolist() for name in ("ts", "low", "volume"))
    path, headers, sql = Fake.asked[1]
    assert ("/?database=mkt", "SELECT 'ü' FORMAT TSV") == (path, sql)
    assert ("me", "pä:ss".encode().decode("latin-1")) == (headers["X-ClickHouse-User"], headers["X-ClickHouse-Key"])
    assert "pä:ss" not in str(server)


def test_an_answer_cut_short_is_asked_for_again(server):
    link = connect(server)
    Fake.answers = [(200, b"half", 4), (200, b"whole\n", 0)]

    assert [["whole"]] == link.ask("SELECT 1")
    assert 3 == len(Fake.asked)


def test_the_port_of_the_native_protocol_names_the_one_for_http(server):
    told = f"Port 9000 is for clickhouse-client program.\r\nYou must use port {server.port} for HTTP.\r\n"
    Fake.answers = [(400, told.encode(), 0), (200, b"1\n", 0)]
    link = connect(server)

    assert [["1"]] == link.ask("SELECT 1")


@pytest.mark.parametrize(
    ("status", "code", "said", "kind", "text"),
    [
        (401, 193, "Wrong password for user me", AccessError, "does not let user 'me' in: Wrong password"),
        (403, 516, "me: Authentication failed", AccessError, "CLICKHOUSE_PASSWORD"),
        (403, 497, "me: Not enough privileges", AccessError, "lets user 'me' not do that"),
        (404, 81, "Database mkt doesn't exist", MissingError, "Database mkt doesn't exist"),
        (500, 241, "Memory limit exceeded", StoreError, "--ch-batch"),
        (500, 202, "Too many simultaneous queries", BusyError, "too many requests"),
        (400, 62, "Syntax error", DataError, "Syntax error"),
        (500, 999, "Something else", StoreError, "Something else"),
        (502, 0, "", StoreError, "after 4 tries"),
    ],
)
@pytest.mark.parametrize(
    "form",
    [
        "Code: {}, e.displayText() = DB::Exception: {}, e.what() = DB::Exception",
        "Code: {}. DB::Exception: {}. (NAME) (version 26.9)",
    ],
)
def test_a_refusal_is_one_line_with_its_exit_code(server, status, code, said, kind, text, form):
    Fake.answers = [(status, form.format(code, said).encode() if code else b"<html>\nbad gateway", 0)]
    with pytest.raises(kind) as caught:
        connect(server)

    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "e.what" not in str(caught.value)
    assert "version 26" not in str(caught.value)


def test_an_error_behind_rows_is_an_error(server):
    link = connect(server)
    Fake.answers = [(200, b"\0" * 52 + b"Code: 241, e.displayText() = DB::Exception: Memory limit, e.what() = x", 0)]
    with pytest.raises(StoreError, match="Memory limit"):
        link.rows("SELECT 1")


def test_nobody_there_is_told_after_four_tries(monkeypatch):
    monkeypatch.setattr(tries.time, "sleep", lambda _: None)
    with pytest.raises(StoreError, match=r"clickhouse://default@127.0.0.1:9 could not be read after 4 tries"):
        connect(Table("mkt", "bars", "127.0.0.1", 9))


def test_what_is_no_clickhouse_or_speaks_no_tls_is_said_at_once(server):
    with pytest.raises(StoreError, match=r"127.0.0.1:\d+ does not speak TLS; ask without it \(clickhouse:// or"):
        connect(replace(server, secure=True))
    Fake.answers = [(200, b"<html>hello</html>", 0)]
    with pytest.raises(StoreError, match=r"what answers at clickhouse://me@127.0.0.1:\d+ is no ClickHouse"):
        connect(server)

    assert 1 == len(Fake.asked)


def test_an_embedded_engine_needs_its_folder(tmp_path):
    with pytest.raises(MissingError, match="does not exist; it must be a folder of chdb"):
        connect(Table("mkt", "bars", folder=tmp_path / "nope"))
    with pytest.raises(MissingError, match="holds no tables of chdb"):
        connect(Table("mkt", "bars", folder=tmp_path))

    assert [] == list(tmp_path.iterdir())


def test_names_are_quoted():
    assert "`a\\`b\\\\`" == quoted("a`b\\")
