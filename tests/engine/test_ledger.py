import day_market
import pytest
from highwater.engine.ledger import attempt, ledger_of, peeks_at, refinement
from highwater.io.runs import find_run, read_manifest
from small_market import run

SWEEP = ["sweep", "--horizon", "12h", "--quiet", "--no-guards", "--tp", "1.1:5", "--sl", "0.3:0.95"]


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return day_market.written(tmp_path_factory.mktemp("days"))


def alerts_digest(runs):
    manifest = read_manifest(find_run(runs, "latest").path)
    return next(one.digest for one in manifest.inputs if one.kind == "alerts")


@pytest.mark.parametrize("synced", [None, "first", "all"])
def test_what_counts_once_and_what_adds(market, tmp_path, synced):
    """Trials of one seed and space count once, the most of them; another seed, a strategy and other costs add."""

    def tried(*words):
        assert 0 == run(*words, *market.flags, "--runs", tmp_path).code
        if synced == "all":
            assert 0 == run("catalog", "sync", "--runs", tmp_path).code
        return ledger_of(tmp_path, alerts_digest(tmp_path), {"nothing": "else"}, 0).tried

    assert 40 == tried(*SWEEP, "--trials", "40")
    if synced == "first":
        assert 0 == run("catalog", "sync", "--runs", tmp_path).code
    assert 40 == tried(*SWEEP, "--trials", "40", "--objective", "win_rate", "--where", "trades_count>=1")
    assert 60 == tried(*SWEEP, "--trials", "60")
    assert 110 == tried(*SWEEP, "--trials", "50", "--seed", "2")
    assert 120 == tried(*SWEEP, "--trials", "10", "--fee-bps", "31")
    assert 121 == tried("strategy", "--tp", "2", "--horizon", "12h", "--quiet")
    assert 121 == tried("baseline", "--horizon", "12h", "--quiet")
    assert 0 == ledger_of(tmp_path, "another", {}, 0).tried


@pytest.mark.parametrize("words", [["sweep", "--tp", "1.1:1.3:0.1", "--sl", "0.5"], ["surface", "--tp", "1.1:1.3:0.1"]])
def test_a_search_done_again_counts_its_different_policies_once(market, tmp_path, words):
    """Three targets, each drawn many times: three are tried, however often the search is done."""
    more = ["--trials", "30"] if words[0] == "sweep" else ["--sl", "0.5"]
    told = []
    for _ in range(2):
        assert 0 == run(*words, *more, *market.flags, "--horizon", "12h", "--quiet", "--runs", tmp_path).code
        told.append(read_manifest(find_run(tmp_path, "latest").path).trials_so_far)

    assert [3, 3] == told


@pytest.mark.parametrize("synced", [False, True])
def test_without_guards_different_policies_count_too(market, tmp_path, synced):
    """Three targets, each drawn many times; where their keys do not fit the memory, every drawn one counts."""
    words = ["sweep", "--tp", "1.1:1.3:0.1", "--sl", "0.5", "--no-guards", "--horizon", "12h", "--quiet"]

    def tried(*more):
        assert 0 == run(*words, *more, *market.flags, "--runs", tmp_path).code
        if synced:
            assert 0 == run("catalog", "sync", "--runs", tmp_path).code
        return ledger_of(tmp_path, alerts_digest(tmp_path), {"nothing": "else"}, 0).tried

    assert 3 == tried("--trials", "30")
    assert 3 == tried("--trials", "60")
    assert 9000 == tried("--trials", "9000", "--mem", "128K", "--engine", "bars")


def test_no_runs_at_all(tmp_path):
    found = ledger_of(tmp_path / "none", "a", {"x": 1}, 7)

    assert (7, 1, 0) == (found.tried, found.searches, found.peeks)
    assert 0 == peeks_at(tmp_path / "none", "a")


def test_what_is_judged_otherwise_is_the_same_attempt():
    search = {"search": {"seed": "1", "trials": 10, "space": {}}, "fee_bps": 30}
    more = search | {"search": {"seed": "1", "trials": 99, "space": {}}, "objective": "x", "guards": {"holdout": 0.2}}

    assert attempt(search) == attempt(more)
    assert attempt(search) == attempt(search | {"stake": 0.5})
    assert attempt(search) != attempt(search | {"fee_bps": 31})


def refined(refine, trials=10, **more):
    return {"search": {"seed": "1", "trials": trials, "refine": refine}, "objective": "x", "constraints": []} | more


def test_what_refines_a_search_depends_on_all_that_it_was_told():
    one = refined(5)

    assert attempt(one) == attempt(refined(0)) == attempt({"search": {"seed": "1", "trials": 10}})
    assert refinement(one) == refinement(refined(9)) == refinement(refined(5, guards={"max_luck": 0.1, "holdout": 0.0}))
    for other in (
        refined(5, trials=11),
        refined(5, objective="y"),
        refined(5, constraints=["win_rate>0.5"]),
        refined(5, guards={"holdout": 0.2}),
        refined(5, fee_bps=1),
    ):
        assert refinement(one) != refinement(other)


def test_trials_that_refine_a_search_are_counted_beside_the_random_ones(tmp_path):
    assert (12, 1) == told(tmp_path, refined(5), 12)
    assert (3, 1) == told(tmp_path, refined(5), 3)


def told(runs, config, trials):
    found = ledger_of(runs / "none", "a", config, trials)
    return found.tried, found.searches
