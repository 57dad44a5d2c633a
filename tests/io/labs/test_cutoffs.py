import json
import subprocess
import sys
from dataclasses import replace

import pytest
from highwater.io.errors import BusyError, DataError, MissingError, UsageError
from highwater.io.labs import cutoffs as kept
from highwater.io.labs.cutoffs import Cutoff, backups, discover, export, later_start, load, read, save
from highwater.io.locks import give_back, take

MARKET = "BINANCE_BTC_USDT_"
ONE = Cutoff(
    *(MARKET, "2022-11-13T21:00:00Z", "2025-08-08T10:00:00Z", 1.0, "BINANCE", "BTC", "USDT"),
    {"discovery_method": kept.METHOD, "max_months": 9, "status": 3, "server": "127.0.0.1:8090"},
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "history_cutoffs.json"


def test_a_cutoff_is_the_first_candle_the_server_has(server, client):
    (market,) = server.markets
    server.markets["KRAKEN_ETH_EUR_"] = (server.now, 3)
    found = dict(discover(client, [market, "KRAKEN_ETH_EUR_", "NONE_A_B_", "btc"], 60))
    first, months = server.markets[market]

    assert first * 1000 == found[market].first_ms
    assert (months, 3) == tuple(found[market].discovery_metadata[name] for name in ("max_months", "status"))
    assert ("BINANCEFUTURES", "UNI", "USDT") == (
        *(found[market].exchange, found[market].primary_asset, found[market].secondary_asset),
    )
    assert "no candle of KRAKEN_ETH_EUR_" in found["KRAKEN_ETH_EUR_"]
    assert "no history of NONE_A_B_" in found["NONE_A_B_"]
    assert "'btc' is no market" in found["btc"]


def test_without_markets_all_that_are_synchronised_are_asked_for(server, client):
    assert list(server.markets) == [market for market, _ in discover(client, [])]


def test_what_is_saved_is_read_in_the_layout_of_the_guide(path):
    save({MARKET: ONE}, path)
    found = json.loads(path.read_text())

    assert ONE == read(path).cutoffs[MARKET]
    assert {"version", "created", "last_updated", "revision", "cutoffs"} == found.keys()
    assert ("1.0", 1, MARKET) == (found["version"], found["revision"], found["cutoffs"][MARKET]["market_tag"])


def test_a_new_cutoff_replaces_the_old_one_which_stays_on_record(path):
    save({MARKET: ONE}, path)
    later = replace(ONE, cutoff_date="2023-01-01T00:00:00Z", discovery_date="2025-09-01T00:00:00Z")
    save({MARKET: later}, path)
    found = read(path)

    assert (2, later.cutoff_date) == (found.revision, found.cutoffs[MARKET].cutoff_date)
    assert ({"cutoff_date": ONE.cutoff_date, "discovery_date": ONE.discovery_date},) == found.cutoffs[MARKET].earlier
    save({MARKET: later}, path)
    assert 1 == len(read(path).cutoffs[MARKET].earlier)


def test_ten_backups_are_kept(path):
    for _ in range(14):
        save({MARKET: ONE}, path)

    assert 10 == len(backups(path))
    assert [*range(4, 14)] == [json.loads(each.read_text())["revision"] for each in backups(path)]


@pytest.mark.parametrize("data", [b"", b"{", b'{"version": "1.0", "cutoffs": {"x": 1}}', b"[]", b"\xff\x00"])
def test_a_damaged_file_is_recovered_from_its_newest_backup(path, data):
    save({MARKET: ONE}, path)
    save({MARKET: ONE}, path)
    path.write_bytes(data)
    found = read(path)

    assert {MARKET: ONE} == found.cutoffs
    assert "is damaged" in found.note and "took" in found.note
    backups(path)[-1].write_bytes(b"too")
    assert "began anew" in read(path).note
    save({MARKET: ONE}, path)
    assert ("", {MARKET: ONE}) == (read(path).note, read(path).cutoffs)
    assert [data] == [each.read_bytes() for each in path.parent.glob("*.damaged")]


def test_another_version_is_refused_and_left_alone(path):
    path.parent.mkdir()
    path.write_text('{"version": "2.0", "cutoffs": {}}')
    with pytest.raises(UsageError, match="is of version 2"):
        save({MARKET: ONE}, path)

    assert '{"version": "2.0", "cutoffs": {}}' == path.read_text()


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_an_export_can_be_imported(path, suffix):
    other = path.with_name(f"out{suffix}")
    export(save({MARKET: ONE}, path), other)

    assert {MARKET: ONE} == load(other)


def test_what_cannot_be_imported_is_named(path):
    path.parent.mkdir()
    with pytest.raises(UsageError, match=r"must end in .json or .csv"):
        export(read(path), path.with_suffix(".xml"))
    with pytest.raises(MissingError, match="does not exist"):
        load(path)
    other = path.with_suffix(".csv")
    other.write_text(f"market_tag,cutoff_date,discovery_date,precision_hours\n{MARKET},soon,2025-01-01,1\n")
    with pytest.raises(DataError, match=r"history_cutoffs.csv:2 is damaged"):
        load(other)


def test_a_file_of_the_origin_is_read_its_times_as_utc(path):
    path.parent.mkdir()
    fields = {
        **{"market_tag": MARKET, "cutoff_date": "2022-11-13T21:58:10.781250", "precision_hours": 23.4},
        **{"discovery_date": "2025-08-08T12:00:00", "exchange": "BINANCE", "primary_asset": "BTC"},
        **{"secondary_asset": "USDT", "discovery_metadata": {"tests_performed": 10, "discovery_method": "binary"}},
    }
    path.write_text(json.dumps({"version": "1.0", "created": "x", "last_updated": "x", "cutoffs": {MARKET: fields}}))

    assert "2022-11-13T21:58:10.781000Z" == read(path).cutoffs[MARKET].cutoff_date
    assert "binary" == read(path).cutoffs[MARKET].discovery_metadata["discovery_method"]


def test_a_start_before_the_cutoff_becomes_the_day_after_it():
    assert ONE.first_ms + 86_400_000 == later_start(ONE, ONE.first_ms - 1)
    assert ONE.first_ms == later_start(ONE, ONE.first_ms)


ADD = """
import sys
from dataclasses import replace
from pathlib import Path
from highwater.io.labs.cutoffs import Cutoff, save
for i in range(8):
    market = f"X{sys.argv[2]}_A{i}_B_"
    one = Cutoff(market, "2022-11-13T21:00:00Z", "2025-08-08T10:00:00Z", 1.0, market.split("_")[0], f"A{i}", "B")
    save({market: one}, Path(sys.argv[1]))
"""


def test_many_processes_lose_nothing_of_each_other(path):
    children = [subprocess.Popen([sys.executable, "-c", ADD, str(path), str(n)]) for n in range(3)]

    assert [0, 0, 0] == [each.wait() for each in children]
    assert (24, 24) == (read(path).revision, len(read(path).cutoffs))


def test_a_lock_that_is_not_given_back_is_waited_for_and_named(path, monkeypatch):
    monkeypatch.setattr(kept, "_PATIENCE_S", 0.1)
    path.parent.mkdir()
    lock = take(path)
    with pytest.raises(BusyError, match="another process is writing"):
        save({MARKET: ONE}, path)
    give_back(path, lock)
    save({MARKET: ONE}, path)

    assert 1 == read(path).revision
