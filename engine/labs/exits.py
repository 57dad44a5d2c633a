"""A lab's entries under exits of FS-1: each position entered when the lab did, on its side, and left by a policy.

Two sets of exits: ``own``, the stop loss and take profit that the parameters of its backtest name, and ``asked``, the
user's. A position is an alert at its entry time, entered by E1 at the next open; a short is traded in the mirror
(SEMANTICS section 5). Amount and fee rates are the lab's, so what differs is when and where it is left.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ...io import lab_schemas, schemas
from ...io.errors import UsageError
from ...kernels import arrays
from ...kernels.arrays import Alerts, Candles, Costs, Floats, Ints, Rules, Windows, column, of_rows
from ..policy import Policy, Rung, describe, parse_policy, to_arrays
from .analysis import Analysis
from .ground import Ground
from .replay import Replayed, filled

OWN, ASKED = "own", "asked"
pc: Any = pyarrow.compute  # it makes most of its functions at run time
_NAMES = {"sl": ({"sl"}, {"stop", "loss"}, {"stoploss"}), "tp": ({"tp"}, {"take", "profit"}, {"takeprofit"})}
_UNITS = {"%", "percent", "percentage", "pct"}
_KEY = re.compile(r"^\d+(-\d+)*\.")  # 83-83-19-24.ADX trigger
_NOT_TOLD = ("NO_DIRECTION", "NOT_LINEAR")


@dataclass(frozen=True)
class Leaving:
    """How entries are left: by the user's ``policy``, None for their own exits only; ``horizon`` ms after them."""

    policy: Policy | None
    horizon: int

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"policy": self.policy and self.policy.canonical(), "horizon_ms": self.horizon}


@dataclass(frozen=True)
class Total:
    """What the positions that could be traded make, in one currency: as the lab says, by FS-1, at worst, at best.

    ``positions`` of ``among`` could be.
    """

    exits: str
    policy: str
    currency: str | None
    positions: int
    among: int
    realized: float
    fs1: float
    worst: float
    best: float


def leaving_of(document: Mapping[str, Any] | None) -> Leaving | None:
    """Return what ``Leaving.document`` told of."""
    if document is None:
        return None
    policy = document["policy"]
    return Leaving(None if policy is None else parse_policy(policy), document["horizon_ms"])


def own_policy(parameters: str | None) -> Policy | None:
    """Return the stop loss and take profit that parameters (JSON) name in percent; None unless each is named once.

    A name must say nothing else (``Stop Loss (%)``, ``take_profit_pct``), for a script's second stop is another rule.
    0 is none.
    """
    found: dict[str, list[Any]] = {"sl": [], "tp": []}
    for name, value in json.loads(parameters or "{}").items():
        words = set(re.findall(r"[a-z0-9]+|%", _KEY.sub("", name).lower()))
        for kind, forms in _NAMES.items():
            if words & _UNITS and words - _UNITS in forms:
                found[kind].append(value)
    if max(map(len, found.values())) > 1:
        return None
    try:
        sl, tp = (Decimal(str(some[0])) / 100 if some else Decimal(0) for some in found.values())
        if not sl and not tp:
            return None
        return Policy(sl=float(1 - sl) if sl else None, tp=(Rung(float(1 + tp)),) if tp else ())
    except (InvalidOperation, UsageError):
        return None


