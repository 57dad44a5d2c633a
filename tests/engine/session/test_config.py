from datetime import time

import pytest
from highwater.engine.session.config import Config, parse
from highwater.engine.session.presets import PRESETS
from highwater.io.errors import UsageError

SPY = {"symbol": "SPY"}
ALL = {name: {"enabled": True} for name in ("rel_volume", "price_action", "profile_proxy", "vwap", "adx")}

DEFAULTS = {
    "name": "ORB_Confluence",
    "version": "1.0",
    "log_level": "INFO",
    "log_to_file": True,
    "orb.base_minutes": 15,
    "orb.adaptive": True,
    "orb.low_norm_vol": 0.35,
    "orb.high_norm_vol": 0.85,
    "orb.short_or_minutes": 10,
    "orb.long_or_minutes": 30,
    "orb.norm_vol": "scaled",
    "orb.atr_period": 14,
    "orb.intraday_atr_timeframe": "5min",
    "orb.daily_atr_timeframe": "1day",
    "orb.enable_validity_filter": True,
    "orb.validity_atr": "range",
    "orb.min_atr_mult": 0.25,
    "orb.max_atr_mult": 1.75,
    "buffers.fixed": 0.0,
    "buffers.use_atr": False,
    "buffers.atr_mult": 0.05,
    "factors.rel_volume.enabled": True,
    "factors.rel_volume.by_time_of_day": False,
    "factors.rel_volume.lookback": 20,
    "factors.rel_volume.spike_mult": 1.25,
    "factors.price_action.enabled": True,
    "factors.price_action.pivot_len": 3,
    "factors.price_action.enable_engulfing": True,
    "factors.price_action.enable_structure": True,
    "factors.profile_proxy.enabled": True,
    "factors.profile_proxy.val_pct": 0.25,
    "factors.profile_proxy.vah_pct": 0.75,
    "factors.vwap.enabled": False,
    "factors.vwap.reset_mode": "session",
    "factors.adx.enabled": False,
    "factors.adx.period": 14,
    "factors.adx.threshold": 18.0,
    "scoring.enabled": True,
    "scoring.base_required": 2,
    "scoring.weak_trend_required": 3,
    **{f"scoring.weights.{name}": 1.0 for name in ("price_action", "rel_vol", "profile", "vwap", "adx")},
    "trade.sides": "both",
    "trade.both_sides": "skip",
    "trade.entry_bar": "fs1",
    "trade.stop_mode": "or_opposite",
    "trade.extra_stop_buffer": 0.0,
    "trade.atr_stop_cap_mult": 0.80,
    "trade.partials": True,
    "trade.t1_r": 1.0,
    "trade.t1_pct": 0.5,
    "trade.t2_r": 1.5,
    "trade.t2_pct": 0.25,
    "trade.runner_r": 2.0,
    "trade.primary_r": 1.5,
    "trade.target_from": "entry",
    "trade.move_be_at_r": 1.0,
    "trade.be_buffer": 0.0,
    "governance.max_signals_per_day": 3,
    "governance.lockout_after_losses": 2,
    "governance.max_daily_loss_r": None,
    "governance.time_cutoff": None,
    "governance.second_chance_minutes": 30,
    "governance.flatten_at_session_end": True,
    "governance.flatten_minutes_before": 0,
    "governance.reset_daily": True,
    "backtest.start_date": None,
    "backtest.end_date": None,
    "backtest.initial_capital": 100_000.0,
    "backtest.contracts_per_trade": 1,
    "backtest.conservative_fills": True,
    "backtest.random_seed": 42,
    "backtest.fee_bps": 0.0,
    "backtest.slippage_bps": 0.0,
    "optimization.enabled": False,
    "optimization.method": "optuna",
    "optimization.n_trials": 100,
    "optimization.objective": "expectancy",
    "optimization.optimize_params": (),
}

