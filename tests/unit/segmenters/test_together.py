"""Segmenters trained by several processes, and in several passes: as by one process, in one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gannotate.data.labelled import LabelledSet
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import Mirror
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.predict import Segmenter
from gannotate.segmenters.sources import Mixed, Source, Stored
from gannotate.segmenters.supervised import SegmenterTrainer, SegmenterTraining, train_segmenter
from gannotate.training.checkpoint import load_checkpoint
from gannotate.training.descent import Compute
from gannotate.training.loop import LoopConfig, read_log, train

Squares = Callable[..., LabelledSet]
Together = Callable[[Callable[[], Any], int], list[Any]]

STEPS = 20
HOW = SegmenterTraining(steps=STEPS, batch=7, mirror=Mirror("yes"), turn90=True, photometric=True)


def sources(squares: Squares) -> Source:
    """Real labels with holes and drawn soft ones, 3 and 4 of each batch: no process has half of either."""
    holes = squares(5)
    holes.label_maps[:3, :9] = 255
    return Mixed([(Stored(holes), 0.4), (Stored(squares(6, seed=1, soft=True)), 0.6)])


def learn(
    folder: Path, source: Source, config: SegmenterConfig, steps: int = STEPS, compute: Compute | None = None
) -> tuple[list[float], dict[str, Tensor]]:
    """The losses of all steps, and the averaged weights."""
    trainer = SegmenterTrainer(source, config, HOW, compute=compute)
    progress = list(train(trainer, folder, LoopConfig(steps=steps, log_every=5)))
    return [step.metrics["loss"] for step in progress], trainer.average.state_dict()


Learned = tuple[list[float], dict[str, Tensor]]


def check_equal(found: Learned, expected: Learned) -> None:
    torch.testing.assert_close(torch.tensor(found[0][:3]), torch.tensor(expected[0][:3]), rtol=1e-5, atol=0)
    # what is rounded otherwise grows from step to step, as in any training
    torch.testing.assert_close(torch.tensor(found[0]), torch.tensor(expected[0]), rtol=5e-4, atol=0)
    for name, tensor in expected[1].items():
        torch.testing.assert_close(found[1][name], tensor, rtol=1e-3, atol=1e-3, msg=name)


class Unnormed(nn.Module):
    """A small network without batch norm, in whose eyes a pass is a batch."""

    def __init__(self, *_: Any) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(6, 3, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Normed(Unnormed):
    """A small network with it."""

    def __init__(self, *_: Any) -> None:
        super().__init__()
        # a bias before the norm has a gradient of nothing but rounding, which Adam makes a whole step of
        self.layers[0] = nn.Conv2d(1, 6, 3, padding=1, bias=False)
        self.layers.insert(1, nn.BatchNorm2d(6))


Use = Callable[[type[nn.Module]], None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Has a network trained in place of those that segmenters have."""
    return lambda kind: monkeypatch.setattr("gannotate.segmenters.supervised.build_network", kind)


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_learn_what_one_does(
    tmp_path: Path, tiny: SegmenterConfig, squares: Squares, together: Together, use: Use, count: int
) -> None:
    use(Normed)
    expected = learn(tmp_path / "one", sources(squares), tiny)
    found = together(lambda: learn(tmp_path / "many", sources(squares), tiny), count)
    for answer in found:
        check_equal(answer, expected)
        assert answer[0] == found[0][0]
        assert all(torch.equal(answer[1][name], tensor) for name, tensor in found[0][1].items())
    rows = read_log(tmp_path / "many" / "log.jsonl")
    assert [row["step"] for row in rows] == [5, 10, 15, 20]  # written once
    assert {path.name for path in (tmp_path / "many").iterdir()} == {"checkpoint.safetensors", "log.csv", "log.jsonl"}


def test_a_training_goes_on_with_another_number_of_processes(
    tmp_path: Path, tiny: SegmenterConfig, squares: Squares, together: Together, use: Use
) -> None:
    use(Normed)
    expected = learn(tmp_path / "one", sources(squares), tiny, steps=9)
    learn(tmp_path / "many", sources(squares), tiny, steps=3)
    together(lambda: learn(tmp_path / "many", sources(squares), tiny, steps=6), 2)
    losses, weights = learn(tmp_path / "many", sources(squares), tiny, steps=9)
    check_equal((losses, weights), (expected[0][6:], expected[1]))


DEEPLAB = SegmenterConfig(
    classes=3, image_channels=1, size=32, architecture="deeplabv3plus", encoder="tu-mobilenetv3_small_050"
)


def doubled(small: LabelledSet) -> LabelledSet:
    """The same pictures, twice as wide and high."""
    return LabelledSet(
        small.names, small.pictures.repeat(2, 1).repeat(2, 2), small.label_maps.repeat(2, 1).repeat(2, 2)
    )


def test_networks_with_dropout_and_norms_of_other_libraries_too(
    tmp_path: Path, squares: Squares, together: Together
) -> None:
    data = doubled(squares(6))
    expected = learn(tmp_path / "one", Stored(data), DEEPLAB, steps=3)
    for answer in together(lambda: learn(tmp_path / "many", Stored(data), DEEPLAB, steps=3), 2):
        torch.testing.assert_close(torch.tensor(answer[0]), torch.tensor(expected[0]), rtol=1e-3, atol=0)


