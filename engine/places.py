"""Where flags may point besides local paths: objects on a store, tables of ClickHouse.

A command works on a local copy, which is made or brought up to date as it starts (values.Kind ``open``).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from .values import Kind, Spelling, parse_path

if TYPE_CHECKING:
    from ..io.objects import ObjectPath
    from ..io.sources.clickhouse import Table


_PLACES = "a local path or s3://bucket/prefix"


def place(text: str, must: str = _PLACES) -> "Path | ObjectPath":
    """Return a local path, or the place that ``s3://bucket/prefix`` names."""
    if not text.startswith("s3://"):
        return parse_path(text, must)
    from ..io.objects import object_path

    return object_path(text)


def candle_place(text: str) -> "Path | ObjectPath | Table":
    """Return a local path, a place on a store or a table of ClickHouse."""
    if not text.startswith(("clickhouse://", "clickhouses://", "chdb://")):
        return place(text, f"{_PLACES}, or clickhouse:// or chdb://")
    from ..io.sources.clickhouse import table_of

    return table_of(text)


def local(value: Any) -> Any:
    """Return a local copy of files on a store; a path or a table as it is."""
    if not is_object(value):
        return value
    from ..io.remote import fetched

    return fetched(value)


def is_object(value: Any) -> bool:
    """Return whether a value is a place on an object store; nothing is imported to find out."""
    return type(value).__name__ == "ObjectPath"


def _runs(value: Any) -> Any:
    """Return the local copy of the runs on a store, brought up to date."""
    if not is_object(value):
        return value
    from ..io.run_store import mirrored

    return mirrored(value)


def _slices(value: Any) -> Any:
    """Return the folder for copies of the slices on a store, where those that are asked for come to lie."""
    if not is_object(value):
        return value
    from ..io.remote import copy_of

    return copy_of(value, "slices-of")


def _all_slices(value: Any) -> Any:
    """Return the folder of copies of the slices on a store, with all of them."""
    folder = _slices(value)
    if folder is not value:
        from ..io.slice_store import bring_all

        bring_all(value, folder)
    return folder


# The flags that name a table, and what each says of it.
TABLE = {f"ch_{name}": name for name in ("host", "port", "database", "table", "user", "secure")}

Alerts = Annotated[Path, Kind("PATH", place, open=local), Spelling(("--duckdb", "--calls-from-duckdb"))]
Candles = Annotated[Any, Kind("PATH", candle_place, open=local), Spelling(instead=(*TABLE, "CLICKHOUSE_HOST"))]
Files = Annotated[Path, Kind("PATH", place, open=local)]
Runs = Annotated[Path, Kind("PATH", place, open=_runs)]
Slices = Annotated[Path, Kind("PATH", place, open=_slices)]
AllSlices = Annotated[Path, Kind("PATH", place, open=_all_slices)]
