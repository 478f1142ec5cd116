"""The page: self-contained, complete, accessible, and honest about what is absent."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
from collections.abc import Iterable

import numpy as np
import pytest
from PIL import Image

from gannotate.errors import GannotateError
from gannotate.files import write_json
from gannotate.jsonlines import write_rows
from gannotate.project import Project
from gannotate.record import recorded
from gannotate.report.examples import ON_POOL
from gannotate.report.gather import gather
from gannotate.report.page import page, write_report
from gannotate.viz import contact_sheet, overlay

from .conftest import add_annotations, add_dataset, add_decoder, add_decoder_test, add_segmenter, asks_nothing, read


@pytest.fixture(scope="module")
def text(whole: Project) -> str:
    """The page of a project that has everything."""
    return page(gather(whole))


def test_the_decoders_confidence_is_that_of_the_card(whole: Project):
    """Which is of the dataset itself: a rounded figure of its record, rounded again, would be .102."""
    assert "The decoder's mean confidence is 0.103." in page(gather(whole))


def test_it_asks_nothing_of_the_network(text: str):
    asks_nothing(text)
    assert "prefers-color-scheme: dark" in text


def test_it_is_well_formed_and_escapes_names(text: str):
    reader = read(text)
    assert "cells <i>" in reader.text
    assert "core <1>" in reader.text
    assert "a & b" in reader.text


def test_every_picture_is_described(text: str):
    images = [attributes for tag, attributes in read(text).tags if tag == "img"]
    assert len(images) == 6 + 12 + 6  # annotated, generated, examples
    assert all(re.search(r"(ground|core <1>|rim) \d+ %", image["alt"] or "") for image in images)
    drawings = [attributes for tag, attributes in read(text).tags if tag == "svg"]
    assert [drawing["aria-label"] for drawing in drawings] == [
        "Mean IoU of test pictures over their uncertainty",
        "Loss of decoder 0001-light over its steps",
        "Loss of segmenter 0001-unet-supervised over its steps",
        "Loss of segmenter 0002-unet over its steps",
    ]


def test_the_pictures_are_those_of_the_project(whole: Project, text: str):
    images = [attributes for tag, attributes in read(text).tags if tag == "img"]
    image = next(one for one in images if (one["alt"] or "").startswith("Pool picture 4 "))
    data = base64.b64decode((image["src"] or "").split(",", 1)[1])
    shown = np.asarray(Image.open(io.BytesIO(data)))
    with Image.open(whole.pool_picture_path(4)) as stored:
        picture = np.asarray(stored)[..., None]
    expected = contact_sheet([picture, overlay(picture, whole.read_annotation(4), whole.classes)], 2, clear=True)
    assert (shown == expected).all()


def test_the_headline_is_the_segmenter_from_generated_pictures(whole: Project, text: str):
    found = gather(whole)
    assert found.evaluation is not None
    assert found.segmenter is not None
    assert found.segmenter.folder.name == "0002-unet"
    miou = f"{found.evaluation.result['miou']:.3f}"
    assert f"<b>{miou}</b><span>mean IoU on 12 test pictures" in text
    assert [run.folder.name for run in found.compared] == ["0001-unet-supervised"]
    bars = re.findall(r"<output>([\d.-]+)</output>", text)
    supervised = f"{found.others[0].result['miou']:.3f}"
    assert bars == ["0.111", "0.222", supervised, miou]


def test_labels_say_where_they_come_from(text: str):
    said = " ".join(read(text).text.split())
    assert "2 labelled pictures, simulated by unet resnet18" in said
    assert "trained on 400 other labels (exact renders)" in said
    assert "its own mean IoU is 0.871" in said
    assert text.count("<b>learned from</b>") == 2
    assert text.count("<span>not used</span>") == 4


def test_a_class_that_is_nowhere_is_a_dash(text: str):
    rows = re.findall(r"</i>never</th>(.*?)</tr>", text)
    scores, confused, shares = (re.sub(r"<[^>]+>", " ", row).split() for row in rows)
    assert shares == ["-", "-", "-", "-"]
    assert scores == ["-", "-", "-", "0.00", "%"]
    assert confused == ["-"] * 4


def pixels(project: Project, seeds: Iterable[int]) -> np.ndarray:
    """How many each of the four classes has."""
    return np.bincount(np.stack([project.read_annotation(seed) for seed in seeds]).ravel(), minlength=256)[:4]


def test_the_pool_and_how_much_of_each_class_there_is(whole: Project, text: str):
    said = " ".join(read(text).text.split())
    assert "pool 6 drawn by the generator (truncation 1.0, const noise)" in said
    assert "labelled 6: simulated by unet resnet18" in said
    assert "learned from 2 of them" in said
    learned = [one.seed for one in gather(whole).used]
    assert len(learned) == 2
    counts = [pixels(whole, seeds) for seeds in (learned, range(6))]
    first = re.search(r"<table class=\"figures\">.*?</i>rim</th>(.*?)</tr>", text)
    assert first is not None
    shares = re.findall(r"<td>([^<]+)</td>", first[1])
    assert shares[:3] == [*(f"{100 * count[2] / count.sum():.2f}" for count in counts), "0.10"]
    assert "Nothing was learned of it" not in said


def test_a_class_that_is_in_other_labels_alone_was_not_learned(whole: Project):
    for one in gather(whole).used:
        label_map = whole.read_annotation(one.seed)
        whole.write_annotation(one.seed, np.where(label_map == 2, 0, label_map), "person", {})
    said = " ".join(read(page(gather(whole))).text.split())
    assert "In the test pictures and in none of the labels that were learned from: rim. Nothing was learned" in said


def test_a_class_that_no_label_has_is_named(empty: Project):
    add_annotations(empty)
    miou = add_segmenter(empty, "unet", "labelled pictures", wrong=0.1)
    for seed in range(6):
        label_map = empty.read_annotation(seed)
        empty.write_annotation(seed, np.where(label_map == 2, 0, label_map), "person", {})
    said = " ".join(read(page(gather(empty))).text.split())
    assert "In the test pictures and in no label: rim. Nothing was learned of it." in said
    assert f"{miou:.3f}" in said


def test_test_pictures_are_told_one_by_one(whole: Project, text: str):
    found, said = gather(whole), " ".join(read(text).text.split())
    assert [one.choice.chosen for one in found.examples] == ["random"] * 3 + ["worst"] * 2 + ["best"]
    assert said.index("The worst of the others") < said.index("The best of the others")
    mious = sorted(one.miou for one in found.tested if one.miou is not None)
    assert len(mious) == len(found.tested) == 12
    assert f"worst {mious[0]:.3f}" in said
    assert f"half below {np.median(mious):.3f}" in said
    assert f"best {mious[-1]:.3f}" in said
    # conftest.py makes every wrong pixel an uncertain one
    assert re.search(r"Rank correlation -(0\.[5-9]\d|1\.00)", said)
    assert text.count('style="--columns:4"') == 6


@pytest.mark.parametrize(("test", "title"), [(ON_POOL, "held-out annotations"), ("t.zip", "test pictures")])
def test_the_decoders_test_pictures_are_shown_too(empty: Project, test: str, title: str):
    add_annotations(empty)
    add_decoder(empty, [4, 5])
    add_decoder_test(empty, test)
    reader = read(page(gather(empty)))
    said = " ".join(reader.text.split())
    shown = said[said.index(f"The decoder on {title}") :]
    assert f"{'annotation' if test == ON_POOL else 'truth'}, and what the decoder says" in shown
    assert shown.index("Drawn at random") < shown.index("The worst of the others") < shown.index("The best of the othe")
    described = [re.search(r"Test picture (seed \d):", str(attributes.get("alt"))) for _, attributes in reader.tags]
    named = [match[1] for match in described if match]
    found = gather(empty)
    assert named == [one.choice.source for one in found.decoder_examples]
    assert len(set(named)) == 5
    assert "seed 8" in named  # of which most is wrong
    assert f"worst {min(one.miou or 0 for one in found.decoder_tested):.3f}" in shown
    assert "Predictions on test pictures" not in said  # of a segmenter, which there is none of


def test_stored_probabilities_are_shown_as_uncertainty(empty: Project):
    add_dataset(empty, soft=True)
    text = page(gather(empty))
    assert text.count('style="--columns:3"') == 12
    assert "yellow is all classes alike" in text


def test_how_it_was_made(text: str):
    said = " ".join(read(text).text.split())
    for part in ("decoder 0001-light", "dataset 0001", "segmenter 0002-unet", "test of 0002-unet", "gannotate fit"):
        assert part in said
    assert "labels used 2 labelled pictures, simulated" in said
    assert "their seeds 4, 5" in said
    assert "Not made yet" not in said


def test_an_empty_project_has_a_page_too(empty: Project):
    path = write_report(empty)
    text = read(path.read_text()).text
    assert path == empty.folder / "report" / "index.html"
    for part in ("a decoder (gannotate fit)", "a dataset", "a segmenter", "test figures (gannotate evaluate)"):
        assert part in text


def test_it_is_written_again_over_the_old_one(empty: Project):
    write_report(empty)
    path = write_report(empty)
    assert [file.name for file in path.parent.iterdir()] == ["index.html"]


def test_a_damaged_run_is_named(empty: Project):
    folder = empty.next_folder("decoders", "light")
    (folder / "config.json").write_text("{")
    with pytest.raises(GannotateError, match=r"0001-light.config.json is damaged"):
        write_report(empty)


def test_an_unfinished_run_is_not_shown(empty: Project):
    folder = empty.next_folder("segmenters", "unet")
    with contextlib.suppress(KeyboardInterrupt), recorded(folder, "train", {}, 0):
        (folder / "log.jsonl").write_text('{"step": 1, "loss": 1.0}\n')
        raise KeyboardInterrupt
    assert empty.made("segmenters") == [folder]
    assert gather(empty).segmenter is None


def test_a_decoder_of_real_labels_says_so(empty: Project):
    folder = empty.next_folder("decoders", "light")
    with recorded(folder, "fit", {"steps": 100}, 0):
        about = {"labelled": {"names": ["a.png", "b.png", "c.png"]}, "method": "gradient-matching"}
        write_json(folder / "config.json", {"about": about})
    said = " ".join(read(page(gather(empty))).text.split())
    assert "3 labelled real pictures, learned by gradient matching" in said


def test_a_decoder_that_was_looked_at_has_a_live_curve(empty: Project):
    folder = empty.next_folder("decoders", "light")
    with recorded(folder, "fit", {"steps": 100}, 0):
        hooks = [{"step": 50 * step, "hook": True, "held_out_miou": 0.3 * step} for step in (1, 2)]
        write_rows(folder / "log.jsonl", [{"step": 50, "loss": 1.0}, *hooks])
    reader = read(page(gather(empty)))
    drawings = [attributes["aria-label"] for tag, attributes in reader.tags if tag == "svg"]
    of = "of decoder 0001-light over its steps"
    assert drawings == [f"Loss {of}", f"Mean IoU {of}"]
    assert "on annotated pictures that did not teach it" in reader.text


def test_its_sections_can_be_reached_from_the_top(text: str):
    tags = read(text).tags
    links = [attributes["href"] for tag, attributes in tags if tag == "a"]
    names = [f"#{attributes['id']}" for tag, attributes in tags if tag == "section"]
    assert links == names
    assert len(set(names)) == len(names)
    assert "#class-by-class" in names


def test_every_table_can_be_scrolled_by_keys(text: str):
    tags = read(text).tags
    around = [attributes for _, attributes in tags if attributes.get("class") == "scroll"]
    assert len(around) == sum(tag == "table" for tag, _ in tags) == 4
    assert all(one["tabindex"] == "0" and one["role"] == "group" and one["aria-label"] for one in around)


def test_an_empty_project_has_nothing_to_list(empty: Project):
    text = page(gather(empty))
    assert "<nav" not in text
    assert "labels used none yet" in " ".join(read(text).text.split())


def test_floors_are_told_once_for_each_number_of_labels(empty: Project):
    for name, labels, miou in (("a", 1, 0.1), ("b", 5, 0.2), ("c", 5, 0.3)):
        add_segmenter(empty, f"unet-{name}", "labelled pictures", wrong=0.1)
        path = empty.made("runs")[-1] / "run.json"
        record = json.loads(path.read_text())
        record["result"]["floors"] = {"majority": {"labels": labels, "miou": miou}}
        write_json(path, record)
    text = page(gather(empty))
    told = re.findall(r"<b>floor: majority</b><span>[^<]*, from (\d labels?)</span>.*?<output>([\d.]+)</output>", text)
    assert told == [("5 labels", "0.300"), ("1 label", "0.100")]  # 0.3 is the newest test's own, which is shown


def test_without_floors_there_is_no_word_of_them(empty: Project):
    for name in "ab":
        add_segmenter(empty, f"unet-{name}", "labelled pictures", wrong=0.1)
    text = page(gather(empty))
    assert "Beside the alternatives" in text
    assert "floor" not in text.lower()


def test_the_time_of_a_run_that_was_killed_is_more_than_is_known(empty: Project):
    add_segmenter(empty, "unet-a", "labelled pictures", wrong=0.1)
    path = empty.made("segmenters")[-1] / "run.json"
    assert ">over " not in page(gather(empty))
    write_json(path, json.loads(path.read_text()) | {"killed": 1})
    assert len(re.findall(r'<td class="number">over [\d.]+ s</td>', page(gather(empty)))) == 1
