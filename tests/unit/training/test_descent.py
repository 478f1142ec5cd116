"""The gradient of a batch in passes: how many there are, and what happens where memory runs out."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from gannotate.cli.device import prepare
from gannotate.cli.flags import Common
from gannotate.errors import GannotateError, UsageError
from gannotate.training.descent import Compute, Descent
from gannotate.training.shares import Share

WEIGHT = nn.Parameter(torch.ones(()))


def sizes_of(descent: Descent, samples: int) -> list[int]:
    """Samples of each pass through a batch."""
    sizes: list[int] = []

    def loss_of(share: Share) -> tuple[Tensor, int]:
        sizes.append(len(share.place))
        return WEIGHT * 1.0, len(share.place)

    descent([WEIGHT], samples, loss_of, begin=sizes.clear)
    return sizes


@given(st.integers(2, 40), st.integers(1, 50), st.integers(1, 3))
def test_no_pass_is_smaller_than_batch_norm_takes(samples: int, asked: int, least: int) -> None:
    descent = Descent(Compute(accumulate=asked), least=least)
    sizes = sizes_of(descent, samples)
    assert sum(sizes) == samples
    assert min(sizes) >= min(least, samples)
    assert len(sizes) == descent.passes(samples) <= asked
    made = {"passes": len(sizes), "pass_size": max(sizes)}
    assert descent.metrics(samples) == (made if len(sizes) > 1 else {})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (Compute(precision="bf16"), "precision='bf16'"),
        (Compute(compile=True), "compile=True"),
        (Compute(precision="bf16", compile=True), "precision='bf16' and compile=True"),
    ],
)
def test_what_a_training_does_not_follow_is_refused(given: Compute, told: str) -> None:
    sentence = f"^it was given {told}, which changes nothing in it; leave that out, it follows accumulate alone$"
    with pytest.raises(UsageError, match=sentence):
        Compute.only(given, "it", "accumulate")


def test_what_a_training_follows_is_taken() -> None:
    assert Compute.only(None, "it", "accumulate") == Compute()
    assert Compute.only(Compute(accumulate=3), "it", "accumulate").accumulate == 3
    both = Compute(accumulate=3, precision="bf16")
    assert Compute.only(both, "it", "accumulate", "precision") is both
    with pytest.raises(UsageError, match="it follows accumulate and precision alone"):
        Compute.only(Compute(compile=True), "it", "accumulate", "precision")


def full_above(most: int, loss_of: Callable[[Share], tuple[Tensor, int]]) -> Callable[[Share], tuple[Tensor, int]]:
    """The same loss on a machine whose memory ends above so many samples."""

    def checked(share: Share) -> tuple[Tensor, int]:
        if len(share.place) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss_of(share)

    return checked


def test_a_step_that_did_not_fit_is_done_again_from_its_beginning() -> None:
    drawn: list[Tensor] = []

    def loss_of(share: Share) -> tuple[Tensor, int]:
        drawn.append(torch.rand(len(share.place)))
        return WEIGHT * drawn[-1].mean(), len(share.place)

    torch.manual_seed(0)
    expected, after = torch.rand(12), torch.rand(3)
    for least, passes in ((1, 4), (2, 4), (5, 2)):
        torch.manual_seed(0)
        descent = Descent(least=least)
        loss = descent([WEIGHT], 12, full_above(12 // passes, loss_of), begin=drawn.clear)
        assert torch.equal(torch.cat(drawn), expected)
        assert torch.equal(torch.rand(3), after)
        assert descent.metrics(12)["passes"] == passes
        assert loss == pytest.approx(float(expected.mean()), rel=1e-6)
        assert WEIGHT.grad is not None
        assert float(WEIGHT.grad) == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize(("least", "sentence"), [(1, "one picture alone"), (2, "3 pictures, the smallest part that")])
def test_what_never_fits_is_an_error(least: int, sentence: str) -> None:
    with pytest.raises(GannotateError, match=f"out of memory with {sentence}"):
        Descent(least=least)([WEIGHT], 7, full_above(0, lambda share: (WEIGHT, 1)))


def test_memory_is_given_back_before_the_next_try(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[weakref.ref[Tensor]] = []
    alive: list[bool] = []

    def loss_of(share: Share) -> tuple[Tensor, int]:
        activations = WEIGHT * torch.rand(len(share.place))
        held.append(weakref.ref(activations))
        if len(share.place) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return activations.mean(), len(share.place)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive.append(held[-1]() is not None))
    Descent()([WEIGHT], 8, loss_of)
    assert alive == [False, False]  # for 4 passes


@pytest.mark.parametrize(("device", "chosen"), [("cuda:1", ["cuda:1"]), ("cuda", []), ("cpu", [])])
def test_the_card_that_is_used_is_the_current_one(
    monkeypatch: pytest.MonkeyPatch, device: str, chosen: list[str]
) -> None:
    # whose random numbers `random_state` keeps
    seen: list[str] = []
    monkeypatch.setattr("gannotate.cli.device._device", lambda flags: flags.device)
    monkeypatch.setattr(torch.cuda, "set_device", seen.append)
    with torch.random.fork_rng():
        assert prepare(Common(device=device)) == device
    assert seen == chosen
