"""What a search over settings prints, and what a perturbation does: 80 columns."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from ..show import console, plain
from . import proof_show
from .perturb_show import number
from .run import lines_of
from .search_run import SearchRun, searched_lines


def result(run: SearchRun, top: int) -> None:
    """Print the best configurations, the verdict, and where the run lies; raises what kept it from being saved."""
    out = console()
    for line in (*lines_of(run.task, run.given), *searched_lines(run.found)):
        out.print(plain(line), soft_wrap=True)
    out.print()
    out.print(best(run, top))
    if not run.tables["session_trials"]["enough_trades"][0].as_py():
        out.print(f"No configuration has {run.found.work.fewest} trades; give more days, or fewer with --min-trades.")
    for line in settings_of(run):
        out.print(plain(line), soft_wrap=True)
    if run.proved is not None:
        out.print()
        for line in proof_show.lines(run.proved, run.found):
            out.print(plain(line), soft_wrap=True)
    out.print(
        f"\nrun {run.run_id}\n    {run.path}\nsettings of the winner\n    {run.path}/results/best.json", soft_wrap=True
    )


def best(run: SearchRun, top: int) -> Table:
    """Return the table of the best configurations; settings stand below their heads as #1, #2, ..."""
    rows = run.tables["session_trials"].slice(0, top).to_pylist()
    heads = ("Rank", "Trial", "Trades", "Win", "Expect.", "Total R", "Sharpe", "PF", "Max DD")
    made = Table(title=f"Best by {run.found.work.objective}", title_justify="left")
    for head in heads:
        made.add_column(Text(head), justify="right", no_wrap=True)
    for row in rows:
        made.add_row(
            str(row["rank"]),
            f"#{row['trial_id']:,}",
            f"{row['total_trades']:,}{'' if row['enough_trades'] else ' few'}",
            "-" if row["win_rate"] is None else f"{row['win_rate']:.0%}",
            number(row["expectancy"], "+.3f"),
            number(row["total_r"], "+.1f"),
            number(row["sharpe_ratio"], ".2f"),
            number(row["profit_factor"], ".2f"),
            number(row["max_drawdown_r"], ".1f"),
        )
    return made


def settings_of(run: SearchRun) -> list[str]:
    """Return the settings of the best, one a line: the winner's, and the range of those of the best ten."""
    rows = run.tables["session_trials"].slice(0, 10).to_pylist()
    said = [f"winner #{rows[0]['trial_id']:,}, and how often the best {len(rows)} agree with it"]
    for each in run.found.work.axes:
        mine = rows[0][each.name]
        alike = sum(row[each.name] == mine for row in rows)
        said.append(f"  {each.name:<40} {_word(mine):>12}   {alike}/{len(rows)}")
    return said


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def as_json(run: SearchRun, top: int) -> None:
    """Print the search as one JSON document."""
    rows: Sequence[Mapping[str, Any]] = run.tables["session_trials"].drop_columns("run_id").slice(0, top).to_pylist()
    trials = run.found.trials
    document = {
        "run_id": run.run_id,
        "path": str(run.path),
        "tried": len(trials.ids),
        "refused": trials.refused,
        "repeated": trials.repeated,
        "trials": rows,
        "guards": run.proved.document() if run.proved else None,
    }
    print(json.dumps(document, indent=2, allow_nan=False))
