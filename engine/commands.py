"""The commands baseline and strategy, and those that show runs, slices and data; each makes one call, and prints."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from ..io.errors import UsageError
from .places import AllSlices, Runs
from .policy import Policy, parse_policy, policy_from_flags
from .report_command import Page
from .settings import Exports, Sources, Store, Trading, takes
from .values import Duration, Interval, Spelling


def multiples_of(texts: list[float] | None) -> tuple[float, ...]:
    """Return the multiples that a run measures beside the contract's: those given, or the usual two."""
    from .baseline import DEFAULT_MULTIPLES

    for value in texts or ():
        if not 1 < value < 1e9:
            raise UsageError(f"--multiples {value:g}: a multiple of the entry price must lie above 1")
    return DEFAULT_MULTIPLES if texts is None else tuple(texts)


@takes(sources=Sources, trading=Trading, store=Store, exports=Exports, page=Page)
def baseline(
    *,
    multiples: list[float] | None = None,
    top: int = 20,
    min_calls: int = 1,
    sources: Sources,
    trading: Trading,
    store: Store,
    exports: Exports,
    page: Page,
) -> int | None:
    """Measure what each alert's price did: highs, drawdowns, time to multiples; and a table of callers.

    Args:
        multiples: Multiples of the entry price beside 2, 3, 4, 5 and 10 (default: 1.2 and 1.5).
        top: Callers to print.
        min_calls: Print only callers with at least this many alerts.
    """
    from . import exports as exporting
    from . import show
    from .recipe import prepare
    from .run import run_baseline

    exporting.check(exports.targets())
    more = multiples_of(multiples)
    outcome = run_baseline(prepare(sources, trading, store), store, more, tuple(sys.argv[1:]))
    if store.json:
        show.as_json(outcome, ["callers"])
    else:
        show.head(outcome)
        show.callers(outcome, top, min_calls)
        show.foot(outcome)
    exporting.say(outcome.path, exports.targets(), store.slice_folder, store.quiet)
    page.write(outcome.path, store)
    return None


def _named(policy: Policy, name: str | None) -> Policy:
    if name is not None and policy.name not in (None, name):
        raise UsageError(f"--policy-id is '{name}', but the policy calls itself '{policy.name}'; leave one out")
    return policy if name is None else replace(policy, name=name)


@takes(sources=Sources, trading=Trading, store=Store, exports=Exports, page=Page)
def strategy(
    *,
    tp: float | None = None,
    sl: float | None = None,
    trail: float | None = None,
    trail_activate: float | None = None,
    breakeven: float | None = None,
    breakeven_offset: float | None = None,
    time_stop: Duration | None = None,
    ladder: str | None = None,
    tp_gap_fill: Literal["level", "open"] = "level",
    policy: str | None = None,
    policy_id: str | None = None,
    multiples: list[float] | None = None,
    top: int = 10,
    min_calls: int = 1,
    export_per_trade_parquet: Path | None = None,
    sources: Sources,
    trading: Trading,
    store: Store,
    exports: Exports,
    page: Page,
) -> int | None:
    """Trade every alert with one policy: its trades, their bounds, and what each caller's alerts earned.

    Args:
        tp: Take profit at this multiple of the entry price: 2 is +100 %.
        sl: Stop loss at this multiple of the entry price: 0.7 is -30 %.
        trail: Trailing stop this fraction below the high: 0.25 is 25 %.
        trail_activate: Arm the trailing stop at this multiple (default: from the entry on).
        breakeven: Move the stop to the entry price once this multiple is reached.
        breakeven_offset: Move it this fraction above (or below) the entry price instead.
        time_stop: Sell what is left after this time.
        ladder: Take profit in rungs, multiple@percent: 1.5@50%,2@30%.
        tp_gap_fill: Fill a target that a candle opens beyond at its level, or at that open.
        policy: The whole policy as JSON or as a file, instead of the flags above.
        policy_id: What to call the policy in its trades (default: the start of its digest).
        multiples: Multiples of the entry price beside 2, 3, 4, 5 and 10 (default: 1.2 and 1.5).
        top: Callers to print.
        min_calls: Print only callers with at least this many alerts.
        export_per_trade_parquet: Write each trade into this directory.
    """
    from . import exports as exporting
    from . import show
    from .policy import describe
    from .recipe import prepare
    from .run import run_strategy

    flags = (tp, sl, trail, trail_activate, breakeven, breakeven_offset, time_stop, ladder)
    if policy is not None and (any(flag is not None for flag in flags) or tp_gap_fill != "level"):
        raise UsageError("--policy holds the whole policy; leave --tp, --sl and the like out, or leave --policy out")
    chosen = parse_policy(policy) if policy is not None else policy_from_flags(*flags, tp_gap_fill)
    chosen = _named(chosen, policy_id)
    targets = exports.targets(export_per_trade_parquet)
    exporting.check(targets)
    more = multiples_of(multiples)
    outcome = run_strategy(prepare(sources, trading, store), store, chosen, more, tuple(sys.argv[1:]))
    if store.json:
        show.as_json(outcome, ["summary", "callers"])
    else:
        show.head(outcome)
        show.console().print(f"policy           {describe(chosen)}")
        show.summary(outcome)
        print()
        show.callers(outcome, top, min_calls)
        show.foot(outcome)
    exporting.say(outcome.path, targets, store.slice_folder, store.quiet)
    page.write(outcome.path, store)
    return None


