"""The front door: ``highwater`` and ``python -m highwater``."""

import atexit
import contextlib
import os
import sys

from .engine.stopping import behind, exit_of, stoppable


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        with stoppable():
            code = _run()
    except BaseException as error:  # a signal that came before there was a shell to meet it
        code, line = exit_of(behind(error))
        if not line:
            raise
        print(f"highwater: {line}", file=sys.stderr)
    if code not in (130, 143):  # after a signal code may be half loaded, which an end in order would touch
        atexit._run_exitfuncs()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)  # at its end the interpreter now and then aborts on a thread of Arrow's (arrow #34314)


def _run() -> int:
    if not {"-h", "--help", "-v", "--version"} & set(sys.argv):
        from .engine.watch import watch

        code = watch()
        if code is not None:
            return code
    from .engine.cli import main as run

    return run(sys.argv[1:])


if __name__ == "__main__":
    main()
