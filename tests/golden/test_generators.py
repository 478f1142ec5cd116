"""Our networks draw what the official code draws: generators.npz, written by tools/make_golden_generators.py."""

from pathlib import Path

import numpy as np
import pytest
import torch
from recipe import CASES, CUTOFF, LABEL, PSI, SEED, fill, kept

from gannotate.generators.build import build_generator

GOLDEN = np.load(Path(__file__).with_name("generators.npz"))


@pytest.mark.parametrize("case", CASES)
@torch.inference_mode()
def test_the_official_codes_pictures_and_taps(case):
    """float32 sums in another order: within 1e-4 of the largest value, the picture and every tap."""
    generator = build_generator(CASES[case]).eval()
    fill(generator)
    labels = generator.labels_of(LABEL if generator.label_dim else None, 1)
    w = generator.map(generator.latents([SEED]), psi=PSI, cutoff=CUTOFF, labels=labels)
    names = [tap.name for tap in generator.taps]
    drawing = generator.synthesize(w, taps=names)
    for name, drawn in {"picture": drawing.picture, **drawing.taps}.items():
        wanted = GOLDEN[f"{case}/{name}"]
        difference = np.abs(kept(drawn) - wanted).max() / np.abs(wanted).max()
        assert difference < 1e-4, name


def test_every_stored_array_is_compared():
    expected = {f"{case}/{name}" for case in CASES for name in ("picture", *_tap_names(case))}
    assert set(GOLDEN.files) == expected


def _tap_names(case):
    return [tap.name for tap in build_generator(CASES[case]).taps]
