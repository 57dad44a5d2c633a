import inspect
from pathlib import Path
from typing import Literal

import pytest
from highwater.engine.settings import Reading, Rows, Sources, Store, Trading, resolved, takes
from highwater.engine.shell import run
from highwater.engine.trace_settings import Market
from highwater.io.errors import UsageError

FILES = {"alerts": Path("a.csv"), "candles": Path("c.csv")}


@takes(sources=Sources, trading=Trading)
def command(word: str, *, mode: Literal["x", "y"] = "x", sources: Sources, trading: Trading) -> int | None:
    """Do it.

    Args:
        word: A word.
        mode: A mode.
    """
    print(word, mode, sources.from_, sources.alerts, trading.horizon, trading.fee_bps)
    return None


def test_a_record_becomes_flags_and_comes_back_as_itself(capsys):
    words = ["w", "--alerts", "a.csv", "--candles", "c.csv", "--from", "2024-01-01", "--horizon", "2h", "--mode", "y"]

    assert 0 == run(command, words, version="1")
    assert "w y 1704067200000 a.csv 7200000 30.0\n" == capsys.readouterr().out


def test_the_flags_of_records_are_in_the_help_with_their_notes_and_defaults(capsys):
    run(command, ["--help"], version="1")
    text = " ".join(capsys.readouterr().out.split())

    for words in (
        "--mode x|y",
        "--from TIME",
        "Only alerts from this time on",
        "Default 48h.",
        "Default 30.",
        "A mode.",
    ):
        assert words in text
    assert "--sources" not in text


@pytest.mark.parametrize("record", [Sources, Reading, Rows, Market, Trading, Store])
def test_every_field_is_explained(record):
    notes = inspect.getdoc(record).partition("Args:\n")[2]

    assert list(inspect.get_annotations(record)) == [line.split(":")[0].strip() for line in notes.splitlines()]


def test_the_fields_of_a_record_come_before_those_it_shares():
    names = list(inspect.signature(command).parameters)

    assert ["word", "mode", "alerts", "candles"] == names[:4]
    assert names.index("coverage_end") < names.index("interval") < names.index("ts_label") < names.index("horizon")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Sources(**FILES, from_=1_704_153_600_000, to=1_704_067_200_000),
            "--from 2024-01-02T00:00Z is not before",
        ),
        (lambda: Sources(**FILES, from_=5, to=5), "is not before --to"),
        (lambda: Sources(**FILES, mcap_min=5e4, mcap_max=1e4), "--mcap-min 50000 is above --mcap-max 10000"),
        (
            lambda: Sources(**FILES, alerts_table="a", alerts_query="SELECT 1"),
            "--alerts-table and --alerts-query each name the alerts; leave one out",
        ),
        (lambda: Trading(horizon=0), "--horizon is 0"),
        (lambda: Trading(fee_bps=-1.0), "--fee-bps is -1; it must be at least 0 and below 5000"),
        (lambda: Trading(slippage_bps=5000.0), "--slippage-bps is 5000; it must be at least 0 and below 5000"),
        (lambda: Store(threads=0), "--threads is 0; it must be at least 1"),
    ],
)
def test_a_value_outside_its_limits_is_refused(make, message):
    with pytest.raises(UsageError) as caught:
        make()

    assert message in str(caught.value)


def test_candle_options_are_those_asked_for():
    options = Sources(**FILES, interval=60_000, resample=300_000, ts_label="close", max_decoded=5).candle_options

    assert (60_000, 300_000, "close", 5) == (
        options.interval_ms,
        options.resample_ms,
        options.ts_label,
        options.max_decoded,
    )


def test_resolved_settings_are_named_as_the_flags_are():
    found = resolved(Sources(**FILES, from_=1), Trading())

    assert ("a.csv", 1, None, 30.0) == (found["alerts"], found["from"], found["to"], found["fee_bps"])
    assert not [name for name in found if name.endswith("_")]


def test_slices_lie_below_the_runs_unless_told():
    assert Path("r/.slices") == Store(runs=Path("r")).slice_folder
    assert Path("s") == Store(runs=Path("r"), slices=Path("s")).slice_folder
