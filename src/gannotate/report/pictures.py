"""The sections of a report that show pictures, each inlined as a PNG with a text for those who cannot see it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import UInt8

from gannotate.data.writing import encode_picture
from gannotate.labels import IGNORE, ClassInfo
from gannotate.report.examples import Example
from gannotate.report.gather import Annotated, Findings
from gannotate.report.tables import figure, swatch
from gannotate.report.wording import label_sources, provenance
from gannotate.viz import contact_sheet, overlay


def annotated_pictures(found: Findings) -> str:
    """The annotated pool pictures, those that the decoder learned from in front."""
    if not found.annotated:
        return ""
    classes = found.project.classes
    cards = "".join(_annotated_card(item, classes) for item in found.annotated)
    used = sum(item.used for item in found.annotated)
    sources = escape(label_sources(found.annotations))
    told = f"The decoder learned from the {used} marked ones and from no other label. " if used else ""
    return (
        f"<section><h2>Labelled pool pictures</h2><p>Drawn by the generator, labels {sources}. "
        f"{told}{escape(provenance(found.annotations))}</p>{_legend(classes)}"
        f'<div class="pictures">{cards}</div></section>'
    )


def _annotated_card(item: Annotated, classes: Sequence[ClassInfo]) -> str:
    seed = item.annotation.seed
    sheet = contact_sheet([item.picture, overlay(item.picture, item.label_map, classes)], 2)
    alt = f"Pool picture {seed} and its label map: {_contents(item.label_map, classes)}"
    mark = "<b>learned from</b>" if item.used else "<span>not used</span>"
    return _card(sheet, alt, f"<span>seed {seed}</span>{mark}")


def generated_pictures(found: Findings) -> str:
    """The first pictures of the generated dataset."""
    if found.generated is None or found.dataset is None:
        return ""
    data, classes = found.generated, found.project.classes
    cards = "".join(
        _card(
            contact_sheet([picture, overlay(picture, label_map, classes)], 2),
            f"Generated picture {int(name)} with its labels: {_contents(label_map, classes)}",
            f"<span>seed {int(name)}</span>",
        )
        for name, picture, label_map in zip(data.names, data.pictures, data.label_maps, strict=True)
    )
    confidence = found.dataset.result.get("confidence")
    sure = f" The decoder's mean confidence is {figure(confidence)}." if confidence is not None else ""
    return (
        "<section><h2>Written by generator and decoder</h2><p>Pictures that no one labelled: the generator drew them, "
        f"the decoder labelled them, and the segmenter learned from them.{sure} These are the first "
        f'{len(data)}, not chosen.</p><div class="pictures">{cards}</div></section>'
    )


def predictions(found: Findings) -> str:
    """Test pictures with truth and prediction: random ones, and the worst of the others."""
    if not found.examples:
        return ""
    classes, parts = found.project.classes, []
    titles = {"random": "Drawn at random", "worst": "The worst of the others, by their own mean IoU"}
    for chosen, title in titles.items():
        cards = "".join(_example_card(item, classes) for item in found.examples if item.choice.chosen == chosen)
        if cards:
            parts.append(f'<h3>{title}</h3><div class="pictures three">{cards}</div>')
    return (
        "<section><h2>Predictions on test pictures</h2><p>Each card: the picture, the truth, and what the segmenter "
        f"says.</p>{_legend(classes)}{''.join(parts)}</section>"
    )


def _example_card(item: Example, classes: Sequence[ClassInfo]) -> str:
    layers = [overlay(item.picture, item.truth, classes), overlay(item.picture, item.prediction, classes)]
    wrong = float((item.truth != item.prediction)[item.truth != IGNORE].mean()) if (item.truth != IGNORE).any() else 0.0
    alt = (
        f"Test picture {item.choice.name}: picture, truth, prediction; {100 * wrong:.0f} percent of the pixels "
        f"differ; truth has {_contents(item.truth, classes)}"
    )
    caption = f"<span>{100 * wrong:.1f} % wrong</span><span>mean IoU <b>{item.choice.miou:.3f}</b></span>"
    columns = '<div class="columns"><span>picture</span><span>truth</span><span>prediction</span></div>'
    return _card(contact_sheet([item.picture, *layers], 3), alt, caption, columns)


def _card(sheet: UInt8[np.ndarray, "h w 3"], alt: str, caption: str, top: str = "") -> str:
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
