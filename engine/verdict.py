"""The verdict on a winner: six checks, what each found, and whether the profit is proven."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, isnan
from typing import Literal

from .guards import Evidence
from .settings import Guards
from .values import show_bps as percent

Status = Literal["PASS", "WARN", "FAIL"]
Word = Callable[[float], str]  # a mean in bps -> how it is said
PROVEN, NOT_PROVEN, REFUTED = "PROVEN", "NOT PROVEN", "REFUTED"
TOO_FEW = "too few days to tell"


@dataclass(frozen=True)
class Check:
    """One check: its ``name``, what it ``found`` in words, its status."""

    name: str
    found: tuple[str, ...]
    status: Status


@dataclass(frozen=True)
class Verdict:
    """``word``: PROVEN where no check fails, REFUTED where the policy or the way it was chosen loses money."""

    word: str
    checks: tuple[Check, ...]

    @property
    def failing(self) -> tuple[str, ...]:
        """The names of the checks that fail."""
        return tuple(check.name for check in self.checks if check.status == "FAIL")


def verdict_on(found: Evidence, asked: Guards, word: Word = percent) -> Verdict:
    """Return the verdict on a winner; ``word`` puts its means into words."""
    judged = (_luck(found, asked, word), _selection(found, asked), _sharpe(found, asked))
    checks = (*judged, _unseen(found, word), _spread(found, word), _data(found, word))
    if found.mean_bps <= 0 or (found.unseen is not None and found.unseen.high_bps < 0):
        return Verdict(REFUTED, checks)
    return Verdict(NOT_PROVEN if any(check.status == "FAIL" for check in checks) else PROVEN, checks)


def chance(p: float) -> str:
    """Return a probability with two digits that count; a dash where undefined."""
    if isnan(p):
        return "-"
    return "<0.001" if 0 < p < 0.0005 else f"{p:.3f}" if 0 < p < 0.0995 else f"{p:.2f}"


def _luck(found: Evidence, asked: Guards, word: Word) -> Check:
    if found.chance is None:
        return Check("luck", (TOO_FEW,), "FAIL")
    line, mine = word(found.chance.line_bps), word(found.mean_bps)
    said = f"best without skill: 95% line {line} | yours {mine}", f"p {chance(found.chance.p)}"
    return Check("luck", said, "PASS" if found.chance.p <= asked.max_luck else "FAIL")


def _selection(found: Evidence, asked: Guards) -> Check:
    half = found.halving
    if found.trials == 1:  # here; of those tried before it may be the best
        alone: Status = "PASS" if found.ratio is not None and found.ratio.tried <= 1 else "WARN"
        return Check("selection", ("one policy, which was not selected",), alone)
    if half is None:
        return Check("selection", (TOO_FEW,), "FAIL")
    slope = "-" if isnan(half.slope) else f"{half.slope:+.1f}"
    said = f"PBO {chance(half.overfit)} (want < {asked.max_pbo:g})", f"OOS/IS slope {slope}"
    status: Status = "PASS" if half.overfit < asked.max_pbo else "WARN" if half.overfit < 0.5 else "FAIL"
    return Check("selection", said, status)


def _sharpe(found: Evidence, asked: Guards) -> Check:
    ratio = found.ratio
    if ratio is None or isnan(ratio.deflated_independent):
        return Check("sharpe", (TOO_FEW,), "FAIL")
    need = "no record is enough" if ratio.needed_days == float("inf") else f"needs {ceil(ratio.needed_days):,} d"
    ideas = f"{ratio.independent:.0f} idea{'s' * (round(ratio.independent) != 1)}"
    of_all = f"{chance(ratio.deflated_tried)} ({ratio.tried:,})"
    said = f"DSR {chance(ratio.deflated_independent)} ({ideas}) … {of_all}"
    enough = ratio.deflated_independent >= asked.min_dsr
    status: Status = "PASS" if ratio.deflated_tried >= asked.min_dsr else "WARN" if enough else "FAIL"
    return Check("sharpe", (said, f"{need}, has {found.days:,} d"), status)


def _unseen(found: Evidence, word: Word) -> Check:
    past = found.unseen
    if past is None:
        return Check("unseen", (TOO_FEW,), "FAIL")
    said = f"walk-forward {word(past.mean_bps)} ({past.winning}/{len(past.folds)} folds > 0)"
    range_ = f"95% [{word(past.low_bps)}, {word(past.high_bps)}]"
    good = past.mean_bps > 0 and 2 * past.winning >= len(past.folds)
    return Check("unseen", (said, range_), "PASS" if good else "FAIL")


def _spread(found: Evidence, word: Word) -> Check:
    spread = found.spread
    if isnan(spread.low_bps):
        return Check("spread", (TOO_FEW,), "FAIL")
    range_ = f"95% [{word(spread.low_bps)}, {word(spread.high_bps)}]"
    said = range_, f"without 5 best {word(spread.without_best_5)}"
    return Check("spread", said, "PASS" if spread.low_bps > 0 and spread.without_best_5 > 0 else "FAIL")


def _data(found: Evidence, word: Word) -> Check:
    data = found.quality
    said = [f"in candles [{word(data.worst_bps)}, {word(data.best_bps)}]"]
    if data.excluded:
        said.append(f"{data.excluded_rate:.1%} left out: {word(data.excluded_lost_bps)} if lost")
    lowest = min(lane.mean_bps for lane in data.lanes)
    if data.worst_bps <= 0:
        return Check("data", tuple(said), "FAIL")
    return Check("data", tuple(said), "WARN" if min(lowest, data.excluded_lost_bps) <= 0 else "PASS")
