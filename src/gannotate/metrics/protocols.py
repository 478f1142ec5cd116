"""How each paper turns a confusion matrix into its figure: which classes are averaged, what is chosen, on what.

Two figures may be compared when their protocols are one. A protocol is a name in `PROTOCOLS`; benchmarks refer to it,
`gannotate evaluate --protocol NAME` scores by it. Nothing here ever chooses on test pictures, whatever a paper did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int64, UInt8

from gannotate.errors import GannotateError, UsageError, nearest
from gannotate.metrics.confusion import Absent, confusion, scores

Figure = Literal["miou", "fg_miou", "area_iou", "fg_area_iou", "pixel_accuracy"]
"""One number of a confusion matrix, see `Figures`."""

TITLES: dict[Figure, str] = {
    "miou": "mIoU",
    "fg_miou": "FG-mIoU",
    "area_iou": "IoU by area",
    "fg_area_iou": "IoU by area of the foreground",
    "pixel_accuracy": "pixel accuracy",
}
"""How tables call the figures."""

Choice = Literal["validation", "folds", "test", "unknown"]
"""On what a paper chose which of its checkpoints to report."""

Counts = Int64[np.ndarray, "k k"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a figure is made of predictions; frozen, because a figure without its protocol means nothing."""

    name: str
    """As typed after --protocol."""
    about: str
    """One line: what is averaged, and how a model is chosen."""
    source: str
    """Paper or code that it is taken from."""
    figure: Figure
    """The figure that the source reports."""
    absent: Absent
    """A class that is neither in truth nor predictions: skip it in averages, or count it as zero."""
    ignore: tuple[int, ...] = ()
    """Class ids whose true pixels do not count (as 255 never does), and which no average has."""
    choice: Choice
    """On what the source chose its checkpoint. `test` is never followed here: it only makes a note."""
    chosen_by: Figure
    """The figure by which is chosen; the larger the better."""
    folds: int = 0
    """Parts of the test pictures for cross-validation; 0 for none."""
    last: int | None = None
    """Of the candidates only so many of the last ones are looked at; all when None."""
    note: str = ""
    """What one must know before comparing; empty when there is nothing."""

    def notes(self) -> list[str]:
        """Sentences that belong beside every figure of this protocol."""
        said = [self.note] if self.note else []
        if self.choice == "test":
            said.append(
                f"NOTE: the authors of {self.name} chose their checkpoint on the test pictures: figures made so are "
                "too high; nothing is chosen on test pictures here"
            )
        if self.folds:
            said.append(
                f"the spread is over {self.folds} folds of one run, whose test parts overlap: it is no spread over "
                "seeds; and every picture also serves to choose, in one fold"
            )
        return said


_LAGM = "gradient matching (ICLR 2022), section 4.1, appendix A"

