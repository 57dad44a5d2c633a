import ast
import string

import pytest
from highwater.engine.traces.expressions import AMBIGUOUS, parse
from highwater.engine.traces.functions import ALIASES, FUNCTIONS, VARIABLES, signature
from highwater.engine.traces.terms import Term, text
from highwater.engine.traces.tokens import LONGEST
from highwater.io.errors import UsageError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_conditions import truths, written

MEMBERS = {"bollinger_bands": "bollinger_bands", "rsi_extreme": "rsi_bands", "rsi_bands": "rsi_bands", "two": AMBIGUOUS}


def read(source, **how):
    return parse(source, "threshold", MEMBERS, least=True, **how)


# By text: the same in its one form.
FORMS = {
    "0.5 AND volume > sma(volume, 20) AND market_hours() == 'regular'": None,
    "0.3 AND adx(14) > 25": None,
    "0.5 AND adx(14) < 20": None,
    "0.5": None,
    ".50": "0.5",
    "0": None,
    "1e0": "1",
    "5e-1 and adx(14.0)<25.": "0.5 AND adx(14) < 25",
    "0.5 or intraday": "0.5 OR intraday",
    "signal > 0 and price > vwap()": "signal > 0 AND close > vwap()",
    "signal > 0 and price > vwap": "signal > 0 AND close > vwap()",
    "close > session_vwap()": "close > vwap()",
    "bollinger_bands AND volume>ma(20)": "bollinger_bands AND volume > sma(close, 20)",
    "rsi_extreme or not bollinger_bands": "rsi_bands OR NOT bollinger_bands",
    "rsi_extreme > 0": "rsi_bands > 0",
    "(signal > 0 and price > vwap()) or\n  (signal < 0 and price < vwap())": (
        "signal > 0 AND close > vwap() OR signal < 0 AND close < vwap()"
    ),
    "a_or_b": UsageError,
    "NOT intraday AND is_friday()": None,
    "NOT (intraday AND is_friday())": None,
    "not close > open": "NOT (close > open)",
    "intraday and (is_friday() and true)": "intraday AND is_friday() AND true",
    "(intraday or (is_friday() or false))": "intraday OR is_friday() OR false",
    "(intraday or is_friday()) and TRUE": "(intraday OR is_friday()) AND true",
    "'regular' == market_hours()": "market_hours() == 'regular'",
    'market_hours() != "closed"': "market_hours() != 'closed'",
    "close - (open - low) > 0": None,
    "(close - open) - low > 0": "close - open - low > 0",
    "close + (open + low) > 0": None,
    "(close * open) / low > 0": "close * open / low > 0",
    "close / (open * low) > 0": None,
    "-close ** 2 < 0": None,
    "(-close) ** 2 > 0": None,
    "2 ** -1 ** 2 > 0": None,
    "(2 ** 3) ** 2 > 0": None,
    "2 ** (3 ** 2) > 0": "2 ** 3 ** 2 > 0",
    "- - close < 0": "--close < 0",
    "-(close + 1) < 0": None,
    "sma(atr(14), 50) < atr(14)": None,
    "rsi( 14 , '60m' ) > 70": "rsi(14, '1h') > 70",
    "sma(20, '1d') > close": "sma(close, 20, '24h') > close",
    "trend_regime('4h') == 'up'": None,
    "volatility_percentile(20) > 70": "volatility_percentile(20, 100) > 70",
    "max(close, open) - min(close, open) > 2 * atr(14)": None,
    "time >= 0930": "time >= 930",
    "abs(signal) >= 1": None,
    "close % 5 == 0": None,
}


@pytest.mark.parametrize(("source", "expected"), FORMS.items())
def test_one_form_for_one_meaning(source, expected):
    if expected is UsageError:
        with pytest.raises(UsageError):
            read(source)
        return
    form = text(read(source))

    assert (expected or source) == form
    assert read(source) == read(form)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(truths(tuple(MEMBERS)[:1]), st.booleans())
def test_what_is_written_is_read_back(node, spare):
    source = written(node, spare)
    if len(source) > LONGEST:
        return
    term = parse(source, "threshold", MEMBERS)

    assert term == parse(text(term), "threshold", MEMBERS)
    assert text(term) == text(parse(text(term), "threshold", MEMBERS))
    assert term == parse(written(node, not spare), "threshold", MEMBERS)


