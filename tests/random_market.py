"""Seeded random trades on a coarse price grid, where touches, ties, gaps through levels and holes are frequent."""

import math
import random

MODES = ("next_open", "next_high", "bar_close", "alert_price")
STOPS, TARGETS = (0.5, 0.75, 0.8, 0.9, 0.95, 0.97), (1.05, 1.1, 1.2, 1.25, 1.5, 2.0, 3.0)
WIDTHS, OFFSETS = (0.05, 0.1, 0.25, 0.5), (0.0, 0.05, -0.1, -0.25)


def random_case(seed):
    """Return one market, alert and exit rule: ``bars``, ``interval_ms``, ``alert``, ``exits``, ``costs``.

    The bars are valid and in order; ``naive.enter(bars, **alert)`` and ``naive.simulate(bars, entry, exits, **costs)``
    take the rest as it is.
    """
    rng = random.Random(seed)
    interval_ms = rng.choice([1000, 15_000, 60_000, 300_000])
    bars = random_bars(rng, interval_ms)
    alert = random_alert(rng, bars, interval_ms)
    exits = random_exits(rng, interval_ms)
    costs = {}
    if rng.random() < 0.5:
        costs = {"fee_bps": rng.choice([0.0, 30.0]), "slippage_bps": rng.choice([0.0, 50.0, 12.5])}
        costs["fixed_bps"] = rng.choice([0.0, 7.0])
    return {"bars": bars, "interval_ms": interval_ms, "alert": alert, "exits": exits, "costs": costs}


