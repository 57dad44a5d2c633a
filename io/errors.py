"""The errors a user can meet: one line each, with the exit code of the command that met it.

A message names the place, what is there and what must be there instead:
``alerts.csv:7: alert_ts_ms is 'soon'; it must be an integer, milliseconds since 1970 UTC``.
"""

from typing import TypeVar

Found = TypeVar("Found")


class HighwaterError(Exception):
    """Base of every error the user can act on. ``code`` is the stable name, ``exit_code`` the process's."""

    exit_code, default_code = 1, "E_BUG"

    def __init__(self, message: str, code: str = ""):
        super().__init__(message)
        self.code = code or type(self).default_code

    def __str__(self) -> str:  # of an OSError: not "[Errno ...]"
        return str(self.args[0])


def one_line(error: BaseException) -> str:
    """Return the text of an error of somebody else's, in one line of at most 300 characters."""
    return " ".join(str(error).split())[:300]


def found_or_raised(found: Found | HighwaterError) -> Found:
    """Return what was found; raises the error that stands in its place."""
    if isinstance(found, HighwaterError):
        raise found
    return found


class UsageError(HighwaterError, ValueError):
    """A flag, word or value on the command line, or a setting in a config file, is wrong."""

    exit_code, default_code = 2, "E_CONFIG"


class SchemaError(HighwaterError, ValueError):
    """A file's columns, types or units are not what they must be."""

    exit_code, default_code = 2, "E_SCHEMA"


class DataError(HighwaterError, ValueError):
    """The data are malformed, or nothing usable is left of them."""

    exit_code, default_code = 3, "E_DATA"


class MissingError(HighwaterError, LookupError):
    """A file, run or name that was asked for does not exist."""

    exit_code, default_code = 2, "E_MISSING"


class IntegrityError(HighwaterError, ValueError):
    """Bytes on disk are not the bytes that were published."""

    exit_code, default_code = 4, "E_CORRUPT"


class LimitError(HighwaterError, ValueError):
    """The work was refused because it is larger than a stated limit."""

    exit_code, default_code = 5, "E_LIMIT"


class StoreError(HighwaterError, OSError):
    """Reading or writing failed: disk full, device error, too many open files."""

    exit_code, default_code = 74, "E_IO"


class BusyError(HighwaterError, OSError):
    """Something else holds a lock; trying again later helps."""

    exit_code, default_code = 75, "E_BUSY"


class AccessError(HighwaterError, OSError):
    """The file system does not let this user read or write there."""

    exit_code, default_code = 77, "E_PERM"
