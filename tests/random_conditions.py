"""Random conditions as nodes of ``plain_conditions``, and the same as text."""

from hypothesis import strategies as st

COLUMNS = ("open", "high", "low", "close", "volume")
_BINDS = {"or": 1, "and": 2, "not": 3, **dict.fromkeys(("<", "<=", ">", ">=", "==", "!=", "is"), 4)}
_BINDS |= {"+": 5, "-": 5, "*": 6, "/": 6, "%": 6, "neg": 7, "**": 8}

constants = st.sampled_from([0, 1, 2, 3, 0.5, 0.25, 10, 1e3, 1e-3, 1e200]).map(lambda x: ("number", x))
columns = st.sampled_from(COLUMNS).map(lambda name: ("column", name))
powers = st.sampled_from([1, 2, 4, 8])


def numbers(leaves=constants | columns):
    """Return a strategy of numbers; means are of series whose values are exact."""
    exact = st.one_of(
        columns,
        st.tuples(st.sampled_from("+-*"), columns, columns),
        st.tuples(st.just("sma"), columns, powers),
    )
    leaves = st.one_of(
        leaves,
        st.tuples(st.just("sma"), exact, powers),
        st.tuples(st.just("relative"), powers),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(st.sampled_from(["neg", "abs", "round"]), inner),
            st.tuples(st.sampled_from(["min", "max"]), inner, inner),
            st.tuples(st.sampled_from(["+", "-", "*", "/", "%", "**"]), inner, inner),
        ),
        max_leaves=5,
    )


def truths(members=()):
    """Return a strategy of conditions; ``members`` are names that they may use, and then the signal too."""
    votes = st.sampled_from([("member", name) for name in members] + [("signal",)]) if members else st.nothing()
    values = numbers(st.one_of(constants, columns, votes)) if members else numbers()
    atoms = st.one_of(
        st.tuples(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), values, values),
        st.sampled_from([("true",), ("false",), ("intraday",), ("friday",)]),
        st.sampled_from(["regular", "pre_market", "extended", "closed"]).map(lambda word: ("is", word)),
        st.sampled_from([("fires", name) for name in members]) if members else st.nothing(),
    )
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.tuples(st.just("not"), inner),
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: ("and", *parts)),
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: ("or", *parts)),
        ),
        max_leaves=4,
    )


def written(node, spare=False):
    """Return a node as text; with ``spare`` brackets, also where none are needed."""
    kind, *rest = node

    def inner(each, level):
        text = written(each, spare)
        return f"({text})" if spare or _BINDS.get(each[0], 9) < level else text

    if kind == "number":
        return repr(rest[0])
    if kind in ("column", "member", "fires"):
        return rest[0]
    if kind in ("signal", "true", "false", "intraday"):
        return kind
    if kind == "friday":
        return "is_friday()"
    if kind == "vote":
        return str(rest[0])
    if kind == "is":
        return f"market_hours() == '{rest[0]}'"
    if kind == "relative":
        return f"relative_volume({rest[0]})"
    if kind == "sma":
        return f"sma({written(rest[0], spare)}, {rest[1]})"
    if kind in ("abs", "round", "min", "max"):
        return f"{kind}({', '.join(written(each, spare) for each in rest)})"
    if kind == "neg":
        return f"-{inner(rest[0], 7)}"
    if kind == "not":
        return f"NOT {inner(rest[0], 3)}"
    if kind in ("and", "or"):
        return f" {kind.upper()} ".join(inner(each, _BINDS[kind]) for each in rest)
    level = _BINDS[kind]
    if kind == "**":
        return f"{inner(rest[0], 9)} ** {inner(rest[1], 7)}"
    return f"{inner(rest[0], level + (level == 4))} {kind} {inner(rest[1], level + 1)}"