def left(found: Analysis, replayed: Replayed, ground: Ground, leaving: Leaving, threads: int | None = None) -> pa.Table:
    """Return the table ``lab_exits`` without ``run_id``: every closed position under its own exits, then those asked.

    Positions whose parameters tell no exits have no row of their own. ``status`` is that of the alert; NO_DIRECTION and
    NOT_LINEAR as in a replay.
    """
    from ...kernels.jit import threads as on
    from ...kernels.mirror import mirrored

    rows = found.tables.positions
    closed = np.flatnonzero(rows["closed"].to_numpy())
    told = dict(zip(*(found.tables.backtests[n].to_pylist() for n in ("backtest_id", "parameters")), strict=True))
    known = {text: own_policy(text) for text in set(told.values())}
    own = [known[told[name]] for name in rows["backtest_id"].take(closed).to_pylist()]
    short = pc.fill_null(pc.equal(rows["direction"].take(closed), "short"), False).to_numpy()
    with on(threads):
        windows = _entered(found, ground, leaving.horizon, closed)
    status = np.array([arrays.STATUSES[code] for code in windows.status.tolist()], object)
    for i, each in enumerate(replayed.positions["status"].to_pylist()):
        status[i] = each if each in _NOT_TOLD else status[i]
    market = _Market((ground.piece.candles, mirrored(ground.piece.candles)), ground.piece.facts.interval_ms)
    both = ((OWN, own), (ASKED, [leaving.policy] * closed.size))
    with on(threads):
        parts = [_traded(found, market, (closed, short, windows, status), *each) for each in both]
    return pa.concat_tables(parts).combine_chunks()


def _entered(found: Analysis, ground: Ground, horizon: int, closed: Ints) -> Windows:
    """Return the window of each closed position, by FS-1 from its entry time on."""
    from ...kernels.entries import enter_all, entry_rule

    rows, facts = found.tables.positions, ground.piece.facts
    place = {tag: facts.tokens.index(token) for tag, token in ground.markets.items()}
    token = np.array([place.get(tag, len(facts.tokens)) for tag in rows["market_tag"].take(closed).to_pylist()], int)
    first, last, end = (
        column(np.array([*part, 0], np.int64)[token], np.int64)
        for part in (facts.offsets[:-1], facts.offsets[1:], facts.coverage_end_ms)
    )
    at = column(pc.fill_null(rows["entry_ts_ms"].take(closed), 0).to_numpy(), np.int64)
    on_grid = column(np.array([*facts.on_grid, False])[token], np.bool_)
    refused = [arrays.SERIES_REJECTED if name in facts.rejected else arrays.OK for name in (*facts.tokens, "")]
    asked = Alerts(first, last, at, column(np.full(at.size, np.nan)), end, on_grid)
    rule = entry_rule(arrays.NEXT_OPEN, horizon, facts.interval_ms)
    found_ = enter_all(ground.piece.candles, asked, rule, column(np.array(refused)[token], np.int64))
    return Windows(*(column(part, part.dtype) for part in found_))


@dataclass(frozen=True)
class _Market:
    """The candles of a slice, as they are and in the mirror, and their interval, ms."""

    sides: tuple[Candles, Candles]
    step: int


def _traded(
    found: Analysis, market: _Market, entered: tuple[Ints, Any, Windows, Any], name: str, policies: list[Policy | None]
) -> pa.Table:
    """Return the rows of one set of exits: ``policies`` has one a closed position, None where there is none."""
    closed, short, windows, status = entered
    rows, size = found.tables.positions, closed.size
    ratio = {each: np.full(size, np.nan) for each in ("ret", "worst", "best")}
    reason, ts, doubt = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
    ok = status == "OK"
    for policy, side, here in _alike(policies, short, np.flatnonzero(ok)):
        trades, bounds = _outcomes(market, windows, here, policy, side)
        ratio["ret"][here], ratio["worst"][here], ratio["best"][here] = trades["ret"], bounds["worst"], bounds["best"]
        reason[here], ts[here], doubt[here] = trades["reason"], trades["ts"], bounds["n_ambiguous"]
    profit = _profits(found, closed, np.where(short, -1.0, 1.0), windows.price, ratio)
    shown = np.flatnonzero([each is not None for each in policies])
    kept = ("backtest_id", "market_tag", "currency", "direction", "realized_profit")
    columns: dict[str, Any] = {each: rows[each].take(closed[shown]) for each in kept}
    columns |= {
        "position": rows["number"].take(closed[shown]),
        "exits": [name] * shown.size,
        "policy": [describe(each) for each in policies if each is not None],
        "status": status[shown].tolist(),
        "entry_ts_ms": np.ma.array(windows.ts, mask=~ok)[shown],
        "entry_price": np.where(ok, windows.price, np.nan)[shown],
        "exit_ts_ms": np.ma.array(ts, mask=~ok)[shown],
        "exit_price": (windows.price * (1.0 + ratio["ret"]))[shown],
        "exit_reason": [arrays.REASONS[code] or None for code in reason[shown].tolist()],
        "fs1_profit": profit["ret"][shown],
        "worst_profit": profit["worst"][shown],
        "best_profit": profit["best"][shown],
        "ambiguous": np.ma.array(doubt > 0, mask=~ok)[shown],
    }
    return schemas.table(schemas.without_run(lab_schemas.EXITS), columns)


