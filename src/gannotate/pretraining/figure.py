"""The figure of the LayerMatch paper (figure 4): an encoder's features by t-SNE, coloured by class; and in numbers.

Every point is one place of the encoder's feature map in a real labelled picture. As a t-SNE shows what one wants to
see, a number stands beside it: how well a point's nearest neighbours from other pictures tell its class.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from matplotlib.figure import Figure
from torch import Tensor, nn

from gannotate.data.labelled import LabelledSet
from gannotate.drawing import drawn_as_told
from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_bytes, write_json
from gannotate.generators.base import from_uint8
from gannotate.labels import IGNORE, ClassInfo
from gannotate.seeding import numpy_stream

LEAST_SIDE_DIVISOR = 8
"""The deepest level with at least an eighth of the picture's side is shown: coarser ones hold several classes a place.
"""

LEAST_POINTS = 8
"""Fewer labelled places show nothing."""

MOST_DIMENSIONS = 50
"""Dimensions that t-SNE is given, by PCA, as van der Maaten and Hinton (2008) do."""


@dataclass(frozen=True, kw_only=True)
class FigureConfig:
    """What is shown."""

    pictures: int = 20
    """Labelled pictures, drawn with the seed; the paper has 5."""
    neighbours: int = 5
    """Nearest neighbours that vote for a point's class."""
    perplexity: float = 30.0
    """Of t-SNE: about how many neighbours a point has."""
    seed: int = 0
    """Seed of the pictures drawn and of t-SNE."""


class Points(NamedTuple):
    """Places of labelled pictures: features (one row a place), class ids, and the number of the picture."""

    features: Float[np.ndarray, "p c"]
    classes: Int[np.ndarray, " p"]
    pictures: Int[np.ndarray, " p"]


def write_figure(
    folder: str | Path,
    encoders: Mapping[str, nn.Module],
    data: LabelledSet,
    classes: Sequence[ClassInfo],
    config: FigureConfig | None = None,
) -> dict[str, Any]:
    """Writes tsne.png and tsne.json into `folder`, one plot an encoder, and returns what the json holds.

    {"encoders": {name: {"neighbour_accuracy", "per_class", "points", "channels", "side"}}, "settings"}. The accuracy
    is the mean over the classes present of the part of their points whose neighbours agree with the truth.

    Raises:
        UsageError: fewer than two pictures, or hardly anything labelled. GannotateError: scikit-learn is missing.
    """
    config = config or FigureConfig()
    check_shown(data)
    chosen = numpy_stream(config.seed, "figure").permutation(len(data))[: config.pictures]
    some = data.take(chosen.tolist())
    found: dict[str, Any] = {}
    plots = {}
    for name, encoder in encoders.items():
        points, side = points_of(encoder, some)
        right = neighbours_agree(points, config.neighbours)
        per_class = {item.name: _mean_where(right, points.classes == index) for index, item in enumerate(classes)}
        known = [value for value in per_class.values() if value is not None]
        found[name] = {
            "neighbour_accuracy": sum(known) / len(known),
            "per_class": per_class,
            "points": len(right),
            "channels": points.features.shape[1],
            "side": side,
        }
        plots[name] = (tsne(points.features, config), points.classes, found[name]["neighbour_accuracy"])
    result = {"encoders": found, "settings": asdict(config), "pictures": list(some.names)}
    write_bytes(Path(folder) / "tsne.png", _draw(plots, classes))
    write_json(Path(folder) / "tsne.json", result)
    return result


def check_shown(data: LabelledSet) -> None:
    """Checks, before anything long is begun, that a figure can be made of these pictures.

    Raises:
        UsageError: fewer than two pictures, or hardly anything labelled. GannotateError: scikit-learn is missing.
    """
    if len(data) < 2:
        raise UsageError(f"the figure compares places of different pictures, {len(data)} was given; give at least 2")
    _check_points(int((data.label_maps != IGNORE).sum()))  # as many pixels hold at most as many places
    _tsne_parts()


