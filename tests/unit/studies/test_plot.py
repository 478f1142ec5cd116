"""A study's plots can be read: colours told apart, names that fit, a legend as wide as the plot."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure as Canvas

from gannotate.studies.comparison import FRACTION_NOISE
from gannotate.studies.figure_scale import LEAST_RANGE, NOISE_LABEL, reach
from gannotate.studies.findings import Figure, Point
from gannotate.studies.frame import Frame
from gannotate.studies.looks import COLOURS, DASHES, looks
from gannotate.studies.plot import LEGEND_LETTERS, LEGEND_LINE_IN, Legend, draw, fill
from gannotate.studies.reading import read_study
from gannotate.studies.study import Axis, Measure, Plot, load_study, names

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
    drawn = [colour for colour in COLOURS if colour != "#000000"]  # which stands for the page's ink
    assert min(contrast(colour, page) for colour in drawn) >= 3  # WCAG 2.1, 1.4.11


@pytest.mark.parametrize("sees", SEES)
@pytest.mark.parametrize("colour", ["#fc5484", "#cc48fc"])
def test_two_later_colours_are_like_none_of_the_others(colour: str, sees: str):
    assert min(distance(colour, other, sees) for other in COLOURS if other != colour) > 6.5


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


def points_of(frame: Frame, seeds: int = 1, mean: float = 0.5) -> list[Point]:
    """A figure at every place."""
    figure = Figure(mean, 0.1, mean - 0.1, mean + 0.1, count=seeds, asked=seeds)
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


DECLARED = tuple("abcdefg")


@pytest.mark.parametrize("present", [["a", "b", "c", "d", "e"], ["b", "e"], ["e"], ["new", "e"]])
@pytest.mark.parametrize("series", [("way",), ("way", "shots"), ("shots", "way")])
def test_a_value_looks_alike_whatever_is_beside_it(present: list[str], series: tuple[str, ...]):
    axes = {"way": present, "shots": [5]}
    frame = replace(frame_of(axes), declared={"way": DECLARED, "shots": (1, 5, 10)})
    whole = frame_of({"way": DECLARED, "shots": [1, 5, 10]})
    at = {"way": "e", "shots": 5}
    assert looks(frame, series, [at]) == looks(whole, series, [at])
    assert len({str(look) for look in looks(frame, series, [at | {"way": way} for way in present])}) == len(present)


def test_a_few_of_very_many_values_are_told_apart_nevertheless():
    declared = tuple(f"way {number}" for number in range(200))
    present = [declared[0], declared[52], declared[156]]  # as far from each other as the palette goes
    frame = replace(frame_of({"way": present}), declared={"way": declared})
    assert len({str(look) for look in looks(frame, ("way",), [{"way": way} for way in present])}) == 3


def test_studies_of_earlier_versions_look_as_the_study_declares():
    kept = Path(__file__).parents[3] / "docs" / "study-results"
    found = {}
    for name in ("portraits", "wbc", "xray"):
        frame = read_study(kept / f"gradient-matching-{name}").frame
        assert frame.order("way") == [str(one.value) for one in load_study("gradient-matching").axes["way"].values]
        (found[name],) = looks(frame, ("way",), [{"way": "gradient-matching"}])
    assert found["portraits"] == found["wbc"] == found["xray"]


def drawn_on(frame: Frame, plot: Plot, points: Sequence[Point]) -> Any:
    """The axes with the plot's drawing."""
    axes = Canvas(figsize=(6.4, 4.0)).add_subplot()
    fill(axes, frame, plot, points)
    return axes


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("count", [2, 5, 11])
def test_bars_over_a_scale_stand_beside_each_other_on_screen(scale: str, count: int):
    frame = frame_of({"n": [2, 10, 30], "way": [f"w{number}" for number in range(count)]})
    plot = Plot.model_validate({"x": "n", "series": ["way"], "measure": "m", "scale": scale})
    axes = drawn_on(frame, plot, points_of(frame, seeds=3))
    points = 72 / axes.figure.dpi
    at = [line.get_transform().transform(line.get_xydata())[:, 0] * points for line, *_ in axes.containers]
    assert (np.diff(at, axis=0) >= 2.99).all()
    assert np.ptp(at, axis=0).max() <= 30.01
    inside = axes.get_window_extent()
    assert inside.x0 * points < np.min(at)
    assert np.max(at) < inside.x1 * points
    for (line, caps, bars), own in zip(axes.containers, at, strict=True):
        assert list(line.get_xdata()) == [2, 10, 30]
        ends = [bars[0].get_transform().transform(segment)[:, 0] * points for segment in bars[0].get_segments()]
        assert np.allclose(ends, own[:, None])
        assert all(np.allclose(cap.get_transform().transform(cap.get_xydata())[:, 0] * points, own) for cap in caps)


