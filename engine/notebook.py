"""Runs from Python, on files or on tables in memory: what the commands do, with their flags as keywords."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..io.config import nearest
from ..io.errors import UsageError
from ..io.tables import FOLDER, kept
from .result import Result, opened
from .settings import MEMORY, Guards, Sources, Store, Trading
from .shell_help import Parameter, parameters
from .values import Range, convert, inner, is_list, kind_of, show

if TYPE_CHECKING:
    from .cluster.place import Place

__all__ = ["Result", "baseline", "opened", "strategy", "surface", "sweep", "traces"]

_EXITS = ("tp", "sl", "trail", "trail_activate", "breakeven", "breakeven_offset", "time_stop", "ladder")
_RANGES = _EXITS[:-1]


def baseline(alerts: Any, candles: Any, **settings: Any) -> Result:
    """Measure what each alert's price did, as ``highwater baseline`` does.

    ``alerts`` and ``candles`` are files, or tables with ``__arrow_c_stream__`` (pandas, polars, DuckDB, pyarrow, ...);
    settings are the command's flags: ``horizon="48h"`` or in ms, ``runs="runs"``. Raises what the command would print.
    """
    from . import commands
    from .recipe import prepare
    from .run import run_baseline

    asked = _asked("baseline", commands.baseline, settings, alerts=alerts, candles=candles)
    sources, trading, store = (asked.of(record) for record in (Sources, Trading, Store))
    return _opened(run_baseline(prepare(sources, trading, store), store, _multiples(asked), asked.words))


def strategy(alerts: Any, candles: Any, policy: Mapping[str, Any] | str | None = None, **settings: Any) -> Result:
    """Trade every alert with one policy, as ``highwater strategy`` does: ``tp=3, sl=0.8``, or a whole ``policy``.

    All else as for ``baseline``.
    """
    from . import commands
    from .policy import parse_policy, policy_from_flags
    from .recipe import prepare
    from .run import run_strategy

    if policy is not None:
        settings["policy"] = policy if isinstance(policy, str) else json.dumps(policy)
    asked = _asked("strategy", commands.strategy, settings, alerts=alerts, candles=candles)
    flags = {name: asked.values[name] for name in (*_EXITS, "tp_gap_fill") if name in asked.values}
    if policy is not None and flags:
        raise UsageError("policy holds the whole policy; leave tp, sl and the like out, or leave policy out")
    chosen = policy_from_flags(**flags) if policy is None else parse_policy(policy, "policy")
    sources, trading, store = (asked.of(record) for record in (Sources, Trading, Store))
    return _opened(run_strategy(prepare(sources, trading, store), store, chosen, _multiples(asked), asked.words))


def sweep(alerts: Any, candles: Any, client: Any = None, **settings: Any) -> Result:
    """Search for exits, as ``highwater sweep`` does: ``tp="1.1:10", sl="0.3:0.95", trials=10_000``.

    ``client``: the workers of this Dask client do the work, to the same digests; it stays open. All else as for
    ``baseline``.
    """
    from . import sweep_command
    from .searching import Search, searched

    asked = _asked("sweep", sweep_command.sweep, settings, alerts=alerts, candles=candles)
    what, guards = asked.of(Search), asked.of(Guards)
    sources, trading, store = (asked.of(record) for record in (Sources, Trading, Store))
    return _opened(searched(what, guards, sources, trading, store, asked.words, _place(asked, client)))


def surface(alerts: Any, candles: Any, client: Any = None, **settings: Any) -> Result:
    """Try every combination of exits, as ``highwater surface`` does: ``tp="1.1:10:0.1", time_stop="1h:24h:1h"``.

    All else as for ``sweep``.
    """
    from . import surface_command
    from .cluster.place import called
    from .objective import PLATEAU, check_objective
    from .recipe import prepare
    from .sizing import uncovered
    from .surface import plan
    from .surface_grid import grid_of
    from .surface_run import run_surface
    from .sweep import STATISTICS

    asked = _asked("surface", surface_command.surface, settings, alerts=alerts, candles=candles)
    sources, trading, store = (asked.of(record) for record in (Sources, Trading, Store))
    grid = grid_of(
        {name: tuple(each) if isinstance(each, list) else (each,) for name, each in _ranges(asked).items()},
        asked["max_cells"],
    )
    if what := uncovered(grid.space, trading):
        raise UsageError(f"a surface does not cover {what}: it is pessimistic, its exact worst and best beside it")
    check_objective(asked["objective"], (*STATISTICS, *grid.space.named, PLATEAU))
    how = asked["objective"], asked["medians"], asked["by"], asked["mem"], asked["max_cells"]
    with called(_place(asked, client)) as place:
        outcome = run_surface(
            prepare(sources, trading, store),
            store,
            lambda prepared: plan(grid, prepared, *how),
            asked.of(Guards),
            asked.words,
            place=place,
        )
    return _opened(outcome)


def traces(strategies: Any, candles: Any, **settings: Any) -> Result:
    """Make the signals of strategies on candles, as ``highwater traces run`` does.

    ``strategies`` is a document as a mapping or a list, or what the command takes. All else as for ``baseline``.
    """
    from . import traces_command
    from .trace_settings import Dealing, Market
    from .traces.performance import Fills
    from .traces.reading import read_document
    from .traces.run import Task, run_traces
    from .traces.sweeps import parse_strategies

    document = strategies if isinstance(strategies, str) else json.dumps(strategies)
    asked = _asked("traces run", traces_command.traces_run, {"strategies": document, **settings}, candles=candles)
    market, dealing, store = (asked.of(record) for record in (Market, Dealing, Store))
    read, place = read_document(document)
    expansion = parse_strategies(read, place, asked["max_strategies"])
    fills = Fills(dealing.fill, dealing.fee_bps, dealing.slippage_bps, dealing.exits, dealing.memory, dealing.intrabar)
    held = {} if asked["force"] else None
    task = Task(read, expansion, market, fills if asked["performance"] else None, MEMORY, held, asked["name"])
    return _opened(run_traces(task, store, asked.words))


@dataclasses.dataclass(frozen=True)
class _Asked:
    """What was asked of a command: ``values`` by parameter, and the ``words`` of a command line that asks the same."""

    known: Mapping[str, Parameter]
    values: Mapping[str, Any]
    words: tuple[str, ...]

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name, self.known[name].default)

    def of(self, record: type) -> Any:
        """Return the settings of a record."""
        names = [each.name for each in dataclasses.fields(record)]
        return record(**{name: self.values[name] for name in names if name in self.values})


def _asked(command: str, function: Callable[..., Any], settings: Mapping[str, Any], **tables: Any) -> _Asked:
    """Return settings as a command takes them, text by its annotation; tables are kept beside the runs.

    Raises UsageError for a setting that the command does not have.
    """
    known = {each.name: each for each in parameters(function)}
    values: dict[str, Any] = {"quiet": True}
    for name, value in settings.items():
        if name not in known or name in ("json", "top", "min_calls", "html", "resume"):
            raise UsageError(f"{command} has no setting {name!r}{nearest(name, known)}")
        values[name] = _value(known[name].annotation, value, name)
    folder = Path(_local(known["runs"], values.get("runs", known["runs"].default))) / FOLDER
    for name, each in tables.items():
        is_text = isinstance(each, str)
        values[name] = _value(known[name].annotation, each, name) if is_text else kept(each, folder, name)
    words = [*command.split(), *(word for name, value in values.items() for word in _words(known[name], value))]
    return _Asked(known, {name: _local(known[name], value) for name, value in values.items()}, tuple(words))


def _local(parameter: Parameter, value: Any) -> Any:
    """Return the local copy of what lies on a store, as a command gets it; all else as it is."""
    return value if parameter.kind.open is None else parameter.kind.open(value)


def _value(annotation: Any, value: Any, name: str) -> Any:
    """Return text as its annotation has it, a number as a range of one value where a range is wanted."""
    if isinstance(value, list | tuple) and is_list(annotation):
        return [_value(inner(annotation).__args__[0], each, name) for each in value]
    if isinstance(value, str | Path):
        return convert(annotation, str(value), name)
    is_range = kind_of(annotation).name == "RANGE"
    if is_range and isinstance(value, int | float):
        value = Range(float(value), float(value))
    return [value] if is_range and is_list(annotation) else value


def _words(parameter: Parameter, value: Any) -> list[str]:
    """Return a value as it stands on a command line."""
    if not parameter.is_flag:
        return [str(value)]
    if parameter.is_switch:
        return [parameter.flag if value else parameter.negation]
    if value is None:
        return []
    parts = [[each] for each in value] if isinstance(value, list) else [value]
    return [parameter.flag, *(show(parameter.annotation, part) for part in parts)]


def _ranges(asked: _Asked) -> dict[str, Any]:
    """Return the ranges that were given, or that the command has by itself, by their columns."""
    found = {name: asked[name] for name in _RANGES}
    return {name + "_ms" * (name == "time_stop"): each for name, each in found.items() if each is not None}


def _place(asked: _Asked, client: Any) -> "Place | None":
    """Return where the workers are that do the work; None: it is done here."""
    from .cluster.place import place_of

    return place_of(asked["engine"] == "dask", asked["workers"], asked["scheduler"], client)


def _multiples(asked: _Asked) -> tuple[float, ...]:
    from .commands import multiples_of

    return multiples_of(asked["multiples"])


def _opened(outcome: Any) -> Result:
    """Return the run that was published. Raises what kept it from being saved."""
    return opened(outcome.path)
