"""Decoders fitted by several processes: as by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gannotate.decoders.build import load_decoder
from gannotate.decoders.ensemble import EnsembleConfig
from gannotate.decoders.light import LightConfig
from gannotate.decoders.linear import LinearConfig
from gannotate.decoders.mlp import MLPConfig
from gannotate.errors import UsageError
from gannotate.fitting.config import FitConfig
from gannotate.fitting.fit import fit
from gannotate.fitting.shot import Shot, draw_taps
from gannotate.fitting.supervised import FitTrainer
from gannotate.generators.base import DrawOptions
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.training.descent import Compute
from gannotate.training.loop import LoopConfig, train

Together = Callable[[Callable[[], Any], int], list[Any]]
Shots = Callable[[int], list[Shot]]

Learned = tuple[list[float], dict[str, Tensor], Tensor]

STEPS = 20
CONFIGS = {
    "pictures with fresh noise and dropout": FitConfig(
        decoder=LightConfig(), batch=5, steps=STEPS, noise_augment=True, label_smoothing=0.1
    ),
    "single pixels with fresh noise": FitConfig(
        decoder=MLPConfig(paper="datasetgan"), pixels=33, steps=STEPS, noise_augment=True
    ),
    "an ensemble": FitConfig(decoder=EnsembleConfig(members=2), pixels=33, steps=STEPS),
}


def learn(
    generator: StyleGAN2, shots: list[Shot], config: FitConfig, folder: Path, compute: Compute | None = None
) -> Learned:
    """The losses of all steps, the averaged weights, and what they say of a picture."""
    for shot in shots:
        shot.label_map[: 3 * (shot.seed % 4)] = 255  # unequal numbers of labels
    trainer = FitTrainer(generator, shots, 2, config, DrawOptions(), compute)
    progress = list(train(trainer, folder, LoopConfig(steps=STEPS)))
    decoder = trainer.finish()
    answer = decoder(draw_taps(generator, [99], decoder.tap_names, DrawOptions())).softmax(1)
    return [step.metrics["loss"] for step in progress], decoder.state_dict(), answer


def check_equal(found: Learned, expected: Learned) -> None:
    assert found[0][0] == pytest.approx(expected[0][0], rel=1e-5)
    torch.testing.assert_close(torch.tensor(found[0]), torch.tensor(expected[0]), rtol=2e-2, atol=0)
    # single weights differ more: a bias before a norm has a gradient of rounding alone, of which Adam makes whole steps
    torch.testing.assert_close(found[2], expected[2], rtol=0, atol=0.01)


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=list(CONFIGS))
def test_processes_fit_what_one_does(
    tmp_path: Path, tiny: StyleGAN2, positive: Shots, together: Together, config: FitConfig, count: int
) -> None:
    expected = learn(tiny, positive(7), config, tmp_path / "one")
    found = together(lambda: learn(tiny, positive(7), config, tmp_path / "many"), count)
    for answer in found:
        check_equal(answer, expected)
        assert answer[0] == found[0][0]
        assert all(torch.equal(answer[1][name], tensor) for name, tensor in found[0][1].items())


def test_passes_fit_what_one_pass_does(tmp_path: Path, tiny: StyleGAN2, positive: Shots) -> None:
    # RepurposeGAN's MLP has no batch norm, in whose eyes a pass is a batch
    config = FitConfig(decoder=MLPConfig(paper="repurposegan"), pixels=33, steps=STEPS)
    expected = learn(tiny, positive(7), config, tmp_path / "one")
    check_equal(learn(tiny, positive(7), config, tmp_path / "passes", Compute(accumulate=4)), expected)


def test_the_first_process_alone_leaves_the_decoder(
    tmp_path: Path, tiny: StyleGAN2, positive: Shots, together: Together
) -> None:
    config = FitConfig(steps=2)
    together(lambda: len(list(fit(tiny, positive(4), 2, config, DrawOptions(), tmp_path))), 2)
    assert load_decoder(tmp_path).classes == 2


def test_what_processes_cannot_share_is_refused(
    tmp_path: Path, tiny: StyleGAN2, positive: Shots, together: Together
) -> None:
    def work() -> str:
        with pytest.raises(UsageError) as caught:
            list(fit(tiny, positive(4), 2, FitConfig(steps=2, batch=1), DrawOptions(), tmp_path))
        return str(caught.value)

    assert all("which 2 processes cannot share" in answer for answer in together(work, 2))


def test_each_fits_a_part_of_the_folds_as_one_process_does(
    tmp_path: Path, tiny: StyleGAN2, positive: Shots, together: Together
) -> None:
    config = FitConfig(steps=8, hold_out=True)

    def work(folder: Path) -> int:
        return len(list(fit(tiny, positive(4), 2, config, DrawOptions(), folder)))

    assert work(tmp_path / "one") == 4 * 8  # three folds, then all pictures
    assert together(lambda: work(tmp_path / "many"), 2) == [3 * 8, 2 * 8]
    told = [(tmp_path / name / "held-out" / "held-out.json").read_text() for name in ("one", "many")]
    assert told[0] == told[1]
    assert load_decoder(tmp_path / "many").temperature == load_decoder(tmp_path / "one").temperature != 1


def test_a_closed_form_is_what_one_process_solves(
    tmp_path: Path, tiny: StyleGAN2, positive: Shots, together: Together
) -> None:
    config = FitConfig(decoder=LinearConfig(), solver="closed", hold_out=True)

    def work(folder: Path) -> int:
        return len(list(fit(tiny, positive(4), 2, config, DrawOptions(), folder)))

    work(tmp_path / "one")
    together(lambda: work(tmp_path / "many"), 2)
    one, many = (load_decoder(tmp_path / name).state_dict() for name in ("one", "many"))
    assert all(torch.equal(many[name], tensor) for name, tensor in one.items())
