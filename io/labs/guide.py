"""A kept lab in the layout of the results guide: a directory of JSON files, as the server wrote them."""

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from .. import exports
from ..durable import NewFile
from ..errors import DataError, LimitError
from ..names import safe_name
from .store import Key, each, lab_records
from .wire import text_of

LIST, DETAILS, ANALYTICS, PARTIAL = (
    *("backtests_list.json", "backtest_details", "backtests_analytics.csv", "INCOMPLETE.txt"),
)
REMEDY = "free space, or name another --folder"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_BLOCK = 1 << 20


def folder_of(parent: Path, lab: str, at_ms: int) -> Path:
    """Return where a lab is exported to: ``lab_backtests_<lab>_<time UTC>``."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return parent / f"lab_backtests_{_file_name(lab)}_{moment:%Y%m%d_%H%M%S}"


def export(
    store: Path,
    server: str,
    lab: str,
    folder: Path,
    partial: bool = False,
    write_more: Callable[[Path], None] = lambda draft: None,
    on_done: Callable[[int], None] = lambda done: None,
) -> int:
    """Write a lab to ``folder``, which must be free, in one step, and return how many backtests.

    ``backtests_list.json`` has the entries of the server's list; ``backtest_details`` a file a backtest, with its
    runtime, and its chart and log where they were fetched. ``write_more`` is given the directory before it is in view.
    Raises DataError where something of the lab is missing unless ``partial``, which is then said in a file.
    """
    found = lab_records(store, server, lab)
    if os.path.lexists(folder):
        raise DataError(f"{folder} exists; name another --folder, or wait a second")
    if len(found.backtests) > exports.MOST_FILES:
        raise LimitError(f"{folder} would hold {len(found.backtests):,} files; at most {exports.MOST_FILES:,}")
    lacking = None if found.complete else _lacking(found.listed, len(found.missing))
    if lacking and not partial:
        raise DataError(f"lab {lab} is not complete: {lacking}; fetch it with highwater labs sync, or add --partial")
    with exports.placed(folder, REMEDY) as draft:
        new = draft / exports.NEW
        new.mkdir()
        (new / DETAILS).mkdir()
        listed = NewFile(new, LIST, REMEDY)
        rest = bytearray(b"[")
        for done, (key, parts) in enumerate(each(store, server, lab, ("summary", "runtime", "chart", "log")), 1):
            rest += b",\n" * (done > 1) + parts["summary"]
            if len(rest) > _BLOCK:
                listed.write(bytes(rest))
                rest.clear()
            _write(new, f"{DETAILS}/{_file_name(key.backtest)}.json", _detail(key, parts).encode())
            on_done(done)
        listed.write(bytes(rest + b"]\n"))
        listed.close()
        if lacking:
            _write(new, PARTIAL, f"{lacking}\n".encode())
        write_more(new)
    return len(found.backtests)


def _detail(key: Key, parts: dict[str, bytes]) -> str:
    """Return one backtest as the guide has it; what the server sent stands in it as it was written."""
    summary, rest = json.loads(parts["summary"]), {name: text_of(parts[name]) for name in parts if name != "summary"}
    runtime = json.loads(rest["runtime"]) if "runtime" in rest else {}
    head = {
        "backtest_id": key.backtest,
        "lab_id": key.lab,
        "script_name": runtime.get("ScriptName") if isinstance(runtime, dict) else None,
        "generation": _text(summary.get("NG")),
        "population": _text(summary.get("NP")),
    }
    texts = {name: json.dumps(value) for name, value in head.items()} | rest
    return "{" + ",\n".join(f'"{name}": {text}' for name, text in texts.items()) + "}\n"


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _lacking(listed: bool, missing: int) -> str:
    parts = [] if listed else ["its list was not read to the last page"]
    parts += [f"the runtime of {missing:,} backtests is missing"] if missing else []
    return " and ".join(parts)


def _write(folder: Path, name: str, data: bytes) -> None:
    file = NewFile(folder, name, REMEDY)
    file.write(data)
    file.close()


def _file_name(text: str) -> str:
    """Return an id as a file name: itself, as HaasOnline's are, unless it could lead elsewhere."""
    return text if _PLAIN.fullmatch(text) else safe_name(text)
