"""One set of exit rules: how it is written, checked, named, and handed to the kernels (SEMANTICS section 1 L)."""

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..io.config import check_keys, parse_json, read_config
from ..io.errors import UsageError
from .policy_limits import WHOLE, check_levels, check_rungs, short
from .values import parse_float, parse_int, show_duration

if TYPE_CHECKING:
    from ..kernels.arrays import Policies

GapFill = Literal["level", "open"]


@dataclass(frozen=True)
class Rung:
    """One take-profit level, a multiple of the entry price, and the basis points of the position sold there."""

    mult: float
    frac_bps: int = WHOLE


@dataclass(frozen=True)
class Policy:
    """Exit rules, None where unset; multiples of the entry price unless said otherwise.

    ``trail_pct`` and ``be_offset`` are fractions. A trailing stop without ``trail_activate`` is active from the
    entry on, a breakeven stop without ``be_offset`` lies at the entry price. ``name`` is what the user calls them.
    Raises UsageError for any value outside its limits.
    """

    sl: float | None = None
    tp: tuple[Rung, ...] = ()
    trail_pct: float | None = None
    trail_activate: float | None = None
    be_trigger: float | None = None
    be_offset: float | None = None
    time_ms: int | None = None
    tp_gap_fill: GapFill = "level"
    name: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None and not (self.name.strip() and self.name.isprintable()):
            raise UsageError(f"policy_id is {self.name!r:.60}; it must be a printable name, such as fixed-stop-5pct")
        for name in ("sl", "trail_pct", "trail_activate", "be_trigger", "be_offset"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, float(value) + 0.0)
        object.__setattr__(self, "tp", tuple(Rung(float(rung.mult), rung.frac_bps) for rung in self.tp))
        if self.trail_pct is not None and self.trail_activate is None:
            object.__setattr__(self, "trail_activate", 1.0)
        if self.be_trigger is not None and self.be_offset is None:
            object.__setattr__(self, "be_offset", 0.0)
        check_levels(self)
        check_rungs(self.tp)

    def canonical(self) -> dict[str, Any]:
        """Return the ``exits`` form with only what is set, numbers as the shortest decimal strings."""
        form: dict[str, Any] = {"kind": "exits"}
        if self.sl is not None:
            form["sl"] = repr(self.sl)
        if self.tp:
            form["tp"] = [{"mult": repr(rung.mult), "frac_bps": rung.frac_bps} for rung in self.tp]
        if self.trail_pct is not None:
            form["trail"] = {"pct": repr(self.trail_pct), "activate": repr(self.trail_activate)}
        if self.be_trigger is not None:
            form["breakeven"] = {"trigger": repr(self.be_trigger), "offset": repr(self.be_offset)}
        if self.time_ms is not None:
            form["time_ms"] = self.time_ms
        if self.tp_gap_fill != "level":
            form["tp_gap_fill"] = self.tp_gap_fill
        if self.name is not None:
            form["policy_id"] = self.name
        return form

    @property
    def policy_id(self) -> str:
        """Its name, or the first 12 hex digits of the sha256 of the canonical JSON: equal rules, equal id."""
        import rfc8785

        if self.name is not None:
            return self.name
        return hashlib.sha256(rfc8785.dumps(self.canonical())).hexdigest()[:12]


def describe(policy: Policy) -> str:
    """Return one short line: "TP 2x, SL -30%, trail 25% from 1.5x, 24h", behind the name where there is one."""
    parts = []
    for rung in policy.tp:
        share = "" if rung.frac_bps == WHOLE else f"{short(rung.frac_bps / 100)}% at "
        parts.append(f"TP {share}{short(rung.mult)}x")
    if policy.sl is not None:
        parts.append(f"SL -{_percent(1 - policy.sl)}")
    if policy.trail_pct is not None and policy.trail_activate is not None:
        parts.append(f"trail {_percent(policy.trail_pct)} from {short(policy.trail_activate)}x")
    if policy.be_trigger is not None and policy.be_offset is not None:
        offset = f" {policy.be_offset * 100:+.10g}%" if policy.be_offset else ""
        parts.append(f"breakeven{offset} from {short(policy.be_trigger)}x")
    if policy.time_ms is not None:
        parts.append(show_duration(policy.time_ms))
    name = "" if policy.name is None else f"{policy.name}: "
    return name + (", ".join(parts) or "hold to the horizon")


