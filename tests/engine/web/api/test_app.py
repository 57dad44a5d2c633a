import contextlib
import time

import pytest
import service_runs
import web_client
from highwater.engine.service import limits, runs
from highwater.engine.web.api import answers, origin, routes
from highwater.engine.web.api.gate import HEADERS, Gate
from highwater.io.publish import stage

TRAVERSALS = (
    *(
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%252f..%252fetc%252fpasswd",
        "a%00",
        "run_id=..%2fx",
    ),
    *("%2fetc%2fpasswd", "~", "01M8FY0MKB9WHZPKV3EXM0MYMN", "01m8fy0mkb9whzpkv3exm0mymu", "C:%5Cx", "%ff"),
)


@pytest.fixture
def broken(tmp_path):
    return service_runs.copy(tmp_path)


def refused(response, status):
    """Return what an error says, after holding it to the one shape that errors have."""
    found = response.json()
    assert status == response.status_code, found
    assert ["detail", "code", "id"] == list(found)
    assert 8 == len(found["id"]) and "Traceback" not in response.text and "\n" not in found["detail"]
    assert "etag" not in response.headers
    return found["detail"]


# --- F103 to F112 of shared/faults.json; F101 is in test_serve_command, F102 and F106 in test_gate too ---


def test_f102_no_token(made):
    web = web_client.client(made.root, Gate(token="0123456789abcdef-xyz"))

    for path in ("/", "/docs", "/openapi.json", "/api/runs", "/nope"):
        assert "missing or wrong token" == refused(web.get(path), 401)
    assert "Basic" in web.get("/").headers["www-authenticate"]
    assert 200 == web.get("/api/runs", headers={"Authorization": "Bearer 0123456789abcdef-xyz"}).status_code


@pytest.mark.parametrize("text", TRAVERSALS)
def test_f103_runid_traversal(web, text):
    for path in (f"/api/runs/{text}", f"/api/runs/{text}/artifacts/trades", f"/api/trades?run_id={text}"):
        assert refused(web.get(path), 404).startswith(("there is no run '", "there is nothing here"))
    assert "there is no run" in refused(web.get(f"/api/verify?run_id={text}"), 404)


@pytest.mark.parametrize("name", ["..%2frun.json", "run.json", "policy%2ftrades.parquet", "nope", "equity", "%2e%2e"])
def test_f104_artifact_name(web, made, name):
    said = refused(web.get(f"/api/runs/{made.ids['policy']}/artifacts/{name}"), 404)

    assert "has no artifact" in said or "there is nothing here" in said


def test_f105_sql_injection(web, made):
    policy = made.ids["policy"]

    refused(web.get("/api/runs", params={"run_type": "x' OR 1=1 --"}), 422)
    assert "sort is '(select 1)'" in refused(web.get("/api/runs", params={"sort": "(select 1)"}), 400)
    assert "unknown parameter 'order_by'" in refused(web.get("/api/runs", params={"order_by": "(select 1)"}), 400)
    for words in ({"sort": "call_id; DROP"}, {"columns": "*"}, {"where": "1=1) OR (1=1"}, {"where": "x' OR 1=1"}):
        refused(web.get(f"/api/runs/{policy}/artifacts/trades", params=words), 400)
    assert 0 == web.get("/api/runs", params={"config_digest": "' OR ''='"}).json()["total_count"]
    assert 0 == web.get("/api/trades", params={"run_id": policy, "symbol": "x' OR '1'='1"}).json()["total_count"]
    with limits.tables() as database:
        for sql in (
            "COPY (SELECT 1) TO '/tmp/x'",
            "ATTACH '/tmp/x.db'",
            "SET memory_limit = '9GB'",
            "FROM '/etc/passwd'",
        ):
            with pytest.raises(Exception, match=r"(?i)disabled|locked|does not exist|cannot"):
                database.execute(sql)


def test_f106_dns_rebinding(web):
    for host in ("evil.com", "localhost.evil.com", "[::1].evil.com"):
        assert "bad Host header" in refused(web.get("/api/runs", headers={"Host": host}), 421)
    for host in ("127.0.0.1:8000", "[::1]:8000", "localhost"):
        assert 200 == web.get("/health", headers={"Host": host}).status_code
    refused(web.get("/api/runs", headers={"Origin": "http://evil.com"}), 403)
    assert not [name for name in web.get("/api/runs").headers if name.startswith("access-control")]


@pytest.mark.parametrize("limit", ["1e9", "-1", "abc", "0", "1001", "", "1.5", "９"])
def test_f108_huge_limit(web, made, limit):
    for path in ("/api/runs", "/api/strategies", f"/api/trades?run_id={made.ids['policy']}"):
        joint = "&" if "?" in path else "?"
        if limit != "９":  # a digit, if of another script
            assert "limit must be 1..1000" == refused(web.get(f"{path}{joint}limit={limit}"), 422)
    assert "offset" in refused(web.get("/api/runs?offset=-1"), 422)


