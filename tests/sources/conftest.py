"""Real components for the tests beside, started here on 127.0.0.1 and ended by their process ids."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest


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


@pytest.fixture(scope="session")
def moto():
    """Return the address of an S3 server: real HTTP, in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: urllib.request.urlopen(f"{address}/moto-api/", timeout=5).read(), process)
        yield address
    finally:
        stop(process)


@pytest.fixture
def s3(moto, monkeypatch, tmp_path):
    """Return the name of a new bucket; the environment names the server, and the cache is the test's own."""
    from highwater.io.objects import client

    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    client.cache_clear()
    bucket = f"bucket-{secrets.token_hex(6)}"
    client().create_bucket(Bucket=bucket)
    yield bucket
    client.cache_clear()
