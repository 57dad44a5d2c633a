"""The signal of a strategy: its rules' own, or what its levels make of the votes of their members."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.signals import NONE, Signal
from ...kernels.votes import common_vote, mean_vote, sides
from .conditions import TRUE, Scope, holds
from .filters import Clause, FilterReport
from .forms import Atom, Form, Group, Member, Strategy, only_rule
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
        found = [self.signal(each.form, place) for each, place in zip(form.members, places, strict=True)]
        warm = np.logical_or.reduce([signal != NONE for signal in found])
        votes = np.array([self.vote(*each) for each in zip(form.members, found, places, strict=True)])
        if form.combination == "weighted":
            vote = mean_vote(votes, np.array([each.weight for each in form.members]), warm)
        else:
            vote = common_vote(votes, form.combination == "unanimous", warm)
        names = [only_rule(each.form) for each in form.members]
        scope = Scope(self.features, vote, dict(zip(names, votes, strict=True)), shared=self.shared)
        return self.gated(form, level, scope, warm)

    def vote(self, member: Member, signal: Signal, place: str) -> Signal:
        """Return the signal of a member, NONE where its condition is not true."""
        if member.condition is None:
            return signal
        true = holds(member.condition, Scope(self.features, shared=self.shared)) == TRUE
        wants = (signal != NONE) & (signal != 0)
        shown = f"condition: {text(member.condition)}"
        self.clauses.append(Clause(place, rules_of(member.form), shown, _count(wants), _count(wants & true)))
        return np.where(true, signal, np.int8(NONE))

    def gated(self, form: Group, level: str, scope: Scope, warm: Bools) -> Signal:
        """Return the sign of the vote where every clause lets it pass."""
        wanted = sides(scope.vote)
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


def _held(out: Signal, known: Bools) -> Signal:
    """Return ``out`` with what is not ``known`` taken from the last candle that is, flat before the first."""
    last = np.maximum.accumulate(np.where(known, np.arange(out.size), -1))
    return np.where(last < 0, np.int8(0), out[last])


def _count(values: Bools) -> int:
    return int(np.count_nonzero(values))
