"""The main job on made-up data, start to end: what a new user sees first."""

import sys
from pathlib import Path

from ..io.columns import bar_name
from ..io.errors import MissingError
from ..io.sources.synthetic import write_market
from . import show
from .baseline import DEFAULT_MULTIPLES
from .progress import progress
from .recipe import prepare
from .report_command import say as report
from .run import run_baseline
from .settings import MEMORY, Guards, Sources, Store, Trading
from .space import Space, describe
from .sweep import plan
from .sweep_run import run_sweep
from .values import Range

_SPACE = Space({"tp": Range(1.1, 10.0, None, True), "sl": Range(0.3, 0.95), "trail": Range(0.05, 0.6)})


def demo(folder: Path, store: Store, trials: int, seed: int) -> None:
    """Make alerts and candles in ``folder``, measure them, search for exits, and print what was found."""
    say = show.console().print
    with progress("tokens", 200, store.quiet) as advance:
        candles, alerts = write_market(folder, advance, seed=seed)
    say(f"Made-up data: {alerts} and {candles}\n", soft_wrap=True)
    sources = Sources(alerts=alerts, candles=candles)
    trading, command = Trading(), tuple(sys.argv[1:])
    say("1. What happened after each alert?  (highwater baseline)\n")
    first = run_baseline(prepare(sources, trading, store), store, DEFAULT_MULTIPLES, command)
    show.head(first)
    show.callers(first, 12, 1)
    show.foot(first)
    say("\n2. Which exits would have paid?  (highwater sweep)\n")
    second = run_sweep(
        prepare(sources, trading, store),
        store,
        _SPACE,
        lambda prepared: plan(_SPACE, trials, seed, "avg_return_bps", (), prepared, MEMORY, 10**11),
        Guards(),
        command,
    )
    say(f"search   {trials:,} trials, seed {seed}: {describe(_SPACE)}\n")
    show.frontier(second, 8)
    show.summary(second)
    show.judgement(second)
    show.map_of(second)
    show.foot(second)
    say(f"\nLook again:  highwater runs show {second.run_id[-6:]} --runs {store.runs}", soft_wrap=True)
    say(f"Heat map:    {second.path / 'results' / 'heatmap.svg'}", soft_wrap=True)
    say(f"({bar_name(first.prepared.step)} candles; the callers and prices are invented)\n")
    try:
        report(second.path, store.slice_folder)
    except MissingError as error:
        say(str(error), soft_wrap=True)
