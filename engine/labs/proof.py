"""Is the best backtest of a lab luck? A lab is a search; the guards of every search, on what was realised by UTC day.

One observation is a day: what a backtest realised on it as a share of its balance before the run, 0 where it closed
nothing. Means are per day, in basis points of that balance.
"""

from collections import Counter
from dataclasses import asdict, dataclass, replace
from math import ceil, isnan, nan
from typing import Any

import numpy as np

from ...kernels.arrays import Ints
from ..guards import (
    MICRO_BPS,
    Evidence,
    Lane,
    Part,
    Quality,
    Spread,
    chance_of,
    interval,
    mean_bps,
    ratio_of,
    unseen_of,
)
from ..judgement import defined, luck_of_days, search_of, verdict_of
from ..ledger import Ledger
from ..luck import Luck
from ..settings import Guards
from ..verdict import NOT_PROVEN, PROVEN, REFUTED, Check, Status, Verdict, verdict_on
from .analysis import MICRO, Analysis
from .metrics import Closed
from .replay import Replayed

DOUBTFUL = 0.05  # of the fills of a backtest may be other than simply possible
HELD = 0.99  # of all positions are over within what resamples allow for; one left open for months decides nothing


@dataclass(frozen=True)
class Proof:
    """The verdict on a lab and what it rests on; ``luck`` None: too few days to tell. ``winner`` is its backtest id."""

    asked: Guards
    verdict: Verdict
    evidence: Evidence
    ledger: Ledger
    luck: Luck | None
    winner: str

    def document(self) -> dict[str, Any]:
        """Return it as JSON values: means in basis points of the balance a day, null for what is undefined."""
        luck = self.luck
        found = {
            **verdict_of(self.verdict, self.asked),
            "tried": self.ledger.tried,
            "search": luck and search_of(luck) | {"distinct": luck.distinct},
            "backtest_id": self.winner,
            "winner": asdict(self.evidence),
        }
        return defined(found)


def a_day(bps: float) -> str:
    """Return a mean in percent of the balance a day; a dash where undefined."""
    return "-" if isnan(bps) else f"{bps / 100:+.3f}%"


def proof(
    found: Analysis, asked: Guards, tried: int | None, threads: int, replayed: Replayed | None = None
) -> Proof | None:
    """Return the verdict on the best backtest of a lab among those judged, None where there is none.

    ``tried``: configurations ever tried on this market, instead of those the server says the lab has.
    """
    place = {int(i): k for k, i in enumerate(found.judged)}
    best = next((i for i in found.order.tolist() if i in place), None)
    if best is None:
        return None
    k, luck, names = place[best], luck_of_lab(found, threads), found.tables.backtests["backtest_id"]
    count = max(found.tables.backtests.num_rows, found.tables.lab.backtests or 0) if tried is None else tried
    sums, row = found.sums[k : k + 1], found.figures[best]
    chance = ratio = unseen = None
    if luck is not None:
        chance, ratio, unseen = chance_of(sums, k, luck), ratio_of(sums[0], luck, count), unseen_of(luck)
    winner = names[best].as_py()
    evidence = Evidence(
        k,
        mean_bps(sums[0]),
        float(np.median(sums)) / MICRO_BPS,
        row["win_rate"] or 0.0,
        row["total_trades"],
        sums.size,
        chance,
        luck.halving if luck else None,
        ratio,
        unseen,
        spread_of(found, best, sums[0], luck),
        quality_of(found, best, sums[0], replayed),
        None,
        len(found.sums),
    )
    verdict = _judged(evidence, asked, replayed is not None)
    return Proof(asked, verdict, evidence, Ledger(count, 1, 0), luck, winner)


def luck_of_lab(found: Analysis, threads: int) -> Luck | None:
    """Return the ``Luck`` of a lab's backtests; None for fewer than three days. Equal parameters count once."""
    luck = luck_of_days(found.sums, held(found), threads, found.span.first)
    if luck is None:
        return None
    told = found.tables.backtests["parameters"].take(found.judged).to_pylist()
    named = Counter(told)
    return replace(luck, distinct=len(named) - (None in named) + named.get(None, 0))


def held(found: Analysis) -> int:
    """Return for how long a position was held at most, ms, leaving out the longest hundredth."""
    spans = [one.exit - one.entry for i in found.judged.tolist() if (one := found.closed[i]) is not None]
    every = np.concatenate(spans) if spans else np.empty(0, np.int64)
    return int(np.quantile(every, HELD, method="higher")) if every.size else 0


