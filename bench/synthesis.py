"""Labelled pictures a second: `write_dataset` against drawing, labelling and saving one picture after the other.

The second way is what the papers' scripts do: weights modulated for each picture, features stacked at picture size for
decoders that look at pixels (see naive.py), and PNG and NPY files. Run by bench/all.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import How, Work
from naive import Run, modulate_each, naive, stack_mb
from parts import CLASSES, OURS, SIZES, Part
from PIL import Image

from gannotate.decoders.build import decoder_config, make_decoder
from gannotate.generators.adversarial.presets import preset
from gannotate.generators.base import CHUNK, Generator, to_uint8
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.labels import make_classes
from gannotate.synthesis import DatasetConfig, write_dataset

SINGLE = 4
"""Pictures that the other way writes a pass."""


def prepare(way: str, how: How, decoder: str, network: str, size: int, classes: int) -> Work:
    """Writing a small dataset, class probabilities included."""
    if way != OURS:
        modulate_each()
    generator = StyleGAN2(preset(network, size, 3).network).to(how.device).eval().requires_grad_(False)
    made = make_decoder(decoder, generator, classes, decoder_config(decoder, {})).to(how.device).eval()
    made.requires_grad_(False)
    if way == OURS:
        # several chunks, so that opening and closing the dataset weighs no more than in a large one
        count = CHUNK * max(1, min(4, 256 // size))
        named, config = make_classes([f"class {index}" for index in range(classes)]), DatasetConfig(part=count)

        def write() -> None:
            with tempfile.TemporaryDirectory() as folder:
                for _ in write_dataset(folder, generator, made, named, count, config=config):
                    pass

        return Work([(write, 1)], units=count)
    label = made if decoder == "light" else naive(made)

    def loop() -> None:
        with tempfile.TemporaryDirectory() as folder:
            one_by_one(Path(folder), generator, label, made.tap_names, range(SINGLE))

    return Work([(loop, 1)], units=SINGLE)


@torch.inference_mode()
def one_by_one(folder: Path, generator: Generator, label: Run, taps: Sequence[str], seeds: range) -> None:
    """Draws, labels and saves pictures, each by itself."""
    for seed in seeds:
        drawn = generator.synthesize(generator.map(generator.latents([seed])), taps=taps)
        probabilities = label(drawn.taps).softmax(dim=1)[0]
        Image.fromarray(to_uint8(drawn.picture)[0]).save(folder / f"{seed}.png")
        Image.fromarray(probabilities.argmax(dim=0).to(torch.uint8).cpu().numpy()).save(folder / f"{seed}-label.png")
        np.save(folder / f"{seed}.npy", probabilities.half().cpu().numpy())


def needs_mb(way: str, decoder: str, network: str, size: int, **_: Any) -> float:
    """The upsampled maps, their stack and its pixels; or all taps of a chunk."""
    if way == OURS:
        return CHUNK * size**2 / 2500
    return 3 * stack_mb(network, size) if decoder != "light" else 0.0


PART = Part(
    title="Writing a labelled dataset",
    unit="picture",
    ways={OURS: "`synthesize`", "single": "one picture at a time, a file for each thing"},
    prepare=prepare,
    cases=[
        {"decoder": "light", "network": "tiny", "size": 64, "classes": 11},
        {"decoder": "mlp", "network": "tiny", "size": 64, "classes": 11},
        {"decoder": "mlp", "network": "tiny", "size": 256, "classes": 11},
    ],
    growth={"size": SIZES, "classes": CLASSES},
    quick={"size": 64},
    needs_mb=needs_mb,
)
