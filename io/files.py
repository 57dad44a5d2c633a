"""Local table files as Arrow: Parquet, Arrow IPC and CSV, decoded under a budget, refused in one line."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq

from .columns import is_text, pc
from .errors import AccessError, DataError, HighwaterError, LimitError, MissingError, SchemaError, StoreError
from .folders import status

PARQUET, ARROW, CSV = (".parquet", ".pq"), (".arrow", ".feather", ".ipc"), (".csv", ".csv.gz")
KINDS = {**dict.fromkeys(PARQUET, "Parquet"), **dict.fromkeys(ARROW, "Arrow"), **dict.fromkeys(CSV, "CSV")}
GIB = 1 << 30
_BATCH_ROWS, _BUFFER = 1 << 17, 1 << 20  # rows; bytes of each column


@dataclass(frozen=True)
class SourceFile:
    """A file that was read: its path as given, its size in bytes and the sha256 of its bytes."""

    path: str
    bytes: int
    sha256: str


class Budget:
    """How many decoded bytes may still be held; the footer of a file is not asked (a small one can hold gigabytes)."""

    def __init__(self, limit: int = 8 * GIB):
        self.limit = self.left = limit

    def spend(self, size: int, path: Path) -> None:
        """Count ``size`` bytes; raise LimitError where that is more than is left."""
        self.left -= size
        if self.left < 0:
            raise LimitError(f"{path} decodes to more than {self.limit / GIB:.3g} GiB; raise it with --max-decoded")


def kind_of(path: Path, *others: str) -> str:
    """Return ``Parquet``, ``Arrow`` or ``CSV`` by the suffix; SchemaError, naming ``others`` too, for another."""
    name = path.name.lower()
    for suffix, kind in KINDS.items():
        if name.endswith(suffix):
            return kind
    raise SchemaError(f"{path}: unknown kind of file; expected one of {', '.join((*KINDS, *others))}")


def stem_of(path: Path) -> str:
    """Return the file's name without its suffix, ``.csv.gz`` being one."""
    return path.name[: path.name.lower().rfind(next(s for s in reversed(KINDS) if path.name.lower().endswith(s)))]


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn what goes wrong while ``path`` is read into one line: missing, no permission, I/O, or not a ``kind``."""
    try:
        yield
    except HighwaterError:
        raise
    except FileNotFoundError:
        raise MissingError(f"{path} does not exist") from None
    except PermissionError:
        raise AccessError(f"{path} cannot be read: permission denied") from None
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        reason = str(error).partition("\n")[0][:200]
        if isinstance(error, OSError) and error.errno:
            raise StoreError(f"{path} cannot be read: {reason}") from error
        raise DataError(f"{path} is not a readable {kind} file: {reason}") from error


def describe(path: Path) -> SourceFile:
    """Return size and sha256 of a regular file; MissingError where there is none."""
    with reading(path, "regular"):
        if path.exists() and not path.is_file():
            raise DataError(f"{path} is not a regular file")
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return SourceFile(str(path), stream.tell(), digest)


@contextmanager
def unchanged(paths: Iterable[Path]) -> Iterator[None]:
    """Raise DataError where a file is another one at the end, or has another size or time of change."""

    def marks() -> dict[Path, tuple[int, ...]]:
        found = {path: status(path) for path in paths}
        return {path: (one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns) for path, one in found.items() if one}

    before = marks()
    yield
    after = marks()
    for path, mark in before.items():
        if after.get(path) != mark:
            raise DataError(
                f"{path} changed while it was being read; let nothing write to it, then repeat", "E_CHANGED"
            )


def schema(path: Path) -> pa.Schema:
    """Return the columns of a file; those of a CSV are all text."""
    kind = kind_of(path)
    with reading(path, kind):
        if kind == "Parquet":
            return pq.read_schema(path)
        if kind == "Arrow":
            with _open_arrow(path) as stream:
                return stream.schema
        with closing(pyarrow.csv.open_csv(path, parse_options=_CSV)) as stream:
            return pa.schema([(name, pa.string()) for name in stream.schema.names])


def read(path: Path, columns: list[str], budget: Budget, words: str | None = None) -> pa.Table:
    """Return ``columns`` of a file, in file order, read as ``blocks`` reads them."""
    return pa.concat_tables(blocks(path, columns, budget, words))


def blocks(
    path: Path,
    columns: list[str],
    budget: Budget,
    words: str | None = None,
    only: frozenset[str] | None = None,
    on_share: Callable[[float], None] = lambda share: None,
) -> Iterator[pa.Table]:
    """Yield ``columns`` of a file, some rows after others, an empty table where there are none.

    With ``only``, the rows whose ``words`` column holds one of these. ``words`` names a text column of few distinct
    values; Parquet's is read as a dictionary (15 times faster). ``on_share`` is told now and then how much of the file
    has been read, about, from 0 to 1.
    """
    kind, none = kind_of(path), True
    with reading(path, kind):
        for batch, share in {"Parquet": _parquet, "Arrow": _arrow, "CSV": _csv}[kind](path, columns, words, only):
            budget.spend(batch.nbytes, path)
            on_share(share)
            none = False
            yield pa.Table.from_batches([batch if words is None or only is None else _filtered(batch, words, only)])
        if none:
            found = schema(path)
            yield pa.schema([found.field(found.names.index(name)) for name in columns]).empty_table()


def _filtered(batch: pa.RecordBatch, column: str, only: frozenset[str]) -> pa.RecordBatch:
    cells = batch.column(column)
    if not pa.types.is_dictionary(cells.type):
        cells = cells.cast(pa.string()).dictionary_encode()  # pyarrow 26 cannot filter a string_view
        batch = batch.set_column(batch.schema.names.index(column), column, cells)
    wanted = pc.is_in(cells.dictionary.cast(pa.string()), value_set=pa.array(sorted(only), pa.string()))
    return batch.filter(wanted.take(cells.indices))


Batches = Iterator[tuple[pa.RecordBatch, float]]  # and how much of the file has been read with each


def _parquet(path: Path, columns: list[str], words: str | None, only: frozenset[str] | None) -> Batches:
    as_words = [words] if words and is_text(pq.read_schema(path).field(words).type) else None
    # Read before it is asked for, all that is compressed stays in memory: 360 MB of a file of 376.
    with pq.ParquetFile(path, read_dictionary=as_words, buffer_size=_BUFFER, pre_buffer=False) as file:
        groups = range(file.num_row_groups)
        if words and only is not None:
            groups = [g for g in groups if _may_hold(file.metadata.row_group(g), words, only)]
        rows, seen = sum(file.metadata.row_group(g).num_rows for g in groups), 0
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=list(groups), columns=columns) if groups else ():
            seen += batch.num_rows
            yield batch, seen / max(rows, 1)


def _may_hold(group: Any, column: str, only: frozenset[str]) -> bool:
    for index in range(group.num_columns):
        chunk = group.column(index)
        if chunk.path_in_schema == column and chunk.is_stats_set and chunk.statistics.has_min_max:
            low, high = chunk.statistics.min, chunk.statistics.max
            return not isinstance(low, str) or any(low <= word <= high for word in only)
    return True


def _open_arrow(path: Path) -> Any:
    source = pa.OSFile(str(path))
    is_file = source.read(6) == b"ARROW1"
    source.seek(0)
    return pyarrow.ipc.open_file(source) if is_file else pyarrow.ipc.open_stream(source)


def _arrow(path: Path, columns: list[str], *_: Any) -> Batches:
    with _open_arrow(path) as stream:
        count = getattr(stream, "num_record_batches", None)
        for i, batch in enumerate(stream if count is None else map(stream.get_batch, range(count)), 1):
            batch.validate(full=True)
            yield batch.select(columns), i / count if count else 0.0


_CSV = pyarrow.csv.ParseOptions(newlines_in_values=True)


def _csv(path: Path, columns: list[str], *_: Any) -> Batches:
    kinds = pyarrow.csv.ConvertOptions(
        include_columns=columns, column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
    )
    with closing(pyarrow.csv.open_csv(path, parse_options=_CSV, convert_options=kinds)) as stream:
        size, seen = path.stat().st_size, 0
        for batch in stream:
            seen += batch.nbytes
            yield batch, min(1.0, seen / max(size, 1))
