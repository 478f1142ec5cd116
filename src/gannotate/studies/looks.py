"""Colours, dashes and marks of a study's lines: a value looks alike on every domain, whatever is drawn beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gannotate.studies.documents import Scalar
from gannotate.studies.frame import Frame

COLOURS = (
    "#2f7ed8", "#d47a1f", "#c62caa", "#806464", "#9c8eaa", "#d41010", "#3fa34d", "#17a2a2", "#fc5484", "#5566bb",
    "#8c6d46", "#cc48fc", "#000000",
)  # fmt: skip
"""The first six are told apart by people who see no red or no green too. All have a contrast of 3 on white and, but for
black, which is drawn in the page's ink, on a dark page."""
MARKERS = "os^Dv<>PX*hd"
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (9, 2, 1, 2, 1, 2)))
"""Marks and dashes of the lines: told apart without colours."""
DASH_STRIDE = 5
"""How many marks further on the lines with the next dashes begin: whatever values are new, the others keep theirs."""


def looks(
    frame: Frame, series: Sequence[str], lines: Sequence[Mapping[str, Scalar]], ink: str = "#000000"
) -> list[dict[str, Any]]:
    """Colour, dashes and mark of each line, by the places of its values on the axes that the study declares.

    Of two axes the longer has the colours and the other the dashes. Lines of any other number of axes have a colour
    each, and dashes where the colours do not suffice. `ink` stands for black.
    """
    orders = [frame.order(name) for name in series]
    places = [[order.index(str(at[name])) for name, order in zip(series, orders, strict=True)] for at in lines]
    lengths = [len(order) for order in orders]
    numbers = [_number(place, lengths) for place in places]
    # the longer as it is declared: new values change no line that is there
    declared = [len(frame.declared.get(name, ())) or length for name, length in zip(series, lengths, strict=True)]
    by_colour = int(len(lengths) == 2 and declared[1] >= declared[0])
    if len(lengths) == 2 and lengths[by_colour] <= len(COLOURS) and lengths[1 - by_colour] <= len(DASHES):
        pairs = [(place[by_colour], place[1 - by_colour]) for place in places]
        numbers = [colour + DASH_STRIDE * dash for colour, dash in pairs]
    else:
        if math.prod(lengths) > len(COLOURS) * len(DASHES):  # too many to tell apart, unless few of them are there
            numbers = list(range(len(lines)))
        pairs = [(number % len(COLOURS), number // len(COLOURS) % len(DASHES)) for number in numbers]
    return [
        {
            "color": COLOURS[colour].replace("#000000", ink),
            "ls": DASHES[dash],
            "marker": MARKERS[number % len(MARKERS)],
        }
        for number, (colour, dash) in zip(numbers, pairs, strict=True)
    ]


def _number(place: Sequence[int], lengths: Sequence[int]) -> int:
    """Which of all combinations of the axes' values this is."""
    number = 0
    for own, length in zip(place, lengths, strict=True):
        number = number * length + own
    return number
