"""Examples, tables and curves of a report."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from gannotate.data.labelled import LabelledSet
from gannotate.errors import GannotateError
from gannotate.files import write_json
from gannotate.labels import IGNORE, make_classes
from gannotate.report.by_picture import rank_correlation
from gannotate.report.examples import picture_miou, read_examples, read_pictures, write_examples
from gannotate.report.pictures import heat
from gannotate.report.plots import curve_svg, reliability_svg, scatter_svg
from gannotate.report.tables import class_table, clock, confusion_table, figure, most_confused, prose, scrolled

CLASSES = make_classes(["ground", "core", "rim"])


def half_wrong(count: int) -> tuple[LabelledSet, np.ndarray]:
    """Pictures of one class whose predictions get worse one by one: row i has i wrong pixels."""
    truth = np.ones((count, 8, 8), np.uint8)
    predictions = truth.copy()
    for index in range(count):
        predictions[index].reshape(-1)[:index] = 2
    test = LabelledSet(tuple(map(str, range(count))), np.full((count, 8, 8, 3), 7, np.uint8), truth)
    return test, predictions


def test_examples_are_random_ones_and_the_worst_of_the_others(tmp_path: Path):
    test, predictions = half_wrong(20)
    choices = write_examples(tmp_path, test, predictions, CLASSES, random=5, worst=4)
    random = [int(choice.name) for choice in choices if choice.chosen == "random"]
    worst = [int(choice.name) for choice in choices if choice.chosen == "worst"]
    assert len(set(random)) == 5
    assert worst == sorted(set(range(20)) - set(random), reverse=True)[:4]
    again = write_examples(tmp_path / "b", test, predictions, CLASSES, random=5, worst=4)
    assert again == choices
    other = write_examples(tmp_path / "c", test, predictions, CLASSES, random=5, worst=4, seed=1)
    assert other != choices


def test_the_best_are_of_those_that_are_neither_random_nor_worst(tmp_path: Path):
    test, predictions = half_wrong(12)
    kept = [(int(one.name), one.chosen) for one in write_examples(tmp_path, test, predictions, CLASSES, 3, 4, 99)]
    drawn = [index for index, chosen in kept if chosen == "random"]
    others = [index for index in range(12) if index not in drawn]
    assert [index for index, chosen in kept if chosen == "worst"] == others[::-1][:4]
    assert [index for index, chosen in kept if chosen == "best"] == others[:5]
    assert len(kept) == 12


def test_every_test_picture_is_noted(tmp_path: Path):
    test, predictions = half_wrong(4)
    test.label_maps[3] = IGNORE
    uncertainty = np.zeros_like(predictions)
    uncertainty[2].reshape(-1)[:6] = 255  # a tenth of 64 pixels is 6
    uncertainty[1].reshape(-1)[:3] = 255
    kept = write_examples(tmp_path, test, predictions, CLASSES, random=0, worst=1, best=0, uncertainty=uncertainty)
    noted = read_pictures(tmp_path)
    assert [(one.name, one.miou) for one in noted] == [
        (str(index), None if index == 3 else round(picture_miou(test.label_maps[index], predictions[index], 3) or 0, 4))
        for index in range(4)
    ]
    assert [one.uncertainty for one in noted] == [0.0, 0.5, 1.0, 0.0]
    assert [(one.source, one.uncertainty) for one in kept] == [("2", 1.0)]
    (example,) = read_examples(tmp_path, 3)
    assert (example.uncertainty == uncertainty[2]).all()
    assert read_pictures(tmp_path / "nowhere") == []
    (tmp_path / "pictures.json").write_text('[{"name": 1, "else": 2}]')
    with pytest.raises(GannotateError, match=r"pictures.json is damaged"):
        read_pictures(tmp_path)


def test_examples_of_an_earlier_version_are_read(tmp_path: Path):
    test, predictions = half_wrong(2)
    write_examples(tmp_path, test, predictions, CLASSES)
    old = [{"name": "000000", "chosen": "random", "miou": 0.5}]
    write_json(tmp_path / "examples.json", old)
    (example,) = read_examples(tmp_path, 3)
    assert (example.choice.source, example.choice.uncertainty, example.uncertainty) == ("", None, None)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=30), st.randoms(use_true_random=False))
def test_rank_correlation_sees_order_alone(values: list[int], random: Random):
    x = np.array(values, float)
    y = np.array(random.sample(range(len(values)), len(values)), float)
    found = rank_correlation(x, y)
    if len(set(values)) == 1:
        assert found is None
        return
    assert found is not None
    assert found == pytest.approx(float(np.asarray(spearmanr(x, y))[0]))
    assert rank_correlation(np.exp(x), -y) == pytest.approx(-found)


def test_heat_goes_from_black_to_yellow():
    colours = heat(np.array([[0, 128, 255]], np.uint8))[0].astype(int)
    assert (colours[0] < 10).all()
    assert (colours[2] > 150).all()
    assert colours[1][0] > colours[1][2]


def test_examples_read_back(tmp_path: Path):
    test, predictions = half_wrong(6)
    choices = write_examples(tmp_path, test, predictions, CLASSES, random=2, worst=9)
    read = read_examples(tmp_path, 3)
    assert [one.choice for one in read] == choices
    assert len(read) == 6
    for one in read:
        index = int(one.choice.name)
        assert (one.picture == test.pictures[index]).all()
        assert (one.truth == test.label_maps[index]).all()
        assert (one.prediction == predictions[index]).all()


def test_no_examples_and_damaged_ones(tmp_path: Path):
    assert read_examples(tmp_path, 3) == []
    test, predictions = half_wrong(2)
    write_examples(tmp_path, test, predictions, CLASSES)
    (tmp_path / "000001.truth.png").unlink()
    with pytest.raises(GannotateError, match="is damaged"):
        read_examples(tmp_path, 3)


def test_a_picture_without_labels_has_no_miou_and_is_not_among_the_worst(tmp_path: Path):
    test, predictions = half_wrong(3)
    test.label_maps[0] = IGNORE
    assert picture_miou(test.label_maps[0], predictions[0], 3) is None
    assert picture_miou(test.label_maps[1], test.label_maps[1], 3) == 1
    # 1 of 64 pixels wrong: classes 1 (63/64) and 2 (0) are there
    assert picture_miou(test.label_maps[1], predictions[1], 3) == pytest.approx(63 / 64 / 2)
    choices = write_examples(tmp_path, test, predictions, CLASSES, random=0, worst=5)
    assert [choice.name for choice in choices] == ["000002", "000001"]


@given(st.floats(0, 1))
def test_figures_have_three_digits(value: float):
    assert abs(float(figure(value)) - value) <= 0.0005 + 1e-12


def test_figures_and_clock():
    assert figure(None) == "-"
    assert [clock(s) for s in (3.21, 59.94, 65, 3599.6, 7500)] == [
        "3.2 s",
        "59.9 s",
        "1 min 05 s",
        "1 h 00 min",
        "2 h 05 min",
    ]


def test_class_table_gives_iou_recall_precision_and_share():
    confusion = [[6, 2, 0], [0, 2, 0], [0, 0, 0]]
    table = ElementTree.fromstring(class_table(CLASSES, [0.75, 0.5, None], confusion))
    rows = [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")][1:]
    assert rows == [
        ["ground", "", "0.750", "0.750", "1.000", "80.00 %"],
        ["core", "", "0.500", "1.000", "0.500", "20.00 %"],
        ["rim", "", "-", "-", "-", "0.00 %"],
    ]


def test_confusion_is_in_percent_of_the_truth():
    table = ElementTree.fromstring(confusion_table(CLASSES, [[990, 9, 1], [1, 1, 0], [0, 0, 0]]))
    rows = [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")][1:]
    assert rows == [["ground", "99", "1", "<1"], ["core", "50", "50", ""], ["rim", "-", "-", "-"]]
    kinds = [[cell.get("class") for cell in row][1:] for row in table.iter("tr")][1:3]
    assert kinds == [["right", "wrong", "wrong"], ["wrong", "right", "wrong"]]


def test_curves_are_plain_svg_in_the_page_s_colours():
    rows = [{"step": step, "loss": 1 / step} for step in range(1, 9)]
    svg = curve_svg(rows, ("loss",), 'loss of "a" & b')
    tree = ElementTree.fromstring(svg)
    assert tree.get("aria-label") == 'loss of "a" & b'
    assert "currentColor" in svg
    assert "metadata" not in svg
    assert "#010203" not in svg
    assert svg == curve_svg(rows, ("loss",), 'loss of "a" & b')
    # the curve falls: y grows downwards, and steps go right
    path = next(p.get("d", "") for p in tree.iter() if p.tag.endswith("path") and "#2f7ed8" in (p.get("style") or ""))
    numbers = list(map(float, re.findall(r"[\d.]+", path)))
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    assert len(points) == 8
    assert points == sorted(points)
    assert [y for _, y in points] == sorted(y for _, y in points)


def test_a_loss_that_reaches_zero_can_be_drawn():
    rows = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.0}, {"step": 3, "kid": 1.0}]
    assert "<svg" in curve_svg(rows, ("loss",), "loss")


def test_reliability_plot_is_inside_a_page_or_a_file_of_its_own():
    calibration = {"ece": 0.03, "count": [0, 1, 5], "accuracy": [None, 0.4, 0.9], "confidence": [None, 0.5, 0.95]}
    inside, alone = reliability_svg(calibration), reliability_svg(calibration, standalone=True)
    assert "currentColor" in inside
    assert "currentColor" not in alone
    assert "background: #fff" in alone
    for svg in (inside, alone):
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
        assert "expected calibration error 0.030" in svg


def test_a_curve_names_its_axes_and_has_a_legend_for_several_only():
    rows = [{"step": step, "loss": 1 / step, "other": step} for step in range(1, 9)]
    one = curve_svg(rows, ("loss",), "a", "loss")
    assert ">loss, logarithmic<" in one
    assert ">loss<" not in one
    assert ">mean IoU<" in curve_svg(rows, ("loss",), "a", "mean IoU", linear=True)
    both = curve_svg(rows, ("loss", "other"), "a")
    assert (both.count(">loss<"), both.count(">other<")) == (1, 1)


@pytest.mark.parametrize(("least", "most"), [(0.9958, 0.9971), (0.99612, 0.99618), (0.02, 0.6), (0.1, 0.1)])
def test_ticks_of_points_do_not_run_into_each_other(least: float, most: float):
    svg = scatter_svg([least, (least + most) / 2, most], [0.4, 0.6, 0.9], "uncertainty", "mean IoU", "Points")
    found = re.findall(r'font-size: ([\d.]+)px[^>]*middle[^>]* x="([\d.]+)"[^>]*>([\d.]+)</text>', svg)
    ends = [(float(x), len(text) * 0.64 * float(px) / 2) for px, x, text in found]  # a wide font's digits
    assert len(ends) >= 2
    assert all(x + half + 4 < other - its_half for (x, half), (other, its_half) in pairwise(sorted(ends)))


def test_bars_stand_before_the_grid():
    calibration = {"ece": 0.03, "count": [0, 1, 5], "accuracy": [None, 0.4, 0.9], "confidence": [None, 0.5, 0.95]}
    svg = reliability_svg(calibration)
    assert svg.rindex("stroke-opacity: 0.25") < svg.rindex("#d9822b")
    assert ">share of<" in svg


def test_reliability_of_few_pixels_is_pale_and_of_none_is_no_bar():
    calibration = {"ece": 0.03, "count": [0, 99, 100], "accuracy": [None, 0.0, 0.9], "confidence": [None, 0.5, 0.95]}
    above = re.findall(r"fill: #2f7ed8[^\"]*", reliability_svg(calibration))
    assert ["opacity: 0.35" in style for style in above] == [True, False]


def test_the_costliest_confusions_are_told_in_words():
    words = re.sub(r"<[^>]+>", " ", most_confused(CLASSES, [[990, 9, 1], [30, 70, 0], [0, 9, 1]], most=3))
    assert [" ".join(line.split()) for line in words.split(" own ")] == [
        "What costs the most pixels: core taken for ground: 2.7 % of all pixels, 30.0 % of its",
        "ground taken for core: 0.8 % of all pixels, 0.9 % of its",
        "rim taken for core: 0.8 % of all pixels, 90.0 % of its",
        "",
    ]
    assert "&lt;0.1 % of all" in most_confused(CLASSES, [[99999, 1, 0], [0, 0, 0], [0, 0, 0]])
    assert most_confused(CLASSES, [[5, 0, 0], [0, 0, 0], [0, 0, 0]]) == ""
    assert most_confused(CLASSES, [[0, 0, 0]] * 3) == ""


def test_a_table_that_scrolls_can_be_reached_by_keys_and_has_a_name():
    around = ElementTree.fromstring(scrolled("<table></table>", 'a "b" & c'))
    assert (around.get("tabindex"), around.get("aria-label")) == ("0", 'a "b" & c, table')


def test_what_stands_between_backticks_is_code():
    assert prose("`fit --pick` & <b>, 5` off") == "<code>fit --pick</code> &amp; &lt;b&gt;, 5` off"
