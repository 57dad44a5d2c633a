"""The language of thresholds, constraints and conditions: text to a term, checked whole, nothing guessed.

NOT binds before AND, AND before OR, in capitals or not; before them comparisons, which do not chain, then + and -, then
* / and %, then a sign, then **. A number that opens a threshold and stands alone or before AND or OR is the least vote
of the level: |vote| >= it. The name of a member is its vote (1, 0, -1); where a condition must stand, whether that is
not zero.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NoReturn

from ...io.config import nearest
from ...io.errors import UsageError
from ..values import show_number
from .calls import call
from .functions import ALIASES, FUNCTIONS, VARIABLES, signature
from .terms import COMPARISONS, SIGNAL, Term, text
from .tokens import Token, refuse, tokens

DEEPEST = 64  # levels of brackets, signs and calls, and links of a chain of + - * / %
AMBIGUOUS = ""  # what ``members`` maps a name to that several members of the level have

_WORDS = ("AND", "OR", "NOT")
_TRUTHS = {"true": True, "false": False}


def parse(source: Any, place: str, members: Mapping[str, str] | None = None, least: bool = False) -> Term:
    """Return the condition that ``source`` (text, or a number or truth of a config) says, a term of kind "truth".

    ``members`` are the names of a level's members, each with its canonical name; None where nothing may depend on
    votes. ``least``: it may open with a least vote. Raises UsageError naming ``place``, the character, and the remedy.
    """
    if isinstance(source, int | float) and not isinstance(source, bool):
        source = show_number(source) if abs(source) < 1e300 else repr(source)
    if isinstance(source, bool):
        source = str(source)
    if not isinstance(source, str):
        raise UsageError(f"{place} is {source!r:.60}; it must be an expression such as 'volume > sma(volume, 20)'")
    if not source.strip():
        raise UsageError(f"{place} is empty; it must be an expression such as 'volume > sma(volume, 20)'")
    return _parsed(source, place, None if members is None else tuple(sorted(members.items())), least)


@lru_cache(4096)  # the variants of a sweep say the same again and again
def _parsed(source: str, place: str, members: tuple[tuple[str, str], ...] | None, least: bool) -> Term:
    return _Parser(source, place, None if members is None else dict(members), least).whole()


class _Parser:
    """One walk over the tokens of ``source``; each method takes the tokens of its term and returns it."""

    def __init__(self, source: str, place: str, members: Mapping[str, str] | None, least: bool):
        self.source, self.place, self.members, self.least = source, place, members, least
        self.tokens, self.i, self.depth = tokens(source, place), 0, 0

    @property
    def now(self) -> Token:
        return self.tokens[self.i]

    def refuse(self, at: int, what: str) -> NoReturn:
        refuse(self.source, self.place, at, what)

    def word(self, i: int) -> str:
        """Return AND, OR, NOT or the sign that stands at token ``i``, '' for any other token."""
        token = self.tokens[i]
        if token.kind == "name":
            return token.text.upper() if token.text.upper() in _WORDS else ""
        return token.text if token.kind == "sign" else ""

    def take(self, *words: str) -> str:
        """Return the word or sign that stands here and step over it where it is one of ``words``, else ''."""
        found = self.word(self.i)
        if not found or found not in words:
            return ""
        self.i += 1
        return found

    def deeper(self, by: int = 1) -> None:
        self.depth += by
        if self.depth > DEEPEST:
            self.refuse(self.now.at, f"it nests deeper than {DEEPEST} levels")

    def whole(self) -> Term:
        at, term = self.now.at, self.either()
        if self.now.kind != "end":
            self.refuse(self.now.at, f"{self.now.text!r} is not expected here{self.unexpected()}")
        return self.truth(term, at)

    def either(self) -> Term:
        return self.chain("OR", self.both)

    def both(self) -> Term:
        return self.chain("AND", self.negated)

    def chain(self, word: str, part: Callable[[], Term]) -> Term:
        """Return the parts joined by ``word``, flat, or the only part."""
        at, first = self.now.at, part()
        if self.word(self.i) != word:
            return first
        parts = [self.truth(first, at)]
        while self.take(word):
            at = self.now.at
            parts.append(self.truth(part(), at))
        flat = [each for one in parts for each in (one.parts if one.op == word else (one,))]
        return Term("truth", word, parts=tuple(flat))

    def negated(self) -> Term:
        if not self.take("NOT"):
            return self.compared()
        self.deeper()
        at = self.now.at
        term = Term("truth", "NOT", parts=(self.truth(self.negated(), at),))
        self.deeper(-1)
        return term

    def compared(self) -> Term:
        at, left = self.now.at, self.links(("+", "-"), self.product)
        sign_at, sign = self.now.at, self.take(*COMPARISONS)
        if not sign:
            return left
        other_at, right = self.now.at, self.links(("+", "-"), self.product)
        if self.word(self.i) in COMPARISONS:
            self.refuse(self.now.at, "comparisons do not chain; write a < b AND b < c")
        if "text" in (left.kind, right.kind):
            return self.of_texts(sign, (left, right), (at, sign_at, other_at))
        return Term("truth", sign, parts=(self.number(left, at), self.number(right, other_at)))

    def of_texts(self, sign: str, sides: tuple[Term, Term], at: tuple[int, int, int]) -> Term:
        """Return == or != of a function that gives one of some words, and one of these words; the function first."""
        if sign not in ("==", "!="):
            self.refuse(at[1], f"texts compare with == or != only, not with {sign}")
        called = [side for side in sides if side.op == "call" and side.kind == "text"]
        words = [(side, where) for side, where in zip(sides, (at[0], at[2]), strict=True) if side.op == "literal"]
        if len(called) != 1 or len(words) != 1 or words[0][0].kind != "text":
            self.refuse(at[1], "a text compares with one of its words: market_hours() == 'regular'")
        known, (word, where) = FUNCTIONS[str(called[0].value)].words, words[0]
        if word.value not in known:
            hint = nearest(str(word.value), known)
            self.refuse(where, f"{word.value!r} is no word of {called[0].value}(); they are {', '.join(known)}{hint}")
        return Term("truth", sign, parts=(called[0], word))

    def links(self, signs: tuple[str, ...], part: Callable[[], Term]) -> Term:
        """Return the parts linked by ``signs``, from left to right, or the only part."""
        at, term, linked = self.now.at, part(), 0
        while sign := self.take(*signs):
            self.deeper()
            linked += 1
            other_at = self.now.at
            term = Term("number", sign, parts=(self.number(term, at), self.number(part(), other_at)))
        self.depth -= linked
        return term

    def product(self) -> Term:
        return self.links(("*", "/", "%"), self.signed)

    def signed(self) -> Term:
        if self.take("+"):
            self.refuse(self.tokens[self.i - 1].at, "a number takes no sign but -")
        if not self.take("-"):
            return self.power()
        self.deeper()
        at = self.now.at
        term = Term("number", "negative", parts=(self.number(self.signed(), at),))
        self.deeper(-1)
        return term

    def power(self) -> Term:
        at, term = self.now.at, self.single()
        if not self.take("**"):
            return term
        self.deeper()
        other_at = self.now.at
        term = Term("number", "**", parts=(self.number(term, at), self.number(self.signed(), other_at)))
        self.deeper(-1)
        return term

    def single(self) -> Term:
        """Return a literal, a name, a call, or what stands in brackets."""
        token = self.now
        if self.take("("):
            self.deeper()
            term = self.either()
            if not self.take(")"):
                self.refuse(self.now.at, "a bracket is not closed")
            self.deeper(-1)
            return term
        if token.kind == "name" and not self.word(self.i):
            self.i += 1
            return self.called(token) if self.word(self.i) == "(" else self.named(token)
        if token.kind == "number":
            self.i += 1
            return self.literal(token)
        if token.kind == "text":
            self.i += 1
            return Term("text", "literal", token.text[1:-1])
        shown = repr(token.text) if token.text else "the end"
        self.refuse(token.at, f"a value must stand here, not {shown}")

    def literal(self, token: Token) -> Term:
        """Return the number, or the least vote that it is where it opens a threshold."""
        value = float(token.text)
        if value == float("inf"):
            self.refuse(token.at, f"{token.text} is too large a number")
        if self.i != 1 or not (self.now.kind == "end" or self.word(1) in ("AND", "OR")):
            return Term("number", "literal", value)
        if not self.least:
            self.refuse(token.at, f"a least vote ({token.text}) stands in a threshold only")
        if value > 1:
            hint = f"; did you mean {show_number(value / 100)}?" if value <= 100 else ""
            self.refuse(token.at, f"the least vote is {token.text}; it must be from 0 to 1{hint}")
        return Term("truth", "vote", value)

    def named(self, token: Token) -> Term:
        """Return a variable or the vote of a member."""
        name, members = token.text, self.members or {}
        if name.lower() in _TRUTHS:
            return Term("truth", "literal", _TRUTHS[name.lower()])
        if members.get(name) == AMBIGUOUS:
            self.refuse(token.at, f"several members are named {name}; a threshold cannot tell them apart")
        if name in members:
            return Term("number", "member", members[name])
        if name == SIGNAL.value and self.members is not None:
            return SIGNAL
        if name == "vwap":
            return Term("number", "call", "vwap")
        own = ALIASES.get(name, name)
        if own in VARIABLES:
            return Term(VARIABLES[own].kind, "name", own)
        self.unknown(token)

    def unknown(self, token: Token) -> NoReturn:
        name, votes = token.text, [] if self.members is None else [str(SIGNAL.value), *self.members]
        if ALIASES.get(name, name) in FUNCTIONS:
            self.refuse(token.at, f"{name} is a function; write {signature(ALIASES.get(name, name))}")
        if name == SIGNAL.value:
            self.refuse(token.at, "the signal is not known yet here, but in thresholds and constraints")
        known = (*VARIABLES, *ALIASES, *votes)
        hint = nearest(name, (*known, *FUNCTIONS)) or f"; known are {', '.join(known)} and the functions"
        self.refuse(token.at, f"unknown name {name!r}{hint}")

    def called(self, token: Token) -> Term:
        """Return the call of a function; its opening bracket stands here."""
        if (own := ALIASES.get(token.text, token.text)) not in FUNCTIONS:
            if own in VARIABLES:
                self.refuse(token.at, f"{token.text} is a variable; write it without brackets")
            self.refuse(token.at, f"unknown function {token.text!r}{nearest(token.text, FUNCTIONS)}")
        arguments: list[tuple[Term, int]] = []
        self.i += 1
        self.deeper()
        while not self.take(")"):
            if arguments and not self.take(","):
                self.refuse(self.now.at, "a comma or a closing bracket must stand here")
            at = self.now.at
            arguments.append((self.either(), at))
        self.deeper(-1)
        return call(token, arguments, self.refuse)

    def truth(self, term: Term, at: int) -> Term:
        """Return the term as a condition."""
        if term.op == "member":
            return Term("truth", "fires", term.value)
        if term.kind == "truth":
            return term
        if term.op == "literal" and term.kind == "number" and self.least:
            self.refuse(at, f"{text(term)} is no condition; the least vote opens the threshold: '0.5 AND ...'")
        self.refuse(at, f"{text(term)} is a {term.kind}, and a condition must stand here; compare it: {text(term)} > 0")

    def number(self, term: Term, at: int) -> Term:
        if term.kind != "number":
            what = {"truth": "a condition", "text": "a text"}[term.kind]
            self.refuse(at, f"{text(term)} is {what}, and a number must stand here")
        return term

    def unexpected(self) -> str:
        token = self.now
        if token.kind == "name" and token.text.upper() not in _WORDS:
            return "; join conditions with AND or OR"
        return "; a bracket too many" if token.text == ")" else ""