@torch.inference_mode()
def points_of(encoder: nn.Module, data: LabelledSet) -> tuple[Points, int]:
    """Features of all places whose label is known, standardised channel by channel, and the feature map's side.

    A place's class is the most frequent one of its pixels.

    Raises:
        UsageError: hardly anything is labelled.
    """
    like = next(encoder.parameters())
    pictures = from_uint8(data.pictures).to(like)
    features = encoder.eval()(pictures)
    level = _deepest_shown(features, pictures.shape[-1])
    side = level.shape[-1]
    rows = level.permute(0, 2, 3, 1).flatten(0, 2).double().cpu().numpy()
    label_maps = np.stack([most_frequent(label_map, side) for label_map in data.label_maps]).reshape(-1)
    known = label_maps != IGNORE
    _check_points(int(known.sum()))
    rows = rows[known]
    rows = (rows - rows.mean(0)) / (rows.std(0) + 1e-8)
    return Points(rows, label_maps[known].astype(np.int64), np.repeat(np.arange(len(data)), side**2)[known]), side


def _check_points(labelled: int) -> None:
    if labelled < LEAST_POINTS:
        raise UsageError(f"only {labelled} places of the pictures are labelled; give more labels")


def _deepest_shown(features: Sequence[Tensor], size: int) -> Tensor:
    least = size // LEAST_SIDE_DIVISOR
    return [level for level in features[1:] if level.shape[-1] >= least and level.shape[1]][-1]


def most_frequent(label_map: UInt8[np.ndarray, "h w"], side: int) -> UInt8[np.ndarray, "side side"]:
    """The label map at `side` px: each place has its most frequent id, the smaller one of equals."""
    step = label_map.shape[0] // side
    cells = label_map[: side * step, : side * step].reshape(side, step, side, step).transpose(0, 2, 1, 3)
    cells = cells.reshape(side, side, step * step)
    counts = np.stack([(cells == value).sum(-1) for value in range(256)])
    return counts.argmax(0).astype(np.uint8)


def neighbours_agree(points: Points, neighbours: int) -> Float[np.ndarray, " p"]:
    """Of each point, 1 if its nearest neighbours from other pictures vote for its class, else 0; by cosine."""
    rows = points.features / (np.linalg.norm(points.features, axis=1, keepdims=True) + 1e-8)
    near = rows @ rows.T
    near[points.pictures[:, None] == points.pictures[None]] = -np.inf
    order = np.argsort(-near, axis=1, kind="stable")[:, :neighbours]
    votes = points.classes[order]
    counts = (votes[:, :, None] == votes[:, None, :]).sum(2)
    winner = votes[np.arange(len(votes)), counts.argmax(1)]  # of equals the one whose point is nearer
    return (winner == points.classes).astype(np.float64)


def tsne(features: Float[np.ndarray, "p c"], config: FigureConfig) -> Float[np.ndarray, "p 2"]:
    """The points in two dimensions.

    Raises:
        GannotateError: scikit-learn is not installed.
    """
    pca, t_sne = _tsne_parts()
    seed = config.seed % 2**32
    dimensions = min(MOST_DIMENSIONS, *features.shape)
    reduced = pca(dimensions, random_state=seed).fit_transform(features)
    perplexity = min(config.perplexity, (len(features) - 1) / 3)
    return t_sne(perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)


def _tsne_parts() -> tuple[Any, Any]:
    """scikit-learn's classes, of which the second takes a second to load."""
    try:
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise GannotateError(
            "the t-SNE figure needs scikit-learn; install it with `pip install scikit-learn`"
        ) from error
    return PCA, TSNE


def _mean_where(values: np.ndarray, where: np.ndarray) -> float | None:
    return float(values[where].mean()) if where.any() else None


def _draw(plots: Mapping[str, tuple[np.ndarray, np.ndarray, float]], classes: Sequence[ClassInfo]) -> bytes:
    """The plots side by side with one legend, as PNG."""
    with drawn_as_told():
        figure = Figure(figsize=(4.2 * len(plots) + 1.4, 4.2), layout="constrained")
        axes = figure.subplots(1, len(plots), squeeze=False)[0]
        present = sorted({int(index) for _, ids, _ in plots.values() for index in np.unique(ids)})
        for axis, (name, (places, ids, accuracy)) in zip(axes, plots.items(), strict=True):
            for index in present:
                colour = [part / 255 for part in classes[index].colour]
                axis.scatter(*places[ids == index].T, s=5, color=colour, label=classes[index].name, linewidths=0)
            axis.set(title=f"{name}: neighbours agree {accuracy:.2f}", xticks=[], yticks=[])
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right center", markerscale=3, frameon=False)
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=110)
    return out.getvalue()
