"""The settings every command shares, as frozen records, and how a record becomes flags of a command."""

import dataclasses
import functools
import inspect
import os
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ..io.errors import UsageError
from .places import TABLE, Alerts, Candles, Runs, Slices, is_object
from .values import SECOND, Duration, Instant, Interval, Share, Size, Spelling, show_duration, show_instant, spelling_of

if TYPE_CHECKING:
    from ..io.candles import CandleOptions

Entry = Literal["next_open", "next_high", "bar_close", "alert_price"]
Intrabar = Literal["pessimistic", "optimistic", "ohlc_path"]
Unit = Literal["s", "ms", "us", "ns"]
MEMORY = 512 << 20  # bytes for the blocks of a search, unless told otherwise


@dataclass(frozen=True, kw_only=True)
class Rows:
    """How rows become candles.

    Args:
        ts_label: Whether a candle's time is that of its open or its close.
        time_unit: Unit of integer candle times (default: found by magnitude).
        on_bad_bar: What to do with a candle that cannot be: make it a hole, or stop.
        on_unsorted: What to do with a series whose times go backwards.
        on_dup_conflict: What to do with two different candles of one time.
        allow_float32: Accept prices stored in single precision.
        max_decoded: Refuse candle files that decode to more than this.
    """

    ts_label: Literal["open", "close"] = "open"
    time_unit: Unit | None = None
    on_bad_bar: Literal["drop", "error"] = "drop"
    on_unsorted: Literal["reject", "sort"] = "reject"
    on_dup_conflict: Literal["reject", "first", "last"] = "reject"
    allow_float32: bool = False
    max_decoded: Size = 8 << 30

    @property
    def candle_options(self) -> "CandleOptions":
        """How the candles are to be read."""
        from ..io.candles import CandleOptions

        return CandleOptions(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Rows)})


@dataclass(frozen=True, kw_only=True)
class Reading(Rows):
    """How long candles are.

    Args:
        interval: Length of a candle; checked against the data (default: found there).
        resample: Make coarser candles of this length from the data first.
    """

    interval: Interval | None = None
    resample: Interval | None = None

    @property
    def candle_options(self) -> "CandleOptions":
        """How the candles are to be read."""
        return dataclasses.replace(super().candle_options, interval_ms=self.interval, resample_ms=self.resample)


@dataclass(frozen=True, kw_only=True)
class ClickHouse:
    """Candles out of ClickHouse.

    Args:
        ch_host: Host of ClickHouse, for candles (default: CLICKHOUSE_HOST, else localhost).
        ch_port: Its port for HTTP (default: CLICKHOUSE_PORT, else 8123, secure 8443).
        ch_database: Database (default: CLICKHOUSE_DATABASE, else default).
        ch_table: Table (default: CLICKHOUSE_TABLE, else ohlcv_candles).
        ch_user: User (default: CLICKHOUSE_USER, else default); the password is read from CLICKHOUSE_PASSWORD.
        ch_secure: Ask over TLS (default: CLICKHOUSE_SECURE).
        ch_batch: Tokens asked for at once, at most.
        ch_parallel: How many such questions at once.
    """

    ch_host: str | None = None
    ch_port: int | None = None
    ch_database: str | None = None
    ch_table: str | None = None
    ch_user: str | None = None
    ch_secure: bool | None = None
    ch_batch: int = 1000
    ch_parallel: int = 4


@dataclass(frozen=True, kw_only=True)
class Sources(Reading, ClickHouse):
    """What is read.

    Args:
        alerts: Alerts: a DuckDB, Parquet, CSV or JSON-lines file, here or at s3://bucket/key.
        candles: Candles: a Parquet, Arrow or CSV file or a directory of Parquet, s3:// or clickhouse:// (or --ch-...).
        from_: Only alerts from this time on (UTC; a date is its midnight).
        to: Only alerts before this time (UTC).
        caller: Only alerts of these callers.
        chain: Only alerts on this chain; alerts that name none are taken to be on it.
        mcap_min: Only alerts with at least this market cap in USD.
        mcap_max: Only alerts with at most this market cap in USD.
        alerts_table: The table of a DuckDB file.
        alerts_query: A SELECT on a DuckDB file instead of a table.
        alert_unit: Unit of integer alert times (default: ms).
        coverage_end: Time up to which the feed was complete (default: each series' last candle).
    """

    alerts: Alerts
    candles: Candles | None = None
    from_: Instant | None = None
    to: Instant | None = None
    caller: list[str] | None = None
    chain: str | None = None
    mcap_min: float | None = None
    mcap_max: float | None = None
    alerts_table: str | None = None
    alerts_query: str | None = None
    alert_unit: Unit | None = None
    coverage_end: Instant | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "candles", candles_of(self))
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise UsageError(f"--from {show_instant(self.from_)} is not before --to {show_instant(self.to)}")
        if self.mcap_min is not None and self.mcap_max is not None and self.mcap_min > self.mcap_max:
            raise UsageError(f"--mcap-min {self.mcap_min:g} is above --mcap-max {self.mcap_max:g}")
        if self.alerts_table and self.alerts_query:
            raise UsageError("--alerts-table and --alerts-query each name the alerts; leave one out")

    @property
    def candle_options(self) -> "CandleOptions":
        """How the candles are to be read."""
        return dataclasses.replace(super().candle_options, coverage_end_ms=self.coverage_end)


