"""A made-up market of forty days for tests of what is told from days of entry, and a space of exits to search there."""

from highwater.engine.recipe import prepare
from highwater.engine.settings import Sources, Store, Trading
from highwater.engine.space import Space
from highwater.engine.values import Range
from highwater.io.sources.synthetic import make_market
from small_market import HORIZON, Market, write

SPACE = Space({"tp": Range(1.1, 5.0, None, True), "sl": Range(0.3, 0.95), "trail": Range(0.1, 0.6)})


def written(folder):
    """Return the market of ``folder``, written where it is not there."""
    market = Market(folder / "candles.parquet", folder / "alerts.parquet")
    if not market.alerts.exists():
        candles, alerts = make_market(seed=40, tokens=40, callers=5, days=40, interval_ms=3_600_000)
        write(folder, candles, alerts)
    return market


def prepared(folder, **trading):
    """Return the market of ``folder`` (written where it is not there) as the engine prepares it."""
    market = written(folder)
    sources = Sources(alerts=market.alerts, candles=market.candles)
    return prepare(sources, Trading(**({"horizon": HORIZON} | trading)), Store(runs=folder / "runs"))
