"""A made-up tree of commands, for tests of the shell around them."""

import os
from pathlib import Path
from typing import Annotated, Literal

import pytest
from highwater.engine.shell import run
from highwater.engine.values import HOUR, Duration, Instant, Range, Spelling

SEEN: list[dict] = []


def baseline(
    *,
    from_: Instant,
    horizon: Duration = 48 * HOUR,
    max_entry_delay: Duration | None = None,
    sl: float | None = None,
    tp: Range | None = None,
    order: Literal["sl_first", "tp_first"] = "sl_first",
    symbols: list[str] | None = None,
    mint: str = "",
    trials: int = 100,
    cache: bool = True,
    json: bool = False,
    source: Annotated[str, Spelling(("--database", "--calls-from"))] = "",
    store: Annotated[Path, Spelling(bare="results/store")] | None = None,
) -> None:
    """Path metrics of every alert.

    Nothing is traded: what is measured is the path of the price after each alert, up to the horizon of it.

    Parameters
    ----------
    from_
        First day, from midnight
        UTC on.
    horizon
        How long each alert is followed.
    cache
        Measure again what was measured before.
    store
        Where it goes.
    """
    SEEN.append(dict(locals()))


def show(run: str, others: list[str] | None = None, *, policy: str = "") -> None:
    """One run, in short.

    Parameters
    ----------
    run
        Its id.
    """
    SEEN.append(dict(locals()))


def tool(*, config: str = "") -> int:
    """A command with a config of its own."""
    SEEN.append(dict(locals()))
    return 3


TREE = {"baseline": baseline, "runs": {"show": show, "path-only": show}, "tool": tool}
DEFAULTS = {
    "horizon": 48 * HOUR,
    "max_entry_delay": None,
    "sl": None,
    "tp": None,
    "order": "sl_first",
    "symbols": None,
    "mint": "",
    "trials": 100,
    "cache": True,
    "json": False,
    "source": "",
    "store": None,
}
DAY1 = 1_704_067_200_000


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """Keep the environment, the working directory and the log of the user out of the tests."""
    for name in [name for name in os.environ if name.startswith("HIGHWATER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("platformdirs.user_log_path", lambda *_, **__: tmp_path)
    monkeypatch.chdir(tmp_path)
    SEEN.clear()


def call(*argv, tree=TREE):
    return run(tree, argv, version="1.2.3")
