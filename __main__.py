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
    words = sys.argv[1:]
    if words and not {"-h", "--help", "-v", "--version"} & set(words):
        from .engine.watch import watch

        code = watch()
        if code is not None:
            return code
        if words[0] != "dashboard":  # Streamlit gives pyarrow columns of pandas
            _without_pandas()
    from .engine.cli import main as run

    return run(words)


class _NoPandas:
    """A finder of modules that says there is no pandas."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def _without_pandas() -> None:
    """Have pyarrow find no pandas: to see whether a value is one of its, it imports it, 0.2 s of most commands."""
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, _NoPandas)
        try:
            import pyarrow

            pyarrow.array([0])
        finally:
            sys.meta_path.remove(_NoPandas)


if __name__ == "__main__":
    main()
