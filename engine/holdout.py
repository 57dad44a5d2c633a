"""The sealed holdout: the last days of a search's alerts, which it must not see."""

from dataclasses import replace

import numpy as np

from ..io.errors import UsageError
from ..kernels import arrays
from ..kernels.arrays import column
from .recipe import Prepared
from .values import DAY, show_share


def hold_out(prepared: Prepared, share: float) -> Prepared:
    """Return the alerts without those of the last ``share`` of the days of entry: they are SEALED.

    Those before whose horizon reaches into these days are PURGED, so that no candle is seen by both. Raises UsageError
    where no alert would be left on one of the sides.
    """
    if not share:
        return prepared
    first = first_sealed_ms(prepared, share)
    windows, ok = prepared.windows, prepared.ok
    sealed, purged = ok & (windows.ts >= first), ok & (windows.ts < first) & (windows.end > first)
    if not (ok & ~sealed & ~purged).any() or not sealed.any():
        raise UsageError(
            f"--holdout {show_share(share)} leaves {int((ok & ~sealed & ~purged).sum())} alerts to search and "
            f"{int(sealed.sum())} to hold out; there must be some of both: take another share, or a shorter --horizon"
        )
    return _without(prepared, sealed, purged)


def only_held_out(prepared: Prepared, share: float) -> Prepared:
    """Return the alerts of the holdout alone; all others are PURGED."""
    sealed = prepared.windows.ts >= first_sealed_ms(prepared, share)
    return _without(prepared, np.zeros_like(sealed), prepared.ok & ~sealed)


def first_sealed_ms(prepared: Prepared, share: float) -> int:
    """Return when the holdout begins: a UTC midnight, ms."""
    days = prepared.windows.ts[prepared.ok] // DAY
    first, count = int(days.min()), int(days.max() - days.min()) + 1
    return (first + count - max(1, round(count * share))) * DAY


def _without(prepared: Prepared, sealed: np.ndarray, purged: np.ndarray) -> Prepared:
    windows = prepared.windows
    status = np.where(sealed, arrays.SEALED, np.where(purged, arrays.PURGED, windows.status))
    last = np.where(status == arrays.OK, windows.last, windows.first)
    return replace(prepared, windows=windows._replace(status=column(status, np.int64), last=column(last, np.int64)))
