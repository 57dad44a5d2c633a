import errno
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from highwater.io.errors import IntegrityError, MissingError, StoreError
from highwater.io.slices import build, find, fingerprint, open_slice, slices, verify
from slice_market import MARK, MINUTE, START, market, same_candles, small_slice, spans

linux = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="memory maps are listed on Linux only")


def kept(one):
    """Return token -> minutes of the candles of a slice."""
    at = ((one.candles.ts - START) // MINUTE).tolist()
    return {token: at[s:e] for token, (s, e) in zip(one.facts.tokens, pairwise(one.facts.offsets), strict=True)}


@pytest.fixture
def small(tmp_path):
    return small_slice(tmp_path)


def test_only_candles_inside_a_span_are_kept(tmp_path):
    one = build(tmp_path, market({"A": range(10)}), spans(("A", 2, 3, 6)), MARK)

    assert {"A": [3, 4, 5]} == kept(one)
    assert [4.0, 5.0, 6.0] == one.candles.open.tolist()
    assert (START + 3 * MINUTE, START + 6 * MINUTE) == (one.facts.from_ms, one.facts.to_ms)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("A", 0, 1, 3), ("A", 6, 7, 9)], [1, 2, 7, 8]),
        ([("A", 6, 7, 9), ("A", 0, 1, 3)], [1, 2, 7, 8]),
        ([("A", 0, 1, 5), ("A", 3, 4, 7)], [1, 2, 3, 4, 5, 6]),
        ([("A", 0, 1, 8), ("A", 3, 4, 5)], [1, 2, 3, 4, 5, 6, 7]),
        ([("A", 0, 1, 3), ("A", 2, 3, 5)], [1, 2, 3, 4]),
        ([("A", 0, 1, 3), ("A", 0, 1, 3)], [1, 2]),
    ],
    ids=["apart", "any order", "overlapping", "nested", "touching", "twice"],
)
def test_spans_of_a_token_are_united(tmp_path, rows, expected):
    one = build(tmp_path, market({"A": range(10)}), spans(*rows), MARK)

    assert {"A": expected} == kept(one)


@pytest.mark.parametrize(
    ("at", "expected"),
    [([0, 500, 501], [500]), ([3, 4, 500], [3, 4]), ([0, 1], [])],
    ids=["after the span", "inside", "none"],
)
def test_the_first_candle_at_or_after_the_time_asked_for_is_kept_however_late(tmp_path, at, expected):
    one = build(tmp_path, market({"A": at}), spans(("A", 2, 3, 6)), MARK)

    assert {"A": expected} == kept(one)


def test_tokens_that_are_absent_or_not_asked_for_have_no_rows(tmp_path):
    one = build(tmp_path, market({"A": range(5), "C": range(5)}), spans(("A", -1, 0, 2), ("B", -1, 0, 2)), MARK)

    assert {"A": [0, 1], "C": []} == kept(one)


def test_a_slice_without_candles_can_be_read(tmp_path):
    build(tmp_path, market({"A": range(5)}), spans(("B", -1, 0, 2)), MARK)
    one = find(tmp_path, MARK)

    assert one is not None
    assert (0, 0) == (one.facts.rows, one.candles.ts.size)
    verify(one)


def test_grid_and_coverage_are_told_by_token(tmp_path):
    found = market({"A": range(5), "B": [0, 1], "C": [0, 1.5]})
    one = build(tmp_path, found, spans(*((token, -1, 0, 9) for token in "ABC")), MARK)

    assert (True, True, False) == one.facts.on_grid
    assert (START + 10**9,) * 3 == one.facts.coverage_end_ms


