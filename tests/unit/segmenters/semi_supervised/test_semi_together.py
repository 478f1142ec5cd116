"""Every method in several processes: it learns what one process does, and all have the same weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gannotate.data.labelled import LabelledSet
from gannotate.errors import UsageError
from gannotate.labels import Mirror
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.semi_supervised.build import METHODS, make_trainer
from gannotate.segmenters.supervised import SegmenterTraining
from gannotate.training.loop import LoopConfig, train

Squares = Callable[..., LabelledSet]
Together = Callable[[Callable[[], Any], int], list[Any]]

STEPS = 20
HOW = SegmenterTraining(steps=STEPS, batch=7, mirror=Mirror("yes"), turn90=True, photometric=True, ema=0.9)

# every loss counts from the first step on, about half of the pixels or pictures being trusted
SETTINGS: dict[str, dict[str, Any]] = {
    "pseudo-labels": {"threshold": 0.4, "begin": 0.0, "full": 0.1},
    "adversarial": {"threshold": 0.5, "begin": 0.0, "width": 4, "weight_labelled": 0.1, "weight_unlabelled": 0.1},
    "mean-teacher": {"ramp": 0.1, "weight": 10.0},
    "gct": {"width": 4, "ramp": 0.1, "weight_consistency": 3.0},
    "s4gan": {"width": 4, "threshold": 0.5, "learning_rate": 1e-3},
}


class Normed(nn.Module):
    """A small network with batch norm and dropout."""

    def __init__(self, *_: Any) -> None:
        super().__init__()
        # a bias before the norm has a gradient of nothing but rounding, which Adam makes a whole step of
        first = nn.Conv2d(1, 6, 3, padding=1, bias=False)
        self.layers = nn.Sequential(first, nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.2), nn.Conv2d(6, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


Learned = tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]


def learn(method: str, folder: Path, squares: Squares, config: SegmenterConfig) -> Learned:
    """The metrics of all steps, the averaged weights, and those of all companions."""
    labelled = squares(9, soft=method in ("adversarial", "gct"))
    labelled.label_maps[:3, :9] = 255  # no process has half of the labelled pixels
    settings = METHODS[method].settings(unlabelled_batch=5, **SETTINGS[method])
    trainer = make_trainer(method, labelled, squares(9, seed=4).pictures, config, HOW, settings)
    steps = [one.metrics for one in train(trainer, folder, LoopConfig(steps=STEPS))]
    metrics = {name: torch.tensor([step[name] for step in steps]) for name in steps[0]}
    return metrics, trainer.average.state_dict(), trainer.state()["companions"]


def tensors_of(tree: Any) -> list[Tensor]:
    """All tensors of nested dictionaries and lists."""
    if isinstance(tree, Tensor):
        return [tree]
    items = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else []
    return [tensor for item in items for tensor in tensors_of(item)]


@pytest.fixture
def tiny_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("supervised", "semi_supervised.gct"):
        monkeypatch.setattr(f"gannotate.segmenters.{module}.build_network", Normed)


@pytest.mark.usefixtures("tiny_networks")
@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", METHODS)
def test_processes_learn_what_one_does(
    tmp_path: Path, narrow: SegmenterConfig, squares: Squares, together: Together, method: str, count: int
) -> None:
    expected = learn(method, tmp_path / "one", squares, narrow)
    found = together(lambda: learn(method, tmp_path / "many", squares, narrow), count)
    for metrics, average, companions in found:
        for name, series in expected[0].items():
            torch.testing.assert_close(metrics[name][:3], series[:3], rtol=1e-5, atol=1e-7, msg=name)
            # what is rounded otherwise grows from step to step, as in any training
            torch.testing.assert_close(metrics[name], series, rtol=1e-3, atol=1e-5, msg=name)
            assert torch.equal(metrics[name], found[0][0][name])
        for name, tensor in expected[1].items():
            torch.testing.assert_close(average[name], tensor, rtol=1e-3, atol=1e-3, msg=name)
            assert torch.equal(average[name], found[0][1][name]), name
        others = zip(tensors_of(companions), tensors_of(found[0][2]), strict=True)
        assert all(torch.equal(one, other) for one, other in others)
    assert all(0 < value < 1 for value in expected[0].get("taught", torch.tensor([0.5]))[-3:])


@pytest.mark.usefixtures("tiny_networks")
def test_fewer_unlabelled_pictures_than_processes_are_refused(
    narrow: SegmenterConfig, squares: Squares, together: Together
) -> None:
    def work() -> str:
        settings = METHODS["gct"].settings(unlabelled_batch=2)
        with pytest.raises(UsageError) as caught:
            make_trainer("gct", squares(5), squares(9).pictures, narrow, HOW, settings)
        return str(caught.value)

    assert "unlabelled_batch is 2, which 3 processes cannot share; give at least 3" in together(work, 3)[0]
