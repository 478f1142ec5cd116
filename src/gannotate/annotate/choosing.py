"""Which seeds to add to a pool: more are drawn than are kept, and those kept that are worth labelling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from gannotate.annotate.learning import Model, judge, learn, live_taps, refit
from gannotate.annotate.order import Order, distances, diverse, uncertain
from gannotate.errors import UsageError
from gannotate.fitting import shots as shots_of
from gannotate.fitting.coverage import embed
from gannotate.generators.base import DrawOptions, Generator, draw
from gannotate.metrics.uncertainty import entropy, of_pictures
from gannotate.project import Project
from gannotate.wording import quoted


def choose_seeds(
    project: Project, generator: Generator, candidates: Sequence[int], count: int, order: Order
) -> list[int]:
    """`count` of the candidates, ascending: far from the pool and from each other (see order.py).

    Raises:
        UsageError: `uncertain` was asked for and too little is labelled to learn from.
    """
    if order == "random":
        return list(candidates[:count])
    options = DrawOptions(**project.config.draw.model_dump())
    pool = [picture.seed for picture in project.pool()]
    fresh = [seed for seed in candidates if seed not in set(pool)]
    model = _model(project, generator, options) if order == "uncertain" else None
    apart = distances(embed(generator, [*pool, *fresh], options))
    taken = list(range(len(pool)))
    if model is None:
        rows = diverse(apart, taken, count)
    else:
        unsure = np.concatenate([np.zeros(len(pool)), uncertainties(generator, model, fresh, options)])
        rows = uncertain(apart, unsure, taken, count)
    return sorted(fresh[row - len(pool)] for row in rows)


@torch.inference_mode()
def uncertainties(
    generator: Generator, model: Model, seeds: Sequence[int], options: DrawOptions
) -> Float[np.ndarray, " n"]:
    """How unsure the model is of each picture: 0 (certain) to 1, over its most uncertain tenth of the pixels."""
    found = []
    for _, drawing in draw(generator, seeds, options, model.decoder.tap_names):
        probabilities = model.decoder.member_probabilities(drawing.taps)[:, 0]
        found.append(float(of_pictures(entropy(probabilities))[0]) / np.log(probabilities.shape[1]))
    return np.array(found)


def _model(project: Project, generator: Generator, options: DrawOptions) -> Model:
    taps, classes = live_taps(generator.taps), len(project.classes)
    shots = shots_of.load(project, shots_of.choose(project)) if project.annotations() else []
    looked = [learn(generator, shot, taps, options, classes) for shot in shots]
    learned = [one for one in looked if one is not None]
    model = refit(1, learned, taps, generator.size, judge(learned).temperature)
    if model is None:
        raise UsageError(
            "--order uncertain needs labels of at least two classes to learn from; label some pictures with "
            f"`gannotate annotate {quoted(project.folder)}`, or use --order diverse"
        )
    return model
