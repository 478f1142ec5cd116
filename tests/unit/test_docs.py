"""What the documentation points at is there: functions, files, commands and their flags."""

from __future__ import annotations

import ast
import io
import re
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import pytest

from gannotate.cli.app import VERBS, main
from gannotate.data.benchmarks import shipped
from gannotate.studies.study import names

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTEXT.md", *sorted((ROOT / "docs").rglob("*.md"))]
HISTORY = ("log.md", "results.md")
"""Pages that keep commands as they were when something was measured."""
POINTER = re.compile(r"`([\w/]+\.py)::(\w+)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[\w-]+)?\)")
COMMAND = re.compile(r"gannotate ((?:[a-z][a-z-]*)(?: [^`\n#|]*)?)")


@cache
def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


@cache
def help_of(*words: str) -> str:
    with redirect_stdout(io.StringIO()) as shown:
        assert main([*words, "--help"]) == 0
    return shown.getvalue()


def commands(page: Path) -> list[str]:
    """What stands after `gannotate` in the page's code, verb first."""
    text = page.read_text()
    code = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"`(gannotate [^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    joined = "\n".join(code).replace("\\\n", " ").split("\n") + inline
    return [found for line in joined for found in COMMAND.findall(line)]


def test_methods_point_at_functions_that_exist():
    pointers = POINTER.findall((ROOT / "docs" / "methods.md").read_text())
    assert len(pointers) > 40
    wrong = [f"{file}::{name}" for file, name in pointers if name not in names_in(ROOT / "src" / "gannotate" / file)]
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    assert not [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in HISTORY], ids=lambda page: page.name)
def test_commands_and_their_flags_exist(page: Path):
    verbs = {verb.name for group in VERBS.values() for verb in group}
    for command in commands(page):
        verb, *rest = command.split()
        if verb not in verbs:
            pytest.fail(f"{page.name}: gannotate {command}: no such verb")
        shown = help_of(verb)
        if rest and re.search(rf"^│ {re.escape(rest[0])} ", shown, re.MULTILINE):  # a verb with verbs of its own
            shown = help_of(verb, rest[0])
        for flag in re.findall(r"(?<!\S)(--[a-z0-9-]+)", command):
            assert re.search(rf"{flag}(?![a-z-])", shown), f"{page.name}: gannotate {command}: no flag {flag}"


def test_every_study_is_named_beside_the_tables_that_it_makes():
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    table = page.partition("| table or figure |")[2].partition("\n\n")[0]
    studies = {name for row in table.splitlines()[2:] for name in re.findall(r"`([\w-]+)`", row.split("|")[3])}
    assert studies == set(names())
    datasets = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w[\w-]+)`", row.split("|")[2])}
    assert datasets <= {*shipped(), "portraits"}
