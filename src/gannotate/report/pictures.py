"""The sections of a report that show pictures, each inlined as a PNG with a text for those who cannot see it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import UInt8
from matplotlib import colormaps

from gannotate.data.labelled import LabelledSet
from gannotate.data.writing import encode_picture
from gannotate.labels import IGNORE, ClassInfo
from gannotate.metrics.uncertainty import entropy_levels
from gannotate.report.by_picture import one_by_one
from gannotate.report.examples import ON_POOL, Example, Tested
from gannotate.report.gather import Annotated, Findings
from gannotate.report.tables import figure, swatch
from gannotate.viz import contact_sheet, overlay

UNCERTAINTY = "Uncertainty is the entropy of a pixel's probabilities: black is certain, yellow is all classes alike."


def annotated_cards(found: Findings) -> str:
    """The annotated pool pictures, those that the decoder learned from in front."""
    if not found.annotated:
        return ""
    classes = found.project.classes
    cards = "".join(_annotated_card(item, classes) for item in found.annotated)
    used, more = sum(item.used for item in found.annotated), len(found.annotations) - len(found.annotated)
    told = f"The decoder learned from the {used} marked ones and from no other label." if used else ""
    left_out = f" {more} more are not shown." if more > 0 else ""
    return f'<p>{told}{left_out}</p>{_legend(classes)}<div class="pictures">{cards}</div>'


def _annotated_card(item: Annotated, classes: Sequence[ClassInfo]) -> str:
    seed = item.annotation.seed
    layers = [item.picture, overlay(item.picture, item.label_map, classes)]
    alt = f"Pool picture {seed} and its label map: {_contents(item.label_map, classes)}"
    mark = "<b>learned from</b>" if item.used else "<span>not used</span>"
    return _card(layers, alt, f"<span>seed {seed}</span>{mark}")


def generated_pictures(found: Findings) -> str:
    """The first pictures of the generated dataset, with the decoder's uncertainty where probabilities were stored."""
    if found.generated is None or found.dataset is None:
        return ""
    data = found.generated
    cards = "".join(_generated_card(data, index, found.project.classes) for index in range(len(data)))
    confidence = found.confidence
    sure = f" The decoder's mean confidence is {figure(confidence)}." if confidence is not None else ""
    bright = "" if data.soft is None else f" {UNCERTAINTY}"
    kind = "pictures" if data.soft is None else "pictures three"
    return (
        "<section><h2>Written by generator and decoder</h2><p>Pictures that no one labelled: the generator drew them, "
        f"the decoder labelled them, and the segmenter learned from them.{sure} These are the first "
        f'{len(data)}, not chosen.{bright}</p><div class="{kind}">{cards}</div></section>'
    )


def _generated_card(data: LabelledSet, index: int, classes: Sequence[ClassInfo]) -> str:
    seed, picture, label_map = int(data.names[index]), data.pictures[index], data.label_maps[index]
    layers, top = [picture, overlay(picture, label_map, classes)], ""
    if data.soft is not None:
        layers.append(heat(entropy_levels(np.asarray(data.soft[index], np.float32))))
        top = _columns("picture", "labels", "uncertainty")
    alt = f"Generated picture {seed} with its labels: {_contents(label_map, classes)}"
    return _card(layers, alt, f"<span>seed {seed}</span>", top)


TITLES = {
    "random": "Drawn at random",
    "worst": "The worst of the others, by their own mean IoU",
    "best": "The best of the others",
}


def predictions(found: Findings) -> str:
    """Test pictures with truth and prediction: random ones, and the worst and the best of the others."""
    return _tested("Predictions on test pictures", "the segmenter", "truth", found.examples, found.tested, found)


def decoder_predictions(found: Findings) -> str:
    """The same of the decoder, mostly on annotated pool pictures that it did not learn from."""
    on_pool = found.decoder_test is not None and found.decoder_test.result.get("test") == ON_POOL
    title = f"The decoder on {ON_POOL if on_pool else 'test pictures'}"
    truth = "annotation" if on_pool else "truth"  # which a simulated one is not
    return _tested(title, "the decoder", truth, found.decoder_examples, found.decoder_tested, found)


def _tested(
    title: str, who: str, truth: str, examples: Sequence[Example], tested: Sequence[Tested], found: Findings
) -> str:
    if not examples:
        return ""
    classes, parts = found.project.classes, []
    for chosen, why in TITLES.items():
        cards = "".join(_example_card(item, truth, classes) for item in examples if item.choice.chosen == chosen)
        if cards:
            parts.append(f'<h3>{why}</h3><div class="pictures three">{cards}</div>')
    bright = f" {UNCERTAINTY}" if any(item.uncertainty is not None for item in examples) else ""
    return (
        f"<section><h2>{title}</h2><p>Each card: the picture, the {truth}, and what {who} says.{bright}</p>"
        f"{_legend(classes)}{''.join(parts)}{one_by_one(tested)}</section>"
    )


def _example_card(item: Example, truth: str, classes: Sequence[ClassInfo]) -> str:
    layers = [overlay(item.picture, item.truth, classes), overlay(item.picture, item.prediction, classes)]
    names = ["picture", truth, "prediction"]
    if item.uncertainty is not None:
        layers.append(heat(item.uncertainty))
        names.append("uncertainty")
    wrong = float((item.truth != item.prediction)[item.truth != IGNORE].mean()) if (item.truth != IGNORE).any() else 0.0
    name = PurePosixPath(item.choice.source or item.choice.name).name
    alt = (
        f"Test picture {name}: {', '.join(names)}; {100 * wrong:.0f} percent of the pixels differ; {truth} has "
        f"{_contents(item.truth, classes)}"
    )
    caption = (
        f'<span class="name">{escape(name)}</span><span>{100 * wrong:.1f} % wrong</span>'
        f"<span>mean IoU <b>{item.choice.miou:.3f}</b></span>"
    )
    return _card([item.picture, *layers], alt, caption, _columns(*names))


def heat(levels: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Uncertainty as colours from black (0, certain) over red to light yellow (255)."""
    return (colormaps["inferno"](levels)[..., :3] * 255).round().astype(np.uint8)


def _columns(*names: str) -> str:
    spans = "".join(f"<span>{name}</span>" for name in names)
    return f'<div class="columns" style="--columns:{len(names)}">{spans}</div>'


def _card(layers: Sequence[UInt8[np.ndarray, "h w c"]], alt: str, caption: str, top: str = "") -> str:
    """A figure of one picture's layers beside each other, in which the page's own colour shows between them."""
    sheet = contact_sheet(layers, len(layers), clear=True)
    data = base64.b64encode(encode_picture(sheet)).decode()
    height, width = sheet.shape[:2]
    return (
        f'<figure>{top}<img alt="{escape(alt)}" width="{width}" height="{height}" '
        f'src="data:image/png;base64,{data}"><figcaption>{caption}</figcaption></figure>'
    )


def _legend(classes: Sequence[ClassInfo]) -> str:
    items = "".join(f"<li>{swatch(item)}{escape(item.name)}</li>" for item in classes)
    return f'<ul class="legend" aria-label="Colours of the classes">{items}</ul>'


def _contents(label_map: UInt8[np.ndarray, "h w"], classes: Sequence[ClassInfo]) -> str:
    """The classes of a label map with their share, largest first, in words."""
    shares = np.bincount(label_map.ravel(), minlength=256)[: len(classes)] / label_map.size
    order = [index for index in np.argsort(-shares, kind="stable") if shares[index] > 0]
    return ", ".join(f"{classes[index].name} {100 * shares[index]:.0f} %" for index in order) or "nothing labelled"
