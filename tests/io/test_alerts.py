import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from highwater.io import schemas
from highwater.io.alerts import AlertFilter, read_alerts
from highwater.io.errors import DataError, SchemaError
from hypothesis import given
from hypothesis import strategies as st
from small_alerts import T, call_id, column, parquet, rows

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "alerts"


def test_schema_defaults_and_identity(tmp_path):
    batch = read_alerts(parquet(tmp_path / "a.parquet"))
    expected = {
        "call_id": call_id("solana", "M1", T, "a"),
        "mint": "M1",
        "caller_name": "a",
        "chain": "solana",
        "alert_ts_ms": T,
        "created_at": "2023-11-14T22:13:20.123Z",
        "alert_id": None,
        "alert_price": None,
        "mcap_usd": None,
    }

    assert schemas.ALERTS == batch.table.schema
    assert expected == batch.table.to_pylist()[0]
    assert (str(tmp_path / "a.parquet"), 3, 3) == (batch.place, batch.counts["read"], batch.counts["kept"])


def test_order_of_rows_does_not_matter(tmp_path):
    data = pa.table(rows(mint=["M2", "M1", "M1"], alert_ts_ms=[T, T, T], caller_name=["a", "b", "a"]))
    pq.write_table(data, tmp_path / "a.parquet")
    pq.write_table(data.take([2, 0, 1]), tmp_path / "b.parquet")
    one, two = read_alerts(tmp_path / "a.parquet"), read_alerts(tmp_path / "b.parquet")

    assert [("M1", "a"), ("M1", "b"), ("M2", "a")] == list(
        zip(column(one, "mint"), column(one, "caller_name"), strict=True)
    )
    assert one.table.equals(two.table)


def test_aliases(tmp_path):
    data = {"Token_Address": ["M"], "Trigger_TS_ms": [T], "trigger_from_name": [None], "CHAIN": ["BSC"], "Price": [2.0]}
    pq.write_table(pa.table(data), tmp_path / "a.parquet")
    batch = read_alerts(tmp_path / "a.parquet")

    assert [["M"], [T], [""], ["BSC"], [2.0]] == [
        column(batch, name) for name in ("mint", "alert_ts_ms", "caller_name", "chain", "alert_price")
    ]
    assert [call_id("bsc", "M", T, "")] == column(batch, "call_id")


@pytest.mark.parametrize("id_column", ["call_id", "alert_id", "id"])
def test_given_ids_are_kept_as_text(tmp_path, id_column):
    batch = read_alerts(parquet(tmp_path / "a.parquet", **{id_column: [7, 8, 9]}))

    assert ["7", "8", "9"] == column(batch, "call_id")


def test_incomplete_ids_are_not_ids(tmp_path):
    batch = read_alerts(parquet(tmp_path / "a.parquet", alert_id=["7", None, "9"]))

    assert call_id("solana", "M1", T, "a") == column(batch, "call_id")[0]
    assert ["7", None, "9"] == column(batch, "alert_id")


def test_id_that_occurs_twice_is_refused_even_where_filtered_away(tmp_path):
    path = parquet(tmp_path / "a.parquet", alert_id=[17, 18, 17])
    with pytest.raises(SchemaError, match=r"alert_id 17 occurs twice \(rows 1 and 3\)") as caught:
        read_alerts(path, filter=AlertFilter(to_ms=T + 1))

    assert ("E_DUP_ALERT", 2) == (caught.value.code, caught.value.exit_code)


def test_same_alert_twice_is_one(tmp_path):
    path = parquet(tmp_path / "a.parquet", mint=["M"] * 3, alert_ts_ms=[T] * 3, caller_name=["a", "a", "b"])
    batch = read_alerts(path)

    assert (1, 2, ["a", "b"]) == (batch.counts["duplicates"], batch.counts["kept"], column(batch, "caller_name"))


@pytest.mark.parametrize(
    ("keep", "kept", "reason"),
    [
        (AlertFilter(from_ms=T + 1), ["M2", "M3"], "outside_period"),
        (AlertFilter(to_ms=T + 2), ["M1", "M2"], "outside_period"),
        (AlertFilter(callers=("a", "b")), ["M1", "M2"], "other_caller"),
        (AlertFilter(chain="SOLANA"), ["M1", "M3"], "other_chain"),
        (AlertFilter(mcap_min=10), ["M1", "M3"], "mcap"),
        (AlertFilter(mcap_max=10), ["M1"], "mcap"),
    ],
)
def test_filters(tmp_path, keep, kept, reason):
    path = parquet(tmp_path / "a.parquet", chain=["solana", "bsc", "Solana"], mcap_usd=[10.0, None, 99.0])
    batch = read_alerts(path, filter=keep)

    assert kept == column(batch, "mint")
    assert 3 - len(kept) == batch.counts[reason]
    assert batch.counts["read"] == sum(n for name, n in batch.counts.items() if name != "read")


def test_nothing_left_is_an_empty_batch(tmp_path):
    batch = read_alerts(parquet(tmp_path / "a.parquet"), filter=AlertFilter(from_ms=T + 9))

    assert (schemas.ALERTS, 0, 3) == (batch.table.schema, batch.table.num_rows, batch.counts["outside_period"])


