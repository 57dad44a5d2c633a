import io

from highwater.engine import show
from highwater.engine.labs import live
from highwater.io.labs.watching import Row, Snapshot
from rich.console import Console

ROW = Row("54464da9-40c8", 2, 11, 44.0, 7990.55, 409.8, 858.9)
NONE = Row("x", None, None, None, None, None, None)
SNAPSHOT = Snapshot("caed4df4", "My [lab]", True, 12, 25, 11, 31.25, (ROW, NONE))


def test_a_line_tells_how_far_it_is():
    assert "My [lab]: running, 12 of 25 backtests, 31.2 a minute, 11 kept" == live.head(SNAPSHOT)


def test_a_terminal_gets_one_table_that_changes(monkeypatch):
    out = Console(file=io.StringIO(), force_terminal=True, width=80, markup=False)
    monkeypatch.setattr(show, "console", lambda: out)
    with live.showing(False) as shown:
        shown(SNAPSHOT)
        shown(SNAPSHOT)
    text = out.file.getvalue()

    assert "54464da9-40c8" in text and "+7,990.55" in text and "+858.9%" in text
    assert "\x1b[" in text


def test_quiet_shows_nothing(capsys):
    with live.showing(True) as shown:
        shown(SNAPSHOT)

    assert "" == capsys.readouterr().out
