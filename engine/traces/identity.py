"""What a trace is known by: the strategy, the candles it was made of, and the rules it was made by."""

from ...io.digest import config_digest
from ..values import Interval, convert, show_duration

SEMANTICS = "TS-1"  # of signals: raised when the same strategy on the same candles would want something else


def trace_key(strategy_hash: str, data_digest: str, symbol: str, timeframe: str, zone: str) -> str:
    """Return the sha256 (64 hex) of a strategy's trace on one series: other candles, another key.

    ``data_digest`` is that of the candles; ``timeframe`` their length, such as 5m; ``zone`` that of the exchange.
    """
    return config_digest(
        {
            "strategy_hash": strategy_hash,
            "data": data_digest,
            "symbol": symbol,
            "timeframe": show_duration(convert(Interval, timeframe, "timeframe")),
            "zone": zone,
            "semantics": SEMANTICS,
        }
    )
