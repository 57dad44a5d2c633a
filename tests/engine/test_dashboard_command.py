import importlib
import socket
import tomllib
from pathlib import Path

import pytest
from highwater.engine import dashboard_command
from small_market import run


def test_the_script_can_be_asked_for():
    path = Path(run("dashboard", "--script").out.strip())

    assert "streamlit_app.py" == path.name
    assert path.is_file()


def test_it_serves_this_machine_alone_and_tells_nobody():
    told = tomllib.loads((dashboard_command.SCRIPT.parent / ".streamlit/config.toml").read_text())

    assert "127.0.0.1" == told["server"]["address"] == told["browser"]["serverAddress"]
    assert (True, True) == (told["server"]["enableXsrfProtection"], told["server"]["enableCORS"])
    assert (False, "none") == (told["browser"]["gatherUsageStats"], told["client"]["showErrorDetails"])


def test_a_strange_origin_makes_streamlit_ask_no_server_for_this_machines_address(monkeypatch):
    frame = pytest.importorskip("highwater.engine.dashboard.frame")
    util = importlib.import_module("streamlit.net_util")
    for name in ("_external_ip", "_internal_ip"):
        monkeypatch.setattr(util, name, None)
    frame.stay_here()
    monkeypatch.setattr(util, "_make_blocking_http_get", lambda *_, **__: pytest.fail("it asked"))
    allowed = importlib.import_module("streamlit.web.server.server_util").is_url_from_allowed_origins

    assert (True, False) == (allowed("http://127.0.0.1:8501"), allowed("http://evil.example"))


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--port", "65536"], 2, "--port is 65536; it must be 0 (a free one) to 65535"),
        (["--runs", "nowhere"], 2, "nowhere is not a directory; name the directory of runs with --runs"),
    ],
)
def test_what_cannot_be_served_is_one_line(words, code, message):
    done = run("dashboard", *words)

    assert (code, f"highwater: {message}\n") == (done.code, done.err)


def test_a_port_that_is_taken_is_said(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("dashboard", "--runs", tmp_path, "--port", taken.getsockname()[1])

    assert 75 == done.code
    assert "is taken by another program; name another with --port" in done.err


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(dashboard_command.importlib.util, "find_spec", lambda name: None)
    done = run("dashboard", "--runs", tmp_path)

    assert (2, True) == (done.code, "pip install 'highwater[dashboard]'" in done.err)
