import json

import pytest
from highwater.engine import commands, config_command, sweep_command
from highwater.engine.config_command import SETTINGS
from highwater.engine.shell_help import parameters
from small_market import run

CONFIG = "horizon: 24h\ntp: log:1.1:4\ntrials: 500\ncaller: [ann, bob]\nfee-bps: 12.5\ncache: false\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(CONFIG)
    return path


def shown(*words):
    done = run("config", "show", *words, "--json")
    assert (0, "") == (done.code, done.err)
    return json.loads(done.out)


def test_every_setting_of_the_commands_is_there():
    theirs = [each for each in (commands.baseline, commands.strategy, sweep_command.sweep) for each in parameters(each)]
    names = {each.name.rstrip("_") for each in theirs} - {"json", "resume"}

    assert names == set(shown())
    assert all(not each.required for each in SETTINGS.values())


def test_every_value_has_its_origin(file, monkeypatch):
    monkeypatch.setenv("HIGHWATER_FEE_BPS", "40")
    monkeypatch.setenv("HIGHWATER_SLIPPAGE_BPS", "41")
    found = shown("--resolved", "--config", file, "--sl", "0.5:0.9", "--slippage-bps", "42", "--from", "2025-01-01")

    assert {
        "horizon": {"value": "24h", "origin": f"file {file}"},
        "tp": {"value": "log:1.1:4", "origin": f"file {file}"},
        "trials": {"value": 500, "origin": f"file {file}"},
        "caller": {"value": ["ann", "bob"], "origin": f"file {file}"},
        "cache": {"value": False, "origin": f"file {file}"},
        "fee_bps": {"value": 40.0, "origin": "environment HIGHWATER_FEE_BPS"},
        "slippage_bps": {"value": 42.0, "origin": "flag"},
        "sl": {"value": "0.5:0.9", "origin": "flag"},
        "from": {"value": "2025-01-01T00:00Z", "origin": "flag"},
    } == {name: each for name, each in found.items() if each["origin"] != "default"}
    assert {"value": "pessimistic", "origin": "default"} == found["intrabar"]
    assert {"value": None, "origin": "default"} == found["alerts"]


def test_another_spelling_is_the_same_setting():
    found = shown("--resolved", "--duckdb", "a.duckdb", "--store-duckdb")

    assert {"value": "a.duckdb", "origin": "flag"} == found["alerts"]
    assert {"value": "results/store.duckdb", "origin": "flag"} == found["store_duckdb"]


def test_what_it_prints_as_json_is_a_config_file_of_the_same_settings(file, tmp_path):
    found = shown("--config", file, "--max-decoded", "1G", "--multiples", "1.3", "1.7", "--time-stop", "5m:48h:1m")
    (tmp_path / "again.json").write_text(json.dumps(found))

    assert found == shown("--config", tmp_path / "again.json")
    assert ("1G", [1.3, 1.7], "5m:48h:1m") == (found["max_decoded"], found["multiples"], found["time_stop"])


def test_a_default_that_hangs_on_the_command_is_said_to(monkeypatch):
    assert shown()["top"] is None
    assert "top                        by command" in run("config", "show").out


@pytest.mark.parametrize("more", [[], ["--resolved"]])
def test_the_table_fits_80_columns(file, more):
    long = "a/" * 60 + "alerts.parquet"
    out = run("config", "show", *more, "--config", file, "--alerts", long).out.splitlines()

    assert all(len(line) <= 80 for line in out)
    assert len(SETTINGS) + 2 == len(out)
    assert ("origin" in out[1]) == bool(more)


def test_what_the_commands_refuse_it_refuses(file):
    file.write_text("horizont: 24h")
    for words, message in (
        (["--config", file], "unknown key 'horizont'; did you mean 'horizon'?"),
        (["--horizon", "24"], "--horizon is '24'; it needs a unit"),
        (["--horizont", "24h"], "unknown flag --horizont; did you mean '--horizon'?"),
    ):
        done = run("config", "show", *words)

        assert 2 == done.code
        assert message in done.err


def test_its_help_lists_the_flags():
    out = run("config", "show", "--help").out

    for flag in ("--resolved", "--alerts PATH", "--trials INT", "--tp RANGE", "Say where each value comes from."):
        assert flag in out
    assert config_command.config_show.__doc__.startswith("Print the settings")
