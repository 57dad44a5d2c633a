import pytest
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