def shape(term):
    """Return a term as nested lists; AND and OR in twos, from the left."""
    if term.op == "name" or term.op == "literal":
        return term.value
    parts = [shape(each) for each in term.parts]
    if term.op in ("AND", "OR"):
        return [term.op, parts]
    return [term.op, *parts]


def python_shape(node):
    signs = {"Lt": "<", "Gt": ">", "Eq": "==", "Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "Mod": "%", "Pow": "**"}
    match node:
        case ast.BoolOp(op=op, values=values):
            name = type(op).__name__.upper()
            parts = [python_shape(each) for each in values]
            return [name, [own for part in parts for own in (part[1] if part[0] == name else [part])]]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return ["NOT", python_shape(operand)]
        case ast.UnaryOp(operand=operand):
            return ["negative", python_shape(operand)]
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return [signs[type(op).__name__], python_shape(left), python_shape(right)]
        case ast.BinOp(left=left, op=op, right=right):
            return [signs[type(op).__name__], python_shape(left), python_shape(right)]
        case ast.Name(id=name):
            return name
        case ast.Constant(value=value):
            return float(value)
    raise TypeError(node)


sums = st.lists(
    st.tuples(
        st.sampled_from(["", "-", "- -"]),
        st.sampled_from(["close", "open", "2", "0.5"]),
        st.sampled_from(["+", "-", "*", "/", "%", "**"]),
    ),
    min_size=1,
    max_size=5,
).map(lambda parts: " ".join(f"{sign}{name} {op}" for sign, name, op in parts).rsplit(" ", 1)[0])
comparisons = st.tuples(sums, st.sampled_from(["<", ">", "=="]), sums).map(" ".join)
conditions = st.lists(
    st.tuples(st.sampled_from(["", "not ", "not not "]), comparisons, st.sampled_from(["and", "or"])),
    min_size=1,
    max_size=5,
).map(lambda parts: " ".join(f"{no}{each} {word}" for no, each, word in parts).rsplit(" ", 1)[0])


@settings(deadline=None, max_examples=300)
@given(conditions)
def test_signs_and_words_bind_as_they_do_in_python(source):
    assert python_shape(ast.parse(source, mode="eval").body) == shape(parse(source, "threshold"))


# By text: what the error must say.
WRONG = {
    "volum > 3": "at character 1 of \"volum > 3\": unknown name 'volum'; did you mean 'volume'?",
    "adx(14) > 25 AND clos > 3": "at character 18 of \"adx(14) > 25 AND clos > 3\": unknown name 'clos'; did you",
    "xyzzy > 3": "unknown name 'xyzzy'; known are open, high, low, close, volume",
    "addx(14) > 25": "at character 1 of \"addx(14) > 25\": unknown function 'addx'; did you mean 'adx'?",
    "rsi > 70": "rsi is a function; write rsi(n, [timeframe])",
    "ma > 70": "ma is a function; write sma([series], n, [timeframe])",
    "close() > 1": "close is a variable; write it without brackets",
    "__import__('os')": "unknown function '__import__'",
    "close.real > 1": "'.' is nothing known here",
    "close[0] > 1": "'[' is nothing known here",
    "lambda: 1": "':' is nothing known here; a time is written HHMM: 930 for 09:30",
    "time >= 09:30": "at character 11 of \"time >= 09:30\": ':' is nothing known here; a time is written HHMM",
    "close = 3": "at character 7 of \"close = 3\": '=' is nothing known here; compare with ==",
    "close > 3 & open > 3": "'&' is nothing known here; write AND",
    "close > 3 || open > 3": "'|' is nothing known here; write OR",
    "!intraday": "'!' is nothing known here; write NOT",
    "intraday # always": "'#' is nothing known here; it holds no comments",
    "close > ${level}": "'$' is nothing known here; write the value itself; a sweep lists several filters",
    "market_hours() == 'regular": "the text is not closed",
    "close > 3é": "a number ends in a letter",
    "close > 3 \u00a0": "'\\xa0' is nothing known here",
    "2x > 3": 'at character 1 of "2x > 3": a number ends in a letter, point or underscore',
    "1.2.3 > 3": "a number ends in a letter, point or underscore",
    "1e999 > close": "1e999 is too large a number",
    "close > 9e9999999": "9e9999999 is too large a number",
    "close > +1": "a number takes no sign but -",
    "1 < close < 3": 'at character 11 of "1 < close < 3": comparisons do not chain; write a < b AND b < c',
    "close > 3 open": "'open' is not expected here; join conditions with AND or OR",
    "close > 3)": "')' is not expected here; a bracket too many",
    "(close > 3": 'at character 11 of "(close > 3": a bracket is not closed',
    "rsi(14 > 70": "a comma or a closing bracket must stand here",
    "rsi(14 > 70) > 3": "14 > 70 in rsi: it must be a whole number",
    "rsi(14 70) > 3": "a comma or a closing bracket must stand here",
    "sma(, 3) > 2": "a value must stand here, not ','",
    "0.5 AND": 'at character 8 of "0.5 AND": a value must stand here, not the end',
    "AND close > 3": "a value must stand here, not 'AND'",
    "close >": "a value must stand here, not the end",
    "close": "close is a number, and a condition must stand here; compare it: close > 0",
    "close AND intraday": 'at character 1 of "close AND intraday": close is a number, and a condition must stand here',
    "NOT close": 'at character 5 of "NOT close": close is a number, and a condition must stand here',
    "market_hours()": "market_hours() is a text, and a condition must stand here",
    "intraday > 0": 'at character 1 of "intraday > 0": intraday is a condition, and a number must stand here',
    "1 + is_friday() > 0": 'at character 5 of "1 + is_friday() > 0": is_friday() is a condition, and a number must',
    "-(close > 3) > 1": "close > 3 is a condition, and a number must stand here",
    "abs(close > 3) > 1": "close > 3 in abs is a truth; it must be a number; write abs(x)",
    "market_hours() > 'regular'": "texts compare with == or != only, not with >",
    "market_hours() == 3": "a text compares with one of its words: market_hours() == 'regular'",
    "close == 'regular'": "a text compares with one of its words",
    "'regular' == 'regular'": "a text compares with one of its words",
    "market_hours() == trend_regime()": "a text compares with one of its words",
    "market_hours() == 'regualr'": "'regualr' is no word of market_hours(); they are closed, pre_market, regular, "
    "extended; did you mean 'regular'?",
    "rsi() > 3": "rsi was given no arguments; write rsi(n, [timeframe])",
    "rsi(14, 7) > 3": "rsi was given 2 arguments; write rsi(n, [timeframe])",
    "sma(close, 3, 4) > 3": "sma was given 3 arguments; write sma([series], n, [timeframe])",
    "max(1) > 3": "max was given 1 argument; write max(x, y)",
    "vwap(14) > 3": "vwap was given 1 argument; write vwap()",
    "sma(volume) > 3": "volume in sma: it must be a whole number of candles from 1 to 100,000",
    "sma(close, 14.5) > 3": "14.5 in sma: it must be a whole number of candles",
    "sma(close, 0) > 3": "0 in sma: it must be a whole number of candles from 1",
    "sma(close, -5) > 3": "-5 in sma: it must be a whole number",
    "sma(close, 100001) > 3": "100001 in sma: it must be a whole number",
    "sma(close, hour) > 3": "hour in sma: it must be a whole number",
    "rsi('14') > 3": "the timeframe is '14'; it needs a unit: 14h, 14m, 14s or 14ms",
    "rsi(14, 'hour') > 3": "the timeframe is 'hour'; it must be a duration",
    "rsi(14, '0m') > 3": "the timeframe is '0m'; it must be longer than nothing",
    "sma(7, 20) > 3": "7 in sma is no series of the candles; write sma([series], n, [timeframe])",
    "sma(signal, 20) > 3": "signal in sma is no series of the candles",
    "sma(close * signal, 20) > 3": "close * signal in sma depends on votes; it must be a series of the candles",
    "sma(bollinger_bands + close, 20) > 3": "bollinger_bands + close in sma depends on votes",
    "two AND intraday": "several members are named two; a threshold cannot tell them apart",
    "50 AND intraday": "the least vote is 50; it must be from 0 to 1; did you mean 0.5?",
    "1.5": "the least vote is 1.5; it must be from 0 to 1; did you mean 0.015?",
    "-0.5 AND intraday": "-0.5 is a number, and a condition must stand here",
    "intraday AND 0.5": "0.5 is no condition; the least vote opens the threshold: '0.5 AND ...'",
    "(0.5) AND intraday": "0.5 is no condition; the least vote opens the threshold",
    "NOT 0.5": "0.5 is no condition; the least vote opens the threshold",
    "0.5 AND 0.6": "0.6 is no condition; the least vote opens the threshold",
}


@pytest.mark.parametrize(("source", "expected"), WRONG.items())
def test_what_is_wrong_is_said(source, expected):
    with pytest.raises(UsageError) as caught:
        read(source)

    assert str(caught.value).startswith("threshold: at character ")
    assert expected in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", "threshold is empty; it must be an expression such as 'volume > sma(volume, 20)'"),
        (" \n\t", "threshold is empty"),
        (None, "threshold is None; it must be an expression"),
        (["intraday"], "threshold is ['intraday']; it must be an expression"),
        ("x" * 2001, "threshold: it has 2,001 characters; an expression has at most 2,000"),
        ("(" * 65 + "intraday" + ")" * 65, "it nests deeper than 64 levels"),
        ("NOT " * 65 + "intraday", "it nests deeper than 64 levels"),
        ("-" * 65 + "close < 1", "it nests deeper than 64 levels"),
        ("close" + " + close" * 65 + " < 1", "it nests deeper than 64 levels"),
        ("2" + " ** 2" * 65 + " < 1", "it nests deeper than 64 levels"),
        ("abs(" * 65 + "close" + ")" * 65 + " < 1", "it nests deeper than 64 levels"),
        (float("nan"), "unknown name 'nan'"),
        (float("inf"), "unknown name 'inf'"),
        (10**400, "is too large a number"),
        (True, None),
        (0.5, None),
        (0, None),
        ("close" + " + close" * 63 + " < 1", None),
        (" AND ".join(["intraday"] * 150), None),
    ],
)
def test_limits_and_other_values(source, expected):
    if expected is None:
        assert "truth" == read(source).kind
        return
    with pytest.raises(UsageError) as caught:
        read(source)

    assert expected in str(caught.value)
    assert str(caught.value).startswith("threshold")


