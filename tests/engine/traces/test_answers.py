from pathlib import Path

import pytest
from highwater.engine.traces.answers import checked
from highwater.io.errors import UsageError


@pytest.mark.parametrize(
    ("form", "output", "found"),
    [
        ("table", None, "table"),
        ("csv", None, "csv"),
        ("table", "x.parquet", "parquet"),
        ("table", "x.CSV", "csv"),
        ("csv", "x.txt", "csv"),
        ("parquet", "x.pq", "parquet"),
    ],
)
def test_the_form_is_what_was_asked_or_what_the_file_is_called(form, output, found):
    assert found == checked(form, Path(output) if output else None)


@pytest.mark.parametrize(("form", "output"), [("table", "x.txt"), ("table", "x"), ("parquet", None)])
def test_a_form_that_cannot_be_told_is_refused(form, output):
    with pytest.raises(UsageError, match=r"--output"):
        checked(form, Path(output) if output else None)
