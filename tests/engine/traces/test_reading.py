import pytest
from highwater.engine.traces.reading import read_document
from highwater.io.errors import MissingError, UsageError


def test_strategies_are_a_file_json_or_a_name(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text("bollinger_bands: {period: 20}\n")

    assert ({"bollinger_bands": {"period": 20}}, str(path)) == read_document(str(path))
    assert ({"a": 1}, "--strategies") == read_document(' {"a": 1}')
    assert (["a"], "--strategies") == read_document('["a"]')
    assert ("sma_crossover", "--strategies") == read_document("sma_crossover")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ('{"a": 1', UsageError, "--strategies:1: not JSON"),
        ("nowhere.yaml", MissingError, "nowhere.yaml: there is no such file"),
        ("some/strategies", UsageError, "a file of strategies must end in .yaml, .yml, .json, .toml"),
    ],
)
def test_anything_else_is_told_in_one_line(text, error, message):
    with pytest.raises(error, match=message):
        read_document(text)
