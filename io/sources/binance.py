"""Candles from Binance's spot market, through ccxt: pages of a thousand, at the pace Binance allows.

ccxt is large (40 MB, and seconds to import) and used all the same: it knows Binance's symbols, weights and errors, and
others keep it in step with them.
"""

import contextlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np

from ...kernels.arrays import Candles
from ..errors import DataError, MissingError, UsageError, one_line
from .series import Binance, Span
from .tries import OTHERWISE, TIMEOUT, Refused, insist, seconds

INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
PAGE = 1000
_MISSING = "Binance needs ccxt: pip install 'highwater[data]', or read local files: --data FILE"


def check(span: Span, now: datetime) -> None:
    """Raise UsageError where Binance does not have such candles of such days, with what it has."""
    if span.interval not in INTERVALS:
        raise UsageError(f"Binance has no {span.interval} candles; it has {', '.join(INTERVALS)}")
    if span.begin_ms > now.timestamp() * 1000:
        raise UsageError(f"{span.first} has not come yet; Binance has candles up to now, {now:%Y-%m-%d %H:%M} UTC")


def library() -> str:
    """Return ccxt's name and version; raises MissingError where it is not installed."""
    try:
        return f"ccxt {metadata.version('ccxt')}"
    except metadata.PackageNotFoundError:
        raise MissingError(_MISSING) from None


def fetch(symbol: str, span: Span, source: Binance, now: datetime | None = None) -> Candles:
    """Return a symbol's candles (``BTCUSDT`` or ``BTC/USDT``), oldest first and unjudged.

    Raises UsageError as ``check`` does, DataError where Binance knows no such symbol or has no candle of these days,
    StoreError or BusyError where it does not answer.
    """
    check(span, now or datetime.now(UTC))
    server = source.at or "Binance"
    exchange, seen = _exchange(source)
    rows, since = [], span.begin_ms
    with contextlib.closing(exchange.session):
        market = insist(partial(_asked, partial(_market, exchange, symbol), symbol, seen, server), server)
        while since < span.end_ms:
            page = insist(
                partial(_asked, partial(_page, exchange, market, span, since, seen), symbol, seen, server), server
            )
            rows += page
            if not page:
                break
            since = page[-1][0] + span.interval_ms
    if not rows:
        raise DataError(
            f"Binance has no {span.interval} candle of '{symbol}' from {span.first} to before {span.end}; "
            f"choose later days, or {OTHERWISE}"
        )
    table = np.array(rows, np.float64).T
    return Candles(table[0].astype(np.int64), *table[1:])


def _exchange(source: Binance) -> tuple[Any, dict[str, Any]]:
    """Return ccxt's Binance, of its spot market only, and what is noted of its last answer."""
    try:
        from ccxt import binance
    except ImportError:
        raise MissingError(_MISSING) from None
    options = {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False, "fetchCurrencies": False}
    exchange = binance({"enableRateLimit": True, "timeout": int(TIMEOUT * 1000), "options": options})
    if source.at:
        exchange.urls["api"]["public"] = f"{source.at.rstrip('/')}/api/v3"
    seen: dict[str, Any] = {}

    def note(answer: Any, *_: Any, **__: Any) -> None:
        wait = seconds(answer.headers.get("Retry-After"))
        seen.update(status=answer.status_code, reason=answer.reason, wait=wait, body=answer.text)

    exchange.session.hooks["response"].append(note)
    return exchange, seen


def _market(exchange: Any, symbol: str) -> str:
    """Return ccxt's name of a symbol: one small question, where ``load_markets`` would read all of 20 MB."""
    exchange.set_markets(exchange.fetch_markets({"symbol": re.sub(r"[^A-Z0-9]", "", symbol.upper())}))
    return next(iter(exchange.markets))


def _page(exchange: Any, market: str, span: Span, since: int, seen: dict[str, Any]) -> list[list[float]]:
    """Return up to a thousand candles that open from ``since`` to before the end."""
    page = exchange.fetch_ohlcv(market, span.interval, since, PAGE, {"until": span.end_ms - 1})
    if not isinstance(json.loads(seen["body"]), list):  # ccxt makes no candles of anything else (4.5)
        raise ValueError("an answer that is no list of candles")
    times = [row[0] for row in page]
    if any(not since <= ts < span.end_ms for ts in times) or times != sorted(set(times)):
        raise ValueError("candles outside of the times asked for, or out of order")
    return page


def _asked(ask: Callable[[], Any], symbol: str, seen: dict[str, Any], server: str) -> Any:
    """Return what ``ask`` returns; raises Refused where asking again may help, DataError where it cannot."""
    import ccxt

    seen.clear()
    try:
        return ask()
    except (ccxt.NetworkError, ccxt.BadResponse) as error:
        slow = isinstance(error, ccxt.RequestTimeout)
        reason = seen.get("reason") or (f"no answer within {TIMEOUT:.0f} s" if slow else "no connection")
        raise Refused(_status(seen), reason, seen.get("wait", 0.0)) from error
    except ccxt.BadSymbol as error:
        raise DataError(f"{server} knows no symbol '{symbol}'; names are like BTCUSDT or BTC/USDT") from error
    except ccxt.BaseError as error:
        if _status(seen) >= 500:
            raise Refused(_status(seen), seen["reason"]) from error
        raise DataError(f"{server} refused (HTTP {_status(seen)}): {one_line(error)}") from error
    except (ValueError, KeyError, TypeError, IndexError, StopIteration) as error:  # cut short, or not what it should be
        raise Refused(0, f"{type(error).__name__}: {error}") from error


def _status(seen: dict[str, Any]) -> int:
    """Return HTTP's status of the last answer where it tells of a fault, else 0."""
    status = seen.get("status", 0)
    return status if status >= 400 else 0
