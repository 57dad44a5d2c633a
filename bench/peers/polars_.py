"""polars: lazy frames, window expressions, and an as-of join of levels with the record prices."""

import numpy as np
import polars as pl
from highwater.bench.market import STEP, Market

OPEN, HIGH, LOW, PRICE = (pl.col(name) for name in ("open", "high", "low", "price"))


def load(market: Market):
    """Return the candles as a long frame, and the entry price and the last close of each alert."""
    bars, windows = market.candles, market.windows
    length = windows.last - windows.first
    alert = np.repeat(np.arange(length.size), length)
    columns = {"open": bars.open, "high": bars.high, "low": bars.low, "close": bars.close}
    bar = np.arange(alert.size) - np.repeat(windows.first, length)
    frame = pl.DataFrame({"alert": alert, "bar": bar, "price": windows.price[alert], **columns})
    entries = {"alert": np.arange(length.size), "price": windows.price, "last": length - 1}
    return frame, pl.DataFrame({**entries, "end": bars.close[windows.last - 1]})


def paths(data):
    peak = pl.max_horizontal(HIGH.cum_max().over("alert"), PRICE)
    touch = (HIGH >= 2.0 * PRICE).arg_max()
    to_2x = STEP * (touch + (OPEN.get(touch) < 2.0 * PRICE.first()).cast(pl.Int64))
    found = (
        data[0]
        .lazy()
        .with_columns(fall=LOW / peak)
        .group_by("alert")
        .agg(
            top=pl.max_horizontal(HIGH.max(), PRICE.first()) / PRICE.first(),
            worst=pl.col("fall").min() - 1.0,
            to_2x=pl.when(HIGH.max() >= 2.0 * PRICE.first()).then(to_2x).otherwise(-1),
        )
        .sort("alert")
        .collect()
    )
    return tuple(found[name].to_numpy() for name in ("top", "worst", "to_2x"))


def policy(data, sl, tp):
    frame, entries = data
    touched = frame.lazy().filter((LOW <= PRICE * sl) | (HIGH >= PRICE * tp)).group_by("alert")
    first = touched.agg(pl.col("bar", "open", "low").sort_by("bar").first())
    price = (
        pl.when(pl.col("bar").is_null())
        .then(pl.col("end"))
        .when(OPEN <= PRICE * sl)
        .then(OPEN)
        .when((OPEN < PRICE * tp) & (LOW <= PRICE * sl))
        .then(PRICE * sl)
        .otherwise(PRICE * tp)
    )
    found = entries.lazy().join(first, on="alert", how="left").sort("alert")
    done = found.select(bar=pl.col("bar").fill_null(pl.col("last")), price=price).collect()
    return done["bar"].to_numpy(), done["price"].to_numpy()


def sweep(data, sl, tp):
    frame, entries = data
    stops = _touches(frame, entries, -LOW, -OPEN, -np.unique(sl)).rename({"multiple": "sl"})
    targets = _touches(frame, entries, HIGH, OPEN, np.unique(tp)).rename({"multiple": "tp"})
    trials = pl.LazyFrame({"sl": -sl, "tp": tp, "trial": np.arange(sl.size)})
    pairs = trials.join(stops, on="sl").join(targets, on=["tp", "alert"], suffix="_target")
    pairs = pairs.join(entries.lazy(), on="alert")
    never = 2**62
    at, at_target = pl.col("at").fill_null(never), pl.col("at_target").fill_null(never)
    ends, stopped = pl.min_horizontal(at, at_target) == never, at <= at_target
    price = pl.when(ends).then(pl.col("end")).when(stopped).then(-pl.col("fill")).otherwise(pl.col("level_target"))
    means = pairs.group_by("trial").agg(mean=(price / PRICE - 1.0).mean()).sort("trial").collect()
    return means["mean"].to_numpy()


def _touches(frame, entries, extreme, open_, multiples):
    """Return a row for each alert and multiple: when its level is touched (null: never), its level, and the fill."""
    named = frame.lazy().select("alert", "bar", extreme=extreme, open=open_)
    before = pl.col("extreme").cum_max().shift().over("alert")
    records = named.filter((pl.col("extreme") > before) | before.is_null()).sort("extreme")
    levels = entries.lazy().join(pl.LazyFrame({"multiple": multiples}), how="cross")
    levels = levels.select("alert", "multiple", level=PRICE * pl.col("multiple")).sort("level")
    found = levels.join_asof(
        records, left_on="level", right_on="extreme", by="alert", strategy="forward", check_sortedness=False
    )
    beyond = OPEN >= pl.col("level")
    fill = pl.when(beyond).then(OPEN).otherwise(pl.col("level"))
    return found.select("alert", "multiple", "level", at=2 * pl.col("bar") + (~beyond).cast(pl.Int64), fill=fill)
