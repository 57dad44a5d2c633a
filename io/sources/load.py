"""The one way to candles for sessions: from files, Yahoo, Binance or made up, kept for the next time if asked."""

from collections.abc import Callable, Sequence
from pathlib import Path

from .series import Loaded, Source, Span


def load(
    symbols: Sequence[str],
    source: Source,
    span: Span,
    cache: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Loaded:
    """Return each symbol's candles of ``span``; one that fails does not stop the others.

    ``cache``: a folder in which what is fetched or made is kept and found again. ``on_progress`` is called with how many
    symbols are done, of how many. Raises what concerns all symbols alike: UsageError for an interval or days the source
    does not have, MissingError where its library is not installed or a file does not exist.
    """
    raise NotImplementedError
