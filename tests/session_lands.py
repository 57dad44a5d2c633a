"""Made-up symbols for searches over the settings of sessions."""

from highwater.engine.session.config import parse
from highwater.engine.session.ground import ground_of
from highwater.engine.session.trials import Land
from session_days import STEP, candles_of, random_days

EVERY = {  # settings under which made-up days have many trades
    "orb": {"base_minutes": 10, "adaptive": False, "enable_validity_filter": False},
    "scoring": {"enabled": False},
    "governance": {"max_signals_per_day": 5, "lockout_after_losses": 5},
}


def land(seed=1, count=30, symbol="SPY", **more):
    bars, hours = random_days(seed, count)
    return Land(symbol, ground_of(candles_of(bars), STEP, hours), **more)


def every(**sections):
    """Return those settings, with some sections' keys changed."""
    return parse({name: EVERY.get(name, {}) | sections.get(name, {}) for name in {*EVERY, *sections}}, "settings")
