import json
import re

import pytest
from haas_server import at_hand, fast, labs
from highwater.io.labs.pace import Pace


@pytest.fixture
def server(tmp_path, monkeypatch):
    with at_hand(tmp_path, monkeypatch) as state:
        yield state


def test_cutoffs_are_asked_for_kept_exported_and_imported(server, capsys, tmp_path):
    assert 0 == labs("cutoffs")
    assert "holds no cutoff" in capsys.readouterr().out
    (market,) = server.markets
    assert 0 == fast("cutoffs", market, "--export", "out/cutoffs.csv")
    assert re.search(rf"{market} +2025-05-03T00:00Z +1 +9", capsys.readouterr().out)
    asked = len(server.asked)
    assert 0 == labs("cutoffs", "--import", "out/cutoffs.csv", "--file", "other.json", "--json")

    assert {market: "2025-05-03T00:00:00Z"} == json.loads(capsys.readouterr().out)
    assert asked == len(server.asked)
    assert (tmp_path / "data" / "history_cutoffs.json").is_file() and (tmp_path / "other.json").is_file()


def test_a_market_without_history_is_named(server, capsys):
    assert 3 == fast("cutoffs", "KRAKEN_BTC_EUR_")

    assert "KRAKEN_BTC_EUR_: 127.0.0.1:" in (err := capsys.readouterr().err) and "--months" in err
    (market,) = server.markets
    assert 0 == fast("cutoffs", market, "--months", "36")
    assert re.search(rf"{market} .* 36 ", capsys.readouterr().out)


def test_a_damaged_file_is_said_and_recovered(server, capsys, tmp_path):
    (market,) = server.markets
    fast("cutoffs", market)
    fast("cutoffs", market)
    path = tmp_path / "data" / "history_cutoffs.json"
    path.write_text("{")
    capsys.readouterr()
    assert 0 == labs("cutoffs")
    out, err = capsys.readouterr()

    assert market in out
    assert "history_cutoffs.json is damaged; took data/history_cutoffs.backups/" in err


def test_what_was_found_stays_where_the_server_goes_away(server, capsys, monkeypatch):
    monkeypatch.setattr(Pace, "rest", lambda self, seconds: None)
    (market,) = server.markets
    server.faults["GET_CHART"] = [None, *[503] * 9]
    server.markets["KRAKEN_ETH_EUR_"] = server.markets[market]
    assert 74 == fast("cutoffs", market, "KRAKEN_ETH_EUR_")
    capsys.readouterr()
    assert 0 == labs("cutoffs", "--json")

    assert [market] == list(json.loads(capsys.readouterr().out))


def test_what_may_yet_change_and_what_no_server_said_is_noted(server, capsys, tmp_path):
    (market,) = server.markets
    server.synchronised = 2
    assert 0 == fast("cutoffs", market)
    assert f"{market}: not synchronised yet, so ask again later\n" == capsys.readouterr().err
    (tmp_path / "old.csv").write_text(
        "market_tag,cutoff_date,discovery_date,precision_hours\nBINANCE_BTC_USDT_,2022-11-13T21:58:10,2025-08-08,23\n"
    )
    assert 0 == labs("cutoffs", "--import", "old.csv")

    assert "BINANCE_BTC_USDT_: old.csv does not say that a server was asked\n" == capsys.readouterr().err
