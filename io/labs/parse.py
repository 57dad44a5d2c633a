"""What the backtests of a lab say of themselves, as columns: the server's fields by their true meanings.

Tolerant: fields that are not known are passed over, one that is missing or of another type is null. Meanings are those
that stored answers prove: ``RP`` and a position's ``rp`` are net of fees, ``RM`` is margin and no drawdown, ``SP`` is a
price. ``SB`` is the balance after the run: in all six stored results of one account SB less RP is 9366.932544735.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from .. import lab_schemas, schemas
from ..columns import SECONDS_2100
from ..errors import DataError
from .wire import unwrapped

BLOCK = 1000  # backtests whose rows are Python values at once
UNFINISHED = (0, 1, 2)  # status: queued, executing, cancelled
LONG = 2  # the direction of an order that opens a long
_MS = 100_000_000_000  # a time from here on is in milliseconds already
_MOST = 1e15


@dataclass(frozen=True)
class Lab:
    """A lab: the period it tests, ms UTC, and how many backtests the server has; None where it doesn't say."""

    lab_id: str
    name: str | None = None
    script_id: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    backtests: int | None = None


@dataclass(frozen=True)
class Tables:
    """The backtests of a lab as tables without ``run_id``, in the order they came, and ``notes`` on what is amiss."""

    lab: Lab
    backtests: pa.Table
    positions: pa.Table
    orders: pa.Table
    notes: tuple[tuple[str, str], ...]


def lab_of(lab_id: str, details: Mapping[str, Any]) -> Lab:
    """Return a lab from its record or details, without envelope; short and long names are known."""

    def first(*names: str) -> Any:
        return next((details[name] for name in names if details.get(name) not in (None, "")), None)

    done = max((n for n in map(_integer, (first("CB", "completed_backtests"), first("SB"))) if n), default=None)
    times = (_ms(first("SU", "start_unix")), _ms(first("EU", "end_unix")))
    return Lab(lab_id, _text(first("N", "name")), _text(first("SID", "script_id")), *times, done)


def tables_of(lab: Lab, found: Iterable[tuple[str, Mapping[str, bytes]]]) -> Tables:
    """Return the tables of backtests that come as (id, part -> JSON as the server sent it): summary and runtime."""
    kept, notes, blocks = ([], [], []), [], ([], [], [])
    for backtest, parts in found:
        for rows, more in zip(kept, _rows(lab, backtest, parts, notes), strict=True):
            rows += more
        if len(kept[0]) >= BLOCK:
            _flush(kept, blocks)
    _flush(kept, blocks)
    backtests, positions, orders = (pa.concat_tables(each).combine_chunks() for each in blocks)
    return Tables(lab, backtests, positions, orders, tuple(notes))


_SCHEMAS = tuple(
    schemas.without_run(each) for each in (lab_schemas.BACKTESTS, lab_schemas.POSITIONS, lab_schemas.ORDERS)
)


def _flush(kept: tuple[list, ...], blocks: tuple[list, ...]) -> None:
    for rows, out, schema in zip(kept, blocks, _SCHEMAS, strict=True):
        columns = zip(*rows, strict=True) if rows else [[]] * len(schema)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        out.append(pa.Table.from_arrays(arrays, schema=schema))
        rows.clear()


def _rows(lab: Lab, backtest: str, parts: Mapping[str, bytes], notes: list[tuple[str, str]]) -> tuple[list, list, list]:
    """Return the rows of one backtest: of backtests, positions and orders."""
    read = {}
    for part in ("summary", "runtime"):
        try:
            read[part] = _record(unwrapped(parts[part])) if part in parts else {}
        except (DataError, ValueError) as error:
            read[part] = {}
            notes.append((backtest, f"its {part} cannot be read: {_text(str(error))}"))
    runtime, positions, orders = read["runtime"], [], []
    if not runtime and "runtime" not in parts and _integer(read["summary"].get("ST")) not in UNFINISHED:
        notes.append((backtest, "its runtime was not fetched, so what rests on positions is missing"))
    elif not runtime and "runtime" in parts and (not notes or notes[-1][0] != backtest):
        notes.append((backtest, "its runtime is empty, so what rests on positions is missing"))
    for number, (position, closed) in enumerate(_positions(runtime)):
        sides = _orders(backtest, number, position)
        orders += sides["entry"] + sides["exit"]
        positions.append(_position_row(backtest, number, position, closed, sides))
    return [_backtest_row(lab, backtest, read["summary"], runtime, positions)], positions, orders


