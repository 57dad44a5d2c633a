import os
import shlex
import signal
import subprocess
import sys

from highwater.engine import labs_demo_command
from highwater.engine.cli import main


def test_the_made_up_server_prints_what_leads_to_it_and_answers(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-m", "highwater", "labs", "serve", "--port", "0", "--backtests", "5"],
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = [child.stdout.readline() for _ in range(5)]
    variables = dict(shlex.split(line)[1].split("=", 1) for line in lines[:4])
    done = subprocess.run(
        [sys.executable, "-m", "highwater", "labs", "sync", "--every", "--rate", "1000"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **variables},
    )
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=300)

    assert 130 == child.returncode
    assert ["5 backtests, 5 answers fetched; complete", "5 backtests, 2 answers fetched; still running"] == [
        line.partition("  ")[2] for line in done.stdout.splitlines()
    ]


def test_the_walk_stops_where_a_command_fails(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(labs_demo_command, "steps", lambda: ("labs sync nothing", "labs list"))
    assert 2 == main(["labs", "demo", "--folder", str(tmp_path)])
    out, err = capfd.readouterr()

    assert "$ highwater labs sync nothing\n" == out
    assert "has no lab 'nothing'" in err
    assert 2 == main(["labs", "demo", "--folder", str(tmp_path), "--backtests", "3"])
