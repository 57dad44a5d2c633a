"""Config files as plain dicts: YAML, JSON and TOML, bounded and strict, so that a typo cannot change a run silently."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, time
from pathlib import Path
from typing import Any, NoReturn

from .errors import MissingError, UsageError

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\]:]', re.DOTALL)
_TOML_TEXT = re.compile(r"""#[^\n]*|\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}.*?'{3}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""", re.DOTALL)
# A key of 100,000 dotted parts made tomllib take all memory of a machine.
_TOML_LONG_KEY = re.compile(rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{MAX_DEPTH}}}")
_CORE = {"": None, "~": None, "null": None, "true": True, "false": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
# What YAML 1.1 readers turn into other values: 0123 -> 83, 0x1F -> 31, 1_000 -> 1000, 1:30 -> 90, no -> false, .inf.
_AMBIGUOUS = re.compile(
    r"[-+]?0[0-9_]+|[-+]?0[xob][0-9a-f_]+|[-+]?[0-9][0-9_]*_[0-9_.]*|[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?"
    r"|y|n|yes|no|on|off|[-+]?\.inf|\.nan",
    re.IGNORECASE,
)


def read_config(path: Path | str) -> dict[str, Any]:
    """Return the mapping a .yaml, .yml, .json or .toml file holds: dicts, lists, str, int, float, bool, None.

    Raises UsageError for anything but one mapping, 1 MiB and 64 levels at most, keys all different; MissingError
    where there is no such file.
    """
    path = Path(path)
    parsers = {".yaml": _parse_yaml, ".yml": _parse_yaml, ".json": parse_json, ".toml": _parse_toml}
    parse = parsers.get(path.suffix.lower())
    if parse is None:
        raise UsageError(f"{path}: a config file must end in .yaml, .yml, .json or .toml")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise MissingError(f"{path}: there is no such file") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path}: it is larger than 1 MiB, the limit of a config file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8") from None
    value = parse(text, str(path))
    if not isinstance(value, dict):
        raise UsageError(f"{path}: it must hold a mapping of keys to values, not {_name(value)}")
    return value


