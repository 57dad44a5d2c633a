"""A lab run in other forms: its figures as CSV; and which run of a store is meant."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from ...io import exports
from ...io.durable import disk_errors, make_folder
from ...io.errors import MissingError, UsageError
from ...io.manifest import COMPLETED, Manifest, made_at
from ...io.names import safe_name
from ...io.runs import find_run, read_artifact, read_entry, run_folders

HEAD = b'"rank","backtest_id"'
REMEDY = "the run itself is saved; name another --csv"


def check_csv(path: Path) -> None:
    """Raise UsageError where a file stands at ``path`` that this did not write."""
    if path.is_dir() or (path.is_file() and not path.read_bytes().startswith(HEAD)):
        raise UsageError(f"--csv {path} is something else already; name a new file")


def write_csv(analytics: pa.Table, path: Path) -> None:
    """Write the figures of a lab, the best backtest first, null as an empty cell; over an older such file."""
    with disk_errors(f"writing {path}", REMEDY), exports.placed(path, REMEDY) as draft:
        exports.write_csv(draft, exports.NEW, analytics.drop_columns("run_id"), REMEDY)


def write_guide(run: Path, manifest: Manifest, folder: Path) -> Path:
    """Write the figures of a published run where the results guide has them, below ``folder``; return the file."""
    made = datetime.fromtimestamp(made_at(manifest.run_id) / 1000, UTC)
    name = f"lab_backtests_{safe_name(manifest.config['lab']['lab_id'])}_{made:%Y%m%d_%H%M%S}"
    path = folder / name / "backtests_analytics.csv"
    check_csv(path)
    with disk_errors(f"writing {path}", REMEDY):
        make_folder(path.parent)
    write_csv(read_artifact(run, "lab_analytics"), path)
    return path


def find_lab_run(root: Path, text: str) -> Path:
    """Return where the run lies that ``text`` names; latest is the newest completed one of a lab."""
    if text != "latest":
        return find_run(root, text).path
    for path in run_folders(root):
        entry = read_entry(path)
        if entry is not None and entry.status == COMPLETED and entry.manifest and entry.manifest.run_type == "lab":
            return path
    raise MissingError(f"there is no completed run of a lab in {root}; highwater labs analyze makes one")
