"""Conditions and votes candle by candle, in floats, None and fractions: what ``engine.traces`` must equal.

A node is a tuple. Numbers: ("number", 2.5), ("column", "close"), ("signal",), ("member", "rsi_bands"), ("neg", x),
("abs", x), ("round", x), ("min", x, y), ("max", x, y), ("+", x, y) and - * / % **, ("sma", x, n), ("relative", n).
Truths: ("<", x, y) and the other comparisons, ("is", word), ("fires", member), ("true",),
("false",), ("intraday",), ("friday",), ("vote", least), ("not", t), ("and", t, t...), ("or", t, t...).
"""

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

COMPARE = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
CALCULATE = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
}
EACH = {
    "abs": abs,
    "round": lambda a: float(round(a)),
    "min": min,
    "max": max,
    "neg": lambda a: -a,
}


def number(node, i, bars, level=None):
    """Return the number a node is at candle ``i`` of ``bars`` (a list of dicts), None where it is unknown."""
    kind, *rest = node
    if kind == "number":
        return float(rest[0])
    if kind == "column":
        return bars[i][rest[0]]
    if kind == "signal":
        return level["signal"]
    if kind == "member":
        return level["members"][rest[0]]
    if kind == "sma":
        window = series(rest[0], i - rest[1] + 1, i, bars)
        return None if window is None else math.fsum(window) / rest[1]
    if kind == "relative":
        before = number(("sma", ("column", "volume"), rest[0]), i - 1, bars) if i else None
        return calculated("/", bars[i]["volume"], before)
    values = [number(each, i, bars, level) for each in rest]
    if None in values:
        return None
    return EACH[kind](*values) if kind in EACH else calculated(kind, *values)


def series(node, first, last, bars):
    """Return the values of a node at candles first to last, None where one of them is unknown."""
    found = [number(node, i, bars) if i >= 0 else None for i in range(first, last + 1)]
    return None if None in found else found


def calculated(sign, a, b):
    if a is None or b is None:
        return None
    try:
        found = CALCULATE[sign](a, b)
    except (ZeroDivisionError, OverflowError):
        return None
    return None if isinstance(found, complex) or not math.isfinite(found) else found


def truth(node, i, bars, level=None):
    """Return True, False, or None where it is unknown."""
    kind, *rest = node
    if kind in ("true", "false"):
        return kind == "true"
    if kind in ("intraday", "friday", "is"):
        return clock(kind, rest, bars[i]["at"])
    if kind == "fires":
        vote = level["members"][rest[0]]
        return None if vote is None else vote != 0
    if kind == "vote":
        return None if level["vote"] is None else abs(level["vote"]) >= Fraction(str(rest[0]))
    if kind in COMPARE:
        a, b = (number(each, i, bars, level) for each in rest)
        return None if a is None or b is None else COMPARE[kind](a, b)
    found = [truth(each, i, bars, level) for each in rest]
    if kind == "not":
        return None if found[0] is None else not found[0]
    decisive = kind == "or"
    return decisive if decisive in found else None if None in found else not decisive


def clock(kind, rest, at):
    minute = 60 * at.hour + at.minute
    if kind == "friday":
        return at.weekday() == 4
    if kind == "intraday":
        return 570 <= minute < 955
    hours = "closed"
    if at.weekday() < 5:
        kept = [name for start, name in ((240, "pre_market"), (570, "regular"), (960, "extended"), (1200, "closed"))]
        starts = [start for start in (240, 570, 960, 1200) if start <= minute]
        hours = kept[len(starts) - 1] if starts else "closed"
    return hours == rest[0]


def bars_of(candles, zone="America/New_York"):
    """Return candles (the struct) as a list of dicts, each with its local time ``at``."""
    columns = [values.tolist() for values in candles]
    zone, start = ZoneInfo(zone), datetime(1970, 1, 1, tzinfo=UTC)
    return [
        dict(zip(candles._fields, row, strict=True)) | {"at": (start + timedelta(milliseconds=row[0])).astimezone(zone)}
        for row in zip(*columns, strict=True)
    ]


def level_signal(level, bars, signals):
    """Return (signal of each candle, None before a member is warm; {clause: (before, after)}).

    ``level`` is a dict: members (each a dict with child, an index of ``signals`` or a level; weight, a whole number;
    condition, a node or None; name), combination, least (a text or None), clauses (nodes), long and short (nodes or
    None), hold. ``signals`` are lists of 1, 0, -1 or None.
    """
    children = [
        signals[each["child"]] if isinstance(each["child"], int) else level_signal(each["child"], bars, signals)[0]
        for each in level["members"]
    ]
    out, counts, held = [], {}, 0
    for i in range(len(bars)):
        values = [child[i] for child in children]
        if all(value is None for value in values):
            out.append(None)
            continue
        votes = []
        for each, value in zip(level["members"], values, strict=True):
            condition = each["condition"]
            if condition and value:
                count(counts, ("condition", repr(condition)), truth(condition, i, bars) is True)
            votes.append(None if condition and truth(condition, i, bars) is not True else value)
        vote = vote_of(level, votes)
        signal = (vote > 0) - (vote < 0)
        names = [each["name"] for each in level["members"]]
        scope = {"vote": vote, "signal": float(signal)}
        scope["members"] = {
            name: None if value is None else float(value) for name, value in zip(names, votes, strict=True)
        }
        passes = signal != 0
        for side, clause in level["clauses"]:
            if passes and side in (0, signal):
                passes = truth(clause, i, bars, scope) is True
                count(counts, (side, repr(clause)), passes)
        held = signal if passes or not signal else held if level["hold"] else 0
        out.append(held)
    return out, counts


def count(counts, key, passes):
    before, after = counts.get(key, (0, 0))
    counts[key] = (before + 1, after + passes)


def vote_of(level, votes):
    """Return the vote of a level as a fraction; 0 where nobody votes."""
    there = [(vote, each["weight"]) for vote, each in zip(votes, level["members"], strict=True) if vote is not None]
    if not there:
        return Fraction(0)
    if level["combination"] == "weighted":
        return Fraction(sum(vote * weight for vote, weight in there), sum(weight for _, weight in there))
    if level["combination"] == "average":
        return Fraction(sum(vote for vote, _ in there), len(there))
    for side in (1, -1):
        same = sum(vote == side for vote, _ in there)
        if same == len(there) or (level["combination"] == "majority" and 2 * same > len(there)):
            return Fraction(side)
    return Fraction(0)
