"""Made-up candles within real sessions, from a seed: other ones for each symbol and day, the same on every machine."""

from dataclasses import dataclass

from ..errors import UsageError

REGIMES = ("trend_up", "trend_down", "mean_revert", "choppy")


@dataclass(frozen=True)
class Walk:
    """How made-up prices move: ``sigma``, ``drift`` and ``pull`` as log returns a minute, ``gap`` overnight, in log too.

    ``price`` is about where they begin and ``tick`` their unit; ``volume`` the middle of a candle's, a minute;
    ``u_shape`` how much more of it there is at a session's ends. ``regimes`` alternate by day. Raises UsageError.
    """

    seed: int = 7
    price: float = 100.0
    tick: float = 0.01
    sigma: float = 0.0015
    drift: float = 0.0002
    pull: float = 0.002
    gap: float = 0.004
    volume: float = 10_000.0
    u_shape: float = 0.5
    regimes: tuple[str, ...] = REGIMES

    def __post_init__(self):
        if unknown := [name for name in self.regimes if name not in REGIMES]:
            raise UsageError(f"unknown regime '{unknown[0]}'; {', '.join(REGIMES)} are known")
        if not self.regimes or self.seed < 0:
            raise UsageError(f"walk: seed is {self.seed}, regimes {self.regimes}; seed must be >= 0, one regime named")
        for name in ("price", "tick", "volume"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"walk: {name} is {getattr(self, name)}; it must be positive")
        for name in ("sigma", "drift", "pull", "gap", "u_shape"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"walk: {name} is {getattr(self, name)}; it must be from 0 to below 1")
