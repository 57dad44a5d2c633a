"""The front door: ``highwater`` and ``python -m highwater``."""

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    from .engine.cli import main as run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
