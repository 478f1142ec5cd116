"""What every page has around its sections: the head, the style and the line at the end. One file, nothing loaded."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib import resources
from pathlib import Path

PAGE = Path("report") / "index.html"
"""Where a folder's page is written."""


def shell(title: str, sections: Iterable[str], made: str) -> str:
    """The whole page.

    Args:
        title: plain text, of the browser's tab. sections, made: HTML; `made` says at the end who wrote it.
    """
    css = (resources.files("gannotate") / "assets" / "report" / "page.css").read_text()
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}: gannotate report</title><style>{css}</style></head><body><main>"
        f"{''.join(sections)}<footer>{made}</footer></main></body></html>\n"
    )
