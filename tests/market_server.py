"""A server on this machine that answers as Yahoo's charts and Binance's klines do, and fails as they do."""

import json
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from functools import partial
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from highwater.io.labs.made_up_server import answering

STEPS = {"1m": 60, "2m": 120, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "1d": 86400}
KNOWN = {"BTC-USD": "UTC", **dict.fromkeys(("SPY", "QQQ", "IWM"), "America/New_York")}
PAIRS = {"BTCUSDT": ("BTC", "USDT"), "ETHUSDT": ("ETH", "USDT")}


@dataclass
class Server:
    """What the server was asked and what it does next: ``faults`` are taken one a question for candles, first first.

    A fault is a status, ``(429, seconds)``, ``slow``, ``cut``, ``short`` (less than the length it names), ``empty`` or
    ``garbage``; None is none.
    """

    at: str = ""
    faults: list = field(default_factory=list)
    asked: list = field(default_factory=list)
    slow_s: float = 1.0
    trades: object = staticmethod(lambda ts: True)


def candle(ts):
    """Return open, high, low, close and volume of the candle that opens at ``ts``, in seconds."""
    level = 100 + (ts // 60) % 977 / 100
    return level, level + 0.5, level - 0.25, level + 0.125, 1000 + ts // 60 % 13


@contextmanager
def serving():
    """Yield a ``Server`` that runs."""
    state = Server()
    with answering(partial(answer, state=state)) as state.at:
        yield state


def answer(handler, state):
    parts = urlsplit(handler.path)
    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
    chart, klines = parts.path.startswith("/v8/finance/chart/"), parts.path == "/api/v3/klines"
    if (chart and "period1" in query) or klines:
        state.asked.append((parts.path.rpartition("/")[2], query))
        fault = state.faults.pop(0) if state.faults else None
        if fault is not None and not _fails(handler, state, fault, chart):
            return
    if chart:
        _send(handler, *_chart(parts.path.rpartition("/")[2], query, state))
    elif klines:
        _send(handler, *_klines(query, state))
    elif parts.path == "/api/v3/exchangeInfo":
        _send(handler, *_exchange_info(query))
    elif parts.path.endswith("/getcrumb"):
        _send(handler, 200, b"a.crumb", {"Content-Type": "text/plain"})
    else:
        _send(handler, 404, b"<html></html>", {"Content-Type": "text/html", "Set-Cookie": "A3=x; Path=/"})


def _send(handler, status, body, headers=()):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": len(data), **dict(headers)}.items():
        handler.send_header(name, str(value))
    with suppress(ConnectionError):  # who asked may have given up
        handler.end_headers()
        handler.wfile.write(data)


def _fails(handler, state, fault, chart):
    """Answer with a fault; return whether the true answer is to follow."""
    if fault == "slow":
        time.sleep(state.slow_s)
        return True
    if isinstance(fault, tuple):
        _send(handler, fault[0], b"Too Many Requests", {"Retry-After": fault[1]})
    elif isinstance(fault, int):
        _send(handler, fault, {"code": 0, "msg": "out of order"} if not chart else b"<html>out of order</html>")
    elif fault == "cut":
        _send(handler, 200, b'{"chart": {"result": [{"meta": {"curr' if chart else b'[[1704186000000,"10')
    elif fault == "short":
        _send(handler, 200, b"{", {"Content-Length": 1000})
        handler.close_connection = True
    elif fault == "empty":
        _send(handler, 200, {"chart": {"result": None, "error": None}} if chart else [])
    else:
        _send(handler, 200, {"strange": True})
    return False


def _chart(symbol, query, state):
    if symbol not in KNOWN:
        error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
        return 404, {"chart": {"result": None, "error": error}}
    now, step = int(time.time()), STEPS[query["interval"]]
    first, end = int(query.get("period1", now - 86400)), int(query.get("period2", now))
    back = {"1m": 30, "1h": 730, "1d": 99999}.get(query["interval"], 60)
    if "period1" in query and (first < now - back * 86400 or (step == 60 and end - first > 8 * 86400)):
        words = f"{query['interval']} data not available for startTime={first} and endTime={end}. "
        error = {"code": "Unprocessable Entity", "description": words + f"The range must be within {back} days."}
        return 422, {"chart": {"result": None, "error": error}}
    zone = KNOWN[symbol]
    times = [ts for ts in _times(first, end, step, zone) if state.trades(ts)]
    rows = list(zip(*map(candle, times), strict=True))
    meta = {
        "currency": "USD",
        "symbol": symbol,
        "exchangeTimezoneName": zone,
        "instrumentType": "ETF",
        "dataGranularity": query["interval"],
        "priceHint": 2,
        "validRanges": ["1d", "max"],
        "tradingPeriods": [[_period(each)] for each in _days(first, end, zone)] if step < 86400 else None,
        "currentTradingPeriod": dict.fromkeys(("pre", "regular", "post"), _period((first, end))),
    }
    names = ("open", "high", "low", "close", "volume")
    quote = dict(zip(names, map(list, rows), strict=True)) if times else {}
    found = {"meta": meta, "indicators": {"quote": [quote]}}
    if times:
        found["timestamp"] = times
        if step == 86400:
            found["indicators"]["adjclose"] = [{"adjclose": [close / 2 for close in rows[3]]}]
    return 200, {"chart": {"result": [found], "error": None}}


def _hours(day, zone):
    """Return when a symbol of ``zone`` is traded on a day: 9:30 to 16:00 in New York on weekdays, else all day."""
    if zone == "UTC":
        start = datetime.combine(day, clock(0), UTC)
        return int(start.timestamp()), int((start + timedelta(days=1)).timestamp())
    open_, close = (datetime.combine(day, at, ZoneInfo(zone)) for at in (clock(9, 30), clock(16)))
    return int(open_.timestamp()), int(close.timestamp())


def _days(first, end, zone):
    """Return the hours of each trading day of a symbol that has any between two times, in seconds."""
    start = datetime.fromtimestamp(first, ZoneInfo(zone)).date()
    days = (start + timedelta(days=i) for i in range((end - first) // 86400 + 2))
    hours = (_hours(day, zone) for day in days if zone == "UTC" or day.weekday() < 5)
    return [each for each in hours if each[1] > first and each[0] < end]


def _times(first, end, step, zone):
    """Return when the candles open, in seconds; a day's at midnight in its zone."""
    days = _days(first, end, zone)
    if step == 86400:
        midnights = (datetime.fromtimestamp(day[0], ZoneInfo(zone)).replace(hour=0, minute=0) for day in days)
        return [int(each.timestamp()) for each in midnights if first <= each.timestamp() < end]
    return [ts for day in days for ts in range(*day, step) if first <= ts < end]


def _period(hours):
    return {"timezone": "EST", "start": hours[0], "end": hours[1], "gmtoffset": 0}


def _klines(query, state):
    if query["symbol"] not in PAIRS:
        return 400, {"code": -1121, "msg": "Invalid symbol."}
    step, since, until = STEPS[query["interval"]] * 1000, int(query["startTime"]), int(query["endTime"])
    times = (ts for ts in range(-(-since // step) * step, until + 1, step) if state.trades(ts // 1000))
    rows = []
    for ts in times:
        if len(rows) == int(query.get("limit", 500)):
            break
        *prices, volume = candle(ts // 1000)
        rows.append([ts, *(f"{p:.8f}" for p in prices), f"{volume:.8f}", ts + step - 1, "0", 1, "0", "0", "0"])
    return 200, rows


def _exchange_info(query):
    if query.get("symbol") not in PAIRS:
        return 400, {"code": -1121, "msg": "Invalid symbol."}
    base, quote = PAIRS[query["symbol"]]
    market = {
        "symbol": query["symbol"],
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "isSpotTradingAllowed": True,
        "permissions": ["SPOT"],
        "permissionSets": [["SPOT"]],
        "orderTypes": ["LIMIT"],
        "filters": [{"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"}],
    }
    return 200, {"timezone": "UTC", "serverTime": 0, "rateLimits": [], "symbols": [market]}
