"""The reference values of tests/golden/stats_reference.json, with fractions as floats."""

import json
from fractions import Fraction
from pathlib import Path

REFERENCE = json.loads((Path(__file__).parent / "golden" / "stats_reference.json").read_text())


def number(value):
    """Return 2, 0.5 or "1/2" as a float."""
    return float(Fraction(value)) if isinstance(value, str) else float(value)
