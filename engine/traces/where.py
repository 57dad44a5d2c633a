"""Conditions on the columns of strategies, as they are typed: ``period=20``, ``sharpe>1.5``, ``constraints=null``."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...io.config import nearest
from ...io.errors import UsageError
from ...io.sql import quoted_name
from ..values import parse_float

_CLAUSE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(==|!=|<=|>=|=|<|>)\s*(.*?)\s*", re.DOTALL)
_TRUTHS = {"true": True, "false": False}
_SHOWN = 20  # columns that a message names
_DIGESTS = ("strategy_hash", "trace_key", "data_digest")  # equal to what they begin with


@dataclass(frozen=True)
class Clause:
    """A condition: ``value`` is a number, a text, a truth, or None where it asks for what is null (or is not)."""

    column: str
    sign: str
    value: Any


def clause(text: str, kinds: Mapping[str, str], place: str = "--where", of: str = "strategy") -> Clause:
    """Return the condition that ``text`` says of a column in ``kinds`` (name -> DuckDB type).

    Raises UsageError naming ``place``, and ``of`` what the columns are: it must be NAME SIGN VALUE with one of
    = != < <= > >=; the value a number where the column holds numbers, true or false where it holds truths, else a
    text, in quotes or not; or null. A digest may be cut short.
    """
    found = _CLAUSE.fullmatch(text)
    if found is None:
        raise UsageError(
            f"{place} is '{text:.60}'; it must be NAME=VALUE, or with != < <= > >= for the =: 'sharpe>1.5'"
        )
    name, sign, value = found.groups()
    name, sign = name.lower(), "=" if sign == "==" else sign
    if name not in kinds:
        raise UsageError(f"{place} '{text:.60}': no {of} has '{name}'{_near(name, kinds)}")
    if value.lower() == "null":
        if sign not in ("=", "!="):
            raise UsageError(f"{place} '{text:.60}': null is compared with = or != only")
        return Clause(name, sign, None)
    return Clause(name, sign, _value(value, sign, kinds[name], f"{place} '{text:.60}'"))


def _near(name: str, kinds: Mapping[str, str]) -> str:
    listed = ", ".join([*sorted(kinds)[:_SHOWN], *(["..."] if len(kinds) > _SHOWN else [])])
    return nearest(name, kinds) or f"; there are {listed}"


def _value(text: str, sign: str, kind: str, place: str) -> Any:
    if kind in ("BIGINT", "DOUBLE"):
        try:
            return parse_float(text)
        except ValueError as error:
            raise UsageError(f"{place}: {error}") from None
    if kind == "BOOLEAN":
        if text.lower() not in _TRUTHS or sign not in ("=", "!="):
            raise UsageError(f"{place}: it must be = or != and true, false or null")
        return _TRUTHS[text.lower()]
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if not text:
        raise UsageError(f"{place}: the value is missing; an empty text is ''")
    return text


def sql_of(clauses: Sequence[Clause]) -> tuple[str, dict[str, Any]]:
    """Return a condition for a statement on the columns of the clauses, all of which must hold, and its parameters."""
    words, parameters = ["true"], {}
    for i, each in enumerate(clauses):
        name = quoted_name(each.column)
        if each.value is None:
            words.append(f"{name} IS {'' if each.sign == '=' else 'NOT '}NULL")
        elif each.column in _DIGESTS and each.sign in ("=", "!="):
            words.append(f"{'' if each.sign == '=' else 'NOT '}starts_with({name}, $value{i})")
        else:
            words.append(f"{name} {each.sign} $value{i}")
        if each.value is not None:
            parameters[f"value{i}"] = each.value
    return " AND ".join(words), parameters
