import json
import os
import re
import subprocess
import sys

import numpy as np
import old_workspace
import pytest
import small_market
from highwater.engine import reopen, rerun
from highwater.engine.report import alerts
from highwater.engine.report.page import page
from highwater.engine.report.read import opened
from highwater.engine.report.write import write_report
from highwater.engine.show import bps, share
from highwater.io import schemas
from highwater.io.errors import IntegrityError, UsageError
from highwater.io.publish import stage
from highwater.io.runs import find_run, read_artifact, read_manifest, verify
from report_runs import ALERTS, HOSTILE, KINDS, Taken, make

SECTIONS = {
    "path-only": ["After the alerts", "Callers"],
    "policy": ["Summary", "Trades", "Best and worst trades", "Exit regret", "Callers", "After the alerts"],
    "search": ["Verdict", "Summary", "Surface", "Ranking", "Trades", "Best and worst trades", "Exit regret", "Callers"],
    "surface": ["Verdict", "Summary", "Surface", "Ranking", "Trades", "Best and worst trades", "Exit regret"],
    "session": ["Summary", "Trades", "Best and worst trades", "Factors", "Opening ranges", "Governance", "Settings"],
    "session search": ["Verdict", "Summary", "Ranking", "Settings that were tried", "Trades", "Factors"],
    "traces": ["Summary", "Strategies", "Parameters", "Best strategy", "Its best and worst trades"],
    "one trace": ["Summary", "Strategies", "Filters", "Best strategy"],
    "lab": ["Verdict", "Summary", "Backtests", "Parameters", "Best backtest", "Its best and worst positions", "Replay"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("runs"), {}

    def of(kind):
        if kind not in found:
            run, slices = make(folder / kind, kind)
            text = page(run, slices)
            found[kind] = run, slices, text, Taken(text)
        return found[kind]

    return of


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_has_the_sections_of_its_type(made, kind):
    run, _, text, taken = made(kind)
    manifest = read_manifest(run)

    titles = re.findall("<h2>(.*?)</h2>", text)
    assert SECTIONS[kind] == [title for title in titles if title in SECTIONS[kind]]
    assert ["Run", "Config"] == titles[-2:]
    assert manifest.run_id in taken.text
    assert manifest.config_digest in taken.text
    assert all(each.digest in taken.text for each in manifest.inputs)
    assert all(each.sha256 in taken.text for each in manifest.artifacts)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_whole_and_loads_nothing(made, kind):
    _, _, text, taken = made(kind)

    assert [] == taken.open
    assert len(text.encode()) < 6_000_000
    assert not {"img", "iframe", "object", "embed", "form", "base", "audio", "video"} & set(taken.tags)
    assert not [name for name, _ in taken.attributes if name.startswith("on") or name in ("src", "style", "srcset")]
    assert all(value.startswith(("#", "data:,")) for name, value in taken.attributes if name == "href")
    assert {"http://www.w3.org/2000/svg"} == set(re.findall(r"""https?://[^"'\s]*""", text))
    assert not re.search(r"""url\(|@import|javascript:|["> ](nan|inf)["<%x]""", text)
    assert f"script-src '{taken.digest('script')}'" in taken.policy
    assert f"style-src '{taken.digest('style')}'" in taken.policy
    assert taken.policy.startswith("default-src 'none';")


@pytest.mark.parametrize("kind", KINDS)
def test_charts_say_in_words_what_they_show(made, kind):
    _, _, text, taken = made(kind)
    labels = re.findall(r'class="chart" role="img" tabindex="0" aria-label="([^"]*)"', text)

    assert len(taken.data) == len(labels) == text.count('class="chart"') > 2
    assert all(len(label) > 30 for label in labels)
    for data in taken.data:
        if data["mode"] == "cell":
            assert data["columns"] * data["rows"] == len(data["text"])
        for series in data.get("series", ()):
            assert len(series["x"]) == len(series["y"]) == len(series["text"]) > 0
            assert series["x"] == sorted(series["x"])


@pytest.mark.parametrize("kind", ["search", "traces"])
def test_the_same_run_gives_the_same_bytes_in_any_process(made, kind, tmp_path):
    run, slices, text, _ = made(kind)
    words = ["report", run, "-o", tmp_path / "page.html", "--slices", slices]
    environment = os.environ | {"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    command = [sys.executable, "-m", "highwater", *map(str, words)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert (0, f"report  {(tmp_path / 'page.html').as_uri()}\n") == (done.returncode, done.stdout)
    assert text == (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("kind", ["policy", "search", "surface"])
def test_the_numbers_are_those_of_the_artifacts(made, kind):
    run, _, text, taken = made(kind)
    (row,) = read_artifact(run, "summary").to_pylist()
    trades = read_artifact(run, "trades")
    returns = trades["realized_return_bps"].drop_null().to_numpy()
    cards = dict(re.findall(r'<dt>([^<]*)</dt><dd class="[^"]*">([^<]*)</dd>', text))

    assert bps(row["avg_return_bps"], 2) == cards["Mean return"]
    assert bps(row["median_return_bps"], 2) == cards["Median return"]
    assert f"{row['trades_count']:,}" == cards["Trades"]
    assert share(row["win_rate"]) == cards["Wins"]
    assert f"{bps(row['mean_worst_bps'])} … {bps(row['mean_best_bps'])}" == cards["Candle bounds"]
    assert f"{row['verdict']}: {share(row['ambiguous_rate'])} hang on the order inside candles" in taken.text

    reasons = trades["exit_reason"].drop_null().to_pylist()
    mix = taken.rows["How trades ended"][1:]
    assert {name: f"{reasons.count(name):,}" for name in set(reasons)} == {line[0]: line[1] for line in mix}

    equity, fall = taken.data[_first(taken, "Sum of returns")], taken.data[_first(taken, "Fall below")]
    assert float(equity["series"][0]["text"][-1].split(": ")[1].rstrip("%").replace(",", "")) == pytest.approx(
        returns.sum() / 100, rel=0.01
    )
    assert len(returns) == len(equity["series"][0]["x"]) == len(fall["series"][0]["x"])


def _first(taken, title):
    """Return the number of the first chart with a title that begins so."""
    titles = re.findall(r'<h3>([^<]*)</h3>(?:<div class="name">[^<]*</div>)?\s*<div class="chart"', taken.page)
    return next(i for i, each in enumerate(titles) if each.startswith(title))


@pytest.mark.parametrize("kind", ["search", "surface"])
def test_the_ranking_the_verdict_and_the_map_are_those_of_the_artifacts(made, kind):
    run, _, text, taken = made(kind)
    frontier, guards = read_artifact(run, "frontier").to_pylist(), json.loads((run / "results/guards.json").read_text())
    title = next(name for name in taken.rows if name.startswith("Best of "))
    heads, *lines = taken.rows[title]
    deepest = bps(frontier[0]["max_drawdown_bps"])

    assert [str(row["rank"]) for row in frontier[:20]] == [line[0] for line in lines]
    assert [bps(row["avg_return_bps"], 2) for row in frontier[:20]] == [line[heads.index("mean")] for line in lines]
    assert f"Deepest: {deepest} of one stake." in taken.text

    assert guards["verdict"] in taken.text
    checks = {line[1]: (line[3], line[4]) for line in taken.rows["Verdict"][1:]}
    assert {c["name"]: ("; ".join(c["found"]), c["status"]) for c in guards["checks"]} == checks

    heat = next(data for data in taken.data if data["mode"] == "cell")
    table = read_artifact(run, "surface" if kind == "surface" else "trials")
    cells = [line.partition("\n")[2] for line in heat["text"]]
    assert any("%" in cell for cell in cells)
    assert ("; all around it pays" in json.dumps(heat)) == (kind == "surface" and 'class="plateau"' in text)
    if kind == "surface":
        names = re.search(r"Heat map of the mean return a trade over (\S+) and (\S+);", text).groups()
        means = {}
        for row in table.to_pylist():
            means.setdefault(tuple(row[name] for name in names), []).append(row["avg_return_bps"])
        expected = {f"{np.mean(values) / 100:.3g}%" for values in means.values()}
        assert expected == {cell.partition(";")[0] for cell in cells}


@pytest.mark.parametrize("kind", ["path-only", "policy"])
def test_callers_stand_with_their_intervals(made, kind):
    run, _, _, taken = made(kind)
    found = read_artifact(run, "callers").to_pylist()
    heads, *lines = taken.rows["Callers, by the median of their alerts' highs"]
    rates = []
    for row in found:
        ends = f" [{share(row['hit_2x_low'])}, {share(row['hit_2x_high'])}]" if row["hit_2x_low"] is not None else ""
        rates.append("–" if row["hit_2x_rate"] is None else share(row["hit_2x_rate"]) + ends)

    assert rates == [line[heads.index("reached 2x, 95%")] for line in lines]
    assert [f"{row['calls']:,}" for row in found] == [line[heads.index("calls")] for line in lines]


def test_curves_end_at_the_chances_of_the_artifact(made):
    run, slices, _, _ = made("path-only")
    seen = alerts.watched(opened(run, slices), read_artifact(run, "paths"), "2x")
    found = {row["caller_name"]: row["hit_2x_km"] for row in read_artifact(run, "callers").to_pylist()}

    for name, chance in found.items():
        mine = seen.names == name
        times, shares = alerts.curve(seen.times[mine], seen.hit[mine])
        assert (chance or 0.0) == pytest.approx(shares[-1])
        assert (0, 0.0) == (times[0], shares[0])
        assert np.all(np.diff(times) >= 0)


def test_backtests_of_a_lab_are_those_of_the_artifact(made):
    run, _, _, taken = made("lab")
    found = read_artifact(run, "lab_analytics").to_pylist()
    heads, *lines = taken.rows[f"Best of {len(found)} backtests, by return on balance"]
    profit = taken.data[_first(taken, "Realised profit")]["series"][0]["text"][-1].split(": ")[1]

    assert [f"{row['realized_profit']:+,.2f}" for row in found[:25]] == [line[heads.index("profit")] for line in lines]
    assert float(profit.replace(",", "")) == pytest.approx(found[0]["realized_profit"], rel=1e-4)
    assert json.loads((run / "results/guards.json").read_text())["verdict"] in taken.text


def test_hostile_names_are_text(made):
    for kind in ALERTS:
        _, _, text, taken = made(kind)

        assert 1 == text.count("<script>")
        assert not [value for name, value in taken.attributes if name == "onerror"]
        assert "img" not in taken.tags
        assert "\x1b" not in text
        assert all(name.replace("\x1b", "\\x1b") in taken.text for name in HOSTILE)


def test_a_corrupt_run_is_named_and_not_reported(tmp_path):
    run, slices = make(tmp_path, "path-only")
    path = run / "results/callers.parquet"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    with pytest.raises(IntegrityError, match=r"is corrupt, so there is no report of it: .*callers\.parquet"):
        write_report(run, slices)
    done = small_market.run("report", run)
    assert (4, "") == (done.code, done.out)
    assert not (run / "report.html").exists()


def test_a_failed_run_is_not_reported(tmp_path):
    with stage(tmp_path, "policy") as s:
        s.fail(ValueError("boom"))
    path = next(tmp_path.glob("????-??/run_id=*"))

    with pytest.raises(UsageError, match=r"failed .*it has no result to report"):
        page(path, tmp_path)


@pytest.mark.parametrize("kind", ["path-only", "policy", "search", "surface"])
def test_an_empty_run_has_a_true_page(made, kind, tmp_path):
    run, slices, _, _ = made(kind)
    before = read_manifest(run)
    with stage(tmp_path, before.run_type) as s:
        for each in before.artifacts:
            if each.rows is None:
                s.write_file(each.path, (run / each.path).read_bytes(), each.type)
                continue
            kept = each.type in ("summary", "frontier", "surface", "trials")
            table = read_artifact(run, each.path)
            s.write(
                each.type,
                schemas.with_run(table.drop_columns("run_id"), s.run_id).slice(0, None if kept else 0)
                if "run_id" in table.column_names
                else table.slice(0, 0),
            )
        path = s.publish(config=before.config, command=(), inputs=before.inputs, counts={}, timing_ms={})
    text = page(path, slices)
    taken = Taken(text)

    assert [] == taken.open
    assert not re.search(r"\b(nan|inf|None)\b", taken.text)
    if kind != "path-only":
        assert "No trade was made." in taken.text


def test_without_its_slice_a_page_says_so(made, tmp_path):
    for kind, word in (("policy", "no slice has the run's digest"), ("traces", "needs? the run's slice")):
        run, *_ = made(kind)

        assert re.search(word, Taken(page(run, tmp_path)).text)


@pytest.mark.parametrize("entry", ["next_open", "next_high", "bar_close", "alert_price"])
def test_windows_are_told_by_the_paths(tmp_path, entry):
    market = small_market.write(tmp_path)
    words = ["baseline", *market.flags, "--runs", tmp_path / "runs", "--entry", entry, "--horizon", "7h", "--quiet"]
    assert 0 == small_market.run(*words).code
    run = find_run(tmp_path / "runs", "latest").path
    manifest, slices = read_manifest(run), tmp_path / "runs/.slices"
    expected = rerun.prepared_as_it_was(run, manifest, slices)
    actual = reopen.as_entered(run, manifest, opened(run, slices).piece)

    ok = expected.ok
    assert expected.status == actual.status
    for name in ("first", "last", "price", "ts", "end", "coverage_end"):
        np.testing.assert_array_equal(getattr(expected.windows, name)[ok], getattr(actual.windows, name)[ok])


def test_a_page_lies_in_its_run_and_is_no_damage(tmp_path):
    run, slices = make(tmp_path, "path-only")
    target = write_report(run, slices)

    assert run.resolve() / "report.html" == target
    assert [] == verify(run)
    assert target == write_report(run, slices)
    assert ["report.html"] == [path.name for path in run.iterdir() if path.name.startswith((".", "report"))]


def test_another_file_is_not_replaced(made, tmp_path):
    run, slices, text, _ = made("path-only")
    other = tmp_path / "notes.html"
    other.write_text("<!doctype html>mine")

    with pytest.raises(UsageError, match="is there already and no report; name another file"):
        write_report(run, slices, other)
    with pytest.raises(UsageError, match="there is no directory"):
        write_report(run, slices, tmp_path / "missing" / "page.html")
    assert "mine" in other.read_text()
    assert text == write_report(run, slices, tmp_path / "new.html").read_text()


def test_a_command_that_makes_a_run_writes_its_page(tmp_path):
    market, runs = small_market.write(tmp_path), tmp_path / "runs"
    words = ["baseline", *market.flags, "--runs", runs, "--quiet", "--report"]
    plain, told = small_market.run(*words), small_market.run(*words, "--json")
    first, second = (find_run(runs, text).path for text in _ids(runs))

    assert f"report  {(first / 'report.html').as_uri()}" == plain.out.splitlines()[-1]
    assert "path" in json.loads(told.out)
    assert f"report  {(second / 'report.html').as_uri()}\n" == told.err
    assert read_manifest(first).run_id in (first / "report.html").read_text()


def _ids(runs):
    return sorted(path.name.removeprefix("run_id=") for path in runs.glob("????-??/run_id=*"))


def test_a_workspace_brought_over_has_a_page_too(tmp_path):
    old = old_workspace.write(tmp_path / "old")
    done = small_market.run("traces", "migrate", old, "--apply", "--runs", tmp_path / "runs", "--report")
    taken = Taken((find_run(tmp_path / "runs", "latest").path / "report.html").read_text())

    assert (0, "report  file:///") == (done.code, done.out.splitlines()[-1][:16])
    assert [] == taken.open
    assert "Strategies" in taken.text