def test_a_number_of_a_config_is_that_number():
    assert read(0.5) == read("0.5") == Term("truth", "vote", 0.5)
    assert read(1) == read(1.0) == read("1")
    assert read(1e-7) == read("0.0000001")
    assert read(False) == read("false")


def test_votes_are_known_where_a_level_says_so_only():
    with pytest.raises(UsageError, match="the signal is not known yet here, but in thresholds and constraints"):
        parse("signal > 0", "condition")
    with pytest.raises(UsageError, match=r"a least vote \(0.5\) stands in a threshold only"):
        parse("0.5 AND intraday", "condition")
    with pytest.raises(UsageError, match=r"a least vote \(0.5\) stands in a threshold only"):
        parse("0.5", "constraints", MEMBERS)
    with pytest.raises(UsageError, match="unknown name 'bollinger_bands'"):
        parse("bollinger_bands", "condition")


def test_the_place_of_an_error_in_a_long_text_of_many_lines():
    source = "volume > sma(volume, 20)\n  AND market_hours() == 'regular'\n  AND adx(14) >> 25"
    with pytest.raises(UsageError) as caught:
        read(source)

    place = source.index(">>") + 2
    assert f"at character {place} of \"...) == 'regular' AND adx(14) >> 25\"" in str(caught.value)


