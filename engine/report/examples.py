"""The best and the worst trades on their candles: entry, levels, exits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ...kernels.arrays import Candles, of_rows
from ..policy import Policy
from ..reopen import Traded
from ..show import span
from ..values import show_instant
from .axes import scale, shares, times
from .charts import BOX
from .parts import Chart, Mark, Part, Section, Shape, Words, bps
from .read import Read
from .trades import Done

EACH = 4  # best and worst
_MOST = 240  # candles of a chart; more are joined
_ROOM = 0.08  # of the prices drawn, above and below them, for signs and tags


@dataclass(frozen=True)
class Example:
    """A trade to be drawn: what it is, its candles, times and prices, levels by kind, fills as (time, price, text)."""

    title: str
    note: str
    bars: Candles
    step: int
    entry: tuple[int, float]
    exit: tuple[int, float]
    levels: Sequence[tuple[str, str, float]]
    fills: Sequence[tuple[int, float, str]]
    short: bool = False


@dataclass(frozen=True)
class Upwards:
    """The prices of a chart from its bottom to its top; ``log``: equal ratios are equal heights."""

    low: float
    high: float
    log: bool = False

    def at(self, prices: np.ndarray) -> np.ndarray:
        """Return how far down prices lie in the box."""
        if self.log:
            return (1 - shares(np.log(prices), np.log(self.low), np.log(self.high))) * BOX
        return (1 - shares(prices, self.low, self.high)) * BOX

    def ticks(self) -> list[float]:
        """Return round prices."""
        if not self.log:
            return [tick for tick in scale(self.low, self.high)[2] if self.low <= tick <= self.high]
        tens = range(int(np.floor(np.log10(self.low))), int(np.ceil(np.log10(self.high))) + 1)
        every = [float(f"{digit}e{ten}") for ten in tens for digit in (1, 2, 5)]
        found = [tick for tick in every if self.low <= tick <= self.high]
        if len(found) < 3:
            return Upwards(self.low, self.high).ticks()
        return found if len(found) < 8 else [tick for tick in found if f"{tick:e}"[0] == "1"]


def of_alerts(run: Read, found: Traded, done: Done) -> Section | None:
    """Return the best and worst trades of a run on alerts; None without trades."""
    if not done.call:
        return None
    if run.piece is None:
        return gone()
    step, fills = run.piece.facts.interval_ms, found.fills
    order = np.lexsort((np.array(done.call), -done.ret)).tolist()
    parts: list[Part] = []
    chosen = [("Best", i) for i in order[:EACH]] + [
        ("Worst", i) for i in order[: -EACH - 1 : -1] if i not in order[:EACH]
    ]
    by_call: dict[str, list[Mapping[str, Any]]] = {done.call[i]: [] for _, i in chosen}
    for row in fills.filter(pa.compute.is_in(fills["call_id"], pa.array(list(by_call)))).to_pylist():
        by_call[row["call_id"]].append(row)
    for word, i in chosen:
        bars = run.bars(done.mint[i])
        if bars is None:
            continue
        price = float(done.entry_px[i])
        parts.append(
            chart(
                Example(
                    f"{word}: {bps(float(done.ret[i]))}, {done.reason[i]}",
                    _of(done, i),
                    bars,
                    step,
                    (int(done.entry_ts[i]), price),
                    (int(done.exit_ts[i]), float(done.exit_px[i])),
                    levels_of(found.policy, price),
                    [
                        (row["ts_ms"], row["price"], f"{row['reason']} {row['frac_bps'] / 100:g} %")
                        for row in by_call[done.call[i]]
                    ],
                )
            )
        )
    return Section(
        "examples",
        "Best and worst trades",
        parts,
        "On their candles, found by the slice's digest: ▲ entry, ▼ exits, dotted the levels of the policy.",
    )


def _of(done: Done, i: int) -> str:
    """Return whose trade it is, on what, when and for how long."""
    held = span(float(done.exit_ts[i] - done.entry_ts[i]))
    when = show_instant(int(done.entry_ts[i]))
    return f"{done.caller[i] or '(none)'} · {done.mint[i]} · entered {when}, held {held}"


def gone() -> Section:
    """Return what is said where the candles of a run are gone."""
    return Section(
        "examples",
        "Best and worst trades",
        [
            Words(
                "Their candles are not drawn: no slice has the run's digest; name the folder of slices with --slices.",
                "faint",
            )
        ],
    )


def levels_of(policy: Policy, price: float) -> list[tuple[str, str, float]]:
    """Return the levels of a policy that are known at the entry: (kind, name, price)."""
    found = [("entry", "", price)]
    if policy.sl is not None:
        found.append(("stop", f"SL {policy.sl:.3g}x", policy.sl * price))
    found += [("target", f"TP {rung.mult:.3g}x", rung.mult * price) for rung in policy.tp]
    if policy.be_trigger is not None:
        found.append(("range", f"BE from {policy.be_trigger:.3g}x", policy.be_trigger * price))
    if policy.trail_activate is not None and policy.trail_activate > 1:
        found.append(("range", f"trail from {policy.trail_activate:.3g}x", policy.trail_activate * price))
    return found


def chart(one: Example, height: int = 250) -> Chart:
    """Return a trade on its candles, some before the entry and some after the exit."""
    bars = _around(one)
    if not bars.ts.size:
        return Chart(one.title, one.note, [], [], [], note=f"{one.note}. It has no candle in the slice.")
    step = int(bars.ts[1] - bars.ts[0]) if bars.ts.size > 1 else one.step
    first, last = int(bars.ts[0]), int(bars.ts[-1]) + max(step, one.step)
    prices = [one.entry[1], *(price for _, price, _ in one.fills)]
    low, high = min(float(bars.low.min()), *prices), max(float(bars.high.max()), *prices)
    room = (high - low) or high * 0.01
    shown = [
        (kind, name, price) for kind, name, price in one.levels if low - room * 0.35 <= price <= high + room * 0.35
    ]
    low, high = min([low, *(price for *_, price in shown)]), max([high, *(price for *_, price in shown)])
    ratio, room = (high / low) ** _ROOM, (high - low or room) * _ROOM
    up = Upwards(low - room, high + room) if high < 2.5 * low else Upwards(low / ratio, high * ratio, True)
    ticks = up.ticks()
    lines = Shape("rule", "".join(f"M0 {y:.4g}H{BOX}" for y in up.at(np.array(ticks)).tolist()))
    shapes = [lines, _held(one, first, last), *_candles(bars, first, last, up, step)]
    signs = []
    for kind, name, price in shown:
        y = float(up.at(np.array([price]))[0])
        shapes.append(Shape(f"level {kind}", f"M0 {y:.4g}H{BOX}"))
        near = next((k for k, sign in enumerate(signs) if abs(sign.y + 20 - y) < 60), None)
        if name and near is not None:  # two levels at one height have one tag
            signs[near] = replace(signs[near], text=f"{signs[near].text}, {name}")
        elif name:
            signs.append(Mark(BOX, y - 20, name, "tag"))
    signs += _signs(one, first, last, up)
    label = f"Candles of the trade: {one.title}; {one.note}; entry at {one.entry[1]:.6g}, exit at {one.exit[1]:.6g}"
    xs = shares(bars.ts + step / 2, first, last) * BOX
    ys = up.at(bars.close)
    texts = [
        f"{show_instant(t)}\nopen {o:.6g}  high {h:.6g}\nlow {lo:.6g}  close {c:.6g}"
        for t, o, h, lo, c in zip(
            *(part.tolist() for part in (bars.ts, bars.open, bars.high, bars.low, bars.close)), strict=True
        )
    ]
    data = {
        "mode": "x",
        "span": [first, last],
        "series": [{"name": "", "x": np.round(xs, 1).tolist(), "y": np.round(ys, 1).tolist(), "text": texts}],
    }
    left = [(y / BOX, f"{tick:.4g}") for tick, y in zip(ticks, up.at(np.array(ticks)).tolist(), strict=True)]
    return Chart(
        one.title,
        label,
        [shape for shape in shapes if shape.path],
        left,
        times(first, last),
        height=height,
        marks=signs,
        data=data,
        note=one.note,
    )


def _around(one: Example) -> Candles:
    """Return the candles from before the entry to after the exit, joined where there are too many to draw."""
    held = max(one.exit[0] - one.entry[0], 4 * one.step)
    lo, hi = np.searchsorted(
        one.bars.ts, [one.entry[0] - max(held // 3, 12 * one.step), one.exit[0] + max(held // 2, 20 * one.step)]
    )
    some = of_rows(one.bars, slice(int(lo), int(hi)))
    if some.ts.size <= _MOST:
        return some
    each = -(-((one.exit[0] - one.entry[0]) * 2 // one.step) // _MOST) or 1
    each = max(each, -(-some.ts.size // _MOST))
    starts = np.unique(some.ts // (each * one.step), return_index=True)[1]
    ends = np.append(starts[1:], some.ts.size) - 1
    return Candles(
        some.ts[starts],
        some.open[starts],
        np.maximum.reduceat(some.high, starts),
        np.minimum.reduceat(some.low, starts),
        some.close[ends],
        np.add.reduceat(some.volume, starts),
    )


def _held(one: Example, first: int, last: int) -> Shape:
    a, b = (shares(np.array([one.entry[0], max(one.exit[0], one.entry[0] + one.step)]), first, last) * BOX).tolist()
    return Shape("held", f"M{a:.5g} 0H{b:.5g}V{BOX}H{a:.5g}z")


def _candles(bars: Candles, first: int, last: int, up: Upwards, step: int) -> list[Shape]:
    wide = BOX * step / (last - first) * 0.68
    xs = (shares(bars.ts + step / 2, first, last) * BOX).tolist()
    o, h, lo, c = (up.at(part) for part in (bars.open, bars.high, bars.low, bars.close))
    shapes = []
    for tone, some in (("gain", bars.close >= bars.open), ("loss", bars.close < bars.open)):
        mine = np.flatnonzero(some).tolist()
        wicks = "".join(f"M{xs[i]:.5g} {h[i]:.4g}V{lo[i]:.4g}" for i in mine)
        bodies = "".join(
            f"M{xs[i] - wide / 2:.5g} {min(o[i], c[i]):.4g}h{wide:.4g}v{max(abs(o[i] - c[i]), 3):.4g}h-{wide:.4g}z"
            for i in mine
        )
        shapes += [Shape(f"wick {tone}", wicks), Shape(f"body {tone}", bodies)]
    return shapes


def _signs(one: Example, first: int, last: int, up: Upwards) -> list[Mark]:
    """Return the entry and the exits, each on the side of the candle from which it points at its price."""
    into, out = ("▼", "▲") if one.short else ("▲", "▼")
    found = [(*one.entry, into)] + [(ts, price, out) for ts, price, _ in one.fills]
    signs = []
    for ts, price, sign in found:
        x = float(shares(np.array([ts]), first, last)[0]) * BOX
        y = float(up.at(np.array([price]))[0])
        signs.append(Mark(min(max(x, 0), BOX), y + (26 if sign == "▲" else -26), sign, "sign"))
    return signs
