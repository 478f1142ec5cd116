"""Says by how much two ways of a study differ from seed to seed: what `FRACTION_NOISE` and `FEW_NOISE` stand on.

    python tools/seed_noise.py [FOLDER...] [--without AXIS=VALUE]

Of every two places of a kept study that differ in one axis but in the number of labels not, the deviation over the
seeds that both have of the difference of their mean IoU; pooled by the number of labels. A folder is one of `gannotate
study run --out`; docs/study-results when none is given. `--without way=semantic-gan` leaves the pairs with that out.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from statistics import fmean, variance

from gannotate.studies.comparison import FEW, LABELS, few_labels
from gannotate.studies.findings import Point
from gannotate.studies.reading import find_studies, read_study

KEPT = Path(__file__).parents[1] / "docs" / "study-results"
MEASURES = ("miou", "fg")


def main(folders: list[Path], without: str) -> None:
    """A row a study, then all of them; without the points at that value of an axis."""
    axis, _, value = without.partition("=")
    pooled: dict[str, list[float]] = defaultdict(list)
    print("study, labels: deviation of the difference of two ways, pairs")
    for folder in find_studies(folders):
        ended = read_study(folder)
        own: dict[str, list[float]] = defaultdict(list)
        points = [point for point in ended.points if not axis or str(point.at.get(axis)) != value]
        for first, second in combinations(points, 2):
            for squared in _squared(first, second):
                own[_labels(first)].append(squared)
        for labels, found in sorted(own.items()):
            print(f"{ended.frame.called}, {labels}: {math.sqrt(fmean(found)):.3f}, {len(found)}")
            pooled[labels] += found
    for labels, found in sorted(pooled.items()):
        print(f"all, {labels}: {math.sqrt(fmean(found)):.3f}, {len(found)}")


def _squared(first: Point, second: Point) -> Iterator[float]:
    """The variance over seeds of the difference, of each measure; of points that differ in one axis, not the labels."""
    apart = [axis for axis in first.at if first.at[axis] != second.at[axis]]
    if len(apart) != 1 or apart[0] == LABELS:
        return
    for name in MEASURES:
        one, other = first.values.get(name, {}), second.values.get(name, {})
        seeds = sorted({*one} & {*other})
        if len(seeds) > 1:
            yield variance([one[seed] - other[seed] for seed in seeds])


def _labels(point: Point) -> str:
    return f"fewer than {FEW}" if few_labels(point) else f"{FEW} and more"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, default=[KEPT])
    parser.add_argument("--without", default="", metavar="AXIS=VALUE")
    flags = parser.parse_args()
    main(flags.folders, flags.without)