PROTOCOLS: dict[str, Protocol] = {
    item.name: item
    for item in (
        Protocol(
            name="plain",
            about="mean IoU over the classes that are there; the house's own",
            source="gannotate",
            figure="miou",
            absent="skip",
            choice="validation",
            chosen_by="miou",
        ),
        Protocol(
            name="lagm-fg",
            about="mean IoU over the foreground classes, an absent one counts 0; chosen on validation pictures",
            source=_LAGM,
            figure="fg_miou",
            absent="zero",
            choice="validation",
            chosen_by="fg_miou",
        ),
        Protocol(
            name="lagm-all",
            about="mean IoU over all classes, an absent one counts 0; chosen on validation pictures",
            source="gradient matching (ICLR 2022), appendix C.6, Table C.12",
            figure="miou",
            absent="zero",
            choice="validation",
            chosen_by="fg_miou",
            note="that background is in it is inferred: the table says mIoU, not FG-mIoU, and DatasetGAN's figure in "
            "it is over all classes (of the best checkpoint on the test pictures, by its code)",
        ),
        Protocol(
            name="lagm-cgpart",
            about="lagm-fg, but the paper's code chooses on the test pictures: CGPart has no validation ones",
            source=f"{_LAGM}; its published code, CGPart",
            figure="fg_miou",
            absent="zero",
            choice="test",
            chosen_by="fg_miou",
            note="the paper shows answers on CGPart (Figure 3) and prints no figure of them: there is none to match",
        ),
        Protocol(
            name="datasetgan-cv",
            about="mean IoU over all classes, an absent one counts 0; five folds, chosen on one, tested on four",
            source=f"DatasetGAN (CVPR 2021), section 4; {_LAGM}",
            figure="miou",
            absent="zero",
            choice="folds",
            chosen_by="miou",
            folds=5,
        ),
        Protocol(
            name="lagm-cv",
            about="datasetgan-cv, of the last 20 checkpoints",
            source=_LAGM,
            figure="miou",
            absent="zero",
            choice="folds",
            chosen_by="miou",
            folds=5,
            last=20,
        ),
        Protocol(
            name="datasetgan-best",
            about="mean IoU over all classes, an absent one counts 0; the paper's is of the best checkpoint on test",
            source="DatasetGAN (CVPR 2021), ADE-Car-12",
            figure="miou",
            absent="zero",
            choice="test",
            chosen_by="miou",
        ),
        Protocol(
            name="ddpm-fg",
            about="mean IoU over all classes but background, an absent one counts 0",
            source="Label-efficient segmentation with diffusion models (ICLR 2022), ignore_label 0",
            figure="fg_miou",
            absent="zero",
            choice="validation",
            chosen_by="fg_miou",
            note="background pixels that are called a part still count against it, as in the paper's code",
        ),
        Protocol(
            name="repurpose",
            about="IoU weighted by the classes' true pixels, background included",
            source="RepurposeGAN (CVPR 2021), section 5, 10-class faces",
            figure="area_iou",
            absent="skip",
            choice="unknown",
            chosen_by="area_iou",
        ),
        Protocol(
            name="repurpose-parts",
            about="IoU weighted by the parts' true pixels, background left out of the average",
            source="RepurposeGAN (CVPR 2021), Tables 1 and 2, 3-class faces",
            figure="fg_area_iou",
            absent="skip",
            choice="unknown",
            chosen_by="fg_area_iou",
            note="that background has no weight is inferred: only so do the paper's part IoUs give its averages",
        ),
        Protocol(
            name="repurpose-mean",
            about="mean IoU over all classes, background included",
            source="RepurposeGAN (CVPR 2021), Tables 4 to 6, cars and horses",
            figure="miou",
            absent="skip",
            choice="unknown",
            chosen_by="miou",
            note="the paper's averages are not all this mean: its IoUs of cars give 52.2, as it says, those of horses "
            "(Table 6) 54.3, where it says 53.1; its cars without background (47.9) are other answers, as their IoUs "
            "are other ones too",
        ),
        Protocol(
            name="semantic-projection",
            about="mean IoU over background and object, and pixel accuracy",
            source="Teaching GAN, Tables 1 and 2; semantic projection, Table 1, and its code",
            figure="miou",
            absent="zero",
            choice="unknown",
            chosen_by="miou",
            note="Teaching GAN says that its IoU is this mean, semantic projection only IoU; of hair (Teaching GAN, "
            "Table 2) no answer on two classes has an accuracy of .8967 and a mean IoU of .8243: .813 is the most",
        ),
        Protocol(
            name="layermatch",
            about="mean IoU over all classes, background included, and pixel accuracy",
            source="semantic projection and LayerMatch, Figure 5 and Table 2",
            figure="miou",
            absent="skip",
            choice="unknown",
            chosen_by="miou",
        ),
        Protocol(
            name="layermatch-named",
            about="mean IoU over the named classes; what is none of them (class 0) does not count",
            source="semantic projection and LayerMatch, Figure 5 (b)",
            figure="miou",
            absent="skip",
            ignore=(0,),
            choice="unknown",
            chosen_by="miou",
            note="the paper does not say what becomes of pixels outside of its classes: leaving them out is our choice",
        ),
        Protocol(
            name="pixelssl",
            about="mean IoU over the classes that are there",
            source="PixelSSL, the baselines of gradient matching (Mean Teacher, GCT, AdvSSL)",
            figure="miou",
            absent="skip",
            choice="unknown",
            chosen_by="miou",
            note="its code scores every epoch on the pictures that are reported, and chooses none",
        ),
    )
}  # fmt: skip
"""Every protocol by its name."""


