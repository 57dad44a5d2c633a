"""A slice cut out of candle files, however large: rows are put by as they are read, then judged some tokens at a time.

What is asked of all rows is found first: whether they are of one length, and how far apart the bars lie. The slice is
the one that ``read_candles`` and ``slices.build`` make of the same files, to the bit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .candles import (
    CandleOptions,
    Gaps,
    Judged,
    covered,
    gaps,
    interval_of,
    judged,
    no_candles,
    of_one_length,
    row_sets,
    settled,
)
from .files import SourceFile
from .slice_parts import by_token, gathered
from .slices import Slice, Spans, cut, write
from .spill import ROWS, Spill


@dataclass(frozen=True)
class Rows:
    """The rows of ``source`` that were asked for, and how they are to be judged."""

    source: Path
    spill: Spill
    options: CandleOptions

    def judged(self) -> Iterator[Judged]:
        """Yield the rows judged, some tokens after others; raises as ``judged`` and ``of_one_length`` do."""
        place = str(self.source)
        for block in self.spill.blocks():
            rows = of_one_length(block, self.spill.lengths, self.options, place)
            if rows.code.size:
                yield judged(rows, self.options, place)

    def close(self) -> None:
        """Let go of the rows."""
        self.spill.close()


def read_rows_of(
    source: Path,
    tokens: tuple[str, ...],
    options: CandleOptions,
    folder: Path,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    most: int = ROWS,
) -> Rows:
    """Return the rows of candle files that are of ``tokens`` (sorted), at most ``most`` of them in memory.

    The others are in ``folder``, until the rows are closed. Raises what ``read_candles`` raises of files.
    """
    spill, sources = Spill(tokens, folder, most), list[SourceFile]()
    try:
        for rows in row_sets(source, frozenset(tokens), options, on_progress, sources.append):
            spill.add(rows)
        if not spill.rows:
            raise no_candles(source, tokens)
        return Rows(source, spill, covered(options, sources))
    except BaseException:
        spill.close()
        raise


def cut_slice(
    rows: Rows,
    needing: Callable[[int], Spans],
    folder: Path,
    mark: str,
    on_share: Callable[[float], None] = lambda share: None,
) -> Slice:
    """Return the slice with fingerprint ``mark`` of what ``needing`` says, given how long candles are.

    A part of it is the candles of as many tokens as memory holds, of one token at least. Raises what ``read_candles``
    raises of rows.
    """
    options, place = rows.options, str(rows.source)
    whole = list(rows.judged()) if rows.spill.fits else None
    done = 0

    def each() -> Iterator[Judged]:
        nonlocal done
        for one in rows.judged() if whole is None else whole:
            yield one
            done += one.series.size
            on_share(min(1.0, done / (2 * rows.spill.rows)))

    counts = Gaps()
    for clean in (True, False):
        if not counts:
            for one in each():
                counts.update(gaps(one, clean))
    interval = interval_of(counts, rows.spill.guessed, options, place)
    length = options.resample_ms or interval
    spans = by_token(needing(length))
    cuts = (cut(settled(one, interval, options), spans(one.tokens)) for one in each())
    if whole is not None:
        one = next(cuts)
        on_share(1.0)
        return write(folder, one, length, mark)
    with gathered(cuts, folder) as made:
        return write(folder, made, length, mark)
