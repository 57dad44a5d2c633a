import numpy as np
from highwater.engine.session.metrics import merged, metrics_of
from highwater.engine.session.prepare import OK, ready_on
from highwater.engine.session.tables import factor_columns, sessions_of, tables_of
from highwater.engine.session.walk import walk
from highwater.io import session_schemas
from session_lands import every, land

CONFIG = every(
    factors={"vwap": {"enabled": True}}, orb={"enable_validity_filter": True, "adaptive": True, "short_or_minutes": 5}
)
LANDS = [land(1), land(2, 40, "QQQ")]
WALKED = [walk(each.symbol, ready_on(each.ground, CONFIG), CONFIG) for each in LANDS]


def test_every_table_has_its_schema():
    found = tables_of(WALKED, CONFIG, "run")

    for kind, table in found.items():
        assert session_schemas.FIXED[kind] == table.schema
        assert {"run"} == set(table["run_id"].to_pylist())
        assert table.num_rows > 0


def test_trades_of_all_symbols_are_in_the_order_of_their_exits():
    rows = tables_of(WALKED, CONFIG, "run")["session_trades"].to_pylist()

    assert sorted(rows, key=lambda row: (row["exit_timestamp"], row["entry_timestamp"], row["symbol"])) == rows
    assert {"SPY", "QQQ"} == {row["symbol"] for row in rows}


def test_metrics_are_of_each_symbol_and_of_all():
    rows = tables_of(WALKED, CONFIG, "run")["symbols"].to_pylist()
    wanted = [metrics_of(each.trades, sessions_of([each]), 100_000.0) for each in WALKED]
    wanted.append(metrics_of(merged([each.trades for each in WALKED]), sessions_of(WALKED), 100_000.0))

    assert ["SPY", "QQQ", None] == [row["symbol"] for row in rows]
    for row, metrics in zip(rows, wanted, strict=True):
        assert metrics == {name: row[name] for name in metrics}


def test_equity_of_all_symbols_is_summed_by_exit():
    rows = tables_of(WALKED, CONFIG, "run")["equity"].to_pylist()
    whole = [row for row in rows if row["scope"] == "combined"]

    assert {"SPY", "QQQ", "combined"} == {row["scope"] for row in rows}
    assert 2 * len(whole) == len(rows)
    np.testing.assert_allclose(np.cumsum([row["realized_r"] for row in whole]), [row["cumulative_r"] for row in whole])
    assert sorted(row["exit_timestamp"] for row in whole) == [row["exit_timestamp"] for row in whole]


def test_sessions_are_days_with_candles_of_some_symbol():
    days = [{day for day, some in zip(each.ground.hours.days, each.ground.some, strict=True) if some} for each in LANDS]

    assert [len(each) for each in days] == [sessions_of([each]) for each in WALKED]
    assert len(days[0] | days[1]) == sessions_of(WALKED)


def test_the_range_stands_beside_a_candle_only_once_it_is_final():
    for each in WALKED:
        found, ready = factor_columns(each), each.ready
        for s in range(ready.ranges.first.size):
            first, start, last = (int(part[s]) for part in (ready.ranges.first, ready.ranges.start, ready.ranges.last))
            assert not found["or_finalized"][first:start].any()
            assert found["or_finalized"][start:last].all()
            assert np.isnan(found["or_high"][first:start]).all()
            assert (found["or_high"][start:last] == ready.ranges.high[s]).all() or start == first
            assert (found["or_valid"][first:last] == (ready.ranges.verdict[s] == OK)).all()


def test_a_break_stands_where_a_candle_touches_the_broken_price():
    found, ready = factor_columns(WALKED[0]), WALKED[0].ready
    rows = np.searchsorted(ready.bars.ts, WALKED[0].trades["entry_timestamp"])
    long = np.array(WALKED[0].trades["direction"]) == "long"

    assert found["breakout_long"][rows[long]].all()
    assert found["breakout_short"][rows[~long]].all()
    assert not (found["breakout_long"] & ~found["or_finalized"]).any()


def test_factors_that_do_not_count_are_null():
    table = tables_of(WALKED, CONFIG, "run")["factors"]

    assert table.num_rows == table["adx_long"].null_count == table["adx"].null_count
    assert 0 == table["vwap_long"].null_count