def _positions(runtime: Mapping[str, Any]) -> list[tuple[dict[str, Any], bool]]:
    """Return the positions of a runtime, each with whether it is closed; managed ones only where they were opened."""
    found = [(each, True) for each in _records(runtime.get("FinishedPositions"))]
    rest = _records(runtime.get("UnmanagedPositions"))
    rest += [_record(runtime.get(name)) for name in ("ManagedLongPosition", "ManagedShortPosition")]
    return found + [(each, False) for each in rest if _ms(each.get("ot")) is not None]


def _orders(backtest: str, number: int, position: Mapping[str, Any]) -> dict[str, list[tuple]]:
    """Return the rows of a position's orders by side."""
    found: dict[str, list[tuple]] = {"entry": [], "exit": []}
    count = 0
    for side, key in (("entry", "eno"), ("exit", "exo")):
        for order in _records(position.get(key)):
            get = order.get
            found[side].append(
                (
                    *(backtest, number, count, _text(get("id")), side, _integer(get("d")), _integer(get("t"))),
                    *(_ms(get("ot")), _ms(get("ct")), _number(get("p")), _number(get("ep")), _number(get("a"))),
                    *(_number(get("af")), _number(get("fe")), _text(get("fc")), _number(get("m"))),
                    *(_number(get("pr")), _number(get("r")), _text(get("n"))),
                )
            )
            count += 1
    return found


_PLACE = {name: i for i, name in enumerate(_SCHEMAS[2].names)}


def _position_row(
    backtest: str, number: int, position: Mapping[str, Any], closed: bool, sides: Mapping[str, list[tuple]]
) -> tuple:
    get = position.get
    (entry, amount), (exit_, _) = (_mean_price(sides[side]) for side in ("entry", "exit"))
    entry = _number(get("ap")) or None if entry is None else entry
    net, fees = _number(get("rp")), _number(get("fe"))
    gross = net + fees if net is not None and fees is not None else None
    margins = [row[_PLACE["margin"]] or 0.0 for row in sides["entry"]]
    return (
        *(backtest, number, _text(get("g")), _text(get("ac")), _text(get("ma")), _text(get("pl"))),
        *(_direction(sides["entry"], entry, exit_, gross), closed, _number(get("le")) or None),
        *(_ms(get("ot")), _ms(get("ct")) if closed else None, entry, exit_, amount),
        *(math.fsum(margins) if margins else None, gross, fees, net if closed else None),
        *(None if closed else _number(get("up")), _number(get("roi")) if closed else None),
        *(len(sides["entry"]), len(sides["exit"])),
    )


def _mean_price(orders: list[tuple]) -> tuple[float | None, float | None]:
    """Return the mean price at which orders were filled, weighted by what was filled, and how much that was."""
    price, amount = _PLACE["executed_price"], _PLACE["filled_amount"]
    filled = [(row[price], row[amount]) for row in orders if row[price] and row[amount]]
    if not filled:
        return None, None
    total = math.fsum(a for _, a in filled)
    return (filled[0][0] if len(filled) == 1 else math.fsum(p * a for p, a in filled) / total), total


def _direction(entries: list[tuple], entry: float | None, exit_: float | None, gross: float | None) -> str | None:
    """Return long or short. A position's own ``d`` is 0 on a long; where its orders don't tell, its profit does."""
    if any(row[_PLACE["direction_code"]] == LONG for row in entries):
        return "long"
    if not gross or not entry or not exit_ or exit_ == entry:
        return None
    return "long" if (exit_ > entry) == (gross > 0) else "short"


