import numpy as np
import pyarrow as pa
import pytest
from highwater.io import schemas
from highwater.io.schemas import frontier, multiple_name, paths, table, trials

SMALL = pa.schema(
    [pa.field("run_id", pa.string(), nullable=False), pa.field("n", pa.int64(), nullable=False), ("x", pa.float64())]
)

# The contract of the columns, artifact by artifact.
CONTRACT = {
    "alerts": (schemas.ALERTS, "call_id mint caller_name chain alert_ts_ms created_at"),
    "paths": (
        paths(),
        "run_id call_id caller_name mint chain interval alert_ts_ms p0 hit_2x t_2x_ms hit_3x t_3x_ms hit_4x t_4x_ms "
        "hit_5x t_5x_ms hit_10x t_10x_ms dd_bps dd_to_2x_bps alert_to_activity_ms peak_multiple",
    ),
    "trades": (
        schemas.TRADES,
        "run_id policy_id call_id entry_ts_ms entry_px exit_ts_ms exit_px exit_reason realized_return_bps stop_out "
        "max_adverse_excursion_bps max_favorable_excursion_bps time_exposed_ms tail_capture worst_bps best_bps "
        "ambiguous flags status",
    ),
    "summary": (
        schemas.SUMMARY,
        "run_id calls_processed calls_excluded trades_count avg_return_bps median_return_bps p25_return_bps "
        "p75_return_bps p90_return_bps win_rate profit_factor stop_out_rate avg_max_adverse_excursion_bps "
        "avg_time_exposed_ms avg_tail_capture median_tail_capture mean_worst_bps mean_best_bps ambiguous_rate",
    ),
    "frontier": (
        frontier(("sl", "tp")),
        "run_id caller_name trial_id policy_params tp sl meets_constraints objective_score avg_return_bps "
        "median_return_bps stop_out_rate rank",
    ),
    "errors": (schemas.ERRORS, "run_id timestamp level phase call_id message details"),
}


@pytest.mark.parametrize("artifact", CONTRACT)
def test_the_contract_columns_come_first_and_in_order(artifact):
    schema, names = CONTRACT[artifact]
    expected = names.split()

    assert expected == schema.names[: len(expected)]


def test_every_schema_has_distinct_columns_and_a_place():
    every = [*schemas.FIXED.values(), paths((1.2, 20.0)), trials(tuple(schemas.PARAMETERS)), frontier(())]
    repeated = [schema for schema in every if len(set(schema.names)) != len(schema.names)]

    assert [] == repeated
    assert set() == set(schemas.FIXED) - set(schemas.PATHS)


@pytest.mark.parametrize(
    ("multiple", "name"),
    [(2, "2x"), (10.0, "10x"), (1.2, "1_2x"), (1.05, "1_05x"), (100, "100x"), (1e16, f"1{'0' * 16}x")],
)
def test_a_multiple_has_one_name(multiple, name):
    assert name == multiple_name(multiple)


@pytest.mark.parametrize("multiple", [1.0, 0.5, -2, float("nan"), float("inf")])
def test_a_multiple_not_above_one_is_refused(multiple):
    with pytest.raises(ValueError, match="above 1"):
        multiple_name(multiple)


def test_extra_multiples_add_all_their_columns_once():
    added = set(paths((2.0, 1.2, 1.2)).names) - set(paths().names)
    expected = {
        *("hit_1_2x", "t_1_2x_ms", "t_1_2x_lo_ms", "dd_pre_1_2x", "dd_pre_1_2x_opt", "dd_pre_1_2x_or_horizon"),
        *("dd_after_1_2x", "dd_after_1_2x_opt"),
    }

    assert expected == added


def test_parameters_are_columns_of_the_registry_in_its_order():
    schema = trials(("time_stop_ms", "tp"))

    assert ["tp", "time_stop_ms"] == schema.names[3:5]
    assert pa.int64() == schema.field("time_stop_ms").type
    with pytest.raises(ValueError, match=r"unknown parameters \['take'\]"):
        trials(("take",))


def test_a_table_is_in_schema_order_with_nan_and_masks_as_null():
    masked = np.ma.array([1, 2], mask=[False, True])
    schema = pa.schema([*SMALL, ("m", pa.int64()), ("f", pa.float64())])
    found = table(schema, {"f": masked, "m": masked, "x": np.array([np.nan, 2.5]), "n": np.arange(2)}, "r1")
    expected = [
        {"run_id": "r1", "n": 0, "x": None, "m": 1, "f": 1.0},
        {"run_id": "r1", "n": 1, "x": 2.5, "m": None, "f": None},
    ]

    assert expected == found.to_pylist()
    assert schema == found.schema


def test_a_table_takes_arrow_columns_lists_and_whole_columns_of_one_value():
    chunked = pa.chunked_array([[1.0], [float("nan"), None]])
    schema = pa.schema([("x", pa.float64()), ("y", pa.float64()), ("t", pa.string()), ("none", pa.int64())])
    found = table(schema, {"x": chunked, "y": [1, None, float("nan")], "t": "1m", "none": None})
    expected = {"x": [1.0, None, None], "y": [1.0, None, None], "t": ["1m"] * 3, "none": [None] * 3}

    assert expected == found.to_pydict()


def test_an_empty_table_has_the_schema():
    found = table(SMALL, {"n": np.empty(0, np.int64), "x": []}, "r1")

    assert (0, SMALL) == (found.num_rows, found.schema)


@pytest.mark.parametrize(
    ("columns", "run_id", "message"),
    [
        ({"n": [1]}, "r", r"missing: \['x'\]"),
        ({"n": [1], "x": [1.0], "y": [1]}, "r", r"unknown: \['y'\]"),
        ({"n": [1], "x": [1.0]}, None, r"missing: \['run_id'\]"),
        ({"n": [1], "x": [1.0], "run_id": ["other"]}, "r", r"unknown: \['run_id'\]"),
        ({"n": [1, 2], "x": [1.0]}, "r", "x has 1 rows; the others have 2"),
        ({"n": [1, None], "x": [1.0, 2.0]}, "r", "n has 1 missing values"),
        ({"n": np.array([1.5]), "x": [1.0]}, "r", "column n: .*1.5"),
        ({"n": np.array([np.nan]), "x": [1.0]}, "r", "column n: "),
        ({"n": [1], "x": ["high"]}, "r", "column x: .*high"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, run_id, message):
    with pytest.raises(ValueError, match=message):
        table(SMALL, columns, run_id)


def test_nan_beside_a_mask_is_null():
    column = np.ma.array([1.0, np.nan, 3.0], mask=[False, False, True])
    made = table(pa.schema([("x", pa.float64())]), {"x": column})

    assert [1.0, None, None] == made["x"].to_pylist()