def parse_json(text: str, place: str) -> Any:
    """Return the value of JSON text, bounded and with keys all different. Raises UsageError naming ``place``."""
    import json

    def constant(name: str) -> NoReturn:
        raise UsageError(f"{place}: {name} is no number of JSON")

    if len(text) > MAX_BYTES:
        raise UsageError(f"{place}: it is larger than 1 MiB, the limit of a config")
    _scan_json(text, place)
    try:
        value = json.loads(text, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise UsageError(f"{place}:{error.lineno}: not JSON, {error.msg} at column {error.colno}") from None
    except UsageError:
        raise
    except ValueError:
        raise UsageError(f"{place}: it holds a number of more than 4300 digits") from None
    return _checked(value, place)


def check_keys(mapping: Mapping[str, Any], allowed: Iterable[str], place: str) -> None:
    """Raise UsageError for the first key that is not ``allowed``, with the nearest one that is."""
    known = list(allowed)
    for key in mapping:
        if key not in known:
            near = nearest(key, known) or f"; it may hold {', '.join(sorted(known))}"
            raise UsageError(f"{place}: unknown key '{key}'{near}")


def nearest(word: str, known: Iterable[str], prefix: str = "") -> str:
    """Return "; did you mean 'x'?" for the known word most like this one, or ''; ``prefix`` stands before x."""
    import difflib

    found = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f"; did you mean '{prefix}{found[0]}'?" if found else ""


def _scan_json(text: str, place: str) -> None:
    """Raise for depth and for repeated keys, with their lines, before anything is built."""
    import json

    open_keys: list[dict[str, int]] = []
    string = None
    for token in _JSON_TOKEN.finditer(text):
        sign = token.group()
        if sign[0] == '"':
            string = token
            continue
        if sign in "{[":
            open_keys.append({})
            if len(open_keys) > MAX_DEPTH:
                _too_deep(place)
        elif sign in "}]" and open_keys:
            open_keys.pop()
        elif sign == ":" and string and open_keys:
            try:
                key = json.loads(string.group(), strict=False)
            except json.JSONDecodeError:
                key = string.group()
            first = open_keys[-1].setdefault(key, string.start())
            if first != string.start():
                _twice(place, key, *(text.count("\n", 0, at) + 1 for at in (first, string.start())))


def _parse_toml(text: str, place: str) -> dict[str, Any]:
    import tomllib

    depth = 0
    plain = _TOML_TEXT.sub("s", text)
    for bracket in re.findall(r"[\[\]{}]", plain):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            _too_deep(place)
    if _TOML_LONG_KEY.search(plain):
        _too_deep(place)
    try:
        value = tomllib.loads(text)
    except ValueError as error:
        raise UsageError(f"{place}: not TOML, {error}") from None
    return _checked(value, place)


def _parse_yaml(text: str, place: str) -> Any:
    import yaml

    events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    try:
        return _checked(_document(events, place), place)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{place}{line}: not YAML, {error.problem}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{place}: not YAML, {' '.join(str(error).split())}") from None


def _document(events: Iterator[Any], place: str) -> Any:
    """Return the value of the only document; {} where the file is empty."""
    documents = []
    for event in events:
        if type(event).__name__ == "DocumentStartEvent":
            if documents:
                raise UsageError(f"{place}:{event.start_mark.line + 1}: a second document; a config file holds one")
            documents.append(_node(next(events), events, place, 1))
    return documents[0] if documents and documents[0] is not None else {}


def _node(event: Any, events: Iterator[Any], place: str, depth: int) -> Any:
    """Return the value that starts with ``event``, taking its other events from ``events``."""
    kind = type(event).__name__
    line = event.start_mark.line + 1
    if kind == "AliasEvent" or event.anchor:
        raise UsageError(f"{place}:{line}: anchors and aliases are not accepted; write the value again")
    if event.tag:
        raise UsageError(f"{place}:{line}: tags such as '{event.tag}' are not accepted; write a plain value")
    if kind == "ScalarEvent":
        return _scalar(event.value, f"{place}:{line}") if event.implicit[0] else event.value
    if depth > MAX_DEPTH:
        _too_deep(place)
    if kind == "SequenceStartEvent":
        items = []
        while type(item := next(events)).__name__ != "SequenceEndEvent":
            items.append(_node(item, events, place, depth + 1))
        return items
    mapping: dict[str, Any] = {}
    lines: dict[str, int] = {}
    while type(key := next(events)).__name__ != "MappingEndEvent":
        line = key.start_mark.line + 1
        if type(key).__name__ != "ScalarEvent" or key.tag or key.anchor:
            raise UsageError(f"{place}:{line}: a key must be plain text")
        if key.value in lines:
            _twice(place, key.value, lines[key.value], line)
        lines[key.value] = line
        mapping[key.value] = _node(next(events), events, place, depth + 1)
    return mapping


def _scalar(text: str, place: str) -> Any:
    """Return the value of an unquoted scalar: null, true, false, a decimal number, or the text as it stands."""
    if text.lower() in _CORE:
        return _CORE[text.lower()]
    if _AMBIGUOUS.fullmatch(text):
        plain = text.lstrip("+-").lstrip("0")
        remedy = f"quote it or write {plain}" if re.fullmatch("0+[1-9][0-9]*", text) else "quote it"
        if text.lower() in ("y", "n", "yes", "no", "on", "off"):
            remedy = f"quote it or write {str(text.lower() in ('y', 'yes', 'on')).lower()}"
        raise UsageError(f"{place}: '{text}' is ambiguous in YAML; {remedy}")
    if _INT.fullmatch(text):
        return int(text) if len(text) <= 40 else text
    return float(text) if _FLOAT.fullmatch(text) else text


def _checked(value: Any, place: str, depth: int = 1) -> Any:
    """Return the value with TOML dates as text; raise for depth and for numbers that are not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{place}: {value} is not a finite number")
    if isinstance(value, dict | list) and depth > MAX_DEPTH:
        _too_deep(place)
    if isinstance(value, dict):
        return {key: _checked(each, place, depth + 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_checked(each, place, depth + 1) for each in value]
    return value.isoformat() if isinstance(value, date | time) else value


def _name(value: Any) -> str:
    return {list: "a list", str: "text", bool: "true or false", type(None): "null"}.get(type(value), "a number")


def _too_deep(place: str) -> NoReturn:
    raise UsageError(f"{place}: it nests deeper than {MAX_DEPTH} levels")


def _twice(place: str, key: str, first: int, second: int) -> NoReturn:
    raise UsageError(f"{place}: key '{key}' occurs twice (lines {first} and {second})")
