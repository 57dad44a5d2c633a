"""Tables handed over in memory, by anything that has ``__arrow_c_stream__``, kept as files that can be read again."""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from .errors import SchemaError, UsageError
from .exports import NEW, placed

FOLDER = ".tables"  # in a directory of runs


def kept(given: Any, folder: Path, kind: str) -> Path:
    """Return the file that ``given`` names, or the Parquet file in ``folder`` that holds the table it is.

    A table (of pandas, polars, DuckDB, pyarrow, ...) is named by its content, and written once. Raises UsageError for
    what is neither a path nor a table, SchemaError for columns that Parquet cannot hold.
    """
    if isinstance(given, str | Path):
        return Path(given)
    if not hasattr(given, "__arrow_c_stream__"):
        raise UsageError(f"{kind} is a {type(given).__name__}; it must be a file, or a table with __arrow_c_stream__")
    table = _plain(pa.table(given))
    path = folder / f"{kind}_{_digest(table)[:16]}.parquet"
    if not path.exists():
        with placed(path, "free space, or name another runs directory") as draft:
            try:
                pq.write_table(table, draft / NEW, compression="zstd", compression_level=1)
            except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
                raise SchemaError(f"{kind}: {str(error).partition(chr(10))[0]}; leave that column out") from error
    return path


def _plain(table: pa.Table) -> pa.Table:
    """Return a table without views, which Parquet files of our readers do not have."""
    views = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    fields = [field.with_type(views.get(field.type, field.type)) for field in table.schema]
    return table.cast(pa.schema(fields, table.schema.metadata))


class _Sink:
    closed = False

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return len(data)

    def flush(self) -> None: ...

    def close(self) -> None: ...


def _digest(table: pa.Table) -> str:
    """Return the sha256 of a table as an Arrow stream: schema, metadata, values, and where it is cut."""
    sink = _Sink()
    with pa.PythonFile(sink, "w") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    return sink.digest.hexdigest()
