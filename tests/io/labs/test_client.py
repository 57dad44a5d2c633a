import json
import logging
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from haas_server import LAB, connected, environment, haas
from highwater.io.errors import AccessError, BusyError, DataError, LimitError, StoreError
from highwater.io.labs import client as clients
from highwater.io.labs import made_up
from highwater.io.labs.access import read_access
from highwater.io.labs.client import Client
from highwater.io.labs.made_up_server import EMAIL, PASSWORD
from highwater.io.labs.wire import answer_of, unwrapped

RUNTIME = "GET_BACKTEST_RUNTIME"


def ids(server):
    return server.labs[0].ids()


def listed(client, length=10, count=None):
    return [each.value["BID"] for page in client.pages(LAB, length, count) for each in page.items]


def test_a_session_begins_with_both_steps_of_the_login(server, client):
    (lab,) = client.labs()

    assert (LAB, 25, 3) == (lab["LID"], lab["CB"], lab["S"])
    assert ["LOGIN_WITH_CREDENTIALS", "LOGIN_WITH_ONE_TIME_CODE", "GET_LABS"] == [name for name, _ in server.asked]
    (credentials, code, question) = (fields for _, fields in server.asked)
    assert credentials["interfaceKey"] == code["interfaceKey"] == question["interfacekey"]
    assert "password" not in question
    assert 6 == len(code["pincode"])


def test_details_runtime_chart_and_log_come(server, client):
    name = ids(server)[3]

    assert made_up.details(server.labs[0]) == client.lab(LAB).value
    assert made_up.runtime(server.labs[0], 3) == unwrapped(client.detail("runtime", LAB, name))
    assert 150 == len(unwrapped(client.detail("chart", LAB, name))["Charts"]["0"]["PricePlot"]["Candles"])
    assert ["[0] Made-up lab 3: started"] == unwrapped(client.detail("log", LAB, name))


def test_a_fixed_code_is_used():
    with haas(code="424242") as state:
        access = read_access(environment(state) | {"API_CODE": "424242"})
        with Client(access, rate=1e6) as client:
            assert 1 == len(client.labs())
        with pytest.raises(AccessError, match="API_CODE"), connected(state) as client:
            client.labs()


@pytest.mark.parametrize("length", [1, 7, 10, 25, 100])
def test_pages_are_followed_to_the_last(server, client, length):
    assert ids(server) == listed(client, length)


def test_an_entry_that_comes_twice_is_taken_once(server, client):
    server.faults["GET_BACKTEST_RESULT_PAGE"] = [None, "duplicate", "duplicate"]

    assert ids(server) == listed(client)


def test_a_cursor_that_leads_back_is_no_end(server, client):
    server.faults["GET_BACKTEST_RESULT_PAGE"] = [None, "loop"]
    with pytest.raises(DataError, match="leads back to where it was after 20 backtests of 25"):
        listed(client, count=25)
    server.faults["GET_BACKTEST_RESULT_PAGE"] = [None, None, "loop"]

    assert ids(server) == listed(client, count=25)


def test_fields_that_are_new_do_no_harm(server, client):
    server.unknown_fields = True

    assert ids(server) == listed(client)
    assert "NewField" in unwrapped(client.detail("runtime", LAB, ids(server)[0]))
    assert 25 == client.lab(LAB).value["CB"]


def test_the_entry_of_a_page_is_kept_as_it_is_written(server, client):
    first = next(client.pages(LAB, 3)).items[0]

    assert first.body in client.ask("Labs", "GET_BACKTEST_RESULT_PAGE", labid=LAB, nextpageid="0", pagelength="3").body


@pytest.mark.parametrize("fault", [500, 502, 504, 429, (429, 3), "cut", "short", "garbage"])
def test_what_passes_is_asked_again(server, client, fault):
    server.faults[RUNTIME] = [fault, fault]

    assert unwrapped(client.detail("runtime", LAB, ids(server)[0]))
    assert 3 == server.count(RUNTIME)
    assert [max(3, 1), max(3, 2)] == client.waits if fault == (429, 3) else [1, 2] == client.waits


@pytest.mark.parametrize(
    ("fault", "error", "message", "tries"),
    [
        (500, StoreError, "failed GET_BACKTEST_RUNTIME 4 times with HTTP 500", 4),
        ("cut", StoreError, "in 4 tries .an answer that is no whole JSON", 4),
        ("short", StoreError, "could not be asked", 4),
        (429, BusyError, "too many questions", 4),
        ((429, 3600), BusyError, "asks for 3600 s of patience", 1),
        (404, DataError, "with HTTP 404", 1),
        (302, DataError, "with HTTP 302", 1),
        ("refused", DataError, "refused: Backtest not found", 1),
    ],
)
def test_what_does_not_pass_is_an_error_of_one_line(server, client, fault, error, message, tries):
    server.faults[RUNTIME] = [fault] * 9
    with pytest.raises(error, match=message) as caught:
        client.detail("runtime", LAB, ids(server)[0])

    assert tries == server.count(RUNTIME)
    assert "\n" not in str(caught.value)


