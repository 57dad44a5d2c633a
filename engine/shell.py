"""The strict shell around Fire: every word, flag and value is checked before anything runs; errors are one line.

A tree maps words to functions or further trees; a function's ``words`` are commands that stand behind it.
Positional parameters are words, keyword-only parameters flags;
annotations (engine/values.py) say how text becomes a value. A function returns an exit code or None.
Its attribute ``alone`` maps a parameter to the function that does the command wherever that parameter is given: it
takes what else was given, of which nothing is required.
"""

import errno
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from ..io.config import check_keys, nearest, read_config
from ..io.errors import HighwaterError, UsageError
from .bugs import record
from .shell_help import Parameter, command_help, group_help, parameters
from .stopping import Terminated, behind, check, exit_of, stoppable
from .values import convert, is_list

Tree = Mapping[str, Any]
_FLAG = re.compile(r"--.+|-[A-Za-z].*", re.DOTALL)
_OS_CODES = {errno.ENOENT: 2, errno.ENOTDIR: 2, errno.EISDIR: 2, errno.EACCES: 77, errno.EPERM: 77, errno.EROFS: 77}


def run(tree: Tree | Callable[..., int | None], argv: Sequence[str], *, prog: str = "highwater", version: str) -> int:
    """Return the exit code of the command ``argv`` names in ``tree``, after running it.

    Nothing is raised: errors become one line on stderr. ``--config FILE`` and ``--debug`` are flags of every
    command that has no such parameter itself. A value comes from the command line, else from
    ``HIGHWATER_<FLAG>``, else from the config file, else from the signature.
    """
    try:
        with stoppable():
            code = _run(tree, list(argv), prog, version)
            sys.stdout.flush()
            check()
            return code
    except BaseException as error:
        return _report(behind(error), prog, "--debug" in argv)


def _run(tree: Any, argv: list[str], prog: str, version: str) -> int:
    before = argv[: argv.index("--")] if "--" in argv else argv
    words, node = _resolve(tree, argv, prog)
    rest = argv[len(words) :]
    path = " ".join([prog, *words])
    if {"-h", "--help"} & set(before):
        print(group_help(path, node) if isinstance(node, Mapping) else command_help(path, node))
        return 0
    own = () if isinstance(node, Mapping) else [flag for each in parameters(node) for flag in each.flags]
    if {"-v", "--version"} & set(before) - set(own):
        print(f"{prog} {version}")
        return 0
    if isinstance(node, Mapping):
        if rest:
            raise UsageError(f"{rest[0]}: flags come after a command; see {path} --help")
        print(group_help(path, node), file=sys.stderr)
        return 2
    alone = getattr(node, "alone", {})
    params = parameters(node)
    bound, places = _bind(params, rest, path, alone)
    given, node = node, next((other for name, other in alone.items() if name in bound), node)
    if not getattr(node, "takes_places", False):
        bound = _opened(parameters(node), bound)
    elif node is given:
        bound["places"] = places
    else:  # what else was given may be refused, and is not fetched before
        bound = _opened([each for each in params if each.name in ("runs", "slices")], bound) | {"places": places}
    return _dispatch(node, bound, words, prog)