def runs_list(*, runs: Runs = Path("runs"), limit: int = 20, json: bool = False) -> int | None:
    """List the runs of a directory, newest first.

    Args:
        runs: Directory of runs.
        limit: Runs to print.
        json: Print one JSON document instead of text.
    """
    from . import browse

    return browse.show_runs(runs, limit, json)


def runs_show(run: str, *, runs: Runs = Path("runs"), artifact: str | None = None, json: bool = False) -> int | None:
    """Show a run: its settings, inputs, artifacts and key numbers.

    Args:
        run: Run id, the start or end of one (4 characters or more), or "latest".
        runs: Directory of runs.
        artifact: Print the first rows of this artifact instead.
        json: Print one JSON document instead of text.
    """
    from . import browse

    return browse.show_run(runs, run, artifact, json)


_RUNS = Path("runs")
Partitioned = Annotated[bool, Spelling(("--partition",))]


def slices_list(*, slices: AllSlices = _RUNS / ".slices", json: bool = False) -> int | None:
    """List the slices that earlier runs cut.

    Args:
        slices: Directory of slices.
        json: Print one JSON document instead of text.
    """
    from . import browse

    return browse.show_slices(slices, json)


@takes(sources=Sources, trading=Trading, store=Store)
def slices_build(*, sources: Sources, trading: Trading, store: Store) -> int | None:
    """Cut the slice that a run with these settings would need, and print where it lies."""
    from .recipe import alerts_of, slice_for

    piece, reused = slice_for(alerts_of(sources), sources, trading, store)
    rejected = piece.facts.rejected
    lost = f", {len(rejected):,} token{'s' * (len(rejected) != 1)} rejected" if rejected else ""
    print(f"{piece.path} ({'found again' if reused else 'cut'}: {piece.facts.rows:,} candles{lost})")
    if rejected:
        print(f"rejected: {next(iter(rejected.values())).partition(': ')[2]}", file=sys.stderr)
    return None


@takes(sources=Sources, trading=Trading)
def slices_coverage(*, limit: int = 20, json: bool = False, sources: Sources, trading: Trading) -> int | None:
    """Say which tokens have candles where their alerts need them, before anything is cut.

    Args:
        limit: Tokens to print, those with least candles first.
        json: Print one JSON document instead of text.
    """
    from .coverage import show_coverage

    return show_coverage(sources, trading, limit, json)


def slices_verify(*, slices: AllSlices = _RUNS / ".slices") -> int | None:
    """Hash every slice and compare it with its manifest; exit code 4 where one differs.

    Args:
        slices: Directory of slices.
    """
    from . import browse

    return browse.check_slices(slices)


def slices_export(slice: Path, *, to: Path = Path("slices"), partitioned: Partitioned = False) -> int | None:  # noqa: A002
    """Write a slice as Parquet, to read elsewhere.

    Args:
        slice: The .arrow file.
        to: Directory to write into.
        partitioned: One file a token, in token_address=... directories.
    """
    from . import browse

    return browse.export_slice(slice, to, partitioned)


def data_check(
    file: Path,
    *,
    interval: Interval | None = None,
    time_unit: Literal["s", "ms", "us", "ns"] | None = None,
    on_unsorted: Literal["reject", "sort"] = "reject",
    on_dup_conflict: Literal["reject", "first", "last"] = "reject",
    allow_float32: bool = False,
    limit: int = 10,
    json: bool = False,
) -> int | None:
    """Say what is in a file of candles or alerts, and what is wrong with it.

    Args:
        file: A Parquet, Arrow or CSV file, a directory of Parquet files, or alerts as DuckDB or JSON lines.
        interval: Length of a candle (default: found in the data).
        time_unit: Unit of integer times (default: found by magnitude).
        on_unsorted: What to do with a series whose times go backwards.
        on_dup_conflict: What to do with two different candles of one time.
        allow_float32: Accept prices stored in single precision.
        limit: Series with notes to print.
        json: Print one JSON document instead of text.
    """
    from ..io.candles import CandleOptions
    from . import browse

    if not browse.holds_candles(file):
        return browse.check_alerts(file, time_unit, json)
    options = CandleOptions(
        interval_ms=interval,
        time_unit=time_unit,
        on_unsorted=on_unsorted,
        on_dup_conflict=on_dup_conflict,
        allow_float32=allow_float32,
    )
    return browse.check_candles(file, options, json, limit)


def data_synth(
    folder: Path,
    *,
    seed: int = 7,
    tokens: int = 200,
    callers: int = 12,
    days: int = 7,
    interval: Interval = 60_000,
) -> int | None:
    """Make up alerts and candles: jumps, pumps, dead tokens and gaps, the same for the same seed.

    Args:
        folder: Where candles.parquet and alerts.parquet go.
        seed: Seed of the random numbers.
        tokens: Number of tokens.
        callers: Number of callers.
        days: Days of trading.
        interval: Length of a candle.
    """
    from ..io.sources.synthetic import write_market
    from .progress import progress

    asked = {"seed": seed, "tokens": tokens, "callers": callers, "days": days, "interval_ms": interval}
    with progress("tokens", tokens) as advance:
        paths = write_market(folder, advance, **asked)
    print(*paths, sep="\n")
    return None


@takes(store=Store)
def demo(*, folder: Path | None = None, trials: int = 5_000, seed: int = 7, store: Store) -> int | None:
    """Make up data, measure it, and search it for exits: the main job in one command.

    Args:
        folder: Where the made-up data go (default: demo-data in the runs directory).
        trials: Policies to try.
        seed: Seed of the data and of the search.
    """
    from .demo import demo as show_demo

    show_demo(folder or store.runs / "demo-data", store, trials, seed)
    return None
