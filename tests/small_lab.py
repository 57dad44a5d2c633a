"""Backtests of a lab as the server sends them, of positions that tests choose; and labs that are kept."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from highwater.io.labs import made_up
from highwater.io.labs.parse import lab_of, tables_of
from highwater.io.labs.store import writing

SERVER = "127.0.0.1:8090"
MARKET = made_up.MARKET
BALANCE = 10_000.0


def position(opened, closed, entry, exit_, amount=10.0, short=False, rate=0.0005, **more):
    """Return a closed position with one order a side, its arithmetic right; times in s."""
    gross = (entry - exit_ if short else exit_ - entry) * amount
    fees = [rate * price * amount for price in (entry, exit_)]
    order = {"a": amount, "af": amount, "t": 501, "fc": "USDT", "p": 0.0}
    enter = order | {"id": "e", "ot": opened, "ct": opened, "d": 4 if short else 2, "ep": entry, "p": entry}
    out = order | {"id": "x", "ot": closed, "ct": closed, "d": 5 if short else 3, "ep": exit_, "p": exit_}
    enter |= {"fe": fees[0], "m": entry * amount / 20, "pr": 0.0, "r": 0.0, "n": "LE"}
    out |= {"fe": fees[1], "m": exit_ * amount / 20, "pr": gross, "r": 0.0, "n": "TP"}
    known = {"g": "g", "ac": "account", "ma": MARKET, "le": 20.0, "d": 0, "pl": "USDT", "al": "UNI", "ic": True}
    known |= {"ot": opened, "ct": closed, "ap": entry, "fe": sum(fees), "rp": gross - sum(fees), "roi": 0.0}
    return known | {"eno": [enter], "exo": [out]} | more


def runtime(positions, balance=BALANCE, **more):
    """Return the runtime of a backtest with these closed positions, without envelope."""
    net, fees = sum(each["rp"] for each in positions), sum(each["fe"] for each in positions)
    margin = max((each["eno"][0]["m"] for each in positions if each["eno"]), default=0.0)
    report = {
        **{"AID": "account", "M": MARKET, "AL": "UNI", "ML": "USDT", "PL": "USDT"},
        "F": {"FC": fees, "FR": 0.0, "TFC": fees},
        "PR": {
            "SP": 5.0,
            "SB": balance + net,
            "PC": 2.0,
            "GP": net + fees,
            "RP": net,
            "UP": 0.0,
            "RM": margin,
            "ROI": 1.0,
        },
        "O": {"F": 2 * len(positions)},
        "P": {"C": len(positions), "W": sum(each["rp"] > 0 for each in positions)},
    }
    whole = {"Reports": {f"account_{MARKET}": report}, "AccountId": "account", "PriceMarket": MARKET, "Leverage": 20.0}
    whole |= {"ScriptId": "script", "ScriptName": "A script", "FinishedPositions": positions, "UnmanagedPositions": []}
    return whole | {"InputFields": {}} | more


def parts(data, envelope=True, **summary):
    """Return the parts of a backtest as they are kept, of its runtime."""
    body = {"Success": True, "Error": "", "Data": data} if envelope else data
    return {"runtime": json.dumps(body).encode(), "summary": json.dumps({"ST": 3, **summary}).encode()}


def tables(backtests, start=0, end=0):
    """Return the tables of a lab whose backtests have these positions; of its period, s, where it names one."""
    found = [(f"b{i}", parts(each if isinstance(each, dict) else runtime(each))) for i, each in enumerate(backtests)]
    return tables_of(lab_of("lab", {"SU": start, "EU": end, "CB": len(backtests)}), found)


def made_up_tables(count, **more):
    """Return a made-up lab, and its tables."""
    lab = made_up.MadeUpLab(backtests=count, **more)
    found = [
        (
            made_up.backtest_id(lab, i),
            parts(made_up.runtime(lab, i)) | {"summary": json.dumps(made_up.item(lab, i)).encode()},
        )
        for i in range(count)
    ]
    return lab, tables_of(lab_of(lab.lab, made_up.details(lab)), found)


def keep(store, lab):
    """Keep a made-up lab as ``labs sync`` does."""
    with writing(store, SERVER, lab.lab) as writer:
        number = writer.begin_listing(json.dumps(made_up.details(lab)))
        for i, name in enumerate(lab.ids()):
            body = {"Success": True, "Error": "", "Data": made_up.runtime(lab, i)}
            writer.seen(name, json.dumps(made_up.item(lab, i)).encode(), finished=True)
            writer.add(name, "runtime", json.dumps(body).encode())
        writer.end_listing(number, 1)


def write_candles(path, lab):
    """Write the minutes of a made-up lab's market as a Parquet file."""
    times = np.arange(lab.start, lab.end, 60)
    prices = np.array([made_up.candle(lab.market, int(at)) for at in times]).T
    columns = dict(zip(("open", "high", "low", "close", "volume"), prices, strict=True))
    ts = pa.array(times * 1000, pa.timestamp("ms"))
    pq.write_table(pa.table({"token_address": [lab.market] * times.size, "timestamp": ts, **columns}), path)
