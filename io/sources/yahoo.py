"""Candles from Yahoo, through yfinance: what it has is said beforehand, and nothing is not taken for an answer.

yfinance hides errors in its log and gives an empty table (1.7), so its session is ours: answers that are none are
raised in it, with what Yahoo said.
"""

import contextlib
import json
import logging
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import numpy as np

from ...kernels.arrays import Candles
from ..errors import DataError, MissingError, StoreError, UsageError
from .series import Span, Yahoo
from .tries import OTHERWISE, TIMEOUT, Refused, insist, seconds

DAYS = {"1m": 30, "2m": 60, "5m": 60, "15m": 60, "30m": 60, "1h": 730, "1d": None}  # how far back Yahoo goes
AT_ONCE = {"1m": 7}  # days a request; elsewhere all of them
_MISSING = "Yahoo needs yfinance: pip install 'highwater[data]', or read local files: --data FILE"
_CHART = "/v8/finance/chart/"
_ONE_AT_A_TIME = threading.Lock()
_DENIED = (401, 403)  # yfinance then fetches another cookie and asks once more


def check(span: Span, now: datetime) -> None:
    """Raise UsageError where Yahoo does not have such candles of such days, with what it has."""
    if span.interval not in DAYS:
        raise UsageError(f"Yahoo has no {span.interval} candles; it has {', '.join(DAYS)}")
    back, today = DAYS[span.interval], now.astimezone(ZoneInfo(span.zone)).date()
    if span.first > today:
        raise UsageError(f"{span.first} has not come yet; Yahoo has candles up to today, {today}")
    if back is not None and span.first < (earliest := _earliest(span, now, back)):
        raise UsageError(
            f"Yahoo has {span.interval} candles of the last {back} days only, today from {earliest} on; "
            f"{span.first} is earlier: choose later days or a longer interval, or {OTHERWISE}"
        )


def _earliest(span: Span, now: datetime, back: int) -> date:
    """Return the first day of which Yahoo has the whole."""
    limit = (now - timedelta(days=back)).astimezone(ZoneInfo(span.zone))
    return limit.date() + timedelta(days=1)


def library() -> str:
    """Return yfinance's name and version; raises MissingError where it is not installed."""
    try:
        return f"yfinance {metadata.version('yfinance')}"
    except metadata.PackageNotFoundError:
        raise MissingError(_MISSING) from None


