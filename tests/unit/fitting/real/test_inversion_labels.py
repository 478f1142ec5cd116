"""Inversion labels: pictures of the generator come back as its own activations, in parts that a stopped fit keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gannotate.decoders.build import load_decoder, make_decoder
from gannotate.errors import UsageError
from gannotate.fitting import inversion_labels
from gannotate.fitting.inversion_labels import InversionLabelsConfig, InvertedLessons, invert_all
from gannotate.fitting.real import fit_real
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.inversion.known import KnownLatents
from gannotate.training.checkpoint import load_checkpoint

from .tasks import bright_task, changed

QUICK: dict[str, Any] = {"steps": 3, "inversion_steps": 3}


def test_a_fit_inverts_every_picture_and_learns_from_what_draws_it(tiny: StyleGAN2, tmp_path: Path) -> None:
    task = bright_task(tiny, 3)
    progress = list(fit_real(task, InversionLabelsConfig(**QUICK), tmp_path))
    assert [(one.done, one.steps) for one in progress] == [(3, 3), (1, 3), (2, 3), (3, 3)]
    assert progress[0].metrics["psnr_db"] > 0
    saved = load_checkpoint(tmp_path / "inverted" / "000000.safetensors")
    assert saved["w"].shape == (3, tiny.style_count, tiny.w_dim)
    assert load_decoder(tmp_path).classes == 2


def test_lessons_are_the_activations_of_the_latents_with_the_pictures_labels(tiny: StyleGAN2, tmp_path: Path) -> None:
    task, config = bright_task(tiny, 3), InversionLabelsConfig(**QUICK)
    parts = drain(invert_all(task, config, tmp_path, True))
    decoder = make_decoder("light", tiny, 2).eval()
    lessons = InvertedLessons(task, 2, parts, decoder)
    torch.manual_seed(0)
    logits, labels = lessons(decoder)
    torch.manual_seed(0)
    picked = torch.randperm(3)[:2]
    saved = load_checkpoint(parts[0])
    taps = tiny.synthesize(saved["w"][picked], [one[picked] for one in saved["noise"]], taps=decoder.tap_names).taps
    torch.testing.assert_close(logits, decoder(taps), atol=0.02, rtol=0.02)  # half precision
    assert np.array_equal(labels.numpy(), task.labelled.label_maps[picked.numpy()])
    logits.sum().backward()  # what was drawn without gradients can be learned from


def test_a_stopped_inversion_goes_on_with_the_next_part(
    tiny: StyleGAN2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inversion_labels, "TOGETHER", 2)
    task, config = bright_task(tiny, 5), InversionLabelsConfig(**QUICK)
    running = invert_all(task, config, tmp_path, True)
    assert next(running).done == 2
    running.close()
    before = (tmp_path / "000000.safetensors").read_bytes()
    assert [one.done for one in invert_all(task, config, tmp_path, True)] == [4, 5]
    assert (tmp_path / "000000.safetensors").read_bytes() == before
    other = InversionLabelsConfig(**changed(QUICK, space="w"))
    with pytest.raises(UsageError, match="had other inversion"):
        list(invert_all(task, other, tmp_path, True))


def test_known_latents_are_taken_as_they_are(tiny: StyleGAN2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inversion_labels, "TOGETHER", 2)
    monkeypatch.setattr(inversion_labels, "invert", None)  # nothing is sought
    task, config = bright_task(tiny, 3), InversionLabelsConfig(**QUICK)
    w = tiny.map(tiny.latents(range(1000, 1003)))  # those that drew them
    known = replace(task, latents=latents(w, "const", "right"))
    progress = list(fit_real(known, config, tmp_path))
    assert [(one.done, one.steps) for one in progress][:2] == [(2, 3), (3, 3)]
    assert [one.metrics["psnr_db"] for one in progress[:2]] == [10.5, 12]  # as it was told
    decoder = load_decoder(tmp_path)
    parts = drain(invert_all(known, config, tmp_path / "inverted", True))
    taps = InvertedLessons(known, 2, parts, decoder).taps
    own = tiny.synthesize(w, "const", taps=decoder.tap_names).taps
    for name, tensor in taps.items():  # drawn in other passes, and kept in half precision
        torch.testing.assert_close(tensor.float(), own[name], atol=2e-3, rtol=2e-3)
    moved = replace(task, latents=latents(w, "const", "other"))
    with pytest.raises(UsageError, match="had other inversion"):
        list(invert_all(moved, config, tmp_path / "inverted", True))


def test_noise_maps_of_known_latents_are_drawn_with(tiny: StyleGAN2, tmp_path: Path) -> None:
    task, config = bright_task(tiny, 3), InversionLabelsConfig(**QUICK)
    w, noise = tiny.map(tiny.latents(range(3))), tiny.noise_of_seeds(range(3))
    task = replace(task, latents=latents(w, tuple(noise), "maps"))
    decoder = make_decoder("light", tiny, 2)
    taps = InvertedLessons(task, 2, drain(invert_all(task, config, tmp_path, True)), decoder).taps
    own = tiny.synthesize(w, noise, taps=decoder.tap_names).taps
    assert all(tensor.equal(own[name].half()) for name, tensor in taps.items())


def test_wrong_settings() -> None:
    with pytest.raises(UsageError, match="space 'z' is not known; use w, w"):
        InversionLabelsConfig(space="z")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="inversion steps is 0"):
        InversionLabelsConfig(inversion_steps=0)


def latents(w: torch.Tensor, noise: Any, digest: str) -> KnownLatents:
    """Known ones that say 10, 11, 12, ... dB of the pictures."""
    told = 10 + torch.arange(len(w)).float()
    return KnownLatents(w, noise, digest, told, told)


def drain(running: Any) -> list[Path]:
    """Runs a generator to its end and gives what it returns."""
    while True:
        try:
            next(running)
        except StopIteration as end:
            return end.value
