import duckdb
import pytest
from highwater.engine.traces.where import Clause, clause, sql_of
from highwater.io.errors import UsageError
from highwater.io.sql import quoted_name
from hypothesis import given
from hypothesis import strategies as st

KINDS = {"period": "BIGINT", "std_dev": "DOUBLE", "symbol": "VARCHAR", "slow": "BOOLEAN", "strategy_hash": "VARCHAR"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("period=20", Clause("period", "=", 20.0)),
        ("period == 20", Clause("period", "=", 20.0)),
        ("PERIOD>=20", Clause("period", ">=", 20.0)),
        ("std_dev != 2.5", Clause("std_dev", "!=", 2.5)),
        ("std_dev<-1e-3", Clause("std_dev", "<", -0.001)),
        ("symbol=SPY", Clause("symbol", "=", "SPY")),
        ("symbol='BTC USDT'", Clause("symbol", "=", "BTC USDT")),
        ("symbol=''", Clause("symbol", "=", "")),
        ("symbol=a=b", Clause("symbol", "=", "a=b")),
        ("symbol='null'", Clause("symbol", "=", "null")),
        ("symbol!=null", Clause("symbol", "!=", None)),
        ("period=NULL", Clause("period", "=", None)),
        ("slow=true", Clause("slow", "=", True)),
        ("slow != False", Clause("slow", "!=", False)),
    ],
)
def test_a_condition_is_a_name_a_sign_and_a_value(text, found):
    assert found == clause(text, KINDS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("period", r"--where is 'period'; it must be NAME=VALUE, or with != < <= > >="),
        ("=20", "must be NAME=VALUE"),
        ("period~20", "must be NAME=VALUE"),
        ("period=20 OR 1=1", "period=20 OR 1=1': it must be a finite decimal number"),
        ("period=nan", "it must be a finite decimal number"),
        ("period=", "it must be a finite decimal number"),
        ("peroid=20", "no strategy has 'peroid'; did you mean 'period'"),
        ("zzz=20", "no strategy has 'zzz'; there are period, slow, std_dev, strategy_hash, symbol"),
        ("period>null", "null is compared with = or != only"),
        ("slow=2", "it must be = or != and true, false or null"),
        ("slow>true", "it must be = or != and true, false or null"),
        ("symbol=", "the value is missing; an empty text is ''"),
    ],
)
def test_anything_else_is_refused_with_a_remedy(text, message):
    with pytest.raises(UsageError, match=message):
        clause(text, KINDS)


def answered(texts, rows):
    """Return what DuckDB finds among rows of (period, std_dev, symbol, slow, strategy_hash)."""
    condition, given = sql_of([clause(text, KINDS) for text in texts])
    with duckdb.connect() as database:
        columns = ", ".join(f"{quoted_name(name)} {kind}" for name, kind in KINDS.items())
        database.execute(f"CREATE TABLE t ({columns})")
        database.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
        return database.execute(f"SELECT period FROM t WHERE {condition} ORDER BY 1", given).fetchall()


ROWS = [(1, 0.5, "SPY", True, "ab12"), (2, None, "QQQ", False, "ab99"), (3, 2.5, None, None, None)]


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([], [1, 2, 3]),
        (["period>1", "period<3"], [2]),
        (["std_dev=null"], [2]),
        (["symbol!=null", "slow=true"], [1]),
        (["strategy_hash=ab"], [1, 2]),
        (["strategy_hash=ab1"], [1]),
        (["strategy_hash!=ab1"], [2]),
        (["symbol='; DROP TABLE t; --"], []),
    ],
)
def test_all_conditions_must_hold(texts, found):
    assert found == [period for (period,) in answered(texts, ROWS)]


@given(st.text(max_size=30))
def test_no_value_is_read_as_sql(text):
    condition, given = sql_of([Clause("symbol", "=", text)])

    assert 'true AND "symbol" = $value0' == condition
    assert {"value0": text} == given
