"""A function of the user's own, found by the name a command line gives it."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ..io.config import nearest
from ..io.errors import MissingError, UsageError


def function_named(name: str, of: str = "candles") -> Callable[..., Any]:
    """Return the function that ``module:function`` or ``folder/file.py:function`` names; ``of``: what it is to read.

    Modules are looked for in the working directory first, those that the file imports beside it. Importing runs the
    module. Raises MissingError where there is no such file, module or function, UsageError where it cannot be had.
    """
    place, colon, path = name.rpartition(":")
    if not (colon and place and path):
        raise UsageError(f"{name!r} names no function; it must be module:function or file.py:function")
    found: Any = _module(place)
    for word in path.split("."):
        if not hasattr(found, word):
            raise MissingError(f"{place} has no {path}{nearest(word, [n for n in dir(found) if n[0] != '_'])}")
        found = getattr(found, word)
    if not callable(found):
        raise UsageError(f"{name} is a {type(found).__name__}; it must be a function of {of}")
    return found


def _module(place: str) -> ModuleType:
    file = Path(place)
    if file.suffix == ".py" and not file.is_file():
        raise MissingError(f"{place} does not exist")
    sys.path.insert(0, str(file.parent.resolve() if file.suffix == ".py" else Path.cwd()))
    try:
        if file.suffix != ".py":
            return importlib.import_module(place)
        spec = importlib.util.spec_from_file_location(f"user_{file.stem}", file)  # signal.py is a fine name for a file
        assert spec and spec.loader
        made = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = made  # dataclasses look their module up
        spec.loader.exec_module(made)
        return made
    except ModuleNotFoundError as error:
        raise MissingError(f"{place}: there is no module {error.name}") from error
    except Exception as error:
        raise UsageError(f"{place}: importing it raised {type(error).__name__}: {error}") from error
