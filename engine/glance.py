"""A run at a glance, for a terminal of 80 columns: what it earned, its equity in a line, its best settings as a map."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from ..io.manifest import COMPLETED, Manifest
from ..io.runs import opened_table, read_artifact
from ..kernels.arrays import Floats, Ints
from . import heatmap, show

if TYPE_CHECKING:
    from rich.text import Text

    from .frontier import Landscape

WIDTH = 62
BLOCKS, DIGITS = "▁▂▃▄▅▆▇█", "12345678"
MOST = 20_000_000  # trials or cells put into a map: 4 s


def spark(values: Floats, width: int = WIDTH, levels: str = BLOCKS) -> str:
    """Return numbers as a line of at most ``width`` signs: the last of each stretch, from the lowest to the highest."""
    if not values.size:
        return ""
    last = np.unique(np.linspace(0, values.size - 1, min(width, values.size)).round().astype(int))
    shown, low, high = values[last], float(values.min()), float(values.max())
    at = (shown - low) / ((high - low) or 1.0) * (len(levels) - 1)
    return "".join(levels[i] for i in np.rint(at).astype(int).tolist())


def levels_of(encoding: str | None) -> str:
    """Return the signs of a spark line that an encoding has."""
    try:
        BLOCKS.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return DIGITS
    return BLOCKS


def fall(sums: Floats) -> float:
    """Return the deepest fall of running sums below their high, which starts at 0; <= 0."""
    return float((sums - np.maximum.accumulate(np.maximum(sums, 0.0))).min(initial=0.0))


class Equity(NamedTuple):
    """The running sum of returns, each at a time ``ts`` (ms UTC), and its unit: bps or R."""

    ts: Ints
    sums: Floats
    unit: str


def equity(run: Path, manifest: Manifest) -> Equity | None:
    """Return the running sum of a run's returns; None where it traded nothing.

    Trades are those of the first policy, in the order of their entries; those of sessions in that of their exits.
    """
    if manifest.artifact("equity") is not None:
        table = read_artifact(run, "equity", check=False)
        table = table.filter(pc.equal(table["scope"], "combined"))
        found = Equity(table["exit_timestamp"].to_numpy(), table["cumulative_r"].to_numpy(), "R")
        return found if table.num_rows else None
    if manifest.artifact("trades") is None:
        return None
    table = read_artifact(run, "trades", check=False).select(
        ["policy_id", "call_id", "entry_ts_ms", "realized_return_bps"]
    )
    table = table.filter(pc.is_valid(table["realized_return_bps"]))
    if not table.num_rows:
        return None
    first = pc.equal(table["policy_id"], table["policy_id"][0])
    table = table.filter(pc.fill_null(first, True)).sort_by([("entry_ts_ms", "ascending"), ("call_id", "ascending")])
    return Equity(table["entry_ts_ms"].to_numpy(), np.cumsum(table["realized_return_bps"].to_numpy()), "bps")


def lines(run: Path, manifest: Manifest, drawn: bool = True) -> Iterator["str | Text"]:
    """Yield what a completed run came to: its key numbers and, ``drawn``, its equity and the map of its settings."""
    if manifest.status != COMPLETED:
        return
    yield from _numbers(run, manifest)
    if not drawn:
        return
    found = equity(run, manifest)
    if found is not None:
        _, sums, unit = found
        ended, fell = (f"{x / 10000:+,.2f}" if unit == "bps" else f"{x:+,.2f}R" for x in (sums[-1], fall(sums)))
        each = " stakes in all, one on each trade" if unit == "bps" else " in all"
        yield f"equity   {spark(sums, levels=levels_of(sys.stdout.encoding))}"
        yield f"         {ended}{each}; deepest fall {fell}"
    if (heat := small_map(run, manifest)) is not None:
        yield ""
        yield heat


def _numbers(run: Path, manifest: Manifest) -> Iterator[str]:
    if manifest.artifact("summary") is not None:
        (row,) = read_artifact(run, "summary", check=False).to_pylist()
        mean, worst, best = (show.bps(row[name]) for name in ("avg_return_bps", "mean_worst_bps", "mean_best_bps"))
        yield f"trades   {row['trades_count']:,}, mean {mean} after costs, wins {show.share(row['win_rate'])}"
        yield f"bounds   {worst} to {best}, {row['verdict']}"
    if manifest.artifact("symbols") is not None:
        row = read_artifact(run, "symbols", check=False).to_pylist()[-1]
        bounds = f"{row['worst_r']:+.2f}R to {row['best_r']:+.2f}R in the worst and the best order in candles"
        yield f"trades   {row['total_trades']:,} in {row['sessions']:,} sessions, wins {show.share(row['win_rate'])}"
        yield f"bounds   {bounds}"
    guards = manifest.artifact("guards")
    if guards is not None and (said := json.loads((run / guards.path).read_bytes())).get("verdict"):
        why = f" ({', '.join(said['failing'])} fail)" if said.get("failing") else ""
        yield f"verdict  {said['verdict']}{why}"


def small_map(run: Path, manifest: Manifest) -> "Text | None":
    """Return the mean return over the two parameters of a search or a surface that move it most; None without two."""
    if (found := landscape(run, manifest)) is None or (lively := found.liveliest(_alerts(run))) is None:
        return None
    x, y, means = lively
    y_edges = found.edges[y]
    if means.shape[0] > 12:  # half as high
        sums, counts = found.sums[x, y]
        pairs = np.arange(0, means.shape[0], 2)
        sums, counts = (np.add.reduceat(each, pairs, axis=0) for each in (sums, counts))
        with np.errstate(invalid="ignore", divide="ignore"):
            means = sums / counts / _alerts(run) / 100
        y_edges = np.append(y_edges[:-1][::2], y_edges[-1])
    return heatmap.terminal(means, found.edges[x], y_edges, x, y, "Mean return per trade", "bps")


def landscape(run: Path, manifest: Manifest) -> "Landscape | None":
    """Return the mean returns of a run over every pair of its parameters; None where it varied fewer than two."""
    from .frontier import Landscape

    kind = {"search": "trials", "surface": "surface"}.get(manifest.run_type, "")
    space, artifact = _space(manifest.config), manifest.artifact(kind)
    if space is None or artifact is None or len(space.varied) < 2 or (artifact.rows or 0) > MOST:
        return None
    found = Landscape(space)
    with opened_table(run, kind, check=False) as file:
        for batch in file.iter_batches(1 << 17, columns=[*space.varied, "sum_ret_q"]):
            found.add({name: batch[name].to_numpy() for name in space.varied}, batch["sum_ret_q"].to_numpy())
    return found


def _space(config: dict[str, Any]) -> Any:
    """Return what a search drew from, or the grid of a surface; None where it was another run."""
    from .space import space_in
    from .surface_grid import grid_of, ranges_of

    if "space" in config.get("search", {}):
        return space_in(config["search"]["space"])
    return grid_of(ranges_of(config["surface"]), 2**62).space if "surface" in config else None


def _alerts(run: Path) -> int:
    return read_artifact(run, "summary", check=False)["trades_count"][0].as_py()
