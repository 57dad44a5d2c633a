import math
import statistics

import naive
import numpy as np
import pytest
import small_market
from highwater.engine.baseline import path_table
from highwater.engine.fixed_exits import Cell
from highwater.engine.policy import Policy, Rung
from highwater.engine.regret import QUANTILES, WITHIN, after, regret
from highwater.engine.reopen import Traded
from highwater.engine.strategy import trade_columns, with_tail_capture
from highwater.io import schemas
from small_market import HORIZON, PAID, STEP, close, oracle

STOPS = ("SL", "BE", "TRAIL")
EXITS = {
    "fixed": (Policy(sl=0.8, tp=(Rung(1.3),)), {"sl": 0.8, "tp": [{"mult": 1.3}]}),
    "trail": (Policy(trail_pct=0.1), {"trail": {"pct": 0.1}}),
    "ladder": (
        Policy(
            sl=0.7, tp=(Rung(1.05, 5000), Rung(1.2, 2000)), be_trigger=1.1, time_ms=4 * 3_600_000, tp_gap_fill="open"
        ),
        {
            "sl": 0.7,
            "tp": [{"mult": 1.05, "frac_bps": 5000}, {"mult": 1.2, "frac_bps": 2000}],
            "breakeven": {"trigger": 1.1, "offset": 0.0},
            "time_ms": 14_400_000,
            "tp_gap_fill": "open",
        },
    ),
    "nothing": (Policy(), {}),
}


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return small_market.prepared(tmp_path_factory.mktemp("market"))


def done(ready, policy, threads=1):
    """Return what a run with one policy would hold of it, and its paths."""
    paths = path_table(ready, (), threads)
    trades, fills = trade_columns(ready, policy, threads)
    kept = schemas.table(schemas.TRADES, with_tail_capture(trades, paths), "run")
    tables = kept, schemas.table(schemas.FILLS, fills, "run")
    return Traded(policy, *tables), schemas.with_run(paths, "run")


def later(bars, entry, fill, within):
    """Return the rise and the fall of the price within a time of a fill, and the fill less the end."""
    at_open = fill["gap"] or fill["reason"] == "TIME"
    first = fill["bar"] + (0 if at_open else 1)
    sold_at = bars[fill["bar"]][0] + (0 if at_open else STEP)
    seen = [bar for bar in bars[first : entry["last"]] if bar[0] < sold_at + within]
    rise = max([0.0, *(bar[2] - fill["price"] for bar in seen)])
    fall = max([0.0, *(fill["price"] - bar[3] for bar in seen)])
    return rise, fall, fill["price"] - bars[entry["last"] - 1][4]


def hindsight(ready, exits, within):
    """Return a dict a trade: what it left, saved and kept, and whether it was sold before the end, and by a stop."""
    found = []
    for bars, entry in oracle(ready):
        if entry["status"] == "OK":
            row = {"left": 0.0, "saved": 0.0, "kept": 0.0, "sold": False, "stopped": False}
            for fill in naive.simulate(bars, entry, exits, **PAID)["fills"]:
                if fill["reason"] not in ("HORIZON", "END_OF_DATA"):
                    part = fill["bps"] / 10000 / entry["price"]
                    rise, fall, kept = (part * value for value in later(bars, entry, fill, within))
                    row["sold"], row["left"] = True, row["left"] + rise
                    if fill["reason"] in STOPS:
                        row["stopped"], row["saved"], row["kept"] = True, row["saved"] + fall, row["kept"] + kept
            found.append(row)
    return found


@pytest.mark.parametrize("name", EXITS)
def test_what_came_after_the_exits_candle_by_candle(ready, name):
    policy, exits = EXITS[name]
    held, paths = done(ready, policy)
    found = regret(ready, held, paths, None)

    assert [*(t for t in WITHIN if t < HORIZON), HORIZON] == [row.within_ms for row in found.left]
    for left, saved in zip(found.left, found.saved, strict=True):
        rows = hindsight(ready, exits, left.within_ms)
        sold, stopped = [row for row in rows if row["sold"]], [row for row in rows if row["stopped"]]

        assert (len(sold), len(stopped)) == (found.sold, found.stopped)
        for moved, values in ((left, [row["left"] for row in sold]), (saved, [row["saved"] for row in stopped])):
            if not values:
                assert all(map(math.isnan, (moved.share, moved.mean, moved.median, moved.p90)))
                continue
            wanted = [statistics.mean(v > 0 for v in values), statistics.mean(values), statistics.median(values)]
            assert close([*wanted, np.quantile(values, 0.9)], 1e-9) == [
                moved.share,
                moved.mean,
                moved.median,
                moved.p90,
            ]
    if found.stopped:
        kept = [row["kept"] for row in stopped]
        assert close([statistics.mean(kept), statistics.mean(k > 0 for k in kept)], 1e-9) == [found.kept, found.right]


@pytest.mark.parametrize("name", EXITS)
def test_the_share_of_the_high_that_was_kept(ready, name):
    policy, exits = EXITS[name]
    found = regret(ready, *done(ready, policy), Cell(2.0, 0.5, 12.0))
    trades, gains, highs = [], [], []
    for bars, entry in oracle(ready):
        if entry["status"] == "OK":
            trades.append(naive.simulate(bars, entry, exits, **PAID))
            gains.append(trades[-1]["gross"] / entry["price"] - 1)
            highs.append(
                max([entry["price"], *(bar[2] for bar in bars[entry["first"] : entry["last"]])]) / entry["price"]
            )
    shares = [trade["tail_capture"] for trade in trades if trade["tail_capture"] is not None]

    assert (len(trades), len(shares)) == (found.trades, found.peaks)
    assert close([np.quantile(shares, q) for q in QUANTILES], 1e-9) == list(found.capture)
    assert close([sum(gains) / sum(high - 1 for high in highs)], 1e-9) == [found.capture_of_all]
    assert close([statistics.mean(trade["ret_bps"] for trade in trades)], 1e-9) == [found.avg_return_bps]
    assert close([statistics.mean(naive.net(high * 10000, 1.0, **PAID) for high in highs) * 10000], 1e-9) == [
        found.peak_bps
    ]
    assert Cell(2.0, 0.5, 12.0) == found.hindsight


def test_the_ladder_has_every_kind_of_exit(ready):
    reasons = set(done(ready, EXITS["ladder"][0])[0].fills["reason"].to_pylist())

    assert {"TP", "TIME"} <= reasons
    assert reasons & set(STOPS)
    assert {"SL", "TP", "HORIZON"} <= set(done(ready, EXITS["fixed"][0])[0].fills["reason"].to_pylist())


def test_more_time_leaves_more_and_saves_more(ready):
    within, rise, fall, _, stopped, sold = after(ready, done(ready, EXITS["trail"][0])[0])

    assert (np.diff(within) > 0).all()
    assert (np.diff(rise, axis=0) >= 0).all()
    assert (np.diff(fall, axis=0) >= 0).all()
    assert (rise >= 0).all()
    assert (sold | ~stopped).all()
    assert not rise[:, ~sold].any()


def test_no_return_is_above_that_of_the_high(ready):
    for policy, _ in EXITS.values():
        found = regret(ready, *done(ready, policy), None)

        assert found.avg_return_bps <= found.peak_bps
        assert found.capture[-1] <= 1.0


def test_threads_change_nothing(ready):
    assert regret(ready, *done(ready, EXITS["ladder"][0], 1), None) == regret(
        ready, *done(ready, EXITS["ladder"][0], 2), None
    )