def test_f109_slow_query(web, monkeypatch):
    def endless(*_, **__):
        with limits.limited(limits._memory(), 0.1) as database:
            database.execute("SELECT count(*) FROM range(100000000) a, range(100000) b WHERE a.range + b.range = -1")

    monkeypatch.setattr(origin, "list_runs", endless)
    began = time.monotonic()
    response = web.get("/api/runs")

    assert "takes longer than 0.1 s; ask for less" in refused(response, 503)
    assert "5" == response.headers["retry-after"]
    assert 9 > time.monotonic() - began


def test_f109_every_answer_has_its_time(web, made, monkeypatch):
    policy, search = made.ids["policy"], made.ids["search"]
    paths = [f"/api/verify?run_id={policy}", f"/api/verify?run_id={policy}&content=true"]
    paths += [f"/api/compare?first={policy}&second={search}", f"/api/trades?run_id={policy}"]
    paths += [f"/api/surface?run_id={made.ids['surface']}", f"/api/equity?run_id={policy}"]
    monkeypatch.setattr(routes, "TIME_S", 0.0)
    for path in paths:
        response = web.get(path)
        assert "the answer takes longer than 0 s; ask for less" == refused(response, 503)
        assert "5" == response.headers["retry-after"]
    for each in web.get("/openapi.json").json()["paths"].values():
        assert "takes longer than 10 s" in each["get"]["responses"]["503"]["description"]


def test_f110_big_body(web):
    assert "larger than 1 MiB" in refused(web.post("/api/runs", content=b"x" * (2 << 20)), 413)
    assert "use GET" in refused(
        response := web.post("/api/runs", content=b"x", headers={"Content-Encoding": "gzip"}), 405
    )
    assert "GET, HEAD" == response.headers["allow"]


def test_f111_nan_in_json(web, made, monkeypatch):
    monkeypatch.setattr(
        origin.results,
        "whole_of",
        lambda *_: origin.pa.table(
            {"run_id": ["x"], "symbol": origin.pa.nulls(1, origin.pa.string()), "total_trades": [3]}
            | {"profit_factor": [float("nan")], "win_rate": [float("inf")]}
        ),
    )
    response = web.get(f"/api/metrics/core?run_id={made.ids['session']}")

    assert "NaN" not in response.text and "Infinity" not in response.text
    found = response.json()
    assert {"total_trades": 3, "profit_factor": None, "win_rate": None} == found["metrics"]
    assert {"profit_factor": "no losing trade", "win_rate": "undefined on these trades"} == found["undefined"]


def test_f112_traceback_leak(web, monkeypatch):
    def bug(*_, **__):
        raise ZeroDivisionError("secret")

    kept = []
    monkeypatch.setattr(origin, "list_runs", bug)
    monkeypatch.setattr(answers, "record", lambda error: (kept.append(error), ("7f3a91c2", None))[1])
    said = refused(response := web.get("/api/runs"), 500)

    assert ("internal error, id 7f3a91c2", ["secret"]) == (said, [str(each) for each in kept])
    assert "secret" not in response.text
    assert {*HEADERS} <= {*response.headers}


# --- runs that are not as they should be ---


def test_a_caller_that_is_a_script_stays_a_text(web, made):
    response = web.get(f"/api/callers?run_id={made.ids['policy']}&sort=calls")
    names = [row["caller_name"] for row in response.json()["callers"]]

    assert service_runs.HOSTILE in names and service_runs.FORMULA in names
    assert "<" not in response.text
    assert ("application/json", "nosniff") == tuple(
        response.headers[n] for n in ("content-type", "x-content-type-options")
    )


def test_a_caller_that_is_a_formula_is_a_text_in_csv(web, made):
    path = f"/api/runs/{made.ids['policy']}/artifacts/alerts?columns=caller_name"
    lines = web.get(path, headers={"Accept": "text/csv"}).text.splitlines()

    assert '"\'=HYPERLINK(""http://evil.example"")"' in lines
    assert not [line for line in lines if line.lstrip('"').startswith(("=", "+", "-", "@"))]


def test_a_corrupt_run_is_named_and_not_served(broken):
    web, policy = web_client.client(broken.root), broken.ids["policy"]
    path = service_runs.path_of(broken, "policy")
    (path / "policy" / "trades.parquet").write_bytes(b"short")
    (named,) = web.get("/api/runs?status=corrupt").json()["runs"]

    assert (policy, True) == (named["run_id"], "trades.parquet: size is" in named["reason"])
    for url in (f"/api/trades?run_id={policy}", f"/api/runs/{policy}", f"/api/runs/{policy}/artifacts/paths"):
        assert "is corrupt and is not served" in refused(web.get(url), 409)
    found = web.get(f"/api/verify?run_id={policy}").json()
    assert (False, "policy/trades.parquet") == (found["sound"], found["findings"][0]["path"])


