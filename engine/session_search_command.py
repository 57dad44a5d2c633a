"""``sweep --strategy orb``: a search over the settings of the session runner, the flags that only it takes."""

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from ..io.errors import UsageError
from .report_command import Page
from .session_command import MINUTE, Preset, Provider, day_of, feed, settings_of
from .settings import Guards, Rows, Store
from .values import Instant, Spelling

if TYPE_CHECKING:
    from .session.config import Config, Optimization
    from .session.search import Work
    from .session.search_run import SearchRun

T = TypeVar("T")
_SHARED = ("trials", "seed", "objective", "top", "interval")  # with the search for exits


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """What a search over the settings of a session strategy takes, and no other.

    Args:
        strategy: Search the settings of this strategy of sessions instead of exits after alerts; it needs --symbols,
            --start, --end and --param, and none of what alerts need. What flags leave open is as the section
            optimization of --settings says, where that is enabled.
        symbols: Symbols, such as SPY QQQ.
        start: First day.
        end: The day after the last.
        param: A setting and its values, name=low:high:step or name=one,two: trade.t1_r=0.5:1.5:0.25.
        method: Draw --trials configurations (random, 1,000 by default), try every combination (grid), or ask optuna for
            them, told of those before (100; the extra of that name). Default random.
        min_trades: Configurations with fewer trades rank behind all others.
        settings: Settings of the strategy, from a .yaml, .json or .toml file.
        preset: Settings by name, which those of --settings change.
        data: Candles from this file or directory instead of a provider.
        source: Where candles come from (default: file with --data, else yahoo).
        synthetic: Made-up candles, the same every time.
        cache_dir: Keep what is fetched here, and use what was.
        validate_or: Hold the candles of each day against the calendar: only say what is missing, or skip such days.
    """

    strategy: Literal["orb"] | None = None
    symbols: list[str] | None = None
    start: Instant | None = None
    end: Instant | None = None
    param: list[str] | None = None
    method: Literal["random", "grid", "optuna"] | None = None
    min_trades: int = 30
    settings: Path | None = None
    preset: Preset | None = None
    data: Path | None = None
    source: Provider | None = None
    synthetic: bool = False
    cache_dir: Path | None = None
    validate_or: Annotated[Literal["warn", "skip_day"], Spelling(bare="warn")] | None = None


def sweep_sessions(*, places: Mapping[str, str], **given: Any) -> int | None:
    """Search the settings of a session strategy; what only exits after alerts take is refused."""
    from .recipe import Clock
    from .session.config import parse
    from .session.given import Task, fetch
    from .session.search_run import run_search

    asked, guards, store = _taken(Sessions, given), _taken(Guards, given), _taken(Store, given)
    page = _taken(Page, given)
    rows = _taken(Rows, given)
    shared = {name: given.pop(name) for name in _SHARED if name in given}
    for name in given:
        if places[name].startswith("--"):
            raise UsageError(f"{places[name]} beside --strategy {asked.strategy}: it is for exits after alerts")
    if (trials := shared.get("trials")) is not None and trials < 1:
        raise UsageError(f"--trials is {trials}; it must be at least 1")
    settings = parse(settings_of(asked.settings, asked.preset), str(asked.settings or "settings"))
    symbols, first, end, params = _needed(asked, settings.optimization)
    task = Task(symbols, first, end, shared.get("interval") or MINUTE, settings, asked.validate_or)
    work = _work(asked, settings, params, shared)
    clock = Clock()
    candles = fetch(task, feed(task, asked.data, asked.source, asked.synthetic, rows), store, asked.cache_dir, clock)
    run = run_search(task, candles, work, guards, store, tuple(sys.argv[1:]), clock)
    return show_search(run, store, page, shared.get("top", 10))


def show_search(run: "SearchRun", store: Store, page: Page, top: int) -> int | None:
    """Print what a search over settings found."""
    from .session import search_show

    if store.json:
        search_show.as_json(run, top)
    else:
        search_show.result(run, top)
    page.write(run.path, store)
    return None


def _work(asked: Sessions, settings: "Config", params: list[str], shared: Mapping[str, Any]) -> "Work":
    """Return what is to be searched: as the flags say, else as an enabled section ``optimization`` does."""
    from .refine import need_optuna
    from .session.axes import axis
    from .session.search import MOST_ASKED, OBJECTIVES, Work

    told = settings.optimization
    method = asked.method or (told.method if told.enabled else "random")
    objective = shared.get("objective", told.objective if told.enabled else "expectancy")
    trials = shared.get("trials", told.n_trials if told.enabled and method != "grid" else None)
    if objective not in OBJECTIVES:
        raise UsageError(f"--objective is '{objective}'; for sessions it must be one of {', '.join(OBJECTIVES)}")
    axes = tuple(sorted((axis(text) for text in params), key=lambda each: each.name))
    if twice := [each.name for each, other in pairwise(axes) if each.name == other.name]:
        raise UsageError(f"--param names {twice[0]} twice")
    work = Work(settings, axes, method, trials, shared.get("seed", 1), objective, asked.min_trades)
    if method == "optuna":
        need_optuna("--method optuna")
        if work.size > MOST_ASKED:
            raise UsageError(f"--trials is {work.size:,}; of optuna at most {MOST_ASKED:,}, more with --method random")
    return work


sweep_sessions.takes_places = True  # type: ignore[attr-defined]


def _taken(record: type[T], given: dict[str, Any]) -> T:
    """Return a record of what was given of it, and take that out of ``given``."""
    return record(**{name: given.pop(name) for name in inspect.signature(record).parameters if name in given})


def _needed(asked: Sessions, told: "Optimization") -> tuple[tuple[str, ...], Any, Any, list[str]]:
    """Return symbols, first day, the day after the last, and the settings to vary. Raises UsageError without any."""
    from .session.axes import usual

    params = asked.param or (list(map(usual, told.optimize_params)) if told.enabled else []) or None
    given = {"--symbols": asked.symbols, "--start": asked.start, "--end": asked.end, "--param": params}
    if missing := [flag for flag, value in given.items() if value is None]:
        raise UsageError(f"--strategy {asked.strategy} needs {', '.join(missing)}; see highwater sweep --help")
    symbols = asked.symbols or []
    if len(set(symbols)) < len(symbols):
        raise UsageError(f"--symbols names {next(each for each in symbols if symbols.count(each) > 1)} twice")
    first, end = day_of(asked.start or 0, "--start"), day_of(asked.end or 0, "--end")
    if first >= end:
        raise UsageError(f"--start {first} is not before --end {end}")
    return tuple(symbols), first, end, _whole(params or [])


def _whole(texts: list[str]) -> list[str]:
    """Return the settings with their values: the shell parts ``orb.base_minutes=10,15`` at its commas."""
    found: list[str] = []
    for text in texts:
        if "=" in text or not found:
            found.append(text)
        else:
            found[-1] += f",{text}"
    return found


def only_beside_strategy(asked: Sessions) -> None:
    """Raise UsageError for a flag of sessions where no strategy of them is asked for."""
    for field in fields(asked):
        if getattr(asked, field.name) != field.default:
            raise UsageError(f"--{field.name.replace('_', '-')} needs --strategy orb")
