"""The strategies that a command names, as the document they are written in."""

from pathlib import Path
from typing import Any

from ...io.config import parse_json, read_config
from ...io.errors import UsageError

_FILES = (".yaml", ".yml", ".json", ".toml")


def read_document(text: str) -> tuple[Any, str]:
    """Return the document of a file, of JSON text, or of a strategy's name alone, and what to call it in messages."""
    text, place = text.strip(), "--strategies"
    if text.startswith(("{", "[")):
        return parse_json(text, place), place
    if Path(text).suffix.lower() in _FILES:
        return read_config(text), text
    if "/" in text or Path(text).exists():
        raise UsageError(f"{place} is '{text:.60}'; a file of strategies must end in {', '.join(_FILES)}")
    return text, place
