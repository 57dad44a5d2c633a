"""A server on this machine that answers as HaasOnline's does, and fails as it does, for labs that are made up.

Its channels, envelope and fields are those of the samples and notes of pyHaasAPI; where these are silent (the text of
errors, how a cursor looks), what it does is a guess.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from . import made_up
from .made_up import DAY, MadeUpLab

EMAIL, PASSWORD = "you@example.invalid", "a made-up password"
EXPIRED = "Session expired, please login again"
Fault = Any


@dataclass
class MadeUp:
    """What the server knows, what it was asked, and how it is to fail.

    ``faults``: by channel ('' is any but logins) what goes wrong with the next questions, first first: a status,
    ``(429, seconds)``, ``slow``, ``cut`` (half of the JSON), ``short`` (less than the length it names), ``garbage``,
    ``refused`` (success is false), ``expired``, and of result pages ``duplicate`` (with an entry of the page before)
    and ``loop`` (its cursor leads back); None is no fault. ``done``: by lab how many backtests are done, all where it
    says nothing; ``step`` more each time its details are asked for. ``session_calls``: a session ends after as many.
    ``synchronised``: the status of histories; ``chart_minutes``: how far the chart of a backtest reaches, None: to its
    end.
    """

    labs: list[MadeUpLab] = field(default_factory=lambda: [MadeUpLab()])
    email: str = EMAIL
    password: str = PASSWORD
    code: str | None = None
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    step: int = 10
    session_calls: int | None = None
    refreshes: bool = True
    unknown_fields: bool = False
    delay_s: float = 0.0
    slow_s: float = 1.0
    now: int = made_up.START + 60 * DAY
    synchronised: int = 3
    chart_minutes: int | None = 150
    markets: dict[str, tuple[int, int]] = field(default_factory=lambda: {made_up.MARKET: (made_up.START - 90 * DAY, 9)})
    at: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    _begun: set[str] = field(default_factory=set)
    _sessions: dict[str, int] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    def count(self, channel: str) -> int:
        """Return how often a channel was asked."""
        return sum(name == channel for name, _ in self.asked)

    def lab(self, fields: Mapping[str, str]) -> MadeUpLab:
        """Return the lab that is asked for. Raises LookupError where there is none."""
        return next(each for each in self.labs if each.lab == fields.get("labid"))

    def finished(self, lab: MadeUpLab) -> int:
        """Return how many backtests of a lab are done."""
        return min(lab.backtests, self.done.get(lab.lab, lab.backtests))

    def status(self, lab: MadeUpLab) -> int:
        """Return whether a lab is running (2) or completed (3)."""
        return 3 if self.finished(lab) == lab.backtests else 2


@contextmanager
def serving(state: MadeUp, port: int = 0) -> Iterator[MadeUp]:
    """Yield ``state`` while a server answers from it, at ``state.at``; on any free port where it is 0."""
    with answering(partial(_answer, state=state), port) as state.at:
        yield state


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None], port: int = 0) -> Iterator[str]:
    """Yield the address at which ``answer`` is called for every question, on this machine alone."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm, wbufsize = True, 1 << 16  # or each answer waits 40 ms for an acknowledgement

        def do_GET(self) -> None:
            answer(self)

        do_POST = do_GET

        def log_message(self, *_: Any, **__: Any) -> None:
            """Say nothing: what is asked holds passwords."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, state: MadeUp) -> None:
    parts = urlsplit(handler.path)
    length = int(handler.headers.get("Content-Length") or 0)
    form = handler.rfile.read(min(length, 1 << 20)).decode()
    fields = dict(parse_qsl(parts.query, keep_blank_values=True)) | dict(parse_qsl(form, keep_blank_values=True))
    endpoint, channel = parts.path.strip("/").removesuffix("API.php"), fields.pop("channel", "")
    with state._lock:
        state.asked.append((channel, fields))
        fault = _fault(state, channel)
    if state.delay_s and endpoint != "User":
        time.sleep(state.delay_s)
    if fault == "slow":
        time.sleep(state.slow_s)
    elif isinstance(fault, int | tuple) or fault in ("garbage", "expired", "refused"):
        return _fail(handler, fault)
    with state._lock:
        data, error = _data(endpoint, channel, fields, state, fault)
    body = {"Success": not error, "Error": error, "Data": data}
    if state.unknown_fields:
        body |= {"NewInThisVersion": {"Data": [1, 2]}}
    _send(handler, 200, json.dumps(body).encode(), cut=fault)
    return None


def _fault(state: MadeUp, channel: str) -> Fault:
    for name in (channel, *([""] if not channel.startswith("LOGIN") else [])):
        if state.faults.get(name):
            return state.faults[name].pop(0)
    return None


def _fail(handler: BaseHTTPRequestHandler, fault: Fault) -> None:
    if isinstance(fault, tuple):
        _send(handler, fault[0], b"Too Many Requests", {"Retry-After": str(fault[1])})
    elif isinstance(fault, int):
        _send(handler, fault, b"<html>out of order</html>")
    elif fault == "garbage":
        _send(handler, 200, b"<html>Sign in</html>")
    else:
        error = EXPIRED if fault == "expired" else "Backtest not found"
        _send(handler, 200, json.dumps({"Success": False, "Error": error, "Data": None}).encode())


def _send(
    handler: BaseHTTPRequestHandler, status: int, data: bytes, headers: Mapping[str, str] | None = None, cut: Fault = ""
) -> None:
    length = len(data)
    if cut in ("cut", "short"):
        data = data[: length // 2]
        length = len(data) if cut == "cut" else length
        handler.close_connection = cut == "short"
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(length), **(headers or {})}.items():
        handler.send_header(name, value)
    with suppress(ConnectionError):  # who asked may have given up
        handler.end_headers()
        handler.wfile.write(data)


def _data(endpoint: str, channel: str, fields: dict[str, str], state: MadeUp, fault: Fault) -> tuple[Any, str]:
    """Return what a channel holds, and the error where it holds none."""
    if endpoint == "User":
        return _user(channel, fields, state)
    left = state._sessions.get(fields.get("interfacekey", ""), 0)
    if fields.get("userid") != "made-up-user" or left <= 0:
        return None, EXPIRED
    state._sessions[fields["interfacekey"]] = left - 1
    answer = _CHANNELS.get((endpoint, channel))
    if answer is None:
        return None, f"Unknown channel {channel}"
    try:
        return answer(fields, state, fault), ""
    except (LookupError, StopIteration, ValueError):
        return None, "Not found"


def _user(channel: str, fields: dict[str, str], state: MadeUp) -> tuple[Any, str]:
    calls, key = state.session_calls or 1 << 62, fields.get("interfaceKey", fields.get("interfacekey", ""))
    if channel == "LOGIN_WITH_CREDENTIALS":
        if (fields.get("email"), fields.get("password")) != (state.email, state.password):
            return None, f"Wrong password '{fields.get('password')}' for {fields.get('email')}"
        state._begun.add(key)
        return {"D": None}, ""
    if channel == "LOGIN_WITH_ONE_TIME_CODE":
        code = fields.get("pincode", "")
        if key not in state._begun or not (len(code) == 6 and code.isdigit()) or state.code not in (None, code):
            return None, f"Wrong code {code}"
        state._sessions[key] = calls
        rights = {"UserRights": [], "LicenseDetails": {"LicenseName": "Made up", "AllowedExchanges": []}}
        user = {"UserId": "made-up-user", "Username": "you", "InterfaceSecret": f"secret-of-{key}", **rights}
        return {"D": user, "R": 0}, ""
    if channel == "REFRESH_SESSION" and state.refreshes and key in state._sessions:
        state._sessions[key] = calls
        return True, ""
    return None, EXPIRED


def _page(fields: dict[str, str], state: MadeUp, fault: Fault) -> Any:
    lab, first, length = state.lab(fields), int(fields["nextpageid"]), int(fields["pagelength"])
    last = min(first + length, lab.backtests)
    items = [made_up.item(lab, i, 3 if i < state.finished(lab) else 0) for i in range(first, last)]
    if fault == "duplicate" and first:
        items.insert(0, made_up.item(lab, first - 1))
    if state.unknown_fields:
        items = [each | {"NEW": [{"A": "µ"}]} for each in items]
    return {"I": items, "NP": first if fault == "loop" else last if last < lab.backtests else -1}


def _detail(make: Callable[[MadeUpLab, int], Any], fields: dict[str, str], state: MadeUp, _: Fault) -> Any:
    lab = state.lab(fields)
    place = lab.ids().index(fields["backtestid"])
    if place >= state.finished(lab):
        raise LookupError
    found = make(lab, place)
    return found | {"NewField": None} if state.unknown_fields and isinstance(found, dict) else found


def _details(fields: dict[str, str], state: MadeUp, _: Fault) -> Any:
    lab = state.lab(fields)
    found = made_up.details(lab, state.finished(lab), state.status(lab))
    if lab.lab in state.done:
        state.done[lab.lab] = min(lab.backtests, state.done[lab.lab] + state.step)
    return found


def _depth(fields: dict[str, str], state: MadeUp, _: Fault) -> Any:
    first, months = state.markets[fields["market"]]
    state.markets[fields["market"]] = first, max(months, int(fields["monthdepth"]))
    return True


def _candles(fields: dict[str, str], state: MadeUp, _: Fault) -> Any:
    first, _months = state.markets[fields["market"]]
    step = int(fields.get("interval", 1)) * made_up.MINUTE
    found = made_up.chart("price", fields["market"], 0, 0)
    minutes = range(first - first % step, state.now, step)
    candles = {str(at): made_up.bar(fields["market"], at) for at in reversed(minutes)}
    found["Charts"]["0"]["PricePlot"] |= {"Candles": candles, "Interval": step // made_up.MINUTE}
    return found


def _lab_chart(fields: dict[str, str], state: MadeUp, fault: Fault) -> Any:
    def chart(lab: MadeUpLab, i: int) -> Any:
        last = lab.end if state.chart_minutes is None else lab.start + state.chart_minutes * made_up.MINUTE
        return made_up.chart(f"chart-{i}", lab.market, lab.start, last)

    return _detail(chart, fields, state, fault)


_CHANNELS: dict[tuple[str, str], Callable[[dict[str, str], MadeUp, Fault], Any]] = {
    ("Labs", "GET_LABS"): lambda _, state, __: [
        made_up.record(lab, state.finished(lab), state.status(lab)) for lab in state.labs
    ],
    ("Labs", "GET_LAB_DETAILS"): _details,
    ("Labs", "GET_BACKTEST_RESULT_PAGE"): _page,
    ("Labs", "GET_BACKTEST_RUNTIME"): partial(_detail, made_up.runtime),
    ("Labs", "GET_BACKTEST_CHART"): _lab_chart,
    ("Labs", "GET_BACKTEST_LOG"): partial(_detail, lambda lab, i: [f"[0] {lab.name} {i}: started"]),
    ("Setup", "GET_HISTORY_STATUS"): lambda _, state, __: {
        name: {"Market": name, "MaxMonths": months, "Status": state.synchronised}
        for name, (first, months) in state.markets.items()
    },
    ("Setup", "SET_HISTORY_DEPTH"): _depth,
    ("Price", "GET_CHART"): _candles,
}
