"""The seven examples of the run-backtest guide, as they are typed: on made-up candles, on local files, on a server
that behaves as Yahoo does (of the last weeks: minutes of 2024 are what Yahoo has no more). And what may go wrong."""

import json
import re
import socket
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import documents
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from highwater.engine.cli import main
from highwater.engine.session.calendar import hours
from highwater.engine.session.config import Instrument
from highwater.io.sources import tries
from highwater.io.sources.sessions import Walk, make
from market_server import serving

MINUTE = 60_000
EXAMPLES = [
    "--symbols SPY --start 2024-01-02 --end 2024-01-31",
    "--symbols SPY QQQ IWM --start 2024-01-02 --end 2024-03-31",
    "--symbols SPY --start 2024-01-02 --end 2024-06-30 --cache",
    "--symbols SPY --start 2024-01-02 --end 2024-03-31 --config my_config.yaml",
    "--symbols SPY --start 2024-01-02 --end 2024-01-10 --synthetic",
    "--symbols SPY QQQ --start 2024-01-02 --end 2024-03-31 --validate-or",
    """--symbols SPY QQQ IWM --start 2024-01-02 --end 2024-12-31
       --config production.yaml --cache --report --validate-or --verbose""",
]
MY_CONFIG = re.findall(r"```yaml\n(.*?)```", documents.SESSIONS.read_text(), re.DOTALL)[0]  # the guide's own
each = pytest.mark.parametrize("typed", EXAMPLES, ids=range(1, 8))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_config.yaml").write_text(MY_CONFIG)
    (tmp_path / "production.yaml").write_text('governance:\n  time_cutoff: "13:30"\n')
    return tmp_path


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    """Return a folder with a file of minutes of 2024 for each symbol."""
    folder = tmp_path_factory.mktemp("year")
    of = hours(Instrument(symbol="SPY"), date(2024, 1, 2), date(2025, 1, 1))
    for symbol in ("SPY", "QQQ", "IWM"):
        write(folder / f"{symbol}.parquet", make(symbol, of.open, of.close, MINUTE, Walk()))
    return folder


def write(path, bars, rows=slice(None), shift=0):
    columns = {name: part[rows] for name, part in zip(("timestamp", *bars._fields[1:]), bars, strict=True)}
    pq.write_table(pa.table(columns | {"timestamp": columns["timestamp"] + shift}), path)
    return path


def backtest(*words):
    return main(["backtest", *words])


def held(typed, here, printed, cached=True):
    """Hold the screens and the files of an example against the guide's."""
    words = typed.split()
    symbols = words[1 : words.index("--start")]
    lines = printed.splitlines()

    assert all(len(line) <= 80 for line in lines if "run_id" not in line and "from cache/" not in line)
    screens = ["ORB Confluence Strategy - Backtest Runner", "Backtest Summary", "Per-Symbol Results", "Win Rate"]
    screens += ["Sharpe", "Aggregated Results", "Total Symbols", "Total Trades", "Total R", "Average R per Trade"]
    for text in (*screens, "Backtest Complete", "✓ Results saved to: runs/backtest_2", "✓ Run ID: "):
        assert text in printed
    assert set(symbols) == {found[1] for line in lines if (found := re.match(r"│ │ ([A-Z]+) +│ +[1-9]", line))}
    (folder,) = here.glob("runs/backtest_*")
    wanted = {f"{symbol}_{what}" for symbol in symbols for what in ("trades.parquet", "metrics.json", "equity.parquet")}
    wanted |= {f"{symbol}_report.html" for symbol in symbols if "--report" in words}
    wanted |= {"all_trades.parquet", "all_trades.csv", "combined_equity.parquet", "config.json", "backtest_run.log"}
    assert wanted == {path.name for path in folder.iterdir()}
    assert re.fullmatch(r"backtest_\d{8}_\d{6}", folder.name)
    config = json.loads((folder / "config.json").read_text())
    assert symbols == config["symbols"]
    assert config["settings"]["orb"]["base_minutes"] == (30 if "my_config.yaml" in words else 15)
    if cached:
        assert ("--cache" in words) == any(here.glob(f"cache/SPY_{config['start']}_{config['end']}_*.parquet"))
    assert ("sessions are not complete" in printed) == ("--validate-or" in words)


