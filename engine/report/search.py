"""What a search found: the verdict on its winner, the surface around it, and the ranking."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ...io.runs import read_batches
from ...kernels.arrays import Floats
from ..frontier import Landscape
from ..policy import describe, parse_policy
from ..show import share, span
from ..space import Space, space_in
from ..surface_grid import grid_of, ranges_of
from .heat import Axis, Heat, heat, said
from .parts import Cell, Chart, Part, Section, Table, Words, bps, cell, signed
from .read import Read, rows

TOP, MAPS = 20, 4
_TONES = {"PROVEN": "gain", "NOT PROVEN": "warned", "REFUTED": "loss"}
_ASKED = {
    "luck": "Would rules without skill have found as much?",
    "selection": "Does picking the best this way pick what lasts? (PBO)",
    "sharpe": "Is it above the luckiest of all trials? (deflated Sharpe)",
    "unseen": "What did the winner of each past earn in its future?",
    "spread": "Does it hang on few trades?",
    "data": "Does it hang on the order inside candles, or on what was left out?",
}


def verdict(run: Read) -> Section | None:
    """Return the judgement on the winner; None where none was asked for."""
    found = run.document("guards")
    if not found or not found.get("verdict"):
        return None
    checks = {word: [each["name"] for each in found["checks"] if each["status"] == word] for word in ("FAIL", "WARN")}
    lost, warned = (", ".join(names) for names in checks.values())
    why = f"{len(checks['FAIL'])} of {len(found['checks'])} checks fail: {lost}." if lost else "No check fails"
    why += "" if lost else f"; {warned} warns." if warned else "."
    asked = [
        [
            cell(k),
            cell(check["name"]),
            cell(_ASKED.get(check["name"], "")),
            cell("; ".join(check["found"])),
            Cell(check["status"], None, check["status"]),
        ]
        for k, check in enumerate(found["checks"], 1)
    ]
    tried = f"{found['tried']:,} configurations were ever tried on these data." if found.get("tried") else ""
    looks = f"The holdout was looked at {found['holdout_peeks']} times." if found.get("holdout_peeks") else ""
    parts: list[Part] = [
        Words(found["verdict"], _TONES.get(found["verdict"], ""), why),
        Table(
            "",
            ("", "check", "it asks", "found", ""),
            asked,
            left=4,
            words=True,
            wide=True,
            note=" ".join(filter(None, (tried, looks))),
        ),
    ]
    return Section("verdict", "Verdict", parts, lead="Is the winner luck? What each of six checks found.")


def surface(run: Read) -> Section | None:
    """Return heat maps over the parameters that were varied; None where fewer than two were."""
    space, artifact = space_of(run)
    if len(space.varied) < 2:
        return None
    found, safe = _landscapes(run, space, artifact)
    winner = next(rows(run.table("frontier")))
    ranked = list(rows(run.table("frontier")))[1:10]
    charts: list[Part] = []
    pairs = sorted(found, key=lambda pair: (-_spread(found[pair]), pair))[:MAPS]
    for k, (a, b) in enumerate(pairs):
        charts.append(
            _map(run, space, (a, b), found[a, b], safe.get((a, b)), winner, ranked if not k else (), first=not k)
        )
    best = _words(winner, space)
    pays = np.concatenate([each[~np.isnan(each)] for each in found.values()])
    mean = bps(winner["avg_return_bps"], 2)
    lead = f"Mean return a trade, after costs, over the parameters that were varied. The winner ◎ {best}: {mean}. "
    lead += f"{np.mean(pays > 0):.0%} of the cells are above zero."
    return Section("surface", "Surface", charts, lead)


def space_of(run: Read) -> tuple[Space, str]:
    """Return what a search varied, and the artifact that holds its trials."""
    config = run.manifest.config
    if run.kind == "surface":
        return grid_of(ranges_of(config["surface"]), 2**62).space, "surface"
    return space_in(config["search"]["space"]), "trials"


def _landscapes(run: Read, space: Space, artifact: str) -> tuple[dict[Any, Floats], dict[Any, np.ndarray]]:
    """Return mean returns in bps over every pair of parameters, and on a surface where all cells of a bin are safe."""
    land, names = Landscape(space), list(space.named)
    plateau = run.kind == "surface"
    low = {pair: np.full(grid[0].shape, np.inf) for pair, grid in land.sums.items()}
    alerts = 0
    for batch in read_batches(
        run.path, artifact, [*names, "sum_ret_q", "trades_count", *(["plateau_bps"] if plateau else [])]
    ):
        drawn = {name: batch[name].fill_null(0).to_numpy(zero_copy_only=False).astype(float) for name in names}
        known = pa.compute.is_valid(batch["sum_ret_q"]).to_numpy(zero_copy_only=False)
        drawn = {name: values[known] for name, values in drawn.items()}
        land.add(drawn, batch["sum_ret_q"].to_numpy(zero_copy_only=False)[known].astype(np.int64))
        alerts = max(alerts, pa.compute.max(batch["trades_count"]).as_py() or 0)
        if plateau:
            _lowest(low, land, drawn, batch["plateau_bps"].to_numpy(zero_copy_only=False)[known])
    means = {}
    for pair, (sums, counts) in land.sums.items():
        with np.errstate(invalid="ignore", divide="ignore"):
            means[pair] = sums / counts / max(1, alerts) / 100
    return means, {pair: (grid > 0) & np.isfinite(grid) for pair, grid in low.items()} if plateau else {}


def _lowest(low: dict[Any, Floats], land: Landscape, drawn: Mapping[str, Floats], plateau: Floats) -> None:
    """Take in the lowest plateau of each bin."""
    at = {n: np.clip(np.searchsorted(e, drawn[n], "right") - 1, 0, e.size - 2) for n, e in land.edges.items()}
    for (a, b), grid in low.items():
        np.minimum.at(grid, (at[b], at[a]), plateau)


def _spread(means: Floats) -> float:
    found = means[~np.isnan(means)]
    return float(found.var()) if found.size else -1.0


def _map(
    run: Read,
    space: Space,
    pair: tuple[str, str],
    means: Floats,
    safe: np.ndarray | None,
    winner: Mapping[str, Any],
    ranked: Any,
    first: bool,
) -> Chart:
    x, y = pair
    land = Landscape(space)
    across, up = (Axis(name, land.edges[name], land.values(name)) for name in pair)
    others = [(row[x], row[y]) for row in ranked if row[x] is not None and row[y] is not None]
    place = f"{said(x)} {_value(x, winner[x])}, {said(y)} {_value(y, winner[y])}"
    top = float(np.nanmax(means))
    label = f"Heat map of the mean return a trade over {said(x)} and {said(y)}; the winner is at {place}; "
    label += f"the best cell has {bps(top)}. Arrow keys read each cell."
    averaged = " averaged over the other parameters" if len(space.varied) > 2 else ""
    line = (
        "; inside the line every cell and all its neighbours on the grid pay (plateau above zero)"
        if safe is not None and safe.any()
        else ""
    )
    note = f"Mean return{averaged}. ◎ the winner{', ○ the next best' if others else ''}{line}."
    of = Heat(across, up, means / 100, "%", safe, (winner[x], winner[y]), others)
    return heat(f"{said(x)} and {said(y)}", label, of, 400 if first else 260, note, wide=first)


def _words(row: Mapping[str, Any], space: Space) -> str:
    return ", ".join(f"{said(name)} {_value(name, row[name])}" for name in space.varied if row[name] is not None)


def _value(name: str, value: Any) -> str:
    return "–" if value is None else span(value) if name.endswith("_ms") else f"{value:.4g}"


def measured(name: str) -> str:
    """Return what a figure measures, in words: mean return for avg_return_bps."""
    return name.replace("avg_", "mean ").removesuffix("_bps").removesuffix("_pct").replace("_", " ")


def ranking(run: Read) -> Section:
    """Return the ranked best policies with their bounds."""
    space, _ = space_of(run)
    found = list(rows(run.table("frontier").slice(0, TOP)))
    names = list(space.varied)
    plateau = bool(found) and "plateau_bps" in found[0]
    heads = [
        "#",
        *map(said, names),
        "mean",
        "worst",
        "best",
        *(["plateau"] if plateau else []),
        "median",
        "wins",
        "stopped",
        "deepest fall",
    ]
    lines = []
    for row in found:
        means = ("avg_return", "mean_worst", "mean_best", *(("plateau",) if plateau else ()), "median_return")
        lines.append(
            [
                cell(f"{row['rank']}{'' if row['meets_constraints'] else ' !'}", row["rank"]),
                *(cell(_value(name, row[name]), row[name]) for name in names),
                *(signed(bps(row[f"{name}_bps"], 2), row[f"{name}_bps"]) for name in means),
                *(cell(share(row[name]), row[name]) for name in ("win_rate", "stop_out_rate")),
                cell(bps(row["max_drawdown_bps"], 0), row["max_drawdown_bps"]),
            ]
        )
    tried = run.manifest.execution.get("trials")
    what = "cells" if run.kind == "surface" else "trials"
    count = f"{tried:,} {what}" if isinstance(tried, int) else what
    note = "Worst and best: by the order of prices inside candles." + (
        " Plateau: the lowest mean of the policy and its neighbours." if plateau else ""
    )
    if any(not row["meets_constraints"] for row in found):
        note += " ! breaks a constraint."
    best = describe(parse_policy(found[0]["policy_params"])) if found else ""
    table = Table(
        f"Best of {count}, by {measured(run.manifest.config.get('objective', 'mean'))}",
        heads,
        lines,
        left=0,
        note=note,
        wide=True,
    )
    return Section("ranking", "Ranking", [Words(f"Winner: {best}"), table])