def _backtest_row(
    lab: Lab, backtest: str, item: Mapping[str, Any], runtime: Mapping[str, Any], positions: list[tuple]
) -> tuple:
    get, reports = runtime.get, _record(runtime.get("Reports"))
    records = [_record(each) for each in reports.values()]
    account, market = _text(get("AccountId")), _text(get("PriceMarket"))
    main = _record(reports.get(f"{account}_{market}", records[0] if records else {}))
    currency = _text(main.get("PL")) or next((row[5] for row in positions if row[5]), None)
    paid = [each for each in records if _text(each.get("PL")) == currency]  # other currencies do not add up
    settings, price = _record(item.get("SE")), _record(main.get("PR"))

    def total(group: str, name: str) -> float | None:
        values = [v for each in paid if (v := _number(_record(each.get(group)).get(name))) is not None]
        return math.fsum(values) if values else None

    balance, short = _number(price.get("SB")), _shortly(item) if not records else {}
    currency = currency or short.get("currency")
    fees, made, margin_roi = total("F", "TFC"), total("PR", "RP"), _number(price.get("ROI"))
    before = [v for each in paid if (v := _before(_record(each.get("PR")))) is not None]
    counts = {name: total(*path) for name, path in _COUNTS.items()}
    return (
        *(lab.lab_id, backtest, _integer(item.get("ST")), _integer(item.get("NG")), _integer(item.get("NP"))),
        *(_text(get("ScriptId")) or lab.script_id, _text(get("ScriptName"))),
        *(account or _text(settings.get("accountId")), market or _text(settings.get("marketTag")), currency),
        *(_number(get("Leverage")) or None, bool(runtime), len(records)),
        *(None if value is None else int(value) for value in counts.values()),
        *(total("PR", "GP"), short.get("fees", fees), short.get("made", made), total("PR", "UP"), total("PR", "RM")),
        *(short.get("roi", margin_roi), balance),
        *(before[0] if before else None, _number(price.get("SP")) or None, _number(price.get("PC"))),
        _parameters(item, runtime),
    )


def _shortly(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the entry of a result page sums up, in either of its shapes, where it is in one currency."""
    told = _record(item.get("S"))
    made, fees, roi = (
        told.get(long, told.get(short))
        for long, short in (("RealizedProfits", "RP"), ("FeeCosts", "FC"), ("ReturnOnInvestment", "ROI"))
    )
    roi = roi[0] if isinstance(roi, list) and len(roi) == 1 else roi
    found: dict[str, Any] = {"roi": _number(roi)}
    for currency, value in _record(made).items() if len(_record(made)) == 1 else ():
        found |= {"currency": currency, "made": _number(value), "fees": _number(_record(fees).get(currency))}
    return found


_COUNTS = {"orders": ("O", "F"), "positions": ("P", "C"), "wins": ("P", "W")}


def _before(price: Mapping[str, Any]) -> float | None:
    """Return the balance before the run: what it was after it, less what was realised."""
    after, made = _number(price.get("SB")), _number(price.get("RP"))
    found = after - made if after is not None and made is not None else None
    return found if found is not None and found > 0 else None


def _parameters(item: Mapping[str, Any], runtime: Mapping[str, Any]) -> str | None:
    """Return the parameters of a backtest as JSON: by their names, by their keys where a name stands for two."""
    fields = {key: _record(each) for key, each in _record(runtime.get("InputFields")).items()}
    names = [_text(each.get("N")) for each in fields.values()]
    values = {
        (name if name and names.count(name) == 1 else key): each.get("V")
        for (key, each), name in zip(fields.items(), names, strict=True)
    }
    found = values or _record(item.get("P"))
    return _text(json.dumps(found, sort_keys=True, ensure_ascii=False)) if found else None


def _record(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _records(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    """Return a number, also one in a text; None for anything else, and for what no price or amount comes to."""
    kind = type(value)
    if kind is str:
        try:
            value = float(value)
        except ValueError:
            return None
    elif kind is not float and kind is not int:
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if abs(found) < _MOST else None


def _integer(value: Any) -> int | None:
    found = _number(value)
    return int(found) if found is not None and found.is_integer() else None


def _ms(value: Any) -> int | None:
    """Return a Unix time before 2100 in ms; 0 is the server's word for none."""
    found = _integer(value) or 0
    found = found if found >= _MS else found * 1000
    return found if 0 < found < 1000 * SECONDS_2100 else None


def _text(value: Any) -> str | None:
    """Return a text that is not empty; half a pair of surrogates, which JSON may hold, becomes a question mark."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and value else None
