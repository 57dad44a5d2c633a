"""The guide of labs: its commands from the login to a report, and its Python, as they stand, on a made-up server."""

import re
import shlex

import documents
import pytest
from haas_server import LAB, environment
from highwater.engine.cli import main
from highwater.engine.labs_demo_command import RUNNING, steps
from highwater.io.labs.access import NAMES
from highwater.io.labs.made_up import MadeUpLab
from highwater.io.labs.made_up_server import EMAIL, PASSWORD, MadeUp, serving

GUIDE = documents.LABS.read_text()
WALK, *_ = re.findall(r"^(export API_HOST.*?)```", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """Yield a directory in which the walk was done, and what each command printed."""
    folder = tmp_path_factory.mktemp("walk")
    labs = [MadeUpLab(LAB, 30), MadeUpLab(RUNNING, 30, "Running lab", seed=8)]
    with pytest.MonkeyPatch.context() as patched, serving(MadeUp(labs, done={RUNNING: 5}, chart_minutes=None)) as state:
        for name, value in {**environment(state), "HIGHWATER_RATE": "1000", "HIGHWATER_GUARDS": "false"}.items():
            patched.setenv(name, value)
        patched.chdir(folder)
        codes = [main(words) for words in commands()]
        yield folder, codes, state


def commands():
    """Yield the words of each command of the walk."""
    for line in WALK.splitlines():
        if line.startswith("highwater "):
            yield shlex.split(line.replace("5s", "5ms"), comments=True)[1:]


def test_the_walk_leads_from_the_login_to_a_report(walked):
    folder, codes, state = walked
    (export,) = (folder / "cache").iterdir()

    assert [0] * 9 == codes
    assert f"API_EMAIL={EMAIL} API_PASSWORD='{PASSWORD}'" in WALK
    assert {"backtests_list.json", "backtest_details", "backtests_analytics.csv"} == {p.name for p in export.iterdir()}
    assert (folder / "data" / "history_cutoffs.json").is_file()
    assert 30 == state.finished(state.labs[1])


def test_the_examples_of_the_guide_run_as_they_stand(walked, capsys, monkeypatch):
    monkeypatch.chdir(walked[0])
    blocks = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    out = capsys.readouterr().out

    assert 4 == len(blocks)
    assert "Event(kind='done'" in out and "30 backtests," in out and "True\n" in out
    assert (walked[0] / "backtests_analytics.csv").read_text().startswith('"rank","backtest_id"')


def test_the_walk_of_the_demo_has_the_same_commands():
    assert {tuple(words[:2]) for words in commands()} == {tuple(step.split()[:2]) for step in steps()}


def test_every_variable_is_in_the_table():
    table = GUIDE.partition("| variable |")[2].partition("\n\n")[0]

    assert set(NAMES) == set(re.findall(r"`([A-Z_]+)`", table))
