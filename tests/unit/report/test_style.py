"""The page's style: letters that can be read on every cell, on light and dark pages, and colours that are printed."""

from __future__ import annotations

import re
from importlib import resources

import numpy as np
import pytest

CSS = (resources.files("gannotate") / "assets" / "report" / "page.css").read_text()


def variables(dark: bool) -> dict[str, str]:
    """The style's variables on a light or a dark page."""
    light, _, rest = CSS.partition("@media screen and (prefers-color-scheme: dark)")
    parts = (light, rest[: rest.index("* {")]) if dark else (light,)
    return {name: value.strip() for part in parts for name, value in re.findall(r"--([\w-]+): ([^;]+);", part)}


def colour(text: str) -> np.ndarray:
    """`#rrggbb` or `r, g, b` as parts from 0 to 1."""
    if text.startswith("#"):
        return np.array([int(text[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.array([int(part) for part in text.split(",")]) / 255


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """As WCAG 2 has it, 1 to 21."""
    linear = [np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4) for part in (one, other)]
    dark, light = sorted(float(part @ [0.2126, 0.7152, 0.0722]) for part in linear)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", ["right", "wrong"])
def test_figures_in_the_fullest_cells_can_be_read(dark: bool, kind: str):
    found = variables(dark)
    paper, ink, most = colour(found["paper"]), colour(found["ink"]), float(found[f"{kind}-most"])
    assert f"calc(var(--part) * var(--{kind}-most))" in CSS
    for part in np.linspace(0, 1, 11):
        cell = paper + (colour(found[kind]) - paper) * part * most
        assert contrast(cell, ink) >= 4.5


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("letters", ["ink", "soft", "accent", "good", "middling", "bad"])
def test_letters_can_be_read_on_the_page_and_on_cards(dark: bool, letters: str):
    found = variables(dark)
    assert min(contrast(colour(found[letters]), colour(found[on])) for on in ("paper", "card")) >= 4.5


def test_what_is_told_by_colour_alone_is_printed():
    printed = CSS[CSS.index("@media print") :]
    assert "print-color-adjust: exact" in printed
    assert "@media (prefers-color-scheme: dark)" not in CSS  # which would print light letters on white paper
