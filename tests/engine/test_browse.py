import json
import re
import shutil

import pyarrow.parquet as pq
import pytest
import small_market
from highwater.engine import browse
from shared_market import DATA, needs_data
from small_market import Market, run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with a market and one run of each kind."""
    folder = tmp_path_factory.mktemp("market")
    market = small_market.write(folder)
    common = [*market.flags, "--runs", folder / "runs", "--quiet"]
    for words in (["baseline"], ["strategy", "--tp", "2"], ["sweep", "--trials", "20"]):
        assert 0 == run(*words, *common).code
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """Return a copy of it, to damage."""
    return shutil.copytree(made, tmp_path / "copy")


def ids(folder):
    return [path.name.removeprefix("run_id=") for path in sorted(folder.glob("runs/*/run_id=*"), reverse=True)]


def test_runs_are_listed_newest_first(made):
    listed = run("runs", "list", "--runs", made / "runs")
    rows = json.loads(run("runs", "list", "--runs", made / "runs", "--json").out)

    assert ids(made) == [row["run_id"] for row in rows]
    assert ["search", "policy", "path-only"] == [row["run_type"] for row in rows]
    assert all(one in listed.out for one in ids(made))
    assert 1 == len(json.loads(run("runs", "list", "--runs", made / "runs", "--limit", 1, "--json").out))


def test_an_empty_directory_has_no_run(tmp_path):
    assert (0, f"no run in {tmp_path}; highwater demo makes some\n") == run("runs", "list", "--runs", tmp_path)[:2]
    assert [] == json.loads(run("runs", "list", "--runs", tmp_path, "--json").out)


@pytest.mark.parametrize("name", [lambda i: i, lambda i: i[-6:], lambda i: i.upper(), lambda i: "latest"])
def test_a_run_is_named_by_its_id_a_part_of_it_or_latest(made, name):
    shown = run("runs", "show", name(ids(made)[0]), "--runs", made / "runs")

    assert 0 == shown.code
    for words in (
        ids(made)[0],
        "search, completed",
        "results/trials.parquet",
        "horizon_ms = 172800000",
        "alerts",
        "digest",
    ):
        assert words in shown.out


def test_a_run_as_json_is_its_manifest(made):
    found = json.loads(run("runs", "show", "latest", "--runs", made / "runs", "--json").out)

    assert ids(made)[0] == found["run_id"]
    assert {"config", "inputs", "artifacts", "counts"} <= found.keys()


def test_an_artifact_is_shown_by_its_columns_and_first_rows(made):
    shown = run("runs", "show", "latest", "--runs", made / "runs", "--artifact", "frontier")
    rows = json.loads(run("runs", "show", "latest", "--runs", made / "runs", "--artifact", "frontier", "--json").out)

    assert "policy_params" in shown.out
    assert "double" in shown.out
    assert [*range(1, 21)] == [row["rank"] for row in rows]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["zzzzzz"], "there is no run 'zzzzzz'"),
        (["abc"], "run 'abc' is too short; give at least 4 characters of its id"),
        (["latest", "--artifact", "fish"], "has no table 'fish'; it has alerts, "),
        (["latest", "--artifact", "log"], "has no table 'log'"),
        (["2026/run_id=x"], "2026/run_id=x is not the directory of a run"),
    ],
)
def test_what_is_not_there_is_said(made, words, message):
    done = run("runs", "show", *words, "--runs", made / "runs")

    assert 2 == done.code
    assert "" == done.out
    assert message in done.err


def damage(folder, relative, change):
    file = next(folder.glob(f"runs/*/run_id={ids(folder)[0]}/{relative}"))
    change(file)


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def link(file):
    file.unlink()
    file.symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    ("relative", "change", "words"),
    [
        ("results/trials.parquet", flip, "sha256 is"),
        ("results/trials.parquet", lambda file: file.write_bytes(file.read_bytes()[:-9]), "size is"),
        ("results/trials.parquet", lambda file: file.unlink(), "is missing"),
        ("results/trials.parquet", link, "trials.parquet"),
        ("run.json", flip, "was changed after the run was saved"),
        ("_SUCCESS", lambda file: file.write_text("0" * 64), "was changed after the run was saved"),
    ],
)
def test_a_corrupt_run_is_never_served_as_whole(folder, relative, change, words):
    damage(folder, relative, change)
    done = run("runs", "show", ids(folder)[0], "--runs", folder / "runs")

    assert 4 == done.code
    assert words in done.out + done.err
    assert "Traceback" not in done.err


def test_a_damaged_run_stays_in_the_list_with_the_reason(folder):
    damage(folder, "results/trials.parquet", lambda file: file.unlink())
    listed = run("runs", "list", "--runs", folder / "runs")

    assert 0 == listed.code
    assert "corrupt" in listed.out
    assert "trials.parquet is missing" in listed.out


def test_an_extra_file_is_no_damage(folder):
    damage(folder, "run.json", lambda file: (file.parent / "note.txt").write_text("hello"))

    assert 0 == run("runs", "show", "latest", "--runs", folder / "runs").code


def test_slices_are_listed_verified_and_exported(made, tmp_path):
    found = json.loads(run("slices", "list", "--slices", made / "runs" / ".slices", "--json").out)
    exported = run("slices", "export", found[0]["path"], "--to", tmp_path)
    parts = run("slices", "export", found[0]["path"], "--to", tmp_path, "--partitioned")

    assert 1 == len(found)
    assert f"{found[0]['rows']:,}" in run("slices", "list", "--slices", made / "runs" / ".slices").out
    assert "1 slice as cut\n" == run("slices", "verify", "--slices", made / "runs" / ".slices").out
    assert found[0]["rows"] == pq.read_table(exported.out.strip(), partitioning=None).num_rows
    assert [0, 0] == [exported.code, parts.code]
    for path in (exported.out.strip(), parts.out.strip()):
        problems = run("data", "check", path).out.partition("problems ")[2]

        assert re.fullmatch(r"[0-9]+ off_grid\n", problems)


def test_no_slice_is_said(tmp_path):
    assert f"no slice in {tmp_path}\n" == run("slices", "list", "--slices", tmp_path).out


def test_a_slice_is_built_once(made, tmp_path):
    market = Market(made / "candles.parquet", made / "alerts.parquet")
    words = ["slices", "build", *market.flags, "--slices", tmp_path / "s"]
    first, second = run(*words), run(*words)

    assert "(cut: " in first.out
    assert "(found again: " in second.out
    assert first.out.split()[0] == second.out.split()[0]
    assert first.out.endswith(", 1 token rejected)\n")
    assert re.search(r"^rejected: \w+: two different bars at .*; --on-dup-conflict first keeps one$", first.err, re.M)


def test_a_changed_slice_is_found_out(folder):
    flip(next(folder.glob("runs/.slices/*.arrow")))
    done = run("slices", "verify", "--slices", folder / "runs" / ".slices")

    assert 4 == done.code
    assert "its manifest says" in done.err


def test_a_truncated_slice_is_cut_anew_and_not_used(folder):
    file = next(folder.glob("runs/.slices/*.arrow"))
    file.write_bytes(file.read_bytes()[:-64])
    market = Market(folder / "candles.parquet", folder / "alerts.parquet")

    assert "slice cut" in run("baseline", *market.flags, "--runs", folder / "runs", "--quiet").out
    assert 0 == run("slices", "verify", "--slices", folder / "runs" / ".slices").code


def test_a_candle_files_problems_are_counted_and_named(made):
    done = run("data", "check", made / "candles.parquet")
    found = json.loads(run("data", "check", made / "candles.parquet", "--json").out)

    assert (0, 16, 15) == (done.code, found["series"], found["usable"])
    assert {"dup_conflict": 1, "dup_identical": 1, "nan": 1, "zero": 1} == {
        name: n for name, n in found["problems"].items() if name != "off_grid"
    }
    assert found["problems"]["off_grid"] > 100
    assert "two different bars at" in done.out
    assert "rows     " in done.out


def test_a_file_without_a_usable_series_is_exit_3(tmp_path):
    candles = small_market.tables()[0]
    rejected = candles.slice(0, 200)
    market = small_market.write(tmp_path, rejected)

    for words in ([], ["--json"]):
        assert 3 == run("data", "check", market.candles, *words).code


# Of each damaged file: the exit code, series and those usable, rows and those usable, what is wrong.
DAMAGED: dict = {
    "dirty_quotes_1d": (
        *(0, (1, 1), (502, 338)),
        {"no_time": 50, "nan": 51, "negative": 3, "zero": 51, "high_lt_low": 2, "oc_outside_hl": 7, "bad_volume": 1},
    ),
    "dex_tokens_1m_2025oct_raw": (3, (2, 0), (561, 0), {"unsorted": 557}),
    "dex_tokens_1m_2025oct_raw --on-unsorted sort --on-dup-conflict last": (
        *(0, (2, 2), (561, 311)),
        {"unsorted": 557, "dup_identical": 245, "dup_conflict": 5},
    ),
    "sol_usd_pool_1m_2025oct_duplicated": (3, (1, 0), (3000, 0), {"dup_identical": 2490, "dup_conflict": 10}),
    "sol_usd_pool_1m_2025oct_duplicated --on-dup-conflict first": (
        *(0, (1, 1), (3000, 500)),
        {"dup_identical": 2490, "dup_conflict": 10},
    ),
    "nasdaq_1m_2020apr": (0, (12, 12), (6992, 6992), {"off_grid": 12}),
    "fxcm_gbpusd_m1_bid_2012": (0, (1, 1), (30117, 30117), {"bad_volume": 30117}),
    "btcusd_1mo_2012_2024": (0, (1, 1), (156, 156), {"off_grid": 149}),
    "xrp_eth_1m_2019oct_gappy": (0, (1, 1), (2469, 2469), {}),
}


@needs_data[0]
@needs_data[1]
@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_wrong_with_each_damaged_file_of_the_markets(name):
    code, series, rows, problems = DAMAGED[name]
    file, *words = name.split()
    done = run("data", "check", DATA / "candles" / f"{file}.parquet", *words)
    found = json.loads(run("data", "check", DATA / "candles" / f"{file}.parquet", *words, "--json").out)

    assert (code, "") == (done.code, done.err)
    assert (series, rows, problems) == (
        (found["series"], found["usable"]),
        (found["rows_in"], found["rows_out"]),
        found["problems"],
    )
    assert [] == [f"{n:,} {kind}" for kind, n in problems.items() if f"{n:,} {kind}" not in done.out]


@needs_data[0]
@needs_data[1]
def test_alerts_with_the_time_of_day_alone_are_refused():
    done = run("data", "check", DATA / "alerts" / "signals_time_only_dirty.csv")

    assert (3, "") == (done.code, done.out)
    assert "signals_time_only_dirty.csv:2: time is '20:48'; it must be an integer, milliseconds since" in done.err


def test_notes_beyond_the_limit_are_counted(made):
    done = run("data", "check", made / "candles.parquet", "--limit", 1)

    assert "more series with notes" in done.out


def flip(path):
    """Change one bit of a file."""
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def test_runs_are_verified_one_by_one_or_all(folder):
    runs, newest = folder / "runs", ids(folder)[0]
    one = run("runs", "verify", "latest", "--runs", runs)
    every = run("runs", "verify", "--all", "--content", "--runs", runs)

    assert (0, 0) == (one.code, every.code)
    assert f"{newest}  completed, " in one.out and one.out.endswith("are as published\n")
    assert [f"{i}  completed" for i in ids(folder)] == [line.partition(",")[0] for line in every.out.splitlines()[:3]]
    assert every.out.endswith("3 runs, 0 of them not as published\n")


def test_verify_names_what_is_corrupt_in_every_run_with_exit_code_4(folder):
    runs, (newest, _, oldest) = folder / "runs", ids(folder)
    path = next(runs.glob(f"*/run_id={newest}"))
    flip(path / "results/trials.parquet")
    flip(path / "logs/run.log")
    (next(runs.glob(f"*/run_id={oldest}")) / "_SUCCESS").unlink()
    every = run("runs", "verify", "--all", "--runs", runs)
    found = json.loads(run("runs", "verify", newest, "--runs", runs, "--json").out)

    assert 4 == every.code
    assert f"{newest}  corrupt: results/trials.parquet: {path}/results/trials.parquet: sha256 is " in every.out
    assert f"{newest}  corrupt: logs/run.log: " in every.out
    assert f"{oldest}  unverified: run.json: " in every.out
    assert every.out.endswith("3 runs, 2 of them not as published\n")
    assert [{"logs/run.log", "results/trials.parquet"}] == [{f["path"] for f in one["findings"]} for one in found]


def test_a_stranger_is_a_warning_and_no_damage(folder):
    path = next((folder / "runs").glob(f"*/run_id={ids(folder)[0]}"))
    (path / "notes.txt").write_text("mine")
    done = run("runs", "verify", path, "--runs", folder / "runs")

    assert 0 == done.code
    assert "as published\n" in done.out
    assert "warning: notes.txt: is no part of the run" in done.out


@pytest.mark.parametrize("words", [[], ["latest", "--all"]])
def test_verify_needs_one_run_or_all(tmp_path, words):
    done = run("runs", "verify", *words, "--runs", tmp_path)

    assert (2, "highwater: name one run (its id, or latest), or give --all\n") == (done.code, done.err)


def test_a_run_that_is_removed_while_all_are_verified_is_not_counted(folder, monkeypatch):
    usual, runs = browse.verify, []

    def verify(path, content):
        if not runs:
            runs.append(path)
            shutil.rmtree(path)
        return usual(path, content)

    monkeypatch.setattr(browse, "verify", verify)
    done = run("runs", "verify", "--all", "--runs", folder / "runs")

    assert (0, "") == (done.code, done.err)
    assert "2 runs, 0 of them not as published" in done.out
    assert runs[0].name.removeprefix("run_id=") not in done.out
