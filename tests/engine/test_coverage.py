"""Which tokens have candles where their alerts need them, as it is printed; engines are asked in tests/sources."""

import json

import pytest
import small_market
from small_market import run


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return small_market.write(tmp_path_factory.mktemp("market"))


def test_the_least_covered_come_first_and_the_rest_is_counted(market):
    whole = json.loads(run("slices", "coverage", *market.flags, "--json").out)
    some = run("slices", "coverage", *market.flags, "--limit", "3").out.splitlines()
    every = run("slices", "coverage", *market.flags, "--limit", "99").out.splitlines()
    inside = [row["inside"] for row in whole["series"]]

    assert sorted(inside) == inside
    assert f"and {whole['tokens'] - 3} more; --limit shows them" == some[-1]
    assert [row["token"][:20] for row in whole["series"][:3]] == [line[:20] for line in some[-4:-1]]
    assert len(every) - whole["tokens"] == len(some) - 4
