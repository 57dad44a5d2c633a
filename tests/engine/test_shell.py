import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from highwater.engine.values import HOUR, MINUTE, Range
from highwater.io.errors import BusyError, IntegrityError, UsageError
from shell_tree import DAY1, DEFAULTS, SEEN, call, tool
from shell_tree import alone as alone  # a fixture of every test

FULL_DISK = Path("/dev/full")


def refusal(capsys, *argv):
    """Return the line a refused command leaves; it must not have run."""
    assert 2 == call(*argv)
    out, err = capsys.readouterr()
    assert not SEEN
    assert "" == out
    return err


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], {}),
        (["--horizon", "1h30m"], {"horizon": 90 * MINUTE}),
        (["--horizon=5m"], {"horizon": 5 * MINUTE}),
        (["--max-entry-delay", "5m"], {"max_entry_delay": 5 * MINUTE}),
        (["--max_entry_delay", "5m"], {"max_entry_delay": 5 * MINUTE}),
        (["--sl", "-0.3"], {"sl": -0.3}),
        (["--tp", "1.1:10:0.1"], {"tp": Range(1.1, 10, 0.1)}),
        (["--symbols", "SPY", "QQQ", "--json"], {"symbols": ["SPY", "QQQ"], "json": True}),
        (["--symbols", "SPY,QQQ", "--sl", "0.5", "--symbols=IWM"], {"symbols": ["SPY", "QQQ", "IWM"], "sl": 0.5}),
        (["--no-cache"], {"cache": False}),
        (["--no-json", "--cache"], {}),
        (["--mint=--x"], {"mint": "--x"}),
        (["--calls-from", "x"], {"source": "x"}),
        (["--calls_from=x"], {"source": "x"}),
        (["--store"], {"store": Path("results/store")}),
        (["--store", "--json"], {"store": Path("results/store"), "json": True}),
        (["--store", "mine"], {"store": Path("mine")}),
        (["--store=mine"], {"store": Path("mine")}),
    ],
)
def test_flags_reach_the_function_as_values(argv, expected):
    assert 0 == call("baseline", "--from", "2024-01-01", *argv)
    assert [{"from_": DAY1} | DEFAULTS | expected] == SEEN


@pytest.mark.parametrize(
    "text",
    ["0012345", "1e5", "[1]", "None", "{'a': 1}", "True", "(1, 2)", "0x1F", "9" * 44, "-", "'quoted'", "a b", "1_000"],
)
def test_fire_does_not_reinterpret_text(text):
    assert 0 == call("runs", "path-only", text, text, "--policy", text)
    assert [{"run": text, "others": [text], "policy": text}] == SEEN


