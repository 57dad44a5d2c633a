import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from highwater.io.candles import read_candles
from highwater.io.errors import IntegrityError
from highwater.io.sources import kept
from highwater.io.sources.series import Origin
from highwater.io.sources.sessions import Walk, make

OPENS = np.array([1_704_205_800_000, 1_704_292_200_000])
BARS = make("SPY", OPENS, OPENS + 23_400_000, 60_000, Walk())
ORIGIN = Origin("yahoo", "SPY", "2024-01-02", "2024-01-04", "America/New_York", 60_000, "splits", "yfinance 1.7.0")


def test_what_is_kept_comes_back(tmp_path):
    path = kept.keep(tmp_path / "new", ORIGIN, BARS, ("a note",))
    found, notes = kept.find(tmp_path / "new", ORIGIN)

    assert f"SPY_2024-01-02_2024-01-04_{ORIGIN.digest[:12]}.parquet" == path.name
    assert all(np.array_equal(*pair) for pair in zip(BARS, found, strict=True))
    assert not any(part.flags.writeable for part in found)
    assert ("a note",) == notes
    assert [path] == list(path.parent.iterdir())


def test_nothing_is_found_where_nothing_was_kept(tmp_path):
    assert kept.find(tmp_path, ORIGIN) is None
    assert kept.find(tmp_path / "missing", ORIGIN) is None


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "synthetic"},
        {"symbol": "spy"},
        {"first": "2024-01-01"},
        {"end": "2024-01-05"},
        {"zone": "UTC"},
        {"interval_ms": 300_000},
        {"adjustment": "splits and dividends"},
        {"library": "yfinance 1.8.0"},
        {"at": "http://127.0.0.1:1"},
        {"settings": "00"},
        {"version": 2},
    ],
)
def test_another_origin_never_stands_in(tmp_path, other):
    """Neither by name nor, where a file was renamed, by what it says of itself."""
    asked = dataclasses.replace(ORIGIN, **other)
    path = kept.keep(tmp_path, ORIGIN, BARS, ())
    assert kept.find(tmp_path, asked) is None

    path.rename(kept.path_of(tmp_path, asked))
    with pytest.raises(IntegrityError, match="holds other candles than it is named after"):
        kept.find(tmp_path, asked)


@pytest.mark.parametrize("symbol", ["../../etc/passwd", "BTC/USDT", "^GSPC", "a" * 99, "", "Ärger", ".hidden", "nul\0"])
def test_no_symbol_leads_out_of_the_folder(tmp_path, symbol):
    path = kept.keep(tmp_path, dataclasses.replace(ORIGIN, symbol=symbol), BARS, ())

    assert tmp_path == path.parent and path.is_file() and len(path.name) < 80
    assert path.name.isascii() and path.name[0] != "."


def damaged(data, kind):
    if kind == "cut":
        return data[: len(data) // 2]
    if kind == "empty":
        return b""
    if kind == "a page":
        return data[:3000] + bytes([data[3000] ^ 1]) + data[3001:]
    return b"symbol,timestamp\n"


@pytest.mark.parametrize("kind", ["cut", "empty", "a page", "text"])
def test_a_damaged_file_is_told_from_a_whole_one(tmp_path, kind):
    path = kept.keep(tmp_path, ORIGIN, BARS, ())
    data = damaged(path.read_bytes(), kind)
    path.unlink()
    path.write_bytes(data)

    with pytest.raises(IntegrityError, match="is damaged"):
        kept.find(tmp_path, ORIGIN)


def rewritten(path, change):
    table = pq.read_table(path)
    path.unlink()
    pq.write_table(change(table), path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.slice(1), "its candles are not those that were kept"),
        (lambda t: t.set_column(5, "close", pa.nulls(len(t), pa.float64())), "its candles are not those"),
        (lambda t: t.set_column(1, t.schema.field(1), pa.nulls(len(t), t.schema.field(1).type)), "its candles are not"),
        (lambda t: t.drop_columns("volume"), "holds other candles"),
        (lambda t: t.replace_schema_metadata(None), "was not kept by this version"),
    ],
)
def test_a_file_that_was_written_again_is_not_ours(tmp_path, change, says):
    path = kept.keep(tmp_path, ORIGIN, BARS, ())
    rewritten(path, change)

    with pytest.raises(IntegrityError, match=says):
        kept.find(tmp_path, ORIGIN)


def test_a_link_is_not_followed(tmp_path):
    path = kept.keep(tmp_path, ORIGIN, BARS, ())
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(IntegrityError, match="is not a plain file"):
        kept.find(tmp_path, ORIGIN)


def test_what_is_kept_again_takes_the_place_of_what_was(tmp_path):
    kept.keep(tmp_path, ORIGIN, BARS, ("old",))
    path = kept.keep(tmp_path, ORIGIN, BARS, ("new",))

    assert ("new",) == kept.find(tmp_path, ORIGIN)[1]
    assert [path] == list(tmp_path.iterdir())


def test_kept_files_are_read_as_any_other(tmp_path):
    kept.keep(tmp_path, ORIGIN, BARS, ())

    assert ("SPY",) == read_candles(tmp_path).tokens
