"""What the semi-supervised methods share: their settings, the pictures without labels, and the trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gannotate.errors import UsageError
from gannotate.labels import IGNORE
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.semi_supervised.judge import Judge
from gannotate.segmenters.sources import ALL, Batch, Source, pick, to_float, truth_as_probabilities
from gannotate.segmenters.supervised import SegmenterTrainer, SegmenterTraining
from gannotate.training import distributed
from gannotate.training.descent import Compute, learned_by, random_state, set_random_state
from gannotate.training.joined import JoinedShare
from gannotate.training.resuming import hash_of, plain
from gannotate.training.shares import own_place, passes


class Resumable(Protocol):
    """A network, an optimiser, or both in one: what a checkpoint can hold."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that `load_state_dict` needs."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Takes back what `state_dict` gave."""
        ...


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """What every semi-supervised method can be told; each adds its own."""

    unlabelled_batch: int | None = None
    """Pictures without labels a step; as many as labelled ones when not given."""

    def __post_init__(self) -> None:
        if self.unlabelled_batch is not None and self.unlabelled_batch < 2:
            raise UsageError(
                f"unlabelled_batch is {self.unlabelled_batch}; give at least 2 pictures a step, as one alone cannot be "
                "normalised"
            )

    def check(self, low: float, high: float, *names: str) -> None:
        """Checks that the settings called `names` lie in [low, high].

        Raises:
            UsageError: one does not.
        """
        for name in names:
            value = getattr(self, name)
            if not low <= value <= high:
                accepted = f"{low:g} or more" if high == float("inf") else f"a number from {low:g} to {high:g}"
                raise UsageError(f"{name} is {value}; give {accepted}")

    def check_order(self, first: str, then: str) -> None:
        """Checks that the setting `first` is not above `then`.

        Raises:
            UsageError: it is.
        """
        if getattr(self, first) > getattr(self, then):
            raise UsageError(
                f"{first} is {getattr(self, first)} and {then} {getattr(self, then)}; give a {first} that is not above "
                f"{then}"
            )


class Unlabelled:
    """Draws from pictures without labels, without replacement where there are enough."""

    def __init__(self, pictures: np.ndarray) -> None:
        self.array = pictures

    def check(self, config: SegmenterConfig) -> None:
        """Checks that the pictures, uint8 (n, size, size, channels), fit the network.

        Raises:
            UsageError: none, of another kind, size or number of channels.
        """
        wanted = (config.size, config.size, config.image_channels)
        if self.array.ndim != 4 or self.array.dtype != np.uint8 or self.array.shape[1:] != wanted:
            raise UsageError(
                f"the unlabelled pictures are {self.array.dtype} {self.array.shape}, the segmenter takes uint8 "
                f"(n, {', '.join(map(str, wanted))}); read them with that size and number of channels"
            )
        if not len(self.array):
            raise UsageError("no unlabelled pictures were given; give at least one")

    def about(self) -> dict[str, Any]:
        """Number of pictures and a hash of them all."""
        return {"pictures": len(self.array), "hash": hash_of(self.array)}

    def batch(self, count: int, device: torch.device, kept: slice = ALL) -> Float[Tensor, "m c h w"]:
        """`count` of the pictures in [-1, 1], drawn with torch's global generator; of these the `kept` ones."""
        picked = torch.from_numpy(self.array[pick(len(self.array), count)[kept].numpy()])
        return to_float(picked.permute(0, 3, 1, 2).to(device))


Settings = TypeVar("Settings", bound=MethodSettings)


