import socket
import sys

import pytest
import uvicorn
from highwater.engine import serve_command
from small_market import run


@pytest.fixture
def served(monkeypatch):
    """Return what the server was asked to serve, and on which sockets, instead of serving it."""
    found = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: found.append((self.config, sockets)))
    yield found
    for _, sockets in found:
        for each in sockets:
            each.close()


def test_f101_bind_default(tmp_path, served):
    done = run("serve", "--runs", tmp_path, "--port", 0)

    assert (0, "") == (done.code, done.err)
    config, (listening,) = served[0]
    address, port = listening.getsockname()
    assert "127.0.0.1" == address
    assert f"http://127.0.0.1:{port}/docs  (runs in {tmp_path}; Ctrl-C ends it)\n" == done.out
    assert (False, False, False, "off") == (
        config.proxy_headers,
        config.server_header,
        config.access_log,
        config.lifespan,
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "research.example"])
def test_f101_others_need_a_token(tmp_path, served, host):
    done = run("serve", "--runs", tmp_path, "--host", host)

    assert (2, f"highwater: --host {host} needs --token-file: others can reach it\n") == (done.code, done.err)
    assert [] == served


def test_others_with_a_token(tmp_path, served):
    done = run("serve", "--runs", tmp_path, "--host", "0.0.0.0", "--port", 0, "--token-file", tmp_path / "token")

    assert 0 == done.code, done.err
    assert "0.0.0.0" == served[0][1][0].getsockname()[0]
    assert 0o600 == (tmp_path / "token").stat().st_mode & 0o777


def test_what_cannot_be_is_one_line(tmp_path, served):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        lines = [
            run("serve", "--runs", tmp_path, "--port", port),
            run("serve", "--runs", tmp_path / "no"),
            run("serve", "--runs", tmp_path, "--port", 70000),
        ]

    assert [2, 2, 2] == [done.code for done in lines]
    assert f"--host 127.0.0.1 --port {port}: Address already in use; name another" in lines[0].err
    assert "is not a directory; name the directory of runs with --runs" in lines[1].err
    assert "--port is 70000; it must be 0..65535" in lines[2].err
    assert [] == served


def test_without_the_extra_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = run("serve", "--runs", tmp_path)

    assert (2, "highwater: serve needs fastapi and uvicorn: pip install 'highwater[api]'\n") == (done.code, done.err)
    assert serve_command.serve.__doc__
