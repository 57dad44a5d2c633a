"""What prices did after the alerts: highs, how soon they came, and the table of callers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ...io.schemas import MULTIPLES, multiple_name
from ...kernels.arrays import Floats, Ints
from ..callers import watches
from ..show import percent, plain, share, span, times
from .charts import histogram, steps
from .parts import Bar, Card, Cards, Cell, Chart, Part, Section, Table, Words, bps, cell, signed
from .read import Read, known, numbers, rows

MOST_CALLERS, CURVES = 300, 5


def highs(run: Read) -> Section:
    """Return how high prices rose after the alerts, and how soon."""
    paths = run.table("paths")
    ok = np.array(paths["status"].to_pylist(), object) == "OK"
    mult, low, end = (known(numbers(paths, name)) for name in ("ath_mult", "dd_overall", "ret_end_bps"))
    reached = [(k, known(numbers(paths, f"hit_{multiple_name(k)}"))) for k in MULTIPLES]
    cards = [
        Card("Alerts", f"{ok.sum():,}", note=f"of {ok.size:,} given"),
        Card("Median high", times(float(np.median(mult)) if mult.size else None), note="of the entry price"),
        Card("Median low", percent(float(np.median(low)) if low.size else None), note="at worst, on the way"),
        Card("Median end", bps(float(np.median(end)) if end.size else None), "", "at the horizon, before costs"),
        *(
            Card(
                f"Reached {k:g}x",
                share(float(hit.mean()) if hit.size else None),
                note=f"{hit.sum():,.0f} of {hit.size:,}",
            )
            for k, hit in reached[:4:3]
        ),
    ]
    parts: list[Part] = [Cards(cards)]
    if mult.size:
        parts += [_ladder(mult), *_how_soon(run, paths)]
    return Section(
        "alerts", "After the alerts", parts, "What prices did from the entry to the horizon, whatever the exits."
    )


def _ladder(mult: Floats) -> Chart:
    """Return the highs in steps of a quarter of a doubling."""
    edges = 2.0 ** (np.arange(0, 81) / 4)
    edges = edges[: max(5, int(np.searchsorted(edges, mult.max())) + 1)]
    counts = np.histogram(np.clip(mult, edges[0], np.nextafter(edges[-1], 0)), edges)[0]
    label = f"Histogram of the highest multiple of the entry price after each of {mult.size:,} alerts, "
    label += f"median {np.median(mult):.2f}x"
    return histogram(
        "The highest price reached",
        label,
        edges,
        counts,
        lambda x: f"{x:.3g}x",
        2.0,
        note="Multiples of the entry price, four bars to a doubling; blue from 2x on.",
    )


@dataclass(frozen=True)
class Watched:
    """How long each alert was watched until it reached a multiple (``hit``) or was not watched any more, ms."""

    times: Floats
    hit: np.ndarray
    names: np.ndarray


def watched(run: Read, paths: pa.Table, k: str) -> Watched | None:
    """Return the times to a multiple such as ``2x``; None where no slice says how far the candles reach."""
    if run.entered is None:
        return None
    ok = np.flatnonzero(run.entered.ok)
    some = paths.take(ok)
    hit = numbers(some, f"hit_{k}") == 1.0
    until, _, _ = watches(run.entered, ok)
    names = np.array(some["caller_name"].to_pylist(), object)
    return Watched(np.where(hit, numbers(some, f"t_{k}_ms"), until), hit, names)


def curve(times: Floats, hit: np.ndarray) -> tuple[Ints, Floats]:
    """Return Kaplan and Meier's estimate of the share that reached by each time: (times, shares), from (0, 0) on."""
    order = np.lexsort((~hit, times))
    at_risk = np.arange(times.size, 0, -1)
    left = np.cumprod(np.where(hit[order], 1.0 - 1.0 / at_risk, 1.0))
    steps = np.flatnonzero(hit[order])
    return np.concatenate([[0], times[order][steps]]).astype(np.int64), np.concatenate([[0.0], 1.0 - left[steps]])


