"""The form of a strategy: a rule with its parameters, or a level of members that vote; and its canonical config."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from ...io.digest import config_digest
from .risk import Risk
from .rule import Value
from .terms import Term, text

Combination = Literal["weighted", "majority", "unanimous"]
OnReject = Literal["flat", "hold"]


@dataclass(frozen=True)
class Atom:
    """A registered rule and every parameter of it, in the order the rule declares them."""

    rule: str
    values: tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Member:
    """A voter of a level. Where its condition is not true it has no vote."""

    form: "Form"
    weight: float = 1.0
    condition: Term | None = None


@dataclass(frozen=True)
class Group:
    """A level: members in canonical order, their weights adding up to 1, and what their vote must meet.

    ``long`` is the threshold of a vote above zero, ``short`` of one below, None for none; ``constraints`` must hold of
    both. Where they do not, the level is flat, or holds what it last wanted (``on_reject``).
    """

    members: tuple[Member, ...]
    combination: Combination = "weighted"
    long: Term | None = None
    short: Term | None = None
    constraints: tuple[Term, ...] = ()
    on_reject: OnReject = "flat"


Form = Atom | Group


@dataclass(frozen=True)
class Strategy:
    """A form and the exits of its positions, if it has any. Equal strategies have equal hashes."""

    form: Form
    risk: Risk | None = None

    @cached_property
    def config(self) -> dict[str, Any]:
        """The canonical config: aliases resolved, defaults filled; ``grammar`` reads it back. Without risk."""
        return config_of(self.form)

    @cached_property
    def strategy_hash(self) -> str:
        """The sha256 of the canonical config, 64 hex: what it wants, whatever the data and the exits."""
        return config_digest(self.config)

    @cached_property
    def risk_hash(self) -> str:
        """The sha256 of its exits, 64 hex; that of {} where it has none."""
        return config_digest(self.risk.canonical() if self.risk else {})

    @property
    def strategy_type(self) -> str:
        """The name of its rule, "ensemble" of a list of rules, "composite" where one of these is a list itself."""
        form = self.form
        if (rule := only_rule(form)) or isinstance(form, Atom):
            return rule
        return "composite" if any(not only_rule(each.form) for each in form.members) else "ensemble"

    @property
    def parameters(self) -> dict[str, Value]:
        """The parameters of its only rule, none of an ensemble."""
        form = self.form
        while isinstance(form, Group) and len(form.members) == 1:
            form = form.members[0].form
        return dict(form.values) if isinstance(form, Atom) else {}

    @property
    def constraints(self) -> str | None:
        """The constraints of its top level, joined by AND, None for none."""
        own = self.form.constraints if isinstance(self.form, Group) else ()
        return " AND ".join(f"({text(each)})" if each.op == "OR" else text(each) for each in own) or None


def only_rule(form: Form) -> str:
    """Return the name of the only rule in a form, '' where it has several."""
    while isinstance(form, Group) and len(form.members) == 1:
        form = form.members[0].form
    return form.rule if isinstance(form, Atom) else ""


def config_of(form: Form) -> dict[str, Any]:
    """Return the form as plain JSON values, the same for equal forms."""
    if isinstance(form, Atom):
        return {form.rule: dict(form.values)}
    one = form.members[0]
    alone = len(form.members) == 1 and isinstance(one.form, Atom)
    weighted = len(form.members) > 1 and form.combination == "weighted"
    items = [item_of(each, weighted) for each in form.members]
    return (items[0] if alone else {"strategy": items}) | dict(_settings(form))


def item_of(member: Member, weighted: bool) -> dict[str, Any]:
    """Return a member as an item of its level's list."""
    config = config_of(member.form)
    if weighted:
        config["weight"] = member.weight
    if member.condition:
        config["condition"] = text(member.condition)
    return config


def _settings(form: Group) -> Iterator[tuple[str, Any]]:
    if form.combination != "weighted":
        yield "combination", form.combination
    if form.long == form.short:
        if form.long:
            yield "threshold", text(form.long)
    else:
        yield "threshold", {"long": text(form.long or ANY), "short": text(form.short or ANY)}
    if form.constraints:
        texts = [text(each) for each in form.constraints]
        yield "constraints", texts[0] if len(texts) == 1 else texts
    if form.on_reject != "flat":
        yield "on_reject", form.on_reject


ANY = Term("truth", "literal", True)
