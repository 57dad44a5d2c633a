"""A lab's trades on our candles: which fills cannot have been, which may not, and what FS-1 makes of the same orders.

A fill is *impossible* where no candle of its time reached its price, and *ambiguous* where a candle allows it but not
for sure: on the edge of two candles only one of which reached the price, or with entry and exit inside one candle.
FS-1 fills a market order at the open of the first candle at or after it was placed (E1, X1), and one that waited at its
price in the first candle that reaches it; a stop that a candle opens beyond at that open (X2).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ...io import lab_schemas, schemas
from ...io.slices import Slice
from ...kernels.arrays import Candles, Floats, Ints, of_rows
from .analysis import CENT, Analysis

NEAR = 1e-9  # of a price: what decimals lose on their way
LATE = 10  # candles that an order waits for the next one, as an alert does
pc: Any = pyarrow.compute  # it makes most of its functions at run time
VERDICTS = ("possible", "no_candle", "ambiguous", "impossible")
POSSIBLE, NO_CANDLE, AMBIGUOUS, IMPOSSIBLE = range(4)
WHYS = (
    "",
    "no candle at that time",
    "only the candle that ends then reached it",
    "only the candle that begins then reached it",
    "entry and exit in one candle",
    "no candle of that time reached it",
)


@dataclass(frozen=True)
class Sums:
    """What the closed positions of a backtest make, in its currency: at worst, at best, by FS-1; positions that cannot
    be replayed count as the lab says. ``doubtful``: share of its fills that are not simply possible."""

    worst: float
    best: float
    fs1: float
    doubtful: float


@dataclass(frozen=True)
class Replayed:
    """The trades of a lab on candles: the tables ``lab_fills`` and ``lab_replay`` without ``run_id``.

    ``sums``: by backtest row, None where it is not complete.
    """

    fills: pa.Table
    positions: pa.Table
    sums: tuple[Sums | None, ...]

    def of(self, backtest: int) -> Sums | None:
        """Return the sums of a backtest, by its row."""
        return self.sums[backtest]

    @property
    def verdicts(self) -> dict[str, int]:
        """How many fills there are of each verdict."""
        counts = {each["values"]: each["counts"] for each in pc.value_counts(self.fills["verdict"]).to_pylist()}
        return {name: counts.get(name, 0) for name in VERDICTS}


@dataclass(frozen=True)
class Orders:
    """The filled orders of closed positions: one entry an order; ``position`` int64 is the row of its position."""

    position: Ints
    row: Ints
    exit: np.ndarray
    short: np.ndarray
    placed: Ints
    at: Ints
    asked: Floats
    price: Floats
    amount: Floats
    fees: Floats


@dataclass(frozen=True)
class _Held:
    """Orders held against candles, one entry each; ``low`` and ``high`` NaN where there is none."""

    low: Floats
    high: Floats
    verdict: Ints
    why: Ints
    again: Floats
    again_ts: Ints


def replay(found: Analysis, piece: Slice, markets: dict[str, str]) -> Replayed:
    """Return the trades of a lab on the candles of a slice; ``markets``: market tag -> the slice's token."""
    orders, rows = filled(found), found.tables.positions
    tags = np.array([name or "" for name in rows["market_tag"].to_pylist()], dtype=object)
    held = _nothing(orders.at.size)
    for tag, token in markets.items():
        here = np.flatnonzero(tags[orders.position] == tag)
        bars = _bars(piece, token)
        for name, values in vars(_against(orders, here, bars, piece.facts.interval_ms)).items():
            getattr(held, name)[here] = values
    return _replayed(found, orders, held)


def filled(found: Analysis) -> Orders:
    """Return the filled orders of all closed positions; orders and positions lie in one order."""
    rows, orders = found.tables.positions, found.tables.orders
    sizes = rows["entry_orders"].to_numpy() + rows["exit_orders"].to_numpy()
    position = np.repeat(np.arange(rows.num_rows), sizes)
    price, amount = orders["executed_price"].to_numpy(), orders["filled_amount"].to_numpy()
    at = pc.fill_null(orders["filled_ts_ms"], 0).to_numpy()
    kept = np.flatnonzero((price > 0) & (amount > 0) & (at > 0) & rows["closed"].to_numpy()[position])
    short = pc.fill_null(pc.equal(rows["direction"], "short"), False).to_numpy()
    placed = pc.fill_null(orders["placed_ts_ms"], 0).to_numpy()[kept]
    return Orders(
        position[kept],
        kept,
        pc.equal(orders["side"], "exit").to_numpy()[kept],
        short[position[kept]],
        np.where(placed > 0, placed, at[kept]),
        at[kept],
        orders["price"].to_numpy()[kept],
        price[kept],
        amount[kept],
        np.nan_to_num(orders["fees"].to_numpy()[kept]),
    )


def _nothing(size: int) -> _Held:
    floats = [np.full(size, np.nan) for _ in range(3)]
    verdict, why = np.full(size, NO_CANDLE), np.ones(size, np.int64)
    return _Held(floats[0], floats[1], verdict, why, floats[2], np.zeros(size, np.int64))


