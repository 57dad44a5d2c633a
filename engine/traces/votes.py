"""The signal of a strategy: its rules' own, or what its levels make of the votes of their members."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.arrays import Floats
from ...kernels.signals import NONE, Signal
from .conditions import TRUE, Scope, holds, signs
from .filters import Clause, FilterReport
from .forms import Atom, Form, Group, Strategy, only_rule
from .registry import RULES
from .terms import Term, text

if TYPE_CHECKING:
    from .features import Features

Bools = NDArray[np.bool_]


def signal_of(strategy: Strategy, features: "Features") -> tuple[Signal, FilterReport]:
    """Return what the strategy wants after each candle, int8[N], 1, 0 or -1, NONE until a member is warm; its filters.

    The vote of a level is the sum of weight times signal over the sum of weights, both of the members that have a
    signal and whose condition is true; of a majority or a unanimous vote 1, 0 or -1. The level wants the sign of its
    vote where every clause is true, else it is flat, and so where all its conditions fail.
    """
    walk = _Walk(features)
    signal = walk.signal(strategy.form, "top")
    return signal, FilterReport(signal.size, tuple(walk.clauses))


@dataclass(frozen=True)
class _Walk:
    """One walk down a form: what its terms of the candles were found to be, and its clauses so far."""

    features: "Features"
    shared: dict[Term, Any] = field(default_factory=dict)
    clauses: list[Clause] = field(default_factory=list)

    def signal(self, form: Form, level: str) -> Signal:
        if isinstance(form, Atom):
            return RULES[form.rule].signal(self.features, dict(form.values))
        places = [f"{i + 1}" if level == "top" else f"{level}.{i + 1}" for i in range(len(form.members))]
        signals = [self.signal(each.form, place) for each, place in zip(form.members, places, strict=True)]
        warm = [signal != NONE for signal in signals]
        voting = [
            self.voting(each.condition, signal, there, place, each.form)
            for each, signal, there, place in zip(form.members, signals, warm, places, strict=True)
        ]
        votes = [np.where(there, signal, np.nan) for signal, there in zip(signals, voting, strict=True)]
        any_warm = np.logical_or.reduce(warm)
        vote = np.where(any_warm, _VOTES[form.combination](votes, [each.weight for each in form.members]), np.nan)
        names = zip(map(only_rule, (each.form for each in form.members)), votes, strict=True)
        scope = Scope(self.features, vote, {name: each for name, each in names if name}, shared=self.shared)
        return self.gated(form, level, scope, any_warm)

    def voting(self, condition: Term | None, signal: Signal, warm: Bools, place: str, form: Form) -> Bools:
        """Return where a member has a vote, bool[N]."""
        if condition is None:
            return warm
        there = warm & (holds(condition, Scope(self.features, shared=self.shared)) == TRUE)
        wants = warm & (signal != 0)
        self.clauses.append(
            Clause(place, rules_of(form), f"condition: {text(condition)}", _count(wants), _count(wants & there))
        )
        return there

    def gated(self, form: Group, level: str, scope: Scope, warm: Bools) -> Signal:
        """Return the sign of the vote where every clause lets it pass."""
        wanted = np.where(warm, signs(scope.vote), 0).astype(np.int8)
        passing = wanted != 0
        for side, term in _clauses(form):
            true = holds(term, scope) == TRUE
            after = passing & (true if side == 0 else true | (wanted != side))
            shown = f"|vote| >= {text(term)}" if term.op == "vote" else text(term)
            before = passing if side == 0 else passing & (wanted == side)
            self.clauses.append(
                Clause(level, rules_of(form), _SIDES[side] + shown, _count(before), _count(before & after))
            )
            passing = after
        out = np.where(passing, wanted, np.int8(0))
        if form.on_reject == "hold":
            out = _held(out, warm & ((wanted == 0) | passing))
        return np.where(warm, out, np.int8(NONE))


_SIDES = {0: "", 1: "long: ", -1: "short: "}


def _clauses(form: Group) -> list[tuple[int, Term]]:
    """Return the clauses of a level, each with the side that it is asked of, 0 for both."""
    sides = [(0, form.long)] if form.long == form.short else [(1, form.long), (-1, form.short)]
    found = [(side, part) for side, term in sides if term for part in (term.parts if term.op == "AND" else (term,))]
    return found + [(0, term) for term in form.constraints]


def rules_of(form: Form) -> str:
    """Return the names of the rules in a form, joined by +."""
    return form.rule if isinstance(form, Atom) else "+".join(rules_of(each.form) for each in form.members)


def _weighted(votes: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """Return the mean of the votes that are there, 0 where there is none; sums in the order of the members."""
    if len(votes) == 1:
        return np.where(np.isnan(votes[0]), 0.0, votes[0])
    total, of = np.zeros(votes[0].size), np.zeros(votes[0].size)
    for vote, weight in zip(votes, weights, strict=True):
        there = ~np.isnan(vote)
        total += np.where(there, vote * weight, 0.0)
        of += np.where(there, weight, 0.0)
    return total / np.where(of > 0, of, 1.0)


def _majority(votes: Sequence[Floats], _: Sequence[float]) -> Floats:
    """Return the side of more than half of the members that have a vote, flat ones among them."""
    there, longs, shorts = (_tally(votes, side) for side in (None, 1.0, -1.0))
    return np.where(2 * longs > there, 1.0, np.where(2 * shorts > there, -1.0, 0.0))


def _unanimous(votes: Sequence[Floats], _: Sequence[float]) -> Floats:
    """Return the side of all members that have a vote."""
    there, longs, shorts = (_tally(votes, side) for side in (None, 1.0, -1.0))
    return np.where(there == 0, 0.0, np.where(longs == there, 1.0, np.where(shorts == there, -1.0, 0.0)))


_VOTES: Mapping[str, Any] = {"weighted": _weighted, "majority": _majority, "unanimous": _unanimous}


def _tally(votes: Sequence[Floats], side: float | None) -> NDArray[np.int64]:
    """Return how many votes are for a side, or how many there are, int64[N]."""
    return np.sum([~np.isnan(vote) if side is None else vote == side for vote in votes], axis=0)


def _held(out: Signal, known: Bools) -> Signal:
    """Return ``out`` with what is not ``known`` taken from the last candle that is, flat before the first."""
    last = np.maximum.accumulate(np.where(known, np.arange(out.size), -1))
    return np.where(last < 0, np.int8(0), out[last])


def _count(values: Bools) -> int:
    return int(np.count_nonzero(values))
