"""The command that shows what settings a command line, the environment and a config file come to."""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from . import commands, sweep_command, values
from .settings import Exports, Sources, Store, Trading
from .shell_help import Parameter, parameters

_COMMANDS = (commands.baseline, commands.strategy, sweep_command.sweep)
_RECORDS = (Sources, Trading, Store, Exports)


def _settings() -> dict[str, Parameter]:
    """Return every setting of the commands that make runs, shared ones first; none is required here.

    Where one command takes a number and the next a range of it, this takes the range: a single number is one too.
    """
    found: dict[str, Parameter] = {}
    for command in _COMMANDS:
        for each in parameters(command):
            default = None if each.required else each.default
            if each.name in found and found[each.name].default != default:
                default = BY_COMMAND
            found[each.name] = dataclasses.replace(each, default=default)
    shared = [field.name for record in _RECORDS for field in dataclasses.fields(record)]
    del found["json"], found["resume"]  # how this command prints; what takes no settings
    return {name: found[name] for name in dict.fromkeys([*shared, *found]) if name in found}


def _origin(each: Parameter, place: str | None) -> str:
    """Return where a value came from, given the place the shell read it at."""
    variable = "HIGHWATER_" + each.flag[2:].replace("-", "_").upper()
    if place in (None, *each.flags):
        return "flag" if place else "default"
    return f"environment {variable}" if place == variable else f"file {str(place).rpartition(': ')[0]}"


def _json(each: Parameter, value: Any) -> Any:
    """Return a value as a config file may hold it: numbers, truths and null as such, all else as a flag has it."""
    if isinstance(value, list):
        return [_json(each, one) for one in value]
    plain = value is None or isinstance(value, bool) or each.kind.name in ("INT", "NUMBER")
    return value if plain else each.kind.show(value)


BY_COMMAND = "by command"
SETTINGS = _settings()


def config_show(*, places: Mapping[str, str], resolved: bool = False, json: bool = False, **given: Any) -> int | None:
    """Print the settings that flags, environment and --config come to, as baseline, strategy and sweep take them.

    Any flag of these may be given. A value comes from the flag, else from HIGHWATER_<FLAG>, else from the config
    file, else it is the default. What --json prints without --resolved can be given to --config.
    """
    import json as json_format

    from . import show

    rows = []
    for name, each in SETTINGS.items():
        value = given.get(name, None if each.default == BY_COMMAND else each.default)
        text = values.show(each.annotation, value) or (BY_COMMAND if each.default == BY_COMMAND else "-")
        rows.append((name.rstrip("_"), _origin(each, places.get(name)), text, _json(each, value)))
    if json:
        found = {name: {"value": value, "origin": origin} if resolved else value for name, origin, _, value in rows}
        print(json_format.dumps(found, indent=2, allow_nan=False))
        return None
    heads = ["setting", "origin", "value"] if resolved else ["setting", "value"]
    cells = [[name, origin, text] if resolved else [name, text] for name, origin, text, _ in rows]
    show.console().print(show.table("Settings", heads, cells, left=len(heads)))
    return None


def _as_command() -> None:
    """Give ``config_show`` the flags of SETTINGS, and the shell's word for where each value came from."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [inspect.Parameter(name, keyword, default=False, annotation=bool) for name in ("resolved", "json")]
    theirs = [
        inspect.Parameter(name, keyword, default=each.default, annotation=each.annotation)
        for name, each in SETTINGS.items()
    ]
    lines = [
        line for command in _COMMANDS for line in (inspect.getdoc(command) or "").partition("Args:\n")[2].split("\n")
    ]
    about = {line.strip().partition(":")[0]: line for line in lines}
    about["resolved"] = "    resolved: Say where each value comes from."
    function: Any = config_show
    function.__signature__ = inspect.Signature([*own, *theirs])
    function.__annotations__ = {each.name: each.annotation for each in (*own, *theirs)}
    function.__doc__ = f"{inspect.getdoc(config_show)}\n\nArgs:\n" + "\n".join(about.values())
    function.takes_places = True


_as_command()
