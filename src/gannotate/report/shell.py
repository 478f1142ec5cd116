"""What every page has around its sections: the head, the style and the line at the end. One file, nothing loaded."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from importlib import resources
from pathlib import Path

PAGE = Path("report") / "index.html"
"""Where a folder's page is written."""


def shell(title: str, sections: Iterable[str], made: str) -> str:
    """The whole page, with links to its sections below the first, which is its header.

    Args:
        title: plain text, of the browser's tab. sections, made: HTML; `made` says at the end who wrote it.
    """
    header, *others = (_linked(one) for one in sections if one)
    css = (resources.files("gannotate") / "assets" / "report" / "page.css").read_text()
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}: gannotate report</title><style>{css}</style></head><body><main>"
        f"{header}{_contents(others)}{''.join(others)}<footer>{made}</footer></main></body></html>\n"
    )


HEADING = re.compile(r'^<section(?: id="([^"]*)")?><h2>(.*?)</h2>')
"""How a section begins: perhaps its name, and its title."""

FEWEST_LINKED = 3
"""Sections from which on they are listed at the top."""


def _linked(section: str) -> str:
    """The section with a name, made of its title, that a link can go to."""
    found = HEADING.match(section)
    if found is None:
        return section
    name = re.sub(r"[^a-z0-9]+", "-", found[2].lower()).strip("-")
    return f'<section id="{name}"><h2>{found[2]}</h2>{section[found.end() :]}'


def _contents(sections: Iterable[str]) -> str:
    named = [found for found in map(HEADING.match, sections) if found]
    if len(named) < FEWEST_LINKED:
        return ""
    links = "".join(f'<li><a href="#{found[1]}">{found[2]}</a></li>' for found in named)
    return f'<nav class="contents" aria-label="Contents"><ul>{links}</ul></nav>'
