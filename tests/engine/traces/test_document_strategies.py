import itertools

import numpy as np
import pytest
from document_strategies import COMPOSITE, ENSEMBLE, STEP, market
from highwater.engine.lookahead import first_leak
from highwater.engine.traces.features import Features
from highwater.engine.traces.grammar import parse_strategy
from highwater.engine.traces.registry import RULES
from highwater.engine.traces.votes import signal_of
from highwater.kernels.signals import NONE
from shared_market import candle_set, needs_data, series_of

STRATEGIES = {
    "ensemble": ENSEMBLE,
    "composite": COMPOSITE,
    "intraday": {"bollinger_bands": {"period": 20, "std_dev": 2.0}, "constraints": "intraday"},
    "held": ENSEMBLE | {"on_reject": "hold"},
    "conditions": {
        "combination": "majority",
        "strategies": [
            {"ma_crossover": {"fast": 3, "slow": 9}, "condition": "volatility_regime() != 'high'"},
            {"momentum": {"period": 5}, "condition": "rsi(7, '15m') > 50"},
            {"rsi_bands": {"period": 7}},
        ],
        "threshold": {"long": "close > ema(close, 8, '30m')", "short": "trend_strength(10) > 0.1"},
        "on_reject": "hold",
    },
    "functions": {
        "strategy": ["momentum", "rsi_bands"],
        "threshold": "0.5 AND (relative_volume(20) > 1 OR atr_percentile(14, 50) > 20) AND abs(vwap_distance()) > 0"
        " AND close ** 2 / (close - 3) > 0 AND sma(close - open, 5) != 0 AND bar_of_day > 3 AND NOT is_friday()",
    },
}


def waves(bars):
    """Return candles that run up and down by turns, of 78 candles a day."""
    rng = np.random.default_rng(5)
    close = np.round(100 + 8 * np.sin(np.arange(bars) / 25) + np.cumsum(rng.normal(0, 0.3, bars)), 2)
    open_ = np.r_[close[0], close[:-1]]
    high, low = np.maximum(open_, close) + 0.05, np.minimum(open_, close) - 0.05
    return market(bars)._replace(open=open_, high=high, low=low, close=close)


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_strategy_knows_the_future(name):
    strategy, bars = parse_strategy(STRATEGIES[name]), waves(400)

    def asked(bars):
        return signal_of(strategy, Features(bars, STEP))[0]

    assert None is first_leak(asked, bars, cuts=24)
    assert {1, 0} <= set(asked(bars).tolist())


def test_a_strategy_that_knew_the_future_would_be_found():
    strategy = parse_strategy({"momentum": {}, "threshold": "volume > 2"})

    def asked(bars):
        late = bars._replace(volume=np.r_[bars.volume[1:], 0.0])
        return signal_of(strategy, Features(late, STEP))[0]

    assert None is not first_leak(asked, market(100), cuts=24)


@pytest.fixture(scope="module")
def spy():
    found = candle_set("spy_5m_2024")
    return Features(series_of(found, found.tokens[0]), found.interval_ms)


def rolling(x, n):
    means = np.convolve(x, np.ones(n), "valid") / n
    return np.r_[np.full(n - 1, np.nan), means]


class TestSpy:
    pytestmark = needs_data

    def test_the_ensemble_of_the_document_clause_by_clause(self, spy):
        found, report = signal_of(parse_strategy(ENSEMBLE), spy)
        close, volume, n = spy.bars.close, spy.bars.volume, spy.bars.ts.size
        fast, slow = rolling(close, 15), rolling(close, 50)
        middle = rolling(close, 20)
        spread = np.r_[np.full(19, np.nan), np.lib.stride_tricks.sliding_window_view(close, 20).std(axis=1)]
        sma = np.where(np.isnan(slow), np.nan, np.sign(np.round(fast - slow, 9)))
        bands = np.where(close <= middle - 2 * spread, 1.0, np.where(close >= middle + 2 * spread, -1.0, 0.0))
        bands = np.where(np.isnan(middle), np.nan, bands)
        weight = 0.4 * ~np.isnan(sma) + 0.6 * ~np.isnan(bands)
        vote = (0.4 * np.nan_to_num(sma) + 0.6 * np.nan_to_num(bands)) / np.where(weight, weight, np.nan)
        local = spy["minute_of_day"]
        counts = [np.count_nonzero(np.nan_to_num(vote))]
        passing = np.abs(np.nan_to_num(vote)) >= 0.5 - 1e-12
        counts.append(passing.sum())
        with np.errstate(invalid="ignore"):
            passing &= volume > rolling(volume, 20)
        counts.append(passing.sum())
        passing &= (local >= 570) & (local < 960)
        counts.append(passing.sum())

        assert [*itertools.pairwise(counts)] == [(each.before, each.after) for each in report.clauses]
        expected = np.where(np.isnan(vote), NONE, np.sign(np.nan_to_num(vote)) * passing)
        assert expected.tolist() == found.tolist()
        assert n == report.bars
        assert counts == sorted(set(counts), reverse=True)  # each clause takes some, none takes all

    def test_the_composite_of_the_document_clause_by_clause(self, spy):
        found, report = signal_of(parse_strategy(COMPOSITE), spy)
        adx = spy["directional.adx", 14]

        def group(members, least, open_):
            signals = [np.where(s == NONE, np.nan, s) for s in members]
            there = [~np.isnan(s) for s in signals]
            weight = sum(w * t for w, t in zip(least[1], there, strict=True))
            total = sum(w * np.nan_to_num(s) for w, s in zip(least[1], signals, strict=True))
            vote = total / np.where(weight, weight, np.nan)
            wants = np.nan_to_num(vote) != 0
            met = wants & (np.abs(np.nan_to_num(vote)) >= least[0] - 1e-12)
            passing = met & open_
            counts = [(wants.sum(), met.sum())] + ([] if open_ is True else [(met.sum(), passing.sum())])
            return np.where(np.isnan(vote), NONE, np.sign(np.nan_to_num(vote)) * passing), counts

        def rule(name, **values):
            given = {each.name: each.default for each in RULES[name].parameters} | values
            return RULES[name].signal(spy, given)

        with np.errstate(invalid="ignore"):
            trend, one = group(
                [rule("ma_crossover", fast_period=10, slow_period=30), rule("momentum", period=14)],
                (0.3, (0.5, 0.5)),
                adx > 25,
            )
            range_, two = group([rule("bollinger_bands"), rule("rsi_bands")], (0.5, (0.6, 0.4)), adx < 20)
            whole, top = group([trend, range_], (0.5, (0.6, 0.4)), True)

        assert whole.tolist() == found.tolist()
        assert sorted(one + two + top) == sorted((each.before, each.after) for each in report.clauses)
        assert all(0 < after for _, after in one + two + top)
        assert all(after < before for before, after in one[1:] + two)

    def test_a_threshold_that_moves_takes_another_number_of_signals(self, spy):
        """As it did not in the system these come from, where 1.1 and 0.8 left the same 726."""
        left = []
        for times in (0.8, 1.1, 1.5):
            config = {"rsi_bands": {}, "threshold": f"volume > {times} * sma(volume, 20)"}
            left.append(signal_of(parse_strategy(config), spy)[1].clauses[0].after)

        assert left == sorted(set(left), reverse=True)
