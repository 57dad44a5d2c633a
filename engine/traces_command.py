"""The commands on strategy traces, and what they print."""

import json as json_format
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .places import Runs, Slices
from .report_command import Page
from .settings import MEMORY, Store, takes
from .trace_settings import Dealing, Market
from .values import Size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .traces.rule import Rule

Category = Literal["crossover", "bands", "breakout", "threshold", "momentum", "trend"]
WIDTH = 80
_RUNS = Path("runs")


def traces_strategies(*, category: Category | None = None, json: bool = False) -> int | None:
    """List the strategies: when each is long and when short, its parameters, their defaults, ranges and other names.

    Args:
        category: Only strategies of this kind.
        json: Print one JSON document instead of text.
    """
    from .traces.registry import RULES

    rules = [rule for rule in RULES.values() if category in (None, rule.category)]
    if json:
        print(json_format.dumps({"strategies": [_document(rule) for rule in rules]}, indent=2, allow_nan=False))
        return None
    for rule in rules:
        print("\n".join(_lines(rule)), end="\n\n")
    print(f"{len(rules)} strategies; after each candle's close one is long, short or else flat")
    return None


@takes(market=Market, dealing=Dealing, store=Store, page=Page)
def traces_run(
    *,
    strategies: str,
    performance: bool = True,
    force: bool = False,
    name: str | None = None,
    top: int = 10,
    max_strategies: int = 100_000,
    mem: Size = MEMORY,
    market: Market,
    dealing: Dealing,
    store: Store,
    page: Page,
) -> int | None:
    """Make the signals of strategies on each series, keep their changes as traces, and say what they would have earned.

    A strategy with exits of its own (risk) keeps them; --tp, --sl and the like are for those without. What another run
    of the store holds already, of the same strategy, candles and version, is not made again.

    Args:
        strategies: What to run: a YAML, JSON or TOML file, JSON such as '{"sma_crossover": {"fast_period": 10}}', or
            the name of a strategy.
        performance: Make the traces only; do not trade them.
        force: Make traces anew that another run holds.
        name: What to call the run.
        top: Strategies to print.
        max_strategies: Refuse a sweep of more strategies than this.
        mem: Memory for indicators.
    """
    from .traces import show
    from .traces.performance import Fills
    from .traces.reading import read_document
    from .traces.run import Task, run_traces
    from .traces.sweeps import parse_strategies

    document, place = read_document(strategies)
    expansion = parse_strategies(document, place, max_strategies)
    fills = Fills(dealing.fill, dealing.fee_bps, dealing.slippage_bps, dealing.exits, dealing.memory, dealing.intrabar)
    task = Task(document, expansion, market, fills if performance else None, mem, {} if force else None, name)
    traced = run_traces(task, store, tuple(sys.argv[1:]))
    if store.json:
        show.run_json(traced)
    else:
        show.run(traced, top)
    page.write(traced.path, store)
    return None


def traces_export(
    run: str,
    folder: Path,
    *,
    runs: Runs = _RUNS,
    slices: Slices | None = None,
    candles: Path | None = None,
) -> int | None:
    """Write each trace of a run as a file of its own, which says what it is of wherever it is found.

    A run of up to 200 strategies holds such files already.

    Args:
        run: Run id, the start or end of one (4 characters or more), or "latest".
        folder: Directory that takes them.
        runs: Directory of runs.
        slices: Directory of slices, for the candles (default: .slices beside the runs).
        candles: Read this file of candles instead; it must hold the same.
    """
    from ..io.runs import find_run
    from .traces.export import export_traces
    from .traces.load import Places

    print(f"{folder}: {export_traces(find_run(runs, run).path, folder, Places(slices, candles)):,} files")
    return None


def traces_migrate(
    workspace: Path,
    *,
    apply: bool = False,
    force: bool = False,
    limit: int = 20,
    runs: Runs = _RUNS,
    json: bool = False,
    report: bool = False,
) -> int | None:
    """Bring an older workspace over into a run: metadata.json and traces/<SYMBOL>_<tf>/signals/<type>/*.parquet.

    Without --apply it only says what would become of each file. The workspace is never changed. Parameters that
    metadata.json does not give stay unknown: such a strategy has no hash. What its traces earned is not known either.

    Args:
        workspace: The directory that holds them.
        apply: Make the run.
        force: Make it though a run holds this workspace already.
        limit: Files to print.
        runs: Directory of runs.
        json: Print one JSON document instead of text.
        report: Write the run's page too.
    """
    from ..io.errors import UsageError
    from ..io.old_traces import open_workspace
    from .traces import answers
    from .traces.migrate import holder, migrate, plan

    opened = open_workspace(workspace)
    brought = plan(opened)
    if apply and not force and (run_id := holder(runs, brought.digest)):
        raise UsageError(f"run {run_id} holds {workspace} already; --force makes another")
    if apply:
        brought = migrate(opened, runs, tuple(sys.argv[1:]))
    answers.migration(brought, limit, json)
    if brought.path is not None:
        Page(report=report).write(brought.path, Store(runs=runs, json=json))
    return None


def _document(rule: "Rule") -> dict[str, Any]:
    """Return a strategy as it is printed in JSON."""
    parameters = [
        {
            "name": each.name,
            "type": type(each.default).__name__,
            "default": each.default,
            "low": None if isinstance(each.default, bool) else each.low,
            "high": None if isinstance(each.default, bool) else each.high,
            "help": each.help,
            "aliases": each.aliases,
        }
        for each in rule.parameters
    ]
    words = {"name": rule.name, "category": rule.category, "aliases": rule.aliases, "long": rule.long}
    ascending = [" < ".join(pair) for pair in rule.ascending]
    return words | {"short": rule.short, "note": rule.note, "parameters": parameters, "constraints": ascending}


def _lines(rule: "Rule") -> "Iterator[str]":
    """Yield a strategy as text of WIDTH columns."""
    also = f", also {', '.join(rule.aliases)}" if rule.aliases else ""
    yield f"{rule.name} ({rule.category}{also})"
    yield from _wrapped("  long   ", rule.long)
    yield from _wrapped("  short  ", rule.short)
    cells = [
        (each.name, f"{each.default:g}", f"{each.low:g} to {each.high:g}")
        if not isinstance(each.default, bool)
        else (each.name, str(each.default).lower(), "true or false")
        for each in rule.parameters
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for each, (name, default, span) in zip(rule.parameters, cells, strict=True):
        first = f"  {name:<{widths[0]}}  {default:>{widths[1]}}  {span:<{widths[2]}}  "
        yield from _wrapped(first, each.help + (f"; also {', '.join(each.aliases)}" if each.aliases else ""))
    ascending = [f"{low} must be below {high}." for low, high in rule.ascending]
    if rule.note or ascending:
        yield from _wrapped("  ", " ".join([*ascending, rule.note]).strip())


def _wrapped(first: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first))
