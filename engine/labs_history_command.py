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
    from ..io.labs.cutoffs import Cutoffs

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
    _note(found)
    if import_ is not None:
        found = kept.save(kept.load(import_), file)
    failed: dict[str, str] = {}
    if market or every:
        with connected(server) as (client, _):
            for one in market or () if months else ():
                client.set_depth(one, months or 0)
            new: dict[str, kept.Cutoff] = {}
            try:
                for name, one in kept.discover(client, market or (), interval // MINUTE):
                    (failed if isinstance(one, str) else new)[name] = one  # type: ignore[index]
            finally:  # what was found stays, whatever ended the rest
                found = kept.save(new, file) if new else found
    if export is not None:
        kept.export(found, export)
    if json:
        print(json_format.dumps({name: each.cutoff_date for name, each in found.cutoffs.items()}, indent=2))
    else:
        _print(found, file)
    for name, why in failed.items():
        print(f"{name}: {why}", file=sys.stderr)
    return 3 if failed else None


def _note(found: "Cutoffs") -> None:
    if found.note:
        print(found.note, file=sys.stderr)


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
