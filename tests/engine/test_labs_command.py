import json
import logging
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from haas_server import LAB, at_hand, environment, fast, haas, labs
from highwater.io.labs.made_up import MadeUpLab
from highwater.io.labs.made_up_server import PASSWORD
from highwater.io.labs.pace import Pace
from highwater.io.labs.store import lab_records, labs_in

RUNTIME, PAGE = "GET_BACKTEST_RUNTIME", "GET_BACKTEST_RESULT_PAGE"


@pytest.fixture
def server(tmp_path, monkeypatch):
    with at_hand(tmp_path, monkeypatch) as state:
        yield state


def test_a_lab_is_fetched_by_how_its_id_begins_or_by_its_name(server, capsys):
    assert 0 == fast("sync", "caed4df4")
    assert f"{LAB}  25 backtests, 25 answers fetched; complete\n" == capsys.readouterr().out
    assert 0 == fast("sync", "Made-up lab")
    assert f"{LAB}  25 backtests, 0 answers fetched; complete\n" == capsys.readouterr().out


def test_labs_are_listed_with_what_is_kept(server, capsys):
    fast("sync", LAB, "--max-backtests", "10", "--page-size", "10")
    capsys.readouterr()
    assert 0 == fast("list")
    assert re.search(rf"{LAB}  Made-up lab  completed +25 +25 +10", capsys.readouterr().out)
    assert 0 == labs("list", "--kept", "--json")
    (row,) = json.loads(capsys.readouterr().out)

    assert (10, False, LAB) == (row["kept"], row["complete"], row["lab"])


def test_numbers_of_the_environment_are_read(server, capsys, monkeypatch):
    monkeypatch.setenv("MAX_BACKTESTS", "5")
    monkeypatch.setenv("PAGE_SIZE", "5")
    assert 0 == fast("sync", LAB)
    assert f"{LAB}  5 backtests, 5 answers fetched; not complete\n" == capsys.readouterr().out
    assert "5" == next(fields["pagelength"] for name, fields in server.asked if name == PAGE)
    monkeypatch.setenv("PAGE_SIZE", "many")
    assert 2 == fast("sync", LAB)
    assert "PAGE_SIZE is 'many'; it must be a whole number" in capsys.readouterr().err


def test_all_labs_are_fetched_as_json(server, capsys):
    server.labs.append(MadeUpLab("5a21c24f", 3, "Other"))
    assert 0 == fast("sync", "--every", "--json")

    assert [25, 3] == [each["fetched"] for each in json.loads(capsys.readouterr().out)]


