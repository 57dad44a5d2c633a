"""A search brought to a worker: whether it is one of ours, the search's message, and its slice where it has none."""

from typing import TYPE_CHECKING, Any, cast

from . import worker
from .job import Job

if TYPE_CHECKING:
    from distributed import Client

PART = 8 << 20  # bytes of a slice sent at a time

_SAME = {"highwater": "version of highwater", "engine": "digest of kernels and engine", "python": "version of Python"}


def open_on(client: "Client", address: str, threads: int, job: Job) -> tuple[str, int]:
    """Return why a worker must not work on ``job``, or "", and the bytes sent to it: 0 where it is gone again."""
    found = _ask(client, address, worker.facts)
    if isinstance(found, ModuleNotFoundError | AttributeError):
        return f"it has no highwater like ours ({found}); install the same version there", 0
    if found is None or isinstance(found, Exception):
        return "", 0
    if why := _differs(worker.facts()["same"], found["same"]):
        return why, 0
    return "", _opened(client, address, threads, job)


def _opened(client: "Client", address: str, threads: int, job: Job) -> int:
    """Open a job on a worker; return the bytes sent, 0 where it is gone."""
    given = job.digest, job.message, threads
    size = _ask(client, address, worker.take, *given)
    if size and isinstance(size, int):
        if not _sent(client, address, job, size):
            return 0
        size = _ask(client, address, worker.take, *given)
        return len(job.message) + job.slice.facts.bytes if size == 0 else 0
    if isinstance(size, Exception) and not isinstance(size, OSError):
        raise size
    return len(job.message) if size == 0 else 0


def _sent(client: "Client", address: str, job: Job, size: int) -> bool:
    """Send the slice of a job to a worker in parts; return whether it is still there."""
    content = job.slice.facts.content_sha256
    with job.slice.path.open("rb") as file:
        for offset in range(0, size, PART):
            done = _ask(client, address, worker.put, content, offset, file.read(PART))
            if isinstance(done, Exception):
                return _gone(done)
    manifest = job.slice.path.with_suffix(".json").read_bytes()
    done = _ask(client, address, worker.have, content, manifest)
    return _gone(done) if isinstance(done, Exception) else True


def _gone(error: Exception) -> bool:
    """Raise what went wrong on a worker, unless it is that the worker went away."""
    if isinstance(error, OSError) and not error.errno:
        return False
    raise error


def _ask(client: "Client", address: str, what: Any, *given: Any) -> Any:
    """Return what ``what(*given)`` returns or raises on a worker; None where it is not there."""
    try:
        found = cast(dict[str, Any], client.run(worker.aside, what, *given, workers=[address], on_error="return"))
    except (OSError, TimeoutError, ValueError) as error:
        return error
    return found.get(address)


def _differs(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """Return what is not the same on a worker as here, and the remedy; "" where nothing differs."""
    for name, words in _SAME.items():
        here, there = (_text(one.get(name)) for one in (ours, theirs))
        if here != there:
            return f"its {words} is {there}, here it is {here}; install there what is here"
    return ""


def _text(value: Any) -> str:
    return ".".join(map(str, value)) if isinstance(value, list | tuple) else str(value)[:12]
