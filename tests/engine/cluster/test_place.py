import contextlib
import os
import socket
import threading
from types import SimpleNamespace

import pytest
from highwater.engine.cluster import place
from highwater.engine.cluster.place import Place, check_answers, place_of
from highwater.io.errors import StoreError, UsageError


def test_flags_say_where_the_work_is_done():
    client = SimpleNamespace(asynchronous=False)

    assert place_of(False, None, None) is None
    assert Place(os.cpu_count() or 1) == place_of(True, None, None)
    assert Place(3) == place_of(False, 3, None)
    assert Place(client=client) == place_of(False, None, None, client)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((False, 2, "tcp://127.0.0.1:1"), "leave one out"),
        ((False, 0, None), "--workers is 0; it must be from 1 to 1,024"),
        ((False, None, "udp://host:1"), "--scheduler 'udp://host:1' must be like tcp://host:8786"),
        ((False, None, "tcp://host"), "must be like tcp://host:8786"),
        ((False, None, "tcp://host:port"), "must be like tcp://host:8786"),
        ((False, 2, None, SimpleNamespace(asynchronous=False)), "client beside workers or scheduler"),
        ((False, None, None, SimpleNamespace(asynchronous=True)), "client is asynchronous"),
    ],
)
def test_flags_that_contradict_are_refused(given, message):
    with pytest.raises(UsageError, match=message):
        place_of(*given)


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(place.importlib.util, "find_spec", lambda name: None)

    with pytest.raises(UsageError, match=r"pip install 'highwater\[dask\]'"):
        place_of(True, None, None)


@pytest.mark.parametrize(
    ("greeting", "sound"), [(b"SSH-2.0-OpenSSH\r\n", False), (b"", False), (bytes([150, *[0] * 9]), True)]
)
def test_only_what_greets_like_a_scheduler_answers(greeting, sound, monkeypatch):
    monkeypatch.setattr(place, "ANSWER_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"

        def greet():
            link, _ = server.accept()
            with link, contextlib.suppress(ConnectionError):
                link.sendall(greeting)
                link.recv(1)

        thread = threading.Thread(target=greet)
        thread.start()
        if sound:
            check_answers(address)
        else:
            with pytest.raises(StoreError, match=f"no scheduler at {address}: .*; start one"):
                check_answers(address)
        thread.join()

    with pytest.raises(StoreError, match="Connection refused"):
        check_answers(address)