def test_lines_of_one_seed_stand_where_they_are():
    frame = frame_of({"n": [2, 10], "way": ["a", "b"]})
    axes = drawn_on(frame, Plot(x="n", series=("way",), measure="m"), points_of(frame))
    assert all(line.get_transform() == axes.transData for line, *_ in axes.containers)


fractions = st.floats(0, 1)


@given(fractions, fractions)
def test_a_scale_of_fractions_is_wide_enough_and_shows_no_impossible_ones(one: float, other: float):
    least, most = sorted((one, other))
    margin = 0.05 * (most - least)
    low, high = reach(least - margin, most + margin, least, most)
    assert high - low >= LEAST_RANGE - 1e-9
    assert -1e-9 <= low <= least + 1e-9
    assert most - 1e-9 <= high <= 1 + 1e-9


FORMS = [("n", ("way",), "y"), ("way", (), "x")]
"""Lines over a scale, and a list: what is over what, and along which side figures stand."""


@pytest.mark.parametrize(("x", "series", "along"), FORMS)
@pytest.mark.parametrize("mean", [0.0, 0.5, 1.0])
def test_noise_does_not_fill_a_plot_of_fractions(x: str, series: tuple[str, ...], along: str, mean: float):
    frame = frame_of({"n": [2, 10], "way": ["a", "b"]} if series else {"way": ["a", "b"]})
    axes = drawn_on(frame, Plot(x=x, series=series, measure="m"), points_of(frame, mean=mean))
    low, high = getattr(axes, f"get_{along}lim")()
    assert high - low == pytest.approx(LEAST_RANGE)
    assert low >= 0
    assert high <= 1
    assert low <= mean <= high


@pytest.mark.parametrize(("x", "series", "along"), FORMS)
@pytest.mark.parametrize(("form", "seeds", "told"), [("fraction", 1, 1), ("fraction", 3, 0), ("seconds", 1, 0)])
def test_fractions_of_one_seed_have_the_noise_of_one_beside_them(
    x: str, series: tuple[str, ...], along: str, form: str, seeds: int, told: int
):
    frame = frame_of({"n": [2, 10], "way": ["a", "b"]} if series else {"way": ["a", "b"]})
    frame = replace(frame, measures={"m": frame.measures["m"].model_copy(update={"format": form})})
    plot = Plot(x=x, series=series, measure="m")
    axes = drawn_on(frame, plot, points_of(frame, seeds))
    assert [text.get_text() for text in axes.texts].count(NOISE_LABEL) == told
    lengths = [np.ptp(getattr(line, f"get_{along}data")()) for line in axes.lines]
    assert sum(length == pytest.approx(2 * FRACTION_NOISE) for length in lengths) == told
    assert draw(frame, plot, points_of(frame, seeds))["svg"].decode().count(NOISE_LABEL) == told


@pytest.mark.parametrize(("seeds", "end"), [(1, 0.5), (3, 0.6)])
def test_a_list_has_its_figures_right_of_dots_and_bars(seeds: int, end: float):
    frame = frame_of({"way": ["a", "b"]})
    axes = drawn_on(frame, Plot(x="way", measure="m"), points_of(frame, seeds))
    figures = [text for text in axes.texts if text.get_text() != NOISE_LABEL]
    assert [text.get_text() for text in figures] == ["0.500", "0.500"]
    assert [text.xy for text in figures] == [(end, y) for y in axes.get_yticks()]