# Key, the least and the most it may be, one below and one above.
RANGES = [
    ("orb.base_minutes", 5, 60, 4, 61),
    ("orb.low_norm_vol", 0, 0.84, -0.1, 2.1),
    ("orb.high_norm_vol", 0.36, 2, 0.35, 2.1),
    ("orb.short_or_minutes", 5, 29, 4, 31),
    ("orb.long_or_minutes", 15, 60, 14, 61),
    ("orb.atr_period", 5, 50, 4, 51),
    ("orb.min_atr_mult", 0, 1.7, -0.1, 1.75),
    ("orb.max_atr_mult", 0.26, 9, 0.25, None),
    ("buffers.fixed", 0, 9, -0.1, None),
    ("buffers.atr_mult", 0, 0.5, -0.1, 0.6),
    ("factors.rel_volume.lookback", 5, 100, 4, 101),
    ("factors.rel_volume.spike_mult", 1, 5, 0.9, 5.1),
    ("factors.price_action.pivot_len", 2, 10, 1, 11),
    ("factors.profile_proxy.val_pct", 0, 0.74, -0.1, 0.75),
    ("factors.profile_proxy.vah_pct", 0.26, 1, 0.25, 1.1),
    ("factors.adx.period", 5, 50, 4, 51),
    ("factors.adx.threshold", 0, 50, -1, 51),
    ("scoring.base_required", 0, 3, -1, 4),
    ("scoring.weak_trend_required", 2, 3, 1, 4),
    ("scoring.weights.vwap", 0, 9, -0.1, None),
    ("trade.extra_stop_buffer", 0, 9, -0.1, None),
    ("trade.atr_stop_cap_mult", 0, 3, -0.1, 3.1),
    ("trade.t1_r", 0.1, 1.4, 0, 1.5),
    ("trade.t1_pct", 0.01, 0.75, 0, 0.76),
    ("trade.t2_r", 1.1, 1.9, 1.0, 2.0),
    ("trade.t2_pct", 0.01, 0.5, 0, 0.51),
    ("trade.runner_r", 1.6, 9, 1.5, None),
    ("trade.primary_r", 0.1, 9, 0, None),
    ("trade.move_be_at_r", 0.1, 9, 0, None),
    ("trade.be_buffer", 0, 9, -0.1, None),
    ("governance.max_signals_per_day", 1, 10, 0, 11),
    ("governance.lockout_after_losses", 1, 10, 0, 11),
    ("governance.max_daily_loss_r", 0, 9, -0.1, None),
    ("governance.second_chance_minutes", 0, 120, -1, 121),
    ("governance.flatten_minutes_before", 0, 120, -1, 121),
    ("backtest.initial_capital", 1, 9e9, 0, None),
    ("backtest.contracts_per_trade", 1, 99, 0, None),
    ("backtest.fee_bps", 0, 4999, -1, 5000),
    ("backtest.slippage_bps", 0, 4999, -1, 5000),
    ("optimization.n_trials", 1, 99_999, 0, None),
    ("instruments.spy.tick_size", 0.01, 9, 0, None),
    ("instruments.spy.point_value", 0.01, 9, 0, None),
]


def nested(key, value):
    """Return the settings in which one key has a value."""
    for part in reversed(key.split(".")):
        value = {part: value}
    if "instruments" in value:
        value["instruments"]["spy"] |= SPY
    return value


def at(config, key):
    for part in key.split("."):
        config = config[part] if isinstance(config, dict) else getattr(config, part)
    return config


def leaves(model, path=""):
    """Return every key of a settings model but those of instruments."""
    found = []
    for name, field in model.model_fields.items():
        inner = hasattr(field.annotation, "model_fields")
        found += leaves(field.annotation, f"{path}{name}.") if inner else [path + name]
    return found


def test_every_key_has_its_default():
    config = parse({}, "here")

    assert set(DEFAULTS) | {"instruments"} == set(leaves(Config))
    assert DEFAULTS == {key: at(config, key) for key in DEFAULTS}


@pytest.mark.parametrize(("key", "least", "most", "below", "above"), RANGES, ids=[each[0] for each in RANGES])
def test_every_number_has_its_range(key, least, most, below, above):
    for value in (least, most):
        assert value == at(parse(nested(key, value), "here"), key)
    for value in (below, above, float("nan"), float("inf"), "many"):
        if value is not None:
            with pytest.raises(UsageError, match=rf"^here: .*{key.split('.')[-1]}"):
                parse(nested(key, value), "here")


