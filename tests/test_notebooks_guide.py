"""The guide to notebooks runs as it stands, and names what there is."""

import re
from pathlib import Path

import documents
import small_market
from highwater.engine import notebook, result_plots

TEXT = documents.NOTEBOOKS.read_text()


def test_its_code_runs_from_top_to_bottom(tmp_path, monkeypatch):
    small_market.write(tmp_path / "market")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(compile(code, str(documents.NOTEBOOKS), "exec"), names)

    assert sum(row[1] for row in names["best"].fetchall()) == names["run"].table().num_rows
    assert Path("returns.html").stat().st_size > 1e6


def test_it_names_every_function_and_every_plot():
    assert {name for name in notebook.__all__ if name != "Result"} == set(
        re.findall(r"^\| `(\w+)\(", TEXT, re.MULTILINE)
    )
    assert [] == [name for name in result_plots.PLOTS if f"`{name}`" not in TEXT]
