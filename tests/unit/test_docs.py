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
from gannotate.cli.study import parse_only, parse_settings
from gannotate.data.benchmarks import shipped
from gannotate.errors import UsageError
from gannotate.studies import Choice, Domain, load_domain, load_shared, load_study
from gannotate.studies.several import plan_several
from gannotate.studies.study import SOURCES, names

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


def rows_of_papers() -> list[tuple[set[str], list[str]]]:
    """Of each row of the table of tables and figures: its datasets, and its commands."""
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    table = page.partition("| table or figure |")[2].partition("\n\n")[0]
    cells = [row.split("|") for row in table.splitlines()[2:]]
    return [
        (set(re.findall(r"`(\w[\w-]+)`", row[2])), re.findall(r"`gannotate study run ([^`]+)`", row[3]))
        for row in cells
    ]


def study_flags(command: str) -> tuple[list[str], dict[str, list[str]]]:
    """The studies of a command, and its flags with what stands behind each."""
    words = command.split()
    first = next(place for place, word in enumerate(words) if word.startswith("--"))
    flags: dict[str, list[str]] = {}
    for flag, value in zip(words[first::2], words[first + 1 :: 2], strict=True):
        flags.setdefault(flag, []).append(value)
    return words[:first], flags


COMMANDS = [command for _, commands in rows_of_papers() for command in commands]


@pytest.fixture(scope="module")
def anything(tmp_path_factory: pytest.TempPathFactory) -> Domain:
    """A domain that has all that a study may need, and tells no most."""
    folder = tmp_path_factory.mktemp("anything")
    for name in SOURCES:
        (folder / name).mkdir()
        (folder / name / "a.png").write_text(name)
    (folder / "classes.json").write_text('{"classes": {"0": "background", "1": "thing"}}')
    return load_domain(str(folder), environment={})


def test_every_study_is_named_beside_the_tables_that_it_makes():
    assert {name for command in COMMANDS for name in study_flags(command)[0]} == set(names())
    for datasets, commands in rows_of_papers():
        assert datasets <= {*shipped(), "portraits"}
        for command in commands:
            assert set(study_flags(command)[1]["--domain"]) <= {*datasets, "DOMAIN"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_for_a_table_or_figure_makes_a_plan_with_its_grid(command: str, anything: Domain):
    asked, flags = study_flags(command)
    assert set(flags) <= {"--domain", "--only", "--set"}
    domain = load_domain("portraits", environment={}) if flags["--domain"] == ["portraits"] else anything
    only, settings = parse_only(flags.get("--only", [])), parse_settings(flags.get("--set", []))
    studies = {name: load_study(name) for name in asked}
    plans = plan_several(studies, load_shared(), domain, Choice(seeds=1, only=only, settings=settings)).plans
    assert list(plans) == asked
    for plan in plans.values():
        for axis in plan.axes.keys() & only.keys():
            assert tuple(str(one.value) for one in plan.axes[axis].values) == only[axis]
        for name in plan.settings.keys() & settings.keys():
            assert plan.settings[name] == settings[name]


@pytest.mark.parametrize("wrong", ["gradient-matching --only shots=many", "taps --only taps=5", "taps --set label=5"])
def test_a_command_that_makes_no_plan_is_noticed(wrong: str, anything: Domain):
    with pytest.raises(UsageError):
        test_every_command_for_a_table_or_figure_makes_a_plan_with_its_grid(
            wrong.replace(" ", " --domain DOMAIN ", 1), anything
        )


@pytest.mark.parametrize(
    ("row", "domain"),
    [("CelebA", "celebamask-hq-8"), ("horse", "pascal-part-horse"), ("aeroplane", "pascal-part-horse")],
)
def test_the_grid_of_a_command_is_that_of_the_figures_in_the_paper(row: str, domain: str):
    labels = [str(column) for column in load_study("gradient-matching").published[0].table[row]]
    assert f"gradient-matching --domain {domain} --only shots={','.join(labels)}" in COMMANDS
