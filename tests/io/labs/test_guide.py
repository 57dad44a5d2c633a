import json

import pytest
from haas_server import LAB
from highwater.io.errors import DataError
from highwater.io.labs import made_up
from highwater.io.labs.guide import export, folder_of
from highwater.io.labs.store import writing
from highwater.io.labs.sync import sync


@pytest.fixture
def fetched(server, client, tmp_path):
    sync(client, tmp_path / "labs", LAB)
    return tmp_path / "labs", client.access.server


def test_a_lab_is_exported_in_the_layout_of_the_guide(fetched, server, tmp_path):
    folder = folder_of(tmp_path / "cache", LAB, 1_736_346_622_000)
    seen = []
    count = export(*fetched, LAB, folder, write_more=lambda new: seen.append(sorted(p.name for p in new.iterdir())))
    lab = server.labs[0]

    assert "lab_backtests_caed4df4-bcf9-4d4c-a8af-a51af6b7982e_20250108_143022" == folder.name
    assert (25, [["backtest_details", "backtests_list.json"]]) == (count, seen)
    assert [made_up.item(lab, i) for i in range(25)] == json.loads((folder / "backtests_list.json").read_text())
    assert {f"{name}.json" for name in lab.ids()} == {each.name for each in (folder / "backtest_details").iterdir()}
    assert {
        **{"backtest_id": lab.ids()[4], "lab_id": LAB, "script_name": made_up.SCRIPT},
        **{"generation": "0", "population": "4", "runtime": made_up.runtime(lab, 4)},
    } == json.loads((folder / "backtest_details" / f"{lab.ids()[4]}.json").read_text())


def test_what_is_incomplete_is_refused_or_said(fetched, server, client, tmp_path):
    server.labs[0] = made_up.MadeUpLab(LAB, 30)
    server.faults["GET_BACKTEST_RUNTIME"] = ["refused", "refused"]
    sync(client, fetched[0], LAB)
    with pytest.raises(DataError, match=r"not complete: the runtime of 2 backtests is missing; .* --partial"):
        export(*fetched, LAB, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert 30 == export(*fetched, LAB, tmp_path / "out", partial=True)

    assert "the runtime of 2 backtests is missing\n" == (tmp_path / "out" / "INCOMPLETE.txt").read_text()
    with writing(*fetched, LAB) as out:
        out.begin_listing("{}")
    with pytest.raises(DataError, match="list was not read to the last page and the runtime"):
        export(*fetched, LAB, tmp_path / "other")


def test_what_is_there_already_is_left_alone(fetched, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="out exists"):
        export(*fetched, LAB, tmp_path / "out")


def test_ids_that_would_lead_elsewhere_do_not(tmp_path):
    with writing(tmp_path / "labs", "h:1", "../../lab") as out:
        number = out.begin_listing("{}")
        out.seen("../../../x", b'{"BID": 1}', False)
        out.end_listing(number, 1)
    folder = folder_of(tmp_path / "cache", "../../lab", 0)
    export(tmp_path / "labs", "h:1", "../../lab", folder)

    assert [tmp_path / "cache"] == list(folder.parents)[:1]
    assert 1 == len(list((folder / "backtest_details").iterdir()))
    assert not list(tmp_path.glob("x*"))


def test_chart_and_log_are_in_where_they_were_fetched(tmp_path, client, server):
    sync(client, tmp_path / "labs", LAB, parts=("runtime", "log"))
    export(tmp_path / "labs", client.access.server, LAB, tmp_path / "out")
    found = json.loads((tmp_path / "out" / "backtest_details" / f"{server.labs[0].ids()[1]}.json").read_text())

    assert ["[0] Made-up lab 1: started"] == found["log"]
