"""One run of each kind for the doors that serve them, made by commands, with callers that mean harm."""

import functools
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import small_market
from highwater.engine.service import catalog
from highwater.io.runs import list_runs
from small_market import run

HOSTILE, FORMULA = "<script>alert(1)</script>", '=HYPERLINK("http://evil.example")'
STRATEGIES = """
strategies:
  - sma_crossover: {fast_period: 5, slow_period: 20}
  - sma_crossover: {fast_period: 10, slow_period: 30}
"""


class Made(NamedTuple):
    """A directory of runs, and the id of the run of each type in it."""

    root: Path
    ids: dict


catalog.WAIT_S = 30.0  # what else this machine does must not have a test read the generation before
_FOLDER = tempfile.TemporaryDirectory()  # for as long as this process lasts


@functools.cache
def made():
    """Return the runs, made once; nobody may change them."""
    return make(Path(_FOLDER.name))


def copy(folder):
    """Return a copy of the runs below ``folder``, to damage."""
    return Made(Path(shutil.copytree(made().root, folder / "runs", symlinks=True)), made().ids)


def path_of(runs, kind):
    """Return the directory of the run of a type."""
    return next(runs.root.glob(f"*/run_id={runs.ids[kind]}"))


def make(folder):
    """Make the runs in ``folder`` and return them."""
    candles, alerts = small_market.tables()
    names = alerts["caller_name"].to_pylist()
    first, second = list(dict.fromkeys(names))[:2]
    renamed = [{first: HOSTILE, second: FORMULA}.get(name, name) for name in names]
    alerts = alerts.set_column(alerts.column_names.index("caller_name"), "caller_name", pa.array(renamed))
    market = small_market.write(folder, candles, alerts)
    (folder / "strategies.yaml").write_text(STRATEGIES)
    root = folder / "runs"
    token = candles["token_address"][-1].as_py()
    commands = (
        ["baseline", *market.flags],
        ["strategy", "--tp", "2", "--sl", "0.5", *market.flags],
        ["sweep", "--trials", "20", *market.flags],
        ["surface", "--tp", "1.2:2:0.2", "--sl", "0.5:0.9:0.2", "--trail", "0.2:0.4:0.2", *market.flags],
        ["backtest", "--symbols", "SPY", "QQQ", "--start", "2024-01-02", "--end", "2024-02-10", "--synthetic"],
        ["traces", "run", "--strategies", folder / "strategies.yaml", "--candles", market.candles, "--symbols", token],
    )
    for words in commands:
        place = ["--output-dir"] if words[0] == "backtest" else ["--runs"]
        done = run(*words, *place, root, "--quiet")
        assert not done.code, (words, done)
    return Made(root, {each.manifest.run_type: each.run_id for each in list_runs(root) if each.manifest})
