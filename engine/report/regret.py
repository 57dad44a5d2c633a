"""What the exits left on the table and saved, as ``highwater regret`` says it."""

from ..regret import QUANTILES, Moved, regret
from ..reopen import Traded
from ..show import percent, share
from ..values import show_duration
from .parts import Card, Cards, Part, Section, Table, Words, bps, cell, tone_of
from .read import Read


def section(run: Read, done: Traded) -> Section | None:
    """Return what hindsight says of the exits; None where nothing was traded."""
    if not done.trades.num_rows:
        return None
    if run.entered is None:
        gone = Words("What prices did after the exits needs the run's slice, and that is gone.", "faint")
        return Section("regret", "Exit regret", [gone])
    found = regret(run.entered, done, run.table("paths"), None)
    missed = found.peak_bps - found.avg_return_bps
    cards = [
        Card("As traded", bps(found.avg_return_bps, 2), tone_of(found.avg_return_bps), "mean, after costs"),
        Card("Each sold at its high", bps(found.peak_bps, 2), "", f"{bps(missed, 1)} more: no exits can"),
        Card("Kept of all gains", share(found.capture_of_all), "", "gains at exit over gains at the high"),
        Card(
            "A stop kept",
            percent(found.kept),
            tone_of(found.kept),
            f"over holding to the end; right for {share(found.right)} of {found.stopped:,}",
        ),
    ]
    names = ["median" if q == 0.5 else f"{q:.0%}" for q in QUANTILES]
    kept = Table(
        f"Kept of the gain at the high, {found.peaks:,} trades that had one",
        ["quantile", *names],
        [[cell("share"), *(cell(percent(each, 0), each) for each in found.capture)]],
        wide=True,
    )
    parts: list[Part] = [Cards(cards), kept]
    for title, moves, verb in (
        (f"Left on the table: the rise after {found.sold:,} sales", found.left, "rose"),
        (f"Saved by the stop: the fall after {found.stopped:,} stops", found.saved, "fell"),
    ):
        parts.append(_later(title, moves, verb))
    return Section(
        "regret",
        "Exit regret",
        parts,
        "In hindsight, of the entry price and before costs, from the candle after the exit to the horizon.",
    )


def _later(title: str, moves: tuple[Moved, ...], verb: str) -> Table:
    cells = [
        [
            cell(show_duration(row.within_ms), row.within_ms),
            cell(share(row.share), row.share),
            *(cell(percent(each), each) for each in (row.mean, row.median, row.p90)),
        ]
        for row in moves
    ]
    return Table(title, ["within", verb, "mean", "median", "90%"], cells)