def _how_soon(run: Read, paths: pa.Table) -> list[Part]:
    found = []
    horizon = run.manifest.config["horizon_ms"]
    gone = Words(
        "How soon multiples are reached (Kaplan and Meier) needs the run's slice, and that is gone; the chance by the "
        "horizon stands in the table of callers.",
        "faint",
    )
    for k in ("2x", "5x"):
        seen = watched(run, paths, k)
        if seen is None:
            return [gone]
        if not seen.hit.any():
            continue
        names, counts = np.unique(seen.names, return_counts=True)
        chosen = names[np.lexsort((names, -counts))][:CURVES] if names.size > 1 else []
        series = [("all callers", *curve(seen.times, seen.hit))]
        for name in chosen:
            mine = seen.names == name
            series.append((plain(name)[:40] or "(none)", *curve(seen.times[mine], seen.hit[mine])))
        last = float(series[0][2][-1])
        label = f"Kaplan-Meier curves of the share of alerts that reached {k} by the time since entry; "
        label += f"of all callers together {last:.0%} by the horizon"
        found.append(
            steps(
                f"How soon {k} is reached (Kaplan-Meier)",
                label,
                series,
                horizon,
                lambda x: f"{x:.0%}",
                note="Alerts whose data end sooner count until then."
                + " The callers with the most alerts." * (len(series) > 1),
            )
        )
    return found


def callers(run: Read) -> Section | None:
    """Return the table of callers with their intervals; None where the run has none."""
    if not run.has("callers"):
        return None
    found = list(rows(run.table("callers")))
    traded = bool(found) and found[0]["trades_count"] is not None
    top = max((row["median_ath_high"] or row["median_ath_mult"] or 1.0 for row in found), default=1.0)
    cells = [_caller(row, traded, min(top, 20.0)) for row in found[:MOST_CALLERS]]
    heads = ["caller", "calls", "reached 2x, 95%", "2x, KM", "5x, KM", "median high, 95%", "to 2x", "median low"]
    heads += ["mean trade", "median trade, 95%", "wins"] if traded else ["median end", "excluded"]
    more = f"The first {MOST_CALLERS:,} of {len(found):,}. " if len(found) > MOST_CALLERS else ""
    note = f"{more}In brackets and as bars the intervals of 95% (Wilson's for rates, the bootstrap's for medians). "
    note += "KM allows for alerts not followed to the horizon."
    table = Table(
        "Callers, by the median of their alerts' highs", heads, cells, note=note, find=len(found) > 12, wide=True
    )
    return Section("callers", "Callers", [table])


def _caller(row: dict[str, Any], traded: bool, top: float) -> Sequence[Cell]:
    rate, low, high = row["hit_2x_rate"], row["hit_2x_low"], row["hit_2x_high"]
    highs = row["median_ath_mult"], row["median_ath_low"], row["median_ath_high"]
    cells = [
        cell(row["caller_name"] or "(none)"),
        cell(f"{row['calls']:,}", row["calls"]),
        Cell(_between(rate, low, high, share), rate, bar=_interval(low, high, rate, 0.0, 1.0)),
        cell(share(row["hit_2x_km"]), row["hit_2x_km"]),
        cell(share(row["hit_5x_km"]), row["hit_5x_km"]),
        Cell(_between(*highs, times), highs[0], bar=_interval(highs[1], highs[2], highs[0], 1.0, top)),
        cell(span(row["median_t_2x_ms"]), row["median_t_2x_ms"]),
        cell(percent(row["median_dd_overall"], 0), row["median_dd_overall"]),
    ]
    if not traded:
        end = row["median_ret_end_bps"]
        return [*cells, signed(bps(end, 0), end), cell(f"{row['calls_excluded']:,}", row["calls_excluded"])]
    mean, median = row["avg_return_bps"], row["median_return_bps"]
    ends = row["median_return_low_bps"], row["median_return_high_bps"]
    return [
        *cells,
        signed(bps(mean), mean),
        signed(_between(median, *ends, bps), median),
        cell(share(row["win_rate"]), row["win_rate"]),
    ]


def _between(value: float | None, low: float | None, high: float | None, form: Any) -> str:
    """Return an estimate and its interval: 53% [31%, 74%]."""
    if value is None:
        return "–"
    return form(value) if low is None or high is None else f"{form(value)} [{form(low)}, {form(high)}]"


def _interval(low: float | None, high: float | None, mark: float | None, start: float, end: float) -> Bar:
    """Return an interval as a bar from ``start`` to ``end``; an empty one where it is undefined."""
    if low is None or high is None or mark is None:
        return Bar(0.0, 0.0)
    a, b, m = (min(1.0, max(0.0, (x - start) / max(1e-9, end - start))) for x in (low, high, mark))
    return Bar(a, b, m)
