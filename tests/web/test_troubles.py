"""The page in Chromium where files of the project cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from gannotate.annotate.store import Store
from gannotate.labels import IGNORE
from gannotate.project import Project

if TYPE_CHECKING:
    from driving import Annotator

    from gannotate.annotate.live import Live

pytestmark = pytest.mark.web


def spoil(project: Project, seed: int) -> tuple[Path, bytes]:
    """Puts a mask of another size where a label map was, as another program might."""
    path = project.annotation_path(seed)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    return path, path.read_bytes()


def kept(project: Project, seed: int) -> list[bytes]:
    folder = project.folder / "annotations" / "history" / str(seed)
    return [path.read_bytes() for path in folder.glob("*.unreadable.png")]


def test_a_label_that_cannot_be_read_is_told_painted_over_and_kept(
    annotator: Annotator, project: Project, live: tuple[str, Live]
):
    from driving import shipped_labels

    seed, page = annotator.seed, annotator.page
    other = next(one for one in range(8) if one != seed)
    live[1].store.save(other, shipped_labels(other), 0)
    path, data = spoil(project, seed)
    live[1].request()
    page.reload()
    annotator.wait_state("trouble")
    annotator.wait_text("where", "1 of 8 labelled")  # the others are as they were
    assert annotator.text("saved") == "Label cannot be read"
    assert f"{path} is 8x8 px; label maps of this project are 64x64 px" in annotator.text("notice-text")
    spoilt = page.get_by_role("option", name=f"Picture {seed}, its label cannot be read")
    assert spoilt.inner_text() == "!"
    assert str(path) in str(spoilt.get_attribute("title"))
    annotator.wait_text("model", "Label another picture")  # and guesses, but not over this one
    page.wait_for_timeout(1200)
    assert annotator.text("saved") == "Label cannot be read"
    assert path.read_bytes() == data
    annotator.click(20, 20)
    annotator.wait_state("saved")
    annotator.wait_text("where", "2 of 8 labelled")
    assert not page.locator("#notice").is_visible()
    painted = Store(Project.open(project.folder)).load(seed).label_map
    assert painted[20, 20] == 1
    assert (painted != IGNORE).sum() < 30
    assert kept(project, seed) == [data]


def test_a_label_that_cannot_be_read_is_put_aside(annotator: Annotator, project: Project):
    seed = annotator.seed
    _, data = spoil(project, seed)
    annotator.page.reload()
    annotator.wait_state("trouble")
    annotator.page.get_by_role("button", name="Put it aside").click()
    annotator.wait_state("saved")
    annotator.page.get_by_role("option", name=f"Picture {seed}, nothing labelled").wait_for()
    assert (Store(Project.open(project.folder)).load(seed).label_map == IGNORE).all()
    assert kept(project, seed) == [data]


def test_what_goes_wrong_when_the_page_opens_is_said(annotator: Annotator, project: Project):
    marks = project.folder / "annotations" / "marks.jsonl"
    marks.parent.mkdir(exist_ok=True)
    marks.write_text("{")
    annotator.page.reload()
    annotator.wait_text("notice-text", "marks.jsonl, line 1 is not JSON")
    annotator.click(20, 20)  # there is nothing to paint on
    marks.unlink()
    annotator.page.locator("#next").click()
    annotator.settled()
    assert not annotator.page.locator("#notice").is_visible()
    assert not [error for error in annotator.errors if "status of 400" not in error]
    annotator.errors.clear()  # the browser calls the 400 an error
