"""The commands that fetch from a HaasOnline server: labs list, sync, watch."""

import contextlib
import dataclasses
import json as json_format
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..io.errors import UsageError
from .settings import takes
from .values import SECOND, Duration

if TYPE_CHECKING:
    from ..io.labs.client import Client
    from ..io.labs.sync import OnEvent, Synced

Part = Literal["runtime", "chart", "log"]
STORE = Path("labs")
_STATES = {0: "created", 1: "queued", 2: "running", 3: "completed", 4: "cancelled"}


@dataclass(frozen=True, kw_only=True)
class Server:
    """How a server is asked. Its address and credentials are no flags: they stand in the environment or in .env.

    Args:
        env_file: Take API_HOST, API_PORT, API_EMAIL, API_PASSWORD, API_CODE and API_CA_FILE from this file, where the
            environment does not have them (default: .env here, if there is one).
        rate: Questions a second, at most.
        workers: Questions at once, at most.
    """

    env_file: Path | None = None
    rate: float = 5.0
    workers: int = 8

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1000:
            raise UsageError(f"--rate is {self.rate:g}; it must be more than 0, and at most 1000")
        if not 1 <= self.workers <= 64:
            raise UsageError(f"--workers is {self.workers}; it must be from 1 to 64")


@takes(server=Server)
def list_(*, store: Path = STORE, kept: bool = False, json: bool = False, server: Server) -> int | None:
    """List the labs of the server, and how many backtests of each are kept; with --kept ask no server.

    Args:
        store: Directory that labs are fetched into.
        kept: Only list what is kept.
        json: Print one JSON document instead of text.
    """
    from . import show

    rows = _kept_rows(store) if kept else _server_rows(store, server)
    if json:
        print(json_format.dumps(rows, indent=2))
        return None
    cells = [
        [row["lab"], row["name"], row["status"], f"{row['done']:,}", f"{row['scheduled']:,}", f"{row['kept']:,}"]
        for row in rows
    ]
    if not cells:
        print(f"no lab is kept in {store}" if kept else "the server has no labs")
        return None
    show.console().print(show.table("Labs", ["lab", "name", "status", "done", "of", "kept"], cells, left=3))
    return None


@takes(server=Server)
def sync(
    lab: list[str] | None = None,
    *,
    every: bool = False,
    store: Path = STORE,
    parts: list[Part] | None = None,
    charts: bool = False,
    max_backtests: int | None = None,
    page_size: int | None = None,
    json: bool = False,
    quiet: bool = False,
    server: Server,
) -> int | None:
    """Fetch what is missing of labs: their lists, and the runtime of each finished backtest; none is fetched twice.

    Goes on where an earlier fetch stopped, however it did. Exit code 3: the server did not have all that it listed.

    Args:
        lab: Ids of labs, the starts of them, or their names.
        every: Fetch all labs of the server.
        store: Directory that takes what is fetched.
        parts: What to fetch of each backtest (default: runtime); a chart takes a server up to a minute.
        charts: Fetch one chart of each market too, for labs analyze --candles server.
        max_backtests: List no more backtests of a lab (default: MAX_BACKTESTS, else all).
        page_size: Backtests of a page (default: PAGE_SIZE, else 100).
        json: Print one JSON document instead of text.
        quiet: Print no progress.
    """
    from ..io.labs.charts import fetch_charts
    from ..io.labs.sync import PAGE
    from ..io.labs.sync import sync as fetch

    if bool(lab) == every:
        raise UsageError("name labs to fetch, or --every" if not every else "--every fetches all labs; name none")
    with connected(server) as (client, variables):
        most = _count(max_backtests, "--max-backtests", variables.get("MAX_BACKTESTS"), "MAX_BACKTESTS")
        page = _count(page_size, "--page-size", variables.get("PAGE_SIZE"), "PAGE_SIZE") or PAGE
        found: list[Synced] = []
        for one in (
            [str(each["LID"]) for each in client.labs()] if every else [lab_of(client, each) for each in lab or ()]
        ):
            with told(quiet or json) as on_event:
                options: dict[str, Any] = {"page": page, "most": most, "workers": server.workers}
                found.append(fetch(client, store, one, parts=parts or ("runtime",), on_event=on_event, **options))
            if not json:
                print(_line(found[-1]))
            if charts and (tags := fetch_charts(client, store, one)) and not json:
                print(f"{one}  a chart of {', '.join(tags)} fetched")
    if json:
        print(json_format.dumps([dataclasses.asdict(each) for each in found], indent=2))
    return 3 if any(each.failed for each in found) else None


