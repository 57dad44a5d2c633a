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
    windows, ok, sealed = prepared.windows, prepared.ok, _held(prepared, first)
    purged = ok & ~sealed & (windows.end > first)
    if not (ok & ~sealed & ~purged).any() or not (ok & sealed).any():
        raise UsageError(
            f"--holdout {show_share(share)} leaves {int((ok & ~sealed & ~purged).sum())} alerts to search and "
            f"{int((ok & sealed).sum())} to hold out; there must be some of both: take another share, or a shorter "
            "--horizon"
        )
    return replace(_without(prepared, sealed, purged), sealed_ms=first)


def only_held_out(prepared: Prepared, share: float) -> Prepared:
    """Return the alerts of the holdout alone; all others are PURGED."""
    sealed = _held(prepared, first_sealed_ms(prepared, share))
    return _without(prepared, np.zeros_like(sealed), ~sealed)


def first_sealed_ms(prepared: Prepared, share: float) -> int:
    """Return when the holdout begins: a UTC midnight, ms."""
    days = prepared.windows.ts[prepared.ok] // DAY
    first, count = int(days.min()), int(days.max() - days.min()) + 1
    return (first + count - max(1, round(count * share))) * DAY


def _held(prepared: Prepared, first: int) -> np.ndarray:
    """Return which alerts belong to a holdout, bool[A]: by their entry, or by when it was asked for if there is none.

    So that an alert of the holdout that cannot be entered is not told of either.
    """
    return np.where(prepared.ok, prepared.windows.ts, prepared.asked.ts + prepared.trading.latency) >= first


def _without(prepared: Prepared, sealed: np.ndarray, purged: np.ndarray) -> Prepared:
    windows = prepared.windows
    status = np.where(sealed, arrays.SEALED, np.where(purged, arrays.PURGED, windows.status))
    last = np.where(status == arrays.OK, windows.last, windows.first)
    parts = {"status": status, "last": last, "flags": np.where(sealed | purged, 0, windows.flags)}
    return replace(prepared, windows=windows._replace(**{name: column(v, np.int64) for name, v in parts.items()}))
