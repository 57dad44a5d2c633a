"""Runs of every type, small, and their pages as a browser would take them apart."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import small_lab
import small_market
import small_series
from highwater.io.labs import made_up
from highwater.io.runs import find_run

VOID = {"meta", "link", "input"}
HOSTILE = ("</script><script>alert(1)</script>", "<img src=x onerror=alert(2)>", '=HYPERLINK("x","y")', "a\x1b[31mb")
SESSION = ("--symbols", "SPY", "QQQ", "--start", "2024-01-02", "--end", "2024-02-01", "--synthetic", "--quiet")
ALERTS = {
    "path-only": ("baseline",),
    "policy": ("strategy", "--tp", "1.3", "--sl", "0.8", "--time-stop", "4h"),
    "search": ("sweep", "--tp", "1.05:2", "--sl", "0.5:0.95", "--trail", "0.05:0.4", "--trials", "120"),
    "surface": ("surface", "--tp", "1.1:2:0.1", "--sl", "0.5:0.9:0.1", "--trail", "0.1:0.3:0.1"),
}
OTHERS = {
    "session": ("backtest", *SESSION, "--validate-or", "--perturb"),
    "session search": (
        *("sweep", "--strategy", "orb", *SESSION, "--min-trades", "5", "--trials", "12"),
        *("--param", "orb.base_minutes=10,15,30", "trade.t1_r=0.5:1.5:0.5"),
    ),
}
KINDS = (*ALERTS, *OTHERS, "traces", "one trace", "lab")
ONE = '{"sma_crossover": {"fast_period": 5, "slow_period": 20}, "threshold": "volume > sma(volume, 20)"}'


def make(folder, kind):
    """Return the directory of a run of a kind, made below ``folder``, and that of its slices."""
    runs = folder / "runs"
    if kind in ALERTS:
        words = [*ALERTS[kind], *hostile_market(folder).flags, "--runs", runs, "--quiet"]
    elif kind == "lab":
        lab = made_up.MadeUpLab(backtests=30)
        small_lab.keep(folder / "labs", lab)
        small_lab.write_candles(folder / "minutes.parquet", lab)
        words = ["labs", "analyze", lab.lab, "--store", folder / "labs", "--candles", folder / "minutes.parquet"]
        words += ["--runs", runs, "--quiet"]
    elif kind in OTHERS:
        words = [*OTHERS[kind], "--runs", runs]
    else:
        candles = small_series.write(folder)
        asked = small_series.SWEEP if kind == "traces" else ONE
        words = ["traces", "run", "--candles", candles, "--strategies", asked, "--runs", runs, "--quiet"]
    done = small_market.run(*words)
    assert 0 == done.code, done.err
    return find_run(runs, "latest").path, runs / ".slices"


def hostile_market(folder):
    """Return the small market with names that must stay text for some of its callers."""
    alerts = small_market.tables()[1]
    names = alerts["caller_name"].to_pylist()
    every = sorted(set(names))
    renamed = dict(zip(every, HOSTILE, strict=False))
    i = alerts.column_names.index("caller_name")
    return small_market.write(folder, None, alerts.set_column(i, "caller_name", [[renamed.get(n, n) for n in names]]))


class Taken(HTMLParser):
    """A page taken apart: its tags and attributes, its text, the tables by heading, the data of its charts."""

    def __init__(self, text):
        super().__init__()
        self.page, self.open, self.tags, self.attributes, self.text, self.data = text, [], [], [], "", []
        self.heading, self.rows, self.codes = "", {}, {"script": "", "style": ""}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))
        if tag in ("h2", "h3"):
            self.heading = ""
        if tag == "tr":
            self.rows.setdefault(self.heading, []).append([])
        if tag in ("td", "th"):
            self.rows[self.heading][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        tag, attributes = self.open[-1] if self.open else ("", {})
        if tag in self.codes:
            if attributes.get("type") == "application/json":
                self.data.append(json.loads(data))
            else:
                self.codes[tag] += data
            return
        self.text += data
        names = [name for name, _ in self.open]
        if names[-1:] in (["h2"], ["h3"]):
            self.heading += data
        if {"td", "th"} & set(names):
            self.rows[self.heading][-1][-1] += data

    @property
    def policy(self):
        """The page's content security policy."""
        return re.search(r'Content-Security-Policy" content="([^"]*)"', self.page)[1].replace("&#39;", "'")

    def digest(self, name):
        """The digest of its script or style, as a policy names it."""
        return "sha256-" + base64.b64encode(hashlib.sha256(self.codes[name].encode()).digest()).decode()
