"""Results as text for a terminal of 80 columns, and as JSON."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import heatmap, judgement_show
from .policy import describe, parse_policy
from .values import DAY, HOUR, MINUTE, SECOND, show_duration
from .values import show_bps as bps

if TYPE_CHECKING:
    from .run import Outcome


def plain(value: Any) -> str:
    """Return text as one printable line: names are whatever callers chose, control characters among them."""
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def percent(value: float | None, digits: int = 1) -> str:
    """Return a fraction as a signed percentage; a dash where it is undefined."""
    return "-" if value is None or math.isnan(value) else f"{value * 100:+.{digits}f}%"


def share(value: float | None) -> str:
    """Return a fraction of a whole as a percentage without a sign."""
    return "-" if value is None or math.isnan(value) else f"{value * 100:.0f}%"


def times(value: float | None) -> str:
    """Return a multiple: 2.31x."""
    return "-" if value is None or math.isnan(value) else f"{value:.2f}x"


def span(ms: float | None) -> str:
    """Return a duration to its two largest units: 1d3h, 2h5m."""
    if ms is None or math.isnan(ms):
        return "-"
    grain = HOUR if ms >= DAY else MINUTE if ms >= HOUR else SECOND
    return show_duration(round(ms / grain) * grain)


def size(number: int) -> str:
    """Return bytes with three digits and a unit: 1.07 MB."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= scale:
            return f"{number / scale:.3g} {unit}"
    return f"{number} B"


class _Stdout(Console):
    def on_broken_pipe(self) -> None:
        """Let the shell see it, as it does for every other print; rich would leave with exit code 1."""
        raise BrokenPipeError


def console() -> Console:
    """Return stdout as it is: names are never read as markup, and no line is wrapped in the middle of a word."""
    plain_text: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    found = _Stdout(**plain_text)
    return found if found.is_terminal else _Stdout(**plain_text, width=80)


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> Table:
    """Return a table whose first ``left`` columns are text and whose others are numbers.

    Where it would be wider than the terminal, the last column of text is cut.
    """
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, (*head.split("\n"), *(row[i] for row in cells)))) for i, head in enumerate(heads)]
    room = console().width - sum(widths) + widths[left - 1] - 2 * (len(heads) - 1)
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold", title_style="bold")
    for i, head in enumerate(heads):
        justify, most = "left" if i < left else "right", max(room, 8) if i == left - 1 else None
        made.add_column(Text(head), justify=justify, no_wrap=True, overflow="ellipsis", max_width=most)
    for row in cells:
        made.add_row(*map(Text, row))
    return made


def head(outcome: "Outcome") -> None:
    """Print what was read and with which settings."""
    out = console()
    for line in outcome.prepared.lines():
        out.print(line)
    out.print()


def foot(outcome: "Outcome") -> None:
    """Print where the run lies, and where its slice and paths came from; raises what kept it from being saved."""
    out, clock = console(), outcome.prepared.clock.spent
    piece = "found again" if outcome.prepared.reused else "cut"
    paths = "from cache" if outcome.cached else "measured"
    work = ", ".join(f"{name} {ms / 1000:.2f}s" for name, ms in clock.items())
    out.print(f"\nslice {piece}, path metrics {paths}; {work}")
    out.print(f"run {outcome.run_id}\n    {outcome.path}", soft_wrap=True)


def callers(outcome: "Outcome", most: int, least_calls: int) -> None:
    """Print the caller table, best median high first."""
    rows = [row for row in outcome.tables["callers"].to_pylist() if row["calls"] >= least_calls]
    traded = rows and rows[0]["trades_count"] is not None
    heads = ["caller", "calls", "median\nhigh", "hit\n2x", "hit\n5x", "median\nto 2x", "median\nlow", "median\nend"]
    cells = []
    for row in rows[:most]:
        cells.append(
            [
                row["caller_name"] or "(none)",
                f"{row['calls']:,}",
                times(row["median_ath_mult"]),
                share(row["hit_2x_km"]),
                share(row["hit_5x_km"]),
                span(row["median_t_2x_ms"]),
                percent(row["median_dd_overall"], 0),
                bps(row["avg_return_bps"]) if traded else bps(row["median_ret_end_bps"], 0),
            ]
        )
    if traded:
        heads[-1] = "mean\ntrade"
    out = console()
    out.print(table("Callers, by the median of their alerts' highs", heads, cells))
    rest = len(outcome.tables["callers"]) - len(cells)
    if rest:
        out.print(f"and {rest} more in results/callers.parquet")
    out.print("hit rates allow for alerts not followed to the horizon (Kaplan-Meier)")


def summary(outcome: "Outcome") -> None:
    """Print what one policy earned, and between which bounds."""
    row = outcome.tables["summary"].to_pylist()[0]
    out = console()
    out.print(f"trades           {row['trades_count']:,}")
    out.print(f"mean return      {bps(row['avg_return_bps'], 2)} a trade after costs")
    low, median, high = (bps(row[f"{name}_return_bps"], 2) for name in ("p25", "median", "p75"))
    out.print(f"median, quarters {median}; half of the trades between {low} and {high}")
    factor = "-" if row["profit_factor"] is None else f"{row['profit_factor']:.2f}"
    out.print(
        f"wins             {share(row['win_rate'])}; profit factor {factor}; stopped out {share(row['stop_out_rate'])}"
    )
    out.print(bounds_lines(row))
    if cut := pc.sum(pc.equal(outcome.tables["trades"]["exit_reason"], "END_OF_DATA")).as_py():
        out.print(f"cut short        {cut:,} of the trades, whose candles end before the horizon")