@linux
@pytest.mark.parametrize("rows", [1, 7, 8, 21, 1000])
def test_columns_are_aligned_views_of_the_mapped_file(tmp_path, rows):
    one = build(tmp_path, market({"A": range(rows)}), spans(("A", -1, 0, rows)), MARK)
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(str(one.path))]
    ranges = [[int(end, 16) for end in line[0].split("-")] for line in maps]

    for part in one.candles:
        first, last = part.ctypes.data, part.ctypes.data + part.nbytes
        assert rows == part.size
        assert any(s <= first and last <= e for s, e in ranges)
        assert 0 == first % 64
        assert not part.flags.writeable


GROWTH = """
import sys
from pathlib import Path
from highwater.io.slices import open_slice

def own():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

open_slice(sys.argv[2])
before = own()
one = open_slice(sys.argv[1])
total = sum(float(part[::512].sum()) for part in one.candles)
print(own() - before, total)
"""


@linux
def test_a_large_slice_takes_no_memory_of_its_own(tmp_path):
    rows = 4_500_000
    found = market({"A": range(rows)})
    large = build(tmp_path / "large", found, spans(("A", -1, 0, rows)), MARK)
    small = build(tmp_path / "small", market({"A": range(8)}), spans(("A", -1, 0, 8)), MARK)
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, large.path, small.path], check=True, capture_output=True, text=True
    )
    grown_kib, _ = done.stdout.split()

    assert large.facts.bytes > 200_000_000
    assert int(grown_kib) < 8_192


KERNELS = """
import sys
from pathlib import Path
import numpy as np
from highwater.io.slices import open_slice
from highwater.kernels import Alerts, Costs, Rules, column, enter_all, entry_rule, measure_all, policy, simulate_all

def kib(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

def worked(path):
    one, step = open_slice(path), 60_000
    first = np.arange(0, one.facts.rows, 3_000)
    last, ts = np.minimum(first + 3_000, one.facts.rows), one.candles.ts[first]
    ends, even = np.full(first.size, one.candles.ts[-1] + step), np.ones(first.size, bool)
    asked = Alerts(*(column(each, each.dtype) for each in (first, last, ts, np.full(first.size, np.nan), ends, even)))
    nobody = column(np.zeros(first.size), np.int64)
    windows = enter_all(one.candles, asked, entry_rule(0, 2_000 * step, step), nobody)
    windows = type(windows)(*(column(each, each.dtype) for each in windows))
    measure_all(one.candles, windows, asked, step, column([1.0001, 2.0]))
    simulate_all(one.candles, windows, step, policy(sl=0.5, tp=[2.0]), Rules(), Costs())
    return one, int((windows.last - windows.first).sum())

worked(sys.argv[2])
Path("/proc/self/clear_refs").write_text("5")  # the peak so far, that of the compiler, is forgotten
before = kib("RssAnon")
mapped, candles = worked(sys.argv[1])
print(kib("VmHWM") - kib("RssFile") - kib("RssShmem") - before, candles)
"""


@linux
def test_kernels_read_a_large_slice_where_it_lies(tmp_path):
    """Even for a moment there is no second copy: at its peak the process holds the file's pages and little else."""
    rows = 3_000_000
    large = build(tmp_path / "large", market({"A": range(rows)}), spans(("A", -1, 0, rows)), MARK)
    small = build(tmp_path / "small", market({"A": range(6_000)}), spans(("A", -1, 0, 6_000)), MARK)
    done = subprocess.run(
        [sys.executable, "-c", KERNELS, large.path, small.path], check=True, capture_output=True, text=True
    )
    grown_kib, candles = map(int, done.stdout.split())

    assert large.facts.bytes > 140_000_000
    assert 2_000_000 == candles
    assert grown_kib < 8_192


