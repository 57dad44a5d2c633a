"""Where the history of each market begins, as the server itself has it; in one file, with backups, for many processes.

The file is that of the results guide: ``data/history_cutoffs.json``. A cutoff is the open of the first candle of the
chart that the server has of a market, never a guess: where there is no candle, there is no cutoff.
"""

import contextlib
import csv
import io
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .. import exports
from ..durable import disk_errors, make_folder
from ..errors import BusyError, DataError, HighwaterError, MissingError, UsageError
from ..locks import give_back, wait
from .client import Client

FILE = Path("data/history_cutoffs.json")
VERSION, BACKUPS, EARLIER = "1.0", 10, 20
SYNCHRONISED = 3  # of a market's Status
METHOD = "GET_HISTORY_STATUS and first candle of GET_CHART"
DAY_MS = 86_400_000
_PATIENCE_S = 10.0
_REMEDY = "free space, or name another --file"
_COLUMNS = (
    *("market_tag", "cutoff_date", "discovery_date", "precision_hours", "exchange", "primary_asset"),
    *("secondary_asset", "discovery_method", "max_months", "status", "server"),
)
_MARKET = re.compile(r"[A-Z0-9.]+_[A-Z0-9.]+_[A-Z0-9.]+_[A-Z0-9_.-]*")


@dataclass(frozen=True)
class Cutoff:
    """Where the history of one market begins. Times are text, ISO 8601 in UTC.

    ``precision_hours``: the length of the candles that were looked at. ``discovery_metadata``: how it was found.
    ``earlier``: what it was before, oldest first.
    """

    market_tag: str
    cutoff_date: str
    discovery_date: str
    precision_hours: float
    exchange: str
    primary_asset: str
    secondary_asset: str
    discovery_metadata: Mapping[str, Any] = field(default_factory=dict)
    earlier: tuple[Mapping[str, str], ...] = ()

    @property
    def first_ms(self) -> int:
        """The cutoff, ms UTC."""
        return round(_moment(self.cutoff_date).timestamp() * 1000)

    @property
    def asked(self) -> bool:
        """Whether it came from a server."""
        return self.discovery_metadata.get("discovery_method") == METHOD

    @property
    def settled(self) -> bool:
        """Whether the server had synchronised the market by then."""
        return self.discovery_metadata.get("status") == SYNCHRONISED


@dataclass(frozen=True)
class Cutoffs:
    """What a file holds. ``revision`` counts the times it was saved; ``note`` says what had to be recovered, or ''."""

    created: str
    last_updated: str
    revision: int
    cutoffs: Mapping[str, Cutoff]
    note: str = ""


def discover(client: Client, markets: Sequence[str], interval: int = 60) -> Iterator[tuple[str, Cutoff | str]]:
    """Yield where the history of each market begins, one question to the server a market, or why that has no answer.

    ``interval``: minutes of the candles that are looked at. No markets: all that the server has synchronised.
    """
    history = client.history()
    for market in markets or sorted(name for name, each in history.items() if each.get("Status") == SYNCHRONISED):
        try:
            yield market, _discovered(client, market, interval, history.get(market))
        except (DataError, UsageError) as error:
            yield market, str(error)


def _discovered(client: Client, market: str, interval: int, status: Mapping[str, Any] | None) -> Cutoff:
    began = time.monotonic()
    exchange, base, quote = market_parts(market)
    if status is None:
        raise DataError(f"{client.access.server} has no history of {market}; ask for one with --months")
    candles = client.candles(market, interval)
    if not candles:
        raise DataError(f"{client.access.server} has no candle of {market} yet; its status is {status.get('Status')}")
    facts = {
        **{"tests_performed": 1, "discovery_time_seconds": round(time.monotonic() - began, 3)},
        **{"initial_range_days": None, "final_precision_hours": interval / 60, "discovery_method": METHOD},
        **{"api_call_delay": None, "max_months": status.get("MaxMonths"), "status": status.get("Status")},
        **{"server": client.access.server, "candles": len(candles)},
    }
    return Cutoff(market, _text(next(iter(candles)) * 1000), _now(), interval / 60, exchange, base, quote, facts)


def market_parts(market: str) -> tuple[str, str, str]:
    """Return exchange, primary and secondary asset of a market tag such as BINANCE_BTC_USDT_."""
    if not _MARKET.fullmatch(market):
        raise UsageError(f"'{market}' is no market; it must be EXCHANGE_PRIMARY_SECONDARY_[CONTRACT]")
    exchange, base, quote = market.split("_")[:3]
    return exchange, base, quote


def later_start(cutoff: Cutoff, start_ms: int) -> int:
    """Return ``start_ms`` where the history reaches back so far, else the day after its first, ms UTC."""
    return start_ms if start_ms >= cutoff.first_ms else cutoff.first_ms + DAY_MS


def read(path: Path = FILE) -> Cutoffs:
    """Return what the file holds, none where it does not exist; where it is damaged, what its newest backup holds.

    Raises UsageError where it is of another version.
    """
    try:
        return _parsed(path.read_bytes(), str(path))
    except FileNotFoundError:
        return Cutoffs(_now(), _now(), 0, {})
    except DataError as error:
        for backup in reversed(backups(path)):
            with contextlib.suppress(DataError):
                return replace(_parsed(backup.read_bytes(), str(backup)), note=f"{error}; took {backup} instead")
        return Cutoffs(_now(), _now(), 0, {}, f"{error}, and there is no backup; began anew")


