"""The command ``backtest --symbols``: opening-range strategies over the sessions of many symbols."""

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ..io.errors import UsageError
from .report_command import Page
from .settings import Rows, Store, takes
from .values import DAY, Instant, Interval, Spelling, counted

if TYPE_CHECKING:
    from .session.given import Feed, Task

Provider = Literal["file", "yahoo", "binance", "synthetic"]
Preset = Literal["aggressive", "conservative", "low_requirements"]
MINUTE = 60_000


@takes(rows=Rows)
def backtest(
    *,
    symbols: list[str],
    start: Instant,
    end: Instant,
    config: Path | None = None,
    preset: Preset | None = None,
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
    rows: Rows,
) -> int | None:
    """Trade the breakouts of opening ranges, session by session, on each of many symbols.

    The rules are OR-1 (kernels/SESSIONS.md). The days are from --start to before --end. Results are published as a run
    below --output-dir, and written once more as the files of the guide into backtest_YYYYMMDD_HHMMSS there.

    Args:
        symbols: Symbols, such as SPY QQQ.
        start: First day.
        end: The day after the last.
        config: Settings of the strategy, from a .yaml, .json or .toml file.
        preset: Settings by name, which those of --config change.
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
    from .progress import say
    from .recipe import Clock
    from .session import show
    from .session.config import parse
    from .session.files import write_files
    from .session.given import Task, fetch
    from .session.run import run_sessions

    if not json:
        show.banner()
    say("Loading configuration...", quiet)
    if len(set(symbols)) < len(symbols):
        raise UsageError(f"--symbols names {next(each for each in symbols if symbols.count(each) > 1)} twice")
    task = Task(
        symbols=tuple(symbols),
        first=day_of(start, "--start"),
        end=day_of(end, "--end"),
        interval_ms=interval,
        config=parse(settings_of(config, preset), str(config or "settings")),
        validate=validate_or,
        perturb=perturb,
    )
    if task.first >= task.end:
        raise UsageError(f"--start {task.first} is not before --end {task.end}")
    store, clock = Store(runs=output_dir, threads=threads, json=json, quiet=quiet), Clock()
    given = fetch(task, feed(task, data, source, synthetic, rows), store, cache_dir if cache else None, clock)
    say(f"Data fetched for {counted(len(given.piece.facts.tokens), 'symbol')}", quiet)
    run = run_sessions(task, given, store, tuple(sys.argv[1:]), clock)
    folder = write_files(run, output_dir, verbose)
    if report:
        from .report.write import write_symbols

        write_symbols(run.path, store.slice_folder, tuple(each.symbol for each in run.walked), folder)
    if json:
        show.as_json(run, str(folder))
    else:
        show.result(run, folder, verbose)
    Page(report=report).write(run.path, store)
    return None


def settings_of(config: Path | None, preset: Preset | None) -> dict[str, Any]:
    """Return the settings of a preset, changed by those of a file; none without either."""
    from ..io.config import read_config
    from .session.presets import PRESETS, over

    return over({} if preset is None else PRESETS[preset], {} if config is None else read_config(config))


def day_of(instant: int, flag: str) -> date:
    """Return the day of a midnight. Raises UsageError for another time."""
    if instant % DAY:
        raise UsageError(f"{flag} must be a day such as 2024-01-02, without a time")
    return datetime.fromtimestamp(instant / 1000, UTC).date()


def feed(task: "Task", data: Path | None, source: Provider | None, synthetic: bool, rows: Rows) -> "Feed":
    """Return where the candles come from. Raises UsageError where the flags name two places."""
    from .session.given import feed_of

    flags: dict[str, Provider | None] = {
        "--data": "file" if data is not None else None,
        "--source": source,
        "--synthetic": "synthetic" if synthetic else None,
    }
    return feed_of(task, flags, data, rows)
