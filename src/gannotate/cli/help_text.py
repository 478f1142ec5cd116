"""How `gannotate VERB --help` looks: cyclopts' own panels, with flags' docstrings as running text."""

from __future__ import annotations

from cyclopts.help import DefaultFormatter, HelpEntry, HelpPanel
from cyclopts.help.inline_text import InlineText
from rich.console import Console, ConsoleOptions
from rich.text import Text

SAY_NOTHING = ("()", "[]", "{}", '""')
"""Defaults as cyclopts writes them that tell nobody anything: nothing is given when nothing is given."""


class Tidy(DefaultFormatter):
    """Breaks lines where they are full and not where the source does, and leaves out empty defaults."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Prints one panel."""
        super().__call__(console, options, panel.copy(entries=[tidied(entry) for entry in panel.entries]))


def tidied(entry: HelpEntry) -> HelpEntry:
    """A flag's line without the source's line breaks, and without a default that says nothing."""
    about = entry.description
    if isinstance(about, InlineText) and isinstance(about.primary_renderable, Text):
        about = InlineText(Text(" ".join(about.primary_renderable.plain.split())))
    only_on = entry.default == "False" and not entry.negative_names
    default = None if only_on or entry.default in SAY_NOTHING else entry.default
    return entry.copy(description=about, default=default)
