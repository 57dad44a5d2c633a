import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shared_market import DATA, document, needs_data
from small_market import run

START, STEP = 1_700_000_040_000, 60_000
SIGNALS = """
import numpy as np

def rising(candles):
    return np.append(False, candles.close[1:] > candles.close[:-1])

def ahead(candles):
    return np.append(candles.close[1:], np.nan)

def of_its_close(candles):
    return candles.close > candles.open

def short(candles):
    return candles.close[1:]

def fails(candles):
    raise ZeroDivisionError("too few")

def no_nan(candles):
    if np.isnan(candles.close).any():
        raise ValueError("nan")
    return candles.close
"""


def series(token, count, seed):
    draws = np.random.RandomState(seed).uniform(0.99, 1.01, count)
    close = 100 * np.cumprod(draws)
    rows = {"token": [token] * count, "ts": pa.array(START + STEP * np.arange(count), pa.timestamp("ms"))}
    return rows | {"open": close / draws, "high": close * 1.02, "low": close * 0.97, "close": close, "volume": draws}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SIGNALS)
    pq.write_table(pa.table(series("A", 400, 1)), "a.parquet")
    three = [pa.table(series(*given)) for given in (("A", 400, 1), ("B", 300, 2), ("C", 2, 3))]
    pq.write_table(pa.concat_tables(three), "three.parquet")
    return tmp_path


def asked(signal, *words, candles="a.parquet"):
    return run("check", "lookahead", f"mine.py:{signal}", "--candles", candles, *words)


def test_a_clean_signal():
    assert (0, "clean: 400 bars, 64 cuts, 4 kinds of future\n", "") == asked("rising")
    done = asked("rising", "--futures", "cut,nan", "--cuts", "8")
    assert (0, "clean: 400 bars, 8 cuts, 2 kinds of future\n", "") == done


def test_a_leak_is_told_and_is_exit_code_4():
    done = asked("ahead", "--warmup", "10", "--futures", "cut")

    assert (4, "") == (done.code, done.err)
    assert done.out.startswith("LEAKS: at bar 10 (2023-11-14T22:24Z) the value ")
    assert done.out.endswith(" becomes nan when the candles after it are cut off\n")
    assert 1 == done.out.count("\n")


def test_what_is_known_at_the_close_is_not_at_the_open():
    assert 0 == asked("of_its_close").code
    done = asked("of_its_close", "--known", "open")
    assert 4 == done.code
    assert "when all after the open of it is" in done.out


def test_every_series_is_asked_or_the_one_named():
    done = asked("rising", candles="three.parquet")
    assert 0 == done.code
    assert (
        "clean: 2 series, 700 bars, 64 cuts each, 4 kinds of future\n"
        "1 series without 3 usable candles left out\n" == done.out
    )
    assert "clean: 300 bars" in asked("rising", "--token", "B", candles="three.parquet").out
    assert asked("ahead", candles="three.parquet").out.startswith("LEAKS: A, at bar 0 ")
    done = asked("rising", "--token", "C", candles="three.parquet")
    assert (3, "highwater: no series has 3 usable candles\n") == (done.code, done.err)


def test_json():
    clean = json.loads(asked("rising", "--json").out)
    done = asked("ahead", "--json", "--futures", "cut")

    assert (True, 400, 64, None) == (clean["clean"], clean["bars"], clean["cuts"], clean["leak"])
    assert 4 == done.code
    leak = json.loads(done.out)["leak"]
    assert ("A", 0, START, "cut", None) == tuple(leak[name] for name in ("token", "bar", "ts", "future", "after"))


@pytest.mark.parametrize(
    ("signal", "says"),
    [
        ("risign", "mine.py has no risign; did you mean 'rising'?"),
        ("short", "short: asked about the whole series, it returned 399 values for 400 candles"),
        ("fails", "fails: asked about the whole series, it raised ZeroDivisionError: too few"),
        ("no_nan", "no_nan: asked about candles NaN after bar 0, it raised ValueError: nan; leave a future out with"),
    ],
)
def test_what_cannot_be_asked_is_one_line(signal, says):
    done = asked(signal)

    assert (2, "") == (done.code, done.out)
    assert done.err.startswith(f"highwater: {says}")
    assert 1 == done.err.count("\n")


def trades(*rows, name="trades.csv", token=True):
    heads = ["token", "entry_bar", "entry_price", "exit_bar", "exit_price"]
    lines = [",".join(map(str, row)) for row in (heads, *rows)]
    with open(name, "w") as out:  # noqa: PTH123
        out.write("\n".join(lines if token else [line.partition(",")[2] for line in lines]) + "\n")
    return name


def held(*rows, candles="three.parquet", words=(), **how):
    return run("check", "trades", trades(*rows, **how), "--candles", candles, *words)


def bars():
    return pq.read_table("a.parquet").to_pydict()


def test_trades_that_are_possible():
    a = bars()
    done = held(("A", START, a["close"][0], START + STEP, a["low"][1]))

    assert (0, "1 trades, 1 possible as recorded\n", "") == done


def test_trades_that_are_not():
    a = bars()
    rows = [("A", START + i * STEP, a["close"][i], START + i * STEP, a["high"][i]) for i in range(15)]
    rows += [("A", START, a["close"][0], START + STEP, 500), ("D", START, 1, START, 1)]
    rows += [("A", START, a["close"][0], "", "")]
    done = held(*rows)

    assert (4, "") == (done.code, done.err)
    assert [
        "18 trades, 0 possible as recorded",
        "hindsight   15 left before they were entered",
        "exit price  1 left at a price that the candle did not reach",
        "no candle   1 entered or left where there is no candle",
        "open        1 without an exit or a price",
    ] == done.out.splitlines()[:5]
    assert "and 7 more; --limit shows them" == done.out.splitlines()[-1]
    assert max(map(len, done.out.splitlines())) <= 80
    found = json.loads(held(*rows, words=["--json"]).out)
    assert (18, 15, 17) == (found["trades"], found["counts"]["hindsight"], len(found["impossible"]))
    assert ("hindsight", 1) == (found["impossible"][0]["why"], found["impossible"][0]["trade"])


def test_trades_of_one_series_need_no_token():
    a = bars()
    row = ("", START, a["close"][0], START, a["high"][0])

    assert 4 == held(row, candles="a.parquet", token=False).code
    assert 0 == held(row, candles="a.parquet", token=False, words=["--entered", "open"]).code
    done = held(row, token=False)
    assert (2, "highwater: the trades name no token and the candles are of 3; choose one with --token\n") == (
        done.code,
        done.err,
    )
    assert 4 == held(row, token=False, words=["--token", "A"]).code


def test_slippage_in_recorded_prices():
    a = bars()
    row = ("A", START, a["high"][0] * 1.004, START + STEP, a["close"][1])

    assert [4, 0] == [held(row, words=words).code for words in ([], ["--tolerance-bps", "50"])]


class TestSpecimen:
    pytestmark = needs_data

    def test_the_published_list_is_refused(self, tmp_path):
        cases = document("lookahead_specimen_spy5m")["cases"]
        (tmp_path / "published.jsonl").write_text("\n".join(map(json.dumps, cases)))
        done = run("check", "trades", "published.jsonl", "--candles", DATA / "candles" / "spy_5m_2024.parquet")

        assert 4 == done.code
        assert done.out.startswith("67 trades, 27 possible as recorded\nhindsight   40 left before they were entered\n")
