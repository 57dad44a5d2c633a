"""Ratios of ways that were measured in one run, and whether one of them grew. Times are never kept."""

import json
from pathlib import Path

TOLERANCE = 0.3  # a ratio may grow by this part of itself; two cores under other load moved the same code by a quarter


def keep(path: Path, ratios: dict[str, float]) -> None:
    """Write the ratios of this run, to be compared with from now on."""
    path.write_text(json.dumps({name: float(f"{ratios[name]:.3g}") for name in sorted(ratios)}, indent=2) + "\n")


def kept(path: Path) -> dict[str, float]:
    """Return the ratios that were kept; none where none were."""
    return json.loads(path.read_text()) if path.exists() else {}


def worse(found: dict[str, float], before: dict[str, float], tolerance: float = TOLERANCE) -> list[str]:
    """Return a line for each ratio that grew by more than ``tolerance``, or is on one side only."""
    lines = [
        f"{name}: not measured; make bench-baseline, if it is gone for good" for name in before if name not in found
    ]
    for name, ratio in found.items():
        if name not in before:
            lines.append(f"{name}: not in bench/baseline.json; make bench-baseline")
        elif ratio > before[name] * (1 + tolerance):
            lines.append(f"{name}: {ratio:.3g}, was {before[name]:.3g}; it may grow by {tolerance:.0%}")
    return lines
