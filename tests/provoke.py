"""Ways to provoke faults: each makes one in a folder and returns the words of a command that meets it."""

import pyarrow as pa
import pyarrow.parquet as pq
import small_market
from highwater.io.runs import find_run, read_artifact
from small_market import EARLY, Market, by_token, run, tables


def mint(number):
    return list(by_token(tables()[0]))[number]


def command(folder, *words, name="baseline"):
    """Return the words of a command on the market of a folder."""
    market = Market(folder / "candles.parquet", folder / "alerts.parquet")
    market = market if market.alerts.exists() else small_market.write(folder)
    return [name, *market.flags, "--runs", folder / "runs", "--quiet", *words]


def flags(*words, name="strategy"):
    return lambda folder: command(folder, *words, name=name)


def candles(change, *words):
    """Provoke by a change of one sound series, the rows of which ``change`` takes and returns."""

    def provoke(folder):
        series = by_token(tables()[0])
        series[mint(EARLY)] = change(series[mint(EARLY)])
        rows = [row for rows in series.values() for row in rows]
        small_market.write(folder, pa.Table.from_pylist(rows, tables()[0].schema))
        return command(folder, *words)

    return provoke


def candle(**cells):
    """Provoke by other cells in one candle."""
    return candles(lambda rows: [*rows[:20], rows[20] | cells, *rows[21:]])


def whole(change, *words):
    """Provoke by a change of the table of candles."""

    def provoke(folder):
        small_market.write(folder, change(tables()[0]))
        return command(folder, *words)

    return provoke


def cast(name, kind):
    """Provoke by another type of a column."""
    return whole(lambda table: table.set_column(table.schema.get_field_index(name), name, table[name].cast(kind)))


def alerts(change, *words):
    """Provoke by a change of the rows of alerts."""

    def provoke(folder):
        rows = change(tables()[1].to_pylist())
        schema = tables()[1].schema if not rows or rows[0].keys() == set(tables()[1].schema.names) else None
        small_market.write(folder, None, pa.Table.from_pylist(rows, schema=schema))
        return command(folder, *words)

    return provoke


def each_alert(*words, **change):
    return alerts(lambda rows: [row | {name: new(row[name]) for name, new in change.items()} for row in rows], *words)


def callers(*names):
    """Provoke by the names of callers, in turn."""
    return alerts(lambda rows: [row | {"caller_name": names[i % len(names)]} for i, row in enumerate(rows)])


def config(text, suffix=".yaml"):
    """Provoke by a config file."""

    def provoke(folder):
        file = folder / f"settings{suffix}"
        file.write_text(text)
        return command(folder, "--config", file)

    return provoke


def scaled(rows, unit):
    return [row | {"alert_ts_ms": row["alert_ts_ms"] // unit} for row in rows]


def twice(rows):
    return [row | {"alert_id": str(i % (len(rows) - 1))} for i, row in enumerate(rows)]


def partitions(folder):
    """Tokens that are digits, in partitions whose names a reader could take for one number."""
    market, names = small_market.write(folder), {mint(EARLY): "012", mint(EARLY + 1): "12"}
    for token, name in names.items():
        part = folder / "parts" / f"token_address={name}"
        part.mkdir(parents=True)
        rows = [row | {"token_address": name} for row in by_token(tables()[0])[token]]
        table = pa.Table.from_pylist(rows, tables()[0].schema)
        pq.write_table(table.drop_columns(["token_address"]) if name == "012" else table, part / "data.parquet")
    calls = [row | {"mint": names[row["mint"]]} for row in tables()[1].to_pylist() if row["mint"] in names]
    pq.write_table(pa.Table.from_pylist(calls, tables()[1].schema), market.alerts)
    return [folder / "parts" if word == str(market.candles) else word for word in command(folder)]


def starred(folder):
    """A candle file whose name is a pattern that fits another file too."""
    words = instead("a*b.parquet", small_market.write(folder).candles.read_bytes())(folder)
    write(folder / "axb.parquet", b"not Parquet")
    return words


def instead(name, data=None):
    """Provoke by another file of candles, or by none."""

    def provoke(folder):
        if data is not None:
            write(folder / name, data)
        words = command(folder)
        return [folder / name if word == str(folder / "candles.parquet") else word for word in words]

    return provoke


def write(path, data):
    path.write_bytes(data)
    return path


def paths_of(folder, words):
    """Return the paths of the run that a command makes, without its id."""
    assert 0 == run(*words).code

    return read_artifact(find_run(folder / "runs", "latest").path, "paths").drop_columns(["run_id"])
