"""The real page in Chromium, as a person uses it. Run with `tools/test.sh -m web` after `apt-get install chromium`."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gannotate.annotate.store import Store
from gannotate.labels import IGNORE, decode_label_map
from gannotate.project import Project
from gannotate.project_config import ClassEntry

if TYPE_CHECKING:
    from driving import Annotator

    from gannotate.annotate.live import Live

pytestmark = pytest.mark.web

SIZE = 64


def saved(annotator: Annotator, project: Project) -> np.ndarray:
    """The open picture's label map on disk, once the page says that it is saved."""
    annotator.wait_state("saved")
    return Store(Project.open(project.folder)).load(annotator.seed).label_map


def labelled(label_map: np.ndarray) -> int:
    return int((label_map != IGNORE).sum())


def test_paint_undo_redo_save_and_reload(annotator: Annotator, project: Project):
    annotator.slide("size", 5)
    annotator.drag((10.5, 20.5), (40.5, 20.5), (40.5, 40.5))
    annotator.wait_text("saved", "Saved")
    painted = saved(annotator, project)
    assert (painted[18:23, 12:38] == 1).all()
    assert (painted[24:38, 38:43] == 1).all()
    assert set(np.unique(painted)) == {1, IGNORE}
    annotator.press("z")
    annotator.wait_state("unsaved")
    assert labelled(saved(annotator, project)) == 0
    annotator.press("y")
    annotator.wait_state("unsaved")
    assert (saved(annotator, project) == painted).all()
    seed = annotator.seed
    annotator.page.reload()
    annotator.settled()
    assert annotator.seed == seed
    annotator.press("e")
    annotator.click(40.5, 40.5)
    annotator.wait_state("unsaved")
    erased = saved(annotator, project)
    assert erased[40, 40] == IGNORE
    assert 0 < labelled(painted) - labelled(erased) <= 25


def test_polygons_add_and_with_alt_take_away(annotator: Annotator, project: Project):
    annotator.press("p")
    annotator.choose_class(7)
    for corner in ((10, 10), (50, 10), (50, 50), (10, 50)):
        annotator.click(*corner)
    annotator.press("Enter")
    annotator.wait_state("unsaved")
    drawn = saved(annotator, project)
    assert abs(labelled(drawn) - 1600) <= 80
    assert drawn[30, 30] == 7
    for corner in ((20, 20), (40, 20), (40, 40), (20, 40)):
        annotator.click(*corner)
    annotator.press("Alt+Enter")
    annotator.wait_state("unsaved")
    assert abs(labelled(saved(annotator, project)) - 1200) <= 80


def test_the_wand_selects_and_enter_labels(annotator: Annotator, project: Project):
    annotator.press("w")
    annotator.choose_class(7)
    annotator.click(20, 14)
    annotator.until("!document.getElementById('apply').disabled")
    annotator.slide("threshold", 200)
    annotator.press("Enter")
    annotator.wait_state("unsaved")
    few = labelled(saved(annotator, project))
    annotator.press("z")
    annotator.click(20, 14)
    annotator.until("!document.getElementById('apply').disabled")
    annotator.slide("threshold", 60)
    annotator.page.locator("#apply").click()
    annotator.page.wait_for_timeout(100)
    assert 0 < few < labelled(saved(annotator, project))


def test_superpixels_are_added_and_taken_away(annotator: Annotator, project: Project):
    annotator.press("s")
    with annotator.page.expect_response("**/superpixels?side=8"):
        annotator.slide("patch", 8)
    annotator.page.wait_for_timeout(200)
    annotator.click(32, 32)
    annotator.wait_state("unsaved")
    one = labelled(saved(annotator, project))
    assert 10 < one < 300
    annotator.drag((32.5, 32.5), (60.5, 32.5))
    annotator.wait_state("unsaved")
    more = labelled(saved(annotator, project))
    assert more > 2 * one
    annotator.page.keyboard.down("Alt")
    annotator.click(32, 32)
    annotator.page.keyboard.up("Alt")
    annotator.wait_state("unsaved")
    assert labelled(saved(annotator, project)) == more - one
    annotator.press("z")
    annotator.press("z")
    annotator.wait_state("unsaved")
    assert labelled(saved(annotator, project)) == one


def test_zoom_keeps_what_is_under_the_cursor_and_pixels_sharp(annotator: Annotator, project: Project):
    x, y = annotator.at(20.5, 30.5)
    annotator.page.mouse.move(x, y)
    before = annotator.text("under")
    annotator.page.keyboard.down("Control")
    for _ in range(4):
        annotator.page.mouse.wheel(0, -100)
    annotator.page.keyboard.up("Control")
    annotator.page.mouse.move(x + 1, y)
    assert annotator.text("under") == before == "20, 30: not labelled"
    annotator.page.mouse.move(x + 12, y)
    assert annotator.text("under") == before  # a pixel is larger now
    annotator.slide("size", 1)
    annotator.page.mouse.click(x, y)
    annotator.wait_state("unsaved")
    painted = saved(annotator, project)
    assert labelled(painted) == 1
    assert painted[30, 20] == 1
    annotator.page.mouse.move(x, y)
    annotator.page.mouse.down(button="middle")
    annotator.page.mouse.move(x + 90, y + 40)
    annotator.page.mouse.up(button="middle")
    assert annotator.text("under").startswith("20, 30")  # moved along with the hand
    annotator.press("a")
    annotator.page.mouse.move(*annotator.at(20.5, 30.5))
    assert annotator.text("under").startswith("20, 30")


