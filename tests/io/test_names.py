import re

import pytest
from highwater.io.names import plain_path, safe_name


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Alpha Caller", "alpha-caller"),
        ("../../x", "x"),
        ("/etc/passwd", "etc-passwd"),
        ("a\0b", "a-b"),
        ("CON", "con"),
        ("a.", "a"),
        ("a*b?[c]", "a-b-c"),
        ("🚀" * 64, "x"),
        ("", "x"),
        ("\ud800", "x"),
        ("k" * 300, "k" * 24),
        ("k" * 23 + " z", "k" * 23),
    ],
)
def test_a_name_becomes_a_slug_and_a_digest(text, slug):
    name = safe_name(text)

    assert slug == name[:-13]
    assert re.fullmatch(r"[a-z0-9-]{1,24}~[0-9a-f]{12}", name)


def test_the_digest_is_that_of_the_utf8_bytes():
    expected = "x~4a99557e4033"

    assert expected == safe_name("é")


def test_names_that_differ_in_any_byte_differ():
    texts = ["a", "A", "a ", "a.", "é", "e\u0301", "а"]

    assert len(texts) == len({safe_name(text) for text in texts})


@pytest.mark.parametrize("path", ["run.json", "traces/a~0123456789ab.parquet", "_SUCCESS", "a/b=c/d-e"])
def test_plain_paths_are_kept(path):
    assert path == plain_path(path)


@pytest.mark.parametrize(
    "path", ["", ".", "..", "../a", "/a", "a/../b", "a//b", "a/", ".a", "a b", "a\0", "a\n", "é", "a\\b"]
)
def test_paths_that_may_lead_elsewhere_are_refused(path):
    with pytest.raises(ValueError, match="plain names"):
        plain_path(path)