MEAN_OF = {0.25: "a", 0.75: "b"}


@pytest.mark.parametrize("way", ["a", "b"])
def test_a_plot_may_be_at_one_value_of_an_axis(way: str):
    frame = frame_of({"n": [1, 5], "way": ["a", "b"]})
    points = [
        point for mean in (0.25, 0.75) for point in points_of(frame, mean=mean) if point.at["way"] == MEAN_OF[mean]
    ]
    axes = drawn_on(frame, Plot(x="n", where={"way": way}, measure="m"), points)
    (line,) = axes.containers
    assert [MEAN_OF[mean] for mean in line.lines[0].get_ydata()] == [way, way]


@pytest.mark.parametrize("name", names())
def test_no_two_plots_of_a_study_have_one_title(name: str):
    study = load_study(name)
    frame = replace(frame_of({"n": [1]}), plots=study.plots, measures=study.measures)
    assert len({frame.title_of(plot) for plot in study.plots}) == len(study.plots)


def test_long_titles_go_on_below():
    frame = replace(frame_of({"way": ["a", "b"]}), title="A very long title of a study about " + "words " * 20)
    svg = draw(frame, Plot(x="way", measure="m"), points_of(frame))["svg"].decode()
    assert frame.title not in svg
    assert ">A very long title of a study about words" in svg


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


def test_new_values_of_the_shorter_axis_change_no_line_that_is_there():
    declared = {"a": ("1", "2"), "way": ("x", "y", "z")}
    few, more = (
        replace(frame_of({"n": [1], "a": list(range(1, last + 1)), "way": list("xyz")}), declared=declared)
        for last in (2, 4)
    )
    lines = [{"n": 1, "a": a, "way": way} for a in (1, 2) for way in "xyz"]
    assert looks(few, ("a", "way"), lines) == looks(more, ("a", "way"), lines)


def test_lines_have_their_legend_below_where_it_covers_none_and_the_plot_keeps_its_width():
    ways = [f"convolution, norm, activation, dropout (the code), {number}" for number in range(6)]
    frame = frame_of({"n": [1, 2], "way": ways})
    plot = Plot(x="n", series=("way",), measure="m")
    svg = draw(frame, plot, points_of(frame))["svg"].decode()
    few = draw(frame_of({"n": [1, 2], "way": ways[:2]}), plot, points_of(frame_of({"n": [1, 2], "way": ways[:2]})))
    width = svg.split('width="', 1)[1].split('"')[0]
    assert width == few["svg"].decode().split('width="', 1)[1].split('"')[0]
    assert all(svg.count(f">{way}<") == 1 for way in ways)
    assert Legend.of(ways, LEGEND_LETTERS).columns == 1
    heights = [float(one.split('height="', 1)[1].split("pt")[0]) for one in (svg, few["svg"].decode())]
    assert heights[0] - heights[1] == pytest.approx(4 * LEGEND_LINE_IN * 72, abs=0.1)


@pytest.mark.parametrize(
    ("seeds", "said"), [(1, "one seed"), (3, "mean of 3 seeds, bars from smallest to largest"), (0, "no figures")]
)
def test_a_plot_says_over_how_many_seeds_it_is(seeds: int, said: str):
    frame = frame_of({"n": [1, 2]})
    points = points_of(frame, seeds) if seeds else []
    assert f">{said}<" in draw(frame, Plot(x="n", measure="m"), points)["svg"].decode()


@pytest.mark.parametrize(("not_run", "said"), [(2, "mean of 1 to 3 seeds, "), (0, "mean of 3 seeds, ")])
def test_a_plot_says_that_figures_lack_seeds(not_run: int, said: str):
    """But not of those that are the same with every seed."""
    frame = frame_of({"n": [1, 2]})
    first, second = points_of(frame, 3)
    lone = replace(second.figures["m"], count=1, asked=1 + not_run, not_run=not_run)
    points = [first, replace(second, figures={"m": lone})]
    assert f">{said}bars from smallest to largest<" in draw(frame, Plot(x="n", measure="m"), points)["svg"].decode()


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