def test_the_fingerprint_covers_all_that_a_slice_is_cut_from():
    rows = [("A", 0, 1, 9), ("B", 0, 1, 9)]
    variants = [
        (("s1", "s2"), spans(*rows), {"interval": MINUTE}),
        (("s1", "s3"), spans(*rows), {"interval": MINUTE}),
        (("s1",), spans(*rows), {"interval": MINUTE}),
        (("s1", "s2"), spans(*rows), {"interval": 2 * MINUTE}),
        (("s1", "s2"), spans(*rows), {"interval": MINUTE, "on_bad_bar": "error"}),
        (("s1", "s2"), spans(("A", 0, 1, 10), rows[1]), {"interval": MINUTE}),
        (("s1", "s2"), spans(("A", 0, 2, 9), rows[1]), {"interval": MINUTE}),
        (("s1", "s2"), spans(("A", -1, 1, 9), rows[1]), {"interval": MINUTE}),
        (("s1", "s2"), spans(rows[0], ("C", 0, 1, 9)), {"interval": MINUTE}),
        (("s1", "s2"), spans(rows[0], ("A", 0, 1, 9)), {"interval": MINUTE}),
    ]
    marks = [fingerprint(*variant) for variant in variants]

    assert len(variants) == len(set(marks))
    assert marks[0] == fingerprint(("s2", "s1"), spans(*rows), {"interval": MINUTE})
    assert re.fullmatch("[0-9a-f]{64}", marks[0])


def test_a_slice_is_found_by_its_fingerprint_alone(tmp_path, small):
    again = find(tmp_path, MARK)

    assert again is not None
    assert small.facts == again.facts
    assert same_candles(small.candles, again.candles)
    assert find(tmp_path, "cd" * 32) is None
    assert find(tmp_path, MARK[:12] + "0" * 52) is None
    assert find(tmp_path / "nowhere", MARK) is None


def test_cutting_the_same_slice_again_replaces_it_with_the_same_bytes(tmp_path, small):
    before = small.path.read_bytes()
    build(tmp_path, market({"A": range(10), "B": range(11)}), spans(("A", -1, 0, 99), ("B", -1, 0, 99)), MARK)

    assert [small.path] == sorted(tmp_path.glob("*.arrow"))
    assert before == small.path.read_bytes()
    assert {small.path.name, small.path.with_suffix(".json").name} == {path.name for path in tmp_path.iterdir()}


def test_a_draft_that_a_killed_process_left_is_in_nobodys_way(tmp_path):
    found, asked = market({"A": range(10)}), spans(("A", -1, 0, 99))
    one = build(tmp_path, found, asked, MARK)
    one.path.unlink()
    (tmp_path / f"{one.path.name}.{os.getpid()}.draft").write_bytes(b"half")

    assert same_candles(one.candles, build(tmp_path, found, asked, MARK).candles)


