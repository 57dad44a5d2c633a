import json

import numpy as np
import pyarrow as pa
import pytest
from highwater.io.columns import NO_TIME
from highwater.io.errors import DataError, MissingError, SchemaError
from highwater.io.trades import read_trades
from small_candles import written

T = 1_700_000_040_000
COLUMNS = {
    "token": ["A", "B"],
    "entry_bar": pa.array([T, T + 60_000], pa.timestamp("ms")),
    "entry_price": [1.0, 2.0],
    "exit_bar": pa.array([T + 120_000, None], pa.timestamp("ms")),
    "exit_price": [1.5, None],
}


def told(found):
    rows = (found.entry_bar, found.entry_price, found.exit_bar, np.nan_to_num(found.exit_price, nan=-1))
    return found.token, *(values.tolist() for values in rows)


EXPECTED = ("A", "B"), [T, T + 60_000], [1.0, 2.0], [T + 120_000, NO_TIME], [1.5, -1.0]


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.csv", "t.csv.gz"])
def test_every_format(tmp_path, name):
    assert EXPECTED == told(read_trades(written(tmp_path / name, pa.table(COLUMNS))))


def test_json_lines_with_iso_times(tmp_path):
    rows = [
        {
            "mint": "A",
            "entry_time": "2023-11-14T22:14Z",
            "entry_px": 1,
            "exit_time": "2023-11-14T22:16Z",
            "exit_px": 1.5,
        },
        {"mint": "B", "entry_time": "2023-11-14T22:15Z", "entry_px": 2, "exit_time": None, "exit_px": None},
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))

    assert EXPECTED == told(read_trades(tmp_path / "t.jsonl"))


def test_integer_times_and_no_token(tmp_path):
    seconds = COLUMNS | {"entry_bar": [T // 1000, T // 1000 + 60], "exit_bar": pa.array([T // 1000 + 120, None])}
    del seconds["token"]

    assert (None, *EXPECTED[1:]) == told(read_trades(written(tmp_path / "t.parquet", pa.table(seconds))))


@pytest.mark.parametrize(
    ("changed", "error", "says"),
    [
        ({"exit_price": None}, SchemaError, "has no column 'exit_price' (found: token, entry_bar"),
        ({"entry_bar": ["soon", "later"]}, DataError, "t.parquet:1: entry_bar is 'soon'"),
        (
            {"entry_bar": [1, 2]},
            SchemaError,
            "entry_bar falls between 1980 and 2100 in no unit; say it with --time-unit",
        ),
        ({"entry_price": ["x", "2"]}, DataError, "entry_price is 'x'; it must be a number"),
    ],
)
def test_what_is_no_trade_is_named(tmp_path, changed, error, says):
    cells = {name: cell for name, cell in (COLUMNS | changed).items() if cell is not None}
    with pytest.raises(error) as found:
        read_trades(written(tmp_path / "t.parquet", pa.table(cells)))

    assert says in str(found.value)


def test_an_empty_or_missing_file(tmp_path):
    with pytest.raises(DataError, match="holds no trades"):
        read_trades(written(tmp_path / "t.parquet", pa.table(COLUMNS).slice(0, 0)))
    with pytest.raises(MissingError):
        read_trades(tmp_path / "none.parquet")