def candles_of(sources: Sources) -> Any:
    """Return where candles come from: a path, or the table that a URL, flags and the environment come to.

    Raises UsageError where flags of ClickHouse stand beside a file, and where nothing names candles.
    """
    flags = {name: getattr(sources, flag) for flag, name in TABLE.items()}
    given = [flag for flag, name in TABLE.items() if flags[name] is not None]
    if isinstance(sources.candles, Path) or is_object(sources.candles):
        if given:
            flag = "--" + given[0].replace("_", "-")
            raise UsageError(f"{flag} names a table of ClickHouse, but --candles is {sources.candles}; leave one out")
        return sources.candles
    if sources.candles is None and not given and not os.environ.get("CLICKHOUSE_HOST"):
        raise UsageError("no candles are named; pass --candles, or --ch-host and --ch-table")
    from ..io.sources.clickhouse import chosen

    return chosen(sources.candles, flags)


@dataclass(frozen=True, kw_only=True)
class Trading:
    """How an alert becomes a trade, and what that costs.

    Args:
        horizon: How long after its entry a trade is followed.
        entry: Where it is entered: next open, next high (stress), the candle's close, the alert's price.
        latency: Time from the alert until the entry is asked for.
        max_entry_delay: Longest wait for an entry candle (default: ten candles).
        intrabar: What comes first inside a candle that touches both a stop and a target.
        fee_bps: Fee of each side, in basis points.
        slippage_bps: Slippage of each side, in basis points.
        costs: How costs are charged: fs1, or legacy (as older engines did, for comparison only).
    """

    horizon: Duration = 48 * 3_600_000
    entry: Entry = "next_open"
    latency: Duration = 0
    max_entry_delay: Duration | None = None
    intrabar: Intrabar = "pessimistic"
    fee_bps: float = 30.0
    slippage_bps: float = 50.0
    costs: Literal["fs1", "legacy"] = "fs1"

    def __post_init__(self) -> None:
        if self.horizon < SECOND:
            raise UsageError(f"--horizon is {show_duration(self.horizon)}; it must be a second or more, such as 48h")
        for flag, value in (("--fee-bps", self.fee_bps), ("--slippage-bps", self.slippage_bps)):
            if not 0 <= value < 5000:
                raise UsageError(f"{flag} is {value:g}; it must be at least 0 and below 5000 basis points")


@dataclass(frozen=True, kw_only=True)
class Store:
    """Where results go and how the work is done; changes no result.

    Args:
        runs: Directory that takes the run; s3://bucket/prefix too.
        slices: Directory of slices (default: .slices in the runs directory); s3://bucket/prefix too.
        cache: Cut the slice and measure the path metrics anew, instead of taking those of an earlier run.
        threads: Threads to work on (default: all).
        json: Print one JSON document instead of text.
        quiet: Print no progress.
    """

    runs: Runs = Path("runs")
    slices: Slices | None = None
    cache: bool = True
    threads: int | None = None
    json: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"--threads is {self.threads}; it must be at least 1")

    @property
    def slice_folder(self) -> Path:
        """Where slices are kept."""
        return self.slices or self.runs / ".slices"

    @property
    def cache_folder(self) -> Path:
        """Where path metrics are kept."""
        return self.runs / ".cache"


@dataclass(frozen=True, kw_only=True)
class Machines:
    """Who does the work of a search, if not this process; changes no result.

    Args:
        workers: Processes of ours on this machine (by Dask; --engine dask alone: one a core).
        scheduler: The Dask cluster of this scheduler: tcp://host:8786.
    """

    workers: int | None = None
    scheduler: str | None = None


