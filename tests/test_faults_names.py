"""Names that callers chose, where a file, a spreadsheet or a page could take them for something else."""

import csv
from html.parser import HTMLParser

import pytest
from highwater.io.runs import find_run, read_artifact
from provoke import callers
from small_market import run


def test_a_name_is_no_formula_in_csv(tmp_path):  # F098
    name = '=HYPERLINK("http://x")'
    assert 0 == run(*callers(name)(tmp_path)).code
    done = run("runs", "export", "latest", "--runs", tmp_path / "runs", "--format", "csv", "--output", tmp_path)
    (file,) = tmp_path.glob("*_csv/results/callers.csv")

    assert 0 == done.code, done.err
    assert ["'" + name] == [row["caller_name"] for row in csv.DictReader(file.read_text().splitlines())]


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a\0b", "CON", "x" * 300, "a*b", "caf\u00e9", "cafe\u0301"])
def test_a_name_is_a_value_and_never_a_path(tmp_path, name):
    assert 0 == run(*callers(name)(tmp_path)).code
    found = find_run(tmp_path / "runs", "latest").path
    files = sorted(str(path.relative_to(found)) for path in found.rglob("*") if path.is_file())

    assert {name} == set(read_artifact(found, "callers")["caller_name"].to_pylist())
    assert ["_SUCCESS", "errors/errors.parquet", "inputs/alerts.parquet", "logs/run.log"] == files[:4]
    assert ["results/callers.parquet", "run.json", "truth/paths.parquet"] == files[4:]
    assert ["alerts.parquet", "candles.parquet", "runs"] == sorted(path.name for path in tmp_path.iterdir())


class Seen(HTMLParser):
    """What a browser would make of a page: its elements, its text, and the attributes that run or load something."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.acts, self.policy, self.text = [], [], "", ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        loads = [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.acts += [name for name, _ in attrs if name.startswith("on")]
        self.acts += [value for value in loads if not value.startswith(("#", "data:"))]
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"]

    def handle_data(self, data):
        self.text += data


SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def test_a_name_is_no_part_of_a_page(tmp_path):  # F099
    words = callers(SCRIPT)(tmp_path)[1:]
    levels = ["--tp", "1.1:2:0.1", "--sl", "0.5:0.9:0.1", "--by", "caller"]
    done = run("surface", *words, *levels, "--html", tmp_path / "p")
    page = (tmp_path / "p").read_text()
    seen = Seen(page)

    assert 0 == done.code, done.err
    assert SCRIPT not in page
    assert "default-src 'none'; script-src 'sha256-" in seen.policy
    assert [] == seen.acts
    assert 1 == page.count("<script>")  # ours; the others hold data
    assert not {"img", "iframe", "object", "form"} & {*seen.elements}
    assert {"html", "meta", "table", "svg"} <= {*seen.elements}
