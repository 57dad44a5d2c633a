"""The front door: ``highwater`` and ``python -m highwater``."""

import contextlib
import os
import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    code = None
    if not {"-h", "--help", "-v", "--version"} & set(sys.argv):
        from .engine.watch import watch

        code = watch()
    if code is None:
        from .engine.cli import main as run

        code = run(sys.argv[1:])
    if code in (130, 143):  # a signal may have met compiled code half loaded, which the interpreter's end would touch
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
