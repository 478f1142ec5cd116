"""The page in Chromium: nothing is wider than a phone but what scrolls, and printed tables are whole."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from gannotate.labels import make_classes
from gannotate.project import Project
from gannotate.report.gather import gather
from gannotate.report.page import page
from gannotate.report.shell import shell
from gannotate.report.study import grid_html
from gannotate.report.tables import class_table, confusion_table
from gannotate.studies.tables import Grid

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.web

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")

LONG = "x_without_any_place_to_break_at_" * 4


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if importlib.util.find_spec("playwright") is None or CHROMIUM is None:
        pytest.skip("no Playwright or no Chromium here")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # --no-sandbox: tests run as root in containers, where Chromium's sandbox does not start
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


def many_classes(count: int) -> str:
    """A page of tables of so many classes, one of which has a long name."""
    classes = make_classes([LONG, *(f"class number {index}" for index in range(1, count))])
    confusion = [[9 if at == index else 1 for at in range(count)] for index in range(count)]
    tables = f"{class_table(classes, [0.5] * count, confusion)}{confusion_table(classes, confusion)}"
    header = f"<header><h1>{LONG}</h1></header>"
    return shell(LONG, [header, f"<section><h2>Tables</h2>{tables}</section>"], "here")


def wider_than_the_page(browser: Browser, text: str, width: int, media: str) -> list[str]:
    """What reaches beyond the right edge and is in nothing that scrolls."""
    opened = browser.new_page(viewport={"width": width, "height": 800})
    opened.emulate_media(media=media)  # type: ignore[arg-type]
    opened.set_content(text)
    found = opened.evaluate(
        """() => [...document.querySelectorAll("main *")]
            .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
            .filter(one => !one.closest("svg") && getComputedStyle(one.closest(".scroll") || one).overflowX !== "auto")
            .map(one => `${one.tagName}.${one.className}`)"""
    )
    whole = [] if opened.evaluate("document.documentElement.scrollWidth <= innerWidth") else ["the page"]
    opened.close()
    return whole + found


@pytest.mark.parametrize("width", [320, 768])
def test_nothing_is_wider_than_a_phone(browser: Browser, whole: Project, width: int):
    assert wider_than_the_page(browser, many_classes(40), width, "screen") == []
    if width == 320:
        assert wider_than_the_page(browser, page(gather(whole)), width, "screen") == []


@pytest.mark.parametrize(
    ("columns", "figure"), [(8, "0.900 (0.888-0.912)"), (11, "0.900 (0.888-0.912), 2 of 3"), (19, "0.900")]
)
def test_figures_are_printed_whole(browser: Browser, columns: int, figure: str):
    heads = ["structure", "decoder", *["FG-mIoU, labelled pictures 10"] * columns]
    table = grid_html(Grid(heads, [["without a norm", "of one layer", *[figure] * columns]], 2, frozenset()), "t")
    text = shell("Figures", ["<header><h1>Figures</h1></header>", f"<section><h2>Tables</h2>{table}</section>"], "here")
    assert wider_than_the_page(browser, text, 680, "print") == []


def test_forty_classes_are_printed_whole(browser: Browser):
    assert wider_than_the_page(browser, many_classes(40), 680, "print") == []  # A4 without its margins, 96 px an inch
