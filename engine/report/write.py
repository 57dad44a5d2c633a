"""Pages as files: that of a run beside its artifacts or where it was asked for, and those of single symbols."""

from pathlib import Path

from ...io.errors import StoreError, UsageError
from ...io.exports import put
from ...io.runs import gone
from ...io.schemas import PATHS
from .page import MARK, page

_REMEDY = "the run itself is saved; free space, or name another file with -o"


def write_report(run: Path, slices: Path, output: Path | None = None) -> Path:
    """Write the page of the run in the directory ``run`` and return where: ``report.html`` in it, unless told.

    An earlier page is replaced, and nothing else is. Raises as ``page`` does, UsageError where another file is there,
    StoreError or AccessError where the disk refuses, MissingError where the run was removed meanwhile.
    """
    target = run / PATHS["report"] if output is None else output
    check(target)
    try:  # in the run's own directory nothing else may ever lie, and it must not come back where the run was removed
        put(target, page(run, slices).encode(), _REMEDY, run.parent if output is None else None)
    except StoreError:
        if output is None and not run.is_dir():
            raise gone(run) from None
        raise
    return target.resolve()


def check(target: Path, flag: str = "-o") -> None:
    """Raise UsageError unless ``target`` is free or holds an earlier page, in a directory that is there."""
    if not target.parent.is_dir():
        raise UsageError(f"{flag} {target}: there is no directory {target.parent}")
    if target.is_symlink() or (target.exists() and not _is_page(target)):
        raise UsageError(f"{flag} {target} is there already and no report; name another file")


def _is_page(target: Path) -> bool:
    if not target.is_file():
        return False
    with target.open("rb") as file:
        return MARK.encode() in file.read(4096)


def write_symbols(run: Path, slices: Path, symbols: tuple[str, ...], folder: Path) -> list[Path]:
    """Write ``SYMBOL_report.html`` of each symbol of a run of sessions into ``folder``, and return where."""
    found = []
    for symbol in symbols:
        target = folder / f"{_file_name(symbol)}_report.html"
        put(target, page(run, slices, symbol).encode(), _REMEDY)
        found.append(target)
    return found


def _file_name(symbol: str) -> str:
    from ..session.files import safe

    return safe(symbol)
