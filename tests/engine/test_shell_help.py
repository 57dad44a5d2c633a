import inspect

import pytest
from fire import docstrings
from highwater.engine.cli import TREE
from highwater.engine.shell_help import parameters
from shell_tree import SEEN, call
from shell_tree import alone as alone  # a fixture of every test

BASELINE_HELP = """\
Usage: highwater baseline --from TIME [FLAGS]

Path metrics of every alert.

Nothing is traded: what is measured is the path of the price after each alert,
up to the horizon of it.

Flags:
  --from TIME                 First day, from midnight UTC on. Required.
  --horizon DURATION          How long each alert is followed. Default 48h.
  --max-entry-delay DURATION
  --sl NUMBER
  --tp RANGE
  --order sl_first|tp_first   Default sl_first.
  --symbols TEXT...
  --mint TEXT
  --trials INT                Default 100.
  --no-cache                  Measure again what was measured before.
  --json
  --source TEXT               Also --database, --calls-from.
  --store [PATH]              Where it goes. Without a value: results/store.
  --config FILE               Values of flags, from a .yaml, .json or .toml
                              file.
  --debug                     Print where an error came from.
  -h, --help                  Print this.
"""
GROUP_HELP = """\
Usage: highwater COMMAND [FLAGS]

  baseline  Path metrics of every alert.
  runs      Commands: show, path-only
  tool      A command with a config of its own.

More: highwater COMMAND --help
"""


NEGATED = {
    "--no-cache": "Cut the slice and measure the path metrics anew, instead of taking those of an earlier run.",
    "--no-guards": "Leave out the verdict on whether the winner is luck.",
    "--no-memory": "Trade again after a stop or a target before the signal has changed.",
    "--no-performance": "Make the traces only; do not trade them.",
}


def commands(tree):
    for node in tree.values():
        yield from commands(node) if isinstance(node, dict) else [node]


def test_the_help_of_a_switch_that_is_on_says_what_switching_it_off_does():
    said = {}
    for function in commands(TREE):
        about = {each.name: each.description for each in docstrings.parse(inspect.getdoc(function)).args or ()}
        for each in parameters(function):
            if each.is_switch and each.default is True:
                said.setdefault(each.negation, set()).add(" ".join(about[each.name].split()))

    assert {flag: {text} for flag, text in NEGATED.items()} == said


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--help"], GROUP_HELP),
        (["-h"], GROUP_HELP),
        (["baseline", "--help"], BASELINE_HELP),
        (["baseline", "--horizn", "--sl", "-h"], BASELINE_HELP),
        (["--version"], "highwater 1.2.3\n"),
        (["runs", "-v"], "highwater 1.2.3\n"),
    ],
)
def test_help_and_version_go_to_stdout(capsys, argv, expected):
    code = call(*argv)

    assert (0, expected, "") == (code, *capsys.readouterr())
    assert not SEEN


def test_positional_words_have_their_own_help(capsys):
    assert 0 == call("runs", "show", "--help")
    out = capsys.readouterr().out
    assert "Usage: highwater runs show RUN [OTHERS...] [FLAGS]\n" in out
    assert "Arguments:\n  RUN     Its id.\n  OTHERS\n" in out


def test_a_group_without_a_word_prints_its_commands(capsys):
    assert 2 == call()
    assert ("", GROUP_HELP) == capsys.readouterr()


def test_every_line_of_help_fits_a_terminal(capsys):
    call("baseline", "--help")
    widest = max(map(len, capsys.readouterr().out.splitlines()))

    assert widest <= 80
