"""The sealed holdout: the last days of a search's alerts, which it must not see."""

from dataclasses import replace

import numpy as np

from ..io.errors import UsageError
from ..kernels import arrays
from ..kernels.arrays import Windows, column
from .recipe import Prepared, enter
from .values import DAY, show_share


def hold_out(prepared: Prepared, share: float) -> Prepared:
    """Return the alerts without those of the last ``share`` of the days: they are SEALED.

    Those before whose horizon reaches into these days are PURGED, so that no candle is seen by both. Raises UsageError
    where no alert would be left on one of the sides.
    """
    if not share:
        return prepared
    first = first_sealed_ms(prepared, share)
    windows = windows_before(prepared, first)
    searched, held = windows.status == arrays.OK, prepared.ok & (windows.status == arrays.SEALED)
    if not searched.any() or not held.any():
        few = "take another share, or a shorter --horizon"
        remedy = few if held.any() else "end the alerts where the candles end (--to)"
        raise UsageError(
            f"--holdout {show_share(share)} leaves {int(searched.sum())} alerts to search and {int(held.sum())} to "
            f"hold out; there must be some of both: {remedy}"
        )
    return replace(prepared, windows=windows, sealed_ms=first)


def only_held_out(prepared: Prepared, share: float) -> Prepared:
    """Return the alerts of the holdout alone; all others are PURGED."""
    before, windows = windows_before(prepared, first_sealed_ms(prepared, share)), prepared.windows
    status = np.where(before.status == arrays.SEALED, windows.status, arrays.PURGED)
    return replace(prepared, windows=_emptied(windows, status))


def first_sealed_ms(prepared: Prepared, share: float) -> int:
    """Return when the holdout begins: a UTC midnight, ms.

    The days are those of the alerts, from when they could be entered: which were entered hangs on sealed candles.
    """
    days = (prepared.asked.ts + prepared.trading.latency) // DAY
    first, count = int(days.min()), int(days.max() - days.min()) + 1
    return (first + count - max(1, round(count * share))) * DAY


def windows_before(prepared: Prepared, first: int) -> Windows:
    """Return the windows of alerts as they are known when the holdout begins, none of which reaches into it.

    No candle from ``first`` on is looked at. An alert whose entry candle may be there is SEALED; one entered before
    that is not over by then, or may not be, is PURGED.
    """
    how, step = prepared.trading, prepared.step
    _, windows = enter(prepared.batch, prepared.slice, how, first)
    asked = prepared.asked.ts + how.latency
    latest = asked + (10 * step if how.max_entry_delay is None else how.max_entry_delay)
    ok, waiting = windows.status == arrays.OK, windows.status == arrays.NO_ENTRY_BAR
    sealed = (asked >= first) | (waiting & (latest >= first))
    unsure = (windows.status == arrays.NO_BARS) & (latest + step + how.horizon > first)
    purged = ~sealed & ((ok & (windows.end > first)) | unsure)
    return _emptied(windows, np.where(sealed, arrays.SEALED, np.where(purged, arrays.PURGED, windows.status)))


def _emptied(windows: Windows, status: np.ndarray) -> Windows:
    """Return windows with a new status; without candles where it says that they are held."""
    held = np.isin(status, (arrays.SEALED, arrays.PURGED))
    last = np.where(status == arrays.OK, windows.last, windows.first)
    parts = {"status": status, "last": last, "flags": np.where(held, 0, windows.flags)}
    return windows._replace(**{name: column(values, np.int64) for name, values in parts.items()})
