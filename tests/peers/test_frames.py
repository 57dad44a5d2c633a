"""Frames of polars and pandas go in as they are, and runs come out as frames."""

import polars
import pytest
import small_market
from highwater.engine import notebook
from highwater.io.digest import content_sha256


@pytest.mark.parametrize("frame", [polars.from_arrow, lambda table: table.to_pandas()], ids=["polars", "pandas"])
def test_frames_are_tables(tmp_path, frame):
    candles, alerts = small_market.tables()
    end = int(candles.schema.metadata[b"coverage_end_ms"])
    made = notebook.strategy(frame(alerts), frame(candles), sl=0.8, coverage_end=end, runs=tmp_path)
    plain = notebook.strategy(alerts, candles, sl=0.8, coverage_end=end, runs=tmp_path / "arrow")

    assert content_sha256(plain.table()) == content_sha256(made.table())
    assert made.to_polars().equals(polars.DataFrame(made))
    assert made.table().num_rows == len(made.to_pandas())
