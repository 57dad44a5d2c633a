"""What a command takes, read from its signature and docstring, and the help text that says so."""

import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from .values import Kind, Spelling, inner, is_list, kind_of, show, spelling_of

_WIDTH = 80
_SHELL = {
    "--config FILE": "Values of flags, from a .yaml, .json or .toml file.",
    "--debug": "Print where an error came from.",
    "-h, --help": "Print this.",
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a command: a flag where it is keyword-only, else a word."""

    name: str
    annotation: Any
    default: Any
    is_flag: bool

    @classmethod
    def of_shell(cls, name: str, annotation: Any) -> "Parameter":
        """Return a flag that every command has."""
        return cls(name, annotation, None, True)

    @property
    def flag(self) -> str:
        """``from_`` is ``--from``, ``max_entry_delay`` is ``--max-entry-delay``."""
        return "--" + self.name.rstrip("_").replace("_", "-")

    @property
    def flags(self) -> tuple[str, ...]:
        """Every way to write the flag, its own first."""
        return self.flag, *self.spelling.others

    @property
    def negation(self) -> str:
        """The flag that switches it off: ``--no-cache``."""
        return "--no-" + self.flag[2:]

    @property
    def label(self) -> str:
        """How it is written in a usage line, without its value: ``--from``, or ``RUN``."""
        return self.flag if self.is_flag else self.name.rstrip("_").upper()

    @property
    def is_switch(self) -> bool:
        """Whether the flag takes no value."""
        kind = inner(self.annotation)
        return self.is_flag and (get_args(kind) or [kind])[0] is bool

    @property
    def required(self) -> bool:
        """Whether the command cannot run without it."""
        return self.default is inspect.Parameter.empty

    @property
    def kind(self) -> Kind:
        """How one of its values is written."""
        return kind_of(self.annotation)

    @property
    def spelling(self) -> Spelling:
        """How else the flag may be written."""
        return spelling_of(self.annotation)


def parameters(function: Callable[..., Any]) -> list[Parameter]:
    """Return the parameters in the signature's order; without an annotation a value stays text."""
    hints = get_type_hints(function, include_extras=True)
    return [
        Parameter(each.name, hints.get(each.name, str), each.default, each.kind is each.KEYWORD_ONLY)
        for each in inspect.signature(function).parameters.values()
    ]


def group_help(path: str, tree: Mapping[str, Any]) -> str:
    """Return the commands of a group, one a line with the first line of its docstring."""
    rows = {}
    for word, node in tree.items():
        if isinstance(node, Mapping):
            rows[word] = "Commands: " + ", ".join(node)
        else:
            rows[word] = (inspect.getdoc(node) or "").partition("\n")[0]
    return "\n".join([f"Usage: {path} COMMAND [FLAGS]", "", *_table(rows), "", f"More: {path} COMMAND --help"])


def command_help(path: str, function: Callable[..., Any]) -> str:
    """Return the usage line, the docstring and the flags with their defaults, 80 columns wide."""
    from fire import docstrings

    doc = docstrings.parse(inspect.getdoc(function) or "")
    about = {each.name: " ".join((each.description or "").split()) for each in doc.args or ()}
    params = parameters(function)
    words = [each for each in params if not each.is_flag]
    needed = [_flag(each) for each in params if each.is_flag and each.required]
    usage = " ".join(["Usage:", path, *map(_word, words), *needed, "[FLAGS]"])
    lines = textwrap.wrap(usage, _WIDTH, subsequent_indent=" " * 8)
    for text in (doc.summary, doc.description):
        for paragraph in (text or "").split("\n\n"):
            lines += ["", *textwrap.wrap(paragraph, _WIDTH)] if paragraph.strip() else []
    if words:
        lines += ["", "Arguments:", *_table({each.label: about.get(each.name, "") for each in words})]
    flags = {_flag(each): _about(each, about.get(each.name, "")) for each in params if each.is_flag}
    own = {row.split()[0] for row in flags}
    flags |= {row: text for row, text in _SHELL.items() if row.split()[0] not in own}
    return "\n".join([*lines, "", "Flags:", *_table(flags)])


def _word(each: Parameter) -> str:
    word = each.label + "..." * is_list(each.annotation)
    return word if each.required else f"[{word}]"


def _flag(each: Parameter) -> str:
    if each.is_switch:
        return each.negation if each.default is True else each.flag
    if each.spelling.bare is not None:
        return f"{each.flag} [{each.kind.name}]"
    return f"{each.flag} {each.kind.name}{'...' * is_list(each.annotation)}"


def _about(each: Parameter, text: str) -> str:
    if each.spelling.bare is not None:
        text = f"{text} Without a value: {each.spelling.bare}."
    if each.spelling.others:
        text = f"{text} Also {', '.join(each.spelling.others)}."
    if each.required:
        return f"{text} Required.".strip()
    default = "" if each.is_switch else show(each.annotation, each.default)
    return (f"{text} Default {default}." if default else text).strip()


def _table(rows: dict[str, str]) -> list[str]:
    """Return the rows as two columns; a long first column stands on a line of its own."""
    width = min(max(map(len, rows), default=0), 26)
    lines = []
    for name, text in rows.items():
        wrapped = textwrap.wrap(text, _WIDTH - width - 4) or [""]
        if len(name) > width:
            lines.append(f"  {name}")
            name = ""
        lines.append(f"  {name:<{width}}  {wrapped[0]}".rstrip())
        lines += [" " * (width + 4) + more for more in wrapped[1:]]
    return lines
