"""A few candles in files of every format, for tests of reading them."""

import gzip

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq

START = 1_700_000_040_000


def table(tokens=("B", "A", "B", "A"), ts=None, **changed):
    """Two minutes of each token, interleaved, unless said otherwise."""
    seen: dict = {}
    when = []
    for token in tokens:
        seen[token] = seen.get(token, -1) + 1
        when.append(START + 60_000 * seen[token])
    n = len(tokens)
    cells = {
        "token_address": list(tokens),
        "timestamp": pa.array(when if ts is None else ts, pa.timestamp("ms")),
        "open": [1.0] * n,
        "high": [2.0] * n,
        "low": [0.5] * n,
        "close": [1.5] * n,
        "volume": [10.0] * n,
    }
    cells.update(changed)
    return pa.table({name: cell for name, cell in cells.items() if cell is not None})


def written(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name
    if name.endswith(".parquet"):
        pq.write_table(data, path)
    elif name.endswith(".feather"):
        pyarrow.feather.write_feather(data, path)
    elif name.endswith(".ipc"):
        with pa.ipc.new_stream(path, data.schema) as out:
            out.write_table(data)
    elif name.endswith(".csv.gz"):
        with gzip.open(path, "wb") as out:
            pyarrow.csv.write_csv(data, out)
    else:
        pyarrow.csv.write_csv(data, path)
    return path


def shape(found):
    return found.tokens, found.offsets.tolist(), found.candles.ts.tolist(), found.interval_ms


PLAIN = (("A", "B"), [0, 2, 4], [START, START + 60_000] * 2, 60_000)
