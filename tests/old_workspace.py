"""An older workspace of traces, as its engines left them: metadata.json, and one Parquet file a strategy."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

START = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
TRACE = [(0, 1, 470.5), (45, 0, 471.2), (127, -1, 469.8)]


def rows(trace, symbol, strategy, **columns):
    """Return a file's table: times are ISO texts, and more columns may be given or taken (None)."""
    made = {
        "idx": [idx for idx, _, _ in trace],
        "ts": [(START + timedelta(minutes=5 * idx)).isoformat() for idx, _, _ in trace],
        "sym": [symbol] * len(trace),
        "val": [val for _, val, _ in trace],
        "strat": [strategy] * len(trace),
        "px": [px for _, _, px in trace],
    }
    return pa.table({name: values for name, values in (made | columns).items() if values is not None})


def put(folder, path, table):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / path)


def component(strategy_type, kind="strategy", **parameters):
    """Return what metadata.json says of a strategy in the later form."""
    given = {"_strategy_type": "strategy_0", **parameters}
    return {
        "type": kind,
        "strategy_type": strategy_type,
        "symbol": "SPY_5m",
        "timeframe": "1m",
        "parameters": given,
        "strategy_hash": "d738d0a9b9b1",
        "full_config": {"type": strategy_type, "parameters": given},
    }


def write(folder):
    """Write a workspace of files that can be brought over, some without their parameters, and some that cannot."""
    bands = component("bollinger_bands", period=20, std_dev=2.0, exit_threshold=0.0013)
    crossing = component("sma_crossover", fast=10, slow=30)
    filtered = component("bollinger_bands", period=25)
    filtered["full_config"]["filter"] = "volume > 100"
    components = {
        "SPY_5m_strategy_0": bands,
        "SPY_5m_strategy_1": crossing,
        "SPY_5m_strategy_2": filtered,
        "SPY_5m_strategy_3": component("bollinger_bands"),
        "SPY_5m_strategy_4": component("no_such_rule", period=7),
        "SPY_trend": {
            "component_type": "classifier",
            "strategy_type": "trend",
            "signal_file_path": "traces/SPY_1m/signals/trend/SPY_trend.parquet",
            "parameters": {},
        },
    }
    names = [("bollinger_bands", 0), ("sma_crossover", 1), ("bollinger_bands", 2), ("bollinger_bands", 3), ("other", 4)]
    for kind, i in names:
        path = f"traces/SPY_5m/signals/{kind}/SPY_5m_{kind}_{i}_1234.parquet"
        put(folder, path, rows(TRACE, "SPY_5m", f"SPY_5m_strategy_{i}"))
    put(folder, "traces/QQQ_5m/signals/bollinger_bands/QQQ_0.parquet", rows(TRACE, "QQQ", "SPY_5m_strategy_9"))
    put(folder, "traces/SPY_1m/signals/trend/SPY_trend.parquet", rows(TRACE, "SPY", "SPY_trend"))
    put(folder, "traces/SPY_1m/classifiers/hmm/x.parquet", rows(TRACE, "SPY", "x", val=["up", "down", "up"]))
    put(folder, "traces/SPY_1m/signals/words/x.parquet", rows(TRACE, "SPY", "x", val=["up", "down", "up"]))
    put(folder, "traces/SPY_1m/signals/bad/back.parquet", rows(TRACE, "SPY", "x", idx=[0, 45, 7]))
    put(folder, "traces/SPY_1m/signals/bad/two.parquet", rows(TRACE, "SPY", "x", val=[1, 2, 0]))
    put(folder, "traces/SPY_1m/signals/bad/no_px.parquet", rows(TRACE, "SPY", "x", px=None))
    put(folder, "traces/SPY/signals/bad/x.parquet", rows(TRACE, "SPY", "x"))
    (folder / "traces/SPY_1m/signals/bad/text.parquet").write_bytes(b"no table")
    told = {"workflow_id": "old", "total_bars": 16614, "stored_changes": 15, "components": components}
    (folder / "metadata.json").write_text(json.dumps(told))
    return folder
