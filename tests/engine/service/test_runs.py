import numpy as np
import pytest
import service_runs
from highwater.engine.service import catalog
from highwater.engine.service.runs import Filter, completed, list_runs, open_run, verify_run
from highwater.io.errors import BusyError, IntegrityError, MissingError, UsageError
from highwater.io.manifest import made_at
from highwater.io.patience import within
from highwater.io.publish import stage

NO_IDS = (
    *("../../etc/passwd", "..%2f..%2fetc%2fpasswd", "run_id=../x", "a\0b", "", "01m8", "/etc", "%2e%2e", "x" * 5000),
    *("01M8FY0MKB9WHZPKV3EXM0MYMN", "01m8fy0mkb9whzpkv3exm0mymu", "backtest_20241302_153045", "backtest_x"),
)


@pytest.fixture(scope="module")
def runs():
    return service_runs.made()


@pytest.fixture
def broken(tmp_path):
    return service_runs.copy(tmp_path)


def listed(page):
    return page.table["run_type"].to_pylist()


def test_all_runs_are_listed_the_newest_first(runs):
    page = list_runs(runs.root)

    assert ["traces", "session", "surface", "search", "policy", "path-only"] == listed(page)
    assert (6, None) == (page.total, page.cursor)
    sessions = open_run(runs.root, runs.ids["session"]).manifest.artifact("session_trades").rows
    made = open_run(runs.root, runs.ids["policy"]).manifest.counts["OK"]
    assert 0 < made < 24
    assert [None, sessions, made, made, made, None] == page.table["total_trades"].to_pylist()
    assert '["SPY","QQQ"]' == page.table["symbols"][1].as_py()


def test_pages_follow_each_other_whatever_the_order(runs):
    for sort, ascending in (("created_at", False), ("total_trades", True), ("run_type", True), ("status", False)):
        whole, seen, cursor = listed(list_runs(runs.root, sort=sort, ascending=ascending)), [], None
        while True:
            page = list_runs(runs.root, sort=sort, ascending=ascending, limit=4, after=cursor)
            seen += listed(page)
            cursor = page.cursor
            if cursor is None:
                break

        assert whole == seen
        assert whole[2:4] == listed(list_runs(runs.root, sort=sort, ascending=ascending, limit=2, offset=2))


def test_an_order_is_made_once_a_generation_and_few_are_kept(runs, monkeypatch):
    every, made = catalog.listing(runs.root), []
    for i in range(3 * catalog._ORDERS):
        every.ordered(("test", i % 2), lambda i=i: made.append(i) or np.arange(i))
    assert [0, 1] == made
    for i in range(3 * catalog._ORDERS):
        every.ordered(i, lambda i=i: np.arange(i))
    assert catalog._ORDERS == len(every._orders)

    assert every is catalog.listing(runs.root)
    assert every.digest == list_runs(runs.root).digest


def test_the_digest_of_a_list_changes_with_any_run(tmp_path):
    found = []
    for _ in range(3):
        found.append(list_runs(tmp_path).digest)
        with stage(tmp_path, "path-only") as staged:
            staged.publish()

    assert 3 == len(set(found))


def test_runs_are_filtered(runs):
    kinds = {run.run_type: run for run in (open_run(runs.root, runs.ids[k]).manifest for k in runs.ids)}
    digest = kinds["policy"].config_digest
    moment = made_at(runs.ids["search"])

    assert ["session"] == listed(list_runs(runs.root, Filter(run_type="session")))
    assert ["policy"] == listed(list_runs(runs.root, Filter(config_digest=digest[:12])))
    assert ["surface", "search"] == listed(list_runs(runs.root, Filter(artifact="guards")))
    assert ["policy", "path-only"] == listed(list_runs(runs.root, Filter(to_ms=moment)))
    assert ["traces", "session", "surface", "search"] == listed(list_runs(runs.root, Filter(from_ms=moment)))
    assert ([], 0) == ((page := list_runs(runs.root, Filter(run_type="x' OR 1=1 --"))).table.to_pylist(), page.total)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"sort": "(select 1)"}, r"sort is '\(select 1\)'; it must be one of created_at, "),
        ({"sort": "run_typ"}, "did you mean 'run_type'|did you mean run_type"),
        ({"limit": 0}, r"limit is 0; it must be 1\.\.1000"),
        ({"limit": 1001}, r"limit is 1001; it must be 1\.\.1000"),
        ({"offset": -1}, "offset is -1"),
    ],
)
def test_what_is_asked_is_checked(runs, asked, message):
    with pytest.raises(UsageError, match=message):
        list_runs(runs.root, **asked)


