"""How long does it take to parse, store and analyse 10,000 backtests of a lab, and how much memory?

Made up in the real shape: 17 kB of runtime and a dozen positions each. Storing is what ``labs sync`` does with each
answer; analysing is ``labs analyze`` in a process of its own, from what is kept to a published run with its verdict.
"""

import json
import shutil
import subprocess
import sys

import pytest
from highwater.bench.conftest import linux
from highwater.io.labs import made_up
from highwater.io.labs.store import writing
from highwater.io.runs import read_manifest, run_folders

BACKTESTS, SERVER, PART = 10_000, "127.0.0.1:8090", 500
LAB = made_up.MadeUpLab(backtests=BACKTESTS)
ANALYZE = """
import sys
from highwater.engine.cli import main
code = main(["labs", "analyze", sys.argv[1], "--store", sys.argv[2], "--runs", sys.argv[3], "--quiet"])
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0], file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def answers():
    """Return (id, summary, runtime) of each backtest as the server sends them."""
    found = []
    for i in range(BACKTESTS):
        body = {"Success": True, "Error": "", "Data": made_up.runtime(LAB, i)}
        name, item = made_up.backtest_id(LAB, i), made_up.item(LAB, i)
        found.append((name, json.dumps(item).encode(), json.dumps(body).encode()))
    return found


@linux
def test_ten_thousand_backtests_stored_and_analysed(bench, answers, tmp_path):
    told = []

    def store():
        shutil.rmtree(tmp_path / "labs", ignore_errors=True)
        with writing(tmp_path / "labs", SERVER, LAB.lab) as writer:
            number = writer.begin_listing(json.dumps(made_up.details(LAB)))
            for first in range(0, BACKTESTS, PART):
                for name, summary, runtime in answers[first : first + PART]:
                    writer.seen(name, summary, finished=True)
                    writer.add(name, "runtime", runtime)
                writer.commit()
            writer.end_listing(number, 1)

    def analyse():
        words = (LAB.lab, str(tmp_path / "labs"), str(tmp_path / "runs"))
        done = subprocess.run([sys.executable, "-c", ANALYZE, *words], capture_output=True, text=True, check=True)
        told.append(int(done.stderr.split()[-1]))

    size = sum(len(summary) + len(runtime) for _, summary, runtime in answers) / 1e6
    times = bench.compare({"stored": store, "analysed": analyse}, rounds=2, cores=None)
    manifest = read_manifest(run_folders(tmp_path / "runs")[0])
    bench.say("stored", times["stored"], f"{size:.0f} MB of JSON in 20 commits")
    positions = manifest.counts["positions"]
    bench.say("analysed", times["analysed"], f"{positions:,} positions, {max(told) / 1024:.0f} MB at most")

    assert BACKTESTS == manifest.counts["judged"]
    assert sum(each.cpu for each in times.values()) < 20
    assert max(told) < 1_000_000  # kB
