"""Makes docs/images/demo.png from a project that `gannotate demo --out PROJECT` left.

    python tools/make_readme_picture.py PROJECT docs/images/demo.png

Top: pictures that the generator drew, with the labels that the decoder gave them. Below: rendered portraits that
nothing has seen before, with their exact labels, and what the segmenter says.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gannotate.data.shards import read_dataset
from gannotate.demo.stages import TEST_FIRST_SEED, render_set
from gannotate.project import Project
from gannotate.segmenters.predict import Segmenter
from gannotate.viz import contact_sheet, enlarge, legend, overlay

COLUMNS, SCALE, TEXT_PX = 10, 2, 18


def row(pictures: np.ndarray, label_maps: np.ndarray | None, classes: tuple) -> np.ndarray:
    """One line of pictures, with labels over them when given."""
    shown = list(pictures) if label_maps is None else [
        overlay(picture, label_map, classes) for picture, label_map in zip(pictures, label_maps, strict=True)
    ]  # fmt: skip
    return contact_sheet([enlarge(picture, SCALE) for picture in shown], COLUMNS, gap_px=4)


def titled(title: str, sheet: np.ndarray) -> np.ndarray:
    """A line of text over the sheet."""
    line = Image.new("RGB", (sheet.shape[1], TEXT_PX * 2), (255, 255, 255))
    ImageDraw.Draw(line).text((4, TEXT_PX // 3), title, (30, 30, 30), font=ImageFont.load_default(size=TEXT_PX))
    return np.concatenate([np.asarray(line), sheet])


def main() -> None:
    project, out = Project.open(sys.argv[1]), Path(sys.argv[2])
    classes = project.classes
    drawn = read_dataset(project.latest("datasets"), len(classes), most=COLUMNS)
    test = render_set(range(TEST_FIRST_SEED, TEST_FIRST_SEED + COLUMNS), project.config.size)
    predicted = Segmenter.load(project.latest("segmenters")).predict(test.pictures)
    rows = [
        titled("drawn by the generator", row(drawn.pictures, None, classes)),
        titled("labelled by the decoder, from 5 annotated pictures", row(drawn.pictures, drawn.label_maps, classes)),
        titled("portraits that nothing has seen", row(test.pictures, None, classes)),
        titled("exact labels", row(test.pictures, test.label_maps, classes)),
        titled("the segmenter", row(test.pictures, predicted, classes)),
    ]
    sheet = np.concatenate(rows)
    key = legend(classes, TEXT_PX)
    page = np.full((max(len(sheet), len(key)), sheet.shape[1] + key.shape[1] + 12, 3), 255, np.uint8)
    page[: len(sheet), : sheet.shape[1]] = sheet
    page[TEXT_PX * 2 : TEXT_PX * 2 + len(key), sheet.shape[1] + 12 :] = key[: len(page) - TEXT_PX * 2]
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(page).save(out, optimize=True)


if __name__ == "__main__":
    main()
