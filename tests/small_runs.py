"""Runs on the small market, made by commands, and candles that change what comes out of them."""

import pyarrow as pa
from highwater.io.runs import find_run, read_artifact
from small_market import STEP, ms, run, tables


def made_by(words, market, runs):
    """Return the directory of the run that a command made."""
    done = run(*words, *market.flags, "--runs", runs, "--quiet")
    assert 0 == done.code, done.err
    return find_run(runs, "latest").path


def with_a_crash(run_of, after):
    """Return the candles with one that falls to a tenth, ``after`` candles into a trade, and the row of that trade."""
    alerts, found = (read_artifact(run_of, kind).to_pylist() for kind in ("alerts", "trades"))
    lives = (2 * after + 1) * STEP
    row = next(i for i, trade in enumerate(found) if trade["status"] == "OK" and trade["time_exposed_ms"] > lives)
    rows = tables()[0].to_pylist()
    when = found[row]["entry_ts_ms"] + after * STEP
    at = next(r for r in rows if r["token_address"] == alerts[row]["mint"] and ms(r["timestamp"]) == when)
    at["low"] = 0.1 * min(at["open"], at["close"])
    return pa.Table.from_pylist(rows, tables()[0].schema), row
