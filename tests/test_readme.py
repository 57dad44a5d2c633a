"""The README says what is true: its example runs and prints what it shows, its commands and flags exist."""

import contextlib
import io
import re
import shlex

import documents
import pytest
from highwater.engine.cli import TREE, main
from highwater.engine.shell_help import parameters

README = documents.README.read_text()


def leaves(tree, words=()):
    for word, node in tree.items():
        if isinstance(node, dict):
            yield from leaves(node, (*words, word))
        else:
            yield (*words, word), node
            yield from leaves(getattr(node, "words", {}), (*words, word))


def test_the_embedding_example_prints_what_it_shows():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    shown = code.rstrip().rpartition("# ")[2]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})

    assert shown == printed.getvalue().strip()


def test_the_table_names_every_command():
    table = README.partition("| command |")[2].partition("\n\n")[0]
    rows = [{word for code in re.findall("`([^`]+)`", row) for word in code.split()} for row in table.splitlines()]
    every = {words for words, _ in leaves(TREE)}

    assert {("sweep", "unseal"), ("optimizer", "unseal")} <= every  # of which the second is the first
    assert {("optimizer", "unseal")} == {words for words in every if not any({*words} <= row for row in rows)}


def test_every_flag_in_the_readme_exists():
    flags = [p for _, function in leaves(TREE) for p in parameters(function) if p.is_flag]
    known = {"--help", "--config"} | {flag for p in flags for flag in p.flags}
    known |= {p.negation for p in flags if p.is_switch}

    assert set(re.findall(r"--[a-z][a-z-]*", documents.TEXT)) <= known


@pytest.mark.parametrize("path", documents.ALL, ids=lambda path: str(path.relative_to(documents.ROOT)))
def test_links_point_at_files(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_the_session_prints_what_it_shows(tmp_path, monkeypatch, capsys):
    session = README.partition("## A session")[2].partition("```\n")[2].partition("```")[0]
    shown, printed = [], []
    monkeypatch.chdir(tmp_path)
    for part in session.split("$ highwater ")[1:]:
        command, _, output = re.sub(r"\\\n\s*", "", part).partition("\n")
        assert main(shlex.split(command)) == 0
        shown += stable(output)
        printed += stable(capsys.readouterr().out)

    assert len(shown) > 20
    assert shown == printed


def stable(text):
    """Return the lines that are the same in every session: all but ids, times and the place of the run."""
    body = text.partition("\nslice ")[0]
    return [line.rstrip() for line in body.strip().splitlines()]
