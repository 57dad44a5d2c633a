import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

parts = pytest.importorskip("highwater.engine.dashboard.parts")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("brisk falcon", "brisk falcon"),
        ("![x](http://e/x)", r"\!\[x\]\(http\:\/\/e\/x\)"),
        ("<b>:red[a] $x$", r"\<b\>\:red\[a\] \$x\$"),
        ("a\nb", r"a\\nb"),
        (7, "7"),
    ],
)
def test_words_are_markdown_of_themselves(text, shown):
    assert shown == parts.words(text)


@settings(max_examples=50)
@given(st.text())
def test_every_sign_that_means_something_to_markdown_is_escaped(text):
    shown = parts.words(text)
    left = shown.replace("\\\\", "")
    bare = [c for i, c in enumerate(left) if c in "![]()<>*_`#|$:" and (i == 0 or left[i - 1] != "\\")]

    assert [] == bare


def test_columns_are_shown_by_their_units():
    schema = pa.schema([("run_id", "string"), ("avg_return_bps", "double"), ("entry_ts_ms", "int64")])
    more = pa.schema(
        [("win_rate", "double"), ("time_exposed_ms", "int64"), ("stale", "bool"), ("realized_r", "double")]
    )
    found = {name: form for name, (_, form) in parts.forms_of(pa.unify_schemas([schema, more])).items()}

    assert {
        "avg_return_bps": "bps",
        "entry_ts_ms": "time",
        "win_rate": "share",
        "time_exposed_ms": "span",
        "stale": "bool",
        "realized_r": "r",
    } == found


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("avg_return_bps", 1234.0, "+12.34%"),
        ("win_rate", 0.5, "50%"),
        ("total_r", -1.5, "-1.50 R"),
        ("trades_count", 1234, "1,234"),
        ("sharpe", None, "-"),
    ],
)
def test_figures_are_shown_by_their_units(name, value, shown):
    assert shown == parts.figure_text(name, value)


def test_no_two_columns_are_called_the_same():
    schema = pa.schema([("gap", "bool"), ("gap_ms", "int64"), ("gap_bps", "double")])
    labels = [label for label, _ in parts.forms_of(schema).values()]

    assert ["gap", "gap ms", "gap bps"] == labels
