"""HaasOnline's server, asked: logins, labs, pages of results, runtimes, charts, logs, and how far its history reaches.

Asking again is for what may pass: no connection, a broken answer, 429 and 5xx. Secrets are in the bodies of questions
only; where the server repeats one in an error, it is struck out.
"""

import contextlib
import html
import logging
import re
import secrets
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

from ..errors import AccessError, BusyError, DataError, HighwaterError, LimitError, MissingError, StoreError
from ..sources.tries import LONGEST, TRIES, Refused, seconds
from .access import Access
from .pace import Pace
from .wire import Answer, Item, answer_of, items_of, text_of

RATE, TIMEOUT = 5.0, 90.0  # questions a second; seconds of patience: a chart was measured to take sixty
MOST_BYTES = 256 << 20
RUNNING = (1, 2)  # of a lab's S: queued, running
DONE = 3  # of a backtest's ST
_MISSING = "labs need httpx and tenacity, which are not installed: pip install 'highwater[lab]'"
_EXPIRED = re.compile(r"expired|log ?in|logged|unauthori[sz]ed|authenticat|session|interface ?key", re.IGNORECASE)


@dataclass(frozen=True)
class Page:
    """Entries of a lab's list that no page before had, and where the next page is, None after the last."""

    items: tuple[Item, ...]
    following: str | None