def test_positional_words_fill_in_order_and_a_list_takes_the_rest():
    assert 0 == call("runs", "show", "a", "--policy", "p", "b", "--", "--c")
    assert [{"run": "a", "others": ["b", "--c"], "policy": "p"}] == SEEN


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["baselin"], "unknown command 'baselin'; did you mean 'baseline'?"),
        (["zzz"], "unknown command 'zzz'; see highwater --help"),
        (["runs", "shw"], "unknown command 'shw'; did you mean 'show'?"),
        (["runs", "shw", "--help"], "unknown command 'shw'; did you mean 'show'?"),
        (["--json", "baseline"], "--json: flags come after a command; see highwater --help"),
        (["baseline", "--horizn", "5m"], "unknown flag --horizn; did you mean '--horizon'?"),
        (["baseline", "--hor", "5m"], "unknown flag --hor; did you mean '--horizon'?"),
        (["baseline", "-q"], "unknown flag -q; see highwater baseline --help"),
        (["baseline", "--quiet"], "unknown flag --quiet; see highwater baseline --help"),
        (["baseline", "--debgu"], "unknown flag --debgu; did you mean '--debug'?"),
        (["baseline"], "missing --from; see highwater baseline --help"),
        (["runs", "show"], "missing RUN; see highwater runs show --help"),
        (["baseline", "word"], "one word too many: 'word'; see highwater baseline --help"),
        (["baseline", "--from"], "--from needs a value: --from TIME"),
        (["baseline", "--from", "--json"], "--from needs a value: --from TIME"),
        (["baseline", "--symbols", "--json"], "--symbols needs a value: --symbols TEXT"),
        (["baseline", "--sl", "1", "--sl=2"], "--sl is given twice"),
        (["baseline", "--cache", "--no-cache"], "--cache is given twice"),
        (["baseline", "--source", "a", "--database", "b"], "--database is given twice, first as --source"),
        (["baseline", "--store", "--store", "a"], "--store is given twice"),
        (["baseline", "--from", "2024-01-01", "--store="], "--store is empty; it must be PATH"),
        (["baseline", "--databse", "b"], "unknown flag --databse; did you mean '--database'?"),
        (["baseline", "--json=1"], "--json takes no value; use --json or --no-json"),
        (
            ["baseline", "--from", "2024-01-01", "--horizon", "48"],
            "--horizon is '48'; it needs a unit: 48h, 48m, 48s or 48ms",
        ),
        (
            ["baseline", "--from", "2024-01-01", "--order", "sl_frst"],
            "--order is 'sl_frst'; it must be one of sl_first, tp_first; did you mean 'sl_first'?",
        ),
    ],
)
def test_a_wrong_command_line_is_refused_before_anything_runs(capsys, argv, expected):
    assert f"highwater: {expected}\n" == refusal(capsys, *argv)


def test_command_line_over_environment_over_file_over_default(monkeypatch, tmp_path):
    config = tmp_path / "a.yaml"
    config.write_text(
        "from: 2024-01-01\nhorizon: 1h\nmax_entry_delay: 1h\nsl: 0.5\nsymbols: [a, 'b,c']\ncache: false\n"
    )
    monkeypatch.setenv("HIGHWATER_MAX_ENTRY_DELAY", "2h")
    monkeypatch.setenv("HIGHWATER_SL", "0.6")
    monkeypatch.setenv("HIGHWATER_MINT", "")

    assert 0 == call("baseline", "--config", str(config), "--sl", "0.7")
    expected = {
        "from_": DAY1,
        "horizon": HOUR,
        "max_entry_delay": 2 * HOUR,
        "sl": 0.7,
        "symbols": ["a", "b,c"],
        "cache": False,
    }
    assert [DEFAULTS | expected] == SEEN


def test_lists_and_switches_come_from_the_environment(monkeypatch, tmp_path):
    (tmp_path / "a.toml").write_text("from = 2024-01-01\n")
    monkeypatch.setenv("HIGHWATER_CONFIG", str(tmp_path / "a.toml"))
    monkeypatch.setenv("HIGHWATER_SYMBOLS", "a,b")
    monkeypatch.setenv("HIGHWATER_CACHE", "off")

    assert 0 == call("baseline")
    assert [DEFAULTS | {"from_": DAY1, "symbols": ["a", "b"], "cache": False}] == SEEN


@pytest.mark.parametrize(("text", "store"), [("true", Path("results/store")), ("false", None), ("mine", Path("mine"))])
def test_a_flag_that_may_stand_without_a_value_may_be_true_in_a_file(tmp_path, text, store):
    (tmp_path / "a.yaml").write_text(f"from: 2024-01-01\ndatabase: x\nstore: {text}\n")

    assert 0 == call("baseline", "--config", "a.yaml")
    assert [DEFAULTS | {"from_": DAY1, "source": "x", "store": store}] == SEEN


