"""Killing a process at a chosen system call, or letting that call fail, with strace."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

# What opens or changes a directory, a file or a lock. A kill between two of these is a kill at the second.
CALLS = (
    "open openat creat write writev pwrite64 pwritev fsync fdatasync close rename renameat renameat2 mkdir mkdirat "
    "rmdir link linkat symlink symlinkat unlink unlinkat truncate ftruncate fallocate flock chmod fchmod fchmodat"
)
KILL = "signal=KILL"
ERRORS = ("ENOSPC", "EIO", "EACCES", "EXDEV")
_LINE = re.compile(r"(\d+) +(\w+)\((.*)")
_PATH = re.compile(r'<(/[^>]*)>|"([^"]*)"')


class Call(NamedTuple):
    """The ``nth`` call of ``name`` in a process, and what strace shows of it."""

    name: str
    nth: int
    text: str

    @property
    def paths(self):
        """The files and directories it is about."""
        found = _PATH.findall(self.text)
        opened = [Path(text) for text, _ in found if text]
        return [Path(*opened[:1], name) for _, name in found if name] or opened

    @property
    def reads(self):
        """Whether it leaves the disk as it was."""
        return self.name in ("open", "openat") and "O_CREAT" not in self.text

    @property
    def hits(self):
        """What is done to it: a kill and every error, or one error where it changes nothing."""
        return ["error=EIO"] if self.reads else [KILL, *(f"error={name}" for name in ERRORS)]


class End(NamedTuple):
    """How work ended: its exit code, what it printed, and whether strace did to it what was asked."""

    code: int
    out: str
    err: str
    hit: bool


class Victims:
    """A process that does work in children, each of which can be traced and hit."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.said, self.child = folder, folder / "said", 0
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        command = [sys.executable, Path(__file__).with_name("victims.py")]
        self.process = subprocess.Popen(command, cwd=folder, **pipes)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def calls(self, work, root):
        """Return the calls by which the main thread opens or changes what lies in ``root``, in their order."""
        end, log = self._traced(work, root, [])
        seen, found = Counter(), []
        for thread, name, text in (match.groups() for match in map(_LINE.match, log) if match):
            seen[name] += int(thread) == self.child
            if int(thread) == self.child and str(root) in text:
                found.append(Call(name, seen[name], text))

        assert (0, "") == (end.code, end.err)
        return found

    def hit(self, work, root, call, what):
        """Do ``work``, with ``what`` happening to it at ``call``: KILL, or ``error=NAME``; return its end."""
        return self._traced(work, root, ["-e", f"inject={call.name}:{what}:when={call.nth}"])[0]

    def _traced(self, work, root, options):
        self.prepare(work, root)
        log = self.folder / "log"
        trace = ",".join(f"?{name}" for name in CALLS.split())
        command = ["strace", "-f", "-y", "-s", "0", "-e", "signal=none", "-e", f"trace={trace}", *options]
        strace = subprocess.Popen([*command, "-o", log, "-p", str(self.child)], stderr=subprocess.PIPE, text=True)
        attached = strace.stderr.readline()
        self.go()
        end = self.end()
        strace.communicate()
        if "attached" not in attached:
            raise PermissionError(attached.strip())
        lines = log.read_text().splitlines()
        return end._replace(hit=end.code == -signal.SIGKILL or any("(INJECTED)" in line for line in lines)), lines

    def prepare(self, work, root):
        """Start work that stops before it begins."""
        for suffix in (".out", ".err"):
            self.said.with_suffix(suffix).unlink(missing_ok=True)
        self.process.stdin.write(json.dumps([work, str(root), str(self.said)]) + "\n")
        self.process.stdin.flush()
        self.child = int(self.process.stdout.readline())

    def go(self):
        """Let the work begin."""
        os.kill(self.child, signal.SIGCONT)

    def end(self):
        """Wait for the work to end, and return how it did."""
        code = int(self.process.stdout.readline())
        return End(code, *(self.said.with_suffix(suffix).read_text() for suffix in (".out", ".err")), False)


def chosen(calls):
    """Return the calls worth a hit.

    Of many changes in a row of one file that is the first, one between and the last; of many times that something is
    opened to be read, the first and the last. Closing is left out, but for files that were written.
    """
    opened = {(*call.paths, end): call for end in (1, -1) for call in calls[::-end] if call.reads}
    closings = _of_written(calls)
    rows = [list(row) for _, row in groupby(calls, lambda call: (call.name, call.paths))]
    changes = [
        row[i]
        for row in rows
        if not row[0].reads and (row[0].name != "close" or row[0] in closings)
        for i in sorted({0, len(row) // 2, len(row) - 1})
    ]
    return [*changes, *dict.fromkeys(opened.values())]


def _of_written(calls):
    """Return the calls that close a file which was written."""
    written, found = set(), set()
    for call in calls:
        if "write" in call.name:
            written.update(call.paths)
        elif call.name == "close" and written.intersection(call.paths):
            written.difference_update(call.paths)
            found.add(call)
    return found


def refusal(folder):
    """Return why nothing can be traced here, or ''."""
    if not shutil.which("strace"):
        return "strace is missing: apt-get install strace"
    victims = Victims(folder / "victims")
    try:
        victims.calls("publish", folder / "runs")
    except PermissionError as error:
        return f"nobody may trace a process here (ptrace): {error}"
    finally:
        victims.close()
    return ""
