"""The page of a run, put together: its sections by type, drawn by a template that escapes whatever it is given."""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ... import __version__
from ...io.errors import MissingError
from ..show import plain
from . import alerts, identity
from .parts import Section
from .read import Read, forget, opened

TITLES = {
    "path-only": "What happened after the alerts",
    "policy": "One policy on every alert",
    "search": "A search for exits",
    "surface": "A surface of exits",
    "traces": "Strategy traces",
    "session": "Opening ranges, session by session",
    "lab": "A lab and its backtests",
}
MARK = '<meta name="generator" content="Highwater report">'
_HERE = Path(__file__).parent / "page"


def page(path: Path, slices: Path, only: str | None = None) -> str:
    """Return the page of the run in the directory ``path``; the same run and slices give the same bytes.

    ``only`` names one symbol of a session run. Raises IntegrityError where the run is not as published, UsageError
    where it failed, MissingError where it is gone or jinja2 is.
    """
    try:
        run = opened(Path(path), slices)
        sections = [section for section in sections_of(run, only) if section is not None]
        return render(
            run, sections, f"{only}: opening ranges" if only else TITLES.get(run.kind, f"A run of type {run.kind}")
        )
    finally:
        forget()


def sections_of(run: Read, only: str | None = None) -> Sequence[Section | None]:
    """Return the sections of a run by its type; None for those that it has nothing for."""
    return [
        *_MAKERS.get(run.kind, _nothing)(run, only),
        identity.left_out(run),
        identity.identity(run),
        identity.config(run),
    ]


def _nothing(run: Read, only: str | None) -> list[Section | None]:
    return []


def _paths(run: Read, only: str | None) -> list[Section | None]:
    return [alerts.highs(run), alerts.callers(run)]


def _policy(run: Read, only: str | None) -> list[Section | None]:
    from . import examples, regret, trades

    found, done = trades.traded(run)
    return [
        trades.summary(run, found.policy),
        trades.results(run, done),
        examples.of_alerts(run, found, done),
        regret.section(run, found),
        alerts.callers(run),
        alerts.highs(run),
    ]


def _search(run: Read, only: str | None) -> list[Section | None]:
    from . import search

    summary, *rest = _policy(run, only)
    return [search.verdict(run), summary, search.surface(run), search.ranking(run), *rest]


def _sessions(run: Read, only: str | None) -> list[Section | None]:
    from . import sessions

    return sessions.sections(run, only)


def _traces(run: Read, only: str | None) -> list[Section | None]:
    from . import strategies

    return strategies.sections(run)


def _labs(run: Read, only: str | None) -> list[Section | None]:
    from . import labs

    return labs.sections(run)


_MAKERS: dict[str, Callable[..., list[Section | None]]] = {
    "path-only": _paths,
    "policy": _policy,
    "search": _search,
    "surface": _search,
    "session": _sessions,
    "traces": _traces,
    "lab": _labs,
}


def render(run: Read, sections: Sequence[Section], title: str) -> str:
    """Return sections as one HTML file that loads nothing."""
    script, style = (_file(name) for name in ("script.js", "style.css"))
    manifest = run.manifest
    kicker = f"run {manifest.run_id} · {run.kind} · {manifest.created_at[:16].replace('T', ' ')} UTC"
    return _template().render(
        title=title,
        kicker=kicker,
        told=identity.told(run),
        warned=identity.warnings(run),
        sections=sections,
        badges={"PASS", "WARN", "FAIL"},
        script=_safe(script),
        style=_safe(style),
        script_sha=_sha(script),
        style_sha=_sha(style),
        version=__version__,
        mark=_safe(MARK),
        run_id=manifest.run_id,
    )


def _printable(value: Any) -> Any:
    """Return a plain text without control characters; what is markup stays."""
    return plain(value) if type(value) is str else value


def _sha(text: str) -> str:
    return b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _safe(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # ours, and its digest is what the page's policy allows


@cache
def _template() -> Any:
    try:
        import jinja2
    except ImportError:
        raise MissingError("a report needs jinja2, which is not installed: pip install 'highwater[report]'") from None
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined, finalize=_printable
    )
    made.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":"), "allow_nan": False}
    return made.get_template("page.html")
