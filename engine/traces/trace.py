"""A trace: what one strategy wanted on one series, kept as its changes only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...kernels.signals import Signal, changes, held


@dataclass(frozen=True)
class Trace:
    """The changes of a signal on ``bars`` candles: ``val`` int8[K] from candle ``idx`` int32[K] on, ascending.

    The first row is the first candle whose indicators are warm, even where it is flat (0).
    """

    idx: NDArray[np.int32]
    val: NDArray[np.int8]
    bars: int

    def signal(self) -> Signal:
        """Return the signal of every candle, int8[bars]; NONE before the first row."""
        return held(self.idx, self.val, self.bars)


def trace_of(signal: Signal) -> Trace:
    """Return the changes of a signal, int8[N]."""
    idx, val = changes(signal)
    return Trace(idx, val, signal.size)
