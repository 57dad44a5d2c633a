"""Is the best of many configurations luck? The guards of every search, on R by session day.

One observation is a session day: what a configuration made on it, 0 where it did not trade. Means are R a day; as the
guards count in basis points, 1 R stands as 10,000 of them (100 %).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil, isnan, nan
from typing import Any

import numpy as np

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
from ..values import DAY
from ..verdict import Verdict, verdict_on
from .axes import beside
from .config import Config
from .search import Searched
from .trials import MICRO, Days, Land, Made, by_day, made_by_all, made_of

BPS_AN_R = 10_000
STRESS_BPS = 1.0  # a side, on top of twice the costs


@dataclass(frozen=True)
class Proof:
    """The verdict on a search over settings, and what it rests on; ``luck`` None: too few days to tell."""

    asked: Guards
    verdict: Verdict
    evidence: Evidence
    ledger: Ledger
    luck: Luck | None

    def document(self) -> dict[str, Any]:
        """Return it as JSON values: means in R a day, null for what is undefined."""
        found = {
            **verdict_of(self.verdict, self.asked),
            "tried": self.ledger.tried,
            "search": self.luck and search_of(self.luck),
            "winner": in_r(asdict(self.evidence)),
        }
        return defined(found)


def in_r(value: Any, name: str = "") -> Any:
    """Return what the guards say in the words of sessions: R for basis points, days and symbols for alerts."""
    if isinstance(value, dict):
        words = {"without_caller": "without_best_day", "without_token": "without_best_symbol", "sum_q": "sum_micro_r"}
        words["alerts"] = "trades" if "days" in value else "days"
        return {words.get(key, str(key).replace("_bps", "_r")): in_r(each, key) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [in_r(each) for each in value]
    money = name.endswith("_bps") or name in ("without_best", "without_best_5")
    return value / BPS_AN_R if money and isinstance(value, int | float) else value


def as_r(bps: float) -> str:
    """Return a mean in R; a dash where undefined."""
    return "-" if isnan(bps) else f"{bps / BPS_AN_R:+.3f}R"


def proof(found: Searched, lands: Sequence[Land], asked: Guards, ledger: Ledger, threads: int) -> Proof:
    """Return the verdict on the best configuration of a search."""
    k, config, luck = int(found.order[0]), found.winner(), luck_of_days(found.sums, found.held * DAY, threads)
    sums, made = found.sums[k : k + 1], made_of(lands, found.days, config)
    chance = ratio = unseen = None
    if luck is not None:
        chance, ratio = chance_of(sums, k, luck), ratio_of(sums[0], luck, ledger.tried)
        unseen = unseen_of(luck)
    near = made_by_all(lands, found.days, beside(config, found.work.axes, found.trials.settings[k]), threads)
    means = [mean_bps(each.sums) for each in near if each is not None]
    evidence = Evidence(
        found.trials.ids[k],
        mean_bps(sums[0]),
        float(np.median(sums)) / MICRO_BPS,
        made.metrics["win_rate"] or 0.0,
        made.trades["day"].size,
        sums.size,
        chance,
        luck.halving if luck else None,
        ratio,
        unseen,
        spread_of(made, [each.symbol for each in lands], found.days, luck),
        quality_of(made, lands, found.days, config),
        (min(means), max(means)) if means else None,
    )
    return Proof(asked, verdict_on(evidence, asked, as_r), evidence, ledger, luck)


def spread_of(made: Made, symbols: Sequence[str], days: Days, luck: Luck | None) -> Spread:
    """Return where the winner's mean comes from: without its best trades, its best day, its best symbol; by month."""
    r = np.rint(made.trades["realized_r"] * MICRO).astype(np.int64)
    best, total, size = np.sort(r)[::-1], int(r.sum()), len(days.names)
    low = high = nan
    if luck is not None:
        low, high = interval(made.sums, luck.calendar.alerts, luck.length)
    top, gain = int(np.argmax(made.sums)), r[r > 0].sum()
    by_symbol = np.array([int(r[made.trades["symbol"] == i].sum()) for i in range(len(symbols))])
    first = int(np.argmax(by_symbol))
    months = np.array([day[:7] for day in days.names])
    return Spread(
        low,
        high,
        (total - int(best[:1].sum())) / size / MICRO_BPS,
        (total - int(best[:5].sum())) / size / MICRO_BPS,
        Part(days.names[top], size - 1, mean_bps(np.delete(made.sums, top))),
        Part(symbols[first], size, (total - int(by_symbol[first])) / size / MICRO_BPS if len(symbols) > 1 else nan),
        float(np.maximum(best[: ceil(best.size / 100)], 0).sum() / gain) if gain else nan,
        tuple(
            Part(str(each), int((months == each).sum()), mean_bps(made.sums[months == each]))
            for each in np.unique(months)
        ),
    )


def quality_of(made: Made, lands: Sequence[Land], days: Days, config: Config) -> Quality:
    """Return what hangs on the data: order in candles, days left out for holes (-1 R each), dearer fills."""
    size = len(days.names)
    worst, best = (mean_bps(by_day(made.trades, made.trades[name], size)) for name in ("worst_r", "best_r"))
    out = sum(int(each.skip.sum()) for each in lands if each.skip is not None)
    lost = (int(made.sums.sum()) - out * MICRO) / size / MICRO_BPS
    how = config.backtest
    costs = {"fee_bps": 2 * how.fee_bps, "slippage_bps": 2 * how.slippage_bps + STRESS_BPS}
    dear = config.model_copy(update={"backtest": how.model_copy(update=costs)})
    lanes = (
        Lane("twice the costs and 1 bps a side", mean_bps(made_of(lands, days, dear).sums)),
        Lane("worst order inside candles", worst),
    )
    rate = float(made.metrics["ambiguous_rate"] or 0.0)
    return Quality(worst, best, rate, out, out / (size * len(lands)), lost, lanes)
