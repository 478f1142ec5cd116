"""The annotator's answer to a saved stroke, without the page: look at the picture, fit the model, guess the next one.

Ours adds up what each picture told when it was saved (see annotate/learning.py); the other way looks at all labelled
pictures again. bench/annotator.py measures the page itself in Chromium. Run by bench/all.py.
"""

from __future__ import annotations

import torch
from decoder_fit import OPTIONS, patches
from measure import How, Work
from parts import CLASSES, OURS, SHOTS, SIZES, Part

from gannotate.annotate.learning import Learned, learn, live_taps, refit
from gannotate.annotate.live import guess_of
from gannotate.fitting.shot import Shot, draw_taps
from gannotate.generators.adversarial.presets import preset
from gannotate.generators.stylegan2 import StyleGAN2


def prepare(way: str, how: How, network: str, size: int, shots: int, classes: int) -> Work:
    """From a saved label map to the guess of the picture that is open; the taps of that one are drawn already."""
    generator = StyleGAN2(preset(network, size, 3).network).to(how.device).eval()
    taps = live_taps(generator.taps)
    labelled = [Shot(seed, patches(size, classes, seed)) for seed in range(shots)]
    opened = draw_taps(generator, [shots], [tap.name for tap in taps], OPTIONS)

    def look(shot: Shot) -> Learned:
        found = learn(generator, shot, taps, OPTIONS, classes)
        assert found is not None
        return found

    held = [look(shot) for shot in labelled] if way == OURS else []

    def answer() -> None:
        learned = [*held[:-1], look(labelled[-1])] if way == OURS else [look(shot) for shot in labelled]
        model = refit(1, learned, taps, size)
        assert model is not None
        with torch.inference_mode():
            (probabilities,) = model.decoder.member_probabilities(opened)[:, 0]
        guess_of(probabilities, 1)

    return Work([(answer, 1)])


PART = Part(
    title="The annotator's answer to a stroke",
    unit="stroke",
    ways={OURS: "sums of each picture, kept", "again": "all labelled pictures looked at again"},
    prepare=prepare,
    cases=[{"network": "tiny", "size": 64, "shots": 5, "classes": 11}],
    growth={"size": SIZES, "classes": CLASSES, "shots": SHOTS},
    quick={"shots": 2, "classes": 2},
)