def _alike(policies: Sequence[Policy | None], short: Any, rows: Ints) -> Iterator[tuple[Policy, bool, Ints]]:
    """Yield the ``rows`` that have one policy and side, int64, with both; none where there is no policy."""
    groups: dict[tuple[Policy, bool], list[int]] = {}
    for i in rows.tolist():
        if (policy := policies[i]) is not None:
            groups.setdefault((policy, bool(short[i])), []).append(i)
    for (policy, side), members in groups.items():
        yield policy, side, np.array(members, np.int64)


def _outcomes(market: _Market, windows: Windows, here: Ints, policy: Policy, short: bool) -> tuple[Any, Any]:
    """Return TRADE and BOUND of windows without costs. Returns are gross over P less 1, so a short's are negative."""
    from ...kernels.bounds import bracket_all
    from ...kernels.exits import simulate_all
    from ...kernels.mirror import reflected
    from ...kernels.walk import policy_of

    row = policy_of(to_arrays([policy]), 0)
    some = of_rows(windows, here)
    if short:
        row, some = reflected(row), some._replace(price=column(-some.price))
    rules = Rules(arrays.PESSIMISTIC, policy.tp_gap_fill == "open", False)
    work = (market.sides[short], some, market.step, row, rules, Costs())
    return simulate_all(*work)[0], bracket_all(*work)


def _profits(found: Analysis, closed: Ints, sign: Floats, price: Floats, ratio: dict[str, Floats]) -> dict[str, Floats]:
    """Return what each closed position makes where it is left at ``price`` times 1 + ratio, after the lab's fees."""
    orders, size = filled(found), found.tables.positions.num_rows
    paid, amount = {}, np.bincount(orders.position, np.where(orders.exit, 0.0, orders.amount), size)[closed]
    for side, here in ((0, ~orders.exit), (1, orders.exit)):
        cash = np.bincount(orders.position[here], (orders.price * orders.amount)[here], size)
        fees = np.bincount(orders.position[here], orders.fees[here], size)
        paid[side] = np.where(cash > 0, fees / np.where(cash > 0, cash, 1.0), 0.0)[closed]
    out = {}
    for name, each in ratio.items():
        gross = price * (1.0 + each)
        out[name] = amount * (sign * (gross - price) - paid[0] * price - paid[1] * gross)
    return out


def totals(table: pa.Table, backtest: str | None = None) -> tuple[Total, ...]:
    """Return the sums of ``lab_exits`` by exits and currency, of one backtest where it is named."""
    if backtest is not None:
        table = table.filter(pc.equal(table["backtest_id"], backtest))
    out = []
    for name in (OWN, ASKED):
        mine = table.filter(pc.equal(table["exits"], name))
        for currency in sorted({each or "" for each in mine["currency"].to_pylist()}):
            some = mine.filter(pc.equal(pc.fill_null(mine["currency"], ""), currency))
            good = some.filter(pc.equal(some["status"], "OK"))
            sums = [
                float(good[each].to_numpy().sum())
                for each in ("realized_profit", "fs1_profit", "worst_profit", "best_profit")
            ]
            policy = "the script's own" if name == OWN else some["policy"][0].as_py()
            out.append(Total(name, policy, currency or None, good.num_rows, some.num_rows, *sums))
    return tuple(out)
