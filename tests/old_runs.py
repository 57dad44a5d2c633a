"""Runs made at chosen times, what lies in a directory of them, and ways to damage one."""

import numpy as np
from highwater.io import manifest
from highwater.io.publish import stage
from highwater.io.runs import list_runs
from highwater.io.schemas import ALERTS, table

ROW = {"call_id": "c", "mint": "m", "caller_name": "k", "chain": "solana", "created_at": "2024-01-01T00:00:00Z"}
JANUARY, DAY = 1_735_689_600_000, 86_400_000
ALWAYS, NEVER = "9999", "0000"


def made(root, ms, fail=False, rows=3):
    """Return the directory of a run made at a time."""
    with stage(root, "path-only") as staged:
        staged.created_at = manifest.utc_text(ms)
        staged.write(
            "alerts",
            table(
                ALERTS, {**ROW, "alert_ts_ms": np.arange(rows), "alert_id": None, "alert_price": None, "mcap_usd": None}
            ),
        )
        return staged.fail(ValueError("a bug")) if fail else staged.publish()


def whole(root):
    """Return path -> bytes of everything below ``root`` that is a file."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def runs_in(root):
    return sorted(str(entry.path.relative_to(root)) for entry in list_runs(root))


def corrupt(run):
    path = run / "inputs" / "alerts.parquet"
    path.chmod(0o644)
    path.write_bytes(b"x" * path.stat().st_size)


def shortened(run):
    (run / "inputs" / "alerts.parquet").unlink()


def unverified(run):
    (run / "_SUCCESS").chmod(0o644)
    (run / "_SUCCESS").write_text("")


def with_notes(run):
    (run / "notes.txt").write_text("mine")


def with_link(run):
    (run / "inputs" / "link").symlink_to("/")