def _bars(piece: Slice, token: str) -> Candles:
    i = piece.facts.tokens.index(token)
    return of_rows(piece.candles, slice(piece.facts.offsets[i], piece.facts.offsets[i + 1]))


def _against(orders: Orders, here: Ints, bars: Candles, step: int) -> _Held:
    """Return the orders ``here`` held against the candles of their market."""
    at, price = orders.at[here], orders.price[here]
    found, there = _candle_at(bars, at, step)
    edge = np.searchsorted(bars.ts, at, "left") - 1  # the last that began before
    ends = (edge >= 0) & (bars.ts[np.maximum(edge, 0)] + step == at) if bars.ts.size else np.zeros(at.size, bool)
    low, high, inside = [], [], []
    for row, known in ((found, there), (edge, ends)):
        at_row = np.where(known, row, 0)
        one = np.where(known, bars.low[at_row], np.nan) if bars.ts.size else np.full(at.size, np.nan)
        other = np.where(known, bars.high[at_row], np.nan) if bars.ts.size else np.full(at.size, np.nan)
        inside.append((price >= one * (1 - NEAR)) & (price <= other * (1 + NEAR)))
        low.append(one)
        high.append(other)
    both, any_ = there & ends, there | ends
    why = np.where(any_, 0, 1)
    why[both & inside[1] & ~inside[0]], why[both & inside[0] & ~inside[1]] = 2, 3
    why[(why == 0) & _shared(orders, here, found, there)] = 4
    why[any_ & ~inside[0] & ~inside[1]] = 5
    verdict = np.array([POSSIBLE, NO_CANDLE, AMBIGUOUS, AMBIGUOUS, AMBIGUOUS, IMPOSSIBLE])[why]
    again, again_ts = _again(orders, here, bars, step)
    return _Held(np.fmin(*low), np.fmax(*high), verdict, why, again, again_ts)


def _candle_at(bars: Candles, at: Ints, step: int) -> tuple[Ints, np.ndarray]:
    """Return the row of the candle that each time lies in, and whether there is one."""
    row = np.searchsorted(bars.ts, at, "right") - 1
    if not bars.ts.size:
        return row, np.zeros(at.size, bool)
    return row, (row >= 0) & (at < bars.ts[np.maximum(row, 0)] + step)


def _shared(orders: Orders, here: Ints, row: Ints, there: np.ndarray) -> np.ndarray:
    """Return which orders have one of the other side of their position inside the same candle."""
    key = np.stack([orders.position[here], np.where(there, row, -1 - np.arange(row.size))], axis=1)
    _, group = np.unique(key, axis=0, return_inverse=True)
    exits = np.bincount(group, orders.exit[here], group.max(initial=-1) + 1)
    return there & (exits[group] > 0) & (exits[group] < np.bincount(group)[group])


def _again(orders: Orders, here: Ints, bars: Candles, step: int) -> tuple[Floats, Ints]:
    """Return at what price and when FS-1 fills each order; NaN and 0 where it does not."""
    placed, waited = orders.placed[here], orders.at[here] > orders.placed[here]
    first = np.searchsorted(bars.ts, placed, "left")
    price, ts = np.full(placed.size, np.nan), np.zeros(placed.size, np.int64)
    known = np.flatnonzero(first < bars.ts.size)
    known = known[bars.ts[first[known]] - placed[known] <= LATE * step]
    price[known], ts[known] = bars.open[first[known]], bars.ts[first[known]]
    for k in known[waited[known]].tolist():
        row = here[k]
        last = int(np.searchsorted(bars.ts, orders.at[row], "right"))
        price[k], ts[k] = _at_level(
            of_rows(bars, slice(int(first[k]), last)),
            float(orders.asked[row]),
            not orders.exit[row] ^ orders.short[row],
        )
    return price, ts


def _at_level(bars: Candles, level: float, buys: bool) -> tuple[float, int]:
    """Return at what price and when an order that waits for ``level`` is filled; NaN and 0 where it never is."""
    up = bool(bars.ts.size) and level >= bars.open[0]
    reached = np.flatnonzero(bars.high >= level if up else bars.low <= level)
    if not reached.size or not level > 0:
        return np.nan, 0
    i = int(reached[0])
    beyond = bars.open[i] >= level if up else bars.open[i] <= level
    return float(bars.open[i] if beyond and buys == up else level), int(bars.ts[i])


