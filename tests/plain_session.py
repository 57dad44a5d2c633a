"""Opening ranges, their validity and the factors of OR-1 from their definitions, in plain Python (SESSIONS 1 to 3).

A bar is a tuple (ts, o, h, l, c, v); ``days`` is a list of (open ms, close ms, its bars), oldest first. NaN: not known.
"""

import math

import plain_indicators as plain

NAN, MINUTE = math.nan, 60_000


def sessions_of(bars, opens, closes):
    return [
        (begin, end, [bar for bar in bars if begin <= bar[0] < end]) for begin, end in zip(opens, closes, strict=True)
    ]


def ranged(candles):
    """Return the true ranges of (h, l, c) of one session: that of its first is high - low."""
    before = [NAN, *(c for _, _, c in candles[:-1])][: len(candles)]
    return [h - l if p != p else max(h, p) - min(l, p) for (h, l, _), p in zip(candles, before, strict=True)]


def coarse(day, length):
    """Return (h, l, c) of a session's bars put together to candles of ``length`` ms, counted from its open."""
    begin, _, bars = day
    slots = {}
    for bar in bars:
        slots.setdefault((bar[0] - begin) // length, []).append(bar)
    return [(max(b[2] for b in own), min(b[3] for b in own), own[-1][4]) for _, own in sorted(slots.items())]


def norm_vol(days, length, n, scaled):
    """Return what is known before each session."""
    inside, daily, known, out = [], [], NAN, []
    for day in days:
        out.append(known)
        if day[2]:
            inside += ranged(coarse(day, length))
            daily.append((max(b[2] for b in day[2]), min(b[3] for b in day[2]), day[2][-1][4]))
            within = plain.rma(inside, n)[-1]
            whole = plain.atr(*map(list, zip(*daily, strict=True)), n)[-1]
            if scaled:
                within *= math.sqrt((day[1] - day[0]) / length)
            known = within / whole if within == within and whole == whole else known
    return out


def minutes_of(norm, orb):
    if not orb.adaptive or norm != norm:
        return orb.base_minutes
    short, long = norm < orb.low_norm_vol, norm > orb.high_norm_vol
    return orb.short_or_minutes if short else orb.long_or_minutes if long else orb.base_minutes


def ranges(days, step, config):
    """Return a dict a session: minutes, start (bars in the range), high, low, unit, verdict."""
    orb, out, reach, whole = config.orb, [], [], []
    norms = norm_vol(days, 5 * MINUTE, orb.atr_period, orb.norm_vol == "scaled")
    for day, norm in zip(days, norms, strict=True):
        begin, _, bars = day
        m = minutes_of(norm, orb)
        held = [bar for bar in bars if bar[0] < begin + m * MINUTE]
        found = {"minutes": m, "norm": norm, "start": len(held), "high": NAN, "low": NAN, "unit": NAN}
        if held:
            found |= {"high": max(bar[2] for bar in held), "low": min(bar[3] for bar in held)}
            line = plain.rma(reach + ranged([bar[2:5] for bar in held]), orb.atr_period)
            found["unit"] = line[-1] * math.sqrt(m * MINUTE / step)
        if orb.validity_atr == "daily":
            found["unit"] = plain.atr(*map(list, zip(*whole, strict=True)), orb.atr_period)[-1] if whole else NAN
        found["verdict"] = verdict(bars, held, found, config)
        reach += ranged([bar[2:5] for bar in bars])
        if bars:
            whole.append((max(b[2] for b in bars), min(b[3] for b in bars), bars[-1][4]))
        out.append(found)
    return out


def verdict(bars, held, found, config):
    if not bars or not held:
        return "no_bars" if bars else "no_data"
    unit, width, orb = found["unit"], found["high"] - found["low"], config.orb
    asked = orb.enable_validity_filter or config.buffers.use_atr or config.trade.stop_mode == "atr_capped"
    if unit != unit:
        return "insufficient_data" if asked else "ok"
    if orb.enable_validity_filter and width < orb.min_atr_mult * unit:
        return "too_narrow"
    return "too_wide" if orb.enable_validity_filter and width > orb.max_atr_mult * unit else "ok"


def factors(days, found, config):
    """Return {name: [(long, short) a bar]} of every factor, enabled or not."""
    how, bars = config.factors, [bar for day in days for bar in day[2]]
    _, _, h, l, c, v = map(list, zip(*bars, strict=True))
    ratio = plain.volume_ratio(v, how.rel_volume.lookback)
    if how.rel_volume.by_time_of_day:
        ratio = by_time_of_day(days, how.rel_volume.lookback)
    strength = plain.directional(h, l, c, how.adx.period)[2]
    out = {"rel_volume": [(x >= how.rel_volume.spike_mult,) * 2 for x in ratio]}
    out["price_action"] = [action(bars, i, how.price_action) for i in range(len(bars))]
    out["profile_proxy"], out["vwap"] = [], []
    before = None
    for day, own in zip(days, found, strict=True):
        for i, bar in enumerate(day[2]):
            out["profile_proxy"].append(profile(bar[4], before, own if i >= own["start"] else None, how.profile_proxy))
            begin = 0 if how.vwap.reset_mode == "session" else own["start"]
            out["vwap"].append(beside(day[2][begin : i + 1]))
        before = (max(b[2] for b in day[2]), min(b[3] for b in day[2])) if day[2] else None
    out["adx"] = [(x >= how.adx.threshold,) * 2 for x in strength]
    return out


def by_time_of_day(days, n):
    """Return the volume of each bar over the mean of the last ``n`` earlier days' at the same time after the open."""
    seen, out = {}, []
    for begin, _, bars in days:
        for bar in bars:
            before = seen.get((bar[0] - begin) // MINUTE, [])[-n:]
            usual = sum(before) / n if len(before) == n else NAN
            out.append(bar[5] / usual if usual else (math.inf if bar[5] else NAN))
        for bar in bars:
            seen.setdefault((bar[0] - begin) // MINUTE, []).append(bar[5])
    return out


def action(bars, i, how):
    up = down = False
    _, o, h, l, c, _ = bars[i]
    if i and how.enable_engulfing:
        _, _, h0, l0, c0, _ = bars[i - 1]
        up, down = c > h0 and o <= c0, c < l0 and o >= c0
    if i >= how.pivot_len and how.enable_structure:
        highs, lows = ([bar[k] for bar in bars[i - how.pivot_len : i]] for k in (2, 3))
        up, down = up or (h > max(highs) and l > min(lows)), down or (l < min(lows) and h < max(highs))
    return up, down


def profile(close, before, own, how):
    if before is None:
        return False, False
    high, low = before
    val, vah, mid = (low + share * (high - low) for share in (how.val_pct, how.vah_pct, 0.5))
    up, down = close > vah, close < val
    if own:
        up, down = up or (own["high"] > vah and close > mid), down or (own["low"] < val and close < mid)
    return up, down


def beside(bars):
    """Return whether the last close is above, or below, the VWAP of ``bars``."""
    volume = sum(bar[5] for bar in bars)
    if not volume:
        return False, False
    line = sum((h + l + c) / 3 * v for _, _, h, l, c, v in bars) / volume
    return bars[-1][4] > line, bars[-1][4] < line


def scores(flags, config):
    """Return [(long, short, required)] of every bar."""
    enabled = [name for name in flags if getattr(config.factors, name).enabled]
    out = []
    for each in zip(*(flags[name] for name in enabled), strict=True):
        weights = [config.scoring.weights.of(name) for name in enabled]
        long, short = (sum(w * flag[k] for w, flag in zip(weights, each, strict=True)) for k in (0, 1))
        weak = "adx" in enabled and not each[enabled.index("adx")][0]
        out.append((long, short, config.scoring.weak_trend_required if weak else config.scoring.base_required))
    return out
