"""Processes that a test starts: a port for each, until it answers, and its end by its id."""

import os
import signal
import socket
import subprocess
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(ready, process, seconds=60):
    """Wait until ``ready`` returns without an OSError; fail where the process ends or time runs out."""
    end = time.monotonic() + seconds
    while True:
        try:
            return ready()
        except OSError:
            assert process.poll() is None, f"it ended with code {process.returncode}"
            assert time.monotonic() < end, "it did not answer in time"
            time.sleep(0.05)


def stop(process):
    """End a process by its id, and wait for it."""
    if process.poll() is None:
        os.kill(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
