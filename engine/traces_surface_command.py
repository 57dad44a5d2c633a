"""The command ``traces surface``: every stop with every target on the trades of one trace."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .places import Runs, Slices
from .trace_settings import FEE_BPS, SLIPPAGE_BPS
from .values import Range

if TYPE_CHECKING:
    from .traces.surface import TraceSurface

_RUNS = Path("runs")
_NUMBERS = ("trades", "stopped", "targets", "ambiguous")


def surface(
    strategy: str,
    *,
    sl: list[Range],
    tp: list[Range],
    run: str | None = None,
    symbol: str | None = None,
    fill: Literal["next_open", "signal_close"] = "next_open",
    fee_bps: float = FEE_BPS,
    slippage_bps: float = SLIPPAGE_BPS,
    max_cells: int = 1_000_000,
    output: Path | None = None,
    top: int = 10,
    runs: Runs = _RUNS,
    slices: Slices | None = None,
    candles: Path | None = None,
    threads: int | None = None,
    json: bool = False,
) -> int | None:
    """Try every stop with every target on a trace; nothing is published.

    Levels are multiples of the entry price of a long, mirrored for shorts; a signal is entered once, and left by stop,
    target or its own end. Saved and given up are what trades made more, and less, than by their signal alone.

    Args:
        strategy: A hash or trace key, of which 4 digits will do, or with --run the id of a strategy.
        sl: Stops, low:high:step: 0.99:0.998:0.001.
        tp: Targets: 1.002:1.02:0.002.
        run: The run it is of: its id, the start or end of one (4 characters or more), or "latest".
        symbol: The series it is of, where a strategy has traces on several.
        fill: Where a signal is filled: at the next candle's open, or at the close of its own.
        fee_bps: Fee of each side, in basis points.
        slippage_bps: Slippage of each side, in basis points.
        max_cells: Refuse more combinations than this.
        output: Write all cells into this file, .csv or .parquet.
        top: Cells to print, the best by mean.
        runs: Directory of runs.
        slices: Directory of slices, for the candles (default: .slices beside the runs).
        candles: Read this file of candles instead; it must hold the same.
        threads: Threads to work on (default: all).
        json: Print one JSON document instead of text.
    """
    from .surface_grid import grid_of
    from .traces.load import Places, load_trace, series_of
    from .traces.performance import Fills
    from .traces.surface import trace_surface
    from .traces.trace import Trace

    values = grid_of({"tp": tuple(tp), "sl": tuple(sl)}, max_cells).values
    places = Places(slices, candles)
    one = load_trace(runs, strategy, run, symbol, places)
    series = series_of(runs, one, places)
    idx, val = (one.table[name].to_numpy() for name in ("idx", "val"))
    trace = Trace(idx.astype("int32"), val.astype("int8"), series.bars.ts.size)
    how = Fills(fill, fee_bps, slippage_bps)
    found = trace_surface(trace, series.bars, series.step, how, values["sl"].tolist(), values["tp"].tolist(), threads)
    if output is not None:
        _write(found, output)
    rows = _rows(found)
    if json:
        from .traces.show import document

        print(document({"strategy_hash": one.about.strategy_hash, "symbol": one.about.symbol, "cells": rows}))
        return None
    _print(one.about.symbol, one.about.timeframe, rows, top)
    if output is not None:
        print(f"\n{output}: {len(rows):,} cells")
    return None


def _rows(found: "TraceSurface") -> list[dict[str, Any]]:
    """Return a row a cell, the best mean first; means without trades last, as None."""
    rows = [
        {"sl": stop, "tp": target} | {name: _value(name, cells[i, k]) for name, cells in sorted(found.cells.items())}
        for i, stop in enumerate(found.stops.tolist())
        for k, target in enumerate(found.targets.tolist())
    ]
    return sorted(rows, key=lambda row: (row["mean"] is None, -(row["mean"] or 0.0), row["sl"], row["tp"]))


def _value(name: str, value: Any) -> float | int | None:
    if name in _NUMBERS:
        return int(value)
    return None if value != value else float(value)


def _print(symbol: str, timeframe: str, rows: list[dict[str, Any]], top: int) -> None:
    from .show import console, percent, plain, share, table

    heads = ("stop", "target", "trades", "wins", "mean", "worst", "best", "total", "stopped", "saved net")
    cells = [
        (
            *(f"{row[name]:g}" for name in ("sl", "tp", "trades")),
            share(row["win_rate"]),
            *(percent(row[name], 3) for name in ("mean", "mean_worst", "mean_best")),
            percent(row["total_return"]),
            f"{row['stopped']:,}",
            percent(row["saved"] - row["given_up"]),
        )
        for row in rows[:top]
    ]
    console().print(table(f"Best of {len(rows):,} stops and targets on {plain(symbol)} {timeframe}", heads, cells, 0))


def _write(found: "TraceSurface", output: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    from ..io.durable import disk_errors
    from ..io.errors import UsageError
    from ..io.exports import csv_table

    written = pa.Table.from_pylist(_rows(found))
    with disk_errors(f"writing {output}", "name another --output"):
        if output.suffix == ".csv":
            pa_csv.write_csv(csv_table(written), output)
        elif output.suffix == ".parquet":
            pq.write_table(written, output)
        else:
            raise UsageError(f"--output {output} must end in .csv or .parquet")
