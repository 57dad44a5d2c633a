"""What a search over the settings of sessions found: the verdict, the best, and maps over the settings."""

from typing import Any

from ..session.config import Config, parse
from . import pairs, search
from .parts import Section, Table, cell, signed, text
from .read import Read, numbers, rows

TOP = 20
_MEASURES = {"sharpe": "sharpe_ratio"}


def winner(run: Read, config: Config) -> Config:
    """Return the settings of the best configuration."""
    found = run.document("settings")
    return config if found is None else parse(found, f"run {run.manifest.run_id}")


def verdict(run: Read) -> Section | None:
    """Return the judgement on the best configuration; None without a search."""
    return search.verdict(run) if run.has("session_trials") else None


def ranking(run: Read) -> Section | None:
    """Return the best configurations with the settings that differ; None without a search."""
    if not run.has("session_trials"):
        return None
    found = list(rows(run.table("session_trials").slice(0, TOP)))
    names = list(run.manifest.config["search"]["params"])
    heads = ("#", "trial", *(name.partition(".")[2] or name for name in names))
    heads = (*heads, "trades", "wins", "R each", "total R", "Sharpe", "profit factor", "deepest fall, R")
    cells = [
        [
            cell(f"{row['rank']}{'' if row['enough_trades'] else ' few'}", row["rank"]),
            cell(f"{row['trial_id']:,}", row["trial_id"]),
            *(cell(_value(row[name])) for name in names),
            cell(f"{row['total_trades']:,}", row["total_trades"]),
            cell(text(row["win_rate"], ".0%"), row["win_rate"]),
            *(signed(text(row[name], form), row[name]) for name, form in (("expectancy", "+.3f"), ("total_r", "+.1f"))),
            *(cell(text(row[name], ".2f"), row[name]) for name in ("sharpe_ratio", "profit_factor")),
            cell(text(row["max_drawdown_r"], ".1f"), row["max_drawdown_r"]),
        ]
        for row in found
    ]
    count = run.manifest.counts.get("tried", len(found))
    by = run.manifest.config["objective"]
    table = Table(f"Best of {count:,} configurations by {by}", heads, cells, left=0, wide=True)
    return Section("ranking", "Ranking", [table], "What stands below is of the best of them.")


def maps(run: Read) -> list[Section | None]:
    """Return heat maps over the settings that are numbers and were varied."""
    if not run.has("session_trials"):
        return []
    found = run.table("session_trials")
    names = list(run.manifest.config["search"]["params"])
    asked = str(run.manifest.config["objective"])
    by = _MEASURES.get(asked, asked)
    columns = pairs.numeric({name: found[name].to_pylist() for name in names})
    drawn = pairs.maps(
        columns, numbers(found, by), by.replace("_", " "), " R" if by.endswith(("expectancy", "_r")) else "", 0
    )
    return [Section("surface", "Settings that were tried", drawn)] if drawn else []


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "–" if value is None else str(value)
