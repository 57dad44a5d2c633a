import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from highwater.io.candles import CandleOptions
from highwater.io.columns import NO_TIME
from highwater.io.validate import BAD_KINDS, ERRORS, validate
from hypothesis import given, settings
from hypothesis import strategies as st

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("d*.json"))
PLAIN = CandleOptions()


def columns(bars):
    ts = np.array([bar[0] for bar in bars], np.int64)
    prices = [np.array([float(bar[i]) for bar in bars]) for i in range(1, 5)]
    return ts, *prices, np.ones(ts.size)


def judged(bars, options=PLAIN):
    """Everything the golden cases state about one series."""
    data = columns(bars)
    keep, found = validate(*data, options)
    kinds = found.bad_kinds[0]
    error = ERRORS[found.error[0]]
    return {
        "error": error,
        "where": int(found.where[0]) if error else None,
        "counters": {
            "rows_in": int(found.rows_in[0]),
            "bad_bars": int(kinds.sum()),
            "dup_identical": int(found.dup_identical[0]),
            "dup_conflict": int(found.dup_conflict[0]),
            "unsorted": int(found.unsorted[0]),
            "bad_kinds": {k: int(n) for k, n in zip(BAD_KINDS, kinds, strict=True) if n},
            "rows_out": int(keep.size),
        },
        "kept_ts": data[0][keep].tolist(),
    }


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_data_cases(path):
    case = json.loads(path.read_text())
    expected = case["expect"]["validation"]
    actual = judged(case["bars"], CandleOptions(**case.get("validate", {})))
    actual["counters"] = {name: actual["counters"][name] for name in expected["counters"]}

    assert expected == actual


def test_there_are_golden_cases():
    assert len(GOLDEN) >= 10


@pytest.mark.parametrize(
    ("bar", "kind"),
    [
        (("nan", -1, 0, 5), "nan"),
        (("inf", -1, 0, 5), "inf"),
        (("-inf", 1, 1, 1), "inf"),
        ((-1, 0, 1, 1), "negative"),
        ((0, 1, 2, 1), "zero"),
        ((-0.0, 1, 1, 1), "zero"),
        ((5, 1, 2, 5), "high_lt_low"),
        ((3, 2, 1, 1), "oc_outside_hl"),
        ((2, 3, 2, 1), "oc_outside_hl"),
    ],
)
def test_kind_of_bad_bar_is_the_first_that_holds(bar, kind):
    actual = judged([(0, *bar)])["counters"]["bad_kinds"]

    assert {kind: 1} == actual


def test_bar_without_time_is_bad():
    actual = judged([(0, 1, 1, 1, 1), (NO_TIME, 1, 1, 1, 1), (1, 1, 1, 1, 1)])

    assert ({"no_time": 1}, [0, 1], None) == (actual["counters"]["bad_kinds"], actual["kept_ts"], actual["error"])


def test_bad_bar_neither_unsorts_nor_contradicts():
    actual = judged([(60, 1, 1, 1, 1), (0, "nan", 1, 1, 1), (60, -1, 1, 1, 1), (120, 1, 1, 1, 1)])

    assert (None, [60, 120]) == (actual["error"], actual["kept_ts"])


@pytest.mark.parametrize(("choice", "kept"), [("first", [0, 1]), ("last", [0, 3])])
def test_conflict_keeps_the_row_asked_for(choice, kept):
    bars = [(0, 1, 1, 1, 1), (9, 2, 2, 2, 2), (9, 3, 3, 3, 3), (9, 2, 2, 2, 2)]
    keep, found = validate(*columns(bars), CandleOptions(on_dup_conflict=choice))

    assert (kept, 1, 1) == (keep.tolist(), found.dup_conflict[0], found.dup_identical[0])


def test_bad_volume_is_counted_on_kept_rows_only():
    data = columns([(i, 1, 1, 1, 1) for i in range(4)] + [(9, "nan", 1, 1, 1)])
    data[5][:] = [np.nan, -1, np.inf, 0, np.nan]
    _, found = validate(*data, CandleOptions())

    assert [3] == found.bad_volume.tolist()


def test_no_rows():
    keep, found = validate(*columns([]), CandleOptions())

    assert ([], [0]) == (keep.tolist(), found.rows_in.tolist())


price = st.sampled_from([1.0, 2.0, 3.0, 0.0, -1.0, float("nan"), float("inf")])
bar = st.tuples(st.integers(0, 4), price, price, price, price)
plain = st.tuples(st.integers(0, 4), *[st.just(1.0)] * 4)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(bar | plain, max_size=6), min_size=1, max_size=4),
    st.sampled_from(["reject", "sort"]),
    st.sampled_from(["reject", "first", "last"]),
)
def test_many_series_at_once_are_judged_one_by_one(series, unsorted, conflict):
    options = CandleOptions(on_unsorted=unsorted, on_dup_conflict=conflict)
    offsets = np.concatenate(([0], np.cumsum([len(bars) for bars in series])))
    keep, found = validate(*columns([bar for bars in series for bar in bars]), options, offsets)
    for i, bars in enumerate(series):
        mine, alone = validate(*columns(bars), options)
        kept = keep[(keep >= offsets[i]) & (keep < offsets[i + 1])] - offsets[i]

        assert mine.tolist() == kept.tolist()
        assert [a[0].tolist() for a in alone] == [a[i].tolist() for a in found]


@settings(max_examples=150, deadline=None)
@given(st.lists(bar | plain, max_size=8), st.sampled_from(["reject", "sort"]))
def test_rules_read_plainly(bars, unsorted):
    def good(bar):
        _, o, h, l, c = bar
        return all(0 < x < float("inf") for x in bar[1:]) and l <= min(o, c) and max(o, c) <= h

    clean = [bar for bar in bars if good(bar)]
    backwards = any(b[0] < a[0] for a, b in pairwise(clean))
    ordered = sorted(clean, key=lambda bar: bar[0])
    conflict = any(a[0] == b[0] and a != b for a in ordered for b in ordered)
    expected = "E_UNSORTED" if backwards and unsorted == "reject" else "E_DUP_CONFLICT" if conflict else None
    actual = judged(bars, CandleOptions(on_unsorted=unsorted))

    assert expected == actual["error"]
    assert (sorted({bar[0] for bar in clean}) if expected is None else []) == actual["kept_ts"]
