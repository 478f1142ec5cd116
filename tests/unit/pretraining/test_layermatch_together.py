"""LayerMatch by several processes, and in several passes: as by one process, in one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gannotate.decoders.build import make_decoder
from gannotate.generators.base import Generator
from gannotate.pretraining.layermatch import LayerMatchConfig, LayerMatchTrainer, pretrain
from gannotate.segmenters.build import SegmenterConfig, load_segmenter
from gannotate.training.descent import Compute
from gannotate.training.loop import LoopConfig, train

Together = Callable[[Callable[[], Any], int], list[Any]]
STEPS = 20


def learn(
    trainer: LayerMatchTrainer, folder: Path, steps: int = STEPS
) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """The metrics of all steps, and the network's weights."""
    progress = list(train(trainer, folder, LoopConfig(steps=steps)))
    return [step.metrics for step in progress], trainer.network.state_dict()


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_learn_what_one_does(
    tmp_path: Path, generator: Generator, tiny: SegmenterConfig, together: Together, count: int
) -> None:
    config = LayerMatchConfig(steps=STEPS, batch=5, noise="seeded", head_width=8)
    torch.manual_seed(0)
    decoder = make_decoder("light", generator, tiny.classes)

    def trainer() -> LayerMatchTrainer:
        return LayerMatchTrainer(generator, tiny, config, decoder)

    expected = learn(trainer(), tmp_path / "one")
    found = together(lambda: learn(trainer(), tmp_path / "many"), count)
    for answer in found:
        assert set(expected[0][0]) == {"match", "rec", "labels"}
        for index, (now, then) in enumerate(zip(answer[0], expected[0], strict=True)):
            assert now == pytest.approx(then, rel=1e-4 if index < 3 else 3e-2), index
        assert answer[0] == found[0][0]
        assert all(torch.equal(answer[1][name], tensor) for name, tensor in found[0][1].items())


def test_a_pass_counts_by_its_pictures(tmp_path: Path, generator: Generator, tiny: SegmenterConfig) -> None:
    config = LayerMatchConfig(steps=1, batch=7)
    trainers = [LayerMatchTrainer(generator, tiny, config, compute=Compute(accumulate=n)) for n in (1, 3)]
    for trainer in trainers:  # with their own statistics, batch norms see the passes
        for module in trainer.network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
                module.train = lambda mode=True, module=module: module
    (whole, _), (parts, _) = (learn(trainer, tmp_path / str(n), 1) for n, trainer in enumerate(trainers))
    assert parts[0] == pytest.approx({**whole[0], "passes": 3.0, "pass_size": 3.0}, rel=1e-4)


def test_the_first_process_alone_leaves_the_network(
    tmp_path: Path, generator: Generator, tiny: SegmenterConfig, together: Together, quick: LayerMatchConfig
) -> None:
    decoder = make_decoder("light", generator, tiny.classes)
    trainer = LayerMatchTrainer(generator, tiny, replace(quick, steps=2), decoder)
    together(lambda: len(list(pretrain(trainer, tmp_path))), 2)
    assert load_segmenter(tmp_path)[1] == tiny
