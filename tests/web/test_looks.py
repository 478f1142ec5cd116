"""How the page looks in Chromium, on every screen and to everybody: names, contrast, room. Run as test_driven.py."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from driving import Annotator

    from gannotate.annotate.live import Live

pytestmark = pytest.mark.web


def test_every_control_on_the_page_has_a_name(annotator: Annotator):
    """As the browser computes it for screen readers, also for what the modules add."""
    tree = annotator.page.locator("body").aria_snapshot()
    controls = re.findall(r"- (button|slider|checkbox|combobox|spinbutton|textbox|option|application)\b(.*)", tree)
    assert len(controls) > 50
    for kind, rest in controls:
        assert re.match(r' "[^"]*\w', rest) or kind == "option", f"{kind}{rest}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system_and_can_be_read(annotator: Annotator, scheme: str):
    annotator.page.emulate_media(color_scheme=scheme)  # pyright: ignore[reportArgumentType]
    script = """() => [...document.querySelectorAll("header, #tools button, aside p, aside label")].map((one) => {
      const parse = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
      const paper = (element) => getComputedStyle(element).backgroundColor;
      let behind = one;
      while (/rgba\\(.*, 0\\)|transparent/.test(paper(behind))) behind = behind.parentElement;
      return [parse(getComputedStyle(one).color), parse(paper(behind)), one.id || one.textContent];
    })"""
    for ink, paper, name in annotator.page.evaluate(script):
        assert contrast(ink, paper) >= 4.5, name  # WCAG 2 AA


def contrast(one: list[float], other: list[float]) -> float:
    """WCAG 2's ratio of two sRGB colours."""

    def luminance(colour: list[float]) -> float:
        parts = [part / 255 for part in colour]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390), (768, 1024), (1280, 720)])
def test_the_picture_has_room_on_every_screen(annotator: Annotator, width: int, height: int):
    page = annotator.page
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(200)
    board = page.locator("#board").bounding_box()
    assert board is not None
    assert min(board["width"], board["height"]) > 0.4 * min(width, height)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for name in ("#next", "#help", "#tools [data-action=brush]", "#classes-title"):
        box = page.locator(name).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_nothing_is_cut_off_on_a_phone(annotator: Annotator, live: tuple[str, Live]):
    from driving import shipped_labels

    page = annotator.page
    page.set_viewport_size({"width": 390, "height": 844})
    other = next(seed for seed in range(8) if seed != annotator.seed)
    live[1].store.save(other, shipped_labels(other), 0)
    live[1].request()
    annotator.wait_state("guess")
    whole = "(one) => one.scrollWidth <= one.clientWidth && one.scrollHeight <= one.clientHeight"
    assert page.locator("#notice-text").evaluate(whole)
    bar = page.locator("#bar").bounding_box()
    assert bar is not None
    for button in page.locator("#notice-buttons button").all():
        box = button.bounding_box()
        assert box is not None
        assert bar["y"] <= box["y"]
        assert box["y"] + box["height"] <= bar["y"] + bar["height"]
    assert page.locator("#classes .choose > kbd + span").count() == 11
    for name in page.locator("#classes .choose > kbd + span").all():
        assert name.evaluate(whole), name.inner_text()


def test_a_message_does_not_move_the_picture(annotator: Annotator):
    page = annotator.page
    before = page.locator("#board").bounding_box()
    page.get_by_label("Rename hair").click()
    page.keyboard.type("nose")
    page.keyboard.press("Enter")
    annotator.wait_text("notice-text", "give each class its own name")
    assert page.locator("#board").bounding_box() == before
    page.get_by_label("Rename hair").click()
    page.keyboard.type("wig")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Choose class 7: wig").wait_for()
    assert page.locator("#notice").is_hidden()  # what worked answers what failed
    annotator.errors.clear()  # the browser calls the 400 an error
