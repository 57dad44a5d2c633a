"""The commands ``labs serve`` and ``labs demo``: a HaasOnline server that is made up, and a walk through labs."""

import os
import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..io.errors import UsageError

if TYPE_CHECKING:
    from ..io.labs.made_up_server import MadeUp

LAB, RUNNING = "caed4df4-bcf9-4d4c-a8af-a51af6b7982e", "5a21c24f-5150-4dcd-b61c-595aef146d02"


def serve(*, port: int = 8090, backtests: int = 200) -> int | None:
    """Answer as a HaasOnline server does, for two labs that are made up, until Ctrl-C: to try the other commands on.

    The second lab is running, and gets on each time it is asked for. Only this machine is answered.

    Args:
        port: Port to listen on; 0 takes any that is free.
        backtests: Backtests of a lab.
    """
    from ..io.labs.made_up_server import serving
    from .stopping import check

    if not 0 <= port < 65536:
        raise UsageError(f"--port is {port}; it must be from 0 to 65535")
    with serving(_made_up(backtests), port) as state:
        for name, value in _variables(state).items():
            print(f"export {name}={shlex.quote(value)}")
        print(f"# two made-up labs at {state.at}; Ctrl-C ends", flush=True)
        while True:
            check()
            time.sleep(0.5)


def demo(*, folder: Path = Path("runs/demo-labs"), backtests: int = 200) -> int | None:
    """Walk through labs on a made-up server, each command as it would be typed: from the login to a report.

    Args:
        folder: Directory that takes what is fetched and written, in a directory of its own each time.
        backtests: Backtests of a lab.
    """
    from ..io.labs.made_up_server import serving

    if backtests < 20:
        raise UsageError(f"--backtests is {backtests}; a lab needs at least 20 to be judged")
    folder /= datetime.now(UTC).strftime("%Y%m%d_%H%M%S_%f")
    folder.mkdir(parents=True)
    with serving(_made_up(backtests)) as state:
        for command in steps():
            print(f"$ highwater {command}", flush=True)
            words = [sys.executable, "-m", "highwater", *shlex.split(command)]
            done = subprocess.run(words, cwd=folder, env={**os.environ, **_variables(state)}, check=False)
            if done.returncode:
                return done.returncode
            print(flush=True)
    print(f"What was fetched and written lies in {folder}; the server, its labs and its prices are invented.")
    return None


def steps() -> tuple[str, ...]:
    """Return the commands of the walk, in their order."""
    return (
        "labs list",
        f"labs sync {LAB[:8]} --rate 500",
        f"labs sync {LAB[:8]} --charts",
        f"labs watch {RUNNING[:8]} --interval 1s --rate 500 --top 3",
        "labs cutoffs --every",
        f"labs analyze {LAB[:8]} --candles server --tp 1.03 --sl 0.98 --runs runs --top 5",
        "labs report latest --runs runs --top 3",
        f"labs export {LAB[:8]}",
    )


def _made_up(backtests: int) -> "MadeUp":
    from ..io.labs.made_up import MadeUpLab
    from ..io.labs.made_up_server import MadeUp

    if not 1 <= backtests <= 100_000:
        raise UsageError(f"--backtests is {backtests}; it must be from 1 to 100000")
    running = MadeUpLab(RUNNING, backtests, "Running lab", seed=8)
    quarter, labs = backtests // 4, [MadeUpLab(LAB, backtests), running]
    return MadeUp(labs, done={RUNNING: quarter}, step=max(1, quarter), chart_minutes=None)


def _variables(state: "MadeUp") -> dict[str, str]:
    """Return what leads to the server."""
    host, _, port = state.at.removeprefix("http://").partition(":")
    return {"API_HOST": host, "API_PORT": port, "API_EMAIL": state.email, "API_PASSWORD": state.password}
