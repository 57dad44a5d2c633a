"""What HaasOnline's server sends: the envelope, and the text of its parts exactly as it came."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import DataError

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Answer:
    """An answer as it came, and whether the server calls it a success, with its ``error`` where it does not.

    ``data`` is what the envelope holds; where there is no envelope, the answer itself.
    """

    body: bytes
    success: bool
    error: str
    data: Any


@dataclass(frozen=True)
class Item:
    """One entry of a list: its value, and its JSON exactly as the server wrote it."""

    value: Any
    body: bytes


def answer_of(body: bytes) -> Answer:
    """Return what a body of JSON says. Raises ValueError where it is none, or is cut short."""
    try:
        value = json.loads(body.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("JSON that nests too deep") from None
    if isinstance(value, dict) and "Success" in value:
        return Answer(body, value["Success"] is True, str(value.get("Error") or ""), value.get("Data"))
    return Answer(body, True, "", value)


def unwrapped(body: bytes) -> Any:
    """Return what a kept answer holds, without its envelope. Raises DataError where it tells of a failure."""
    answer = answer_of(body)
    if not answer.success:
        raise DataError(f"the server's answer is a failure: {answer.error[:200] or 'it says no more'}")
    return answer.data


def text_of(body: bytes) -> str:
    """Return what a kept answer holds, without its envelope, as JSON exactly as the server wrote it."""
    text = body.decode("utf-8-sig")
    at = _skip(text, 0)
    found = {name: (start, end) for name, start, end in _members(text, at)} if text[at] == "{" else {}
    start, end = found["Data"] if {"Success", "Data"} <= found.keys() else (at, len(text))
    return text[start:end].strip()


def items_of(body: bytes, *keys: str) -> list[Item]:
    """Return the entries of the list that ``keys`` lead to in JSON, each as it is written there.

    Raises ValueError where there is no such list.
    """
    text = body.decode("utf-8-sig")
    at = _skip(text, 0)
    for key in keys:
        at = next((start for name, start, _ in _members(text, at) if name == key), -1)
        if at < 0:
            raise ValueError(f"no '{key}'")
    if text[at] != "[":
        raise ValueError(f"'{'.'.join(keys)}' is no list")
    return [Item(value, text[start:end].encode()) for value, start, end in _entries(text, at)]


def _members(text: str, at: int) -> Iterator[tuple[str, int, int]]:
    """Yield the name of each member of the object at ``at``, and where its value begins and ends."""
    if text[at] != "{":
        return
    at = _skip(text, at + 1)
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, at = _DECODER.raw_decode(text, start)
        yield name, start, at
        at = _next(text, at)


def _entries(text: str, at: int) -> Iterator[tuple[Any, int, int]]:
    at = _skip(text, at + 1)
    while text[at] != "]":
        value, end = _DECODER.raw_decode(text, at)
        yield value, at, end
        at = _next(text, end)


def _next(text: str, at: int) -> int:
    """Return where what follows a value begins: behind its comma, or at the bracket that closes."""
    at = _skip(text, at)
    return _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
