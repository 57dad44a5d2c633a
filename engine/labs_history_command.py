"""The command ``labs cutoffs``: where the history of each market begins."""

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..io.errors import UsageError
from .labs_command import Server, connected
from .settings import takes
from .values import MINUTE, Interval

if TYPE_CHECKING:
    from ..io.labs.cutoffs import Cutoff, Cutoffs

_FILE = Path("data/history_cutoffs.json")


@takes(server=Server)
def cutoffs(
    market: list[str] | None = None,
    *,
    every: bool = False,
    months: int | None = None,
    interval: Interval = 60 * MINUTE,
    file: Path = _FILE,
    export: Path | None = None,
    import_: Path | None = None,
    json: bool = False,
    server: Server,
) -> int | None:
    """Ask the server where the history of markets begins, and keep it; without markets print what is kept.

    A cutoff is the first candle of the chart that the server has of a market. Exit code 3: some have none.

    Args:
        market: Markets such as BINANCE_BTC_USDT_.
        every: Ask for all markets that the server has synchronised.
        months: First tell the server to keep so many months of these markets; it may take hours to have them.
        interval: Length of the candles that are looked at, and so the precision.
        file: Where cutoffs are kept.
        export: Write what is kept to this file too, .json or .csv.
        import_: Take in the cutoffs of this file, .json or .csv, first.
        json: Print one JSON document instead of text.
    """
    from ..io.labs import cutoffs as kept

    if every and market:
        raise UsageError("--every asks for all markets; name none")
    if interval % MINUTE:
        raise UsageError("--interval must be whole minutes")
    if months is not None and (not market or not 1 <= months <= 120):
        raise UsageError("--months must be from 1 to 120, of markets that are named")
    found = kept.read(file)
    notes = [found.note] if found.note else []
    if import_ is not None:
        taken = kept.load(import_)
        notes += [f"{name}: {import_} does not say that a server was asked" for name in taken if not taken[name].asked]
        found = kept.save(taken, file)
    failed: dict[str, str] = {}
    if market or every:
        new = _ask(market or [], months, interval // MINUTE, file, server, failed)
        notes += [f"{name}: not synchronised yet, so ask again later" for name in new if not new[name].settled]
        found = kept.read(file)
    if export is not None:
        kept.export(found, export)
    if json:
        print(json_format.dumps({name: each.cutoff_date for name, each in found.cutoffs.items()}, indent=2))
    else:
        _print(found, file)
    notes += [f"{name}: {why}" for name, why in failed.items()]
    for note in notes:
        print(note, file=sys.stderr)
    return 3 if failed else None


def _ask(
    markets: list[str], months: int | None, minutes: int, file: Path, server: Server, failed: dict[str, str]
) -> "dict[str, Cutoff]":
    """Return what the server says of markets, saved in ``file``; why others have no cutoff goes to ``failed``."""
    from ..io.labs.cutoffs import discover, save

    new: dict[str, Cutoff] = {}
    with connected(server) as (client, _):
        for one in markets if months else ():
            client.set_depth(one, months or 0)
        try:
            for name, one in discover(client, markets, minutes):
                if isinstance(one, str):
                    failed[name] = one
                else:
                    new[name] = one
        finally:  # what was found stays, whatever ended the rest
            if new:
                save(new, file)
    return new


def _print(found: "Cutoffs", file: Path) -> None:
    from . import show
    from .values import show_instant

    cells = [
        [
            *(each.market_tag, show_instant(each.first_ms), f"{each.precision_hours:g}"),
            str(each.discovery_metadata.get("max_months") or "-"),
            each.discovery_date[:10],
        ]
        for each in found.cutoffs.values()
    ]
    if not cells:
        print(f"{file} holds no cutoff; name markets to ask for")
        return
    heads = ["market", "history from", "hours", "months", "asked on"]
    show.console().print(show.table(f"Cutoffs in {file}, revision {found.revision}", heads, cells))