def fetch(symbol: str, span: Span, source: Yahoo, now: datetime | None = None) -> Candles:
    """Return a symbol's candles as Yahoo has them, regular hours only, in any order and unjudged.

    Raises UsageError as ``check`` does, DataError where Yahoo knows no such symbol or has no candle of these days,
    StoreError or BusyError where it does not answer.
    """
    now = now or datetime.now(UTC)
    check(span, now)
    server = source.at or "Yahoo"
    with _quietly(source) as ticker:
        parts = [
            insist(lambda first=first, end=end: _asked(ticker, symbol, first, end, span, source, server), server)
            for first, end in _chunks(span, now)
        ]
    found = Candles(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    if not found.ts.size:
        raise DataError(
            f"Yahoo has no {span.interval} candle of '{symbol}' from {span.first} to before {span.end}; "
            f"choose days with trading, or {OTHERWISE}"
        )
    return found


def _chunks(span: Span, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield the times from and to before which to ask, none of them in the future."""
    first, end = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (span.begin_ms, span.end_ms))
    end = min(end, now)
    step = timedelta(days=AT_ONCE.get(span.interval, 1_000_000))
    while first < end:
        yield first, min(first + step, end)
        first += step


def _asked(ticker: Any, symbol: str, first: datetime, end: datetime, span: Span, source: Yahoo, server: str) -> Candles:
    """Return the candles of one request; raises Refused where asking again may help, DataError where it cannot."""
    from yfinance import exceptions
    from yfinance.data import YfData

    YfData.cache_get.cache_clear()  # it keeps broken answers too (1.7)
    try:
        table = ticker(symbol).history(
            start=first,
            end=end,
            interval=span.interval,
            auto_adjust=source.adjusted,
            actions=False,
            prepost=False,
            timeout=TIMEOUT,
        )
    except Refused as error:
        if error.passing:
            raise
        if error.status in _DENIED:
            raise StoreError(f"{server} lets nobody in (HTTP {error.status}, {error.reason}); {OTHERWISE}") from error
        raise DataError(f"{server} has no candles of '{symbol}': {error.reason} (HTTP {error.status})") from error
    except exceptions.YFRateLimitError as error:
        raise Refused(429, str(error)) from error
    except exceptions.YFTickerMissingError as error:
        return _none_or_unknown(error, symbol, server)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:  # cut short, or not what it should be
        raise Refused(0, f"{type(error).__name__}: {error}") from error
    return _candles(table)


def _none_or_unknown(error: Exception, symbol: str, server: str) -> Candles:
    """Return no candles where Yahoo has none of these days; raise DataError where it does not know the symbol."""
    from yfinance import exceptions

    if isinstance(error, exceptions.YFPricesMissingError) and not getattr(error, "yahoo_reason", None):
        return Candles(np.zeros(0, np.int64), *(np.zeros(0) for _ in range(5)))
    raise DataError(f"{server} has no candles of '{symbol}': {str(error).partition(': ')[2]}") from error


def _candles(table: Any) -> Candles:
    if not len(table):
        return Candles(np.zeros(0, np.int64), *(np.zeros(0) for _ in range(5)))
    ts = table.index.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[ms]").astype(np.int64)
    names = ("Open", "High", "Low", "Close", "Volume")
    return Candles(ts, *(table[name].to_numpy(np.float64, na_value=np.nan) for name in names))


@contextlib.contextmanager
def _quietly(source: Yahoo) -> Iterator[Any]:
    """Yield what makes a ticker, on a session of ours; yfinance raises within, and does not log what it raises.

    yfinance has one session for all (1.7): one thread at a time, and what it had before it has again afterwards.
    """
    try:
        import yfinance
        from yfinance.data import YfData
    except ImportError:
        raise MissingError(_MISSING) from None
    log, debug = logging.getLogger("yfinance"), yfinance.config.debug
    with _ONE_AT_A_TIME, _session(source.at) as session, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pandas thinks of yfinance
        data = YfData()
        before, hidden, level = data._session, debug.hide_exceptions, log.level
        debug.hide_exceptions = False
        log.setLevel(logging.CRITICAL)
        try:
            yield lambda symbol: yfinance.Ticker(symbol, session=session)
        finally:
            data._set_session(before)
            debug.hide_exceptions = hidden
            log.setLevel(level)


def _session(at: str) -> Any:
    """Return a session that raises Refused for a chart that is none, and asks ``at`` instead of Yahoo, if given."""
    from curl_cffi import requests

    class Session(requests.Session):
        denied = False

        def request(self, method: Any, url: str, *_: Any, **options: Any) -> Any:
            parts = urlsplit(url)
            if at:
                url = at.rstrip("/") + parts._replace(scheme="", netloc="").geturl()
            try:
                answer = super().request(method, url, **options)
            except requests.exceptions.RequestException as error:
                raise Refused(0, _curl_words(error)) from error
            if parts.path.startswith(_CHART):
                denied, self.denied = self.denied, answer.status_code in _DENIED
                if denied or not self.denied:
                    _refuse_other_than_chart(answer)
            return answer

    return Session(impersonate="chrome", timeout=TIMEOUT)


def _refuse_other_than_chart(answer: Any) -> None:
    """Raise Refused for an answer that is no chart, with Yahoo's own words of why where there are any."""
    try:
        chart = json.loads(answer.text)["chart"]
        said = chart["error"] and str(chart["error"]["description"])
    except (ValueError, KeyError, TypeError):
        chart = said = None
    if answer.status_code >= 400:
        wait = seconds(answer.headers.get("Retry-After"))
        raise Refused(answer.status_code, said or answer.reason or "no reason given", wait)
    if chart is None:
        raise Refused(0, "an answer that is no chart, or a part of one")


def _curl_words(error: Exception) -> str:
    """Return what went wrong with a connection, without curl's advice around it."""
    return str(error).partition("curl: ")[2].partition(". See ")[0] or str(error)