def bounds_lines(row: dict[str, Any]) -> str:
    """Return what hangs on the order of prices inside the candles, and the verdict."""
    mean, worst, best = (bps(row[name], 2) for name in ("avg_return_bps", "mean_worst_bps", "mean_best_bps"))
    said = f"{mean} whatever happened inside the candles"
    if row["ambiguous_rate"]:
        said = (
            f"{mean} a trade; between {worst} and {best} depending on what\n"
            f"                 happened inside {share(row['ambiguous_rate'])} of the trades' candles"
        )
    return f"bounds           {said}\nresolution       {row['verdict']}"


def frontier(outcome: "Outcome", most: int) -> None:
    """Print the best policies of a search with their bounds; what does not fit beside them stands below."""
    rows, work, out = outcome.tables["frontier"].to_pylist(), outcome.notes["work"], console()
    title = f"Best of {work.count:,} trials, by {work.objective}"
    ranking = table(title, *_ranking(rows[:most], work.space.varied))
    if Console(width=999).measure(ranking).maximum <= out.width:
        out.print(ranking)
    else:
        out.print(table(title, *_ranking(rows[:most], ())))
        for row in rows[:most]:
            out.print(f"{row['rank']:<3} {describe(parse_policy(row['policy_params']))}")
    if any(not row["meets_constraints"] for row in rows[:most]):
        out.print("! breaks a constraint")
    out.print(f"\n{engine(outcome)}")
    out.print(f"\nwinner           {rows[0]['policy_params']}", soft_wrap=True)


def engine(outcome: "Outcome") -> str:
    """Return which engine did a search, and at which pace; in two lines where some alerts are none for tables."""
    from ..kernels.jit import cold

    work, seconds = outcome.notes["work"], outcome.prepared.clock.spent["search"] / 1000
    before = outcome.notes["before"]
    said = f"engine {work.engine}: {work.count - before:,} trials x {work.alerts:,} alerts in {seconds:,.1f} s"
    some = outcome.notes["by_candle"] if work.engine == "tables" else 0
    more = f";\n{' ' * 15}{some:,} alert{'s' * (some > 1)} candle by candle" if some else ""
    if before:
        more += f";\n{' ' * 15}{before:,} trials were kept when it was stopped"
    pace = seconds * 1e9 / max(1, work.pairs - before * work.alerts)
    told = " with compiling" if cold else f", {pace:,.{0 if pace > 10 else 2}f} ns a trade"
    return f"{said}{told}{more}"


def _ranking(rows: list[dict[str, Any]], names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Return the heads and cells of a ranking, with a column for each parameter in ``names``."""
    heads = ["#", *(name.removesuffix("_ms").replace("_", "\n") for name in names)]
    cells = []
    for row in rows:
        values = [span(row[name]) if name == "time_stop_ms" else f"{row[name]:g}" for name in names]
        returns = [bps(row[f"{name}_bps"]) for name in ("avg_return", "mean_worst", "mean_best", "median_return")]
        rates = [share(row["win_rate"]), share(row["stop_out_rate"])]
        mark = "" if row["meets_constraints"] else " !"
        cells.append([f"{row['rank']}{mark}", *values, *returns, *rates])
    return [*heads, "mean", "worst", "best", "median", "wins", "stopped"], cells


def judgement(outcome: "Outcome") -> None:
    """Print the verdict on a search, where one was asked for."""
    if outcome.judged is not None and outcome.judged.verdict is not None:
        console().print("\n" + "\n".join(judgement_show.lines(outcome.judged)))


def map_of(outcome: "Outcome") -> None:
    """Print mean return over the two parameters that move it most."""
    if outcome.landscape is None:
        return
    x, y, means = outcome.landscape
    edges = outcome.notes["edges"]
    out = console()
    out.print()
    out.print(heatmap.terminal(means, edges[x], edges[y], x, y, "Mean return per trade", "bps"))


def as_json(outcome: "Outcome", tables: Sequence[str]) -> Path:
    """Print the ``document`` of a run and return where it lies; raises what kept it from being saved."""
    print(document(outcome, tables))
    return outcome.path


def document(outcome: "Outcome", tables: Sequence[str], most: int = 50) -> str:
    """Return one JSON document: the run, its config, and the first rows of ``tables``; null for undefined."""
    prepared = outcome.prepared
    found = {
        "run_id": outcome.run_id,
        "path": str(outcome.saved) if isinstance(outcome.saved, Path) else None,
        "config": outcome.config,
        "counts": {**prepared.batch.counts, **prepared.counts},
        "cached": {"slice": prepared.reused, "path_metrics": outcome.cached},
        **{name: rows_of(outcome.tables[name].slice(0, most)) for name in tables},
        **({"guards": outcome.judged.document()} if outcome.judged else {}),
    }
    return json.dumps(found, indent=2, allow_nan=False)


def defined(value: Any) -> Any:
    """Return a JSON value with None for each number in it that is not finite."""
    if isinstance(value, dict):
        return {key: defined(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [defined(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def rows_of(found: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON values."""
    return [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items() if k != "run_id"}
        for row in found.to_pylist()
    ]
