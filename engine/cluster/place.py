"""Where the workers of a search are: processes started here, those of a scheduler, or those of a user's own client."""

import contextlib
import importlib
import importlib.util
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from ...io.errors import StoreError, UsageError
from ..tallies import Ground
from .processes import Processes, begun

if TYPE_CHECKING:
    from distributed import Client

    from ..surface import Work
    from ..sweep import Plan
    from .crew import Crew

ANSWER_S = 5.0  # seconds a scheduler has to answer
MOST = 1024  # workers of ours


@dataclass(frozen=True)
class Place:
    """Where workers are: ``workers`` processes of ours, those of ``scheduler``, or those of ``client``.

    ``processes``: ours, where they were begun.
    """

    workers: int = 0
    scheduler: str = ""
    client: Any = None
    processes: Processes | None = None


def place_of(dask: bool, workers: int | None, scheduler: str | None, client: Any = None) -> Place | None:
    """Return where the flags, or a program's ``client``, put the work; None: here.

    Raises UsageError where they contradict each other, StoreError where no scheduler answers.
    """
    if client is not None:
        if workers is not None or scheduler is not None:
            raise UsageError("client beside workers or scheduler: each says who does the work; leave one out")
        if getattr(client, "asynchronous", False):
            raise UsageError("client is asynchronous; a search takes one made with asynchronous=False")
        return Place(client=client)
    if workers is not None and scheduler is not None:
        raise UsageError("--workers starts processes here, --scheduler names a cluster; leave one out")
    if workers is not None and not 1 <= workers <= MOST:
        raise UsageError(f"--workers is {workers}; it must be from 1 to {MOST:,}")
    if scheduler is not None:
        host, port = _host(scheduler)
        if not host or not port:
            raise UsageError(f"--scheduler {scheduler!r} must be like tcp://host:8786 or tls://host:8786")
    if not dask and workers is None and scheduler is None:
        return None
    need_dask()
    if scheduler is not None:
        check_answers(scheduler)
    return Place(workers or (0 if scheduler else os.cpu_count() or 1), scheduler or "")


def check_answers(scheduler: str) -> None:
    """Raise StoreError unless something like a scheduler answers: whatever else may leave a client waiting for ever.

    A scheduler begins with a message of some hundred bytes, and its length before it; behind TLS it is not seen.
    """
    with _errors(f"no scheduler at {scheduler}"), socket.create_connection(_host(scheduler), ANSWER_S) as link:
        if scheduler.startswith("tls:"):
            return
        link.settimeout(ANSWER_S)
        said = link.recv(8, socket.MSG_WAITALL)
        if len(said) < 8 or int.from_bytes(said, "little") > 2**16:
            raise OSError("what answers is no Dask scheduler")


def need_dask() -> None:
    """Raise UsageError where Dask is not installed."""
    if importlib.util.find_spec("distributed") is None:
        raise UsageError("workers need Dask, which is not installed; pip install 'highwater[dask]'")


@contextlib.contextmanager
def called(place: Place | None) -> Iterator[Place | None]:
    """Yield a place whose processes, if it has any of ours, get ready while we do; they are gone at the end."""
    if place is None or not place.workers or place.processes:
        yield place
        return
    with contextlib.ExitStack() as stack:
        with _errors("workers do not start"):
            processes = stack.enter_context(begun(place.workers))
        yield replace(place, processes=processes)


@contextlib.contextmanager
def manned(
    place: Place | None, there: Ground, config: Mapping[str, Any], work: "Plan | Work", quiet: bool
) -> Iterator[Ground]:
    """Yield the ground of a search with a crew at that place, which goes at the end; none without a place."""
    if place is None:
        yield there
        return
    from .crew import Crew
    from .job import job_of

    with _client(place) as client:
        crew = Crew(client, job_of(there, config, work), quiet, place.workers)
        if place.processes:
            crew.mend = place.processes.mend
        crew.look()
        yield replace(there, crew=crew)


def told_by(crew: "Crew | None", quiet: bool) -> dict[str, Any]:
    """Return what the manifest says of a crew, after saying on stderr what each worker did."""
    if crew is None:
        return {}
    if not quiet:
        print("\n".join(crew.lines()), file=sys.stderr)
    return crew.facts()


@contextlib.contextmanager
def _client(place: Place) -> Iterator["Client"]:
    """Yield a client of the cluster; what was started or joined for it is closed at the end."""
    if place.client is not None:
        yield place.client
        return
    with _silent(), contextlib.ExitStack() as stack:
        yield _started(place.processes, stack) if place.processes else _joined(place.scheduler, stack)


def _started(processes: Processes, stack: contextlib.ExitStack) -> "Client":
    """Return the client of a scheduler in this process, which listens on this machine alone, with our processes."""
    from distributed import Client, LocalCluster

    address = "127.0.0.1:0"
    with _errors("workers do not start"):
        with _deaf():
            cluster = LocalCluster(
                n_workers=0, host="127.0.0.1", dashboard_address=address, silence_logs=logging.CRITICAL
            )
            stack.callback(cluster.close)
            client = stack.enter_context(Client(cluster, set_as_default=False))
        processes.join(cluster.scheduler_address, lambda: len(cast(dict[str, int], client.nthreads())))
    return client


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Have Ctrl-C wait until Dask is whole, and never reach the threads that it starts: it is for us to stop them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _joined(address: str, stack: contextlib.ExitStack) -> "Client":
    """Return a client of a scheduler. Raises StoreError where none answers."""
    from distributed import Client

    with _errors(f"no scheduler at {address}"):
        return stack.enter_context(Client(address, timeout=ANSWER_S, set_as_default=False))


@contextlib.contextmanager
def _errors(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, TimeoutError, RuntimeError) as error:
        why = str(error).partition("\n")[0][:120] or "it does not answer"
        remedy = "start one (dask scheduler), or use --workers" if "scheduler" in what else "ask for fewer --workers"
        raise StoreError(f"{what}: {why}; {remedy}") from error


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep what Dask logs off stderr: that a worker died is said by us where it matters."""
    importlib.import_module("distributed")  # gives its loggers levels of their own
    names = [name for name in logging.root.manager.loggerDict if f"{name}.".startswith("distributed.")]
    every = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in every]
    try:
        for logger in every:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(every, before, strict=True):
            logger.setLevel(level)


def _host(address: str) -> tuple[str, int]:
    """Return host and port of an address, "" and 0 where it has none."""
    try:
        found = urlsplit(address if "://" in address else f"tcp://{address}")
        return (found.hostname or "", found.port or 0) if found.scheme in ("tcp", "tls") else ("", 0)
    except ValueError:
        return "", 0
