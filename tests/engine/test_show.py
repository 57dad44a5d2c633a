import io
import math

import pyarrow as pa
import pytest
from highwater.engine.show import bps, console, percent, plain, rows_of, share, size, span, table, times
from rich.cells import cell_len
from rich.console import Console


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("brisk_falcon é 🐺", "brisk_falcon é 🐺"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\0b\nc\r\t", "a\\x00b\\nc\\r\\t"),
        ("\u202eabc", "\\u202eabc"),
        ("[red]:smile:", "[red]:smile:"),
    ],
)
def test_a_name_is_one_printable_line(text, shown):
    assert shown == plain(text)


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (percent, 0.0613, "+6.1%"),
        (percent, -1.0, "-100.0%"),
        (percent, None, "-"),
        (percent, math.nan, "-"),
        (share, 0.256, "26%"),
        (share, None, "-"),
        (times, 2.306, "2.31x"),
        (times, None, "-"),
        (size, 999, "999 B"),
        (size, 1_070_000, "1.07 MB"),
        (span, None, "-"),
        (span, 0, "0s"),
        (span, 45_300, "45s"),
        (span, 3_599_600, "1h"),
        (span, 4_560_000, "1h16m"),
        (span, 100_800_000.0, "28h"),
        (span, 5 * 86_400_000, "5d"),
    ],
)
def test_values_as_text(show, value, text):
    assert text == show(value)


def test_a_table_keeps_markup_and_emoji_as_they_are_written():
    out = Console(file=io.StringIO(), width=80)
    out.print(table("T", ["name", "n"], [["[red]x[/red] :smile:", "1"]]))

    assert "[red]x[/red] :smile:  1" in out.file.getvalue()


def test_a_name_that_is_too_long_is_cut_and_the_numbers_stay():
    out = Console(file=io.StringIO(), width=80)
    out.print(table("T", ["type", "name", "n"], [["a", "狼" * 99, "1,234"], ["b", "y", "5"]], left=2))
    lines = [line.rstrip() for line in out.file.getvalue().splitlines()]

    assert lines[2].startswith("a     狼狼")
    assert lines[2].endswith("…  1,234")
    assert {80} == {cell_len(line) for line in lines[2:]}


def test_a_caller_without_trades_has_dashes():
    assert ["-", "-12.0%"] == [bps(None), bps(-1200.0)]


def test_the_console_reads_no_markup_and_no_emoji(capsys):
    console().print("[bold]:smile:[/bold] " + "x" * 70)

    assert "[bold]:smile:[/bold] \n" + "x" * 70 + "\n" == capsys.readouterr().out


def test_rows_have_no_run_id_and_no_number_that_json_lacks():
    found = pa.table({"run_id": ["r", "r", "r"], "x": [1.5, math.nan, math.inf], "n": ["a", None, "c"]})

    assert [{"x": 1.5, "n": "a"}, {"x": None, "n": None}, {"x": None, "n": "c"}] == rows_of(found)
