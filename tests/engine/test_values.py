import math
from pathlib import Path
from typing import Annotated, Literal

import pytest
from highwater.engine.values import (
    DAY,
    HOUR,
    MINUTE,
    Duration,
    DurationRange,
    Instant,
    Interval,
    Range,
    Size,
    Spelling,
    Until,
    convert,
    parse_duration,
    parse_instant,
    parse_size,
    show,
    show_bps,
    show_duration,
    show_instant,
    show_size,
)
from highwater.io.errors import UsageError
from hypothesis import given
from hypothesis import strategies as st

Order = Literal["sl_first", "tp_first"]


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        (str, "007", "007"),
        (str, "None", "None"),
        (int, "-3", -3),
        (int, "007", 7),
        (float, "-0.3", -0.3),
        (float, ".5", 0.5),
        (float, "1e3", 1000.0),
        (float | None, "2", 2.0),
        (bool, "off", False),
        (Annotated[Path, Spelling(("--there",))], "a", Path("a")),
        (Annotated[Path, Spelling(bare="b")] | None, "a", Path("a")),
        (Path, "a b/c", Path("a b/c")),
        (Order, "tp_first", "tp_first"),
        (Literal[60, 300], "300", 300),
        (Duration, "48h", 48 * HOUR),
        (Duration, "1h30m", 90 * MINUTE),
        (Duration, "1.1s", 1100),
        (Duration, "250ms", 250),
        (Duration | None, "2w", 14 * DAY),
        (Interval, "15s", 15_000),
        (Instant, "2024-01-01", 1_704_067_200_000),
        (Instant, "2024-01-01T05:00", 1_704_085_200_000),
        (Instant, "2024-01-01 05:00Z", 1_704_085_200_000),
        (Instant, "2024-01-01T05:00:00.250+02:00", 1_704_078_000_250),
        (Instant, "1704067200000", 1_704_067_200_000),
        (Instant, "1969-12-31T23:59:59.999", -1),
        (Until, "2024-01-01", 1_704_067_200_000 + DAY),
        (Until, "2024-01-01T05:00", 1_704_085_200_000),
        (Size, "64M", 64 * 2**20),
        (Size, "8GiB", 8 * 2**30),
        (Size, "1.5GB", 1_500_000_000),
        (Size, "512B", 512),
        (Range, "1.1:10", Range(1.1, 10.0)),
        (Range, "1.1:1.2:0.1", Range(1.1, 1.2, 0.1)),
        (Range, "log:1.1:10", Range(1.1, 10.0, None, True)),
        (Range, "2.0", Range(2.0, 2.0)),
        (Range, "-0.5:-0.1", Range(-0.5, -0.1)),
        (DurationRange, "5m:48h:1m", Range(5 * MINUTE, 48 * HOUR, MINUTE)),
        (list[int], ["1", "2"], [1, 2]),
        (list[str] | None, "SPY", ["SPY"]),
    ],
)
def test_text_becomes_a_value(annotation, text, expected):
    actual = convert(annotation, text, "--x")

    assert expected == actual
    assert type(expected) is type(actual)


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        (int, "1_000", "it must be a whole number, digits only"),
        (int, "1e3", "it must be a whole number, digits only"),
        (int, "١", "it must be a whole number, digits only"),
        (int, "9223372036854775808", "it must be a whole number, digits only"),
        (float, "1_000", "it must be a finite decimal number such as 0.7"),
        (float, "nan", "it must be a finite decimal number such as 0.7"),
        (float, "1e999", "it must be a finite decimal number such as 0.7"),
        (
            float,
            "30%",
            "it must be a finite decimal number such as 0.7; "
            "30% is 1.3 or 0.7 as a multiple, 0.3 as a fraction, 3000 bps",
        ),
        (float, "%", "it must be a finite decimal number such as 0.7"),
        (bool, "2", "it must be true or false"),
        (Path, "a\0b", "a path holds no NUL"),
        (Order, "sl_frst", "it must be one of sl_first, tp_first; did you mean 'sl_first'?"),
        (Duration, "48", "it needs a unit: 48h, 48m, 48s or 48ms"),
        (Duration, "30m1h", "it must be a duration such as 48h, 5m, 30s, 250ms or 1h30m"),
        (Duration, "-5m", "it must be a duration such as 48h, 5m, 30s, 250ms or 1h30m"),
        (Duration, "5m5m", "it must be a duration such as 48h, 5m, 30s, 250ms or 1h30m"),
        (Duration, "0.5ms", "it must be whole milliseconds, at most 100 years"),
        (Duration, "999999999w", "it must be whole milliseconds, at most 100 years"),
        (Interval, "0s", "it must be longer than nothing: 15s, 1m, 5m, 1h, 1d"),
        (Instant, "2024-02-30", "there is no such day or time"),
        (Instant, "2024-01-01T25:00", "there is no such day or time"),
        (
            Instant,
            "1700000000",
            "it must be 2024-01-31, 2024-01-31T05:00 or 13 digits of milliseconds; "
            "as seconds it would be 1700000000000",
        ),
        (
            Instant,
            "soon",
            "it must be a time in UTC such as 2024-01-31, 2024-01-31T05:00 or 2024-01-31T05:00+02:00",
        ),
        (Size, "64", "it must be a size with its unit: 64M or 64B"),
        (Range, "10:1", "it must run from low to high, such as 1.1:10:0.01"),
        (Range, "log:0:1", "it must run from low to high, both above 0, such as 1.1:10:0.01"),
        (Range, "1:2:0", "its step must be above 0 and no longer than the range"),
        (Range, "1:2:3", "its step must be above 0 and no longer than the range"),
        (
            Range,
            "log:1:2:0.1",
            "it must be low:high, low:high:step, log:low:high or one value, such as 1.1:10:0.01",
        ),
        (DurationRange, "5:48h", "it needs a unit: 5h, 5m, 5s or 5ms"),
    ],
)
def test_what_is_no_value_is_refused_with_the_remedy(annotation, text, expected):
    with pytest.raises(UsageError) as caught:
        convert(annotation, text, "--x")

    assert f"--x is '{text}'; {expected}" == str(caught.value)


