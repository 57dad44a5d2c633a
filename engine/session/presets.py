"""Settings that the strategy was shipped with before, by name: what they leave open has its default."""

from collections.abc import Mapping
from typing import Any

_EVERY = {name: {"enabled": True} for name in ("rel_volume", "price_action", "profile_proxy", "vwap", "adx")}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "aggressive": {
        "orb": {"base_minutes": 10, "adaptive": False},
        "buffers": {"fixed": 0.05},
        "factors": {"rel_volume": {"lookback": 15, "spike_mult": 1.15}},
        "scoring": {"base_required": 1, "weak_trend_required": 2},
        "trade": {"t1_pct": 0.3, "t2_r": 2.0, "t2_pct": 0.3, "runner_r": 3.0},
        "governance": {
            "max_signals_per_day": 5,
            "lockout_after_losses": 3,
            "time_cutoff": "14:00",
            "second_chance_minutes": 45,
        },
    },
    "conservative": {
        "orb": {"base_minutes": 30, "min_atr_mult": 0.40, "max_atr_mult": 1.50},
        "buffers": {"fixed": 0.15, "use_atr": True, "atr_mult": 0.10},
        "factors": {
            **_EVERY,
            "rel_volume": {"enabled": True, "spike_mult": 1.5},
            "price_action": {"enabled": True, "pivot_len": 5},
            "adx": {"enabled": True, "threshold": 20.0},
        },
        "scoring": {"base_required": 4, "weak_trend_required": 5},
        "trade": {"t1_r": 0.75, "t2_r": 1.25, "t2_pct": 0.30, "runner_r": 1.75, "move_be_at_r": 0.75},
        "governance": {"max_signals_per_day": 2, "lockout_after_losses": 1, "time_cutoff": "12:30"},
    },
    "low_requirements": {"scoring": {"base_required": 0, "weak_trend_required": 0}, "buffers": {"fixed": 0.5}},
}


def over(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``values`` in their place, section by section."""
    both = {
        key: over(base[key], value) if isinstance(value, Mapping) and isinstance(base[key], Mapping) else value
        for key, value in values.items()
        if key in base
    }
    return {**base, **values, **both}
