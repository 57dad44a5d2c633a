"""A table that comes in blocks: one is kept in memory, more are mapped from a file without a name."""

import contextlib
import mmap
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc

from .durable import disk_errors, make_folder

_REMEDY = "free space or name another --runs folder, then repeat"


class Spool:
    """Blocks of rows of one schema, kept in ``folder``. Whatever becomes of the process, the system takes them away.

    A context, which ends the writing; the table outlives it. Raises StoreError where the disk refuses a block.
    """

    def __init__(self, folder: Path):
        self.folder, self._first = folder, None
        self._file: Any = None
        self._stream: Any = None
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def write(self, block: pa.Table) -> None:
        """Add rows."""
        if self._first is None:
            self._first = block
            return
        with disk_errors(f"writing to {self.folder}", _REMEDY):
            if self._stream is None:
                make_folder(self.folder)
                file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115
                self._file = self._open.enter_context(file)
                self._stream = self._open.enter_context(pa.ipc.new_stream(self._file, block.schema))
                self._stream.write_table(self._first)
            self._stream.write_table(block)

    def table(self) -> pa.Table:
        """Return all rows; nothing is written after it. Raises ValueError where there was no block."""
        if self._first is None:
            raise ValueError("a table of no block has no schema")
        if self._stream is None:
            return self._first
        with disk_errors(f"writing to {self.folder}", _REMEDY):
            self._stream.close()
            self._file.flush()
            mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self._first = None
        return pa.ipc.open_stream(pa.py_buffer(mapped)).read_all()
