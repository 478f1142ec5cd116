"""How matplotlib draws what holds names of others: their texts as they are, and the same file for the same drawing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from matplotlib import rc_context

FONT_PT = 9


def drawn_as_told(salt: str = "", **more: Any) -> AbstractContextManager[None]:
    """Within it drawings have these settings.

    A text between two dollar signs is no formula: titles and names come out of anybody's files, and one that is no
    formula would be an error of the whole drawing.

    Args:
        salt: tells an SVG's names from those of others on one page. more: settings by their names, `_` for `.`.
    """
    settings: Any = {
        "font.size": FONT_PT,
        "svg.fonttype": "none",  # letters stay letters
        "svg.hashsalt": salt,
        "text.parse_math": False,
    }
    settings |= {name.replace("_", "."): value for name, value in more.items()}
    return rc_context(settings)