def policy_from_flags(
    tp: float | None = None,
    sl: float | None = None,
    trail: float | None = None,
    trail_activate: float | None = None,
    breakeven: float | None = None,
    breakeven_offset: float | None = None,
    time_stop: int | None = None,
    ladder: str | None = None,
    tp_gap_fill: GapFill = "level",
) -> Policy:
    """Return the policy the flags describe; ``ladder`` is "1.5@50%,2@30%": sell 50 % at 1.5x, 30 % at 2x."""
    if tp is not None and ladder is not None:
        raise UsageError("--tp and --ladder exclude each other; write --tp as a rung: --ladder 2@100%")
    rungs = () if tp is None else (Rung(tp),)
    if ladder is not None:
        rungs = tuple(_rung_from_text(part.strip()) for part in ladder.split(","))
    return Policy(sl, rungs, trail, trail_activate, breakeven, breakeven_offset, time_stop, tp_gap_fill)


def parse_policy(value: str | Mapping[str, Any], place: str = "--policy") -> Policy:
    """Return the policy of a mapping, of JSON text, or of a .json, .yaml or .toml file.

    ``kind`` is exits (the default), fixed_stop, time_stop, trailing_stop, ladder or combo; ``policy_id`` names it; keys
    may be written snake_case or camelCase. Raises UsageError naming ``place``.
    """
    if isinstance(value, str):
        text = value.strip()
        if not text.startswith("{") and Path(text).suffix.lower() not in (".json", ".yaml", ".yml", ".toml"):
            raise UsageError(f"{place} is '{text[:60]}'; it must be JSON such as {{\"sl\": 0.7}}, or a config file")
        value, place = (parse_json(text, place), place) if text.startswith("{") else (read_config(text), text)
    form = _snake(value, place)
    kind = form.pop("kind", "exits")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise UsageError(f"{place}: kind is {kind!r}; it must be one of {', '.join(_KINDS)}")
    read, keys = _KINDS[kind]
    name = form.pop("policy_id", None)
    check_keys(form, keys, f"{place}: {kind}")
    try:
        if name is not None and not isinstance(name, str):
            raise UsageError(f"policy_id is {name!r:.60}; it must be text")
        return replace(read(form, place), name=name)
    except UsageError as error:
        raise error if str(error).startswith(place) else UsageError(f"{place}: {error}") from None


def to_arrays(policies: Sequence[Policy]) -> "Policies":
    """Return the policies as ``kernels.arrays.Policies``, T rows, R at least 1.

    ``tp_gap_fill`` is a rule of the whole run: raises UsageError where policies with targets differ in it.
    """
    import numpy as np

    from ..kernels.arrays import NEVER, Policies, column

    if len({policy.tp_gap_fill for policy in policies if policy.tp}) > 1:
        raise UsageError("tp_gap_fill must be the same for every policy of a run")
    width = max([1, *(len(policy.tp) for policy in policies)])
    tp = np.full((len(policies), width), np.inf)
    frac = np.zeros((len(policies), width), np.int64)
    for row, policy in enumerate(policies):
        tp[row, : len(policy.tp)] = [rung.mult for rung in policy.tp]
        frac[row, : len(policy.tp)] = [rung.frac_bps for rung in policy.tp]

    def each(name: str, unset: float, dtype: Any = np.float64) -> Any:
        values = [getattr(policy, name) for policy in policies]
        return column([unset if value is None else value for value in values], dtype)

    return Policies(
        sl=each("sl", 0.0),
        tp=column(tp),
        frac_bps=column(frac, np.int64),
        be_trigger=each("be_trigger", np.inf),
        be_offset=each("be_offset", 0.0),
        trail_pct=each("trail_pct", 0.0),
        activate=each("trail_activate", np.inf),
        time_ms=each("time_ms", NEVER, np.int64),
    )


def _percent(fraction: float) -> str:
    return short(fraction * 100) + "%"


def _rung_from_text(text: str) -> Rung:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)@([0-9]+(?:\.[0-9]+)?)%", text)
    if not match:
        raise UsageError(f"--ladder has '{text}'; a rung is multiple@percent, such as 1.5@50%")
    return Rung(float(match[1]), _bps(Decimal(match[2]) / 100, "--ladder"))