def test_a_build_that_is_cut_short_leaves_no_slice(tmp_path, monkeypatch):
    def full(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("highwater.io.exports.sync_folder", full)
    with pytest.raises(StoreError, match=r"disk full while writing .*; free space or choose another --slices folder"):
        build(tmp_path, market({"A": range(10)}), spans(("A", -1, 0, 99)), MARK)

    assert [] == list(slices(tmp_path))
    assert find(tmp_path, MARK) is None


def test_a_flipped_bit_is_found(small):
    verify(small)
    data = bytearray(small.path.read_bytes())
    at = data.index(np.float64(7.0).tobytes())
    data[at] ^= 1
    small.path.chmod(0o600)
    small.path.write_bytes(data)

    with pytest.raises(IntegrityError, match=r"\.arrow: content digest is \w{12}, its manifest says \w{12}; delete"):
        verify(open_slice(small.path))


def test_no_slice_is_missing(tmp_path):
    with pytest.raises(MissingError, match=r"x\.arrow is no slice: it or its \.json manifest is missing"):
        open_slice(tmp_path / "x.arrow")


@pytest.mark.parametrize("suffix", [".json", ".arrow"])
def test_half_a_slice_is_missing_and_not_found(tmp_path, small, suffix):
    small.path.with_suffix(suffix).unlink()

    with pytest.raises(MissingError, match="is no slice"):
        open_slice(small.path)
    assert find(tmp_path, MARK) is None


@pytest.mark.parametrize("size", [0, 100, -8])
def test_a_truncated_file_is_corrupt_and_not_found(tmp_path, small, size):
    data = small.path.read_bytes()
    small.path.chmod(0o600)
    small.path.write_bytes(data[:size])

    with pytest.raises(IntegrityError, match=r"has [\d,]+ bytes, its manifest says [\d,]+; delete both files"):
        open_slice(small.path)
    assert find(tmp_path, MARK) is None


def rewritten(path, **changed):
    """Change the manifest of a slice."""
    facts = path.with_suffix(".json")
    text = json.dumps({**json.loads(facts.read_text()), **changed})
    facts.chmod(0o600)
    facts.write_text(text)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"version": 0}, "version is 0, this reads 1"),
        ({"rows": "21"}, "rows is '21'; it must be int"),
        ({"rows": 22}, "rows"),
        ({"rows": -1}, "rows"),
        ({"interval_ms": 0}, "interval_ms"),
        ({"extra": 1}, "extra"),
        ({"offsets": [0, 10, 20]}, "offsets"),
        ({"offsets": [0, 10, 10**12]}, "offsets"),
        ({"offsets": [0, 30, 21]}, "offsets"),
        ({"offsets": [-5, 10, 21]}, "offsets"),
        ({"offsets": [0, 21]}, "offsets"),
        ({"tokens": ["A"]}, "tokens"),
        ({"coverage_end_ms": [1]}, "coverage_end_ms"),
        ({"on_grid": [True, True, True]}, "on_grid"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_an_edited_manifest_is_corrupt(tmp_path, small, changed, message):
    rewritten(small.path, **changed)

    with pytest.raises(IntegrityError, match=f"(?s)^[^\n]*{message}[^\n]*delete both files$"):
        open_slice(small.path)
    assert find(tmp_path, MARK) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 1}', "\xff"])
def test_a_manifest_that_is_none_is_corrupt(small, text):
    facts = small.path.with_suffix(".json")
    facts.chmod(0o600)
    facts.write_bytes(text.encode("latin-1"))

    with pytest.raises(IntegrityError, match="is not the manifest of a slice"):
        open_slice(small.path)


FLIPS = """
import sys
from pathlib import Path
from highwater.io.errors import IntegrityError
from highwater.io.slices import open_slice, verify

def content(one):
    return b"".join(part.tobytes() for part in one.candles)

path = Path(sys.argv[1])
good, expected = path.read_bytes(), content(open_slice(path))
path.chmod(0o600)
for at in range(0, 8 * len(good), 3):
    bad = bytearray(good)
    bad[at // 8] ^= 1 << at % 8
    path.write_bytes(bad)
    try:
        one = open_slice(path)
        verify(one)
    except IntegrityError:
        continue
    if content(one) != expected:
        print(at // 8)
"""


def test_a_flipped_bit_anywhere_is_refused_or_harmless(tmp_path):
    one = build(tmp_path, market({"A": range(8)}), spans(("A", -1, 0, 99)), MARK)
    done = subprocess.run([sys.executable, "-c", FLIPS, one.path], check=False, capture_output=True, text=True)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_slices_are_listed_by_name(tmp_path, small):
    other = build(tmp_path, market({"A": range(3)}), spans(("A", -1, 0, 99)), "cd" * 32)

    assert sorted([small.path, other.path]) == [one.path for one in slices(tmp_path)]


def test_a_large_slice_is_written_column_by_column_and_is_the_same_file(small, tmp_path, monkeypatch):
    monkeypatch.setattr("highwater.io.slices._SMALL", 0)
    monkeypatch.setattr("highwater.io.slices._BLOCK", 7)
    found = market({"A": range(10), "B": range(11)})
    large = build(tmp_path / "large", found, spans(("A", -1, 0, 99), ("B", -1, 0, 99)), MARK)

    assert small.facts == large.facts
    assert small.path.read_bytes() == large.path.read_bytes()
