import json

import pytest
from highwater.io.config import check_keys, parse_json, read_config
from highwater.io.errors import MissingError, UsageError


@pytest.fixture
def refusal(tmp_path):
    """Write a config, and return what ``read_config`` says against it, without the path."""

    def say(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(UsageError) as caught:
            read_config(path)
        return str(caught.value).removeprefix(str(path))

    return say


WRITTEN = {
    "a.yaml": "sl: 0.70\ntp: [2, 3.5]\nquiet: true\nfrom: 2024-01-01\nhorizon: 48h\n"
    'id: "0123"\nnote: null\np: {a: x}\n',
    "a.yml": "---\n# comment\n"
    "sl: 0.7\ntp:\n- 2\n- 3.5\nquiet: True\nfrom: \"2024-01-01\"\nhorizon: 48h\nid: '0123'\nnote: ~\np:\n  a: x\n",
    "a.json": '{"sl": 0.7, "tp": [2, 3.5], "quiet": true, "from": "2024-01-01", "horizon": "48h", "id": "0123",'
    ' "note": null, "p": {"a": "x"}}',
}


@pytest.mark.parametrize("name", WRITTEN)
def test_the_same_config_in_yaml_and_json(tmp_path, name):
    (tmp_path / name).write_text(WRITTEN[name])
    expected = {
        "sl": 0.7,
        "tp": [2, 3.5],
        "quiet": True,
        "from": "2024-01-01",
        "horizon": "48h",
        "id": "0123",
        "note": None,
        "p": {"a": "x"},
    }

    actual = read_config(tmp_path / name)

    assert expected == actual
    assert isinstance(actual["tp"][0], int)


def test_toml_with_its_dates_as_text(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("""# it's [[[ a comment\nsl = 0.7\nfrom = 2024-01-01\nid = '[[0123'\n[p]\na = "x"\n""")

    assert {"sl": 0.7, "from": "2024-01-01", "id": "[[0123", "p": {"a": "x"}} == read_config(path)


@pytest.mark.parametrize("name", ["a.yaml", "a.toml"])
def test_an_empty_file_is_an_empty_config(tmp_path, name):
    (tmp_path / name).write_text("")

    assert {} == read_config(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("0123", "quote it or write 123"),
        ("1:30", "quote it"),
        ("2:10", "quote it"),
        ("no", "quote it or write false"),
        ("On", "quote it or write true"),
        ("0x1F", "quote it"),
        ("1_000", "quote it"),
        (".inf", "quote it"),
    ],
)
def test_what_yaml_versions_read_differently_is_refused(refusal, text, remedy):
    assert f":1: '{text}' is ambiguous in YAML; {remedy}" == refusal("a.yaml", f"k: {text}\n")


@pytest.mark.parametrize("text", ["1.1:10", "log:1:2", "notes", "0.5x", "1m", "0x", "12_a"])
def test_plain_text_in_yaml_stays_text(tmp_path, text):
    (tmp_path / "a.yaml").write_text(f"k: {text}\n")

    assert {"k": text} == read_config(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.json", '{"tp": 2,\n"p": {"tp": 1},\n"t\\u0070": 3}', ": key 'tp' occurs twice (lines 1 and 3)"),
        ("a.yaml", "tp: 2\np:\n  tp: 1\n'tp': 3\n", ": key 'tp' occurs twice (lines 1 and 4)"),
        ("a.toml", "tp = 2\ntp = 3\n", ": not TOML, Cannot overwrite a value (at line 2, column 7)"),
        ("a.yaml", "a: &x 1\nb: *x\n", ":1: anchors and aliases are not accepted; write the value again"),
        ("a.yaml", "a: 1\nb: *x\n", ":2: anchors and aliases are not accepted; write the value again"),
        (
            "a.yaml",
            "a: !!python/object/apply:os.system [id]\n",
            ":1: tags such as 'tag:yaml.org,2002:python/object/apply:os.system' are not accepted; write a plain value",
        ),
        ("a.yaml", "? [a]\n: 1\n", ":1: a key must be plain text"),
        ("a.yaml", "a: 1\n---\nb: 1\n", ":2: a second document; a config file holds one"),
        ("a.yaml", "a: [1\n", ":2: not YAML, did not find expected ',' or ']'"),
        ("a.yaml", "- 1\n", ": it must hold a mapping of keys to values, not a list"),
        ("a.json", "3", ": it must hold a mapping of keys to values, not a number"),
        ("a.json", '{"a": }', ":1: not JSON, Expecting value at column 7"),
        ("a.json", '{"a": NaN}', ": NaN is no number of JSON"),
        ("a.json", '{"a": 1e999}', ": inf is not a finite number"),
        ("a.json", '{"a": ' + "9" * 5000 + "}", ": it holds a number of more than 4300 digits"),
        ("a.toml", "a = inf\n", ": inf is not a finite number"),
        ("a.json", b'{"a": "\xff"}', ": byte 7 is not UTF-8"),
        ("a.yaml", "a" * (2**20 + 1), ": it is larger than 1 MiB, the limit of a config file"),
        ("a.ini", "", ": a config file must end in .yaml, .yml, .json or .toml"),
    ],
)
def test_what_a_config_may_not_hold(refusal, name, content, expected):
    assert expected == refusal(name, content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "[" * 200_000),
        ("a.json", '{"a": ' + "[" * 64 + "]" * 64 + "}"),
        ("a.yaml", "[" * 200_000),
        ("a.yaml", "a: " + "[" * 64 + "]" * 64),
        ("a.toml", "a = " + "[" * 200_000),
        ("a.toml", "a = " + "[" * 64 + "]" * 64),
        ("a.toml", ".".join("a" * 100_000) + " = 1"),
        ("a.toml", "a = {" + "'a' . " * 64 + "a = 1}"),
        ("a.toml", '# """\n' + ".".join("a" * 65) + " = 1"),
    ],
)
def test_deep_nesting_is_refused_before_it_is_built(refusal, name, content):
    assert ": it nests deeper than 64 levels" == refusal(name, content)


@pytest.mark.parametrize(
    ("name", "text"), [("a.json", '{"a": %s}'), ("a.yaml", "a: %s\n"), ("a.toml", "a = %s\n")], ids=lambda x: x
)
def test_sixty_four_levels_are_accepted(tmp_path, name, text):
    inner = "[" * 63 + "]" * 63
    (tmp_path / name).write_text(text % inner)

    assert {"a": json.loads(inner)} == read_config(tmp_path / name)


def test_brackets_in_json_text_do_not_count():
    expected = {"a": "[" * 100, 'b"{:': 1}

    assert expected == parse_json(json.dumps(expected), "--policy")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingError, match=r"gone\.yaml: there is no such file"):
        read_config(tmp_path / "gone.yaml")


def test_an_unknown_key_names_the_nearest():
    with pytest.raises(UsageError) as caught:
        check_keys({"sl": 1, "traill": 0.2}, ("sl", "trail"), "a.yaml")

    assert "a.yaml: unknown key 'traill'; did you mean 'trail'?" == str(caught.value)


def test_an_unknown_key_like_no_other_lists_them_all():
    with pytest.raises(UsageError) as caught:
        check_keys({"zzz": 1}, ("trail", "sl"), "a.yaml")

    assert "a.yaml: unknown key 'zzz'; it may hold sl, trail" == str(caught.value)
