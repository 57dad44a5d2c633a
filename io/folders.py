"""What lies in directories that other processes add to and take from meanwhile: what is gone is left out, no error."""

import os
from pathlib import Path


def entries(folder: Path) -> list[Path]:
    """Return what lies in a directory, sorted; nothing where it is none, or none any more."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def below(folder: Path) -> list[Path]:
    """Return all that lies below a directory, sorted, plain directories left out; links are not followed.

    ``Path.rglob`` raises FileNotFoundError where a directory goes while it looks (Python 3.11).
    """
    found = []
    for at, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(f"{at}/{name}")]  # noqa: PTH114
        found += [Path(at, name) for name in (*files, *links)]
    return sorted(found)


def status(path: Path) -> os.stat_result | None:
    """Return what the system knows of a file, links followed; None where it is gone."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
