"""The call of a function in an expression: its arguments counted, typed and made whole."""

from collections.abc import Callable
from typing import NoReturn

from ..values import parse_interval, show_duration
from .functions import ALIASES, FUNCTIONS, Function, signature
from .terms import SIGNAL, Term, names_votes, text
from .tokens import Token

LONGEST_PERIOD = 100_000  # candles

Refuse = Callable[[int, str], NoReturn]
Given = list[tuple[Term, int]]


def call(token: Token, given: Given, refuse: Refuse) -> Term:
    """Return the call of the function ``token`` names, with every argument; each is ``given`` with its place."""
    name = ALIASES.get(token.text, token.text)
    made = FUNCTIONS[name]
    given, frame = _without_timeframe(made, given, refuse)
    given = _with_defaults(name, made, given, token.at, refuse)
    parts = [_argument(name, takes, term, at, refuse) for takes, (term, at) in zip(made.takes, given, strict=True)]
    return Term(made.kind, "call", name, (*parts, *frame))


def timeframe_of(term: Term) -> int | None:
    """Return the ms of the coarser candles that a call is taken from, None where it is not."""
    last = term.parts[-1] if term.op == "call" and term.parts else None
    return parse_interval(str(last.value)) if last and last.kind == "text" else None


def _without_timeframe(made: Function, given: Given, refuse: Refuse) -> tuple[Given, tuple[Term, ...]]:
    """Return the other arguments, and the timeframe as a literal in its shortest form, or nothing."""
    if not (made.framed and given and given[-1][0].kind == "text"):
        return given, ()
    term, at = given[-1]
    try:
        frame = parse_interval(str(term.value))
    except ValueError as error:
        refuse(at, f"the timeframe is {text(term)}; {error}")
    return given[:-1], (Term("text", "literal", show_duration(frame)),)


def _with_defaults(name: str, made: Function, given: Given, at: int, refuse: Refuse) -> Given:
    """Return the arguments with those left out."""
    missing = len(made.takes) - len(given)
    if missing == 0:
        return given
    if missing != len(made.defaults):
        refuse(at, f"{name} was given {len(given) or 'no'} argument{'s' * (len(given) != 1)}; write {signature(name)}")
    rest = iter(given)
    return [(_default(made.defaults[i]), at) if i in made.defaults else next(rest) for i in range(len(made.takes))]


def _default(value: str | int) -> Term:
    return Term("number", "name", value) if isinstance(value, str) else Term("number", "literal", float(value))


def _argument(name: str, takes: str, term: Term, at: int, refuse: Refuse) -> Term:
    if takes == "period":
        value = term.value if term.kind == "number" and term.op == "literal" else None
        if not (isinstance(value, float) and value == int(value) and 1 <= value <= LONGEST_PERIOD):
            must = f"a whole number of candles from 1 to {LONGEST_PERIOD:,}"
            refuse(at, f"{text(term)} in {name}: it must be {must}; write {signature(name)}")
        return term
    if term.kind != "number":
        refuse(at, f"{text(term)} in {name} is a {term.kind}; it must be a number; write {signature(name)}")
    if takes == "series" and not _of_candles(term):
        refuse(at, f"{text(term)} in {name} is no series of the candles; write {signature(name)}")
    if takes == "series" and names_votes(term):
        refuse(at, f"{text(term)} in {name} depends on votes; it must be a series of the candles")
    return term


def _of_candles(term: Term) -> bool:
    """Return whether the term depends on the candles."""
    own = FUNCTIONS[str(term.value)].key is not None if term.op == "call" else term.op == "name" and term != SIGNAL
    return own or any(map(_of_candles, term.parts))