def _snake(value: Any, place: str) -> dict[str, Any]:
    """Return the mapping with snake_case keys and without nulls; refuse a key written both ways."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{place} must be a mapping of keys to values, not {value!r:.60}")
    form: dict[str, Any] = {}
    for key, each in value.items():
        name = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", str(key)).lower()
        if name in form:
            raise UsageError(f"{place}: {name} is given twice")
        form[name] = each
    return {name: each for name, each in form.items() if each is not None}


def _number(form: Mapping[str, Any], name: str) -> float | None:
    """Return a number or decimal string as float; None where there is none."""
    return _read(parse_float, form, name)


def _whole(form: Mapping[str, Any], name: str) -> int | None:
    return _read(parse_int, form, name)


def _read(parse: Callable[[str], Any], form: Mapping[str, Any], name: str) -> Any:
    value = form.get(name)
    if value is None:
        return None
    try:
        return parse(value if isinstance(value, str) else repr(value))
    except ValueError as error:
        raise UsageError(f"{name} is {value!r}; {error}") from None


def _need(form: Mapping[str, Any], *names: str) -> None:
    if not any(name in form for name in names):
        raise UsageError(f"{' (or '.join(names)}{')' * (len(names) - 1)} is missing")


def _list(form: Mapping[str, Any], name: str) -> list[Any]:
    if not isinstance(form.get(name), list | tuple) or not form[name]:
        raise UsageError(f"{name} must be a list with at least one member; got {form.get(name)!r:.60}")
    return list(form[name])


def _fraction(form: Mapping[str, Any], *names: str, below: float = 1.0) -> Decimal | None:
    """Return the one of ``names`` that is set: a fraction, or basis points where its name ends in ``_bps``.

    A fraction of ``below`` or more is taken for a percentage and refused.
    """
    given = [name for name in names if name in form]
    if len(given) > 1:
        raise UsageError(f"give {given[0]} or {given[1]}, not both")
    value = _number(form, given[0]) if given else None
    if value is None:
        return None
    exact = Decimal(repr(value))
    if given[0].endswith("_bps"):
        return exact / WHOLE
    if not 0 <= value < below:
        hint = f"; did you mean {short(value / 100)}?" if 0 < value / 100 < below else ""
        raise UsageError(f"{given[0]} is {short(value)}; it must be a fraction, such as 0.05 for 5%{hint}")
    return exact


def _bps(fraction: Decimal, name: str) -> int:
    if fraction * WHOLE != int(fraction * WHOLE):
        raise UsageError(f"{name} has a share of {fraction * 100}%; it must be whole basis points (0.01%)")
    return int(fraction * WHOLE)


def _stop(form: Mapping[str, Any], *names: str) -> float | None:
    """Return the stop as a multiple; computed in decimal, so that 5 % below is 0.95 however it was written."""
    below = _fraction(form, *names)
    return None if below is None else float(1 - below)


def _target(form: Mapping[str, Any]) -> tuple[Rung, ...]:
    above = _fraction(form, *_TARGET, below=10.0)
    return () if above is None else (Rung(float(1 + above)),)


def _exits(form: Mapping[str, Any], place: str) -> Policy:
    trail = _part(form, "trail", ("pct", "activate"), place)
    breakeven = _part(form, "breakeven", ("trigger", "offset"), place)
    return Policy(
        sl=_number(form, "sl"),
        tp=_rungs(form, place),
        trail_pct=_number(trail, "pct"),
        trail_activate=_number(trail, "activate"),
        be_trigger=_number(breakeven, "trigger"),
        be_offset=_number(breakeven, "offset"),
        time_ms=_whole(form, "time_ms"),
        tp_gap_fill=form.get("tp_gap_fill", "level"),
    )


def _part(form: Mapping[str, Any], name: str, keys: tuple[str, str], place: str) -> dict[str, Any]:
    if name not in form:
        return {}
    part = _snake(form[name], f"{place}: {name}")
    check_keys(part, keys, f"{place}: {name}")
    _need(part, keys[0])
    return part


def _rungs(form: Mapping[str, Any], place: str) -> tuple[Rung, ...]:
    """Return the rungs of a list, or the one of a bare number; a single rung sells all unless it says."""
    value = form.get("tp", [])
    if not isinstance(value, list | tuple):
        value = [value if isinstance(value, Mapping) else {"mult": value}]
    rungs = []
    for item in value:
        rung = _snake(item, f"{place}: tp")
        check_keys(rung, ("mult", "frac_bps"), f"{place}: tp")
        _need(rung, "mult")
        if len(value) > 1 and "frac_bps" not in rung:
            raise UsageError("tp has several rungs, so each needs frac_bps, the basis points of the position it sells")
        rungs.append(Rung(_number(rung, "mult") or 0.0, _whole({"frac_bps": WHOLE} | rung, "frac_bps") or 0))
    return tuple(rungs)


def _fixed_stop(form: Mapping[str, Any], _: str) -> Policy:
    _need(form, "stop_pct", "stop_loss_bps")
    return Policy(sl=_stop(form, "stop_loss_bps", "stop_pct"), tp=_target(form))


def _time_stop(form: Mapping[str, Any], _: str) -> Policy:
    _need(form, "max_hold_ms")
    return Policy(time_ms=_whole(form, "max_hold_ms"), tp=_target(form))


def _trailing_stop(form: Mapping[str, Any], _: str) -> Policy:
    _need(form, "trail_pct", "trail_bps")
    activation = _fraction(form, "activation_pct", below=10.0) or Decimal(0)
    trail = float(_fraction(form, "trail_pct", "trail_bps") or 0)
    return Policy(sl=_stop(form, "hard_stop_pct"), trail_pct=trail, trail_activate=float(1 + activation))


def _ladder(form: Mapping[str, Any], place: str) -> Policy:
    rungs = []
    for item in _list(form, "levels"):
        level = _snake(item, f"{place}: levels")
        check_keys(level, ("multiple", "fraction"), f"{place}: levels")
        _need(level, "multiple")
        _need(level, "fraction")
        share = _fraction(level, "fraction", below=math.nextafter(1, 2)) or Decimal(0)
        rungs.append(Rung(_number(level, "multiple") or 0.0, _bps(share, "fraction")))
    return Policy(sl=_stop(form, "stop_pct"), tp=tuple(rungs))


def _combo(form: Mapping[str, Any], place: str) -> Policy:
    """Return all rules at once on one position: the tightest stop, the shortest time, every rung."""
    forms = {f"{place}: policies[{i}]": each for i, each in enumerate(_list(form, "policies"))}
    members = [parse_policy(_snake(each, where), where) for where, each in forms.items()]
    shares: dict[float, int] = {}
    for rung in (rung for rungs in dict.fromkeys(member.tp for member in members) for rung in rungs):
        shares[rung.mult] = shares.get(rung.mult, 0) + rung.frac_bps
    if sum(shares.values()) > WHOLE:
        sold = " + ".join(f"{short(shares[mult] / 100)}% at {short(mult)}x" for mult in sorted(shares))
        raise UsageError(f"combo cannot be one position: its targets sell more than all of it ({sold})")
    trail_pct, trail_activate = _same(members, "trail_pct", "trail_activate") or (None, None)
    be_trigger, be_offset = _same(members, "be_trigger", "be_offset") or (None, None)
    (gap_fill,) = _same([m for m in members if m.tp], "tp_gap_fill") or ("level",)
    return Policy(
        sl=max((m.sl for m in members if m.sl is not None), default=None),
        tp=tuple(Rung(mult, shares[mult]) for mult in sorted(shares)),
        trail_pct=trail_pct,
        trail_activate=trail_activate,
        be_trigger=be_trigger,
        be_offset=be_offset,
        time_ms=min((m.time_ms for m in members if m.time_ms is not None), default=None),
        tp_gap_fill=gap_fill,
    )


def _same(members: list[Policy], *names: str) -> tuple[Any, ...] | None:
    """Return the values that the members with these rules agree on; None where none has them."""
    found = {tuple(getattr(m, name) for name in names) for m in members if getattr(m, names[0]) is not None}
    if len(found) > 1:
        raise UsageError(f"combo cannot be one position: its policies differ in {' and '.join(names)}")
    return found.pop() if found else None


_TARGET = ("take_profit_bps", "take_profit_pct")
_KINDS: dict[str, tuple[Callable[[Mapping[str, Any], str], Policy], tuple[str, ...]]] = {
    "exits": (_exits, ("sl", "tp", "trail", "breakeven", "time_ms", "tp_gap_fill")),
    "fixed_stop": (_fixed_stop, ("stop_loss_bps", "stop_pct", *_TARGET)),
    "time_stop": (_time_stop, ("max_hold_ms", *_TARGET)),
    "trailing_stop": (_trailing_stop, ("activation_pct", "trail_pct", "trail_bps", "hard_stop_pct")),
    "ladder": (_ladder, ("levels", "stop_pct")),
    "combo": (_combo, ("policies",)),
}