@takes(server=Server)
def watch(
    lab: str,
    *,
    interval: Duration = 10 * SECOND,
    store: Path = STORE,
    top: int = 10,
    json: bool = False,
    server: Server,
) -> int | None:
    """Follow a running lab: fetch what it finishes, and show how far it is and its best backtests, until it ends.

    Args:
        lab: A lab's id, the start of it, or its name.
        interval: How often the server is asked.
        store: Directory that takes what is fetched.
        top: Backtests to show, of those with the highest profit.
        json: Print one JSON document at the end instead of text.
    """
    from ..io.labs.watching import watch as follow
    from .labs import live

    with connected(server) as (client, _), live.showing(json) as on_snapshot:
        last = follow(client, store, lab_of(client, lab), interval / 1000, best=top, on_snapshot=on_snapshot)
    if json:
        print(json_format.dumps(dataclasses.asdict(last), indent=2))
    return None


@contextlib.contextmanager
def connected(asked: Server) -> "Iterator[tuple[Client, dict[str, str]]]":
    """Yield a client of the user's server, and the variables that are set."""
    import os

    from ..io.labs.access import read_access, read_variables
    from ..io.labs.client import Client

    variables = read_variables(os.environ, asked.env_file)
    access = read_access(variables)
    if access.in_clear:
        print(f"{access.url}: the password crosses the network unencrypted; https:// would not", file=sys.stderr)
    with Client(access, asked.rate) as client:
        yield client, variables


def lab_of(client: "Client", text: str) -> str:
    """Return the id of the lab that ``text`` names. Raises UsageError where the server has none, or several."""
    labs = client.labs()
    for fits in (
        [each for each in labs if text == each.get("LID")],
        [each for each in labs if text == each.get("N")],
        [each for each in labs if len(text) >= 4 and str(each.get("LID")).startswith(text)],
    ):
        if len(fits) == 1:
            return str(fits[0]["LID"])
        if fits:
            raise UsageError(f"'{text}' fits {len(fits)} labs: {', '.join(str(each['LID']) for each in fits[:4])}")
    from ..io.config import nearest

    near = nearest(text, [str(each.get(name)) for each in labs for name in ("LID", "N")])
    raise UsageError(f"{client.access.server} has no lab '{text}'{near or '; see highwater labs list'}")


@contextlib.contextmanager
def told(quiet: bool) -> "Iterator[OnEvent]":
    """Yield what shows the events of a fetch on stderr: a bar of what is stored, and a line for each failure."""
    from .progress import progress

    with contextlib.ExitStack() as stack:
        shown: list[Any] = []
        most = 0

        def on_event(event: Any) -> None:
            nonlocal most
            if event.kind == "failed" and not quiet:
                print(event.text, file=sys.stderr)
            if event.kind == "stored":
                if not shown:
                    most = event.total
                    shown.append(stack.enter_context(progress("answers stored", most, quiet)))
                shown[0](min(event.done, most))  # a running lab may get more meanwhile

        yield on_event


def _line(done: "Synced") -> str:
    state = "still running" if done.running else "complete" if done.complete else "not complete"
    failed = f", {len(done.failed):,} failed" if done.failed else ""
    return f"{done.lab}  {done.found:,} backtests, {done.fetched:,} answers fetched{failed}; {state}"


def _server_rows(store: Path, server: Server) -> list[dict[str, Any]]:
    with connected(server) as (client, _):
        kept = {row["lab"]: row["kept"] for row in _kept_rows(store) if row["server"] == client.access.server}
        return [_row(client.access.server, each, kept.get(str(each.get("LID")), 0)) for each in client.labs()]


def _kept_rows(store: Path) -> list[dict[str, Any]]:
    from ..io.labs.store import lab_records, labs_in

    rows = []
    for where, lab in labs_in(store):
        found = lab_records(store, where, lab)
        kept = sum("runtime" in each.parts for each in found.backtests)
        rows.append(_row(where, {"LID": lab, **found.details}, kept) | {"complete": found.complete})
    return rows


def _row(server: str, lab: Any, kept: int) -> dict[str, Any]:
    state = _STATES.get(lab.get("S"), "unknown")
    numbers = {name: lab.get(key) or 0 for name, key in (("done", "CB"), ("scheduled", "SB"))}
    return {
        "server": server,
        "lab": lab.get("LID"),
        "name": lab.get("N") or "",
        "status": state,
        **numbers,
        "kept": kept,
    }


def _count(flag: int | None, name: str, variable: str | None, other: str) -> int | None:
    """Return a number of a flag, else of a variable; None where neither is set. Raises UsageError below 1."""
    if flag is None and variable is not None:
        if not variable.isdigit():
            raise UsageError(f"{other} is '{variable[:20]}'; it must be a whole number")
        flag, name = int(variable), other
    if flag is not None and flag < 1:
        raise UsageError(f"{name} is {flag}; it must be at least 1")
    return flag
