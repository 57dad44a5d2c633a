"""The command ``backtest --symbols``: opening-range strategies over the sessions of many symbols."""

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ..io.errors import UsageError
from .report_command import Page
from .settings import Store
from .values import DAY, Instant, Interval, Spelling

if TYPE_CHECKING:
    from ..io.sources.series import Source
    from .session.run import Task

Provider = Literal["file", "yahoo", "binance", "synthetic"]
MINUTE = 60_000


def backtest(
    *,
    symbols: list[str],
    start: Instant,
    end: Instant,
    config: Path | None = None,
    data: Path | None = None,
    source: Provider | None = None,
    interval: Interval = MINUTE,
    cache: bool = False,
    cache_dir: Path = Path("cache"),
    report: bool = False,
    output_dir: Annotated[Path, Spelling(("--runs",))] = Path("runs"),
    synthetic: bool = False,
    validate_or: Annotated[Literal["warn", "skip_day"], Spelling(bare="warn")] | None = None,
    threads: int | None = None,
    json: bool = False,
    quiet: bool = False,
    perturb: bool = False,
    verbose: Annotated[bool, Spelling(("-v",))] = False,
) -> int | None:
    """Trade the breakouts of opening ranges, session by session, on each of many symbols.

    The rules are OR-1 (kernels/SESSIONS.md). The days are from --start to before --end. Results are published as a run
    below --output-dir, and written once more as the files of the guide into backtest_YYYYMMDD_HHMMSS there.

    Args:
        symbols: Symbols, such as SPY QQQ.
        start: First day.
        end: The day after the last.
        config: Settings of the strategy, from a .yaml, .json or .toml file.
        data: Candles from this file or directory instead of a provider.
        source: Where candles come from (default: file with --data, else yahoo).
        interval: Length of a candle.
        cache: Keep what is fetched, and use what was.
        cache_dir: Where it is kept.
        report: Write the run's page too, and one of each symbol.
        output_dir: Directory that takes the run and the files.
        synthetic: Made-up candles, different for each symbol and day, the same every time.
        validate_or: Hold the candles of each day against the calendar: only say what is missing, or skip such days.
        threads: Symbols walked at once (default: all cores).
        json: Print one JSON document instead of text.
        quiet: Print no progress.
        perturb: Say what each numeric setting is worth: the expectancy with it 10 and 20 % lower and higher.
        verbose: Print what is read, each step and its time.
    """
    from .recipe import Clock
    from .session import show
    from .session.config import parse
    from .session.files import write_files
    from .session.run import Task, fetch, run_sessions

    if len(set(symbols)) < len(symbols):
        raise UsageError(f"--symbols names {next(each for each in symbols if symbols.count(each) > 1)} twice")
    task = Task(
        symbols=tuple(symbols),
        first=day_of(start, "--start"),
        end=day_of(end, "--end"),
        interval_ms=interval,
        config=parse(settings_of(config), str(config or "settings")),
        validate=validate_or,
        perturb=perturb,
    )
    if task.first >= task.end:
        raise UsageError(f"--start {task.first} is not before --end {task.end}")
    store, clock = Store(runs=output_dir, threads=threads, json=json, quiet=quiet), Clock()
    if not json:
        show.banner()
    given = fetch(task, source_of(task, data, source, synthetic), store, cache_dir if cache else None, clock)
    run = run_sessions(task, given, store, tuple(sys.argv[1:]), clock)
    folder = write_files(run, output_dir)
    if report:
        from .report.write import write_symbols

        write_symbols(run.path, store.slice_folder, tuple(each.symbol for each in run.walked), folder)
    if json:
        show.as_json(run, str(folder))
    else:
        show.result(run, folder, verbose)
    Page(report=report).write(run.path, store)
    return None


def settings_of(config: Path | None) -> dict[str, Any]:
    """Return the settings of a file; none without."""
    from ..io.config import read_config

    return {} if config is None else read_config(config)


def day_of(instant: int, flag: str) -> date:
    """Return the day of a midnight. Raises UsageError for another time."""
    if instant % DAY:
        raise UsageError(f"{flag} must be a day such as 2024-01-02, without a time")
    return datetime.fromtimestamp(instant / 1000, UTC).date()


def source_of(task: "Task", data: Path | None, source: Provider | None, synthetic: bool) -> "Source":
    """Return where the candles come from. Raises UsageError where the flags name two places."""
    from ..io.sources.series import Binance, Files, Synthetic, Yahoo
    from .session.run import hours_of

    asked = {
        "--data": "file" if data is not None else None,
        "--source": source,
        "--synthetic": "synthetic" if synthetic else None,
    }
    named = {flag: kind for flag, kind in asked.items() if kind is not None}
    if len(set(named.values())) > 1:
        raise UsageError(f"{' and '.join(named)} name different sources of candles; give one of them")
    kind = next(iter(named.values()), "yahoo")
    if kind == "file":
        if data is None:
            raise UsageError("--source file needs --data, a file or directory of candles")
        return Files(data)
    if kind == "synthetic":
        longest = max(hours_of(task, False).values(), key=lambda each: len(each.days))
        return Synthetic(longest.open, longest.close)
    return Yahoo() if kind == "yahoo" else Binance()
