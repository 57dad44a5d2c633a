import duckdb
import pytest
from highwater.io.sql import is_in_use, quoted, quoted_name


@pytest.mark.parametrize("text", ["plain", "it's", 'say "no"', "a; DROP TABLE b --", "''\"\"", "ä\\n"])
def test_names_and_literals_are_what_they_were(text):
    found = duckdb.sql(f"SELECT {quoted(text)} AS {quoted_name(text)}")

    assert ([text], [(text,)]) == (found.columns, found.fetchall())


def test_a_file_that_another_connection_has_is_told_from_one_that_is_none(tmp_path):
    (tmp_path / "none").write_text("no database")
    with duckdb.connect(str(tmp_path / "held.duckdb")), pytest.raises(duckdb.Error) as held:
        duckdb.connect(str(tmp_path / "held.duckdb"), read_only=True)
    with pytest.raises(duckdb.Error) as broken:
        duckdb.connect(str(tmp_path / "none"))

    assert (True, False) == (is_in_use(held.value), is_in_use(broken.value))
