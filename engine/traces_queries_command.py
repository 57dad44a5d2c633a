"""The commands that find strategies and their traces in the runs that were made."""

from pathlib import Path
from typing import Literal

from .places import Runs, Slices

_RUNS = Path("runs")


def query(
    *,
    type: str | None = None,  # noqa: A002
    where: list[str] | None = None,
    sort: str | None = None,
    ascending: bool = False,
    limit: int = 20,
    runs: Runs = _RUNS,
    json: bool = False,
) -> int | None:
    """List the strategies of all runs that fit: by type, by parameter, by what they earned; of the newest run first.

    A condition is NAME=VALUE, or with != < <= > >= for the =; names are columns of strategies (highwater catalog sql
    'DESCRIBE strategies'), null is what is not known: --where period=20 std_dev=2.0 'sharpe>1.5' constraints=null.

    Args:
        type: Only strategies of this type: bollinger_bands, ensemble, composite.
        where: Conditions, all of which must hold.
        sort: Sort by this column, the highest first.
        ascending: Sort the lowest first.
        limit: Strategies to print.
        runs: Directory of runs.
        json: Print one JSON document instead of text.
    """
    from .traces import answers
    from .traces.index import list_strategies

    found = list_strategies(runs, type, where or (), sort, ascending, limit + 1)
    more = f"there are more than {limit:,}; --limit raises that" if found.num_rows > limit else ""
    return answers.strategies(found.slice(0, limit), json, more)


def find(
    what: list[str],
    *,
    type: str | None = None,  # noqa: A002
    runs: Runs = _RUNS,
    json: bool = False,
) -> int | None:
    """Find strategies by exact parameters (period=20 std_dev=2.0), or by hash or trace key, of which 4 digits will do.

    Args:
        what: Parameters as NAME=VALUE, all of which must fit; or one hash.
        type: Only strategies of this type.
        runs: Directory of runs.
        json: Print one JSON document instead of text.
    """
    from ..io.errors import UsageError
    from .traces import answers
    from .traces.index import find_by_digest, list_strategies

    if len(what) == 1 and not set("=<>") & set(what[0]):
        found = find_by_digest(runs, what[0], type)
        return answers.strategies(found, json)
    if wrong := next((word for word in what if "=" not in word or set("<>!") & set(word.partition("=")[0])), None):
        raise UsageError(f"'{wrong:.60}' must be NAME=VALUE, or a hash alone; highwater traces query --where compares")
    return answers.strategies(list_strategies(runs, type, what), json)


def load(
    strategy: str,
    *,
    run: str | None = None,
    symbol: str | None = None,
    format: Literal["table", "csv", "parquet"] = "table",  # noqa: A002
    output: Path | None = None,
    limit: int = 20,
    runs: Runs = _RUNS,
    slices: Slices | None = None,
    candles: Path | None = None,
) -> int | None:
    """Read a trace back: its changes with the times and closes of their candles.

    Args:
        strategy: A hash or trace key, of which 4 digits will do, or with --run the id of a strategy.
        run: The run it is of: its id, the start or end of one (4 characters or more), or "latest".
        symbol: The series it is of, where a strategy has traces on several.
        format: How to print or write it.
        output: Write it into this file, .csv or .parquet, instead of printing it.
        limit: Rows to print as a table.
        runs: Directory of runs.
        slices: Directory of slices, for the candles (default: .slices beside the runs).
        candles: Read this file of candles instead; it must hold the same.
    """
    from .traces import answers
    from .traces.load import Places, load_trace

    form = answers.checked(format, output)
    return answers.loaded(load_trace(runs, strategy, run, symbol, Places(slices, candles)), form, output, limit)


def show(file: Path, *, limit: int = 10, json: bool = False) -> int | None:
    """Say what the trace in a file is of: which strategy, on which candles, from which run.

    Args:
        file: A Parquet file of one strategy, found anywhere.
        limit: Rows to print.
        json: Print one JSON document instead of text.
    """
    from ..io.traces import read_signals
    from .traces import answers
    from .traces.show import document

    told, rows = read_signals(file)
    if json:
        print(document({"metadata": told, "rows": rows.num_rows}))
        return None
    answers.print_trace(dict(told), rows, limit)
    return None


def duplicates(*, limit: int = 50, runs: Runs = _RUNS, json: bool = False) -> int | None:
    """List the strategies that several runs hold, by their hash.

    Args:
        limit: Strategies to print.
        runs: Directory of runs.
        json: Print one JSON document instead of text.
    """
    from .traces import answers
    from .traces.index import find_duplicates

    return answers.duplicates(find_duplicates(runs, limit), json)


def parameters(type: str, *, runs: Runs = _RUNS, json: bool = False) -> int | None:  # noqa: A002
    """Say how the parameters of the strategies of a type vary over all runs: unique, least, most, mean, how often.

    Args:
        type: The type: bollinger_bands, sma_crossover.
        runs: Directory of runs.
        json: Print one JSON document instead of text.
    """
    from .traces import answers
    from .traces.index import parameters as spreads

    return answers.parameters(type, spreads(runs, type), json)


def compare(strategies: list[str], *, runs: Runs = _RUNS, json: bool = False) -> int | None:
    """Put side by side what strategies earned, on every series and in every run that has them.

    Args:
        strategies: Hashes, of which 4 digits will do.
        runs: Directory of runs.
        json: Print one JSON document instead of text.
    """
    from .traces import answers
    from .traces.index import find_by_digest

    return answers.comparison([find_by_digest(runs, each) for each in strategies], json)
