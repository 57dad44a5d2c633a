import numpy as np
import pytest
from highwater.engine.objective import check_objective, names_of, score
from highwater.io.errors import UsageError

COLUMNS = {
    "avg_return_bps": np.array([300.0, -50.0, 0.0]),
    "stop_out_rate": np.array([0.5, 0.25, 0.0]),
    "sl": np.array([0.5, 0.75, 0.9]),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("avg_return_bps", [300.0, -50.0, 0.0]),
        ("avg_return_bps - 100 * stop_out_rate", [250.0, -75.0, 0.0]),
        ("-avg_return_bps / 2", [-150.0, 25.0, 0.0]),
        ("max(avg_return_bps, 10) ** 2", [90000.0, 100.0, 100.0]),
        ("min(sl, stop_out_rate) + abs(avg_return_bps)", [300.5, 50.25, 0.0]),
        ("expectancy_r", [0.06, -0.02, 0.0]),
        ("1e3", [1000.0, 1000.0, 1000.0]),
        ("log(stop_out_rate) / stop_out_rate", [np.log(0.5) / 0.5, np.log(0.25) / 0.25, -np.inf]),
    ],
)
def test_score(text, expected):
    check_objective(text, COLUMNS)

    assert expected == pytest.approx(score(text, COLUMNS).tolist())


def test_what_is_undefined_is_nan():
    assert np.isnan(score("sqrt(avg_return_bps)", COLUMNS)).tolist() == [False, True, False]
    assert np.isnan(score("avg_return_bps / stop_out_rate", COLUMNS)[2])


def test_names_are_columns_not_functions():
    assert {"sl", "max"} == names_of("max(sl, 2) + max")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "avg_return_bps +",
        "__import__('os')",
        "avg_return_bps.real",
        "[1]",
        "'a'",
        "True",
        "max(1)",
        "max(1, b=2)",
        "lambda: 1",
        "1 if sl else 2",
        "sl < 1",
        "sl[0]",
        "(" * 300 + "sl" + ")" * 300,
        "sl" + "+sl" * 300,
        "f'{sl}'",
        "sl\0",
    ],
)
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(UsageError, match="must be a column such as avg_return_bps, or an expression") as caught:
        check_objective(text, COLUMNS)
    assert "\n" not in str(caught.value)


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(UsageError, match="'avg_retrun_bps', which is no column here; did you mean 'avg_return_bps'"):
        check_objective("2 * avg_retrun_bps", COLUMNS)
    with pytest.raises(UsageError, match="give --sl"):
        check_objective("expectancy_r", {"tp": 1})
