"""How fast is it on real alerts, with the gaps and the dead tokens that made-up candles lack?

Pump calls of Telegram groups on Binance, by the minute and by 15 seconds, and launches of pump.fun tokens by the hour,
at their own size; prepared as for every run, so what is measured reads a mapped slice. Windows of a token called
again overlap. All of it lies in the cache of a processor.
"""

from pathlib import Path

import numpy as np
import pytest
from highwater.bench import questions
from highwater.bench.market import Market
from highwater.bench.questions import PAID
from highwater.engine.recipe import prepare
from highwater.engine.settings import Sources, Store, Trading
from highwater.kernels import column, fits_all, measure_all

DATA, HOUR = Path(__file__).parents[2] / "shared" / "data", 3_600_000
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="real alerts: the market data are not beside this checkout"),
]
# Alerts, candles and the horizon, which for 15 seconds is all that there is of each call.
MARKETS = {
    "pump calls 1m": ("pump_calls_with_candles", "pump_events_binance_1m", 48 * HOUR),
    "pump calls 15s": ("pump_calls_with_candles", "pump_events_binance_15s", 2 * HOUR),
    "launches 1h": ("pumpfun_launches_with_candles", "pumpfun_tokens_usd_1h_2026jul", 120 * HOUR),
}


@pytest.fixture(scope="module", params=MARKETS)
def real(request, tmp_path_factory) -> Market:
    """Return the alerts that came to a trade."""
    alerts, candles, horizon = MARKETS[request.param]
    sources = Sources(alerts=DATA / "alerts" / f"{alerts}.parquet", candles=DATA / "candles" / f"{candles}.parquet")
    store = Store(runs=tmp_path_factory.mktemp("runs"), quiet=True)
    made = prepare(sources, Trading(horizon=horizon), store)
    return only(Market(made.slice.candles, made.asked, made.windows, made.step), made.ok)


def only(market: Market, kept: np.ndarray) -> Market:
    """Return the alerts that are ``kept``, bool[A]."""
    alerts, windows = (type(own)(*(column(part[kept], part.dtype) for part in own)) for own in market[1:3])
    return market._replace(alerts=alerts, windows=windows)


@pytest.fixture
def tabled(real) -> tuple[Market, str]:
    """Return the alerts that tables take, and a note that counts the others: those that rise 3,221 fold are walked."""
    fits = fits_all(real.candles, real.windows, real.step, PAID)
    others = f", {np.sum(~fits)} beyond tables left out" if not fits.all() else ""
    return only(real, fits), size(only(real, fits)) + others


@pytest.fixture
def bench(bench):
    """Return the bench of a question of one market, its name the end of the question."""
    bench.question = bench.question.replace("[", ", ").removesuffix("]")
    return bench


def size(real: Market) -> str:
    """Return how many alerts and candles there are, how many are missing, and how many end without their last one."""
    paths, _ = measure_all(real.candles, real.windows, real.alerts, real.step, column([2.0]))
    lived = paths["n_bars"]
    missing, quiet = 1 - lived.sum() / np.sum(lived / paths["coverage"]), paths["stale"].sum()
    return f"; {lived.size} alerts, {lived.sum():,} candles, {missing:.0%} missing, {quiet} end quiet"


def test_path_metrics(bench, real):
    questions.path_metrics(bench, real, 1, size(real))


def test_index(bench, real):
    questions.index(bench, real, 1, size(real))


def test_search_of_a_million(bench, tabled):
    questions.search_of_a_million(bench, *tabled)


def test_surface_of_a_million(bench, tabled):
    questions.surface_of_a_million(bench, *tabled)