def find_protocol(name: str) -> Protocol:
    """The protocol called `name`.

    Raises:
        UsageError: none is called so; names the nearest.
    """
    if name not in PROTOCOLS:
        hint = nearest(name, list(PROTOCOLS))
        raise UsageError(f"there is no protocol {name!r}; use one of {', '.join(PROTOCOLS)}{hint}")
    return PROTOCOLS[name]


@dataclass(frozen=True)
class Figures:
    """All figures of a confusion matrix under a protocol, fractions from 0 to 1; None where nothing can be averaged.

    miou: mean IoU over all classes that are not ignored. fg_miou: over those from 1 up. area_iou, fg_area_iou: the
    same two, weighted by the true pixels of each class. pixel_accuracy: of the pixels that count. per_class: IoU of
    each class; None for an ignored one, and for an absent one when those are skipped.
    """

    miou: float
    fg_miou: float | None
    area_iou: float
    fg_area_iou: float | None
    pixel_accuracy: float
    per_class: tuple[float | None, ...]

    def value(self, figure: Figure) -> float:
        """One of the figures.

        Raises:
            GannotateError: it does not exist here: no foreground in the truth or the predictions.
        """
        found = getattr(self, figure)
        if found is None:
            raise GannotateError(f"there is no {TITLES[figure]}: no pixel is of a foreground class; label some")
        return found


def figures(counts: Counts, protocol: Protocol) -> Figures:
    """Averages of a confusion matrix (rows: truth) as a protocol makes them.

    Raises:
        UsageError: the protocol ignores a class that is not there. GannotateError: no pixel is left to count.
    """
    ignored = set(protocol.ignore)
    if ignored and max(ignored) >= len(counts):
        raise UsageError(
            f"the protocol {protocol.name} ignores class {max(ignored)}, there are {len(counts)} classes; use another"
        )
    counts = counts.copy()
    counts[list(ignored)] = 0
    base = scores(counts, protocol.absent)
    per_class = tuple(None if index in ignored else iou for index, iou in enumerate(base.per_class))
    averaged = [(iou, float(n)) for iou, n in zip(per_class, counts.sum(axis=1), strict=True)]
    miou = _mean(averaged)
    if miou is None:
        raise GannotateError(f"nothing to score: the protocol {protocol.name} ignores every class that is there")
    area = _by_area(averaged)
    assert area is not None  # `scores` refused a matrix without counted pixels
    front = averaged[1:]
    return Figures(miou, _mean(front), area, _by_area(front), base.pixel_accuracy, per_class)


Weighted = Sequence[tuple[float | None, float]]
"""IoU and true pixels, of each class."""


def _mean(classes: Weighted) -> float | None:
    present = [iou for iou, _ in classes if iou is not None]
    return sum(present) / len(present) if present else None


def _by_area(classes: Weighted) -> float | None:
    total = sum(pixels for _, pixels in classes)
    return sum(pixels * (iou or 0.0) for iou, pixels in classes) / total if total else None


def count_pictures(
    label_maps: UInt8[np.ndarray, "n h w"], predictions: UInt8[np.ndarray, "n h w"], classes: int
) -> Int64[np.ndarray, "n k k"]:
    """A confusion matrix for each picture; they may be added over any choice of pictures.

    Raises:
        GannotateError: see `confusion`.
    """
    found = [confusion(label_maps[i : i + 1], predictions[i : i + 1], classes) for i in range(len(label_maps))]
    return np.stack(found) if found else np.zeros((0, classes, classes), np.int64)


def choose(counts: Int64[np.ndarray, "m k k"], protocol: Protocol) -> tuple[int, list[float]]:
    """Which of m candidates is best on validation pictures, and the figure of each; of equal ones the first.

    Args:
        counts: each candidate's confusion matrix over the validation pictures.

    Raises:
        UsageError: no candidate. GannotateError: no validation pixel to count.
    """
    if not len(counts):
        raise UsageError("there is nothing to choose from; give at least one candidate")
    found = [figures(matrix, protocol).value(protocol.chosen_by) for matrix in counts]
    return int(np.argmax(found)), found
