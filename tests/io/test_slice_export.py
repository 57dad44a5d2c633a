import re

import pytest
from highwater.io.candles import read_candles
from highwater.io.slice_export import export
from highwater.io.slices import build
from slice_market import MARK, market, same_candles, small_slice, spans


@pytest.mark.parametrize("partitioned", [False, True])
@pytest.mark.parametrize("tokens", [None, {"B", "zZ"}])
def test_an_export_reads_back_as_the_same_candles(tmp_path, partitioned, tokens):
    found = market({"A": range(10), "B": range(11), "zZ": [3]})
    one = build(tmp_path, found, spans(*((token, -1, 0, 9) for token in ("A", "B", "zZ"))), MARK)
    back = read_candles(export(one, tmp_path / "out", partitioned), tokens)
    first = 0 if tokens is None else one.facts.offsets[1]

    assert [token for token in one.facts.tokens if tokens is None or token in tokens] == list(back.tokens)
    assert same_candles([part[first:] for part in one.candles], back.candles)
    assert [offset - first for offset in one.facts.offsets if offset >= first] == back.offsets.tolist()


@pytest.mark.parametrize("partitioned", [False, True])
def test_a_slice_can_be_exported_twice(tmp_path, partitioned):
    small = small_slice(tmp_path)
    first, second = (export(small, tmp_path / "out", partitioned) for _ in range(2))

    assert first == second
    assert same_candles(small.candles, read_candles(second).candles)


HOSTILE = (
    "../../up",
    "/etc/passwd",
    "a/b",
    "..",
    "nul\0byte",
    "x" * 300,
    "line\nbreak",
    "Straße \u202e",
    "a=b",
    "%2F",
    "A",
    "a",
)


@pytest.mark.parametrize("partitioned", [False, True])
def test_hostile_names_stay_inside_the_folder_and_come_back(tmp_path, partitioned):
    found = market({token: range(k + 1) for k, token in enumerate(HOSTILE)})
    one = build(tmp_path / "in", found, spans(*((token, -1, 0, 99) for token in HOSTILE)), MARK)
    path = export(one, tmp_path / "out", partitioned)
    back = read_candles(path)

    assert sorted(HOSTILE) == list(back.tokens)
    assert same_candles(one.candles, back.candles)
    assert {"in", "out"} == {each.name for each in tmp_path.iterdir()}
    assert all(re.fullmatch(r"[\w.~=%-]+", each.name, re.ASCII) for each in tmp_path.rglob("*"))