@dataclass(frozen=True, kw_only=True)
class Guards:
    """What the winner of a search must pass to be called proven; recorded with it.

    Args:
        guards: Leave out the verdict on whether the winner is luck.
        holdout: Share of the days, the last ones, that the search must not see: 20% (see sweep unseal).
        max_luck: Highest chance that the best of as many rules without skill does as well.
        max_pbo: Highest chance that the best on half of the days is in the worse half on the others (PBO).
        min_dsr: Lowest chance that the Sharpe ratio is above that of the luckiest of all trials (DSR).
    """

    guards: bool = True
    holdout: Share = 0.0
    max_luck: Share = 0.05
    max_pbo: Share = 0.2
    min_dsr: Share = 0.95

    def __post_init__(self) -> None:
        if not 0 <= self.holdout <= 0.8:
            raise UsageError(f"--holdout is {self.holdout:g}; it must be from 0% (none) to 80%")


@dataclass(frozen=True, kw_only=True)
class Exports:
    """What is written beside the run, in the layouts of the parquet guide; nothing unless asked for.

    Args:
        store_duckdb: Add the run's tables to this DuckDB file.
        export_baseline_parquet: Write the path metrics to this file, in the guide's 28 columns.
        export_per_alert_parquet: Write the candles of each alert into this directory.
        export_per_caller_parquet: Write the path metrics of each caller into this directory.
    """

    store_duckdb: Annotated[Path, Spelling(bare="results/store.duckdb")] | None = None
    export_baseline_parquet: Path | None = None
    export_per_alert_parquet: Path | None = None
    export_per_caller_parquet: Path | None = None

    def targets(self, per_trade: Path | None = None) -> dict[str, Path]:
        """What is asked for, and where it goes."""
        asked = {
            "duckdb": self.store_duckdb,
            "baseline": self.export_baseline_parquet,
            "per_alert": self.export_per_alert_parquet,
            "per_caller": self.export_per_caller_parquet,
            "per_trade": per_trade,
        }
        return {kind: path for kind, path in asked.items() if path is not None}


def takes(
    alone: Mapping[str, Callable[..., int | None]] = MappingProxyType({}), /, **records: type
) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Return a decorator: the fields of each record become flags of the function, which gets the record itself.

    ``alone`` as the shell reads it: parameter -> the function that does the command where it is given.
    """

    def decorate(function: Callable[..., int | None]) -> Callable[..., int | None]:
        own = inspect.signature(function, eval_str=True).parameters
        flags: dict[str, inspect.Parameter] = {}
        notes = []
        for record in records.values():
            hints = typing.get_type_hints(record, include_extras=True)
            known = {field.name: field for field in dataclasses.fields(record)}
            for each in (each for each in record.__mro__ if dataclasses.is_dataclass(each)):  # its own flags first
                notes.append(inspect.cleandoc(each.__doc__ or "").partition("Args:\n")[2])
                for name in inspect.get_annotations(each):
                    missing = known[name].default is dataclasses.MISSING or spelling_of(hints[name]).instead
                    default = inspect.Parameter.empty if missing else known[name].default
                    flags[name] = inspect.Parameter(
                        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name]
                    )

        @functools.wraps(function)
        def command(*words: Any, **given: Any) -> int | None:
            made = {
                name: record(**{f.name: given.pop(f.name) for f in dataclasses.fields(record) if f.name in given})
                for name, record in records.items()
            }
            return function(*words, **made, **given)

        kept = [each for name, each in own.items() if name not in records]
        everything = [*kept, *flags.values()]
        command.alone = alone  # type: ignore[attr-defined]
        command.__signature__ = inspect.Signature(everything)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in everything}
        text = inspect.getdoc(function) or ""
        command.__doc__ = text.rstrip() + ("" if "Args:" in text else "\n\nArgs:") + "\n" + "\n".join(notes)
        return command

    return decorate


def resolved(*records: Any) -> dict[str, Any]:
    """Return the fields of ``records`` as JSON values: the part of a config that decides the results."""
    found: dict[str, Any] = {}
    for record in records:
        for name, value in _fields(record).items():
            found[name.rstrip("_")] = value
    return found


def _fields(record: Any) -> Mapping[str, Any]:
    return {
        field.name: str(value) if isinstance(value := getattr(record, field.name), Path) else value
        for field in dataclasses.fields(record)
    }