def test_rows_without_time_or_mint_are_counted(tmp_path):
    batch = read_alerts(parquet(tmp_path / "a.parquet", mint=["M", None, "N"], alert_ts_ms=[None, T, T]))

    assert (1, 1, ["N"]) == (batch.counts["bad_time"], batch.counts["no_mint"], column(batch, "mint"))


def test_bad_cell_is_named(tmp_path):
    (tmp_path / "alerts.csv").write_text(f"mint,alert_ts_ms\nA,{T}\nB,{T}\nC,soon\n")
    with pytest.raises(DataError) as caught:
        read_alerts(tmp_path / "alerts.csv")

    expected = "alerts.csv:4: alert_ts_ms is 'soon'; it must be an integer, milliseconds since 1970 UTC, or an ISO time"
    assert f"{tmp_path}/{expected}" == str(caught.value)


@pytest.mark.parametrize(("scale", "unit"), [(10**-3, "s"), (10**3, "us"), (10**6, "ns")])
def test_other_unit_is_refused_and_then_told(tmp_path, scale, unit):
    values = [int(t * scale) for t in (T, T + 1000, T + 2000)]
    path = parquet(tmp_path / "a.parquet", alert_ts_ms=values)
    with pytest.raises(SchemaError, match=f"Pass --alert-unit {unit}") as caught:
        read_alerts(path)
    told = column(read_alerts(path, time_unit=unit), "alert_ts_ms")

    assert ("E_TIME_UNIT", 2) == (caught.value.code, caught.value.exit_code)
    assert [T // 1000] * 1 == [told[0] // 1000]


def test_seconds_are_shown_as_the_date_they_would_be(tmp_path):
    path = parquet(tmp_path / "a.parquet", alert_ts_ms=[1_700_000_000] * 3)
    with pytest.raises(SchemaError) as caught:
        read_alerts(path)

    expected = f"{path}: alert_ts_ms looks like seconds (1700000000 = 1970-01-20). Pass --alert-unit s."
    assert expected == str(caught.value)


def test_one_wild_time_is_counted_not_fatal(tmp_path):
    ts = [T, 0, T + 1, 2**62, T + 2]
    path = parquet(tmp_path / "a.parquet", mint=["M1", "M2", "M3", "M4", "M5"], alert_ts_ms=ts, caller_name=None)
    batch = read_alerts(path)

    assert (2, ["M1", "M3", "M5"]) == (batch.counts["bad_time"], column(batch, "mint"))


WORDS = st.one_of(st.none(), st.sampled_from(["", "a", "A", "B"]), st.text(max_size=3))
CHAINS = st.sampled_from([None, "", "Solana", "solana", "BSC", "İ"])
TIMES = st.sampled_from([None, T, T + 1])


@given(st.lists(st.tuples(WORDS, TIMES, WORDS, CHAINS), max_size=8), st.sampled_from(["", "SOLANA", "i̇"]))
def test_any_rows_are_read_as_a_plain_loop_does(tmp_path_factory, given, chain):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    names = ("mint", "alert_ts_ms", "caller_name", "chain")
    blank = dict.fromkeys(names)
    path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in [*given, blank.values()]))
    expected = {}
    for mint, ts, caller, named in given:
        named = named or "solana"
        if ts and mint and chain.lower() in ("", named.lower()):
            key = call_id(named.lower(), mint, ts, caller or "")
            expected.setdefault(key, (ts, mint, caller or "", key, named))
    batch = read_alerts(path, filter=AlertFilter(chain=chain))
    found = [column(batch, name) for name in ("alert_ts_ms", "mint", "caller_name", "call_id", "chain")]

    assert sorted(expected.values()) == list(zip(*found, strict=True))


def test_missing_column_names_those_found(tmp_path):
    (tmp_path / "a.csv").write_text("who,when\nA,1\n")
    with pytest.raises(
        SchemaError, match=r"no column 'mint' \(or token_address, symbol, token, ticker\); found: who, when"
    ):
        read_alerts(tmp_path / "a.csv")


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.exists(), reason="the market data are not beside this checkout")
class TestRealFiles:
    @pytest.mark.parametrize(
        ("name", "kept"),
        [
            ("pump_calls_with_candles", 157),
            ("pump_calls_systemslab", 1023),
            ("pump_calls_pdlogs", 1005),
            ("pumpfun_launches_with_candles", 198),
            ("solana_calls_raw_2025nov", 109),
            ("solana_paperbot_entries_2026aug", 1201),
            ("derived_bittrex_btc_1m_2018jan_alerts", 42),
            ("derived_alts_btc_5m_2018feb_may_alerts", 39),
        ],
    )
    def test_every_alert_is_read(self, name, kept):
        batch = read_alerts(SHARED / f"{name}.parquet")

        assert (kept, kept, kept) == (batch.counts["read"], batch.table.num_rows, len(set(column(batch, "call_id"))))

    def test_time_of_day_alone_is_refused(self):
        path = SHARED / "signals_time_only_dirty.csv"
        with pytest.raises(DataError) as caught:
            read_alerts(path)

        expected = "time is '20:48'; it must be an integer, milliseconds since 1970 UTC, or an ISO time"
        assert f"{path}:2: {expected}" == str(caught.value)
