import asyncio
import os
import stat

import pytest
from highwater.engine.web.api import gate
from highwater.engine.web.api.gate import HEADERS, LOCAL, MOST_BODY, Gate, gate_of, guarded, is_local, read_token
from highwater.io.errors import UsageError

TOKEN = "0123456789abcdef-xyz"


def ask(headers=(), method="GET", body=(b"",), known=None):
    """Return (status, headers, body, the method as the application saw it) of a request that passes a gate, or not."""
    seen, sent, parts = [], [], list(body)

    async def app(scope, receive, send):
        seen.append(scope["method"])
        assert b"" == (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"served"})

    def refuse(status, code, message):
        async def say(scope, receive, send):
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": message.encode()})

        return say

    async def receive():
        part = parts.pop(0) if parts else b""
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "method": method, "headers": raw, "scheme": "http", "path": "/"}
    asyncio.run(guarded(app, known or Gate(), refuse)(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(m.get("body", b"") for m in sent[1:]), seen


def status(*headers, **more):
    return ask(headers, **more)[0]


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8000", "LocalHost"]
)
def test_this_machine_goes_by_these_names(host):
    assert 200 == status(("Host", host))


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.com",
            "evil.com:8000",
            "localhost.evil.com",
            "127.0.0.1.evil.com",
            "localhost@evil.com",
            "localhost:8000@evil",
        ),
        *(
            "[::1]evil.com",
            "[::1].evil.com",
            "[::ffff:127.0.0.1]",
            "[evil.com]",
            "::1",
            "",
            "localhost:",
            "localhost:x",
            "0.0.0.0",
        ),
        *("127.1", "2130706433", "localhost, evil.com", "localhost/..", "localhost\x00", "[::1]:8000:1", "10.0.0.1"),
    ],
)
def test_another_host_is_refused(host):
    found, _, body, seen = ask([("Host", host)])

    assert (421, []) == (found, seen)
    assert b"bad Host header" in body


def test_no_host_and_two_hosts_are_refused():
    assert 421 == status()
    assert 421 == status(("Host", "localhost"), ("Host", "localhost"))


def test_a_page_of_another_origin_is_refused():
    host = ("Host", "localhost:8000")

    assert 200 == status(host, ("Origin", "http://localhost:8000"))
    for origin in (
        "http://evil.com",
        "null",
        "http://localhost",
        "https://localhost:8000",
        "http://127.0.0.1:8000",
        "",
    ):
        assert 403 == status(host, ("Origin", origin)), origin
    assert 403 == status(host, ("Origin", "http://localhost:8000"), ("Origin", "http://evil.com"))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, 401),
        ("", 401),
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN} ", 200),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer \xff", 401),
        (TOKEN, 401),
        ("Basic YW55Ym9keTowMTIzNDU2Nzg5YWJjZGVmLXh5eg==", 200),  # anybody:TOKEN
        ("Basic MDEyMzQ1Njc4OWFiY2RlZi14eXo6", 401),  # TOKEN as the name
        ("Basic !!!", 401),
    ],
)
def test_the_token_is_asked_for(header, expected):
    headers = [("Host", "localhost"), *([] if header is None else [("Authorization", header)])]

    assert expected == ask(headers, known=Gate(token=TOKEN))[0]


def test_tokens_are_compared_in_constant_time(monkeypatch):
    calls = []
    monkeypatch.setattr(gate.hmac, "compare_digest", lambda *given: calls.append(given) or True)

    assert 200 == status(("Host", "localhost"), ("Authorization", "Bearer no"), known=Gate(token=TOKEN))
    assert [(b"no", TOKEN.encode())] == calls


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "QUERY"])
def test_nothing_but_get_is_served_with_a_token_or_without(method):
    assert (405, []) == ask([("Host", "localhost")], method)[::3]
    headers = [("Host", "localhost"), ("Authorization", f"Bearer {TOKEN}")]
    assert (405, []) == ask(headers, method, known=Gate(token=TOKEN))[::3]


def test_head_is_get_without_a_body():
    found = ask([("Host", "localhost")], "HEAD")

    assert (200, b"", ["GET"]) == (found[0], *found[2:])


def test_a_large_body_is_refused_and_a_small_one_thrown_away():
    host, chunked = ("Host", "localhost"), ("Transfer-Encoding", "chunked")
    part = b"x" * (MOST_BODY // 4)

    assert 413 == status(host, ("Content-Length", str(MOST_BODY + 1)), method="POST")
    assert 413 == status(host, ("Content-Length", "x"))
    assert 413 == status(host, ("Content-Length", "9" * 400))
    assert 413 == status(host, chunked, method="POST", body=[part] * 4 + [b"x"])
    assert 413 == status(host, ("Content-Length", "5"), body=[part] * 5)
    assert 405 == status(host, chunked, method="POST", body=[part] * 4)
    assert 200 == status(host, ("Content-Length", "4"), ("Content-Encoding", "gzip"), body=[b"bomb"])


def test_every_answer_has_the_headers_that_keep_pages_apart():
    for headers in ([("Host", "localhost")], []):
        found = ask(headers)[1]
        assert {name.encode(): value.encode() for name, value in HEADERS.items()} == found
    assert HEADERS["content-security-policy"].startswith("default-src 'self';")
    assert not any(name.startswith("access-control") for name in HEADERS)


def test_only_loopback_needs_no_token(tmp_path):
    for host in ("127.0.0.1", "localhost", "::1", "127.9.9.9"):
        assert (LOCAL, None) == ((found := gate_of(host, None)).hosts, found.token)
        assert is_local(host)
    for host in ("0.0.0.0", "::", "192.168.1.5", "research.example", ""):
        with pytest.raises(UsageError, match=r"--host .*needs --token-file: others can reach it"):
            gate_of(host, None)


def test_a_server_for_others_goes_by_its_addresses_and_names(tmp_path):
    found = gate_of("0.0.0.0", tmp_path / "token", ("Research.example",))

    def let_in(host):
        return status(("Host", host), ("Authorization", f"Bearer {found.token}"), known=found)

    assert [200, 200, 200, 200, 421] == [
        let_in(h) for h in ("research.example:80", "10.0.0.1", "[fe80::1]", "localhost", "evil.com")
    ]
    one = gate_of("10.0.0.1", tmp_path / "token")
    assert ("10.0.0.1" in one.hosts, one.addresses) == (True, False)


def test_a_token_is_made_for_its_owner_alone_and_kept(tmp_path):
    path = tmp_path / "token"
    token = read_token(path)

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 40 < len(token) and token == read_token(path)


def test_a_token_that_others_can_read_or_guess_is_refused(tmp_path):
    path = tmp_path / "token"
    for mode in (0o640, 0o604, 0o620):
        path.write_text(TOKEN)
        path.chmod(mode)
        with pytest.raises(UsageError, match=f"can be read by others \\(mode {mode:03o}\\): chmod 600"):
            read_token(path)
    path.chmod(0o600)
    for text in ("", "short", "two words that are long enough", "ümlaut" * 8):
        path.write_text(text)
        with pytest.raises(UsageError, match="must hold one token of 16 or more plain characters"):
            read_token(path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(UsageError, match="is not a plain file"):
        read_token(tmp_path / "pipe")