def test_what_the_server_did_not_have_is_named_and_has_an_exit_code(server, capsys):
    server.faults[RUNTIME] = ["refused"]
    assert 3 == fast("sync", LAB, "--workers", "1")
    out, err = capsys.readouterr()

    assert f"{LAB}  25 backtests, 24 answers fetched, 1 failed; not complete\n" == out
    assert f"{server.labs[0].ids()[0]} runtime: 127.0.0.1:" in err and "Backtest not found" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sync"], "name labs to fetch, or --every"),
        (["sync", "x", "--every"], "--every fetches all labs; name none"),
        (["sync", "caed4df5"], "has no lab 'caed4df5'"),
        (["sync", "Made-up lob"], "did you mean 'Made-up lab'?"),
        (["sync", LAB, "--rate", "0"], "--rate is 0; it must be more than 0"),
        (["sync", LAB, "--workers", "100"], "--workers is 100; it must be from 1 to 64"),
        (["sync", LAB, "--page-size", "0"], "--page-size is 0; it must be at least 1"),
        (["sync", LAB, "--parts", "charts"], "it must be one of runtime, chart, log; did you mean 'chart'?"),
        (["sync", LAB, "--env-file", "none.env"], "none.env does not exist"),
        (["cutoffs", "x", "--every"], "--every asks for all markets; name none"),
        (["cutoffs", "--months", "3"], "--months must be from 1 to 120, of markets that are named"),
        (["cutoffs", "--interval", "90s"], "--interval must be whole minutes"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(server, capsys, words, message):
    assert 2 == labs(*words)
    err = capsys.readouterr().err

    assert message in err and 1 == len(err.splitlines())


@pytest.mark.parametrize("name", ["API_HOST", "API_EMAIL", "API_PASSWORD"])
def test_without_address_or_credentials_nothing_is_asked(server, capsys, monkeypatch, name):
    monkeypatch.delenv(name)
    assert 2 == labs("sync", LAB)

    assert f"{name} is not set; set it in the environment or in a file .env" in capsys.readouterr().err
    assert [] == server.asked


def test_a_file_env_here_is_enough(server, capsys, monkeypatch, tmp_path):
    lines = [f"{name}={value}\n" for name, value in environment(server).items()]
    for name in environment(server):
        monkeypatch.delenv(name)
    (tmp_path / ".env").write_text("".join(lines))

    assert 0 == fast("sync", LAB)


def test_the_rate_is_kept(server):
    began = time.monotonic()
    assert 0 == labs("sync", LAB, "--rate", "40")
    taken, asked = time.monotonic() - began, len(server.asked)

    assert 30 == asked  # two logins, labs, details, a page and 25 runtimes
    assert taken >= (asked - 10) / 40  # ten of them at once


def test_a_running_lab_is_watched_to_its_end(server, capsys):
    server.done[LAB], server.step = 5, 10
    assert 0 == fast("watch", "caed", "--interval", "10ms", "--top", "2")
    lines = capsys.readouterr().out.splitlines()

    assert "Made-up lab: running, 15 of 25 backtests, 15 kept" == lines[0].strip()
    assert "Made-up lab: ended, 25 of 25 backtests, 25 kept" in [line.strip() for line in lines]
    assert 2 == sum(bool(re.match("[0-9a-f]{8}", line)) for line in lines)
    assert 0 == fast("watch", "caed", "--json")
    assert 25 == json.loads(capsys.readouterr().out)["done"]


def test_a_fetch_ends_with_ctrl_c_and_keeps_what_came(tmp_path):
    with haas(1000, delay_s=0.02) as server:
        child = subprocess.Popen(
            [sys.executable, "-m", "highwater", "labs", "sync", LAB, "--rate", "200"],
            env={**os.environ, **environment(server)},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while server.count(RUNTIME) < 60:
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=300)

    assert (130, "") == (child.returncode, out)
    assert "interrupted" in err and "Traceback" not in err
    (lab,) = labs_in(tmp_path / "labs")
    assert 40 <= sum("runtime" in one.parts for one in lab_records(tmp_path / "labs", *lab).backtests) < 1000


def test_secrets_are_in_no_file_log_or_error(tmp_path, monkeypatch, capfd, caplog):
    monkeypatch.setattr(Pace, "rest", lambda self, seconds: None)
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    codes = []
    with haas(12, code="918273", session_calls=9) as server:
        right = {**environment(server), "API_CODE": "918273"}
        (market,) = server.markets
        server.faults[RUNTIME] = [500, "cut", "expired", "refused", "short"]
        for changed, words in (
            ({"API_PASSWORD": "zq-wrong-password-7"}, ["list"]),
            ({"API_CODE": "555555"}, ["list"]),
            ({}, ["sync", LAB]),
            ({}, ["sync", LAB, "--parts", "runtime", "chart", "log"]),
            ({}, ["watch", LAB]),
            ({}, ["cutoffs", market]),
            ({"API_PORT": "1"}, ["list"]),
        ):
            for name, value in {**right, **changed}.items():
                monkeypatch.setenv(name, value)
            codes.append(labs(*words, "--debug"))
        keys = {
            fields[name] for _, fields in server.asked for name in ("interfaceKey", "interfacekey") if name in fields
        }

    assert [77, 77, 3, 0, 0, 0, 74] == codes
    held = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    told = "".join(capfd.readouterr()) + caplog.text
    secrets = [PASSWORD, "zq-wrong-password-7", "918273", "555555", *keys, *(f"secret-of-{key}" for key in keys)]
    assert "Wrong password '***'" in told and "Wrong code ***" in told
    assert len(held) > 1 and len(keys) > 3
    assert [] == [each for each in secrets if any(each.encode() in data for data in (*held, told.encode()))]


def test_help_and_lists_need_no_httpx(tmp_path):
    code = "import sys\nfrom highwater.engine.cli import main\n"
    code += "print(main(['labs', 'list', '--kept']), sorted({'httpx', 'tenacity', 'numba'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert ["no lab is kept in labs", "0 []"] == done.stdout.splitlines()


def test_without_the_extra_one_line_names_it(server, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    assert 2 == labs("list")

    assert "pip install 'highwater[lab]'" in capsys.readouterr().err