@each
def test_on_made_up_candles(typed, here, capsys):
    code = backtest(*typed.split(), *(() if "--synthetic" in typed else ("--synthetic",)))
    printed, said = capsys.readouterr()

    assert not code
    held(typed, here, printed)
    steps = ["Loading configuration...", "Data fetched for ", "Completed ", "Aggregating results..."]
    assert steps == [step for step in steps if step in said]


@each
def test_on_local_files(typed, year, here, capsys):
    words = [word for word in typed.split() if word != "--synthetic"]
    code = backtest(*words, "--quiet", "--data", str(year))
    printed, said = capsys.readouterr()

    assert (0, "") == (code or 0, said)
    held(" ".join(words), here, printed, cached=False)


@pytest.fixture
def yahoo(monkeypatch, tmp_path_factory):
    yfinance = pytest.importorskip("yfinance")
    yfinance.set_tz_cache_location(str(tmp_path_factory.mktemp("yfinance")))
    with serving() as server:
        monkeypatch.setenv("HIGHWATER_YAHOO_URL", server.at)
        yield server


@pytest.fixture
def waits(monkeypatch):
    noted = []
    monkeypatch.setattr(tries, "time", SimpleNamespace(sleep=noted.append))
    return noted


def of_late(typed):
    """Return an example with the last three whole weeks that Yahoo has minutes of."""
    today = datetime.now(UTC).date()
    monday = today - timedelta(days=today.weekday())
    days = f"--start {monday - timedelta(days=21)} --end {monday - timedelta(days=1)}"
    return re.sub(r"--start \S+ --end \S+", days, typed)


@each
def test_on_a_server_that_behaves_as_yahoo_does(typed, yahoo, here, capsys):
    typed = of_late(typed)
    code = backtest(*typed.split(), "--quiet")
    printed, said = capsys.readouterr()

    assert (0, "") == (code or 0, said)
    held(typed, here, printed)
    asked = {symbol for symbol, _ in yahoo.asked}
    assert asked == (set() if "--synthetic" in typed else set(typed.split()[1 : typed.split().index("--start")]))
    if "--cache" in typed:
        count = len(yahoo.asked)
        backtest(*typed.split(), "--quiet")
        assert count == len(yahoo.asked)


@pytest.mark.parametrize("typed", [EXAMPLES[0], EXAMPLES[6]])
def test_minutes_that_yahoo_has_no_more_are_named_before_it_is_asked(typed, yahoo, capsys):
    code = backtest(*typed.split(), "--quiet")
    said = capsys.readouterr().err

    assert 2 == code and [] == yahoo.asked
    assert "Yahoo has 1m candles of the last 30 days only" in said and "--data FILE" in said
    assert 1 == len(said.splitlines())


WEEKS = of_late(EXAMPLES[0]).split()


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ((429, 1), 75, "refused after 4 tries: too many requests"),
        (500, 74, "failed after 4 tries with HTTP 500"),
        ("cut", 74, "could not be read after 4 tries"),
        ("empty", 3, "Yahoo has no 1m candle of 'SPY'"),
    ],
)
def test_a_server_that_fails_is_one_line(fault, code, says, yahoo, waits, capsys):
    yahoo.faults = [fault] * 16
    found = backtest(*WEEKS, "--quiet")
    said = capsys.readouterr().err

    assert code == found
    assert says in said and 1 == len(said.splitlines())


def test_no_network_is_one_line(monkeypatch, waits, capsys):
    pytest.importorskip("yfinance")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HIGHWATER_YAHOO_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
        code = backtest(*WEEKS, "--quiet")
    said = capsys.readouterr().err

    assert 74 == code
    assert "look to the network" in said and "--synthetic" in said and 1 == len(said.splitlines())


