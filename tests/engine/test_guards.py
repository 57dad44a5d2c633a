"""The evidence on a winner: each number by plain loops over the trades that the strategy command makes."""

import dataclasses
import json
import math
from datetime import UTC, datetime
from statistics import NormalDist, mean, median

import day_market
import numpy as np
import pytest
from highwater.engine import guards
from highwater.engine.best import SEED
from highwater.engine.guards import (
    chance_of,
    evidence,
    interval,
    p_of,
    ranked_columns,
    ratio_of,
    stressed,
    unseen_of,
)
from highwater.engine.holdout import hold_out
from highwater.engine.luck import luck_of
from highwater.engine.policy import to_arrays
from highwater.engine.space import draw, policy_at, to_policies
from highwater.engine.tallies import by_day, calendar, ground, returns
from highwater.engine.values import DAY
from highwater.io.runs import find_run, read_artifact
from highwater.kernels import arrays
from highwater.kernels.bootstrap import deviations_of, resamples
from small_market import HORIZON, Market, run

TRIALS, TRIED, MEMORY = 120, 5000, 10**8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("days")


@pytest.fixture(scope="module")
def ready(folder):
    return day_market.prepared(folder)


@pytest.fixture(scope="module")
def there(ready):
    return ground(ready, "tables", MEMORY, None)


def policies(first, count):
    return to_policies(day_market.SPACE, draw(day_market.SPACE, 1, first, count))


def policy(trial):
    return policy_at(day_market.SPACE, draw(day_market.SPACE, 1, trial, 1), 0)


def judged(there, trial, luck, tried=TRIED, neighbours=None):
    """Return the evidence on a trial."""
    one = policy(trial)
    return evidence(there, one, trial, by_day(there, to_arrays([one])), luck, None, tried, neighbours)


@pytest.fixture(scope="module")
def luck(there):
    return luck_of(there, TRIALS, policies, policies(0, TRIALS))


