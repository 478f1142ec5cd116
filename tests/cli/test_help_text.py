"""How a flag's help is shown: as running text, whatever lines the source has, without defaults that say nothing."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Annotated

import pytest
from cyclopts import App, Parameter
from rich.console import Console

from gannotate.cli.app import find_verb, parser_of
from gannotate.cli.help_text import Tidy


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Flags:
    """Flags."""

    broken: int = 3
    """The first line,
    and the second one."""
    several: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """Several."""
    text: str = ""
    """Text."""
    crop: Annotated[bool, Parameter(negative="")] = False
    """Only on."""
    either: bool = False
    """On or off."""
    zero: float = 0.0
    """A number."""


def run(*, flags: Flags = Flags()) -> None:
    """Nothing."""


def shown(app: App, *words: str) -> str:
    text = io.StringIO()
    app.help_print(words, console=Console(file=text, width=100))
    return text.getvalue()


def test_lines_break_where_they_are_full_and_empty_defaults_are_left_out():
    app = App(name="it", help_format="plaintext", help_formatter=Tidy())
    app.default(run)
    lines = {line.split()[1]: line for line in shown(app).splitlines() if "--" in line}
    assert "The first line, and the second one. [default: 3]" in lines["--broken"]
    assert [name for name, line in lines.items() if "default" in line] == ["--broken", "--either", "--zero"]


@pytest.mark.parametrize("words", [["new"], ["fit"], ["train"], ["data", "import"]])
def test_no_line_of_a_flag_is_indented_again(words: list[str]):
    text = shown(parser_of(find_verb(words[0])), *words)
    for panel in re.findall(r"(?s)╭─ .*?╰", text):
        indents = {len(line) - len(line[1:].lstrip()) for line in panel.splitlines() if re.match(r"│ {8,}", line)}
        assert len(indents) <= 1, panel
    assert not re.search(r'\[default: (\(\)|"")\]', text)
