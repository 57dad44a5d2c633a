import json

import pytest
from highwater.io.errors import DataError
from highwater.io.labs.wire import answer_of, items_of, text_of, unwrapped
from hypothesis import given, settings
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def test_entries_are_cut_out_as_they_are_written():
    text = ' {"Success": true, "I": [0], "Data" :{"NP":-1 , "I": [ {"a":0.10, "b":"]}\\"" } ,\n[1 ,2],3e5 ] } }'
    found = items_of(text.encode(), "Data", "I")

    assert ['{"a":0.10, "b":"]}\\"" }', "[1 ,2]", "3e5"] == [one.body.decode() for one in found]
    assert [{"a": 0.1, "b": ']}"'}, [1, 2], 3e5] == [one.value for one in found]


@settings(max_examples=40, deadline=None)
@given(st.lists(JSON), st.dictionaries(st.text(), JSON), st.sampled_from([None, 1]), st.booleans())
def test_entries_of_any_json_are_found(values, others, indent, plain):
    text = json.dumps({"Data": {**others, "I": values, "Z": others}}, indent=indent, ensure_ascii=plain)

    assert values == [one.value for one in items_of(text.encode(), "Data", "I")]
    assert values == [json.loads(one.body) for one in items_of(text.encode(), "Data", "I")]


@pytest.mark.parametrize("text", ['{"Data": {}}', '{"Data": []}', '{"Data": {"I": {}}}', "[]", '{"Data": null}'])
def test_no_list_is_an_error(text):
    with pytest.raises(ValueError, match="no "):
        items_of(text.encode(), "Data", "I")


def test_both_with_and_without_envelope():
    assert {"a": 1} == unwrapped(b'{"Success": true, "Error": "", "Data": {"a": 1}}')
    assert {"a": 1} == unwrapped(b'{"a": 1}')
    assert [1] == unwrapped(b"[1]")
    with pytest.raises(DataError, match="failure: gone"):
        unwrapped(b'{"Success": false, "Error": "gone", "Data": null}')


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"[" * 200_000, b"\xff"])
def test_what_is_no_json_is_a_value_error(body):
    with pytest.raises(ValueError):
        answer_of(body)


def test_the_envelope_is_taken_off_the_text():
    assert '{"n": 0.10 }' == text_of(b' {"Success": true, "Data" : {"n": 0.10 } , "Error": ""}')
    assert '{"n": 0.10, "Data": 1}' == text_of(b'{"n": 0.10, "Data": 1}\n')
    assert "[1 ]" == text_of(b"[1 ]")