class SemiSupervisedTrainer(SegmenterTrainer, Generic[Settings]):
    """Teaches a network from labelled and unlabelled pictures; a method says `one_pass`, and `make_companions`.

    The optimiser and its schedule are those of supervised training (AdamW, cosine), so that methods differ in what
    they learn from alone; what judges the segmenter has its own (see `Judge`).

    Several processes each take a part of the labelled and of the unlabelled pictures. A loss is what this process's
    pictures add to that of all (`shared_cross_entropy`, `Share.part_of`), and what is drawn or normalised for labelled
    pictures, unlabelled ones or both is drawn or normalised within that share.

    Where a step is made in passes, each has a part of both kinds. What is a mean over some pixels, or of the batch as a
    whole, is one of each pass, and counts by its pictures.
    """

    method: ClassVar[str]
    """The method's name."""

    def __init__(
        self,
        source: Source,
        unlabelled: np.ndarray,
        config: SegmenterConfig,
        training: SegmenterTraining,
        settings: Settings,
        device: str | torch.device = "cpu",
        compute: Compute | None = None,
    ) -> None:
        compute = Compute.only(compute, f"method {self.method}", "accumulate", "precision")
        super().__init__(source, config, training, device, compute)
        self.settings, self.unlabelled = settings, Unlabelled(unlabelled)
        self.unlabelled.check(config)
        self.unlabelled_batch = settings.unlabelled_batch or training.batch
        if self.unlabelled_batch < distributed.count() <= training.batch:
            raise UsageError(
                f"unlabelled_batch is {self.unlabelled_batch}, which {distributed.count()} processes cannot share; "
                f"give at least {distributed.count()}, or start fewer processes"
            )
        self._kept: tuple[Batch, list[Tensor]] | None = None  # a step's labelled pictures, and the random state after
        (self.of_labelled,), (self.of_unlabelled,) = passes(training.batch), passes(self.unlabelled_batch)
        self.of_both = JoinedShare([self.of_labelled, self.of_unlabelled])
        self.about["data"] = {**self.about["data"], "unlabelled": self.unlabelled.about()}
        told = {"method": self.method, "method_settings": plain(asdict(settings))}
        self.about["settings"] = {**self.about["settings"], **told}
        self.companions = self.make_companions()
        self.judges = [part for part in self.companions.values() if isinstance(part, Judge)]

    def make_companions(self) -> dict[str, Resumable]:
        """What learns beside the segmenter and must be kept to go on (judges, second networks), by name."""
        return {}

    def one_pass(self, index: int) -> dict[str, float]:
        """Puts what a pass of step `index` teaches into the gradients (see `learn`); returns what it adds to the log.

        Its parts of the pictures are `of_labelled`, `of_unlabelled` and `of_both`.
        """
        raise NotImplementedError

    def step(self, index: int) -> dict[str, float]:
        """One step of all that learns, on labelled and unlabelled pictures."""
        movers = (self.optimizer, *(judge.optimizer for judge in self.judges))
        learned = [parameter for optimizer in movers for parameter in learned_by(optimizer)]
        self._kept = None
        found = self.descent.until_it_fits(learned, self._fewest, lambda: self._all_passes(index, movers))
        distributed.sum_gradients(learned_by(self.optimizer))
        self._move(index)
        for judge in self.judges:
            judge.move(index)
        return found

    @property
    def _fewest(self) -> int:
        return min(self.training.batch, self.unlabelled_batch)

    def _all_passes(self, index: int, movers: Sequence[torch.optim.Optimizer]) -> dict[str, float]:
        for optimizer in movers:
            optimizer.zero_grad(set_to_none=True)
        number, random, found = self.descent.passes(self._fewest), random_state(), dict[str, float]()
        shares = passes(self.training.batch, number), passes(self.unlabelled_batch, number)
        for place, pair in enumerate(zip(*shares, strict=True)):
            if place:  # every pass draws the whole batch's numbers, and keeps its own
                set_random_state(random)
            self.of_labelled, self.of_unlabelled = pair
            self.of_both = JoinedShare(pair)
            found = {name: found.get(name, 0.0) + value for name, value in self.one_pass(index).items()}
        if number > 1:
            found |= {"passes": float(number), "pass_size": float(sum(sum(each[0].counts) for each in shares))}
        return found

    def learn(self, loss: Tensor) -> None:
        """Adds the gradient of `loss` to what the step goes down."""
        loss.backward()

    def said(self, network: nn.Module, *inputs: Tensor) -> Any:
        """What a network says in training mode, in the training's precision."""
        return self.compute.said(network.train(), *inputs)

    def said_apart(
        self, network: nn.Module, labelled: Float[Tensor, "n c h w"], unlabelled: Float[Tensor, "m c h w"]
    ) -> Tensor:
        """What a network says of labelled, then of unlabelled pictures, each kind normalised by itself.

        In one batch a few labelled pictures, drawn over and over, stand apart from the statistics of all, and what is
        learned from that holds for no other picture: without any loss on unlabelled ones the joint batch of adversarial
        learning lost 9 points of mIoU. The authors of adversarial learning and s4GAN go through the network twice, too.
        """
        with self.of_labelled:
            known = self.said(network, labelled)
        with self.of_unlabelled:
            return torch.cat([known, self.said(network, unlabelled)])

    def draw(self) -> tuple[Batch, Batch]:
        """Labelled and unlabelled pictures, each moved and changed; see `unlabelled_view` for the second's labels."""
        labelled = self.labelled_view(self.labelled())
        return labelled, self.unlabelled_view(self.pictures())

    def labelled(self) -> Batch:
        """This process's part of the labelled pictures of a pass."""
        own = own_place(self.training.batch)
        if self._kept is None:  # a source that counts what it gave is asked once a step, not once a pass
            self._kept = self.source.batch(self.training.batch, self.device, own.slice), random_state()
        batch, after = self._kept
        set_random_state(after)
        return batch.part(self.of_labelled.place.within(own))

    def pictures(self) -> Float[Tensor, "n c h w"]:
        """This process's part of the unlabelled pictures of a pass."""
        return self.unlabelled.batch(self.unlabelled_batch, self.device, self.of_unlabelled.place.slice)

    def labelled_view(self, labelled: Batch) -> Batch:
        """The labelled pictures moved and changed."""
        with self.of_labelled:
            return self.augmented(labelled)

    def unlabelled_view(
        self,
        pictures: Float[Tensor, "n c h w"],
        label_maps: Int[Tensor, "n h w"] | None = None,
        soft: Float[Tensor, "n k h w"] | None = None,
    ) -> Batch:
        """The pictures moved and changed, with what is believed about them moved alike.

        Where nothing is believed the label map holds 0 inside the picture and IGNORE outside.
        """
        if label_maps is None:
            label_maps = torch.zeros(len(pictures), *pictures.shape[2:], dtype=torch.long, device=pictures.device)
        with self.of_unlabelled:
            return self.augmented(Batch(pictures, label_maps, soft))

    def state(self) -> dict[str, Any]:
        """The supervised trainer's, and all companions'."""
        companions = {name: part.state_dict() for name, part in self.companions.items()}
        return {**super().state(), "companions": companions}

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave.

        Raises:
            UsageError: the state is of a training with another method, other settings or other data.
        """
        super().load_state(state)
        for name, part in self.companions.items():
            part.load_state_dict(state["companions"][name])


def completed(batch: Batch, probabilities: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k h w"]:
    """The labels as probabilities, with the network's own where nothing is labelled.

    A discriminator that saw holes in true label maps, and none in predicted ones, would look for nothing else.
    """
    known = (batch.label_maps != IGNORE).unsqueeze(1)
    return torch.where(known, truth_as_probabilities(batch, probabilities.shape[1]), probabilities.detach())


def confident_labels(probabilities: Float[Tensor, "n k h w"], trusted: Bool[Tensor, "n h w"]) -> Int[Tensor, "n h w"]:
    """The likeliest class where it is trusted, IGNORE elsewhere."""
    return torch.where(trusted, probabilities.argmax(1), IGNORE)
