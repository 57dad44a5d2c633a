"""The command ``highwater report``, and ``--report`` of the commands that make a run."""

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from ..io.errors import MissingError
from .places import Runs, Slices
from .settings import Store
from .values import Spelling


@dataclass(frozen=True, kw_only=True)
class Page:
    """Whether a run's page is written.

    Args:
        report: Write the run's page too: report.html beside its artifacts, one file that needs no network.
    """

    report: bool = False

    def __post_init__(self) -> None:
        if self.report and find_spec("jinja2") is None:  # told before the work, not after it
            raise MissingError("--report needs jinja2, which is not installed: pip install 'highwater[report]'")

    def write(self, run: Path, store: Store) -> None:
        """Write the page of a run if it was asked for, and say where."""
        if self.report:
            say(run, store.slice_folder, aside=store.json)


def say(run: Path, slices: Path, output: Path | None = None, aside: bool = False) -> None:
    """Write the page of a run and print where; ``aside``: on stderr, as stdout holds a document."""
    from .report.write import write_report

    target = write_report(run, slices, output)
    print(f"report  {target.as_uri()}", file=sys.stderr if aside else sys.stdout)


def report(
    run: str,
    *,
    output: Annotated[Path, Spelling(("-o",))] | None = None,
    runs: Runs = Path("runs"),
    slices: Slices | None = None,
) -> int | None:
    """Write the page of a run: one HTML file with its verdict, tables and charts, that needs no network.

    The same run gives the same bytes. Candles are drawn where the folder of slices holds those with the run's digest. A
    run that is not as published is named, and not reported.

    Args:
        run: Run id, the start or end of one (4 characters or more), a path, or "latest".
        output: Write into this file (default: report.html in the run's directory).
        runs: Directory of runs.
        slices: Directory of slices (default: .slices in the runs directory).
    """
    from ..io.runs import find_run

    say(find_run(runs, run).path, slices or runs / ".slices", output)
    return None
