"""The tree of commands, and the way in."""

from collections.abc import Sequence

from .. import __version__
from . import commands
from .shell import run

TREE = {
    "baseline": commands.baseline,
    "strategy": commands.strategy,
    "sweep": commands.sweep,
    "runs": {"list": commands.runs_list, "show": commands.runs_show},
    "slices": {
        "list": commands.slices_list,
        "build": commands.slices_build,
        "verify": commands.slices_verify,
        "export": commands.slices_export,
    },
    "data": {"check": commands.data_check, "synth": commands.data_synth},
    "demo": commands.demo,
    "optimizer": commands.sweep,
}


def main(argv: Sequence[str]) -> int:
    """Return the exit code of the command line ``argv``."""
    return run(TREE, argv, version=__version__)