def _opened(params: list[Parameter], bound: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments as the command gets them: a place on a store as the local copy of what lies there."""
    opens = {each.name: each.kind.open for each in params}
    return {name: value if (do := opens.get(name)) is None else do(value) for name, value in bound.items()}


def _resolve(tree: Any, argv: list[str], prog: str) -> tuple[list[str], Any]:
    """Return the words of ``argv`` that lead through the tree, and what they lead to."""
    words: list[str] = []
    for word in argv:
        branches = tree if isinstance(tree, Mapping) else getattr(tree, "words", {})
        if _FLAG.fullmatch(word) or (word not in branches and not isinstance(tree, Mapping)):
            break
        if word not in branches:
            here = " ".join([prog, *words])
            raise UsageError(f"unknown command '{word}'{nearest(word, tree) or f'; see {here} --help'}")
        words.append(word)
        tree = branches[word]
    return words, tree


def _bind(
    params: list[Parameter], argv: list[str], path: str, alone: Container[str] = ()
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the function's arguments, converted, and where each came from; flags it does not have are refused.

    Nothing is required beside a parameter named in ``alone``.
    """
    own = {flag: each for each in params if each.is_flag for flag in each.flags}
    shell = {each.flag: each for each in (Parameter.of_shell("config", str), Parameter.of_shell("debug", bool))}
    known = {each.name: each for each in params}
    words, typed = _read(argv, shell | own, path)
    file = "" if "config" in known else typed.get("config", ("", ""))[1] or os.environ.get("HIGHWATER_CONFIG", "")
    texts = _from_file(file, own) | _from_environment(own)
    texts |= {name: found for name, found in typed.items() if name in known}
    texts |= _place_words([each for each in params if not each.is_flag], words, path)
    missing = [each.label for each in params if each.required and not _given(each, texts)]
    if missing and not any(name in alone for name in texts):
        raise UsageError(f"missing {', '.join(missing)}; see {path} --help")
    bound = {name: convert(known[name].annotation, text, place) for name, (place, text) in texts.items()}
    return bound, {name: place for name, (place, _) in texts.items()}


def _given(each: Parameter, texts: Container[str]) -> bool:
    """Return whether a parameter is given, or one that stands in for it."""
    return each.name in texts or any(name in texts or os.environ.get(name) for name in each.spelling.instead)


def _read(argv: list[str], flags: dict[str, Parameter], path: str) -> tuple[list[str], dict[str, tuple[str, Any]]]:
    """Return the positional words, and by parameter the flag as it was spelt and its text (texts for a list)."""
    words: list[str] = []
    given: dict[str, tuple[str, Any]] = {}
    rest = list(argv)
    while rest:
        token = rest.pop(0)
        if token == "--":
            return words + rest, given
        if _is_value(token):
            words.append(token)
            continue
        name, equals, text = token.partition("=")
        flag, param, negated = _find(name, flags, path)
        if param.is_switch and equals:
            raise UsageError(f"{name} takes no value; use {param.flag} or {param.negation}")
        if param.is_switch:
            text = "false" if negated else "true"
        if is_list(param.annotation):
            texts = given.setdefault(param.name, (flag, []))[1]
            for each in [text] if equals else _take(rest, param, len(rest)):
                texts += _split(each)
        elif param.name in given:
            before = given[param.name][0]
            raise UsageError(f"{flag} is given twice" + (f", first as {before}" if before != flag else ""))
        else:
            given[param.name] = flag, text if equals or param.is_switch else _take(rest, param, 1)[0]
    return words, given


def _is_value(token: str) -> bool:
    return token != "--" and not _FLAG.fullmatch(token)


def _take(rest: list[str], param: Parameter, most: int) -> list[str]:
    """Remove and return the values that follow a flag, up to the next flag; what it means without, if it may be."""
    count = next((i for i, token in enumerate(rest[:most]) if not _is_value(token)), min(most, len(rest)))
    if not count and param.spelling.bare is not None:
        return [param.spelling.bare]
    if not count:
        raise UsageError(f"{param.flag} needs a value: {param.flag} {param.kind.name}")
    taken = rest[:count]
    del rest[:count]
    return taken


def _find(name: str, flags: dict[str, Parameter], path: str) -> tuple[str, Parameter, bool]:
    """Return a flag as it is spelt, the parameter it names, and whether it was named as its negation."""
    flag = "--" + name.lstrip("-").replace("_", "-") if name.startswith("--") else name
    if flag in flags:
        return flag, flags[flag], False
    negations = {each.negation: each for each in flags.values() if each.is_switch}
    if flag in negations:
        return negations[flag].flag, negations[flag], True
    near = nearest(flag.lstrip("-"), [each[2:] for each in (*flags, *negations, "--help", "--version")], "--")
    raise UsageError(f"unknown flag {name}{near or f'; see {path} --help'}")


def _split(text: str) -> list[str]:
    """Return the values of a comma-separated word; JSON is left whole."""
    return [text] if text[:1] in ("{", "[") else text.split(",")


def _place_words(params: list[Parameter], words: list[str], path: str) -> dict[str, tuple[str, Any]]:
    placed: dict[str, tuple[str, Any]] = {}
    for each in params:
        if words and is_list(each.annotation):
            placed[each.name], words = (each.label, words), []
        elif words:
            placed[each.name], words = (each.label, words[0]), words[1:]
    if words:
        raise UsageError(f"one word too many: '{words[0]}'; see {path} --help")
    return placed


def _from_environment(flags: dict[str, Parameter]) -> dict[str, tuple[str, Any]]:
    found: dict[str, tuple[str, Any]] = {}
    for each in {each.name: each for each in flags.values()}.values():
        variable = "HIGHWATER_" + each.flag[2:].replace("-", "_").upper()
        if text := os.environ.get(variable):
            found[each.name] = (variable, _split(text) if is_list(each.annotation) else text)
    return found


def _from_file(path: str, flags: dict[str, Parameter]) -> dict[str, tuple[str, Any]]:
    if not path:
        return {}
    config = read_config(path)
    keys = {key: key.replace("_", "-") for key in config}
    check_keys({keys[key]: key for key in config}, [flag[2:] for flag in flags], path)
    found: dict[str, tuple[str, Any]] = {}
    seen: list[str] = []
    for key, value in config.items():
        param, place = flags["--" + keys[key]], f"{path}: {key}"
        if param.name in found:
            other = "with a hyphen and with an underscore" if keys[key] in seen else f"it is {param.flag[2:]} too"
            raise UsageError(f"{place} is given twice, {other}")
        seen.append(keys[key])
        if isinstance(value, bool) and param.spelling.bare is not None:
            value = param.spelling.bare if value else None
        if isinstance(value, list):
            found[param.name] = (place, [_text(each, param, place) for each in value])
        elif value is not None:
            found[param.name] = (place, _text(value, param, place))
    return found


def _text(value: Any, param: Parameter, place: str) -> str:
    """Return a value of a config file as the text a command line would hold."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return json.dumps(value)
    if param.kind.name in ("TEXT", "PATH"):
        raise UsageError(f"{place} is {json.dumps(value)}; it must be text, in quotes")
    return json.dumps(value)


def _dispatch(function: Callable[..., int | None], bound: dict[str, Any], words: list[str], prog: str) -> int:
    """Let Fire walk the words to the function, its values bound already: Fire sees no text it could reinterpret."""
    import fire

    def leaf() -> int:
        return function(**bound) or 0

    tree: Any = leaf
    for word in reversed(words):
        tree = {word: tree}
    return fire.Fire(tree, command=words, name=prog, serialize=lambda _: None)


def _report(error: BaseException, prog: str, debug: bool) -> int:
    """Print the error as one line on stderr, and return its exit code."""
    try:
        sys.stdout.flush()
    except OSError:  # or the interpreter fails on it again as it ends, with exit code 120
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return 128 + signal.SIGPIPE
    code, line = _verdict(error, debug)
    if line:
        line = "; ".join([line, *getattr(error, "__notes__", ())])
        plain = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(line.split()))
        print(f"{prog}: {plain}", file=sys.stderr)
    return code


def _verdict(error: BaseException, debug: bool) -> tuple[int, str]:
    if debug and isinstance(error, Exception):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, HighwaterError):
        return error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt | Terminated):
        return exit_of(error)
    if isinstance(error, SystemExit):
        return (error.code or 0, "") if isinstance(error.code, int | None) else (1, str(error.code))
    if isinstance(error, MemoryError):
        return 5, f"out of memory{f' ({error})' if error.args else ''}; ask for less at once, or use a larger machine"
    if isinstance(error, OSError) and error.errno:
        file = f"{error.filename}: " if error.filename is not None else ""
        return _OS_CODES.get(error.errno, 74), f"{file}{error.strerror or error}"
    return 1, _record(error, debug)


def _record(error: BaseException, debug: bool) -> str:
    """Keep the traceback in the log under a new id, unless it was printed, and return the line that names both."""
    import secrets

    number, log = (secrets.token_hex(4), None) if debug else record(error)
    what = f"bug {number}: {type(error).__name__}: {error}"
    if debug:
        return what
    return f"{what} (see {log})" if log else f"{what} (run it again with --debug to see where)"
