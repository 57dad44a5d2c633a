"""The manifest of a run (``run.json``): what was asked, from what, with which code, and what came out."""

import dataclasses
import datetime
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import time
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import __version__
from .digest import canonical_json, config_digest
from .errors import IntegrityError
from .names import plain_path

MANIFEST_VERSION = 1
RUN_TYPES = ("path-only", "policy", "search", "surface", "traces", "session", "lab", "rerun")
COMPLETED, FAILED = "completed", "failed"
MARKERS = {COMPLETED: "_SUCCESS", FAILED: "_FAILED"}

_CODE = ("engine", "io", "kernels", "__init__.py", "__main__.py")  # not what users keep beside it
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_RUN_ID = re.compile(f"[0-7][{_CROCKFORD}]{{25}}")


@dataclass(frozen=True)
class Artifact:
    """A file of a run. ``rows`` is null where it is no table; then ``content_sha256`` is that of its bytes."""

    type: str
    path: str
    rows: int | None
    bytes: int
    sha256: str
    content_sha256: str
    schema_version: int

    def __post_init__(self):
        plain_path(self.path)


@dataclass(frozen=True)
class Input:
    """What a run read: where it came from, the digest of its content, and the time it spans (ms UTC)."""

    kind: str
    source: str
    digest: str
    rows: int | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    coverage_end_ms: int | None = None


@dataclass(frozen=True)
class Code:
    """Which code ran; the git fields are null outside a checkout."""

    version: str
    git_commit: str | None
    dirty: bool | None
    kernels_digest: str


@dataclass(frozen=True)
class Environment:
    """What it ran on: library versions, operating system and processor."""

    python: str
    numba: str | None
    numpy: str | None
    pyarrow: str | None
    duckdb: str | None
    os: str
    cpu: str


@dataclass(frozen=True)
class Manifest:
    """All of ``run.json``. Times are ISO 8601 texts in UTC; ``config`` is complete, with seeds as texts.

    ``execution`` (threads, chunks, engine) changes no result and is no part of ``config_digest``.
    """

    run_id: str
    run_type: str
    status: str
    created_at: str
    started_at: str
    completed_at: str
    config_digest: str
    code: Code
    environment: Environment
    artifacts: tuple[Artifact, ...]
    config: dict[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    execution: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    timing_ms: dict[str, int] = field(default_factory=dict)
    peak_memory_bytes: int | None = None
    trials_so_far: int | None = None
    holdout_peeks: int | None = None
    error: str | None = None
    schema_version: int = MANIFEST_VERSION

    def __post_init__(self):
        if not _RUN_ID.fullmatch(self.run_id):
            raise ValueError(f"run_id {self.run_id!r} must be a lower-case ULID of 26 characters")
        if self.run_type not in RUN_TYPES:
            raise ValueError(f"run_type {self.run_type!r} must be one of {', '.join(RUN_TYPES)}")
        if self.status not in (COMPLETED, FAILED):
            raise ValueError(f"status {self.status!r} must be {COMPLETED} or {FAILED}")
        if self.config_digest != config_digest(self.config):
            raise ValueError(f"config_digest {self.config_digest[:12]} is not that of the config")

    def artifact(self, name: str) -> Artifact | None:
        """Return the artifact of a type or at a path, the first of several, or None."""
        return next((a for a in self.artifacts if name in (a.type, a.path)), None)

    def to_json(self) -> bytes:
        """Return the canonical JSON of the manifest."""
        return canonical_json(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, data: bytes, where: str = "run.json") -> "Manifest":
        """Return the manifest in ``data``.

        Raises IntegrityError: ``E_VERSION`` where a newer version wrote it, else where a key is missing, unknown
        or of another type. ``where`` names the file in messages.
        """
        try:
            value = json.loads(data, object_pairs_hook=_no_twice)
            version = value.get("schema_version") if isinstance(value, dict) else None
            if type(version) is int and version > MANIFEST_VERSION:
                text = f"was written by a newer version (schema {version}, this is {MANIFEST_VERSION})"
                raise IntegrityError(f"{where}: run {value.get('run_id')} {text}; upgrade to read it", "E_VERSION")
            return parsed(cls, value, "manifest")
        except IntegrityError:
            raise
        except (ValueError, RecursionError) as error:
            raise IntegrityError(f"{where}: {error}") from error


def _no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key stands twice among {[key for key, _ in pairs]}")
    return found


def parsed(kind: Any, value: Any, where: str) -> Any:
    """Return a JSON value as ``kind``: a dataclass, tuple, dict, union or plain type. Raises ValueError."""
    if kind is Any:
        return value
    arguments, shape, hints = _shape(kind)
    if isinstance(kind, types.UnionType):
        return None if value is None else parsed(arguments[0], value, where)
    if type(value) is not shape:
        raise ValueError(f"{where} is {value!r:.60}; it must be {shape.__name__}")
    if hints is not None:
        if hints.keys() != value.keys():
            raise ValueError(f"{where} has keys that differ: {sorted(hints.keys() ^ value.keys())}")
        return kind(**{name: parsed(hint, value[name], f"{where}.{name}") for name, hint in hints.items()})
    if shape is list:
        if set(map(type, value)) == {arguments[0]}:  # item by item, 40,000 numbers take 80 ms
            return tuple(value)
        return tuple(parsed(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if shape is dict:
        return {name: parsed(arguments[1], item, f"{where}.{name}") for name, item in value.items()}
    return value


@functools.cache  # asked anew for every value, typing took 0.56 of the 0.9 ms that a manifest took
def _shape(kind: Any) -> tuple[tuple[Any, ...], Any, dict[str, Any] | None]:
    """Return a type's arguments, the Python type of its JSON, and its fields where it is a record."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return (), dict, typing.get_type_hints(kind)
    origin = typing.get_origin(kind)
    return typing.get_args(kind), list if origin is tuple else origin or kind, None


def new_run_id(now_ms: int | None = None) -> str:
    """Return a lower-case ULID: 48 bits of time (ms UTC, so ids sort by it) and 80 random bits."""
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    number = now_ms << 80 | int.from_bytes(os.urandom(10))
    return "".join(_CROCKFORD[number >> 5 * i & 31] for i in reversed(range(26)))


def made_at(run_id: str) -> int:
    """Return the time in a run's id, ms UTC."""
    return functools.reduce(lambda number, digit: number << 5 | _CROCKFORD.index(digit), run_id, 0) >> 80


def utc_text(ms: int) -> str:
    """Return a time in ms UTC as ``2024-01-31T10:00:00.000Z``."""
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds") + "Z"


def environment() -> Environment:
    """Return what this process runs on, without importing the libraries it names."""

    def version(library: str) -> str | None:
        try:
            return importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            return None

    libraries = {library: version(library) for library in ("numba", "numpy", "pyarrow", "duckdb")}
    system = f"{platform.system()} {platform.release()}"
    return Environment(python=platform.python_version(), os=system, cpu=_cpu(), **libraries)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def code() -> Code:
    """Return which code this is. ``kernels_digest`` is the sha256 over the names and bytes of the kernel sources."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for source in sorted((package / "kernels").glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    commit = changes = None
    if (package / ".git").exists():
        commit, changes = _git(package, "rev-parse", "HEAD"), _git(package, "status", "--porcelain", "--", *_CODE)
    return Code(__version__, commit, None if changes is None else bool(changes), digest.hexdigest())


def _git(folder: Path, *words: str) -> str | None:
    """Return what git prints, or None where it is absent, fails or takes 5 seconds."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, env=clean, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
