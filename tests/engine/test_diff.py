import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small_market
from highwater.engine.diff import changes, first_row
from highwater.engine.diff_trades import REASONS, metrics, trades
from highwater.io.publish import stage
from highwater.io.runs import read_artifact, read_manifest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_market import run, tables
from small_runs import made_by, with_a_crash

USUAL = ["strategy", "--tp", "1.1", "--sl", "0.8", "--trail", "0.1"]
# What the second run does otherwise, and the reasons that must come up (beside "same").
WAYS = {
    "nothing": ([], set()),
    "dearer": (["--fee-bps", "40"], {"costs only"}),
    "later": (["--latency", "20m"], {"entry moved"}),
    "another order in the candle": (["--intrabar", "optimistic"], {"ambiguity flipped"}),
    "a wider trail": (["--trail", "0.2"], {"exit reason changed", "price or time moved"}),
    "a short wait": (["--max-entry-delay", "150s"], {"status changed"}),
    "fewer alerts": ("alerts", {"only in the first"}),
    "more alerts": ("market", {"only in the second"}),
    "a changed candle": ("candles", {"data changed"}),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return the directories of the usual run, and of each way's first and second run."""
    folder = tmp_path_factory.mktemp("market")
    market = small_market.write(folder)
    pq.write_table(tables()[1].slice(0, 15), folder / "fewer.parquet")
    usual = made_by(USUAL, market, folder / "runs")
    pq.write_table(with_a_crash(usual, 2)[0], folder / "changed.parquet")
    others = {
        "alerts": market._replace(alerts=folder / "fewer.parquet"),
        "candles": market._replace(candles=folder / "changed.parquet"),
    }
    pairs = {}
    for way, (more, _) in WAYS.items():
        if isinstance(more, list):
            words = [*USUAL[: USUAL.index(more[0])], *more] if more and more[0] in USUAL else [*USUAL, *more]
            pairs[way] = usual, made_by(words, market, folder / "runs")
        elif more != "market":
            pairs[way] = usual, made_by(USUAL, others[more], folder / "runs")
    pairs["more alerts"] = pairs["fewer alerts"][::-1]
    return folder, pairs


def compared(runs, top=1000):
    return trades(runs, changes(*map(read_manifest, runs)), top)


def expected_reason(a, b, moved):
    """Return the reason of a pair of trades (None where one run lacks it), from its rows alone."""

    def alike(*names):
        return all(a[name] == b[name] for name in names)

    exits = ("exit_reason", "exit_ts_ms", "exit_px", "gross", "n_fills")
    if a is None or b is None:
        return "only in the first" if b is None else "only in the second"
    if all(a[name] == b[name] for name in a if name not in ("run_id", "policy_id")):
        return "same"
    tests = {
        "data changed": moved,
        "status changed": not alike("status"),
        "entry moved": not alike("entry_ts_ms", "entry_px"),
        "ambiguity flipped": not alike("ambiguous")
        if alike(*exits)
        else a["ambiguous"] and alike("worst_bps", "best_bps"),
        "exit reason changed": not alike("exit_reason"),
        "price or time moved": not alike(*exits),
        "costs only": not alike("ret_q"),
        "bounds moved": not alike("worst_bps", "best_bps"),
    }
    return next((reason for reason, true in tests.items() if true), "other columns")


@pytest.mark.parametrize("way", WAYS)
def test_every_pair_has_its_reason_and_the_changes_add_up(home, way):
    runs = home[1][way]
    sides = [{row["call_id"]: row for row in read_artifact(one, "trades").to_pylist()} for one in runs]
    expected: dict = {}
    for call in sides[0] | sides[1]:
        a, b = (side.get(call) for side in sides)
        returns = [row["ret_q"] if row else None for row in (a, b)]
        if returns != [None, None]:
            reason = expected_reason(a, b, way == "a changed candle")
            row = expected.setdefault(reason, {"trades": 0, "first_q": 0, "second_q": 0})
            first, second = (value or 0 for value in returns)
            row["trades"] += 1
            row["first_q"] += first
            row["second_q"] += second
    found = {row.pop("reason"): row for row in compared(runs).totals.to_pylist()}
    moved = {reason: row.pop("change_q") for reason, row in found.items()}

    assert expected == found
    assert {reason: row["second_q"] - row["first_q"] for reason, row in expected.items()} == moved
    assert sorted(found, key=REASONS.index) == list(found)
    assert WAYS[way][1] <= set(found)
    assert way not in ("nothing", "dearer", "a changed candle") or set(found) <= WAYS[way][1] | {"same"}


def test_the_largest_changes_come_first_and_hold_both_trades(home):
    runs = home[1]["a wider trail"]
    rows = compared(runs, 5).rows.to_pylist()
    sides = [{row["call_id"]: row for row in read_artifact(one, "trades").to_pylist()} for one in runs]
    sizes = sorted(
        abs(sides[1][call]["ret_q"] - sides[0][call]["ret_q"]) for call in sides[0] if sides[0][call]["ret_q"]
    )

    assert sizes[:-6:-1] == [abs(row["change_q"]) for row in rows]
    for row in rows:
        for label, side in zip(("first", "second"), sides, strict=True):
            for name in ("policy_id", "entry_px", "exit_ts_ms", "exit_reason", "worst_bps"):
                assert side[row["call_id"]][name] == row[f"{label}_{name}"]


def test_a_change_of_data_is_told_though_the_rules_changed_too(home):
    folder, pairs = home
    market = small_market.Market(folder / "changed.parquet", folder / "alerts.parquet")
    both = made_by([*USUAL, "--fee-bps", "40"], market, folder / "runs")
    found = {row["reason"]: row["trades"] for row in compared((pairs["nothing"][0], both)).totals.to_pylist()}
    paths = [read_artifact(one, "paths").drop_columns(["run_id"]).to_pylist() for one in (pairs["nothing"][0], both)]

    assert sum(a != b for a, b in zip(*paths, strict=True)) == found["data changed"] >= 1
    assert {"data changed", "costs only"} == set(found)


def test_policies_are_compared_with_themselves_where_a_run_has_several(home):
    folder, _ = home
    market = small_market.Market(folder / "candles.parquet", folder / "alerts.parquet")
    sweep = ["sweep", "--trials", "40", "--seed", "3"]
    three = made_by([*sweep, "--trades", "3"], market, folder / "runs")
    one = made_by(sweep, market, folder / "runs")
    ok = read_manifest(one).counts["OK"]

    assert {"same": ok, "only in the first": 2 * ok} == {
        row["reason"]: row["trades"] for row in compared((three, one)).totals.to_pylist()
    }


def test_runs_without_trades_are_compared_by_their_metrics(home):
    folder, _ = home
    first, second = (
        small_market.Market(folder / f"{c}.parquet", folder / f"{a}.parquet")
        for c, a in (("candles", "alerts"), ("changed", "fewer"))
    )
    runs = tuple(
        made_by(["baseline", "--multiples", k], market, folder / "runs")
        for k, market in (("1.2", first), ("1.5", second))
    )
    found = metrics(runs)
    a, b = ({row.pop("call_id"): row for row in read_artifact(one, "paths").to_pylist()} for one in runs)
    both = set.intersection(*(set(row) for row in (*a.values(), *b.values()))) - {"run_id"}
    unlike = {name: {call: (a[call][name], row[name]) for call, row in b.items()} for name in both}
    unlike = {name: {call: pair for call, pair in each.items() if pair[0] != pair[1]} for name, each in unlike.items()}

    assert {name: len(each) for name, each in unlike.items() if each} == {m.name: m.alerts for m in found.metrics}
    assert 0 < len(found.metrics) < len(both)
    assert (len(b), (len(a) - len(b), 0)) == (found.alerts, found.only)
    assert {"hit_1_2x", "hit_1_5x"} <= set(found.columns)
    for m in found.metrics:
        assert unlike[m.name][m.call_id] == (m.before, m.after)
        steps = [abs(float(new) - float(old)) for old, new in unlike[m.name].values() if None not in (old, new)]
        assert not steps or max(steps) == abs(float(m.after) - float(m.before))


def test_the_command_prints_totals_then_rows_within_80_columns(home):
    _, pairs = home
    words = ("runs", "diff", *(str(one) for one in pairs["a wider trail"]))
    said, found = run(*words, "--top", 3), json.loads(run(*words, "--top", 3, "--json").out)
    tables_of = said.out.partition("Trades, and")[2].splitlines()

    assert (0, "") == (said.code, said.err)
    assert "changed    config policy.trail.pct: 0.1 became 0.2\n\n" in said.out
    assert all(len(line) <= 80 for line in tables_of)
    assert tables_of.index("") < next(i for i, line in enumerate(tables_of) if "The largest changes" in line)
    assert 3 == len(found["rows"])
    assert sum(row["trades"] for row in found["totals"]) == read_manifest(pairs["nothing"][0]).counts["OK"]
    assert [{"kind": "config", "what": "policy"}] == [{k: c[k] for k in ("kind", "what")} for c in found["changes"]]
    assert {"reason", "trades", "first_bps", "second_bps", "change_bps"} == set(found["totals"][0])
    assert pytest.approx(found["rows"][0]["change_bps"], abs=0.01) == (
        found["rows"][0]["second_realized_return_bps"] - found["rows"][0]["first_realized_return_bps"]
    )


def test_the_command_prints_metrics_of_runs_without_trades(home):
    folder, pairs = home
    market = small_market.Market(folder / "candles.parquet", folder / "alerts.parquet")
    before = made_by(["baseline"], market, folder / "runs")
    same = run("runs", "diff", before, made_by(["baseline"], market, folder / "runs"))
    other = made_by(["baseline"], market._replace(candles=folder / "changed.parquet"), folder / "runs")
    words = ("runs", "diff", before, other)
    found = json.loads(run(*words, "--json").out)

    assert "their path metrics are the same" in same.out
    assert f"{len(found['metrics'])} metrics differ" in run(*words).out
    assert "and 2 more; --top shows them" not in run(*words, "--top", 500).out
    assert 0 == run("runs", "diff", before, pairs["nothing"][0]).code


def test_runs_with_nothing_in_common_and_names_that_fit_none_are_refused(tmp_path):
    with stage(tmp_path, "traces") as staged:
        path = staged.publish()
    nothing = run("runs", "diff", path, path, "--runs", tmp_path)
    missing = run("runs", "diff", "latest", "01zzzz", "--runs", tmp_path)

    assert (2, 2) == (nothing.code, missing.code)
    assert "neither trades nor paths in common" in nothing.err
    assert "no run '01zzzz'" in missing.err
    assert 2 == run("runs", "diff", path, path, "--top", "-1", "--runs", tmp_path).code


CELLS = st.lists(st.none() | st.integers(-2, 2), max_size=6)


@settings(deadline=None)
@given(
    CELLS, CELLS, st.sampled_from([(pa.int64(), int), (pa.float64(), float), (pa.string(), str), (pa.bool_(), bool)])
)
def test_the_first_row_that_differs(a, b, kind):
    a, b = ([None if value is None else kind[1](value) for value in side] for side in (a, b))
    columns = [pa.chunked_array([side], kind[0]) for side in (a, b)]

    assert next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None) == first_row(*columns)
