"""Callers as text of 80 columns: what their rates prove, how soon they come true, which exits suit them."""

from math import isfinite

from . import show
from .caller_guards import LEAST_DAYS, CallerGuard
from .caller_policies import CallerPolicies
from .caller_ranking import Ranking
from .caller_times import CallerTimes
from .fixed_exits import Cell
from .values import show_duration
from .verdict import TOO_FEW, chance


def rates_of(found: Ranking, most: int) -> None:
    """Print the rates of the first callers, and what each figure is."""
    out, k, pool = show.console(), found.k, found.pool
    cells = []
    for row in found.rows.slice(0, most).to_pylist():
        cells.append(
            [
                *(row["caller_name"] or "(none)", f"{row['calls'] - row['calls_excluded']:,}"),
                *(show.share(row[f"hit_{k}_rate"]), between(row[f"hit_{k}_low"], row[f"hit_{k}_high"])),
                *(show.share(row[f"hit_{k}_shrunk"]), _small(row[f"hit_{k}_q"]), _count(row[f"hit_{k}_needs"])),
                *(show.times(row["median_ath_mult"]), _multiples(row["median_ath_low"], row["median_ath_high"])),
            ]
        )
    heads = ["caller", "calls", f"hit\n{k}", "95%\ninterval", "shrunk\nrate", "q", "needs\nmore"]
    out.print(show.table(f"Callers of run {found.rows['run_id'][0]}", [*heads, "median\nhigh", "95%\ninterval"], cells))
    _more(found.rows.num_rows - len(cells))
    reach = between(pool.low, pool.high)
    out.print(f"\nall      {pool.calls:,} calls, {show.share(pool.rate)} reached {k} (95% interval {reach})")
    mixed = f"each caller's calls are mixed with {pool.strength:,.1f} at the rate of all"
    alike = "callers differ no more than chance has them differ: the rate of all"
    out.print(f"shrunk   {mixed if isfinite(pool.strength) else alike}")
    out.print("q        share of errors if every caller of this q or less is told from the rest")
    out.print("needs    further calls until a test would tell the shrunk rate from that of all")
    out.print("hit      calls not followed to the horizon count as none; see --times")


def times_of(timed: tuple[CallerTimes, ...], found: Ranking, most: int) -> None:
    """Print how soon the first callers' calls reached the multiple, and why the others did not."""
    out, named = show.console(), {each.caller_name: each for each in timed}
    order = [name for name in found.rows["caller_name"].to_pylist() if name in named]
    cells = []
    for each in [named[None], *(named[name] for name in order[:most])]:
        last = each.chances[-1]
        cells.append(
            [
                *("all" if each.caller_name is None else each.caller_name or "(none)", f"{each.calls:,}"),
                *(f"{n:,}" for n in (each.reached, each.not_reached, each.data_ended, each.died)),
                *(show.share(one.chance) for one in each.chances),
                between(last.low, last.high),
            ]
        )
    by = [f"by\n{show_duration(one.within_ms)}" for one in timed[0].chances]
    heads = ["caller", "calls", f"{found.k}", "not", "data\nended", "token\ndied", *by, "95%\ninterval"]
    out.print()
    out.print(show.table(f"Time to {found.k}", heads, cells))
    _more(len(order) - len(order[:most]))
    out.print("by       chance by Kaplan and Meier: calls count while they were followed")
    out.print("died     silent at the horizon for longer than a trade waits for its entry")


def policies_of(chosen: CallerPolicies, found: Ranking, most: int) -> None:
    """Print the best fixed exits of the first callers beside those chosen without them."""
    out, named = show.console(), {each.caller_name: each for each in chosen.rows}
    order = [named[name] for name in found.rows["caller_name"].to_pylist() if name in named]
    cells = []
    for each in order[:most]:
        own = [each.caller_name or "(none)", f"{each.calls:,}", *_cell(each.best)]
        cells.append([*own, f"{each.others:,}", *_cell(each.chosen)])
    out.print()
    heads = [
        "caller",
        "calls",
        "best\nTP",
        "best\nSL",
        "mean in\nhindsight",
        "others'\ncalls",
        "their\nTP",
        "their\nSL",
    ]
    out.print(
        show.table("Best fixed exits, and those chosen on the other callers' alerts", [*heads, "mean of\nthese"], cells)
    )
    _more(len(order) - len(cells))
    best, others, whole = (show.bps(x) for x in (chosen.best_bps, chosen.chosen_bps, chosen.whole.avg_return_bps))
    out.print(f"\nbest     {best} a trade with each caller's own best: hindsight")
    out.print(f"others'  {others} a trade, chosen on others' alerts on tokens he did not call")
    out.print(f"one      {whole} a trade with {' and '.join(_cell(chosen.whole)[:2])} for all callers: hindsight")


def guards_of(guarded: tuple[CallerGuard, ...], found: Ranking, most: int) -> None:
    """Print whether the best fixed exits of the first callers are more than luck."""
    out, named = show.console(), {each.caller_name: each for each in guarded}
    order = [named[name] for name in found.rows["caller_name"].to_pylist() if name in named]
    cells = []
    for each in order[:most]:
        told = "too few" if each.word == TOO_FEW else each.word
        span = f"{each.low_bps / 100:+,.0f} to {each.high_bps / 100:+,.0f}%" if isfinite(each.low_bps) else "-"
        means = (show.bps(bps) if isfinite(bps) else "-" for bps in (each.without_best_5_bps, each.worst_bps))
        own = [each.caller_name or "(none)", f"{each.days:,}", chance(each.p), chance(each.q)]
        cells.append([*own, span, *means, told])
    out.print()
    heads = ["caller", "days", "p", "q", "95%\ninterval", "without\n5 best", "worst\norder", ""]
    out.print(show.table("Are each caller's best exits more than luck?", heads, cells))
    _more(len(order) - len(cells))
    out.print()
    if judged := sum(each.word != TOO_FEW for each in guarded):
        out.print("p        how often the best of all these exits does as well without skill")
        out.print(f"q        the same for {judged:,} caller{'s' * (judged != 1)} at once")
        out.print("PROVEN   q is 0.05 or less, and the mean is above zero in all of these ways")
    out.print(f"few      fewer than {LEAST_DAYS} days with alerts")


def between(low: float | None, high: float | None) -> str:
    """Return an interval of rates: 31-74%."""
    return "-" if low is None or high is None or not isfinite(low + high) else f"{low * 100:.0f}-{high * 100:.0f}%"


def _multiples(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{low:.2f}-{high:.2f}x"


def _small(value: float | None) -> str:
    return "-" if value is None else "<.001" if value < 0.001 else f"{value:.3f}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}" if value < 10**5 else f"{value:.0e}"


def _cell(cell: Cell | None) -> list[str]:
    return ["-"] * 3 if cell is None else [f"{cell.tp:g}x", show.percent(cell.sl - 1, 0), show.bps(cell.avg_return_bps)]


def _more(rest: int) -> None:
    if rest > 0:
        show.console().print(f"and {rest:,} more; --top, --json")