def test_every_number_is_among_the_ranges():
    numbers = {key for key, value in DEFAULTS.items() if type(value) in (int, float)}
    others = {
        "orb.base_minutes",
        "backtest.random_seed",
        *(f"scoring.weights.{n}" for n in ("price_action", "rel_vol")),
    }

    assert numbers - others - {"scoring.weights.profile", "scoring.weights.adx"} <= {each[0] for each in RANGES}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"orb": {"base_minuts": 5}}, r"unknown key 'orb.base_minuts'.*base_minutes"),
        ({"ord": {}}, r"unknown key 'ord'.*orb"),
        ({"factors": {"rel_vol": {}}}, r"unknown key 'factors.rel_vol'.*rel_volume"),
        ({"factors": {"adx": {"treshold": 5}}}, r"unknown key 'factors.adx.treshold'.*threshold"),
        ({"instruments": {"spy": {**SPY, "tick": 1}}}, r"unknown key 'instruments.spy.tick'.*tick_size"),
        ({"orb": {"base_minutes": 99, "adaptve": True}}, "unknown key 'orb.adaptve'"),
        ({"trade": {"t1_r": 99.0}}, "trade: t1_r 99 must be below t2_r 1.5"),
        ({"backtest": {"start_date": "soon"}}, "backtest.start_date: is 'soon'; it must be a day such as 2024-01-02"),
        ({"backtest": {"end_date": 20240102}}, "backtest.end_date: is 20240102; it must be a day"),
        (
            {"backtest": {"start_date": "2024-01-02", "end_date": "2024-01-02"}},
            "backtest: start_date 2024-01-02 must be before end_date 2024-01-02",
        ),
        ({"backtest": {"random_seed": -1}}, "backtest.random_seed is -1"),
        ({"trade": {"t2_r": 3.0}}, "trade: t2_r 3 must be below runner_r 2"),
        ({"trade": {"t1_pct": 0.9}}, "trade: t1_pct 0.9 and t2_pct 0.25 must not be above 1 together"),
        ({"orb": {"low_norm_vol": 0.9}}, "orb: low_norm_vol 0.9 must be below high_norm_vol 0.85"),
        ({"orb": {"short_or_minutes": 30}}, "orb: short_or_minutes 30 must be below long_or_minutes 30"),
        ({"orb": {"min_atr_mult": 2}}, "orb: min_atr_mult 2 must be below max_atr_mult 1.75"),
        ({"orb": {"norm_vol": "scald"}}, r"orb.norm_vol is 'scald'; it must be 'scaled' or 'literal'"),
        ({"orb": 5}, "orb is 5; it must be"),
        ({"scoring": {"base_required": 3, "weak_trend_required": 2}}, "base_required 3 must not be above"),
        ({"scoring": {"weak_trend_required": 4}}, "scoring.weak_trend_required 4 is more than the 3 factors enabled"),
        (
            {"factors": {"price_action": {"enable_engulfing": False, "enable_structure": False}}},
            "one of enable_engulfing",
        ),
        ({"instruments": {"spy": {}}}, "instruments.spy.symbol is missing"),
        ({"instruments": {"spy": {**SPY, "enabled": False}}}, "instruments: at least one must be enabled"),
        ({"instruments": {"spy": {**SPY, "session_start": "09:30"}}}, "session_start and session_end go together"),
        (
            {"instruments": {"spy": {**SPY, "session_start": "16:00", "session_end": "09:30"}}},
            "session_start 16:00 must be before session_end 09:30",
        ),
        ({"instruments": {"spy": {**SPY, "timezone": "America/NewYork"}}}, "time zone such as America/New_York"),
        ({"instruments": {"spy": {**SPY, "session_mode": "day"}}}, "instruments.spy.session_mode is 'day'"),
        ({"log_level": "loud"}, "log_level is 'LOUD'; it must be 'DEBUG'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(values, message):
    with pytest.raises(UsageError, match=f"^my.yaml: .*{message}") as refused:
        parse(values, "my.yaml")

    assert 1 == len(str(refused.value).splitlines())


@pytest.mark.parametrize("name", PRESETS)
def test_the_presets_load(name):
    config = parse(PRESETS[name], name)

    for section, values in PRESETS[name].items():
        for key, value in values.items():
            if not isinstance(value, dict):
                actual = at(config, f"{section}.{key}")
                assert value == (f"{actual:%H:%M}" if isinstance(actual, time) else actual)
    assert 5 == len(parse(PRESETS["conservative"], "").factors.enabled)


@pytest.mark.parametrize("value", ["13:30", "13:30:00", 810, time(13, 30)])
def test_a_time_may_be_what_yaml_makes_of_it(value):
    assert time(13, 30) == parse({"governance": {"time_cutoff": value}}, "here").governance.time_cutoff


@pytest.mark.parametrize("value", [1440, -1, 13.5, True, "1330", "25:00", "13:60", "13:3", "", "noon"])
def test_other_times_are_refused(value):
    with pytest.raises(UsageError, match=f"^here: governance.time_cutoff: is {value!r}; it must be a local time such"):
        parse({"governance": {"time_cutoff": value}}, "here")


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        parse({}, "here").orb.base_minutes = 5


def test_adaptive_lengths_matter_only_where_they_are_used():
    assert not parse({"orb": {"adaptive": False, "low_norm_vol": 1.0, "short_or_minutes": 30}}, "here").orb.adaptive


def test_symbols_and_levels_are_upper_case():
    config = parse({"log_level": "debug", "instruments": {"spy": {"symbol": "spy", "proxy_symbol": "es"}}}, "here")

    assert ("DEBUG", "SPY", "ES") == (
        config.log_level,
        config.instruments["spy"].symbol,
        config.instruments["spy"].proxy_symbol,
    )
