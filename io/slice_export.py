"""A slice as Parquet, which can be read again as candles: one file, or a Hive directory."""

from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .durable import disk_errors, make_folder
from .exports import NEW, placed
from .names import safe_name
from .slices import Slice, candle_table


def export(one: Slice, folder: Path, partitioned: bool = False) -> Path:
    """Write a slice as Parquet and return the path: one file with a token_address column, or a Hive directory.

    A directory holds ``token_address=<mint>/data.parquet``.
    """
    with disk_errors(f"writing to {folder}", "name a directory that you may write to"):
        make_folder(folder)
    table, ends = candle_table(one.candles), {end for end in one.facts.coverage_end_ms if end}
    if len(ends) == 1:
        table = table.replace_schema_metadata({"coverage_end_ms": str(ends.pop())})
    tokens = np.repeat(np.arange(len(one.facts.tokens)), np.diff(one.facts.offsets))
    if not partitioned:
        names = pa.DictionaryArray.from_arrays(pa.array(tokens, pa.int32()), pa.array(one.facts.tokens)).cast(
            pa.string()
        )
        path = folder / f"{one.path.stem}.parquet"
        with placed(path, "name a directory that you may write to") as draft:
            pq.write_table(table.add_column(0, "token_address", names), draft / NEW, compression="zstd")
        return path
    path = folder / f"{one.path.stem}_part"
    for i, token in enumerate(one.facts.tokens):
        s, e = one.facts.offsets[i], one.facts.offsets[i + 1]
        if e > s:
            part = path / f"token_address={_folder_name(token)}"
            part.mkdir(parents=True, exist_ok=True)
            mine = table.slice(s, e - s).add_column(0, "token_address", pa.repeat(pa.scalar(token), e - s))
            pq.write_table(mine, part / "data.parquet", compression="zstd")
    return path


def _folder_name(token: str) -> str:
    """Return a token as one name of a directory: percent-encoded as Hive has it; a slug where that grows too long."""
    quoted = quote(token, safe="")
    return quoted if len(quoted) <= 200 else safe_name(token)
