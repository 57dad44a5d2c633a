"""What makes one policy of a search better than another: a column of its results, or an expression over columns."""

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..io.config import nearest
from ..io.errors import UsageError
from ..kernels.arrays import Floats

PLATEAU, GROWTH, EXPECTANCY = "plateau_bps", "log_growth_bps", "expectancy_r"
_SIGNS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "min": (2, np.minimum),
    "max": (2, np.maximum),
    "sqrt": (1, np.sqrt),
    "log": (1, np.log),
    "abs": (1, np.abs),
}
_LONGEST = 500  # characters: nesting is bounded by it


def check_objective(text: str, names: Iterable[str]) -> None:
    """Raise UsageError unless ``text`` is an expression over ``names``: numbers, + - * / **, min max sqrt log abs."""
    known = set(names)
    for name in sorted(names_of(text)):
        if name == EXPECTANCY and "sl" not in known:
            raise UsageError(f"--objective {EXPECTANCY} is the mean return over what the stop risks; give --sl")
        if name not in known | {EXPECTANCY}:
            hint = nearest(name, known) or f"; columns: {', '.join(sorted(known))}"
            raise UsageError(f"--objective names {name!r}, which is no column here{hint}")


def names_of(text: str) -> frozenset[str]:
    """Return the columns that an objective names. Raises UsageError where it is no expression."""
    nodes = list(ast.walk(_tree(text)))
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    return frozenset(node.id for node in nodes if isinstance(node, ast.Name) and node not in called)


def score(text: str, columns: Mapping[str, Floats]) -> Floats:
    """Return the objective of each row of ``columns``, float64[N]; NaN, the worst, where it is undefined."""
    if EXPECTANCY in names_of(text):
        columns = {**columns, EXPECTANCY: columns["avg_return_bps"] / 10_000 / (1.0 - columns["sl"])}
    with np.errstate(all="ignore"):
        found = np.asarray(_value(_tree(text), columns), float)
    return np.broadcast_to(found, next(iter(columns.values())).shape)


def _tree(text: str) -> ast.expr:
    try:
        if len(text) > _LONGEST:
            raise ValueError
        tree = ast.parse(text.strip(), mode="eval").body
        for node in ast.walk(tree):
            _check(node)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError(
            f"--objective {text!r:.80} must be a column such as avg_return_bps, or an expression over columns with "
            "numbers, + - * / **, min, max, sqrt, log and abs"
        ) from None
    return tree


def _check(node: ast.AST) -> None:
    match node:
        case ast.BinOp(op=op) if type(op) in _SIGNS:
            return
        case ast.UnaryOp(op=ast.USub()) | ast.Name() | ast.USub() | ast.Load():
            return
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in _FUNCTIONS:
            if len(node.args) == _FUNCTIONS[name][0]:
                return
        case ast.operator() if type(node) in _SIGNS:
            return
    raise ValueError


def _value(node: ast.AST, columns: Mapping[str, Floats]) -> Any:
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            return _SIGNS[type(op)](_value(left, columns), _value(right, columns))
        case ast.UnaryOp(operand=operand):
            return -_value(operand, columns)
        case ast.Constant(value=value):
            return np.float64(value)  # type: ignore[arg-type]
        case ast.Call(func=ast.Name(id=name), args=args):
            return _FUNCTIONS[name][1](*(_value(each, columns) for each in args))
        case ast.Name(id=name):
            return columns[name]
    raise TypeError(node)
