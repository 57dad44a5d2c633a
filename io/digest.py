"""Digests: of a file's bytes, of a table's content whatever its bytes, and of a configuration."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import rfc8785


def file_sha256(path: str | Path) -> str:
    """Return the sha256 (64 hex) of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return ``value`` as canonical JSON (RFC 8785). Raises ValueError on NaN, infinity and integers beyond 2**53."""
    return rfc8785.dumps(value)


def config_digest(config: Any) -> str:
    """Return the sha256 (64 hex) of a configuration's canonical JSON."""
    return hashlib.sha256(canonical_json(config)).hexdigest()


def arrays_sha256(arrays: Iterable[np.ndarray]) -> str:
    """Return the sha256 (64 hex) of numpy arrays: their types, shapes and bytes, in this order."""
    digest = hashlib.sha256()
    for each in arrays:
        digest.update(f"{each.dtype.str}{each.shape}".encode())
        digest.update(np.ascontiguousarray(each).data)
    return digest.hexdigest()


def content_sha256(table: pa.Table, without: Iterable[str] = ("run_id",)) -> str:
    """Return the sha256 (64 hex) of a table's names, types and values, leaving out the columns ``without``.

    Two tables have one digest where a reader sees no difference: chunks, encodings and string kinds do not
    count, NaN is null, and -0.0 is 0.0. Raises ValueError on nested and decimal columns.
    """
    content = ContentHash(table.schema, without)
    content.update(table)
    return content.hexdigest()


class ContentHash:
    """``content_sha256`` of a table that comes in blocks; where it is cut does not matter."""

    def __init__(self, schema: pa.Schema, without: Iterable[str] = ("run_id",)):
        left_out = set(without)
        self._rows = 0
        self._columns = [
            (i, field.name, _kind(field), hashlib.sha256(), hashlib.sha256())
            for i, field in enumerate(schema)
            if field.name not in left_out
        ]

    def update(self, block: pa.Table) -> None:
        """Take in the next rows; ``block`` has the schema given."""
        self._rows += block.num_rows
        for i, _, kind, marks, values in self._columns:
            for chunk in block.column(i).chunks:
                mark, value = _parts(chunk, kind)
                marks.update(mark)
                values.update(value)

    def hexdigest(self) -> str:
        """Return the digest of the rows so far, 64 hex."""
        columns = [
            [name, kind, marks.hexdigest(), values.hexdigest()] for _, name, kind, marks, values in self._columns
        ]
        return hashlib.sha256(canonical_json({"rows": self._rows, "columns": columns})).hexdigest()


def _kind(field: pa.Field) -> str:
    """Return the name of a column's logical type."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "string"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return "binary"
    plain = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_temporal, pa.types.is_null)
    if not any(test(kind) for test in plain) or pa.types.is_interval(kind):
        raise ValueError(f"column {field.name} is {field.type}; content digests know numbers, texts and times")
    return str(kind)


def _parts(array: pa.Array, kind: str) -> tuple[Any, Any]:
    """Return two buffers: what marks each row (valid or not; for texts the length), and the values that are there."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if kind in ("string", "binary"):
        return _texts(array)
    if pa.types.is_floating(array.type):
        numbers = array.to_numpy(zero_copy_only=False)
        there = ~np.isnan(numbers)
        return there, numbers[there] + numbers.dtype.type(0.0)
    there = array.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_null(array.type):
        return there, b""
    if pa.types.is_temporal(array.type):
        array = array.view(pa.int32() if array.type.bit_width == 32 else pa.int64())
    return there, array.drop_null().to_numpy(zero_copy_only=False)


def _texts(array: pa.Array) -> tuple[Any, Any]:
    """Return the length of each text (-1 where null), and the bytes of all, one behind the other."""
    lengths = np.full(len(array), -1, np.int64)
    texts = array.cast(pa.large_binary()).drop_null()
    _, offsets, data = texts.buffers()
    if len(texts) == 0:
        return lengths, b""
    bounds = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    lengths[array.is_valid().to_numpy(zero_copy_only=False)] = np.diff(bounds)
    return lengths, memoryview(data)[bounds[0] : bounds[-1]] if data is not None else b""
