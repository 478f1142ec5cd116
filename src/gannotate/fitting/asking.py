"""What a generator's decoder says of annotated pictures that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from gannotate.data.labelled import LabelledSet
from gannotate.decoders.base import Decoder
from gannotate.fitting.shot import Shot
from gannotate.generators.base import DrawOptions, Generator
from gannotate.metrics.calibration import ReliabilityCounter
from gannotate.metrics.uncertainty import entropy_levels
from gannotate.segmenters.evaluate import Answers
from gannotate.synthesis import annotate_seeds


def ask_decoder(
    generator: Generator, decoder: Decoder, shots: Sequence[Shot], options: DrawOptions
) -> tuple[LabelledSet, Answers]:
    """The annotated pictures, drawn again, with their annotations for truth, and the decoder's answers to them.

    Args:
        shots: at least one.

    Raises:
        GannotateError: the decoder is of another generator. UsageError: nothing in the pictures is labelled.
    """
    pictures, predictions, uncertainty, counter = [], [], [], ReliabilityCounter()
    drawn = annotate_seeds(generator, decoder, [shot.seed for shot in shots], options)
    for shot, labelled in zip(shots, drawn, strict=True):
        pictures.append(labelled.picture)
        predictions.append(labelled.label_map)
        uncertainty.append(entropy_levels(labelled.soft))
        counter.add(labelled.soft, shot.label_map)
    return annotated_set(shots, np.stack(pictures)), Answers(
        np.stack(predictions), np.stack(uncertainty), counter.result()
    )


def annotated_set(shots: Sequence[Shot], pictures: UInt8[np.ndarray, "n h w c"]) -> LabelledSet:
    """Annotated pictures, called by their seeds, with their annotations for truth."""
    names = tuple(f"seed {shot.seed}" for shot in shots)
    return LabelledSet(names, pictures, np.stack([shot.label_map for shot in shots]))
