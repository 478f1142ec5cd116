"""A study's plots can be read: colours told apart, names that fit, a legend as wide as the plot."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure as Canvas

from gannotate.studies.findings import Figure, Point
from gannotate.studies.frame import Frame
from gannotate.studies.plot import COLOURS, DASHES, LEGEND_LETTERS, Legend, draw, fill
from gannotate.studies.study import Axis, Measure, Plot

SEES = {
    "all colours": np.eye(3),
    "no red": np.array([[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]]),
    "no green": np.array([[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]]),
    "no blue": np.array([[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]]),
}
"""What linear light becomes for whom (Machado, Oliveira and Fernandes 2009, severity 1)."""

PAGES = ("#ffffff", "#1c2024")
"""What plots stand on: white, and the cards of a dark page."""

FROM_LINEAR = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]])
TO_LAB = np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])
"""From linear light to OKLab (Ottosson 2020)."""


def linear(colour: str) -> np.ndarray:
    """Linear light of `#rrggbb`, 0 to 1."""
    part = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """As WCAG 2 has it, 1 to 21."""
    dark, light = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def distance(one: str, other: str, sees: str) -> float:
    """In OKLab, black to white being 100."""
    labs = [TO_LAB @ np.cbrt(FROM_LINEAR @ np.clip(SEES[sees] @ linear(colour), 0, 1)) for colour in (one, other)]
    return 100 * float(np.linalg.norm(labs[0] - labs[1]))


@pytest.mark.parametrize("sees", SEES)
def test_the_first_six_colours_are_told_apart_by_everybody(sees: str):
    assert distance("#000000", "#ffffff", "all colours") == pytest.approx(100, abs=0.1)
    assert min(distance(*pair, sees) for pair in itertools.combinations(COLOURS[:6], 2)) > 9


@pytest.mark.parametrize("page", PAGES)
def test_they_can_be_seen_on_white_and_on_a_dark_page(page: str):
    assert min(contrast(colour, page) for colour in COLOURS[:6]) >= 3  # WCAG 2.1, 1.4.11


def frame_of(axes: dict[str, Sequence[object]], titles: dict[object, str] | None = None) -> Frame:
    """A study of one measure over these axes."""
    made = {
        name: Axis.model_validate(
            {"title": name, "values": [{"value": one, "title": (titles or {}).get(one, str(one))} for one in values]}
        )
        for name, values in axes.items()
    }
    measure = Measure.model_validate({"from": "", "title": "mIoU", "format": "fraction", "better": "higher"})
    return Frame("made", "A study", "Grounds", False, made, {"m": measure}, {"m": ("m",)}, (), (), (), ())


def points_of(frame: Frame, seeds: int = 1) -> list[Point]:
    """A figure at every place."""
    figure = Figure(0.5, 0.1, 0.4, 0.6, count=seeds, asked=seeds)
    places = itertools.product(*([value.value for value in axis.values] for axis in frame.axes.values()))
    return [Point(dict(zip(frame.axes, place, strict=True)), {"m": figure}) for place in places]


def lines_of(frame: Frame, plot: Plot) -> list[tuple[str, object, str]]:
    """Colour, dashes and mark of each line drawn."""
    axes = Canvas().add_subplot()
    fill(axes, frame, plot, points_of(frame))
    drawn = [one[0] for one in axes.containers]
    return [(str(line.get_color()), line.get_linestyle(), str(line.get_marker())) for line in drawn]


def test_of_two_axes_the_longer_has_the_colours_and_the_other_the_dashes():
    frame = frame_of({"n": [1, 2], "way": ["a", "b"], "shots": [1, 5, 10]})
    found = lines_of(frame, Plot(x="n", series=("way", "shots"), measure="m"))
    assert [colour for colour, _, _ in found] == list(COLOURS[:3]) * 2
    assert [dash for _, dash, _ in found] == ["-"] * 3 + ["--"] * 3
    assert len({mark for _, _, mark in found}) == 6
    turned = lines_of(frame, Plot(x="n", series=("shots", "way"), measure="m"))
    assert [colour for colour, _, _ in turned] == [colour for colour in COLOURS[:3] for _ in range(2)]


def test_more_lines_than_colours_are_told_apart_by_dashes():
    many = [f"way {number}" for number in range(len(COLOURS) + 2)]
    found = lines_of(frame_of({"n": [1, 2], "way": many}), Plot(x="n", series=("way",), measure="m"))
    assert len({(colour, dash) for colour, dash, _ in found}) == len(many)
    assert len(DASHES) * len(COLOURS) > 50


def ticks_of(names: Sequence[str]) -> tuple[list[str], float]:
    """Texts below a plot over these names, and how far they are turned."""
    frame = frame_of(
        {"where": [f"v{at}" for at in range(len(names))], "way": ["a", "b"]},
        {f"v{at}": name for at, name in enumerate(names)},
    )
    axes = Canvas().add_subplot()
    fill(axes, frame, Plot(x="where", series=("way",), measure="m"), points_of(frame))
    labels = axes.get_xticklabels()
    return [label.get_text() for label in labels], labels[0].get_rotation()


def test_names_below_a_plot_stay_straight_where_they_fit():
    assert ticks_of(["fresh generated pictures", "real test pictures"]) == (
        ["fresh generated pictures", "real test pictures"],
        0,
    )
    names = ["4-8 px", "64 px and more", "a", "b", "c", "d"]
    assert ticks_of(names) == (["4-8 px", "64 px and\nmore", "a", "b", "c", "d"], 0)
    assert ticks_of(["unbreakablename"] * 6) == (["unbreakablename"] * 6, 25)


@given(st.lists(st.text("ab c", max_size=130), min_size=1, max_size=13), st.integers(20, 120))
def test_a_legend_is_as_wide_as_its_plot_and_as_high_as_its_names(names: list[str], letters: int):
    legend = Legend.of(names, letters)
    widest = max(len(line) for name in legend.names for line in name.split("\n"))
    assert widest <= letters
    assert legend.columns == 1 or legend.columns * widest <= letters
    assert ["".join(name.split()) for name in names] == ["".join(name.split()) for name in legend.names]
    assert legend.lines >= max(name.count("\n") + 1 for name in legend.names)
    assert legend.lines * legend.columns >= len(names)


def test_many_lines_have_their_legend_below_and_the_plot_keeps_its_width():
    ways = [f"convolution, norm, activation, dropout (the code), {number}" for number in range(6)]
    frame = frame_of({"n": [1, 2], "way": ways})
    plot = Plot(x="n", series=("way",), measure="m")
    svg = draw(frame, plot, points_of(frame))["svg"].decode()
    few = draw(frame_of({"n": [1, 2], "way": ways[:5]}), plot, points_of(frame_of({"n": [1, 2], "way": ways[:5]})))
    width = svg.split('width="', 1)[1].split('"')[0]
    assert width == few["svg"].decode().split('width="', 1)[1].split('"')[0]
    assert all(svg.count(f">{way}<") == 1 for way in ways)
    assert Legend.of(ways, LEGEND_LETTERS).columns == 1


@pytest.mark.parametrize(
    ("seeds", "said"), [(1, "one seed"), (3, "mean of 3 seeds, bars from smallest to largest"), (0, "no figures")]
)
def test_a_plot_says_over_how_many_seeds_it_is(seeds: int, said: str):
    frame = frame_of({"n": [1, 2]})
    points = points_of(frame, seeds) if seeds else []
    assert f">{said}<" in draw(frame, Plot(x="n", measure="m"), points)["svg"].decode()


@pytest.mark.parametrize(
    ("scale", "values", "named"),
    [
        ("log", [2, 10, 30, 100, 150, 180, 1500], ["2", "10", "30", "100", "150", "", "1500"]),
        ("linear", [2, 3, 10, 1500], ["2", "", "", "1500"]),
        ("linear", [1, 5, 10], ["1", "5", "10"]),
        ("linear", [64, 48, 32], ["64", "48", "32"]),
        ("log", [150], ["150"]),
    ],
)
def test_numbers_that_would_run_into_each_other_are_not_all_named(scale: str, values: list[int], named: list[str]):
    frame = frame_of({"n": values, "way": ["a", "b"]})
    plot = Plot.model_validate({"x": "n", "series": ["way"], "measure": "m", "scale": scale})
    axes = Canvas().add_subplot()
    fill(axes, frame, plot, points_of(frame))
    if len(values) > 1:
        assert [label.get_text() for label in axes.get_xticklabels()] == named
        assert list(axes.get_xticks()) == values  # each has its mark
    assert draw(frame, plot, points_of(frame)).keys() == {"svg", "png"}