@pytest.fixture(scope="module")
def sums(there):
    """Return the days of every trial, one alert after the other."""
    days = [int(ts) // DAY for ts in there.windows.ts]
    found = [[0] * (max(days) - min(days) + 1) for _ in range(TRIALS)]
    for row, trial in zip(found, returns(there, policies(0, TRIALS)).tolist(), strict=True):
        for day, ret_q in zip(days, trial, strict=True):
            row[day - min(days)] += ret_q
    return found


@pytest.fixture(scope="module", params=["best mean", "best statistic", "worst mean"])
def trial(request, sums, luck):
    totals = [sum(row) for row in sums]
    wanted = {"best mean": max(totals), "worst mean": min(totals), "best statistic": totals[luck.ranked[0]]}
    return totals.index(wanted[request.param])


@pytest.fixture(scope="module")
def found(there, luck, trial):
    return judged(there, trial, luck, TRIED, (1.0, 2.0))


def traded(folder, trial, *words):
    """Return the trades that the strategy command makes, each with its alert, and of how many alerts."""
    market = Market(folder / "candles.parquet", folder / "alerts.parquet")
    form = json.dumps(policy(trial).canonical())
    how = ["--runs", folder / "strategies", "--horizon", "12h", "--quiet", *words]
    done = run("strategy", "--policy", form, *market.flags, *how)
    assert 0 == done.code, done.err
    path = find_run(folder / "strategies", "latest").path
    alerts = {row["call_id"]: row for row in read_artifact(path, "alerts").to_pylist()}
    rows = [alerts[row["call_id"]] | row for row in read_artifact(path, "trades").to_pylist()]
    return [row for row in rows if row["status"] == "OK"], len(rows)


@pytest.fixture(scope="module")
def trades(folder, trial):
    return traded(folder, trial)


def bps(rows):
    return sum(row["ret_q"] for row in rows) / len(rows) / 100


def days_of(rows):
    """Return the sum and the number of the trades of each UTC day of entry, from the first to the last."""
    days = [row["entry_ts_ms"] // DAY for row in rows]
    every = range(min(days), max(days) + 1)
    made = [sum(row["ret_q"] for row, day in zip(rows, days, strict=True) if day == one) for one in every]
    return made, [days.count(one) for one in every]


def naive_interval(made, entered, length):
    """Return between which means 95 % of the resamples lie, in bps."""
    means = []
    for drawn in resamples(SEED, len(made), length, guards.INTERVALS).astype(int).tolist():
        count = sum(n * each for n, each in zip(drawn, entered, strict=True))
        if count:
            means.append(sum(n * each for n, each in zip(drawn, made, strict=True)) / count / 100)
    means.sort()
    ends = []
    for share in (0.025, 0.975):
        below, part = divmod(share * (len(means) - 1), 1)
        ends.append(means[int(below)] * (1 - part) + means[int(below) + 1] * part)
    return tuple(ends)


def naive_p(highs, statistic):
    return (1 + sum(high >= statistic for high in highs)) / (1 + len(highs))


def test_mean_median_and_wins(found, trades, trial):
    rows, _ = trades
    micro = [row["ret_q"] for row in rows]

    assert (trial, len(rows), len(days_of(rows)[0])) == (found.trial_id, found.alerts, found.days)
    assert bps(rows) == pytest.approx(found.mean_bps, rel=1e-12)
    assert median(micro) / 100 == found.median_bps
    assert sum(ret_q > 0 for ret_q in micro) / len(micro) == found.win_rate
    assert (1.0, 2.0) == found.neighbours


def test_the_interval_is_of_means_of_resampled_days(found, trades, luck):
    low, high = naive_interval(*days_of(trades[0]), luck.length)

    assert (low, high) == pytest.approx((found.spread.low_bps, found.spread.high_bps), rel=1e-9)
    assert low < found.mean_bps < high


def test_resamples_without_an_alert_have_no_mean():
    assert (3.0, 3.0) == interval(np.array([0, 0, 900]), np.array([0, 0, 3]), 1.0)


def test_without_the_best_trades(found, trades):
    rows = sorted(trades[0], key=lambda row: row["ret_q"])
    best = rows[-math.ceil(len(rows) / 100) :]
    gain = sum(row["ret_q"] for row in rows if row["ret_q"] > 0)

    assert bps(rows[:-1]) == pytest.approx(found.spread.without_best, rel=1e-12)
    assert bps(rows[:-5]) == pytest.approx(found.spread.without_best_5, rel=1e-12)
    assert sum(max(row["ret_q"], 0) for row in best) / gain == pytest.approx(found.spread.top_share)


@pytest.mark.parametrize(("name", "column"), [("without_caller", "caller_name"), ("without_token", "mint")])
def test_without_who_made_most(found, trades, name, column):
    made = {}
    for row in trades[0]:
        made[row[column]] = made.get(row[column], 0) + row["ret_q"]
    most = max(sorted(made), key=made.__getitem__)
    rest = [row for row in trades[0] if row[column] != most]
    part = getattr(found.spread, name)

    assert (most, len(rest)) == (part.name, part.alerts)
    assert bps(rest) == pytest.approx(part.mean_bps, rel=1e-12)


def test_months_are_those_of_the_entries(found, trades):
    months = {}
    for row in trades[0]:
        months.setdefault(datetime.fromtimestamp(row["entry_ts_ms"] / 1000, UTC).strftime("%Y-%m"), []).append(row)
    expected = [(name, len(months[name]), pytest.approx(bps(months[name]))) for name in sorted(months)]

    assert expected == [(part.name, part.alerts, part.mean_bps) for part in found.spread.months]
    assert len(expected) > 1


def test_alerts_left_out_count_as_total_losses(found, trades):
    rows, every = trades
    out = every - len(rows)
    lost = (sum(row["ret_q"] for row in rows) - out * 1_000_000) / every / 100

    assert out > 0
    assert (out, out / every) == (found.quality.excluded, found.quality.excluded_rate)
    assert lost == pytest.approx(found.quality.excluded_lost_bps, rel=1e-12)


def test_bounds_are_those_of_the_trades(found, trades):
    rows, _ = trades

    assert mean(row["worst_bps"] for row in rows) == pytest.approx(found.quality.worst_bps)
    assert mean(row["best_bps"] for row in rows) == pytest.approx(found.quality.best_bps)
    assert sum(row["ambiguous"] for row in rows) / len(rows) == pytest.approx(found.quality.ambiguous_rate)


def test_lanes_are_the_strategy_at_twice_the_costs_and_a_candle_later(found, trades, trial, folder):
    dear, _ = traded(folder, trial, "--fee-bps", 60, "--slippage-bps", 100)
    later, _ = traded(folder, trial, "--latency", "1h")
    entered = {row["call_id"] for row in trades[0]}
    expected = [bps(dear), bps([row for row in later if row["call_id"] in entered]), found.quality.worst_bps]
    lanes = {lane.name: lane.mean_bps for lane in found.quality.lanes}

    assert ["twice the costs", "entered a candle later", "worst order inside candles"] == list(lanes)
    assert expected == pytest.approx(list(lanes.values()), rel=1e-12)
    assert lanes["twice the costs"] < found.mean_bps != lanes["entered a candle later"]


def test_lanes_keep_to_the_way_alerts_are_entered_and_paid(folder):
    ready = day_market.prepared(folder, latency=7_200_000, costs="legacy", fee_bps=10.0, slippage_bps=20.0)
    paid, dear = ["--fee-bps", 10, "--slippage-bps", 20], ["--fee-bps", 20, "--slippage-bps", 40]
    usual, costly, later = (
        traded(folder, 3, "--costs", "legacy", *words)[0]
        for words in ([*paid, "--latency", "2h"], [*dear, "--latency", "2h"], [*paid, "--latency", "3h"])
    )
    entered = {row["call_id"] for row in usual}
    expected = [bps(costly), bps([row for row in later if row["call_id"] in entered])]

    assert expected == pytest.approx([lane.mean_bps for lane in stressed(ready, policy(3), 1)], rel=1e-12)


def test_a_later_entry_stays_out_of_the_holdout(folder, ready):
    sealed = hold_out(ready, 0.25)
    calls = {call for call, ok in zip(ready.alerts["call_id"].to_pylist(), sealed.ok, strict=True) if ok}
    later = [row for row in traded(folder, 3, "--latency", "1h")[0] if row["call_id"] in calls]
    ends = max(row["entry_ts_ms"] for row in later) + HORIZON
    for first in (ends, ends - 1):
        within = [row for row in later if row["entry_ts_ms"] + HORIZON <= first]
        _, lane = stressed(dataclasses.replace(sealed, sealed_ms=first), policy(3), 1)

        assert (first == ends) == (len(within) == len(later))
        assert bps(within) == pytest.approx(lane.mean_bps, rel=1e-12)


def test_the_statistic_and_its_p_value(found, trades, luck, trial):
    made, _ = days_of(trades[0])
    deviation = float(deviations_of(np.array([made]), luck.length)[0])

    assert sum(made) / math.sqrt(len(made)) / deviation == pytest.approx(found.chance.statistic, rel=1e-12)
    assert luck.p[luck.ranked.tolist().index(trial)] == found.chance.p
    assert luck.p_spa == found.chance.p_spa
    assert naive_p(luck.highs.tolist(), found.chance.statistic) == p_of(found.chance.statistic, -1, luck)


def test_a_trial_that_was_not_blind_is_no_less_likely_luck_than_the_best_that_was(luck):
    """The blind ones are those below the trial that ranks first: it and all above it are held by the best of them."""
    blind = int(luck.ranked[0])
    known = dict(zip(luck.ranked.tolist(), luck.p.tolist(), strict=True))
    floor = min(p for trial, p in known.items() if trial < blind)
    late = dataclasses.replace(luck, blind=blind)

    assert floor > known[blind]
    assert {trial: p if trial < blind else max(p, floor) for trial, p in known.items()} == {
        trial: p_of(0.0, trial, late) for trial in known
    }
    assert max(floor, naive_p(luck.highs.tolist(), 9.0)) == p_of(9.0, TRIALS + 5, late)


@pytest.mark.parametrize("count", [19, 99, 200, 1000])
def test_a_mean_above_the_line_of_luck_is_one_with_a_p_value_of_5_percent(there, luck, count):
    highs = np.sort(np.random.default_rng(count).normal(size=count))
    mine, few = by_day(there, policies(0, 1)), dataclasses.replace(luck, highs=highs)
    found = chance_of(mine, -1, few)
    a_bps = found.statistic / (mine.sum() / luck.calendar.alerts.sum() / 100)

    assert naive_p(highs.tolist(), found.line_bps * a_bps + 1e-9) <= 0.05
    assert naive_p(highs.tolist(), found.line_bps * a_bps - 1e-9) > 0.05


def test_a_winner_whose_days_do_not_vary_has_no_line(luck):
    none = chance_of(np.full((1, luck.calendar.days), 5), -1, luck)

    assert (0.0, True) == (none.statistic, math.isnan(none.line_bps))
    assert none.p > 0.5


def test_the_sharpe_ratio_is_deflated_by_the_formulas_of_the_paper(found, trades, luck):
    made, _ = days_of(trades[0])
    n, centre, normal = len(made), mean(made), NormalDist()
    second, third, fourth = (sum((day - centre) ** k for day in made) / n for k in (2, 3, 4))
    sharpe, skew, kurt = centre / (second * n / (n - 1)) ** 0.5, third / second**1.5, fourth / second**2
    error = 1 - skew * sharpe + (kurt - 1) / 4 * sharpe**2

    def above(benchmark):
        return normal.cdf((sharpe - benchmark) * math.sqrt(n - 1) / math.sqrt(error))

    def luckiest(trials):
        ends = [normal.inv_cdf(1 - 1 / count) for count in (trials, trials * math.e)]
        high = (1 - 0.5772156649015329) * ends[0] + 0.5772156649015329 * ends[1]
        return luck.sharpe_variance**0.5 * max(0.0, high)

    ratio, few = found.ratio, luckiest(luck.independent)
    needed = 1 + error * (normal.inv_cdf(0.95) / (sharpe - few)) ** 2 if sharpe > few else math.inf

    assert (sharpe, skew, kurt) == pytest.approx((ratio.sharpe, ratio.skew, ratio.kurtosis), rel=1e-9)
    assert above(0.0) == pytest.approx(ratio.probability, rel=1e-9)
    assert above(few) == pytest.approx(ratio.deflated_independent, rel=1e-9)
    assert above(luckiest(TRIED)) == pytest.approx(ratio.deflated_tried, rel=1e-9)
    assert (TRIED, luck.independent) == (ratio.tried, ratio.independent)
    assert needed == pytest.approx(ratio.needed_days, rel=1e-9)


def test_variance_and_independent_trials_of_all_ratios(sums, luck):
    ratios = [mean(row) / np.std(row, ddof=1) for row in sums]
    eigen = np.linalg.eigvalsh(np.corrcoef(sums))

    assert np.var(ratios) == pytest.approx(luck.sharpe_variance, rel=1e-9)
    assert eigen.sum() ** 2 / (eigen**2).sum() == pytest.approx(luck.independent, rel=1e-9)


def test_at_least_the_trials_of_the_search_itself_were_tried(there, luck):
    mine = by_day(there, policies(0, 1))[0]
    few, own, many = (ratio_of(mine, luck, tried).deflated_tried for tried in (1, luck.distinct, 10**6))

    assert few == own > many


def test_unseen_days_are_those_of_the_folds(there, luck, sums):
    """The folds themselves are held in test_luck."""
    alerts = calendar(there)[0].alerts.tolist()
    made = [day for fold in luck.folds for day in sums[fold.trial][fold.first : fold.last]]
    entered = [count for fold in luck.folds for count in alerts[fold.first : fold.last]]
    found = unseen_of(luck)

    assert sum(made) / sum(entered) / 100 == pytest.approx(found.mean_bps, rel=1e-12)
    assert naive_interval(made, entered, luck.length) == pytest.approx((found.low_bps, found.high_bps), rel=1e-9)
    assert sum(sum(sums[fold.trial][fold.first : fold.last]) > 0 for fold in luck.folds) == found.winning
    assert unseen_of(dataclasses.replace(luck, folds=())) is None


def test_columns_of_the_ranked_are_the_evidence_on_each(there, luck):
    trials = np.array([7, 0, 119])
    few = luck_of(there, TRIALS, policies, policies(0, TRIALS), watched=trials)
    columns = ranked_columns(trials, few, TRIED)
    for i, number in enumerate(trials.tolist()):
        one = judged(there, number, luck)
        worth = one.ratio.probability, one.ratio.deflated_independent, one.ratio.deflated_tried

        assert (one.chance.statistic, one.chance.p, *worth) == tuple(values[i] for values in columns.values())
    assert ["t_stat", "p_luck", "psr", "dsr_independent", "dsr_tried"] == list(columns)
    assert all(np.isnan(values).all() for values in ranked_columns(trials, None, 1).values())


def test_of_too_few_days_the_trades_alone_are_told(there):
    one = judged(there, 0, None)

    assert (None, None, None, None) == (one.chance, one.halving, one.ratio, one.unseen)
    assert math.isnan(one.spread.low_bps)
    assert one.spread.months


def test_a_single_alert_leaves_nothing_without_it(ready):
    windows, first = ready.windows, np.flatnonzero(ready.ok)[0]
    status = np.where(np.arange(ready.ok.size) == first, windows.status, arrays.PURGED)
    alone = dataclasses.replace(ready, windows=windows._replace(status=arrays.column(status, np.int64)))
    one = judged(ground(alone, "tables", MEMORY, None), 0, None, 1)
    spread = one.spread

    assert (1, 1) == (one.alerts, one.days)
    assert all(map(math.isnan, (spread.without_best, spread.without_best_5, spread.without_caller.mean_bps)))
    assert (0, 0) == (spread.without_caller.alerts, spread.without_token.alerts)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("engine", ["tables", "bars"])
def test_evidence_is_the_same_by_any_engine(ready, luck, threads, engine):
    usual, other = (judged(ground(ready, *how), 5, luck) for how in (("tables", MEMORY, 1), (engine, 20_000, threads)))

    assert repr(usual) == repr(other)