class Client:
    """A session with one server; logs in with the first question. Fit for many threads at once.

    No more than ``rate`` questions a second, and a quarter second's at once after a rest.
    """

    def __init__(self, access: Access, rate: float = RATE, timeout: float = TIMEOUT):
        self.access, self.pace = access, Pace(rate, max(1, int(rate / 4)))
        self._timeout = timeout
        self._http = _http(access, timeout)
        self._lock = threading.Lock()
        self._number = 0  # of the login; 0: none yet
        self._session: dict[str, str] = {}
        self._secrets = [access.password, *([access.code] if access.code else [])]

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.pace.stop()
        self._http.close()

    def login(self) -> None:
        """Begin a session. Raises AccessError where the server refuses the credentials."""
        key = "".join(str(secrets.randbelow(101)) for _ in range(10))
        self._secrets = [*self._secrets[-8:], key]
        who = {"email": self.access.email, "interfaceKey": key}
        first = self._post("User", "LOGIN_WITH_CREDENTIALS", who | {"password": self.access.password})
        if not first.success:
            raise AccessError(self._refused(first, "check API_EMAIL and API_PASSWORD"))
        code = self.access.code or str(100_000 + secrets.randbelow(900_000))
        second = self._post("User", "LOGIN_WITH_ONE_TIME_CODE", who | {"pincode": code})
        if not second.success:
            raise AccessError(self._refused(second, "set API_CODE to a fresh one-time code"))
        user = second.data.get("D") if isinstance(second.data, dict) else None
        if not isinstance(user, dict) or not user.get("UserId"):
            raise DataError(f"{self.access.server} let us in and named no UserId; it is no server known here")
        if user.get("InterfaceSecret"):
            self._secrets.append(str(user["InterfaceSecret"]))
        self._session = {"userid": str(user["UserId"]), "interfacekey": key}
        self._number += 1

    def labs(self) -> list[dict[str, Any]]:
        """Return the record of each lab (ORIGINS 5.2: LID, N, S, SB, CB, ...)."""
        found = self.ask("Labs", "GET_LABS").data
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise DataError(f"{self.access.server} sent no list of labs")
        return found

    def lab(self, lab: str) -> Item:
        """Return a lab's record with its configuration, settings and parameters."""
        found = self.ask("Labs", "GET_LAB_DETAILS", labid=lab)
        if not isinstance(found.data, dict):
            raise DataError(f"{self.access.server} sent no details of lab {lab}")
        return Item(found.data, text_of(found.body).encode())

    def pages(self, lab: str, length: int, count: int | None = None) -> Iterator[Page]:
        """Yield the pages of a lab's backtests, each entry once, to the last page.

        Where a page is empty or its cursor leads back, the list is at its end only if ``count`` backtests were seen;
        else DataError: it is not whole.
        """
        seen: set[str] = set()
        cursor, cursors = "0", {"0"}
        while cursor is not None:
            answer = self.ask("Labs", "GET_BACKTEST_RESULT_PAGE", labid=lab, nextpageid=cursor, pagelength=str(length))
            items, following = _page_of(answer, self.access.server, lab)
            fresh = {str(each.value["BID"]): each for each in items if str(each.value["BID"]) not in seen}
            seen |= fresh.keys()
            strange = following in cursors or (following is not None and not items)
            if strange and (count is None or len(seen) < count):
                how = "leads back to where it was" if items else "goes on behind an empty page"
                raise DataError(f"the list of lab {lab} {how} after {len(seen):,} backtests of {count or 'unknown'}")
            cursor = None if strange else following
            cursors.add(cursor or "")
            yield Page(tuple(fresh.values()), cursor)

    def detail(self, part: str, lab: str, backtest: str) -> bytes:
        """Return the answer that has the ``runtime``, ``chart`` or ``log`` of a backtest, as it came."""
        return self.ask("Labs", f"GET_BACKTEST_{part.upper()}", labid=lab, backtestid=backtest).body

    def history(self) -> dict[str, dict[str, Any]]:
        """Return what is said of each market's history: MaxMonths, and Status, of which 3 is synchronised."""
        found = self.ask("Setup", "GET_HISTORY_STATUS").data
        if not isinstance(found, dict):
            raise DataError(f"{self.access.server} sent no status of histories")
        return {name: each for name, each in found.items() if isinstance(each, dict)}

    def set_depth(self, market: str, months: int) -> None:
        """Ask the server to keep so many months of a market's history."""
        self.ask("Setup", "SET_HISTORY_DEPTH", market=market, monthdepth=str(months))

    def candles(self, market: str, interval: int) -> dict[int, dict[str, Any]]:
        """Return the candles of a market's chart, by their open (s UTC), of ``interval`` minutes; oldest first."""
        found = self.ask("Price", "GET_CHART", market=market, interval=str(interval), style="300").data
        plots = found.get("Charts") if isinstance(found, dict) else None
        candles: dict[int, dict[str, Any]] = {}
        for plot in plots.values() if isinstance(plots, dict) else ():
            with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):
                candles |= {int(at): each for at, each in plot["PricePlot"]["Candles"].items()}
        return dict(sorted(candles.items()))

    def ask(self, endpoint: str, channel: str, /, **fields: str) -> Answer:
        """Return a successful answer, with a session that is renewed where it ended. Raises DataError for a failure."""
        for renew in (self._refresh, self._again, None):
            if not self._number:
                self._renew(0, self.login)
            number = self._number
            answer = self._post(endpoint, channel, fields | self._session)
            if answer.success:
                return answer
            if not _EXPIRED.search(answer.error):
                raise DataError(self._refused(answer, f"asked for {channel} {' '.join(fields.values())}".rstrip()))
            if renew is not None:
                self._renew(number, renew)
        raise AccessError(f"{self.access.server} ends each session at once; log in there and look to the licence")

    def _renew(self, number: int, how: Any) -> None:
        """Renew the session unless another thread did so since ``number``."""
        with self._lock:
            if self._number == number:
                how()

    def _refresh(self) -> None:
        if self._post("User", "REFRESH_SESSION", self._session).success:
            self._number += 1
        else:
            self.login()

    def _again(self) -> None:
        self.login()

    def _post(self, endpoint: str, channel: str, fields: Mapping[str, str]) -> Answer:
        import tenacity

        def passes(error: BaseException) -> bool:
            return isinstance(error, Refused) and error.passing and error.wait <= LONGEST

        def pause(state: tenacity.RetryCallState) -> float:
            error = state.outcome and state.outcome.exception()
            return max(2.0 ** (state.attempt_number - 1), getattr(error, "wait", 0.0))

        tries = tenacity.Retrying(
            sleep=self.pace.rest,
            stop=tenacity.stop_after_attempt(TRIES),
            wait=pause,
            retry=tenacity.retry_if_exception(passes),
        )
        try:
            return tries(self._once, endpoint, channel, fields)
        except Refused as error:
            raise self._given_up(error, channel) from None
        except tenacity.RetryError as error:
            raise self._given_up(error.last_attempt.exception(), channel) from None

    def _once(self, endpoint: str, channel: str, fields: Mapping[str, str]) -> Answer:
        import httpx

        self.pace.take()
        try:
            status, reason, wait, body = self._exchange(endpoint, channel, fields)
        except httpx.TimeoutException:
            raise Refused(0, f"no answer within {self._timeout:g} s") from None
        except httpx.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise AccessError(
                    f"{self.access.server} shows a certificate that is not trusted; name its authority in API_CA_FILE"
                ) from None
            raise Refused(0, self._struck(str(error)) or type(error).__name__) from None
        if status == 429 or status >= 500:
            if wait and wait <= LONGEST:
                self.pace.hold(wait)
            raise Refused(status, reason, wait)
        if status in (401, 403):
            return Answer(body, False, "session expired", None)
        if status != 200:
            raise DataError(f"{self.access.server} answered {channel} with HTTP {status} ({reason})")
        try:
            return answer_of(body)
        except ValueError:
            raise Refused(0, "an answer that is no whole JSON") from None

    def _exchange(self, endpoint: str, channel: str, fields: Mapping[str, str]) -> tuple[int, str, float, bytes]:
        """Return status, reason, Retry-After and body of one question."""
        import httpx

        began, body = time.monotonic(), bytearray()
        asked = self._http.stream("POST", f"/{endpoint}API.php", params={"channel": channel}, data=dict(fields))
        with asked as response:
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise LimitError(f"{self.access.server} sent more than {MOST_BYTES >> 20} MiB for {channel}")
                if time.monotonic() - began > self._timeout:
                    raise httpx.ReadTimeout("it goes on and on")
            wait = seconds(response.headers.get("Retry-After"))
            return response.status_code, response.reason_phrase, wait, bytes(body)

    def _given_up(self, error: Any, channel: str) -> HighwaterError:
        server, status = self.access.server, getattr(error, "status", 0)
        if status == 429:
            asked = f"; it asks for {error.wait:.0f} s of patience" if error.wait else ""
            return BusyError(
                f"{server} refused {channel}: too many questions{asked}; try later, or with a lower --rate"
            )
        if status:
            return StoreError(f"{server} failed {channel} {TRIES} times with HTTP {status} ({error.reason})")
        reason = getattr(error, "reason", "")
        return StoreError(f"{server} could not be asked for {channel} in {TRIES} tries ({reason}); is it running?")

    def _refused(self, answer: Answer, remedy: str) -> str:
        said = self._struck(" ".join(answer.error.split()))[:200] or "no reason given"
        return f"{self.access.server} refused: {said}; {remedy}"

    def _struck(self, text: str) -> str:
        """Return a text of the server's without our secrets."""
        for secret in self._secrets:
            for form in {secret, html.escape(secret), quote(secret), quote_plus(secret)}:
                text = text.replace(form, "***")
        return text