def test_a_slow_answer_is_given_up(server):
    server.faults[RUNTIME] = ["slow"]
    server.slow_s = 2.0
    with connected(server, timeout=1.0) as client:
        assert unwrapped(client.detail("runtime", LAB, ids(server)[0]))

    assert 2 == server.count(RUNTIME)


def test_nobody_there_is_an_error(server):
    access = read_access(environment(server) | {"API_PORT": "9"})
    client = connected(server)
    client._http.close()
    client.access, client._http = access, clients._http(access, 1.0)
    with client, pytest.raises(StoreError, match=r"127.0.0.1:9 could not be asked .* is it running\?"):
        client.labs()


def test_an_answer_without_end_is_cut_off(server, client, monkeypatch):
    monkeypatch.setattr(clients, "MOST_BYTES", 1000)
    with pytest.raises(LimitError, match="sent more than"):
        client.detail("runtime", LAB, ids(server)[0])


@pytest.mark.parametrize("refreshes", [True, False])
def test_a_session_that_ended_is_renewed(server, client, refreshes):
    server.session_calls, server.refreshes = 4, refreshes

    assert ids(server) == listed(client, length=2)
    assert (1 if refreshes else 4) == server.count("LOGIN_WITH_CREDENTIALS")


@pytest.mark.parametrize("fault", ["expired", 401])
def test_a_session_that_never_lasts_is_given_up(server, client, fault):
    server.faults[""] = [fault] * 20
    with pytest.raises(AccessError, match="ends each session at once"):
        client.labs()


def test_many_threads_renew_a_session_once(server, client):
    client.labs()
    server._sessions.clear()
    server.refreshes = False
    threads = [threading.Thread(target=client.labs) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert 2 == server.count("LOGIN_WITH_CREDENTIALS")


def test_a_wrong_password_is_told_once_and_not_repeated(server):
    secret = "not <the> password & more"
    access = read_access(environment(server) | {"API_PASSWORD": secret})
    with Client(access, rate=1e6) as client, pytest.raises(AccessError, match="check API_EMAIL") as caught:
        client.labs()

    assert 1 == server.count("LOGIN_WITH_CREDENTIALS")
    assert "Wrong password '***'" in str(caught.value)
    assert secret not in str(caught.value)


def test_nothing_secret_is_logged(server, caplog):
    caplog.set_level(logging.DEBUG)
    server.faults[RUNTIME] = [500, "short", "expired", "refused"]
    with connected(server) as client:
        with pytest.raises(DataError):
            client.detail("runtime", LAB, ids(server)[0])
        logging.getLogger("test").debug("something is logged")
        key = client._session["interfacekey"]

    assert "something is logged" in caplog.text
    assert not any(secret in caplog.text for secret in (PASSWORD, EMAIL, key))


def test_redirects_and_proxies_are_not_followed(server, client, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with connected(server) as fresh:
        assert 1 == len(fresh.labs())
    assert client._http.follow_redirects is False


def test_a_certificate_that_is_not_trusted_is_refused(certificate):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    listening.handle_error = lambda *_: None
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    who = {
        "API_HOST": "https://127.0.0.1",
        "API_PORT": str(listening.server_port),
        "API_EMAIL": "e",
        "API_PASSWORD": "p",
    }
    with (
        Client(read_access(who), rate=1e6) as client,
        pytest.raises(AccessError, match="certificate that is not trusted; name its authority in API_CA_FILE"),
    ):
        client.labs()
    with (
        Client(read_access(who | {"API_CA_FILE": str(certificate)}), rate=1e6) as client,
        pytest.raises(StoreError, match="HTTP 501"),  # trusted now; it cannot answer
    ):
        client.pace.rest = lambda seconds: None
        client.labs()
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture
def certificate(tmp_path):
    """Return a file with a key and a certificate of 127.0.0.1 that nobody signed."""
    import shutil
    import subprocess

    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed, which makes the certificate")
    path, options = tmp_path / "made.pem", ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    subprocess.run(
        ["openssl", "req", "-x509", *options, "-addext", "subjectAltName=IP:127.0.0.1", "-out", path, "-keyout", path],
        check=True,
        capture_output=True,
    )
    return path


def test_the_first_candle_and_the_depth_of_history_come(server, client):
    (market,) = server.markets
    first, months = server.markets[market]
    candles = client.candles(market, 60)

    assert min(candles) == next(iter(candles)) == first
    assert {"MaxMonths": months, "Status": 3, "Market": market} == client.history()[market]
    client.set_depth(market, 36)
    assert 36 == client.history()[market]["MaxMonths"]


def test_a_page_is_read_with_and_without_envelope():
    page = {"I": [{"BID": "a", "text": 'an "Success" in it'}], "NP": 7}
    for body in (page, {"Success": True, "Error": "", "Data": page}):
        items, following = clients._page_of(answer_of(json.dumps(body).encode()), "h:1", LAB)

        assert ([page["I"][0]], "7") == ([each.value for each in items], following)
    for body in ({"I": [{}]}, {"I": [3]}, {"I": None}, [], {"Success": True, "Data": None}):
        with pytest.raises(DataError, match=r"a page of lab .* that is none"):
            clients._page_of(answer_of(json.dumps(body).encode()), "h:1", LAB)
