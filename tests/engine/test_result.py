import html.parser
import shutil

import numpy as np
import pandas
import pyarrow as pa
import pytest
import small_market
from highwater.engine import notebook, result
from highwater.engine.result import opened
from highwater.io.errors import IntegrityError, MissingError, UsageError


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a directory with a baseline, a strategy and a sweep, the newest."""
    candles, alerts = small_market.tables()
    names = alerts["caller_name"].to_pylist()
    hostile = pa.array(["<script>alert(1)</script>" if name == names[0] else name for name in names])
    alerts = alerts.set_column(alerts.column_names.index("caller_name"), "caller_name", hostile)
    folder = tmp_path_factory.mktemp("runs")
    notebook.baseline(alerts, candles, runs=folder)
    notebook.strategy(alerts, candles, tp=2, sl=0.8, runs=folder)
    notebook.sweep(alerts, candles, trials=30, runs=folder, guards=False)
    return folder


def of(runs, kind):
    return next(each for each in map(opened, runs.glob("*/run_id=*")) if each.manifest.run_type == kind)


@pytest.mark.parametrize(("kind", "main"), [("path-only", "paths"), ("policy", "trades"), ("search", "frontier")])
def test_a_run_is_its_main_table_to_whatever_reads_arrow(runs, kind, main):
    run = of(runs, kind)

    assert pa.table(run).equals(run.table(main))
    assert isinstance(run.to_pandas(), pandas.DataFrame)
    assert len(run.to_pandas("callers")) == run.table("callers").num_rows
    assert {"alerts", "paths", "callers", "errors"} <= set(run.tables)


def test_a_table_that_is_not_there_is_named(runs):
    with pytest.raises(UsageError, match=r"no table 'trade'; did you mean 'trades'\?; it has alerts, "):
        of(runs, "policy").table("trade")


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_missing_library_is_said(runs, library, monkeypatch):
    monkeypatch.setattr(result.importlib.util, "find_spec", lambda name: None)
    monkeypatch.delitem(result.sys.modules, library, raising=False)

    with pytest.raises(
        UsageError, match=f"to_{library} needs {library}, which is not installed; pip install {library}"
    ):
        getattr(of(runs, "policy"), f"to_{library}")()


class Page(html.parser.HTMLParser):
    """What an HTML parser sees: tags, attributes and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = [], {}, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= attrs

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("kind", ["path-only", "policy", "search"])
def test_a_notebook_shows_a_small_piece_that_loads_and_runs_nothing(runs, kind):
    run = of(runs, kind)
    text = run._repr_html_()
    page = Page(text)

    assert len(text) < 10_000
    assert {"div", "strong", "table", "tr", "th", "td"} <= set(page.tags)
    assert {*page.tags} <= {"div", "strong", "svg", "path", "polyline", "table", "tr", "th", "td"}
    assert (kind != "path-only") == ("svg" in page.tags)
    assert not {"src", "href", "onload", "onclick"} & set(page.attributes)
    assert run.run_id in page.text and str(run.path) in page.text
    assert (kind == "policy") <= ("mean" in page.text)


def test_a_hostile_directory_is_text(tmp_path, runs):
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    shutil.copytree(runs, folder)

    assert "img" not in Page(opened("latest", folder)._repr_html_()).tags


@pytest.mark.parametrize(
    ("kind", "what", "title"),
    [
        ("policy", "", "Sum of returns"),
        ("policy", "returns", "Returns of the trades"),
        ("search", "", "Mean return per trade"),
        ("search", "equity", "Sum of returns"),
        ("path-only", "", "Calls that reached 2x"),
    ],
)
def test_plots(runs, kind, what, title):
    assert of(runs, kind).plot(what).layout.title.text.startswith(title)


def test_the_equity_that_is_plotted_is_the_sum_of_the_trades(runs):
    run = of(runs, "policy")
    rows = [row for row in run.table().to_pylist() if row["realized_return_bps"] is not None]
    rows.sort(key=lambda row: (row["entry_ts_ms"], row["call_id"]))
    sums = np.cumsum([row["realized_return_bps"] / 100 for row in rows])
    above, below = run.plot("equity").data

    np.testing.assert_allclose(above.y, sums)
    np.testing.assert_allclose(below.y, sums - np.maximum.accumulate(np.maximum(sums, 0)))


@pytest.mark.parametrize(
    ("kind", "what", "message"),
    [
        ("policy", "equty", r"there is no plot 'equty'; did you mean 'equity'\?"),
        ("policy", "map", "is of type policy and has no map plot"),
        ("path-only", "equity", "is of type path-only and has no equity plot"),
    ],
)
def test_a_plot_that_is_not_there_is_named(runs, kind, what, message):
    with pytest.raises(UsageError, match=message):
        of(runs, kind).plot(what)


def test_a_damaged_table_is_not_handed_out(runs, tmp_path):
    path = shutil.copytree(of(runs, "policy").path, tmp_path / "2026-01" / of(runs, "policy").path.name)
    file = path / "policy/trades.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")

    with pytest.raises(IntegrityError):
        opened(path).to_pandas()


def test_a_run_that_is_not_there(tmp_path):
    with pytest.raises(MissingError, match="there is no completed run"):
        opened("latest", tmp_path)
