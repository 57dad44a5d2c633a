"""The workers that do a search: who they are, what each is at, and what comes of it, in order.

Every item is given to one worker by name. One whose worker dies is given to another; one worker that is of another
version is given nothing.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from ...io.errors import BusyError, LimitError, StoreError, UsageError
from . import worker
from .job import Job, key_of
from .send import open_on

if TYPE_CHECKING:
    from distributed import Client, Future

DEEP = 2  # items a worker has at a time: the next one waits there while it works
LOOK_S, PATIENCE_S, TELL_S = 0.5, 60.0, 10.0  # seconds: between looks at who is there; for anyone to come; of silence
FETCH_S = 2.0  # seconds before it is asked whether the worker is still there that a result is fetched from; then twice
MACHINES = 16  # that a slice is brought to at once
DEATHS = 5  # workers that may be lost at one item

Told = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """Something to do: what, with what, and how many trades that is."""

    what: str
    given: Mapping[str, Any]
    trades: int


@dataclass
class Hand:
    """A worker, and what it did: items, trades, and seconds it was at work, by the clock and of its processor."""

    address: str
    threads: int
    items: int = 0
    trades: int = 0
    took: float = 0.0
    spent: float = 0.0


@dataclass(frozen=True)
class _Given:
    """An item that a worker has: its place in the order, and how many workers were lost at it before."""

    place: int
    item: Item
    hand: str
    deaths: int


@dataclass
class _Round:
    """Items being done: those to come, those to be done again, who has which, and the place of the one wanted next."""

    coming: Iterator[Item]
    again: deque[_Given] = field(default_factory=deque)
    given: "dict[Future, _Given]" = field(default_factory=dict)
    wanted: int = 0
    begun: int = 0
    ended: bool = False

    @property
    def over(self) -> bool:
        """Whether all was yielded."""
        return self.ended and self.wanted == self.begun

    def next(self, most: int) -> _Given | None:
        """Return what is to be done next; None where all is begun, or ``most`` are."""
        if self.again:
            return self.again.popleft()
        if self.begun >= most or self.ended:
            return None
        item = next(self.coming, None)
        if item is None:
            self.ended = True
            return None
        self.begun += 1
        return _Given(self.begun - 1, item, "", 0)


@dataclass
class Crew:
    """The workers of a cluster, all at one job. ``asked``: how many there will be; ``moved``: bytes so far.

    ``mend`` starts others in the place of those that ended, where that is for us to do.
    """

    client: "Client"
    job: Job
    quiet: bool
    asked: int = 0
    hands: dict[str, Hand] = field(default_factory=dict)
    gone: list[Hand] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    moved: int = 0
    mend: Callable[[], None] = lambda: None
    _looked: float = -LOOK_S
    _alone: float = field(default_factory=time.monotonic)
    _said: float = field(default_factory=time.monotonic)

    @property
    def workers(self) -> int:
        """How many workers there are, or were asked for if more."""
        return max(len(self.hands), self.asked)

    def each(self, items: Iterable[Item], advance: Callable[[int], None]) -> Iterator[Told]:
        """Yield what the workers found of each item, in order; ``advance`` is told the trades done.

        No item is begun that is far ahead of what was yielded. Raises UsageError where every worker is refused,
        BusyError where none is there for a minute, StoreError where the scheduler goes, LimitError where an item ends
        one worker after another, and whatever a worker raises.
        """
        round_, found = _Round(iter(items)), dict[int, Told]()
        done = 0
        try:
            while not round_.over:
                self.look()
                self._give(round_)
                for each, told in self._finished(round_):
                    found[each.place] = told
                    done += each.item.trades
                advance(done)
                self._tell()
                while round_.wanted in found:
                    told = found.pop(round_.wanted)
                    round_.wanted += 1
                    yield told
        finally:
            if round_.given:
                self.client.cancel(list(round_.given), force=True)

    def look(self) -> None:
        """See who has come and who has gone, and open the job on those who have come."""
        now = time.monotonic()
        if now - self._looked < LOOK_S and self.hands:
            return
        self.mend()
        there = _there(self.client)
        for address in set(self.hands) - set(there):
            self.gone.append(self.hands.pop(address))
        new = sorted(set(there) - set(self.hands) - self.refused)
        self._welcome({address: there[address] for address in new})
        if there and self.refused >= set(there):
            raise UsageError("every worker is refused; install the same version of highwater on them as here")
        self._looked = time.monotonic()
        if self.hands:
            self._alone = now
            return
        if now - self._alone > PATIENCE_S:
            raise BusyError(f"no worker came in {PATIENCE_S:.0f} s; start some at the same scheduler, then repeat")
        time.sleep(LOOK_S / 5)

    def _welcome(self, new: Mapping[str, int]) -> None:
        """Open the job on workers (address -> threads), unless they are gone again or must be refused.

        Many machines at once, but the workers of one after another: the first fetches the slice for all.
        """
        machines: dict[str, list[str]] = {}
        for address in new:
            machines.setdefault(address.rpartition(":")[0], []).append(address)

        def opened(some: list[str]) -> list[tuple[str, str, int]]:
            return [(address, *open_on(self.client, address, new[address], self.job)) for address in some]

        pool = ThreadPoolExecutor(MACHINES)
        try:
            found = [each for some in pool.map(opened, machines.values()) for each in some]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C does not wait for a slice
        for address, why, moved in found:
            self.moved += moved
            if why:
                self.refused.add(address)
                print(f"worker {address} is given nothing: {why}", file=sys.stderr)
            elif moved:
                self.hands[address] = Hand(address, new[address])

    def _give(self, round_: "_Round") -> None:
        """Give every worker that has few items more of them, those first that were lost."""
        load = dict.fromkeys(self.hands, 0)
        for each in round_.given.values():
            load[each.hand] = load.get(each.hand, 0) + 1
        most = round_.wanted + 2 * DEEP * max(1, len(self.hands))
        for hand in [name for _ in range(DEEP) for name in self.hands]:
            if load[hand] < DEEP and (each := round_.next(most)):
                given = _Given(each.place, each.item, hand, each.deaths)
                round_.given[self._submit(given)] = given
                load[hand] += 1

    def _submit(self, each: "_Given") -> "Future":
        key = key_of(self.job, each.item.what, each.item.given) + (f"-{each.deaths}" if each.deaths else "")
        call = self.job.digest, each.item.what, dict(each.item.given)
        return self.client.submit(worker.do, *call, key=key, workers=[each.hand], allow_other_workers=False)

    def _finished(self, round_: "_Round") -> "Iterator[tuple[_Given, Told]]":
        """Yield what is done by now, after a short wait; what was lost with its worker is to be done again."""
        from distributed import CancelledError, wait

        given = round_.given
        if given:
            try:
                with self.client.as_current():
                    wait(list(given), timeout=LOOK_S, return_when="FIRST_COMPLETED")
            except (TimeoutError, CancelledError):
                _alive(self.client)
        for future in [future for future, each in given.items() if future.done() or each.hand not in self.hands]:
            each = given.pop(future)
            told = self._result(future, each.hand) if future.done() else None
            if told is None:
                future.cancel(force=True)
                self.hands.pop(each.hand, None)  # if it is there, it is welcomed anew
                round_.again.append(_outlived(each))
            else:
                self._count(each, told)
                yield each, told["found"]

    def _result(self, future: "Future", hand: str) -> Told | None:
        """Return what a worker found; None where it died of it or since, or began anew and does not know the job.

        What is done lies on the worker until it is fetched: from one that died it would be waited for without end.
        """
        from distributed import CancelledError, KilledWorker

        patience = FETCH_S
        while True:
            try:
                told = future.result(timeout=patience)
            except (KilledWorker, CancelledError):
                return None
            except TimeoutError:
                if hand not in _there(self.client):
                    return None
                patience *= 2
            else:
                return None if worker.MISSING in told else told

    def _count(self, each: _Given, told: Told) -> None:
        hand = self.hands.get(each.hand) or Hand(each.hand, 1)
        hand.items, hand.trades = hand.items + 1, hand.trades + each.item.trades
        hand.took, hand.spent = hand.took + told["took"], hand.spent + told["spent"]
        self.moved += sum(each.nbytes for each in told["found"].values())

    def _tell(self) -> None:
        at_work = [hand for hand in self.hands.values() if hand.items]
        if not self.quiet and at_work and time.monotonic() - self._said > TELL_S:
            self._said = time.monotonic()
            print("; ".join(map(_rate, at_work)), file=sys.stderr)

    def lines(self) -> list[str]:
        """Return what each worker did, one line each."""
        return [_rate(hand) for hand in [*self.gone, *self.hands.values()] if hand.items]

    def facts(self) -> dict[str, Any]:
        """Return what the manifest says of the crew."""
        hands = [hand for hand in [*self.gone, *self.hands.values()] if hand.items]
        spent = [round(hand.spent, 3) for hand in hands]
        return {"workers": len(hands), "bytes_moved": self.moved, "worker_cpu_s": spent}


def _rate(hand: Hand) -> str:
    rate = hand.trades / hand.took if hand.took else 0.0
    return f"worker {hand.address}: {hand.items:,} items, {hand.trades:,} trades, {rate:,.0f} a second"


def _outlived(each: _Given) -> _Given:
    if each.deaths + 1 >= DEATHS:
        raise LimitError(
            f"{each.deaths + 1} workers were lost at the same work, probably out of memory; "
            "give them more, or ask for less at once with --mem"
        )
    return _Given(each.place, each.item, "", each.deaths + 1)


def _there(client: "Client") -> dict[str, int]:
    """Return the workers of a cluster and their threads. Raises StoreError where the scheduler does not answer."""
    try:
        return cast(dict[str, int], client.nthreads())
    except (OSError, TimeoutError) as error:
        raise _lost(client) from error


def _alive(client: "Client") -> None:
    if client.status != "running":
        raise _lost(client)


def _lost(client: "Client") -> StoreError:
    address = getattr(client.scheduler, "address", "")
    return StoreError(f"the scheduler {address} does not answer any more; start it again, then repeat")