def test_a_mapping_in_a_config_file_is_json_for_the_flag(tmp_path):
    (tmp_path / "a.yaml").write_text("policy: {kind: fixed_stop, stop_loss_bps: 500}\n")

    assert 0 == call("runs", "show", "r", "--config", "a.yaml")
    assert '{"kind": "fixed_stop", "stop_loss_bps": 500}' == SEEN[0]["policy"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("horizn: 5m\n", "a.yaml: unknown key 'horizn'; did you mean 'horizon'?"),
        ("horizon: 48\n", "a.yaml: horizon is '48'; it needs a unit: 48h, 48m, 48s or 48ms"),
        ("mint: 123\n", "a.yaml: mint is 123; it must be text, in quotes"),
        ("sl: [1, 2]\n", "a.yaml: sl has 2 values; it takes one"),
        ("source: a\ndatabase: b\n", "a.yaml: database is given twice, it is source too"),
        ("store: 5\n", "a.yaml: store is 5; it must be text, in quotes"),
        (
            "max-entry-delay: 5m\nmax_entry_delay: 5m\n",
            "a.yaml: max_entry_delay is given twice, with a hyphen and with an underscore",
        ),
    ],
)
def test_a_config_file_is_as_strict_as_the_command_line(capsys, tmp_path, text, expected):
    (tmp_path / "a.yaml").write_text(text)

    assert f"highwater: {expected}\n" == refusal(capsys, "baseline", "--from", "2024-01-01", "--config", "a.yaml")


def test_a_wrong_variable_is_named(capsys, monkeypatch):
    monkeypatch.setenv("HIGHWATER_SL", "low")

    expected = "highwater: HIGHWATER_SL is 'low'; it must be a finite decimal number such as 0.7\n"
    assert expected == refusal(capsys, "baseline", "--from", "2024-01-01")


def test_a_function_may_have_a_config_of_its_own():
    assert 3 == call("tool", "--config", "gone.txt")
    assert [{"config": "gone.txt"}] == SEEN


def test_a_tree_may_be_one_function():
    assert 3 == call("--config", "x", tree=tool)
    assert ["x"] == [each["config"] for each in SEEN]


