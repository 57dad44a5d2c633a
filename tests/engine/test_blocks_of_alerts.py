import functools

import pytest
import small_market
from highwater.engine import recipe
from highwater.engine.baseline import DEFAULT_MULTIPLES
from highwater.engine.policy import parse_policy
from highwater.engine.run import run_baseline, run_strategy
from highwater.engine.settings import Store
from highwater.io.runs import find_run

POLICY = parse_policy({"sl": 0.8, "tp": [{"mult": 1.1, "frac_bps": 5000}, {"mult": 1.5, "frac_bps": 5000}]})
COMMANDS = {
    "baseline": functools.partial(run_baseline, multiples=DEFAULT_MULTIPLES, command=()),
    "strategy": functools.partial(run_strategy, policy=POLICY, multiples=(), command=()),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("block", [1, 7])
def test_blocks_of_alerts_leave_no_trace(tmp_path, monkeypatch, command, block):
    def digests(folder, cache):
        store = Store(runs=folder, cache=cache)
        found = COMMANDS[command](small_market.prepared(tmp_path / "market"), store)
        artifacts = find_run(folder, found.run_id).manifest.artifacts
        return {each.type: (each.rows, each.content_sha256) for each in artifacts if each.rows is not None}

    expected = digests(tmp_path / "whole", False)
    monkeypatch.setattr(recipe, "BLOCK", block)

    assert expected == digests(tmp_path / "blocks", True)
    assert expected == digests(tmp_path / "blocks", True)
    assert [] == [path.name for path in (tmp_path / "blocks" / ".staging").iterdir()]
