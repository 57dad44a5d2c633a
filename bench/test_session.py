"""How fast is a pass of the session runner, all five factors and everything prepared anew, a search, the command?

A year of minutes, 98,280 in 252 sessions: those of SPY from ``shared/data`` beside the checkout one behind the other,
else made up. One core.
"""

import contextlib
import io
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from highwater.bench.market import market
from highwater.engine.cli import main
from highwater.engine.session.calendar import Hours
from highwater.engine.session.calendar import hours as hours_by
from highwater.engine.session.config import Config, Instrument, parse
from highwater.engine.session.ground import ground_of
from highwater.engine.session.prepare import Ready, prepare, ready_on
from highwater.io.candles import read_candles
from highwater.kernels.arrays import Candles, candles
from highwater.kernels.exits import FILL
from highwater.kernels.philox import uniforms
from highwater.kernels.session import EVENT, SESSION_TRADE, trade_sessions

STEP, DAY, LENGTH, SESSIONS = 60_000, 86_400_000, 390, 252
SPY = Path(__file__).parents[2] / "shared" / "data" / "candles" / "spy_1m_2024.parquet"
FACTORS = ("rel_volume", "price_action", "profile_proxy", "vwap", "adx")
EVERY = {"factors": {name: {"enabled": True} for name in FACTORS}}
CONFIGS = 1_000
OUT = np.zeros(4_000, SESSION_TRADE), np.zeros((4_000, 4), FILL), np.zeros(40_000, EVENT)


def year() -> tuple[Candles, Hours, str]:
    """Return a year of minutes, their sessions, and their name."""
    size = SESSIONS * LENGTH
    if SPY.exists():
        found, name = read_candles(SPY, None).candles, "SPY 1m"
    else:
        found, name = market(1, size).candles, "made up"
    opens = 1_704_067_200_000 + DAY * np.arange(SESSIONS)
    ts = (opens[:, None] + STEP * np.arange(LENGTH)).ravel()
    days = tuple(date(2024, 1, 1) + timedelta(days=k) for k in range(SESSIONS))
    hours = Hours(days, opens, opens + LENGTH * STEP, ZoneInfo("UTC"), "the year")
    return candles(ts, *(np.resize(part, size) for part in found[1:])), hours, name


def settings() -> list[Config]:
    """Return settings drawn at random, two or more of every kind."""
    found = []
    for k in range(CONFIGS):
        u = iter(uniforms(7, k, 24, 0, 0).tolist())

        def pick(*values, u=u):
            return values[int(next(u) * len(values))]

        orb = {"base_minutes": pick(10, 15, 20), "adaptive": pick(True, False), "atr_period": pick(10, 14, 20)}
        factors = {
            "rel_volume": {"lookback": pick(10, 20, 30, 40), "spike_mult": pick(1.1, 1.25, 1.5, 2.0)},
            "price_action": {"pivot_len": pick(2, 3, 4, 5)},
            "vwap": {"enabled": True, "reset_mode": pick("session", "or_end")},
            "adx": {"enabled": True, "period": pick(7, 10, 14, 20), "threshold": pick(15.0, 18.0, 25.0)},
        }
        trade = {"stop_mode": pick("or_opposite", "swing", "atr_capped"), "t1_r": pick(0.8, 1.0, 1.2)}
        buffers = {"fixed": pick(0.0, 0.05, 0.1), "use_atr": pick(True, False)}
        scoring = {"base_required": pick(1, 2, 3), "weak_trend_required": 3}
        values = {"orb": orb, "factors": factors, "trade": trade, "buffers": buffers, "scoring": scoring}
        found.append(parse(values, "the bench"))
    return found


def walked(ready: Ready) -> int:
    """Return how many trades there are."""
    return trade_sessions(ready.bars, ready.sessions, ready.known, ready.plan, ready.terms, OUT)[0]


def test_a_full_pass(bench):
    every, hours, name = year()
    config = parse(EVERY, "the bench")
    ready = prepare(every, STEP, hours, config)
    times = bench.compare(
        {"all of it": lambda: walked(prepare(every, STEP, hours, config)), "the walk alone": lambda: walked(ready)}, 30
    )
    for way, spent in times.items():
        rate = every.ts.size / spent.cpu / 1e6
        bench.say(way, spent, f"{rate:.0f} M candles/s a core, {walked(ready):,} trades, {name}")


def test_many_settings(bench):
    every, hours, name = year()
    asked = settings()

    def search() -> int:
        ground = ground_of(every, STEP, hours)
        return sum(walked(ready_on(ground, config)) for config in asked)

    trades = search()
    times = bench.compare({"1,000 settings": search}, 2)["1,000 settings"]
    bench.say("1,000 settings", times, f"{times.best:.1f} s, {trades:,} trades, {name}")


def test_end_to_end(bench, tmp_path):
    """The command on a file of the year, from its start to its end, and where the interpreter is warm already."""
    every, _, name = year()
    days = hours_by(Instrument(symbol="SPY"), date(2024, 1, 1), date(2025, 1, 1))
    ts = np.concatenate([np.arange(*ends, STEP) for ends in zip(days.open, days.close, strict=True)])
    prices = {part: np.resize(getattr(every, part), ts.size) for part in ("open", "high", "low", "close", "volume")}
    pq.write_table(pa.table({"timestamp": ts, **prices}), tmp_path / "SPY.parquet")
    words = ["backtest", "--symbols", "SPY", "--start", "2024-01-01", "--end", "2025-01-01", "--quiet"]
    words += ["--data", str(tmp_path / "SPY.parquet"), "--output-dir", str(tmp_path / "runs")]

    def within() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            assert not main(words)

    def command() -> None:
        subprocess.run([sys.executable, "-m", "highwater", *words], check=True, capture_output=True)

    ways = {"highwater backtest": command, "the same within a process": within}
    for way, spent in bench.compare(ways, 5, cores=None).items():
        bench.say(way, spent, f"{ts.size:,} candles, from file to files, no report, {name}")
