"""Names and paths that are safe on any disk: people and things as file names, and where a run's files may lie."""

import hashlib
import re

_NAME = "[A-Za-z0-9_~][A-Za-z0-9_.~=-]*"
_PATH = re.compile(f"{_NAME}(/{_NAME})*")


def safe_name(text: str) -> str:
    """Return ``text`` as ``<slug>~<12 hex>``: at most 24 of a-z, 0-9 and ``-``, then the head of its sha256.

    Texts that differ in any byte of their UTF-8 get different names; the true name belongs in a column.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:24].rstrip("-")
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{slug or 'x'}~{digest[:12]}"


def plain_path(text: str) -> str:
    """Return ``text`` where it is a relative path of plain names that leads nowhere but down; else raise ValueError."""
    if not _PATH.fullmatch(text):
        raise ValueError(f"path {text!r} must be plain names (A-Z a-z 0-9 _ . ~ = -) joined by '/'")
    return text