def is_finished(item: Mapping[str, Any], running: bool) -> bool:
    """Return whether a backtest will not change: done; where the server does not say, whether its lab is."""
    status = item.get("ST")
    return status == DONE if isinstance(status, int) else not running


def _page_of(answer: Answer, server: str, lab: str) -> tuple[list[Item], str | None]:
    """Return the entries of a page and its cursor, None at the end of the list."""
    try:
        items = items_of(text_of(answer.body).encode(), "I")
        if not all(isinstance(each.value, dict) and each.value.get("BID") for each in items):
            raise ValueError("an entry without BID")
    except (ValueError, IndexError) as error:
        raise DataError(f"{server} sent a page of lab {lab} that is none: {error}") from None
    cursor = str(answer.data.get("NP") or "-1")
    return items, None if cursor in ("-1", "0") else cursor


def _http(access: Access, timeout: float) -> Any:
    """Return httpx's client: no redirects and no proxies, which would send secrets elsewhere."""
    try:
        import httpx
        import tenacity  # noqa: F401
    except ImportError:
        raise MissingError(_MISSING) from None
    for name in ("httpx", "httpcore"):  # at DEBUG they note headers
        logging.getLogger(name).setLevel(logging.WARNING)
    trusted = ssl.create_default_context(cafile=access.ca) if access.ca else ssl.create_default_context()
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    return httpx.Client(
        base_url=access.url, verify=trusted, timeout=timeout, limits=limits, follow_redirects=False, trust_env=False
    )