def test_an_unknown_symbol_leaves_the_others(yahoo, waits, capsys):
    words = of_late(EXAMPLES[0].replace("SPY", "SPY NOPE")).split()
    code = backtest(*words, "--quiet")
    printed = capsys.readouterr().out

    assert not code
    assert "No data fetched for NOPE: " in printed and "may be delisted" in printed
    assert 3 == backtest(*words[:1], "NOPE", *words[3:], "--quiet")
    assert "no candles of 'NOPE'" in capsys.readouterr().err


# Files that are not as they should be; days of January.
JANUARY = ["--symbols", "SPY", "--start", "2024-01-02", "--end", "2024-01-31"]


def on_file(path, *more):
    return backtest(*JANUARY, "--data", str(path), "--json", "--quiet", *more)


def part(year, here, rows, shift=0):
    """Return a file with some of the rows of January, their times shifted by so many ms."""
    table = pq.read_table(year / "SPY.parquet").slice(0, 21 * 390).take(pa.array(rows))
    times = pa.array(table["timestamp"].to_numpy() + shift)
    pq.write_table(table.set_column(0, "timestamp", times), here / "SPY.parquet")
    return here / "SPY.parquet"


def test_gaps_in_the_opening_range_are_named_and_can_be_skipped(year, here, capsys):
    rows = [row for row in range(21 * 390) if row not in range(390 * 4 + 2, 390 * 4 + 9)]
    path = part(year, here, rows)
    backtest(*JANUARY, "--data", str(path), "--quiet", "--validate-or")
    printed = capsys.readouterr().out
    backtest(*JANUARY, "--data", str(path), "--quiet", "--validate-or", "skip_day", "--output-dir", "skipped")
    skipped = capsys.readouterr().out

    assert "1 of 20 sessions are not complete; " in printed
    assert "SPY 2024-01-08  383/390 candles, range 8/15: range_incomplete, range_hole" in printed
    assert "1 of 20 sessions are not complete, 1 skipped; " in skipped
    (log,) = here.glob("runs/backtest_*/backtest_run.log")
    assert "WARNING  SPY 2024-01-08 is not complete: 383 of 390 candles, range 8 of 15" in log.read_text()


def test_times_of_another_clock_are_refused_though_some_fall_within_sessions(year, here, capsys):
    path = part(year, here, range(21 * 390), shift=-5 * 60 * MINUTE)
    code = on_file(path)
    said = capsys.readouterr().err

    assert 3 == code
    assert "their times look like America/New_York local time (off by 5 h)" in said and 1 == len(said.splitlines())


def test_rows_that_come_twice_count_once(year, here, capsys):
    results = []
    for rows in (range(21 * 390), [0, 0, *range(21 * 390), 5, 5]):
        on_file(part(year, here, sorted(rows)))
        results.append(json.loads(capsys.readouterr().out))

    assert results[0]["symbols"] == results[1]["symbols"]
    assert [[], ["SPY: 4 candles came twice"]] == [found["notes"] for found in results]


@pytest.mark.parametrize(
    ("wrong", "says", "flag"),
    [
        ("descending", "row 1 at 2024-01-31T20:58Z follows 2024-01-31T20:59Z", ("--on-unsorted", "sort")),
        ("conflict", "two different bars at 2024-01-02T14:37Z", ("--on-dup-conflict", "first")),
    ],
)
def test_rows_that_cannot_stand_are_refused_with_the_flag_that_takes_them(wrong, says, flag, year, here, capsys):
    table = pq.read_table(part(year, here, range(21 * 390)))
    on_file(here / "SPY.parquet")
    plain = json.loads(capsys.readouterr().out)["symbols"]
    other = table.slice(7, 1).set_column(4, "close", pa.array(table["low"].to_numpy()[7:8]))
    wrongs = {
        "descending": table.take(pa.array(range(21 * 390 - 1, -1, -1))),
        "conflict": pa.concat_tables([table.slice(0, 8), other, table.slice(8)]),
    }
    pq.write_table(wrongs[wrong], here / "SPY.parquet")
    code = on_file(here / "SPY.parquet")
    said = capsys.readouterr().err

    assert 3 == code and 1 == len(said.splitlines())
    assert says in said and " ".join(flag) in said
    assert not on_file(here / "SPY.parquet", *flag)
    assert plain == json.loads(capsys.readouterr().out)["symbols"]
