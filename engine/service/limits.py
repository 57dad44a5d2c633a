"""Questions within limits: so many at once, so much memory, so much time. Nothing but what they are given is read."""

import atexit
import contextlib
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

from ...io.catalog_store import timed
from ...io.errors import BusyError, IntegrityError, LimitError, UsageError, one_line
from ...io.patience import left

TIME_S, MEMORY, AT_ONCE = 10.0, 1 << 30, 4
_SLOTS = threading.BoundedSemaphore(AT_ONCE)


@contextlib.contextmanager
def limited(database: Any, time_s: float = TIME_S) -> Iterator[Any]:
    """Yield a cursor of its own on a DuckDB connection, interrupted after ``time_s``.

    At most AT_ONCE are out at a time, over all connections. Raises BusyError where none comes free, or where the
    question takes too long; LimitError where it takes too much memory; IntegrityError where what it reads is damaged.
    """
    import duckdb

    time_s = left(time_s)
    if not _SLOTS.acquire(timeout=time_s):
        raise BusyError(f"{AT_ONCE} questions are being answered already; ask again")
    try:
        with contextlib.closing(database.cursor()) as cursor, timed(cursor, time_s):
            yield cursor
    except duckdb.InterruptException as error:
        raise BusyError(f"the answer takes longer than {time_s:g} s; ask for less") from error
    except duckdb.OutOfMemoryException as error:
        raise LimitError(f"the answer needs more than {MEMORY >> 20} MiB; ask for less") from error
    except (duckdb.IOException, duckdb.SerializationException) as error:
        raise IntegrityError(one_line(error)) from error
    except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
        raise UsageError(one_line(error)) from error
    finally:
        _SLOTS.release()


@contextlib.contextmanager
def tables(**given: Any) -> Iterator[Any]:
    """Yield a cursor that knows these Arrow tables and readers by name, and no file."""
    with limited(_memory()) as cursor:
        for name, table in given.items():
            cursor.register(name, table)
        yield cursor


@cache
def _memory() -> Any:
    import duckdb

    config: dict[str, Any] = {"memory_limit": f"{MEMORY}B", "temp_directory": "", "python_enable_replacements": False}
    database = duckdb.connect(":memory:", config=config)
    database.execute("SET threads = 1")
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    return database


atexit.register(_memory.cache_clear)  # a connection that outlives the interpreter is told of on stderr
