import json

import day_market
import numpy as np
import pytest
from highwater.io.runs import find_run, read_artifact, read_manifest
from small_market import run

SWEEP = ["sweep", "--trials", "80", "--horizon", "12h", "--quiet", "--tp", "1.1:5", "--sl", "0.3:0.95"]


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return day_market.written(tmp_path_factory.mktemp("days"))


@pytest.fixture
def sealed(market, tmp_path):
    assert 0 == run(*SWEEP, *market.flags, "--runs", tmp_path, "--holdout", "30%").code
    return tmp_path, find_run(tmp_path, "latest")


def test_the_winner_on_the_days_it_never_saw(sealed):
    runs, search = sealed
    done = run("sweep", "unseal", search.run_id, "--runs", runs, "--json", "--quiet")
    found = json.loads(done.out)
    opened = find_run(runs, found["run_id"])
    before, after = (read_artifact(one.path, "trades").to_pylist() for one in (search, opened))
    held = {row["call_id"] for row in before if row["status"] == "SEALED" and row["ret_q"] is None}
    made = [row for row in after if row["status"] == "OK"]

    assert {row["call_id"] for row in made} <= held
    assert not {row["call_id"] for row in before if row["status"] == "OK"} & {row["call_id"] for row in made}
    assert np.mean([row["ret_q"] for row in made]) / 100 == pytest.approx(found["mean_bps"], rel=1e-12)
    assert found["low_bps"] <= found["mean_bps"] <= found["high_bps"]
    assert {row["policy_id"] for row in before} == {row["policy_id"] for row in after}
    assert len({row["entry_ts_ms"] // 86_400_000 for row in made}) == found["days_alerted"]
    assert (1, 1) == (found["peeks"], read_manifest(opened.path).holdout_peeks)


def test_every_look_is_counted(sealed):
    runs, search = sealed
    for look in (1, 2):
        done = run("sweep", "unseal", search.run_id, "--runs", runs, "--quiet")
        assert 0 == done.code
        assert ("the first look" if look == 1 else "look 2: no longer unseen") in done.out
        assert all(len(line) <= 80 for line in done.out.splitlines() if "run_id=" not in line)
    assert 2 == read_manifest(find_run(runs, "latest").path).holdout_peeks


def test_what_was_opened_can_be_done_again(sealed):
    runs, search = sealed
    assert 0 == run("sweep", "unseal", search.run_id, "--runs", runs, "--quiet").code
    again = run("runs", "rerun", "latest", "--runs", runs, "--quiet")

    assert 0 == again.code, again.out


def test_a_search_that_held_nothing_out_is_refused(market, tmp_path):
    assert 0 == run(*SWEEP, *market.flags, "--runs", tmp_path).code
    done = run("sweep", "unseal", "latest", "--runs", tmp_path, "--quiet")

    assert (2, "", 1) == (done.code, done.out, done.err.count("\n"))
    assert "held no days out; sweep and surface do with --holdout 20%" in done.err