def spread_of(found: Analysis, best: int, sums: Ints, luck: Luck | None) -> Spread:
    """Return where the winner's mean comes from: without its best trades, its best day, its best market; by month."""
    one, span = _closed(found, best), found.span
    returns = np.rint(one.profit / found.figures[best]["starting_balance"] * MICRO).astype(np.int64)
    ranked, total = np.sort(returns)[::-1], int(returns.sum())
    low = high = nan
    if luck is not None:
        low, high = interval(sums, luck.calendar.alerts, luck.length)
    days = (span.first + np.arange(sums.size)).astype("datetime64[D]")
    months, top = days.astype("datetime64[M]").astype(str), int(np.argmax(sums))
    markets = _markets(found, best)
    by_market = {name: int(returns[markets == name].sum()) for name in sorted(set(markets.tolist()))}
    first = max(by_market, key=lambda name: by_market[name], default="")
    rest = (total - by_market[first]) / sums.size / MICRO_BPS if len(by_market) > 1 else nan
    gain = returns[returns > 0].sum()
    return Spread(
        low,
        high,
        (total - int(ranked[:1].sum())) / sums.size / MICRO_BPS,
        (total - int(ranked[:5].sum())) / sums.size / MICRO_BPS,
        Part(str(days[top]), sums.size - 1, mean_bps(np.delete(sums, top))),
        Part(first, sums.size, rest),
        float(np.maximum(ranked[: ceil(ranked.size / 100)], 0).sum() / gain) if gain else nan,
        tuple(
            Part(str(each), int((months == each).sum()), mean_bps(sums[months == each])) for each in np.unique(months)
        ),
    )


def quality_of(found: Analysis, best: int, sums: Ints, replayed: Replayed | None) -> Quality:
    """Return what hangs on the data: twice the fees, positions left open, and where replayed what candles allow."""
    row, size = found.figures[best], sums.size
    balance, made = row["starting_balance"], row["realized_profit"]

    def mean(profit: float) -> float:
        return 1e4 * profit / balance / size

    opened = row["open_positions"] or 0
    unrealized = row["unrealized_profit"] or 0.0
    lanes = [Lane("twice the fees", mean(made - row["fees"]))]
    if opened:
        lanes.append(Lane("open positions closed at the end", mean(made + unrealized)))
    worst = high = mean(made)
    rate = 0.0
    if replayed is not None and (again := replayed.of(best)) is not None:
        worst, high, rate = mean(again.worst), mean(again.best), again.doubtful
        lanes.append(Lane("filled by FS-1", mean(again.fs1)))
    lost = mean(made + min(unrealized, 0.0))
    return Quality(worst, high, rate, opened, opened / max(1, row["positions"] or 0), lost, tuple(lanes))


def _judged(evidence: Evidence, asked: Guards, replayed: bool) -> Verdict:
    """Return the verdict, its last check in the words of a lab: fills can be trusted only where they were replayed."""
    verdict, data = verdict_on(evidence, asked, a_day), evidence.quality
    said = [f"in candles [{a_day(data.worst_bps)}, {a_day(data.best_bps)}]"]
    if not replayed:
        said = ["fills not held against candles (give --candles)"]
    if data.ambiguous_rate:
        said.append(f"{data.ambiguous_rate:.1%} of its fills in doubt")
    if data.excluded:
        said.append(f"{data.excluded} open at the end: {a_day(data.excluded_lost_bps)} if lost")
    lowest = min(data.excluded_lost_bps, *(lane.mean_bps for lane in data.lanes))
    sound = replayed and lowest > 0 and data.ambiguous_rate <= DOUBTFUL
    status: Status = "FAIL" if data.worst_bps <= 0 else "PASS" if sound else "WARN"
    checks = (*verdict.checks[:-1], Check("data", tuple(said), status))
    if verdict.word == REFUTED:
        return Verdict(REFUTED, checks)
    return Verdict(NOT_PROVEN if any(each.status == "FAIL" for each in checks) else PROVEN, checks)


def _closed(found: Analysis, best: int) -> Closed:
    one = found.closed[best]
    assert one is not None
    return one


def _markets(found: Analysis, best: int) -> np.ndarray:
    """Return the market of each closed position of a backtest, in their order."""
    rows = found.rows(best)
    names = rows["market_tag"].filter(rows["closed"]).to_pylist()
    return np.array([name or "" for name in names], object)
