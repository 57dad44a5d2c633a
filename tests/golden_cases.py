"""The worked cases of tests/golden, parsed: prices and multiples as floats, bars as (ts, o, h, l, c, v)."""

import json
import math
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def cases(kinds="dpx"):
    """Return the cases whose id starts with one of ``kinds`` (d data, p paths, x exits, s shorts), sorted by id."""
    return [parse(json.loads(path.read_text())) for path in sorted(FOLDER.glob(f"[{kinds}][0-9]*.json"))]


def parse(case):
    """Return the case with floats for decimal texts, volume 0 where absent, and the alert as arguments of ``enter``."""
    price = case.get("alert_price")
    alert = {
        "alert_ts": case["alert_ts_ms"],
        "mode": case.get("entry_mode", "next_open"),
        "alert_price": None if price is None else float(price),
        "latency_ms": case.get("latency_ms", 0),
        "horizon_ms": case["horizon_ms"],
        "interval_ms": case["interval_ms"],
        "coverage_end_ms": case.get("coverage_end_ms"),
    }
    bars = [(ts, *map(float, rest), *[0.0] * (5 - len(rest))) for ts, *rest in case["bars"]]
    policy, exits = case.get("policy", "pessimistic"), floats(case.get("exits", {}))
    costs = floats(case.get("costs", {}))
    return case | {"bars": bars, "alert": alert, "exits": exits, "costs": costs, "policy": policy}


def floats(value):
    """Return ``value`` with every text that is a number as a float."""
    if isinstance(value, dict):
        return {key: floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [floats(item) for item in value]
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def expected(value):
    """Return ``value`` with every {exact, ieee} pair replaced by its ieee member."""
    if isinstance(value, dict):
        return value["ieee"] if "ieee" in value else {key: expected(item) for key, item in value.items()}
    return [expected(item) for item in value] if isinstance(value, list) else value


def same(actual, expected):
    """Tell whether the two agree: floats to 1e-12 relative, the rest exactly; fields not ``expected`` are ignored."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(k in actual and same(actual[k], v) for k, v in expected.items())
    if isinstance(expected, list):
        return len(actual) == len(expected) and all(map(same, actual, expected))
    if isinstance(expected, float):
        return actual is not None and math.isclose(actual, expected, rel_tol=1e-12)
    return actual is None if expected is None else bool(actual == expected)