def test_five_portraits_in_a_row_with_guesses_then_take_over_and_export(
    annotator: Annotator, project: Project, live: tuple[str, Live]
):
    """The way of the tool: scribble, next, correct; what the model is sure of is taken over; all goes out as a zip."""
    from driving import shipped_labels

    done = []
    for number in range(5):
        seed = annotator.seed
        assert seed not in done
        if number:
            annotator.page.get_by_role("button", name="Start blank").click()
        annotator.scribble(shipped_labels(seed))
        annotator.wait_state("saved")
        done.append(seed)
        assert live[1].wait(30)  # a person takes longer than the fit
        annotator.page.locator("#next").click()
        annotator.wait_state("guess")
        annotator.wait_text("where", f"{number + 1} of 8 labelled")
    annotator.wait_text("model", "mIoU on pictures left out (5 labelled)")
    annotator.until("document.querySelectorAll('#curve circle').length === 3")  # 1, 2 and 4 taught
    assert re.search(r"background\W+\d+%", annotator.page.locator("#classes").inner_text())
    guessed = annotator.seed
    annotator.page.get_by_role("button", name="Accept guess").click()
    annotator.wait_state("saved")
    annotator.wait_text("where", "6 of 8 labelled")
    found = saved(annotator, project)
    assert (found == shipped_labels(guessed)).mean() > 0.6
    assert Project.open(project.folder).annotations()[-1].source == "person"

    annotator.page.locator("#clear").click()
    annotator.wait_state("saved")
    annotator.until("!document.getElementById('confident').disabled")
    annotator.slide("sure", 85)
    told = int(annotator.text("sure-shown").split()[1])
    annotator.press("c")
    annotator.wait_state("unsaved")
    sure = saved(annotator, project)
    assert labelled(sure) == told
    assert 0 < told < SIZE**2
    truth = shipped_labels(guessed)
    taken = sure != IGNORE
    assert (sure == truth)[taken].mean() > (found == truth).mean()  # it is right more often where it is sure
    annotator.press("z")
    annotator.wait_state("unsaved")
    assert labelled(saved(annotator, project)) == 0
    annotator.press("y")
    annotator.wait_state("unsaved")
    annotator.wait_state("saved")

    annotator.page.locator("#format").select_option("palette")
    with annotator.page.expect_download() as downloading:
        annotator.page.locator("#export").click()
    assert downloading.value.suggested_filename == "portraits-palette.zip"
    store = Store(Project.open(project.folder))
    with zipfile.ZipFile(downloading.value.path()) as archive:
        for seed in store.labelled():
            label_map = decode_label_map(archive.read(f"masks/{seed}.png"), 11, "mask")
            assert (label_map == store.load(seed).label_map).all()
        assert len([name for name in archive.namelist() if name.startswith("images/")]) == 6


def test_dataset_segmenter_and_predictions_from_the_page(annotator: Annotator, project: Project, tmp_path: Path):
    from driving import shipped_labels

    for seed in (0, 1):
        Store(project).save(seed, shipped_labels(seed), 0)
    page = annotator.page
    page.reload()
    annotator.settled()
    page.locator("#count").fill("24")
    page.locator("#decoder").select_option("linear")
    page.locator("#write-dataset").click()
    annotator.wait_text("job-state", "Fitting the decoder (1 of 2)")
    assert page.locator("#train").is_disabled()
    page.reload()  # the job goes on, and the page finds it again
    annotator.settled()
    annotator.wait_text("job-state", "The dataset is ready", 240)
    annotator.wait_text("made", "dataset 0001")

    page.locator("#steps").fill("100000")
    page.locator("#architecture").select_option("lraspp")
    page.locator("#train").click()
    annotator.wait_text("job-left", " of 100000", 120)
    annotator.wait_text("job-left", "left")
    page.locator("#cancel-job").click()
    annotator.wait_text("job-state", "Cancelled", 120)
    assert project.unfinished("segmenters", "lraspp") is not None
    assert page.locator("#see").is_disabled()

    page.locator("#steps").fill("2")
    page.locator("#train").click()
    annotator.wait_text("job-state", "The segmenter is ready", 240)
    annotator.wait_text("made", "segmenter 0002-lraspp")
    annotator.press("m")
    annotator.until("document.getElementById('predicted').checked")
    page.locator("#see").click()
    annotator.wait_text("gallery-state", "8 of 8 pictures")
    assert page.locator("#gallery-list canvas").count() == 8
    own = tmp_path / "holiday.png"
    own.write_bytes(project.pool_picture_path(3).read_bytes())
    page.locator("#gallery-files").set_input_files([own, own])
    annotator.wait_text("gallery-state", "2 of 2 pictures")
    assert "holiday.png" in page.locator("#gallery-list").inner_text()


