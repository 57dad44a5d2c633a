import pytest
from highwater.engine.session import tries as room
from highwater.engine.session.axes import axis, drawn
from highwater.engine.session.trials import days_of, made_by_all
from highwater.engine.session.tries import Tries
from highwater.io.searches import hold
from session_lands import every, land

AXES = (axis("governance.max_signals_per_day=1,5"), axis("orb.base_minutes=5:20"), axis("trade.t1_r=0.5,1"))


@pytest.fixture(scope="module")
def work():
    lands = [land(1, 12), land(2, 12, "QQQ")]
    configs = list(drawn(every(), AXES, "grid", None, 1).configs)
    return lands, days_of(lands), configs, made_by_all(lands, days_of(lands), configs, 1)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(room, "FILE_S", 0.0)
    monkeypatch.setattr(room, "CHUNK", 7)


def told(made):
    return [each and (each.metrics, each.sums.tolist(), each.held) for each in made]


def go(work, kept, count=None, broken=None):
    """Return what the first ``count`` configurations make, and how many had to be made for it."""
    lands, days, configs, _ = work
    before, numbers = [], []
    tries = Tries(lands, days, 1, numbers.append, kept)
    before += tries._known
    return tries(configs[:count]), len(configs[:count]) - len(before)


def test_what_was_kept_is_what_was_made(work, tmp_path):
    with hold(tmp_path, "a") as kept:
        kept.begin({"trials": 64})
        first, _ = go(work, kept, 30)
    with hold(tmp_path, "a") as kept:
        again, made = go(work, kept)

    assert told(work[3]) == told(again)
    assert told(work[3][:30]) == told(first)
    assert 64 - 30 == made
    for (metrics, *_), (known, *_) in zip(told(work[3]), told(again), strict=True):
        assert [*map(type, metrics.values())] == [*map(type, known.values())]


def test_a_damaged_part_is_made_again(work, tmp_path, capsys):
    with hold(tmp_path, "a") as kept:
        kept.begin({"trials": 64})
        go(work, kept, 30)
        block = kept.blocks[1]
    block.path.write_bytes(block.path.read_bytes()[:-9] + b"damaged!!")
    with hold(tmp_path, "a") as kept:
        again, made = go(work, kept)
        blocks = [(each.first, each.last) for each in kept.blocks]

    assert told(work[3]) == told(again)
    assert 64 - 30 + (block.last - block.first) == made
    assert "damaged on disk" in capsys.readouterr().err
    assert (block.first, block.last) in blocks and blocks[0][0] == 0 and blocks[-1][1] == 64


def test_nothing_is_written_before_its_time(work, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "FILE_S", 1e9)
    with hold(tmp_path, "a") as kept:
        kept.begin({"trials": 64})
        found, _ = go(work, kept)

        assert told(work[3]) == told(found) and [] == kept.blocks


def test_what_cannot_be_tried_is_kept_as_such(work, tmp_path):
    lands, days, _, _ = work
    wrong = [every(orb={"intraday_atr_timeframe": "soon", "adaptive": True})] * 3
    for _ in range(2):
        with hold(tmp_path, "a") as kept:
            kept.begin({"trials": 3})
            assert [None, None, None] == Tries(lands, days, 1, lambda done: None, kept)(wrong)
