import pytest
from haas_server import LAB
from highwater.io.labs import made_up
from highwater.io.labs.made_up import MadeUpLab
from highwater.io.labs.watching import row_of, watch

LAB_OF = MadeUpLab(LAB, 25)


def test_a_running_lab_is_followed_to_its_end(server, client, tmp_path):
    server.done[LAB], server.step = 3, 9
    snapshots, pauses, events = [], [], []
    last = watch(client, tmp_path, LAB, 7.5, on_snapshot=snapshots.append, on_event=events.append, pause=pauses.append)

    assert [(True, 12), (True, 21), (True, 25), (False, 25)] == [(each.running, each.done) for each in snapshots]
    assert {25} == {each.scheduled for each in snapshots}
    assert all(each.done == each.kept for each in snapshots)
    assert [7.5] * (len(snapshots) - 1) == pauses
    assert last == snapshots[-1] and "Made-up lab" == last.name
    assert {"page", "stored", "done"} == {each.kind for each in events}


def test_the_best_are_those_with_the_highest_profit(client, tmp_path):
    last = watch(client, tmp_path, LAB, best=4)
    profits = sorted((sum(each["rp"] for each in made_up.positions(LAB_OF, i)) for i in range(25)), reverse=True)

    assert profits[:4] == pytest.approx([row.profit for row in last.best])


@pytest.mark.parametrize("i", [0, 1])
def test_both_shapes_of_a_summary_are_read(i):
    made = made_up.positions(LAB_OF, i)
    row = row_of(made_up.item(LAB_OF, i))

    assert (i, 2 * len(made)) == (row.population, row.trades)
    assert sum(each["rp"] for each in made) == pytest.approx(row.profit)
    assert sum(each["fe"] for each in made) == pytest.approx(row.fees)


@pytest.mark.parametrize(
    "item", [{"BID": "x"}, {"BID": "x", "S": None}, {"BID": "x", "S": {"RP": {}, "ROI": [], "T": True}}]
)
def test_what_a_summary_does_not_say_is_none(item):
    row = row_of(item)

    assert (None, None, None, None) == (row.trades, row.profit, row.fees, row.margin_roi_pct)