def test_the_first_process_alone_leaves_the_segmenter(
    tmp_path: Path, tiny: SegmenterConfig, squares: Squares, together: Together
) -> None:
    data, how = squares(4), replace(HOW, steps=2)
    together(lambda: len(list(train_segmenter(data, tiny, how, tmp_path))), 2)
    assert Segmenter.load(tmp_path).config == tiny
    assert load_checkpoint(tmp_path / "checkpoint.safetensors")["done"] == 2


def test_a_batch_smaller_than_the_processes_is_refused(
    tmp_path: Path, tiny: SegmenterConfig, squares: Squares, together: Together
) -> None:
    def work() -> str:
        with pytest.raises(UsageError) as caught:
            list(train_segmenter(squares(4), tiny, replace(HOW, batch=2), tmp_path))
        return str(caught.value)

    assert "which 3 processes cannot share" in together(work, 3)[2]


# ---------------------------------------------------------------------------------------------------------------
# Passes


def test_passes_and_processes_together_learn_what_one_pass_does(
    tmp_path: Path, tiny: SegmenterConfig, squares: Squares, together: Together, use: Use
) -> None:
    use(Unnormed)
    expected = learn(tmp_path / "one", sources(squares), tiny)
    check_equal(learn(tmp_path / "passes", sources(squares), tiny, compute=Compute(accumulate=3)), expected)
    for answer in together(lambda: learn(tmp_path / "both", sources(squares), tiny, compute=Compute(accumulate=2)), 2):
        check_equal(answer, expected)


def test_no_pass_has_a_single_picture_for_batch_norm(tmp_path: Path, squares: Squares) -> None:
    # after its global pooling one picture is one value a channel, of which torch refuses to take the deviation
    data, how = Stored(doubled(squares(4))), replace(HOW, batch=4)
    trainer = SegmenterTrainer(data, DEEPLAB, how, compute=Compute(accumulate=4))
    (progress,) = train(trainer, tmp_path, LoopConfig(steps=1))
    assert (progress.metrics["passes"], progress.metrics["pass_size"]) == (2, 2)


class Small(Unnormed):
    """Takes three pictures at once, as if memory ended there."""

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(x)


def test_out_of_memory_is_answered_by_more_passes_and_said(
    tmp_path: Path, tiny: SegmenterConfig, squares: Squares, together: Together, use: Use
) -> None:
    use(Unnormed)
    expected = learn(tmp_path / "one", sources(squares), tiny)
    use(Small)
    found = learn(tmp_path / "small", sources(squares), tiny)
    check_equal(found, expected)
    rows = read_log(tmp_path / "small" / "log.jsonl")
    assert {(row["passes"], row["pass_size"]) for row in rows} == {(3.0, 3.0)}  # of 7; batch norm takes 2 at least

    def work() -> str:
        try:
            learn(tmp_path / "many", sources(squares), tiny)
        except Exception as error:
            return str(error)
        return "went on"

    # the first process has four pictures, the second three, which fit; it sees that the first is gone
    first, second = together(work, 2)
    assert "start again with --accumulate 2" in first
    assert second != "went on"


def test_a_compiled_network_makes_no_room(
    tmp_path: Path, tiny: SegmenterConfig, squares: Squares, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(Small)
    monkeypatch.setattr(torch, "compile", lambda network: network.forward)
    with pytest.raises(GannotateError, match="out of memory with 7 pictures at once, which a compiled network takes"):
        learn(tmp_path, sources(squares), tiny, compute=Compute(compile=True))


class Full(Unnormed):
    def forward(self, x: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_smallest_pass_that_does_not_fit_is_an_error(
    tmp_path: Path, tiny: SegmenterConfig, squares: Squares, use: Use
) -> None:
    use(Full)
    with pytest.raises(GannotateError, match="out of memory with 3 pictures, the smallest part that can be taken"):
        learn(tmp_path, sources(squares), tiny)


def test_half_precision_and_compiled_networks_learn_alike(
    tmp_path: Path, tiny: SegmenterConfig, squares: Squares, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(Normed)
    exact = learn(tmp_path / "32", sources(squares), tiny)
    half = learn(tmp_path / "16", sources(squares), tiny, compute=Compute(precision="bf16"))
    assert half[0] != exact[0]
    torch.testing.assert_close(torch.tensor(half[0][:5]), torch.tensor(exact[0][:5]), rtol=0.03, atol=0)
    # what would compile is asked for; torch.compile itself needs a C++ compiler
    monkeypatch.setattr(torch, "compile", lambda network: network.forward)
    assert learn(tmp_path / "c", sources(squares), tiny, compute=Compute(compile=True))[0] == exact[0]


def test_settings_of_computing_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="precision '64' is not known; use 32 or bf16"):
        Compute(precision="64")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="give 1 or more"):
        Compute(accumulate=0)
    with pytest.raises(UsageError, match="leave --compile out"):
        Compute(accumulate=2, compile=True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="leave --compile out"):
        Compute(compile=True)