def test_several_values_are_refused_where_one_is_meant():
    with pytest.raises(UsageError, match="--x has 2 values; it takes one"):
        convert(int, ["1", "2"], "--x")


def test_an_empty_value_is_refused_except_as_text():
    with pytest.raises(UsageError, match="--x is empty; it must be NUMBER"):
        convert(float, "", "--x")

    assert convert(str, "", "--x") == ""


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Duration, "1h30m"),
        (Duration, "48h"),
        (Duration, "7d"),
        (Duration, "0s"),
        (Instant, "2024-01-01T05:00Z"),
        (Size, "64M"),
        (Size, "1000B"),
        (float, "0.7"),
        (Range, "1.1:10:0.01"),
        (Range, "log:1.1:10"),
        (Range, "2"),
        (DurationRange, "5m:48h:1m"),
    ],
)
def test_a_value_is_shown_as_it_is_written(annotation, text):
    actual = show(annotation, convert(annotation, text, "--x"))

    assert text == actual


@given(st.integers(0, 36_500 * DAY))
def test_a_shown_duration_reads_back(ms):
    assert ms == parse_duration(show_duration(ms))


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_a_shown_instant_reads_back(ms):
    assert ms == parse_instant(show_instant(ms))


@given(st.integers(0, 2**50))
def test_a_shown_size_reads_back(size):
    assert size == parse_size(show_size(size))


@pytest.mark.parametrize(
    ("bps", "digits", "text"),
    [
        (613.4, 1, "+6.1%"),
        (-1200, 0, "-12%"),
        (-15.25, 2, "-0.15%"),
        (0.0, 1, "+0.0%"),
        (99_999_999.0, 1, "+1000000.0%"),
        (123_456_789.0, 1, "+1.23e+06%"),
        (None, 1, "-"),
        (math.nan, 1, "-"),
    ],
)
def test_basis_points_as_a_percentage(bps, digits, text):
    assert text == show_bps(bps, digits)