def _replayed(found: Analysis, orders: Orders, held: _Held) -> Replayed:
    """Return the tables and the sums of each backtest."""
    rows, outside = found.tables.positions, _outside(orders.price, held)
    kept = found.tables.orders.select(["backtest_id", "position", "number", "side", "filled_ts_ms", "executed_price"])
    fills = {name: kept[name].take(orders.row) for name in kept.schema.names} | {
        "candle_low": held.low,
        "candle_high": held.high,
        "outside_bps": outside,
        "verdict": pa.array(VERDICTS).take(held.verdict),
        "why": pa.array(WHYS).take(held.why),
    }
    closed = np.flatnonzero(rows["closed"].to_numpy())
    made = _positions(found, orders, held)
    status = np.where(made["status"] == "OK", np.where(np.isnan(made["fs1"]), "NOT_FILLED", "OK"), made["status"])
    worst = np.full(rows.num_rows, POSSIBLE)
    np.maximum.at(worst, orders.position, held.verdict)
    unknown = np.bincount(orders.position, minlength=rows.num_rows) == 0
    columns = {name: rows[name].take(closed) for name in ("backtest_id", "market_tag", "direction", "realized_profit")}
    columns |= {
        "position": rows["number"].take(closed),
        "status": status[closed].tolist(),
        "fills": pa.array(VERDICTS).take(np.where(unknown, NO_CANDLE, worst)[closed]),
        **{f"fs1_{name}": made[name][closed] for name in ("entry_price", "exit_price")},
        **{f"fs1_{name}": _masked(made[name][closed]) for name in ("entry_ts_ms", "exit_ts_ms")},
        "fs1_profit": made["fs1"][closed],
        **{f"{name}_profit": made[name][closed] for name in ("worst", "best")},
    }
    return Replayed(
        schemas.table(schemas.without_run(lab_schemas.FILLS), fills),
        schemas.table(schemas.without_run(lab_schemas.REPLAY), columns),
        _sums(found, orders, held, made),
    )


def _masked(times: Ints) -> np.ma.MaskedArray:
    return np.ma.masked_equal(times, 0)


def _outside(price: Floats, held: _Held) -> Floats:
    """Return how far a price lies outside of its candles, bps of the nearer edge; 0 inside, NaN without one."""
    far = np.fmax(price / held.high - 1, held.low / price - 1)
    return np.where(held.verdict == IMPOSSIBLE, 1e4 * far, np.where(held.verdict == NO_CANDLE, np.nan, 0.0))


def _positions(found: Analysis, orders: Orders, held: _Held) -> dict[str, Any]:
    """Return of every position, a column each, what it makes by FS-1, at worst and at best, and whether it can be told.

    Only where profit is price times amount: a contract settled in its coin is left out as NOT_LINEAR.
    """
    rows = found.tables.positions
    size, sign = rows.num_rows, np.where(orders.exit ^ orders.short, 1.0, -1.0)  # of the cash of each order
    said = rows["gross_profit"].to_numpy()
    rate = orders.fees / (orders.price * orders.amount)

    def cash(price: Floats) -> Floats:
        return np.bincount(orders.position, price * orders.amount * sign, size).astype(np.float64)

    def profit(price: Floats) -> Floats:
        return cash(price) - np.bincount(orders.position, price * orders.amount * rate, size)

    linear = np.abs(cash(orders.price) - said) <= np.maximum(CENT, 1e-4 * np.abs(said))
    known = np.array([each is not None for each in rows["direction"].to_pylist()], bool)
    candles = np.bincount(orders.position, held.verdict != NO_CANDLE, size) > 0
    told = np.select([~candles, ~known, ~linear], ["NO_CANDLES", "NO_DIRECTION", "NOT_LINEAR"], "OK")
    good, bad = np.where(sign > 0, held.high, held.low), np.where(sign > 0, held.low, held.high)
    sure, impossible = np.isin(held.verdict, (POSSIBLE, NO_CANDLE)), held.verdict == IMPOSSIBLE
    nearest = np.clip(orders.price, held.low, held.high)
    out: dict[str, Any] = {"status": told}
    lowest, highest = (
        np.where(sure, orders.price, bad),
        np.where(impossible, nearest, np.where(sure, orders.price, good)),
    )
    for name, price in (("fs1", held.again), ("worst", lowest), ("best", highest)):
        out[name] = np.where(told == "OK", profit(price), np.nan)
    for side, here in (("entry", ~orders.exit), ("exit", orders.exit)):
        amount = np.bincount(orders.position[here], orders.amount[here], size)
        paid = np.bincount(orders.position[here], (held.again * orders.amount)[here], size)
        out[f"{side}_price"] = np.where(amount > 0, paid / np.where(amount > 0, amount, 1.0), np.nan)
        last = np.zeros(size, np.int64)
        np.maximum.at(last, orders.position[here], held.again_ts[here])
        out[f"{side}_ts_ms"] = last
    return out


def _sums(found: Analysis, orders: Orders, held: _Held, made: dict[str, Any]) -> tuple[Sums | None, ...]:
    said, firsts = found.tables.positions["realized_profit"].to_numpy(), found.firsts.tolist()
    doubt = np.bincount(orders.position, held.verdict != POSSIBLE, said.size)
    count = np.bincount(orders.position, minlength=said.size)
    whole = {name: np.where(np.isnan(made[name]), said, made[name]) for name in ("worst", "best", "fs1")}
    out: list[Sums | None] = []
    for i, one in enumerate(found.closed):
        part = slice(firsts[i], firsts[i + 1])
        if one is None:
            out.append(None)
            continue
        worst, best, again = (float(np.nansum(each[part])) for each in whole.values())
        out.append(Sums(worst, best, again, float(doubt[part].sum() / max(1, count[part].sum()))))
    return tuple(out)
