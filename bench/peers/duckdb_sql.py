"""DuckDB SQL: window functions, and an ASOF join of levels with the record prices."""

import duckdb
import numpy as np
import pyarrow as pa
from highwater.bench.market import STEP, Market

PATHS = f"""
with peaks as (
    select *, greatest(price, max(high) over (partition by alert order by bar)) as peak from candles
)
select
    max(peak) / any_value(price) as top,
    min(low / peak) - 1 as worst,
    coalesce(min(case when high >= 2 * price then {STEP} * (bar + (open < 2 * price)::bigint) end), -1) as to_2x
from peaks group by alert order by alert
"""

POLICY = """
with touched as (
    select alert, min(bar) as bar, arg_min(open, bar) as open, arg_min(low, bar) as low
    from candles where low <= price * $sl or high >= price * $tp group by alert
)
select coalesce(bar, last) as bar, case
    when bar is null then end_close
    when open <= price * $sl then open
    when open < price * $tp and low <= price * $sl then price * $sl
    else price * $tp end as price
from entries left join touched using (alert) order by alert
"""

SWEEP = """
with highs as (
    select alert, bar, open, high from candles
    window before as (partition by alert order by bar rows between unbounded preceding and 1 preceding)
    qualify high > coalesce(max(high) over before, 0)
), lows as (
    select alert, bar, open, low from candles
    window before as (partition by alert order by bar rows between unbounded preceding and 1 preceding)
    qualify low < coalesce(min(low) over before, 'infinity')
), targets as (
    select l.alert, tp, level, 2 * bar + (open < level)::bigint as at
    from (select alert, tp, price * tp as level from entries, (select distinct tp from trials)) l
    asof left join highs h on l.alert = h.alert and l.level <= h.high
), stops as (
    select l.alert, sl, least(level, open) as fill, 2 * bar + (open > level)::bigint as at
    from (select alert, sl, price * sl as level from entries, (select distinct sl from trials)) l
    asof left join lows h on l.alert = h.alert and l.level >= h.low
)
select avg(case
    when s.at is null and t.at is null then end_close
    when t.at is null or s.at <= t.at then fill
    else level end / price - 1) as mean
from trials join stops s using (sl) join targets t using (tp, alert) join entries using (alert)
group by trial order by trial
"""


def load(market: Market):
    """Return a connection to a database in memory that holds the candles and the entries."""
    bars, windows = market.candles, market.windows
    length = windows.last - windows.first
    alert = np.repeat(np.arange(length.size), length)
    columns = {"open": bars.open, "high": bars.high, "low": bars.low, "close": bars.close}
    bar = np.arange(alert.size) - np.repeat(windows.first, length)
    entries = {"alert": np.arange(length.size), "price": windows.price, "last": length - 1}
    database = duckdb.connect()
    for name, table in (
        ("candles", {"alert": alert, "bar": bar, "price": windows.price[alert], **columns}),
        ("entries", {**entries, "end_close": bars.close[windows.last - 1]}),
    ):
        database.register("given", pa.table(table))
        database.execute(f"create table {name} as from given")
        database.unregister("given")
    return database


def paths(database):
    return tuple(database.execute(PATHS).fetchnumpy().values())


def policy(database, sl, tp):
    return tuple(database.execute(POLICY, {"sl": sl, "tp": tp}).fetchnumpy().values())


def sweep(database, sl, tp):
    database.register("trials", pa.table({"trial": np.arange(sl.size), "sl": sl, "tp": tp}))
    return database.execute(SWEEP).fetchnumpy()["mean"]
