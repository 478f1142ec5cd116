"""Every part of the benchmark by name, in the order of its table."""

from __future__ import annotations

import answers
import decoder_fit
import decoders
import features
import generators
import pictures
import segmenters
import synthesis
import train_generator
import train_segmenter
from parts import Part

PARTS: dict[str, Part] = {
    "train-generator": train_generator.PART,
    "draw": generators.PART,
    "features": features.PART,
    "decoders": decoders.PART,
    "fit": decoder_fit.PART,
    "synthesize": synthesis.PART,
    "train": train_segmenter.PART,
    "onnx": segmenters.PART,
    "answer": answers.PART,
    **pictures.PARTS,
}