def test_bytes_that_were_changed_in_place_are_not_served(broken):
    web, policy = web_client.client(broken.root), broken.ids["policy"]
    assert 200 == web.get(f"/api/trades?run_id={policy}").status_code
    path = service_runs.path_of(broken, "policy") / "policy" / "trades.parquet"
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)

    for kind in ("application/json", "text/csv", "application/vnd.apache.arrow.stream"):
        said = refused(web.get(f"/api/trades?run_id={policy}", headers={"Accept": kind}), 409)
        assert "trades.parquet: sha256 is" in said and str(broken.root) not in said


def test_a_run_being_written_is_not_there_and_then_is(tmp_path):
    web = web_client.client(tmp_path)
    with stage(tmp_path, "path-only") as staged:
        assert 0 == web.get("/api/runs").json()["total_count"]
        refused(web.get(f"/api/runs/{staged.run_id}"), 404)
        staged.publish()

    assert [staged.run_id] == [run["run_id"] for run in web.get("/api/runs").json()["runs"]]
    assert "path-only" == web.get(f"/api/runs/{staged.run_id}").json()["run_type"]


def test_an_empty_run_and_one_that_failed(tmp_path):
    web = web_client.client(tmp_path)
    with stage(tmp_path, "policy") as empty:
        empty.publish()
    with stage(tmp_path, "policy") as lost:
        lost.fail(ValueError("no data"))

    assert [] == web.get(f"/api/runs/{empty.run_id}/artifacts/errors").json()["rows"]
    assert "has no artifact 'trades'" in refused(web.get(f"/api/equity?run_id={empty.run_id}"), 404)
    assert "failed" == web.get(f"/api/runs/{lost.run_id}").json()["status"]
    assert "has no results" in refused(web.get(f"/api/trades?run_id={lost.run_id}"), 404)
    assert 200 == web.get(f"/api/runs/{lost.run_id}/artifacts/errors").status_code


def test_a_run_that_is_deleted_while_it_is_read_is_gone(broken, monkeypatch, tmp_path):
    web, policy = web_client.client(broken.root), broken.ids["policy"]
    assert 200 == web.get(f"/api/trades?run_id={policy}").status_code
    path, read = service_runs.path_of(broken, "policy"), runs.read_manifest

    def deleting(run):
        with contextlib.suppress(FileNotFoundError):
            path.rename(tmp_path / "away")
        return read(run)

    monkeypatch.setattr(runs, "read_manifest", deleting)
    assert f"run {policy} was deleted" == refused(web.get(f"/api/trades?run_id={policy}"), 410)
    monkeypatch.undo()
    refused(web.get(f"/api/trades?run_id={policy}"), 404)
    assert 5 == web.get("/api/runs").json()["total_count"]


# --- answers ---


def test_an_answer_that_a_client_has_is_not_sent_again(web, made):
    for path in ("/api/runs", f"/api/trades?run_id={made.ids['session']}", "/docs", f"/api/runs/{made.ids['search']}"):
        first = web.get(path)
        again = web.get(path, headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'})
        assert (304, b"", first.headers["etag"]) == (again.status_code, again.content, again.headers["etag"])
        assert 200 == web.get(path, headers={"If-None-Match": '"x"'}).status_code
    tags = {web.get("/api/runs", headers={"Accept": kind}).headers["etag"] for kind in ("text/csv", "application/json")}
    assert 2 == len(tags)


def test_a_new_run_changes_the_tag_of_the_list(tmp_path):
    web = web_client.client(tmp_path)
    tag = web.get("/api/runs").headers["etag"]
    with stage(tmp_path, "path-only") as staged:
        staged.publish()

    assert 200 == web.get("/api/runs", headers={"If-None-Match": tag}).status_code


def test_head_is_get_without_its_body(web):
    head, get = web.head("/api/runs"), web.get("/api/runs")

    assert (200, b"", get.headers["etag"]) == (head.status_code, head.content, head.headers["etag"])
    assert get.headers["content-length"] == head.headers["content-length"]


def test_a_parameter_that_is_misspelt_or_given_twice_is_an_error(web, made):
    policy = made.ids["policy"]

    assert "did you mean 'symbol'" in refused(web.get(f"/api/trades?run_id={policy}&symbl=x"), 400)
    assert "limit is given twice" == refused(web.get("/api/runs?limit=1&limit=2"), 400)
    assert "run_id is missing" == refused(web.get("/api/trades"), 422)
    assert "there are none" in refused(web.get("/health?x=1"), 400)
    assert "from is 'soon'" in refused(web.get("/api/runs?from=soon"), 400)
    assert "no format" not in refused(web.get("/api/runs", headers={"Accept": "text/html"}), 406)


def test_files_that_are_no_tables_come_as_they_are(web, made):
    search = made.ids["search"]
    guards = web.get(f"/api/runs/{search}/artifacts/guards")

    assert "FAIL" == guards.json()["checks"][0]["status"]
    assert web.get(f"/api/runs/{search}/artifacts/log").headers["content-type"].startswith("text/plain")
    assert "image/svg+xml" == web.get(f"/api/runs/{search}/artifacts/heatmap").headers["content-type"]
    refused(web.get(f"/api/runs/{search}/artifacts/log", headers={"Accept": "text/csv"}), 406)