def test_it_can_be_used_by_keyboard_alone(annotator: Annotator, project: Project):
    annotator.slide("size", 3)
    annotator.press("3")
    for key in ("Shift+ArrowRight", "ArrowDown", "Space"):
        annotator.press(key)
    annotator.wait_state("unsaved")
    painted = saved(annotator, project)
    assert painted[33, 42] == 3
    assert labelled(painted) <= 9
    annotator.press("?")
    assert annotator.page.locator("#keys").is_visible()
    annotator.page.keyboard.press("Escape")
    reached = set()
    for _ in range(110):
        annotator.page.keyboard.press("Tab")
        reached.add(annotator.page.evaluate("document.activeElement.id || document.activeElement.dataset.action"))
    for name in ("superpixel", "wand", "next", "board", "opacity", "export", "write-dataset"):
        assert name in reached


def test_a_second_page_is_told_when_the_first_was_faster(annotator: Annotator, project: Project):
    annotator.click(10, 10)
    annotator.wait_state("saved")
    store, seed = Store(project), annotator.seed
    now = store.load(seed)
    changed = now.label_map.copy()
    changed[50, 50] = 2
    store.save(seed, changed, now.version, editor="another")
    annotator.click(30, 30)
    annotator.wait_state("stale")
    assert "was changed elsewhere" in annotator.text("notice-text")
    annotator.page.get_by_role("button", name="Reload it").click()
    annotator.wait_state("saved")
    assert saved(annotator, project)[50, 50] == 2
    annotator.errors.clear()  # the browser calls the 409 an error


def test_a_guess_that_comes_later_is_offered_unless_it_is_not_wanted(
    annotator: Annotator, project: Project, live: tuple[str, Live]
):
    from driving import shipped_labels

    others = [seed for seed in range(8) if seed != annotator.seed]
    live[1].store.save(others[0], shipped_labels(others[0]), 0)
    live[1].request()
    annotator.wait_state("guess")
    annotator.page.get_by_role("button", name="Start blank").click()
    before = annotator.text("model")
    live[1].store.save(others[1], shipped_labels(others[1]), 0)
    live[1].request()
    annotator.until(f"document.getElementById('model').textContent !== {before!r}")
    annotator.wait_text("model", "2 labelled")
    assert annotator.page.locator("#saved").get_attribute("data-state") == "saved"
    annotator.click(5, 5)
    assert labelled(saved(annotator, project)) < 30


def test_labels_come_in_through_the_page(annotator: Annotator, project: Project, tmp_path: Path):
    from driving import shipped_labels
    from PIL import Image

    seed, page = annotator.seed, annotator.page
    label_map = shipped_labels(seed)
    mask = tmp_path / f"{seed}.png"
    Image.fromarray(np.where(label_map == 7, 64, label_map).astype(np.uint8)).save(mask)
    page.locator("#open-import").click()
    page.locator("#import-files").set_input_files(mask)
    page.locator("#import-run").click()
    annotator.wait_text("import-state", "classes that the project has not: 64")
    page.locator("#import-map").fill("64=hair")
    page.locator("#import-run").click()
    annotator.wait_text("import-state", "1 picture labelled.")
    page.locator("#import-close").click()
    annotator.wait_text("where", "1 of 8 labelled")
    assert (saved(annotator, project) == label_map).all()
    annotator.choose_class(1)
    annotator.click(2, 2)  # and it is gone on with
    annotator.wait_state("unsaved")
    assert saved(annotator, project)[2, 2] == 1
    annotator.errors.clear()  # the browser calls the 400 an error


def test_previous_goes_back_on_the_way_that_was_come(annotator: Annotator):
    way = [annotator.seed]
    for _ in range(2):
        annotator.page.locator("#next").click()
        annotator.until(f"location.hash !== '#{way[-1]}'")
        way.append(annotator.seed)
    for seed in way[-2::-1]:
        annotator.page.locator("#previous").click()
        annotator.until(f"location.hash === '#{seed}'")


def test_classes_are_added_and_named(annotator: Annotator, project: Project):
    annotator.page.locator("#add-class").click()
    annotator.page.get_by_label("New name of class 11").fill("moustache")
    annotator.page.keyboard.press("Enter")
    annotator.page.get_by_role("button", name="Choose class 11: moustache").wait_for()
    added = Project.open(project.folder).config.classes[11]
    assert isinstance(added, ClassEntry)
    assert added.name == "moustache"
