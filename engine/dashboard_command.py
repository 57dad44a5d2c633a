"""The command ``dashboard``: a server for this machine alone."""

import importlib.util
import os
import socket
from pathlib import Path

from ..io.errors import BusyError, MissingError, UsageError

HOST = "127.0.0.1"
SCRIPT = Path(__file__).parent / "dashboard" / "streamlit_app.py"


def dashboard(*, runs: Path = Path("runs"), port: int = 8501, script: bool = False) -> int | None:
    """Look at runs in a browser: trades, equity, callers, surfaces, guards, sessions, strategies, two runs compared.

    It serves this machine alone and asks no other. New runs appear by themselves; Ctrl-C ends it.

    Args:
        runs: Directory of runs.
        port: Port of this machine; 0 takes a free one.
        script: Print the path of the script instead, for streamlit run; HIGHWATER_RUNS names the runs for it.
    """
    if script:
        print(SCRIPT)
        return None
    if importlib.util.find_spec("streamlit") is None or importlib.util.find_spec("plotly") is None:
        raise UsageError("the dashboard needs streamlit and plotly; pip install 'highwater[dashboard]'")
    if not 0 <= port <= 65535:
        raise UsageError(f"--port is {port}; it must be 0 (a free one) to 65535")
    if not runs.is_dir():
        raise MissingError(f"{runs} is not a directory; name the directory of runs with --runs")
    port = _free(port)
    os.environ["HIGHWATER_RUNS"] = str(runs.absolute())
    print(f"starting the dashboard of {runs}; Ctrl-C ends it", flush=True)  # Streamlit says where, once it is there
    _serve(port)
    return None


def _free(port: int) -> int:
    """Return the port, or a free one for 0. Raises BusyError where something listens on it already."""
    with socket.socket() as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((HOST, port))
            return found.getsockname()[1]
        except PermissionError:
            raise UsageError(f"--port {port} is kept for the system; take one from 1024 on") from None
        except OSError:
            raise BusyError(f"port {port} is taken by another program; name another with --port") from None


def _serve(port: int) -> None:
    """Serve until interrupted. What else holds for the server stands in .streamlit/config.toml beside the script."""
    from streamlit.web.cli import main

    from .dashboard.frame import stay_here

    stay_here()
    main(["run", str(SCRIPT), "--server.port", str(port), "--logger.level", "error"], standalone_mode=False)
