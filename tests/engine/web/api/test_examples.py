"""What the document of the API, its page and its guide promise, held to what is answered."""

import json
import re
import shlex
from pathlib import Path

import documents
import web_client
from highwater.engine.service import runs
from highwater.engine.web.api import examples
from highwater.engine.web.api.routes import shape


def shaped(value, schema, place=""):
    """Yield where a value is not of the shape that the document says it has."""
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds or []
    words = {dict: "object", list: "array", bool: "boolean", int: "integer", float: "number", str: "string"}
    kind = "null" if value is None else words[type(value)]
    if kinds and kind not in kinds and not (kind == "integer" and "number" in kinds):
        yield f"{place} is {kind}, not {kinds}"
    if isinstance(value, dict):
        yield from (f"{place} lacks {key}" for key in schema.get("required", ()) if key not in value)
        for key, part in schema.get("properties", {}).items():
            yield from shaped(value.get(key), part, f"{place}.{key}")
    if isinstance(value, list):
        for each in value:
            yield from shaped(each, schema.get("items", {}), f"{place}[]")


def asked(made):
    """Return a path for each endpoint of the document, and what it is asked."""
    session, policy, search, surface = (made.ids[kind] for kind in ("session", "policy", "search", "surface"))
    web = web_client.client(made.root)
    digest = web.get("/api/strategies").json()["strategies"][0]["strategy_hash"]
    one = {
        path: f"{path}?run_id={session}" for path in ("/api/config/hash", "/api/trades", "/api/equity", "/api/verify")
    }
    one |= {
        path: f"{path}?run_id={session}" for path in ("/api/factors/sample", "/api/metrics/core", "/api/attribution")
    }
    return one | {
        "/api/runs/{run_id}": f"/api/runs/{policy}",
        "/api/runs/{run_id}/artifacts/{artifact}": f"/api/runs/{policy}/artifacts/paths",
        "/api/callers": f"/api/callers?run_id={policy}",
        "/api/surface": f"/api/surface?run_id={surface}",
        "/api/traces/{strategy_hash}": f"/api/traces/{digest}",
        "/api/compare": f"/api/compare?first={policy}&second={search}",
        "/api/ohlc": f"/api/ohlc?run_id={session}&symbol=SPY&limit=5",
    }


def test_every_answer_has_the_shape_of_its_example(web, made):
    paths, ask = web.get("/openapi.json").json()["paths"], asked(made)

    assert 19 == len(paths)
    for path, each in paths.items():
        content = each["get"]["responses"]["200"]["content"]["application/json"]
        response = web.get(ask.get(path, path))
        assert 200 == response.status_code, (path, response.text)
        assert [] == list(shaped(response.json(), content["schema"], path))
        assert [] == list(shaped(content["example"], content["schema"], path))
        if "text/csv" in each["get"]["responses"]["200"]["content"]:
            csv = web.get(ask.get(path, path), headers={"Accept": "text/csv"})
            assert (200, True) == (csv.status_code, csv.headers["content-type"].startswith("text/csv")), path


def test_the_trades_of_sessions_have_what_the_documents_say(web, made):
    trade = web.get(f"/api/trades?run_id={made.ids['session']}&limit=1").json()["trades"][0]
    (example,) = examples.TRADES["trades"]

    assert {*example} <= {*trade}
    assert [] == list(shaped(trade, shape(example, ("factors",))))
    assert trade["entry_timestamp"].endswith("Z")


def test_pages_of_rows_follow_each_other(web, made):
    path, seen, at = f"/api/runs/{made.ids['policy']}/artifacts/paths?columns=call_id&limit=7", [], 0
    while at is not None:
        found = web.get(f"{path}&offset={at}").json()
        seen += found["rows"]
        at = found["next_offset"]

    assert web.get(path.replace("limit=7", "limit=1000")).json()["rows"] == seen
    assert 24 == len(seen) == found["total_count"]


def test_the_page_of_documentation_loads_nothing_from_elsewhere(web):
    page = web.get("/docs")
    tags = re.findall(r"<[^>]*>", page.text)

    assert "text/html; charset=utf-8" == page.headers["content-type"]
    assert ['<script src="/docs/script.js" defer>'] == [tag for tag in tags if tag.startswith("<script")]
    assert [] == [tag for tag in tags if re.search(r"\s(style|on\w+)=", tag)]
    assert {"http://localhost:8000"} == set(re.findall(r"https?://[^/\s\"&<]*", page.text))
    for path in web.get("/openapi.json").json()["paths"]:
        assert f"GET {path}" in page.text
    for path in ("/docs/style.css", "/docs/icon.svg", "/docs/script.js", "/favicon.ico"):
        assert 200 == web.get(path).status_code


def test_the_examples_of_the_guide_work(web, made):
    text = (documents.ROOT / "engine/web/README.md").read_text()
    named = next(path.name for path in Path(made.root).glob("backtest_*"))
    digest = web.get("/api/strategies").json()["strategies"][0]["strategy_hash"][:12]
    known = {f"${kind.upper()}": made.ids[kind] for kind in ("session", "policy", "search", "surface")} | {
        "$HASH": digest
    }
    lines = [line for line in text.splitlines() if line.startswith("curl ")]

    assert 20 < len(lines)
    for line in lines:
        for name, value in known.items():
            line = line.replace(name, value)
        words = shlex.split(line.replace("backtest_20241002_153045", named))
        headers = dict(word.split(": ", 1) for word in words if ": " in word)
        response = web.get(words[-1].removeprefix("http://localhost:8000"), headers=headers)
        assert 200 == response.status_code, (line, response.text)
    assert json.loads(text.partition("id to ask about: `")[2].partition("`")[0]).keys() == {"detail", "code", "id"}


def test_the_python_of_the_guide_works(made, monkeypatch):
    text = (documents.ROOT / "engine/web/README.md").read_text()
    code = (
        text.partition("```python\n")[2]
        .partition("```")[0]
        .replace("list_runs(", "list_runs(root, Filter(run_type='policy'), ")
    )
    code = code.replace('"runs", limit=1', "limit=1").replace('open_run("runs"', "open_run(root")
    found: dict = {"root": made.root, "Filter": runs.Filter}
    exec(compile(code, "README.md", "exec"), found)

    assert 0 < found["table"].num_rows < 24
    assert found["run"].run_id == made.ids["policy"]
