"""pandas: one long frame, cumulative extremes by group, and an as-of merge of levels with the record prices."""

import numpy as np
import pandas as pd
from highwater.bench.market import STEP, Market


def load(market: Market):
    """Return the candles as a long frame, and the entry price and the last close of each alert."""
    bars, windows = market.candles, market.windows
    length = windows.last - windows.first
    columns = {"open": bars.open, "high": bars.high, "low": bars.low, "close": bars.close}
    alert = np.repeat(np.arange(length.size), length)
    entries = pd.DataFrame({"price": windows.price, "n": length, "end": bars.close[windows.last - 1]})
    frame = pd.DataFrame({"alert": alert, "bar": np.arange(alert.size) - np.repeat(windows.first, length), **columns})
    return frame.assign(price=windows.price[alert]), entries


def paths(data):
    frame, entries = data
    peak = frame.groupby("alert").high.cummax().clip(lower=frame.price)
    worst = (frame.low / peak).groupby(frame.alert).min()
    touches = frame[frame.high >= 2.0 * frame.price].groupby("alert").first()
    later = touches.open < 2.0 * touches.price
    to_2x = (STEP * (touches.bar + later)).reindex(entries.index, fill_value=-1)
    top = peak.groupby(frame.alert).last() / entries.price
    return top.to_numpy(), worst.to_numpy() - 1.0, to_2x.to_numpy()


def policy(data, sl, tp):
    frame, entries = data
    hit = frame[(frame.low <= frame.price * sl) | (frame.high >= frame.price * tp)].groupby("alert").first()
    hit = hit.reindex(entries.index)
    stop, target = entries.price * sl, entries.price * tp
    cases = [hit.open <= stop, hit.open >= target, hit.low <= stop, hit.high >= target]
    price = np.select(cases, [hit.open, target, stop, target], entries.end)
    return hit.bar.fillna(entries.n - 1).to_numpy(np.int64), price


def sweep(data, sl, tp):
    frame, entries = data
    stops = _touches(-frame.low, -frame.open, frame, entries.price, -np.unique(sl))
    targets = _touches(frame.high, frame.open, frame, entries.price, np.unique(tp))
    trials = pd.DataFrame({"sl": -sl, "tp": tp, "trial": np.arange(sl.size)})
    pairs = trials.merge(stops.rename(columns={"multiple": "sl"}), on="sl")
    pairs = pairs.merge(targets.rename(columns={"multiple": "tp"}), on=["tp", "alert"], suffixes=("", "_target"))
    pairs = pairs.merge(entries, left_on="alert", right_index=True)
    ends = pairs["at"].isna() & pairs["at_target"].isna()
    stopped = pairs["at"].fillna(np.inf) <= pairs["at_target"].fillna(np.inf)
    price = np.select([ends, stopped], [pairs["end"], -pairs["fill"]], pairs["level_target"])
    return (price / pairs.price - 1.0).groupby(pairs.trial).mean().to_numpy()


def _touches(extreme, open_, frame, price, multiples):
    """Return a row for each alert and multiple: when its level is touched (NaN: never), its level, and the fill."""
    records = pd.DataFrame({"alert": frame.alert, "bar": frame.bar, "extreme": extreme, "open": open_})
    records = records[extreme > extreme.groupby(frame.alert).cummax().groupby(frame.alert).shift(fill_value=-np.inf)]
    levels = price.rename_axis("alert").reset_index().merge(pd.DataFrame({"multiple": multiples}), how="cross")
    levels["level"] = levels.price * levels.multiple
    found = pd.merge_asof(
        levels.sort_values("level"),
        records.sort_values("extreme"),
        left_on="level",
        right_on="extreme",
        by="alert",
        direction="forward",
    )
    beyond = found.open >= found.level
    found["at"] = 2 * found.bar + ~beyond
    found["fill"] = found.level.where(~beyond, found.open)
    return found[["alert", "multiple", "at", "level", "fill"]]
