import json

import pytest
from haas_server import LAB
from highwater.io.errors import DataError
from highwater.io.labs import made_up
from highwater.io.labs.charts import fetch_charts, kept_charts
from highwater.io.labs.store import lab_records, writing
from highwater.io.labs.sync import sync


def test_one_chart_of_a_market_is_kept_and_read_as_candles(server, client, tmp_path):
    sync(client, tmp_path, LAB)
    where, market = client.access.server, made_up.MARKET

    assert (market,) == fetch_charts(client, tmp_path, LAB)
    assert () == fetch_charts(client, tmp_path, LAB)
    assert 1 == server.count("GET_BACKTEST_CHART")
    assert 1 == sum("chart" in each.parts for each in lab_records(tmp_path, where, LAB).backtests)
    found = kept_charts(tmp_path, where, LAB).candles
    minutes = [server.labs[0].start + 60 * i for i in range(150)]

    assert ((market,), 60_000) == (found.tokens, found.interval_ms)
    assert [1000 * at for at in minutes] == found.candles.ts.tolist()
    assert [made_up.candle(market, at) for at in minutes] == [
        *zip(*(e.tolist() for e in found.candles[1:]), strict=True)
    ]


def test_a_chart_that_was_not_fetched_is_asked_for(client, tmp_path):
    sync(client, tmp_path, LAB)
    with pytest.raises(DataError, match=f"no chart of {made_up.MARKET} is kept; fetch one with .* --charts"):
        kept_charts(tmp_path, client.access.server, LAB)


def kept(folder, *charts):
    """Keep a lab of a backtest a chart, each on a market of its own."""
    with writing(folder, "h:1", "lab") as out:
        number = out.begin_listing("{}")
        for i, (market, chart) in enumerate(charts):
            out.seen(f"b{i}", json.dumps({"SE": {"marketTag": market}}).encode(), finished=True)
            out.add(f"b{i}", "chart", json.dumps(chart).encode())
        out.end_listing(number, 1)
    return kept_charts(folder, "h:1", "lab")


def chart(market, candles, interval=1):
    price = {"Market": market, "Interval": interval, "Candles": candles}
    return {"Charts": {"-1": {"PricePlot": {"Market": None, "Candles": {}}}, "0": {"PricePlot": price}}}


BAR = {"O": 2.0, "H": 3.0, "L": 1.0, "C": 2.5, "V": 7.0}


def test_each_market_is_a_series_and_what_is_no_candle_is_a_hole(tmp_path):
    broken = {"1000000000": BAR, "1000000060": BAR | {"O": None}, "1000000120": "soon", "1000000180": BAR, "now": BAR}
    found = kept(tmp_path, ("B", chart("B", broken)), ("A", chart("A", {"1000000060": BAR})))

    assert (("A", "B"), [0, 1, 3]) == (found.candles.tokens, found.candles.offsets.tolist())
    assert [1_000_000_060_000, 1_000_000_000_000, 1_000_000_180_000] == found.candles.candles.ts.tolist()
    assert 2 == len(set(found.digests))


@pytest.mark.parametrize("sent", [[], {}, {"Charts": {"0": None}}, chart("B", {"1000000000": BAR}), chart("A", {})])
def test_a_chart_without_candles_of_its_market_is_refused(tmp_path, sent):
    with pytest.raises(DataError, match="the chart of A that the server sent has no candles"):
        kept(tmp_path, ("A", sent))


def test_a_lab_that_names_no_market_has_no_charts(tmp_path):
    with pytest.raises(DataError, match="no finished backtest that names its market"):
        kept(tmp_path, (None, {}))
