import json
import math
import re
import signal
import time
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pytest
import small_market
from highwater.io.digest import file_sha256
from highwater.io.runs import find_run, list_runs, read_artifact, read_manifest
from rich.cells import cell_len
from small_market import Market, leftovers, program, run

LONG = "the_caller_with_a_name_that_goes_on_" * 9
HOSTILE = ("a\x1b[31mred\x1b]0;t\x07", "[red]b[/red] :smile:", "c\0d\ne\r", "\u202eevil", "é" * 30, LONG, "狼" * 40)
EXITS = {
    "fixed": ["--tp", "2", "--sl", "0.7"],
    "trail": ["--trail", "0.25", "--trail-activate", "1.2"],
    "all": [
        "--sl",
        "0.6",
        "--ladder",
        "1.2@50%,2@30%",
        "--breakeven",
        "1.3",
        "--breakeven-offset=-0.05",
        "--time-stop",
        "6h",
    ],
}
COMMANDS = {
    "baseline": ["baseline", "--multiples", "1.1", "7"],
    **{f"strategy {name}": ["strategy", *words] for name, words in EXITS.items()},
    "sweep": ["sweep", "--trials", "30"],
    "sweep of all": [
        *[
            "sweep",
            "--trials",
            "30",
            "--tp",
            "log:1.1:10",
            "--sl",
            "0.3:0.95",
            "--trail",
            "0.05:0.6",
            "--trail-activate",
        ],
        *[
            "1:3",
            "--breakeven",
            "1.5:2",
            "--breakeven-offset=-0.2:0.3",
            "--time-stop",
            "5m:12h",
            "--where",
            "win_rate>=1",
        ],
    ],
    "optimizer": ["optimizer", "--trials", "30", "--ladder", "1.1:3@50%,1.1:5@30%", "--sl", "0.7"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a market whose callers have names that no terminal should see."""
    folder = tmp_path_factory.mktemp("market")
    calls = small_market.tables()[1].to_pylist()
    named = [call | {"caller_name": HOSTILE[i % len(HOSTILE)]} for i, call in enumerate(calls)]
    small_market.write(folder, None, pa.Table.from_pylist(named, schema=small_market.tables()[1].schema))
    return folder


def command(folder, words, *more):
    market = Market(folder / "candles.parquet", folder / "alerts.parquet")
    return run(*words, *market.flags, "--runs", folder / "runs", "--quiet", *more)


def refuse(word):
    raise AssertionError(f"{word} is no JSON")


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_command_prints_what_was_read_what_came_out_and_where_it_lies(folder, words):
    done = command(folder, words)
    manifest = read_manifest(find_run(folder / "runs", "latest").path)

    assert (0, "") == (done.code, done.err)
    head = "Callers, by" if words[0] in ("baseline", "strategy") else "Best of 30 trials"
    for text in ("19 used of 24 read", "candles  5m", "horizon 48h", "fee 30 bps", head, f"run {manifest.run_id}\n"):
        assert text in done.out
    assert "completed" == manifest.status


@pytest.mark.parametrize("horizon", ["5m", "30d"])
def test_trades_that_end_with_their_candles_are_said(folder, horizon):
    done = command(folder, ["strategy", "--tp", "3"], "--horizon", horizon)
    found = read_artifact(find_run(folder / "runs", "latest").path, "trades")["exit_reason"].to_pylist()
    cut = found.count("END_OF_DATA")

    assert (cut > 0) == (horizon == "30d")
    assert (f"\ncut short        {cut} of the trades" in done.out) == ("cut short" in done.out) == (cut > 0)


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_no_line_is_wider_than_80_columns(folder, words):
    lines = command(folder, words).out.splitlines()
    free = re.compile(r"^winner |^run |^    /")

    assert [] == [line for line in lines if cell_len(line.rstrip()) > 80 and not free.match(line)]


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_hostile_name_never_reaches_the_terminal(folder, words):
    done = command(folder, words)

    assert [] == [c for c in done.out + done.err if not c.isprintable() and c != "\n"]
    if words[0] in ("baseline", "strategy"):
        assert "[red]b[/red] :smile:" in done.out
        assert "a\\x1b[31mred" in done.out


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_json_is_one_document_of_numbers_that_are_numbers(folder, words):
    done = command(folder, words, "--json")
    found = json.loads(done.out, parse_constant=refuse)

    assert find_run(folder / "runs", "latest").run_id == found["run_id"]
    assert 24 == found["counts"]["read"]
    assert "FS-1" == found["config"]["fill_semantics"]
    assert {"baseline": {"callers"}, "strategy": {"summary", "callers"}}.get(
        words[0], {"frontier", "summary"}
    ) <= found.keys()


def test_hostile_names_are_kept_as_they_are_in_the_run(folder):
    command(folder, ["baseline"])
    names = read_artifact(find_run(folder / "runs", "latest").path, "alerts")["caller_name"].to_pylist()

    assert set(HOSTILE) == set(names)


def test_hostile_names_do_not_reach_the_terminal_from_a_run(folder):
    command(folder, ["baseline", "--caller", HOSTILE[0]])
    for words in (["runs", "show", "latest"], ["runs", "show", "latest", "--artifact", "callers"], ["runs", "list"]):
        done = run(*words, "--runs", folder / "runs")

        assert 0 == done.code
        assert [] == [c for c in done.out if not c.isprintable() and c != "\n"]


@pytest.mark.parametrize(
    ("words", "defaults"),
    [
        (
            ["baseline"],
            ["48h", "next_open", "pessimistic", "Default 30.", "Default 50.", "Default runs", "8G", "Default 20."],
        ),
        (["strategy"], ["--policy", "Default level", "--time-stop DURATION"]),
        (["sweep"], ["Default 10000", "Default 1.", "avg_return_bps", "512M", "100000000000", "log:low:high"]),
        (["demo"], ["Default 5000", "Default 7"]),
        (["data", "synth"], ["Default 200", "Default 12", "Default 1m"]),
        ([], ["baseline", "strategy", "sweep", "runs", "slices", "data", "demo"]),
    ],
)
def test_help_names_the_defaults(words, defaults):
    done = run(*words, "--help")

    assert (0, "") == (done.code, done.err)
    assert [] == [text for text in defaults if text not in " ".join(done.out.split())]
    assert [] == [line for line in done.out.splitlines() if len(line) > 80 and "|" not in line]


def test_the_seed_example_of_a_policy(folder):
    done = command(folder, ["strategy", "--policy", '{"kind":"fixed_stop","stop_loss_bps":500}'])

    assert "policy           SL -5%\n" in done.out


def test_a_policy_can_be_called_by_a_name(folder):
    words = ["backtest", "policy", "--policy", '{"kind":"fixed_stop","stop_loss_bps":500}']
    done = command(folder, [*words, "--policy-id", "fixed-stop-5pct"])
    found = find_run(folder / "runs", "latest").path
    again = run("runs", "rerun", "latest", "--runs", folder / "runs", "--quiet")
    command(folder, words)
    unnamed = find_run(folder / "runs", "latest").path

    assert "policy           fixed-stop-5pct: SL -5%\n" in done.out
    assert {"fixed-stop-5pct"} == {
        each for kind in ("trades", "fills") for each in read_artifact(found, kind)["policy_id"].to_pylist()
    }
    assert (0, "") == (again.code, again.err)
    assert "identical" in again.out
    for kind in ("trades", "fills"):
        mine, other = (read_artifact(path, kind).drop_columns(["run_id", "policy_id"]) for path in (found, unnamed))
        assert mine.equals(other)


def test_a_policy_has_one_name(folder):
    done = command(folder, ["strategy", "--policy", '{"sl":0.9,"policy_id":"a"}', "--policy-id", "b"])

    assert (2, "highwater: --policy-id is 'b', but the policy calls itself 'a'; leave one out\n") == (
        done.code,
        done.err,
    )


GOLDEN = {
    **{"sl": "0.7", "tp": [{"mult": "1.5", "frac_bps": 5000}, {"mult": "2.0", "frac_bps": 3000}]},
    **{
        "trail": {"pct": "0.25", "activate": "1.5"},
        "breakeven": {"trigger": "1.4", "offset": "0.02"},
        "time_ms": 86400000,
    },
}


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ({"kind": "time_stop", "max_hold_ms": 3_600_000, "take_profit_pct": 0.5}, "TP 1.5x, 1h"),
        (
            {"kind": "trailing_stop", "trail_bps": 1000, "activation_pct": 0.2, "hard_stop_pct": 0.3},
            "SL -30%, trail 10% from 1.2x",
        ),
        ({"kind": "ladder", "levels": [{"multiple": 2, "fraction": 0.5}]}, "TP 50% at 2x"),
        (
            {
                "kind": "combo",
                "policies": [{"kind": "fixed_stop", "stopPct": 0.1}, {"kind": "time_stop", "maxHoldMs": 60000}],
            },
            "SL -10%, 1m",
        ),
        (GOLDEN, "TP 50% at 1.5x, TP 30% at 2x, SL -30%, trail 25% from 1.5x, breakeven +2%"),
    ],
    ids=lambda value: value.get("kind", "golden") if isinstance(value, dict) else "",
)
def test_policies_of_every_kind(folder, tmp_path, policy, text):
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(policy))
    written, read = (command(folder, ["strategy", "--policy", value]) for value in (json.dumps(policy), str(file)))

    assert f"policy {text}" in " ".join(written.out.split())
    assert written.out.partition("slice")[0] == read.out.partition("slice")[0]


def test_flags_and_a_policy_exclude_each_other(folder):
    done = command(folder, ["strategy", "--policy", '{"sl":0.7}', "--tp", "2"])

    assert 2 == done.code
    assert "--policy holds the whole policy; leave --tp, --sl and the like out" in done.err


def test_settings_come_from_a_file_and_the_environment(folder, tmp_path, monkeypatch):
    file = tmp_path / "settings.yaml"
    file.write_text(
        f"horizon: 6h\nfee-bps: 10\nalerts: {folder / 'alerts.parquet'}\ncandles: {folder / 'candles.parquet'}\n"
    )
    monkeypatch.setenv("HIGHWATER_FEE_BPS", "20")
    monkeypatch.setenv("HIGHWATER_RUNS", str(folder / "runs"))
    done = run("baseline", "--config", file, "--quiet")

    assert 0 == done.code
    assert "horizon 6h" in done.out
    assert "fee 20 bps" in done.out


def test_made_up_data_are_the_same_for_the_same_seed(tmp_path):
    words = ["--tokens", "3", "--days", "1", "--callers", "2", "--interval", "5m"]
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        done = run("data", "synth", tmp_path / name, "--seed", seed, *words)

        assert f"{tmp_path / name / 'candles.parquet'}\n{tmp_path / name / 'alerts.parquet'}\n" == done.out
    a, b, c = ([file_sha256(path) for path in sorted((tmp_path / name).iterdir())] for name in "abc")

    assert a == b
    assert a != c


def test_the_demo_runs_from_data_to_a_verdict(tmp_path):
    done = run("demo", "--runs", tmp_path / "runs", "--trials", "20", "--quiet")

    assert (0, "") == (done.code, done.err)
    for text in (
        "1. What happened after each alert?",
        "2. Which exits would have paid?",
        "Best of 20 trials",
        "highwater runs show",
    ):
        assert text in done.out
    address = unquote(done.out.splitlines()[-1].removeprefix("report  file://"))
    assert address.startswith("/")
    assert "<h2>Verdict</h2>" in Path(address).read_text()
    assert {"completed"} == {entry.status for entry in list_runs(tmp_path / "runs")}
    last = re.search(r"runs show (\w+) --runs", done.out)[1]
    assert 0 == run("runs", "show", last, "--runs", tmp_path / "runs").code


def test_nothing_but_its_caller_decides_who_is_printed(folder):
    some = command(folder, ["baseline", "--top", "2"]).out
    most = command(folder, ["baseline", "--min-calls", "4"]).out

    assert "and 5 more in results/callers.parquet" in some
    assert 0 < most.count("%  ") < command(folder, ["baseline"]).out.count("%  ")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Return a folder with the market as it is."""
    small_market.write(folder := tmp_path_factory.mktemp("plain"))
    return folder


def started(folder, runs, *more):
    """Return a long search that has begun to write its trials."""
    market = Market(folder / "candles.parquet", folder / "alerts.parquet")
    sweep = program(
        ["sweep", *market.flags, "--trials", "50000000", "--mem", "1M", "--runs", runs, "--quiet", *more], folder
    )
    ends = time.monotonic() + 200
    while sweep.poll() is None and not list(runs.glob(".staging/*/results/trials.parquet")) and time.monotonic() < ends:
        time.sleep(0.05)
    return sweep


@pytest.mark.parametrize(
    ("sent", "code", "line"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_a_search_and_leaves_nothing(plain, tmp_path, sent, code, line):
    sweep = started(plain, tmp_path / "runs")
    sweep.send_signal(sent)
    out, err = sweep.communicate(timeout=300)

    assert (code, "", f"highwater: {line}\n") == (sweep.returncode, out, err)
    assert [] == leftovers(tmp_path / "runs")


def test_what_a_killed_search_leaves_is_swept_by_the_next_command(plain, tmp_path):
    sweep = started(plain, tmp_path / "runs")
    sweep.kill()
    sweep.communicate(timeout=300)

    assert leftovers(tmp_path / "runs")
    market = Market(plain / "candles.parquet", plain / "alerts.parquet")
    assert 0 == run("baseline", *market.flags, "--runs", tmp_path / "runs", "--quiet").code
    assert [] == [path for path in leftovers(tmp_path / "runs") if ".staging" in path]


def test_a_reader_that_goes_away_is_no_error(plain, tmp_path):
    market = Market(plain / "candles.parquet", plain / "alerts.parquet")
    done = program(["baseline", *market.flags, "--runs", tmp_path / "runs", "--quiet"], plain)
    done.stdout.close()

    with done.stderr:
        assert (141, "") == (done.wait(timeout=300), done.stderr.read())
    assert "completed" == find_run(tmp_path / "runs", "latest").status


def test_a_process_of_its_own_gives_the_same(plain, tmp_path):
    market = Market(plain / "candles.parquet", plain / "alerts.parquet")
    words = ["strategy", "--tp", "2", *market.flags, "--runs", tmp_path / "runs", "--json", "--quiet"]
    out, err = program(words, plain).communicate(timeout=300)
    found, here = json.loads(out), json.loads(run(*words).out)

    assert "" == err
    assert found["summary"] == here["summary"]
    assert not any(isinstance(value, float) and math.isnan(value) for value in found["summary"][0].values())