def random_bars(rng, interval_ms):
    """Return 1 to 40 valid bars (ts, o, h, l, c, v), their prices small whole numbers of one tick."""
    tick = rng.choice([1.0, 1.0, 0.1, 1e-9, 2.0**-20, 37_000.0])
    ts = rng.choice([0, 0, 17, 1_700_000_000_000 // interval_ms * interval_ms])
    close = rng.choice([8, 10, 16, 20, 40])
    bars = []
    for _ in range(rng.randint(1, 40)):
        open_ = max(1, close + rng.choice([0] * 10 + [-1, 1, -2, 2, -8, 8, 12]))
        close = max(1, open_ + rng.choice([0, 0, 1, -1, 2, -2, 3, -3, 6, -6]))
        high, low = max(open_, close), min(open_, close)
        shape = rng.random()
        if shape < 0.1:
            high = low = close = open_
        elif shape < 0.2:
            high, low = high * rng.choice([1, 2, 3]), max(1, low // rng.choice([1, 2, 3]))
        else:
            high, low = high + rng.choice([0, 0, 1, 2, 4]), max(1, low - rng.choice([0, 0, 1, 2, 4]))
        volume = float(rng.choice([0, 1, 5, 100]))
        bars.append((ts, *(x * tick for x in (open_, high, low, close)), volume))
        hole = rng.choice([0] * 16 + [1, 3, 12]) * interval_ms + rng.choice([0] * 30 + [interval_ms // 3])
        ts += interval_ms + hole
    return bars


def random_alert(rng, bars, interval_ms):
    """Return the arguments of ``naive.enter`` but the bars: an alert near, sometimes outside, the series."""
    begin, end = bars[0][0], bars[-1][0] + interval_ms
    at = rng.choice([bars[0], bars[0], rng.choice(bars)])
    moment = at[0] + rng.choice([0, 0, 0, 1, -1, interval_ms // 2, -interval_ms])
    if rng.random() < 0.06:
        moment = rng.choice([begin - 11 * interval_ms, begin - 10 * interval_ms, end - 1, end, end + interval_ms])
    price = rng.choice([at[1], at[4], at[3], at[2], at[4] * 1.5, at[3] / 2, at[4] * 150, 0.0, float("nan"), None])
    return {
        "alert_ts": moment,
        "mode": rng.choice(MODES),
        "alert_price": price,
        "latency_ms": rng.choice([0, 0, 0, 1, interval_ms, interval_ms // 4]),
        "horizon_ms": rng.choice([1, 5, 20, 60, 60]) * interval_ms - rng.choice([0, 0, 0, 1, interval_ms // 2]),
        "interval_ms": interval_ms,
        "max_entry_delay_ms": rng.choice([None, None, None, None, 0, 3 * interval_ms]),
        "coverage_end_ms": rng.choice([None, None, end, end + rng.randint(1, 80) * interval_ms]),
    }


def random_exits(rng, interval_ms):
    """Return an exit rule of 0 to 3 rungs with any of the stops; multiples that the price grid meets exactly."""
    exits = {}
    if rng.random() < 0.5:
        exits["sl"] = rng.choice([0.5, 0.75, 0.8, 0.9, 0.97])
    multiples = sorted(rng.sample([1.05, 1.1, 1.2, 1.25, 1.5, 2.0, 3.0], rng.choice([0, 1, 1, 2, 3])))
    if len(multiples) == 1 and rng.random() < 0.5:
        exits["tp"] = [{"mult": multiples[0]}]
    elif multiples:
        total = rng.choice([10_000, 10_000, 9_000, 3_333])
        cuts = sorted(rng.sample(range(1, total), len(multiples) - 1))
        parts = [high - low for low, high in zip([0, *cuts], [*cuts, total], strict=True)]
        exits["tp"] = [{"mult": m, "frac_bps": bps} for m, bps in zip(multiples, parts, strict=True)]
    if rng.random() < 0.4:
        exits["trail"] = {"pct": rng.choice([0.05, 0.1, 0.25, 0.5])}
        if rng.random() < 0.6:
            exits["trail"]["activate"] = rng.choice([1.0, 1.1, 1.25, 1.5, 2.0])
    if rng.random() < 0.4:
        trigger = rng.choice([1.1, 1.2, 1.5, 2.0])
        exits["breakeven"] = {
            "trigger": trigger,
            "offset": rng.choice([0.0, 0.0, 0.05, -0.1, -0.25, trigger / 2 - 0.5]),
        }
    if rng.random() < 0.3:
        exits["time_ms"] = rng.choice([1, 2, 5, 12]) * interval_ms - rng.choice([0, 0, 1])
    if rng.random() < 0.5:
        exits["tp_gap_fill"] = rng.choice(["open", "level"])
    return exits


def tied_bars(rng, price, fresh, step):
    """Return 1 to 40 valid bars whose prices are levels of a trade entered at ``price``, or the floats beside them."""
    ladder = [price, *(price * m for m in STOPS + TARGETS), *(price * (1.0 + offset) for offset in OFFSETS)]
    ladder += [price * m * (1.0 - width) for m in (1.0, *TARGETS) for width in WIDTHS]
    ladder = sorted({math.nextafter(x, rng.choice([0.0, x, x, x, math.inf])) for x in ladder})
    last, still, ts, bars = len(ladder) - 1, rng.random() < 0.05, 0, []
    close = ladder.index(price) if price in ladder else last // 2
    for i in range(rng.choice([1, 2, 3, 5, 10, 20, 40])):
        if still:
            bars.append((ts, price, price, price, price, 1.0))
        else:
            near, width = [min(last, max(0, close + rng.choice([0] * 6 + [-1, 1, -9, 9])))], rng.choice([3, 6, 25])
            near += [min(last, max(0, near[0] + rng.randint(-width, width))) for _ in range(rng.choice([0, 1, 1, 3]))]
            close = rng.choice(near)
            o, h, l = price if fresh and i == 0 else ladder[near[0]], ladder[max(near)], ladder[min(near)]
            bars.append((ts, o, max(o, h), min(o, l), ladder[close], 1.0))
        ts += step * rng.choice([1] * 9 + [2, 7])
    return bars


def saw_bars(rng, price, step):
    """Return 5 to 60 valid bars whose lows fall back from ever new highs by about 5 or 10 %."""
    width, peak, open_, ts, bars = rng.choice(WIDTHS[:2]), price, price, 0, []
    keep = 1.0 - width
    for _ in range(rng.randint(5, 60)):
        known = max(peak, open_)
        high = known * (1.0 + rng.choice([0.0, 0.2, 0.5, 1.0, 1.0]) * width * rng.random())
        low = rng.choice([known * keep, 0.5 * price]) if rng.random() < 0.03 else None
        low = low or keep * (known + (high - known) * rng.random())
        close = max(low, min(high, high * keep * (1.0 + width * rng.random() ** 2)))
        bars.append((ts, open_, high, min(open_, low), close, 1.0))
        open_ = close * (1.0 + rng.choice([0.0] * 12 + [0.5, -0.1, -0.5]) * width)
        peak = high
        ts += step * rng.choice([1] * 15 + [3])
    return bars


def exits_like(kind, rng, step):
    """Return an exit rule of at most one target: ``kind`` fixed, trail, late, breakeven, both or none of the stops."""

    def some(values, low, high):
        return rng.choice(values) if rng.random() < 0.7 else round(rng.uniform(low, high), 2)

    exits = {}
    if rng.random() < 0.6:
        exits["sl"] = some(STOPS, 0.3, 0.99)
    if rng.random() < 0.6:
        exits["tp"] = [{"mult": some(TARGETS, 1.01, 3.0)}]
    if rng.random() < 0.3 or kind == "none":
        exits["time_ms"] = rng.choice([1, 2, 3, 5, 12, 30, 200]) * step - rng.choice([0, 0, 1])
    if kind in ("trail", "late", "both"):
        exits["trail"] = {"pct": some(WIDTHS, 0.02, 0.6)}
        if kind == "late" or (kind == "both" and rng.random() < 0.5):
            exits["trail"]["activate"] = some(TARGETS, 1.01, 2.5)
    if kind in ("breakeven", "both"):
        trigger = some(TARGETS, 1.02, 2.5)
        exits["breakeven"] = {"trigger": trigger, "offset": rng.choice([*OFFSETS, (trigger - 1) / 2])}
    return exits