def save(new: Mapping[str, Cutoff], path: Path = FILE) -> Cutoffs:
    """Add cutoffs to the file, in the place of earlier ones of the same markets, and return what it holds then.

    What was in the file is kept as a backup first, the newest ten; other processes wait for their turn.
    """
    with _alone(path):
        before = read(path)
        if path.exists():
            _back_up(path)
        cutoffs = dict(before.cutoffs)
        for market, each in new.items():
            cutoffs[market] = _with_earlier(each, cutoffs.get(market))
        after = Cutoffs(before.created, _now(), before.revision + 1, dict(sorted(cutoffs.items())), before.note)
        exports.put(path, _document(after), _REMEDY)
    return after


def _with_earlier(new: Cutoff, old: Cutoff | None) -> Cutoff:
    if old is None or (old.cutoff_date, old.discovery_date) == (new.cutoff_date, new.discovery_date):
        return replace(new, earlier=new.earlier or (() if old is None else old.earlier))
    was = {"cutoff_date": old.cutoff_date, "discovery_date": old.discovery_date}
    return replace(new, earlier=(*old.earlier, was)[-EARLIER:])


def backups(path: Path) -> list[Path]:
    """Return the backups of a file, oldest first."""
    return sorted(path.parent.glob(f"{path.stem}.backups/{path.stem}_*.json"))


def _back_up(path: Path) -> None:
    stamp = datetime.now(UTC).strftime("%Y%m%d_%H%M%S_%f")
    data = path.read_bytes()
    with contextlib.suppress(DataError):  # what is damaged is set aside, and is no backup
        _parsed(data, str(path))
        exports.put(path.parent / f"{path.stem}.backups" / f"{path.stem}_{stamp}.json", data, _REMEDY)
        for old in backups(path)[:-BACKUPS]:
            old.unlink(missing_ok=True)
        return
    exports.put(path.with_name(f"{path.name}.{stamp}.damaged"), data, _REMEDY)


def to_csv(cutoffs: Mapping[str, Cutoff]) -> str:
    """Return cutoffs as CSV, a row a market."""
    out = io.StringIO()
    rows = csv.DictWriter(out, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    rows.writeheader()
    for each in cutoffs.values():
        rows.writerow({**each.discovery_metadata, **asdict(each)})
    return out.getvalue()


def export(found: Cutoffs, path: Path) -> None:
    """Write what a file holds to another, as ``.json`` or ``.csv``."""
    if path.suffix.lower() not in (".json", ".csv"):
        raise UsageError(f"--export {path} must end in .json or .csv")
    data = to_csv(found.cutoffs).encode() if path.suffix.lower() == ".csv" else _document(found)
    exports.put(path, data, "name another --export")


def load(path: Path) -> dict[str, Cutoff]:
    """Return the cutoffs of a file that ``export`` or pyHaasAPI wrote. Raises DataError naming what is wrong."""
    if not path.is_file():
        raise MissingError(f"{path} does not exist")
    if path.suffix.lower() != ".csv":
        return dict(_parsed(path.read_bytes(), str(path)).cutoffs)
    rows = csv.DictReader(io.StringIO(path.read_text("utf-8-sig")))
    found = {}
    for number, row in enumerate(rows, 2):
        facts = {name: row.get(name) or None for name in ("discovery_method", "max_months", "status", "server")}
        for name in ("max_months", "status"):
            text = facts[name]
            facts[name] = int(text) if text is not None and text.isdigit() else text  # type: ignore[assignment]
        each = _cutoff({**row, "discovery_metadata": facts}, f"{path}:{number}")
        found[each.market_tag] = each
    return found


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock of a file. Raises BusyError where another process has it for longer than ten seconds."""
    with disk_errors(f"writing {path}", _REMEDY):
        make_folder(path.resolve().parent)
        lock = wait(path, _PATIENCE_S)
    if lock is None:
        raise BusyError(f"another process is writing {path}; try again when it is done")
    try:
        yield
    finally:
        give_back(path, lock)


def _document(found: Cutoffs) -> bytes:
    head = {"version": VERSION, "created": found.created, "last_updated": found.last_updated}
    cutoffs = {name: asdict(each) for name, each in found.cutoffs.items()}
    return (json.dumps({**head, "revision": found.revision, "cutoffs": cutoffs}, indent=2) + "\n").encode()


def _parsed(data: bytes, place: str) -> Cutoffs:
    try:
        found = json.loads(data)
        version, cutoffs = str(found["version"]), dict(found["cutoffs"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{place} is damaged") from None
    if version.partition(".")[0] != VERSION.partition(".")[0]:
        raise UsageError(f"{place} is of version {version}; this reads version {VERSION}")
    kept = {name: _cutoff(each, f"{place}: {name}") for name, each in cutoffs.items()}
    created, updated = str(found.get("created") or _now()), str(found.get("last_updated") or _now())
    revision = found.get("revision")
    return Cutoffs(created, updated, revision if isinstance(revision, int) else 0, kept)


def _cutoff(fields: Any, place: str) -> Cutoff:
    """Return one cutoff; times without offset are taken for UTC. Raises DataError naming what is wrong."""
    try:
        market, cutoff, when = (str(fields[name]) for name in ("market_tag", "cutoff_date", "discovery_date"))
        exchange, base, quote = market_parts(market)
        cutoff, when = (_text(round(_moment(each).timestamp() * 1000)) for each in (cutoff, when))
        facts, earlier = fields.get("discovery_metadata") or {}, fields.get("earlier") or ()
        hours = float(fields["precision_hours"])
        return Cutoff(market, cutoff, when, hours, exchange, base, quote, dict(facts), tuple(map(dict, earlier)))
    except HighwaterError as error:
        raise DataError(f"{place}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(f"{place} is damaged: {type(error).__name__} {error}") from None


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=found.tzinfo or UTC)


def _text(ms: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).isoformat().replace("+00:00", "Z")


def _now() -> str:
    return _text(time.time_ns() // 1_000_000)
