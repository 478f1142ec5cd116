"""The pictures of docs/annotator.md: the real page in Chromium, with shipped labels in place of a person's.

    CHROMIUM=/usr/bin/chromium python tools/make_annotator_pictures.py [--out docs/images]

Look at them before they are committed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright
from scipy.ndimage import distance_transform_edt

from gannotate.annotate.store import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "web"))
from driving import Annotator, find_chromium, launch, portraits_project, served, shipped_labels

HAIR = 7
WINDOW = {"width": 1280, "height": 920}
LABELLED = (0, 1, 2, 3)


def main() -> None:
    """Makes all of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    out = parser.parse_args().out
    chromium = find_chromium()
    if chromium is None:
        sys.exit("no Chromium here: apt-get install chromium, or name one in CHROMIUM")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        project = portraits_project(Path(folder) / "faces", range(9))
        for seed in LABELLED:
            Store(project).save(seed, shipped_labels(seed), 0)
        browser = launch(playwright, chromium)
        with served(project) as (address, live):
            page = browser.new_page(viewport=WINDOW, color_scheme="light")  # pyright: ignore[reportArgumentType]
            annotator = Annotator(page, project.config.size)
            live.wait()
            annotator.open(address)
            annotator.wait_state("guess")
            annotator.until("!document.getElementById('guess').disabled")
            shoot(annotator, out, "guess")
            annotator.press("x")
            shoot(annotator, out, "unsure")
            annotator.press("x")
            page.get_by_role("button", name="Start blank").click()
            wand(annotator)
            shoot(annotator, out, "wand")
            annotator.press("Escape")
            page.emulate_media(color_scheme="dark")
            superpixels(annotator, shipped_labels(annotator.seed))
            shoot(annotator, out, "superpixels")
            annotator.press("b")
            annotator.press("c")
            annotator.wait_state("saved")
            shoot(annotator, out, "confident")
        browser.close()


def wand(annotator: Annotator) -> None:
    """Selects the hair."""
    inside = distance_transform_edt(shipped_labels(annotator.seed) == HAIR)
    row, column = np.unravel_index(np.argmax(inside), inside.shape)  # well inside of it, as a person would click
    annotator.press("w")
    annotator.choose_class(HAIR)
    annotator.click(column + 0.5, row + 0.5)
    annotator.until("!document.getElementById('apply').disabled")


def superpixels(annotator: Annotator, label_map: np.ndarray) -> None:
    """Labels those in the middle of hair, face and clothes."""
    with annotator.page.expect_response("**/superpixels?side=*", timeout=60000):
        annotator.press("s")
    annotator.page.wait_for_timeout(1000)
    for value in (HAIR, 1, 9):
        rows, columns = (label_map == value).nonzero()
        annotator.choose_class(value)
        for part in (1, 2, 3):
            place = part * len(rows) // 4
            annotator.click(columns[place] + 0.5, rows[place] + 0.5)
    annotator.wait_state("saved")


def shoot(annotator: Annotator, out: Path, name: str) -> None:
    """Writes annotator-NAME.png."""
    annotator.page.wait_for_timeout(500)
    annotator.page.screenshot(path=out / f"annotator-{name}.png")


if __name__ == "__main__":
    main()
