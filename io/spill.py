"""Rows of candles that wait until all are read: in memory, and beyond that in a file without a name.

They come in the order of files and go out token by token, each token's in the order they came. The file has no name
from its first byte on, so whatever becomes of the process, the system takes it away.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..kernels.arrays import Candles
from .candle_rows import CandleRows, joined
from .candles import lengths_of
from .durable import disk_errors, make_folder

ROWS = 1 << 19  # rows held at a time; 360 MB with all that reading and judging them takes
_ROW = 64  # bytes: a token, a length, a candle
_REMEDY = "free space or choose another --slices folder, then repeat"


class Spill:
    """Rows of ``tokens`` (sorted), at most ``most`` of them in memory, the others in ``folder``."""

    def __init__(self, tokens: tuple[str, ...], folder: Path, most: int = ROWS):
        self.tokens, self.folder, self.most = tokens, folder, most
        self.lengths, self.guessed = np.zeros(0, np.int64), False
        self._place = {token: i for i, token in enumerate(tokens)}
        self._counts = np.zeros(len(tokens), np.int64)
        self._waiting: list[CandleRows] = []
        self._held = 0
        self._sheets: list[int] = []  # rows of each piece of the file, sorted by token
        self._file: Any = None

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self._counts.sum())

    @property
    def fits(self) -> bool:
        """Whether all rows are in memory."""
        return self._file is None

    def add(self, rows: CandleRows) -> None:
        """Take in some rows. Raises StoreError where the disk refuses those that memory has no room for."""
        if not rows.code.size:
            return
        code = np.array([self._place.get(name, -1) for name in rows.names], np.int64)[rows.code]
        self._counts += np.bincount(code, minlength=len(self.tokens))
        self.lengths = np.union1d(self.lengths, lengths_of(rows))
        self.guessed |= rows.guessed
        self._waiting.append(rows._replace(names=self.tokens, code=code))
        self._held += code.size
        if self._held > self.most:
            self._write()

    def blocks(self) -> Iterator[CandleRows]:
        """Yield the rows of some tokens after others, at most so many as memory holds, or one token's."""
        if self._file is None:
            if self._waiting:
                yield self._of(self._waiting)
            return
        self._write()
        for first, last in self._ranges():
            yield self._of([self._read(sheet, first, last) for sheet in range(len(self._sheets))])

    def close(self) -> None:
        """Let go of the rows."""
        self._waiting = []
        if self._file is not None:
            self._file.close()

    def _of(self, rows: list[CandleRows]) -> CandleRows:
        return joined(rows)._replace(guessed=self.guessed)

    def _ranges(self) -> Iterator[tuple[int, int]]:
        first = size = 0
        for i, count in enumerate(self._counts.tolist()):
            if size and size + count > self.most:
                yield first, i
                first, size = i, 0
            size += count
        yield first, len(self.tokens)

    def _write(self) -> None:
        """Write the rows that wait, sorted by token, a column after the other."""
        if not self._waiting:
            return
        rows, self._waiting, self._held = joined(self._waiting), [], 0
        order = np.argsort(rows.code, kind="stable")
        with disk_errors(f"writing to {self.folder}", _REMEDY):
            if self._file is None:
                make_folder(self.folder)
                self._file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115
            for part in (rows.code, rows.length, *rows.bars):
                self._file.write(part[order].data)
            self._file.flush()
        self._sheets.append(order.size)

    def _read(self, sheet: int, first: int, last: int) -> CandleRows:
        """Return the rows of the tokens numbered ``first`` to ``last - 1`` in a piece of the file."""
        size, begin = self._sheets[sheet], _ROW * sum(self._sheets[:sheet])
        s, e = np.searchsorted(np.memmap(self._file, np.int64, "r", begin, (size,)), (first, last)).tolist()
        code, length, ts, *prices = (
            os.pread(self._file.fileno(), 8 * (e - s), begin + 8 * (i * size + s)) for i in range(_ROW // 8)
        )
        bars = Candles(np.frombuffer(ts, np.int64), *(np.frombuffer(each) for each in prices))
        return CandleRows(self.tokens, np.frombuffer(code, np.int64), bars, np.frombuffer(length, np.int64))