def test_a_run_is_opened_by_its_id_or_as_the_guide_names_it(runs):
    run = open_run(runs.root, runs.ids["session"])
    named = next(path.name for path in runs.root.glob("backtest_*"))

    assert ("session", runs.root) == (run.manifest.run_type, run.root)
    assert run == open_run(runs.root, named) == open_run(runs.root, f"{named}_1")
    assert runs.ids["traces"] == open_run(runs.root, "latest").run_id
    with pytest.raises(MissingError, match=f"there is no run '{named}_2'"):
        open_run(runs.root, f"{named}_2")


@pytest.mark.parametrize("text", NO_IDS)
def test_what_is_no_id_names_no_run(runs, text):
    with pytest.raises(MissingError, match="there is no run '") as caught:
        open_run(runs.root, text)

    assert 100 > len(str(caught.value)) and str(caught.value).isprintable()
    with pytest.raises(MissingError, match="there is no run '"):
        verify_run(runs.root, text)


def test_a_corrupt_run_is_named_and_not_served(broken):
    path = service_runs.path_of(broken, "policy")
    (path / "run.json").write_bytes((path / "run.json").read_bytes().replace(b"policy", b"polizy"))
    page = list_runs(broken.root, Filter(status="corrupt"))

    assert [broken.ids["policy"]] == page.table["run_id"].to_pylist()
    assert "was changed after the run was saved" in page.table["reason"][0].as_py()
    with pytest.raises(IntegrityError, match=r"is corrupt and is not served: .*was changed after"):
        open_run(broken.root, broken.ids["policy"])
    assert ["error"] == [each.level for each in verify_run(broken.root, broken.ids["policy"])]


def test_a_run_that_goes_bad_while_it_is_listed_is_not_served(broken):
    list_runs(broken.root)
    path = service_runs.path_of(broken, "policy")
    (path / "run.json").write_bytes(b"{}")

    with pytest.raises(IntegrityError, match="was changed after the run was saved"):
        open_run(broken.root, broken.ids["policy"])
    assert [broken.ids["policy"]] == list_runs(broken.root, Filter(status="corrupt")).table["run_id"].to_pylist()


def test_a_link_that_leads_elsewhere_is_not_served(broken, tmp_path):
    list_runs(broken.root)
    path = service_runs.path_of(broken, "policy")
    path.rename(tmp_path / path.name)
    path.symlink_to(tmp_path / path.name)

    with pytest.raises(IntegrityError, match="is not served"):
        open_run(broken.root, broken.ids["policy"])


def test_a_link_into_the_runs_is_not_served_before_the_next_sync_either(broken, tmp_path, monkeypatch):
    list_runs(broken.root)
    monkeypatch.setattr(catalog, "sync", lambda root: None)
    path = service_runs.path_of(broken, "policy")
    path.rename(tmp_path / path.name)
    path.symlink_to(tmp_path / path.name)

    with pytest.raises(IntegrityError, match="does not lie where the catalog says; it is not served"):
        open_run(broken.root, broken.ids["policy"])


def test_a_run_deleted_meanwhile_is_gone(broken, tmp_path):
    list_runs(broken.root)
    service_runs.path_of(broken, "policy").rename(tmp_path / "away")

    with pytest.raises(MissingError):
        open_run(broken.root, broken.ids["policy"])
    assert 5 == list_runs(broken.root).total


def test_a_run_that_failed_has_no_results(tmp_path):
    with stage(tmp_path, "policy") as staged:
        staged.fail(ValueError("no data"))
    run = open_run(tmp_path, staged.run_id)

    with pytest.raises(MissingError, match=r"failed .*it has no results"):
        completed(run)


def test_a_run_is_verified_within_a_time(runs):
    with within(0.0), pytest.raises(BusyError, match="takes longer than 0 s; ask for less"):
        verify_run(runs.root, runs.ids["policy"])


def test_a_sound_run_verifies(runs, broken):
    assert () == verify_run(runs.root, runs.ids["policy"], content=True)
    (service_runs.path_of(broken, "policy") / "policy" / "trades.parquet").write_bytes(b"no")
    (found,) = verify_run(broken.root, broken.ids["policy"])
    assert ("error", "policy/trades.parquet") == (found.level, found.path)