words = st.sampled_from(
    [
        *VARIABLES,
        *FUNCTIONS,
        *ALIASES,
        *MEMBERS,
        "AND",
        "or",
        "Not",
        "true",
        "signal",
        "0.5",
        "14",
        "1e3",
        "'1h'",
        "'regular'",
    ]
)
signs = st.sampled_from(
    ["(", ")", ",", "<", "<=", ">", ">=", "==", "!=", "+", "-", "*", "/", "%", "**", " ", "\n", "=", "'"]
)


@settings(deadline=None, max_examples=1500)
@given(st.lists(st.one_of(words, signs), max_size=30).map(" ".join) | st.text(string.printable + "é\0 ", max_size=60))
def test_any_text_is_read_or_refused_in_one_line(source):
    try:
        term = read(source)
    except UsageError as error:
        assert str(error).isprintable()
        return
    assert term == read(text(term))


def test_every_function_is_known_by_what_it_says():
    assert not set(FUNCTIONS) & set(VARIABLES)
    assert set(ALIASES.values()) <= {*FUNCTIONS, *VARIABLES}
    assert not set(ALIASES) & {*FUNCTIONS, *VARIABLES}
    for name, made in FUNCTIONS.items():
        assert made.help
        assert (made.key is None) != (made.each is None)
        assert signature(name).startswith(f"{name}(")
