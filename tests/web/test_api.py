"""The REST API as others meet it: a real server, curl, a fuzzer that read its document, and a browser."""

import contextlib
import json
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
import service_runs
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

CHROMIUM = shutil.which("chromium")
WIDTHS, SCHEMES = (1280, 390), ("light", "dark")


@contextlib.contextmanager
def serving(root, *words):
    """Yield the address of a server of the runs below ``root``, ended again at the end."""
    command = [sys.executable, "-m", "highwater", "serve", "--runs", str(root), "--port", "0", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield re.match(r"(http://\S+)/docs", line)[1]
    finally:
        process.terminate()
        said = process.communicate(timeout=20)[1]
        assert "Traceback" not in said, said


@pytest.fixture(scope="module")
def made():
    return service_runs.made()


@pytest.fixture(scope="module")
def address(made):
    with serving(made.root) as url:
        yield url


def get(url, **headers):
    """Return (status, body) of a request."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def curl(*words):
    command = ["curl", "-s", "-m", "30", "-w", "\n%{http_code}", *words]
    done = subprocess.run(command, capture_output=True, check=False)
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), body


def listening(port):
    """Return the addresses at which this machine listens on a port, out of /proc/net, as ss -ltn shows them."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return [row[1].partition(":")[0] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port]


def test_it_listens_on_loopback_alone(address):
    assert ["0100007F"] == listening(int(address.rpartition(":")[2]))


def test_curl_is_answered_and_refused(address, made):
    session = next(path.name for path in made.root.glob("backtest_*"))

    assert 6 == json.loads(curl(f"{address}/api/runs")[1])["count"]
    assert 0 < json.loads(curl(f"{address}/api/trades?run_id={session}")[1])["total_count"]
    assert "metrics" in json.loads(curl(f"{address}/api/metrics/core?run_id={session}")[1])
    traversals = ("..%2f..%2fetc%2fpasswd", "%00", "..%252f..%252fetc%252fpasswd", "../../../etc/passwd")
    for path in traversals:
        assert 404 == curl("--path-as-is", f"{address}/api/runs/{path}")[0]
    assert 404 == curl(f"{address}/api/trades?run_id=run_id=../x")[0]
    assert 421 == curl("-H", "Host: evil.com", f"{address}/api/runs")[0]
    assert 421 == curl("-H", "Host:", f"{address}/api/runs")[0] or 400 == curl("-H", "Host:", f"{address}/api/runs")[0]
    assert 403 == curl("-H", "Origin: http://evil.com", f"{address}/api/runs")[0]
    assert 405 == curl("-X", "POST", f"{address}/api/runs")[0]
    assert 422 == curl(f"{address}/api/runs?limit=1e9")[0]


def test_a_body_of_100_mb_is_refused_before_it_is_read(address, tmp_path):
    path = tmp_path / "body"
    with path.open("wb") as file:
        file.truncate(100 << 20)

    for words in ((), ("-H", "Transfer-Encoding: chunked"), ("-H", "Content-Encoding: gzip")):
        began = time.monotonic()
        assert 413 == curl("-X", "POST", "--data-binary", f"@{path}", *words, f"{address}/api/runs")[0]
        assert 20 > time.monotonic() - began
    assert 200 == get(f"{address}/health")[0]


def test_others_need_the_token(made, tmp_path):
    token = tmp_path / "token"
    with serving(made.root, "--host", "0.0.0.0", "--token-file", str(token)) as url:
        local = url.replace("0.0.0.0", "127.0.0.1")

        assert (401, 401) == (get(local)[0], get(local, Authorization="Bearer wrong")[0])
        assert 200 == get(local, Authorization=f"Bearer {token.read_text().strip()}")[0]


def test_requests_from_8_clients_at_once(address, made):
    paths = [
        f"/api/trades?run_id={made.ids['policy']}",
        "/api/runs",
        "/health",
        f"/api/equity?run_id={made.ids['session']}",
    ]
    found = []

    def ask():
        found.extend(get(address + path)[0] for path in paths * 3)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [200] * 96 == found


def test_no_answer_is_undocumented(address, tmp_path):
    program = Path(sys.executable).with_name("schemathesis")
    words = [
        "run",
        f"{address}/openapi.json",
        "--max-examples",
        "25",
        "--seed",
        "7",
        "--wait-for-schema",
        "20",
        "--no-color",
    ]
    # A text may fit its bounds and still be no time and no column: such are 400, which is in the document.
    words += ["--exclude-checks", "positive_data_acceptance"]
    done = subprocess.run([program, *words], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout[-6000:]
    assert "Tested: 19" in done.stdout


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextlib.contextmanager
def page_of(browser, address, width=1280, scheme="light"):
    """Yield a page; errors on its console and requests that leave the server are an error in the end."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(address) else wrong.append(request.url))
    page.on("requestfailed", lambda request: wrong.append(f"{request.url} failed"))
    try:
        yield page
    finally:
        context.close()
    assert [] == wrong


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_documentation_in_a_browser(browser, address, width, scheme, tmp_path):
    with page_of(browser, address, width, scheme) as page:
        page.goto(f"{address}/docs")
        summaries = page.locator("summary")
        assert 19 == summaries.count()
        for i in range(19):
            summaries.nth(i).click()
        assert page.locator("details[open]").count() == 19
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=str(tmp_path / f"docs-{width}-{scheme}.png"))
        serious = [each for each in Axe().run(page).response["violations"] if each["impact"] in ("serious", "critical")]
        assert [] == [(each["id"], each["nodes"][0]["html"]) for each in serious]


def test_a_form_of_the_documentation_asks(browser, address, made):
    with page_of(browser, address) as page:
        page.goto(f"{address}/docs#get-api-trades")
        page.locator("#get-api-trades summary").click()
        form = page.locator("#get-api-trades form")
        form.locator("input[name=run_id]").fill(made.ids["session"])
        form.locator("input[name=limit]").fill("3")
        form.locator("button").click()
        page.wait_for_url("**/api/trades?*")
        assert 3 == json.loads(page.inner_text("body"))["returned_count"]


def test_a_caller_that_is_a_script_runs_nowhere(browser, address, made):
    with page_of(browser, address) as page:
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        page.goto(f"{address}/api/callers?run_id={made.ids['policy']}")
        assert service_runs.HOSTILE.replace("<", "\\u003c") in page.inner_text("body")
