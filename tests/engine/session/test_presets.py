from typing import get_args

import pytest
from highwater.engine.cli import main
from highwater.engine.session.config import parse
from highwater.engine.session.presets import PRESETS, over
from highwater.engine.session_command import Preset, settings_of

DAYS = ["--start", "2024-01-02", "--end", "2024-01-31"]
WORDS = ["backtest", "--symbols", "SPY", *DAYS, "--synthetic", "--quiet", "--json"]
# name: what the origin's file says of it
SAID = {
    "aggressive": {
        "orb.base_minutes": 10,
        "orb.adaptive": False,
        "buffers.fixed": 0.05,
        "factors.rel_volume.lookback": 15,
        "factors.rel_volume.spike_mult": 1.15,
        "scoring.base_required": 1,
        "scoring.weak_trend_required": 2,
        "trade.t1_pct": 0.3,
        "trade.t2_r": 2.0,
        "trade.t2_pct": 0.3,
        "trade.runner_r": 3.0,
        "governance.max_signals_per_day": 5,
        "governance.lockout_after_losses": 3,
        "governance.second_chance_minutes": 45,
    },
    "conservative": {
        "orb.base_minutes": 30,
        "orb.min_atr_mult": 0.40,
        "orb.max_atr_mult": 1.50,
        "buffers.fixed": 0.15,
        "buffers.use_atr": True,
        "buffers.atr_mult": 0.10,
        "factors.rel_volume.spike_mult": 1.5,
        "factors.price_action.pivot_len": 5,
        "factors.vwap.enabled": True,
        "factors.adx.enabled": True,
        "factors.adx.threshold": 20.0,
        "scoring.base_required": 4,
        "scoring.weak_trend_required": 5,
        "trade.t1_r": 0.75,
        "trade.t2_r": 1.25,
        "trade.t2_pct": 0.30,
        "trade.runner_r": 1.75,
        "trade.move_be_at_r": 0.75,
        "governance.max_signals_per_day": 2,
        "governance.lockout_after_losses": 1,
    },
    "low_requirements": {
        "buffers.fixed": 0.5,
        "scoring.base_required": 0,
        "scoring.weak_trend_required": 0,
    },
}


def at(config, key):
    for part in key.split("."):
        config = getattr(config, part)
    return config


@pytest.mark.parametrize("name", SAID)
def test_each_preset_says_what_the_origins_does(name):
    config = parse(settings_of(None, name), name)

    assert SAID[name] == {key: at(config, key) for key in SAID[name]}


def test_the_cutoffs_of_presets():
    cutoffs = {name: parse(PRESETS[name], name).governance.time_cutoff for name in PRESETS}

    assert {"aggressive": "14:00", "conservative": "12:30", "low_requirements": "None"} == {
        name: f"{cutoff:%H:%M}" if cutoff else "None" for name, cutoff in cutoffs.items()
    }


def test_every_preset_has_its_word():
    assert set(get_args(Preset)) == set(PRESETS) == set(SAID)


def test_a_file_changes_a_preset_section_by_section(tmp_path):
    (tmp_path / "mine.yaml").write_text("orb:\n  base_minutes: 20\ntrade:\n  runner_r: 4.0\nname: mine\n")
    config = parse(settings_of(tmp_path / "mine.yaml", "aggressive"), "mine.yaml")

    assert (20, False, 4.0, 2.0, "mine") == (
        config.orb.base_minutes,
        config.orb.adaptive,
        config.trade.runner_r,
        config.trade.t2_r,
        config.name,
    )


def test_what_is_no_section_takes_the_place_of_one():
    assert {"orb": 3, "buffers": {"fixed": 0.1}} == over(
        {"orb": {"adaptive": True}}, {"orb": 3, "buffers": {"fixed": 0.1}}
    )


def test_an_unknown_preset_is_refused_with_a_suggestion(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert 2 == main([*WORDS, "--preset", "agressive"])
    assert "aggressive" in capsys.readouterr().err
    assert 2 == main([*WORDS, "--preset", "bold"])
    err = capsys.readouterr().err
    assert all(name in err for name in PRESETS)
