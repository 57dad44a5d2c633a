"""The limits of exit rules (SEMANTICS section 1 L), and for each common slip what to write instead."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..io.errors import UsageError
from .values import show_number

if TYPE_CHECKING:
    from .policy import Policy, Rung

WHOLE = 10_000  # basis points of a position
_MAX_MS = 2**53 - 1  # the largest integer canonical JSON holds


def check_levels(policy: "Policy") -> None:
    """Raise UsageError for a stop, trailing stop, breakeven stop or time outside its limits."""
    sl, pct, activate = policy.sl, policy.trail_pct, policy.trail_activate
    trigger, offset, time_ms = policy.be_trigger, policy.be_offset, policy.time_ms
    if sl is not None:
        _must(0 < sl < 1, "sl is a multiple of the entry price in (0,1)", sl, _sl_hint(sl))
    if pct is not None:
        _must(0 < pct < 1, "trail is a fraction in (0,1)", pct, _percent_hint(pct))
    if activate is not None:
        _must(pct is not None, "trail_activate needs a trailing stop, --trail", activate)
        rule = "trail_activate is a multiple of the entry price, at least 1"
        _must(1 <= activate < math.inf, rule, activate, _multiple_hint(activate))
    if trigger is not None:
        rule = "breakeven is a multiple of the entry price above 1"
        _must(1 < trigger < math.inf, rule, trigger, _multiple_hint(trigger))
    if offset is not None:
        limit = 0.0 if trigger is None else trigger - 1
        _must(trigger is not None, "breakeven_offset needs a trigger, --breakeven", offset)
        rule = f"breakeven_offset is a fraction above -1 and, to lie below its trigger, below {short(limit)}"
        _must(-1 < offset < limit, rule, offset, _percent_hint(offset))
    if time_ms is not None:
        _must(type(time_ms) is int and 0 < time_ms <= _MAX_MS, "time_ms is a whole number of ms above 0", time_ms)
    _must(policy.tp_gap_fill in ("level", "open"), "tp_gap_fill is level or open", policy.tp_gap_fill)


def check_rungs(rungs: "Sequence[Rung]") -> None:
    """Raise UsageError unless the rungs ascend above 1 and sell at most the whole position."""
    before = 1.0
    for rung in rungs:
        hint = f". Did you mean --sl {short(rung.mult)}?" if 0 < rung.mult < 1 else ""
        _must(1 < rung.mult < math.inf, "tp must be > 1 (a multiple of the entry price)", rung.mult, hint)
        _must(rung.mult > before, "rungs must ascend, each multiple once", f"{rung.mult} after {before}")
        whole = type(rung.frac_bps) is int and 0 < rung.frac_bps <= WHOLE
        _must(whole, "frac_bps is a whole number from 1 to 10000 (100%)", rung.frac_bps)
        before = rung.mult
    shares = [rung.frac_bps / 100 for rung in rungs]
    if sum(rung.frac_bps for rung in rungs) > WHOLE:
        raise UsageError(f"ladder sells {short(sum(shares))}% of the position ({'+'.join(map(short, shares))})")


def _must(true: bool, rule: str, got: Any, hint: str = "") -> None:
    if not true:
        raise UsageError(f"{rule}; got {short(got) if isinstance(got, float) else got}{hint}")


def short(value: float) -> str:
    """Return the number to ten decimals at most: 0.7, not 0.7000000000000001."""
    return show_number(round(value, 10))


def _sl_hint(sl: float) -> str:
    """Return what to write instead: 30, -30 and -0.3 all mean a 30 % stop; 1.2 is a target."""
    percent = -sl * 100 if -1 < sl < 0 else abs(sl)
    percent = percent if 0 < percent < 100 and not 1 <= sl < 2 else 30.0
    target = f". Did you mean --tp {short(sl)}?" if 1 < sl < 2 else ""
    return f": for a {short(percent)}% stop use --sl {short(1 - percent / 100)}{target}"


def _percent_hint(value: float) -> str:
    return f". Did you mean {short(value / 100)}?" if 1 <= value < 100 else ""


def _multiple_hint(value: float) -> str:
    return f". Did you mean {short(1 + value)}?" if 0 < value < 1 else ""
