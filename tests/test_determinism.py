"""The same inputs and settings give the same bits, whatever machine, order, place or cut of the work they meet."""

import random
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
import small_market
from highwater.io.runs import find_run, read_manifest
from small_market import Market, by_token, program, tables

POLICY = '{"sl":0.8,"tp":[{"mult":1.1,"frac_bps":5000},{"mult":2}],"trail":{"pct":0.2},"time_ms":36000000}'
COMMANDS = {
    "baseline": ["baseline", "--multiples", "1.1", "1.5"],
    "strategy": ["strategy", "--policy", POLICY.replace('"mult":2}', '"mult":2,"frac_bps":3000}')],
    "sweep": [
        *["sweep", "--trials", "300", "--tp", "log:1.1:5", "--sl", "0.5:0.95", "--trail", "0.05:0.5"],
        *["--refine", "70"],
    ],
    "surface": [
        *["surface", "--tp", "1.1:6:0.1", "--sl", "0.3:0.95:0.01", "--trail", "0.1:0.5:0.2"],
        *["--time-stop", "1h", "9h", "--medians", "--by", "caller"],
    ],
}
LITTLE = {"sweep": "30K", "surface": "3M"}  # memory that takes more blocks than one


def usual():
    return {}


def shuffled_alerts():
    rows = tables()[1].to_pylist()
    random.Random(1).shuffle(rows)
    return {"alerts": pa.Table.from_pylist(rows, tables()[1].schema)}


def shuffled_tokens():
    """Return candles whose tokens lie in another order; within a token time goes on."""
    series = list(by_token(tables()[0]).values())
    random.Random(2).shuffle(series)
    return {"candles": pa.Table.from_pylist([row for rows in series for row in rows], tables()[0].schema)}


def interleaved_tokens():
    """Return candles sorted by time, the tokens mixed."""
    rows = [(row["timestamp"], i, row) for i, row in enumerate(tables()[0].to_pylist())]
    return {
        "candles": pa.Table.from_pylist([row for _, _, row in sorted(rows, key=lambda r: r[:2])], tables()[0].schema)
    }


# What is changed: the files, the environment, more words, and the folder the command is started in.
WAYS = {
    "usual": (usual, {}, [], "."),
    "one thread": (usual, {}, ["--threads", "1"], "."),
    "two threads, another place": (usual, {"NUMBA_NUM_THREADS": "2"}, ["--threads", "2"], "else"),
    "alerts shuffled": (shuffled_alerts, {"PYTHONHASHSEED": "7"}, [], "."),
    "tokens shuffled": (shuffled_tokens, {"PYTHONHASHSEED": "random"}, ["--threads", "1"], "."),
    "tokens mixed": (interleaved_tokens, {"TZ": "America/St_Johns"}, ["--no-cache"], "else"),
    "another time zone and locale": (usual, {"TZ": "Pacific/Auckland", "LC_ALL": "de_DE.UTF-8"}, [], "."),
    "no locale": (usual, {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "LANG": "C"}, [], "else"),
}


@pytest.fixture(scope="module", params=COMMANDS)
def manifests(request, tmp_path_factory):
    """Return the manifest of the same command in every way, each in a process of its own, two at a time."""

    def made(way):
        changes, environment, more, place = WAYS[way]
        folder = tmp_path_factory.mktemp(way.replace(" ", "-"))
        market = small_market.write(folder, **changes())
        (folder / "else").mkdir()
        words = [*COMMANDS[request.param], *market.flags, "--runs", folder / "runs", "--quiet", *more]
        if request.param in LITTLE and "--threads" in more:
            words += ["--mem", LITTLE[request.param]]
        done = program(words, folder / place, environment)
        _, err = done.communicate(timeout=300)

        assert (0, "") == (done.returncode, err)
        return read_manifest(find_run(folder / "runs", "latest").path)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(WAYS, pool.map(made, WAYS), strict=True))


def contents(manifest):
    return {artifact.type: artifact.content_sha256 for artifact in manifest.artifacts if artifact.rows is not None}


@pytest.mark.parametrize("way", [way for way in WAYS if way != "usual"])
def test_every_table_and_the_config_are_the_same(manifests, way):
    usual, other = manifests["usual"], manifests[way]

    assert contents(usual) == contents(other)
    assert usual.config_digest == other.config_digest


@pytest.mark.parametrize("way", [way for way in WAYS if way != "usual"])
def test_the_log_and_the_picture_are_the_same(manifests, way):
    files = [{a.type: a.sha256 for a in manifests[one].artifacts if a.rows is None} for one in ("usual", way)]

    assert files[0] == files[1]


def test_the_inputs_are_the_same_candles(manifests):
    digests = {way: [one.digest for one in manifest.inputs] for way, manifest in manifests.items()}

    assert 1 == len({digest[1] for digest in digests.values()})
    assert 1 == len({digest[0] for way, digest in digests.items() if way != "alerts shuffled"})


def test_blocks_were_cut_in_several_ways(manifests):
    blocks = {manifest.execution.get("block") for manifest in manifests.values()}

    assert (2 if manifests["usual"].run_type in ("search", "surface") else 1) == len(blocks)


def test_what_changes_the_result_changes_the_digest(tmp_path):
    market = small_market.write(tmp_path)

    def digest(*words):
        done = small_market.run("baseline", *Market(*market).flags, "--runs", tmp_path / "runs", "--quiet", *words)
        assert 0 == done.code
        return read_manifest(find_run(tmp_path / "runs", "latest").path).config_digest

    ways = [
        [],
        ["--fee-bps", "31"],
        ["--horizon", "47h"],
        ["--entry", "bar_close"],
        ["--intrabar", "optimistic"],
        ["--from", "2025-01-01"],
    ]
    assert len(ways) == len({digest(*words) for words in ways})
    assert digest() == digest("--threads", "1") == digest("--horizon", "2880m")
