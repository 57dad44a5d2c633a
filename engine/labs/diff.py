"""Two runs of labs, backtest by backtest: which only one has, and whose figures are not the same."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...io import lab_schemas
from ...io.runs import RunEntry, read_artifact
from ..diff import Change
from ..show import console, table

FIGURES = lab_schemas.ANALYTICS.names[2:]
WHYS = ("only in the first", "only in the second", "figures differ", "same")
SHOWN = "return_on_balance_pct"


def paired(runs: Sequence[Path]) -> list[dict[str, Any]]:
    """Return a row for each backtest of two runs: why it differs, the figures that do, what each run says it made."""
    sides = [{row["backtest_id"]: row for row in read_artifact(run, "lab_analytics").to_pylist()} for run in runs]
    rows = []
    for backtest in dict.fromkeys([*sides[0], *sides[1]]):
        first, second = (side.get(backtest) for side in sides)
        figures = [name for name in FIGURES if first and second and first[name] != second[name]]
        why = WHYS[0] if second is None else WHYS[1] if first is None else WHYS[2] if figures else WHYS[3]
        said = {f"{word}_{SHOWN}": row and row[SHOWN] for word, row in (("first", first), ("second", second))}
        rows.append({"backtest_id": backtest, "why": why, "figures": figures, **said})
    return rows


def show_pairs(entries: Sequence[RunEntry], changed: Sequence[Change], top: int, json_: bool) -> None:
    """Print how two lab runs differ."""
    rows = paired([entry.path for entry in entries])
    counts = {why: sum(row["why"] == why for row in rows) for why in WHYS}
    moved = sorted((row for row in rows if row["why"] != "same"), key=_moved, reverse=True)[:top]
    if json_:
        runs = [{"run_id": entry.run_id, "run_type": "lab", "path": str(entry.path)} for entry in entries]
        whole = {"runs": runs, "changes": [vars(each) for each in changed], "backtests": counts, "rows": moved}
        print(json.dumps(whole, indent=2, allow_nan=False))
        return
    out = console()
    out.print(table("Backtests of the two runs", ["why", "backtests"], [[why, f"{n:,}"] for why, n in counts.items()]))
    if moved:
        cells = [
            [row["why"], row["backtest_id"], *(_percent(row[f"{word}_{SHOWN}"]) for word in ("first", "second"))]
            for row in moved
        ]
        out.print()
        out.print(table("Those that moved most, on balance", ["why", "backtest", "first", "second"], cells, left=2))


def _moved(row: dict[str, Any]) -> float:
    return abs((row[f"second_{SHOWN}"] or 0.0) - (row[f"first_{SHOWN}"] or 0.0))


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}%"