def failing(error):
    def fail() -> None:
        """Fail."""
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UsageError("a.csv:7: wrong"), 2, "a.csv:7: wrong"),
        (IntegrityError("r: corrupt"), 4, "r: corrupt"),
        (BusyError("catalog: locked"), 75, "catalog: locked"),
        (UsageError("two\nlines \x1b[31mred"), 2, r"two lines \x1b[31mred"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 5, "out of memory; ask for less at once, or use a larger machine"),
        (MemoryError("7 GiB"), 5, "out of memory (7 GiB); ask for less at once, or use a larger machine"),
        (OSError(errno.ENOSPC, "No space left on device", "a.parquet"), 74, "a.parquet: No space left on device"),
        (OSError(errno.EMFILE, "Too many open files"), 74, "Too many open files"),
        (PermissionError(errno.EACCES, "Permission denied", "runs"), 77, "runs: Permission denied"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.csv"), 2, "a.csv: No such file"),
        (SystemExit("stop"), 1, "stop"),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(capsys, error, code, line):
    actual = call(tree=failing(error))

    assert (code, "", f"highwater: {line}\n") == (actual, *capsys.readouterr())


def test_what_was_noted_on_an_error_stands_behind_it_in_the_same_line(capsys):
    for error, said in ((KeyboardInterrupt(), "interrupted"), (UsageError("wrong"), "wrong")):
        error.add_note("half is done;\ngo on")
        call(tree=failing(error))

        assert f"highwater: {said}; half is done; go on\n" == capsys.readouterr().err


def test_a_flag_can_make_another_command_which_needs_no_other_flag(capsys, tmp_path, monkeypatch):
    def again(*, places: dict[str, str], run: str, **given: object) -> None:
        SEEN.append({"run": run, **given, "places": places})

    def search(*, alerts: str, seed: int = 1, run: str | None = None) -> None:
        """Search."""
        SEEN.append({"alerts": alerts})

    again.takes_places = True  # type: ignore[attr-defined]
    search.alone = {"run": again}  # type: ignore[attr-defined]
    monkeypatch.setenv("HIGHWATER_SEED", "7")

    assert (0, 2, 2) == (call("--run", "a", tree=search), call(tree=search), call("--run", "a", "--sed=1", tree=search))
    assert "highwater: missing --alerts" in capsys.readouterr().err
    assert 0 == call("--alerts", "b", tree=search)
    assert [
        {"run": "a", "seed": 7, "places": {"run": "--run", "seed": "HIGHWATER_SEED"}},
        {"alerts": "b"},
    ] == SEEN


def test_a_bug_is_one_line_with_an_id_and_a_traceback_in_the_log(capsys, tmp_path):
    assert 1 == call(tree=failing(ZeroDivisionError("a / b")))
    line = capsys.readouterr().err
    log = (tmp_path / "errors.log").read_text()
    number = line.split()[2].rstrip(":")
    assert f"highwater: bug {number}: ZeroDivisionError: a / b (see {tmp_path / 'errors.log'})\n" == line
    assert 8 == len(bytes.fromhex(number)) * 2
    assert f"Z {number}\nTraceback" in log
    assert "ZeroDivisionError: a / b" in log


def test_bugs_are_appended_to_the_log(tmp_path):
    call(tree=failing(ZeroDivisionError("first")))
    call(tree=failing(ZeroDivisionError("second")))

    assert 2 == (tmp_path / "errors.log").read_text().count("Traceback")


def test_a_bug_without_a_log_still_says_what_to_do(capsys, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("platformdirs.user_log_path", denied)

    assert 1 == call(tree=failing(ZeroDivisionError("a / b")))
    assert "a / b (run it again with --debug to see where)\n" == capsys.readouterr().err.partition("Error: ")[2]


def test_debug_prints_the_traceback_and_writes_no_log(capsys, tmp_path):
    assert 1 == call("--debug", tree=failing(ZeroDivisionError("a / b")))
    assert "Traceback" in capsys.readouterr().err
    assert not (tmp_path / "errors.log").exists()


def test_sigterm_lets_the_command_clean_up(capsys):
    cleaned = []

    def wait() -> None:
        """Wait."""
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(30)
        finally:
            cleaned.append(True)

    before = signal.getsignal(signal.SIGTERM)

    assert 143 == call(tree=wait)
    assert "highwater: terminated\n" == capsys.readouterr().err
    assert [True] == cleaned
    assert before == signal.getsignal(signal.SIGTERM)


def test_a_command_runs_in_another_thread_too():
    codes = []
    thread = threading.Thread(target=lambda: codes.append(call("tool")))
    thread.start()
    thread.join()

    assert [3] == codes


CHILD = """
import sys
from highwater.engine.shell import run
def flood() -> None:
    "Print much."
    for i in range(200_000):
        print(i)
code = run({"flood": flood}, sys.argv[1:], version="1")
heavy = {"numba", "numpy", "pyarrow", "duckdb", "yaml"} & set(sys.modules)
print(sorted(heavy), file=sys.stderr)
sys.exit(code)
"""


def test_a_closed_pipe_is_quiet():
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, "flood"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert "0\n" == child.stdout.readline()
        child.stdout.close()
        err = child.stderr.read()

    assert (141, "[]\n") == (child.returncode, err)


@pytest.mark.skipif(not FULL_DISK.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("argv", [["--help"], ["flood"]])
def test_a_full_disk_behind_stdout_is_one_line(argv):
    command = [sys.executable, "-c", CHILD, *argv]
    with FULL_DISK.open("w") as full:
        child = subprocess.run(command, check=False, stdout=full, stderr=subprocess.PIPE, text=True)

    assert (74, "highwater: No space left on device\n[]\n") == (child.returncode, child.stderr)


@pytest.mark.parametrize("argv", [["--help"], ["flood", "--help"]])
def test_help_loads_nothing_heavy(argv):
    child = subprocess.run([sys.executable, "-c", CHILD, *argv], capture_output=True, text=True, check=True)

    assert "[]\n" == child.stderr
    assert child.stdout.startswith("Usage: highwater")


def test_the_policies_module_loads_nothing_heavy():
    code = "import sys, highwater.engine.policy; print({'numba', 'numpy', 'pyarrow', 'duckdb'} & set(sys.modules))"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "set()\n" == child.stdout
