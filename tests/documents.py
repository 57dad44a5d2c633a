"""What tells a user what to type: the README, and the guides that lie beside their rooms."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
README, SEARCH, READING, TRACES, SESSIONS, RUNS, FIGURES, WEB = (
    ROOT / name
    for name in (
        *("README.md", "engine/SEARCH.md", "engine/READING.md", "engine/traces/README.md"),
        *("engine/session/README.md", "runs/README.md", "bench/FIGURES.md", "engine/web/README.md"),
    )
)
NOTEBOOKS = ROOT / "engine/NOTEBOOKS.md"
FIGURES_OF_LABS, LABS = ROOT / "engine/labs/METRICS.md", ROOT / "engine/labs/README.md"
REPORTS, DASHBOARD = ROOT / "engine/report/README.md", ROOT / "engine/dashboard/README.md"
ALL = (README, SEARCH, READING, TRACES, SESSIONS, RUNS, FIGURES, NOTEBOOKS, WEB, FIGURES_OF_LABS, LABS, REPORTS)
METRICS, SOURCES = ROOT / "engine/session/METRICS.md", ROOT / "io/SOURCES.md"
SCALE = ROOT / "engine/SCALE.md"
ALL = (*ALL, DASHBOARD, METRICS, SOURCES, SCALE)
TEXT = "\n".join(path.read_text() for path in ALL)
