import io
import json
import math
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pytest
from highwater.engine.web.api import answers
from highwater.engine.web.api.answers import (
    ARROW,
    CSV,
    JSON,
    Refused,
    arrow_bytes,
    failed,
    json_bytes,
    rows_of,
    status_of,
    wanted,
)
from highwater.io.errors import (
    BusyError,
    HighwaterError,
    IntegrityError,
    LimitError,
    MissingError,
    StoreError,
    UsageError,
)
from highwater.io.exports import csv_bytes


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
        ("text/csv", CSV),
        ("TEXT/*", CSV),
        ("text/csv;q=0.5, application/json;q=0.4", CSV),
        ("application/json;q=0.2, */*;q=0.1", JSON),
        ("*/*, application/json;q=0", CSV),
        (f"{ARROW}, text/csv;q=0.9", ARROW),
        ("text/csv; charset=utf-8; q=1.0", CSV),
    ],
)
def test_the_kind_is_what_a_client_likes_best(accept, kind):
    assert kind == wanted(accept)


@pytest.mark.parametrize(
    "accept", ["text/html", "image/*;q=1", "text/csv;q=0", "application/json;q=0, text/html", ",,", "a;b"]
)
def test_a_kind_that_there_is_not_is_refused(accept):
    with pytest.raises(Refused, match=r"Accept must allow one of application/json, text/csv"):
        wanted(accept)


def test_rows_say_times_as_documents_do():
    moments = [datetime(2024, 1, 31, 23, 59, 59, 999999), datetime(1969, 12, 31), None, datetime(2024, 5, 1, 12)]
    table = pa.table({"n": [1, 2, 3, 4]})
    for unit in ("ms", "us", "ns"):
        for zone in (None, "UTC"):
            table = table.append_column(
                f"{unit} {zone}", pa.array(moments, pa.timestamp("us")).cast(pa.timestamp(unit, zone), safe=False)
            )

    assert answers.plain(table) == rows_of(table)


def test_json_has_null_for_what_is_no_number_and_times_in_utc():
    east = datetime(2024, 1, 1, 3, tzinfo=timezone(timedelta(hours=3)))
    given = {"a": math.nan, "b": [math.inf, -math.inf, 1.5, 2**60], "c": east, "d": date(2024, 1, 2), "e": (None, True)}

    assert {
        "a": None,
        "b": [None, None, 1.5, 2**60],
        "c": "2024-01-01T00:00:00.000Z",
        "d": "2024-01-02",
        "e": [None, True],
    } == json.loads(json_bytes(given))


def test_json_opens_no_tag():
    made = json_bytes({"caller": "<script>alert(1)</script>"})

    assert b"<" not in made
    assert "<script>alert(1)</script>" == json.loads(made)["caller"]


def test_csv_has_no_formula_in_it():
    cells = ["=HYPERLINK(1)", "+1", "-1", "@x", "\tx", "plain", "a=b", None]
    made = csv_bytes(pa.table({"name": cells, "number": [-1.0] * len(cells)})).decode()

    assert [
        *('"name","number"', '"\'=HYPERLINK(1)",-1', '"\'+1",-1', '"\'-1",-1', '"\'@x",-1', '"\'\tx",-1'),
        *('"plain",-1', '"a=b",-1', ",-1"),
    ] == made.splitlines()


def test_arrow_comes_back_as_it_was():
    table = pa.table({"a": [1, None], "b": ["x", "y"]})

    assert table.equals(pa.ipc.open_stream(io.BytesIO(arrow_bytes(table))).read_all())


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MissingError("x"), 404),
        (MissingError("x", "E_GONE"), 410),
        (UsageError("x"), 400),
        (IntegrityError("x"), 409),
        (LimitError("x"), 422),
        (BusyError("x"), 503),
        (StoreError("x"), 500),
    ],
)
def test_every_error_of_ours_has_a_status(error, status):
    assert status == status_of(error)
    assert isinstance(error, HighwaterError)


def test_an_error_says_what_is_wrong_and_not_where_we_live():
    made = failed(IntegrityError("/srv/secret/runs/2026-11/run_id=x/run.json was\nchanged"), Path("/srv/secret/runs"))
    found = json.loads(made.body)

    assert (409, "2026-11/run_id=x/run.json was changed", "E_CORRUPT") == (
        made.status_code,
        found["detail"],
        found["code"],
    )
    assert 8 == len(found["id"])


def test_a_bug_is_told_by_an_id_alone(monkeypatch):
    monkeypatch.setattr(answers, "record", lambda error: ("7f3a91c2", None))
    made = failed(ZeroDivisionError("secret"), Path("/x"))

    assert (500, {"detail": "internal error, id 7f3a91c2", "code": "E_BUG", "id": "7f3a91c2"}) == (
        made.status_code,
        json.loads(made.body),
    )
