"""The gradient of one batch, however many processes and passes share it, and what is done where it does not fit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from gannotate.errors import GannotateError, UsageError
from gannotate.training import distributed
from gannotate.training.launched import launched
from gannotate.training.shares import Share, own_place, passes

Precision = Literal["32", "bf16"]
"""Numbers of the activations: float32, or bfloat16 where torch's autocast takes it; weights are float32 always."""

LossOf = Callable[[Share], tuple[Tensor, Tensor | float]]
"""The loss of one pass, a mean, and over how many things (labelled pixels, pictures) it is the mean."""

M = TypeVar("M", bound=nn.Module)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Compute:
    """How a training is computed, which changes its speed and memory, and its results in rounding alone."""

    precision: Precision = "32"
    """32, or bf16: activations in bfloat16 where that is safe, for cards and processors that are fast at it."""
    compile: bool = False
    """Compile the networks with torch.compile: a slow first step, then faster ones, most on CUDA cards."""
    accumulate: int = 1
    """Passes in which each process goes through its part of a batch; more take less memory, and more time."""

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise UsageError(f"precision {self.precision!r} is not known; use {' or '.join(get_args(Precision))}")
        if self.accumulate < 1:
            raise UsageError(f"{self.accumulate} passes a batch were asked for; give 1 or more, e.g. 2")
        if self.compile and (launched()[1] > 1 or self.accumulate > 1):
            raise UsageError(
                "compiled networks take whole batches, in one process and one pass; leave --compile out, or start one "
                "process without --accumulate"
            )

    @classmethod
    def only(cls, given: Compute | None, who: str, *followed: str) -> Compute:
        """The settings `given`, the defaults where there are none, for a training that follows those `followed` alone.

        who: that training, as the beginning of a sentence names it.

        Raises:
            UsageError: another setting is not at its default: it would change nothing.
        """
        chosen = given or cls()
        idle = [field for field in fields(cls) if field.name not in followed]
        told = [f"{field.name}={value!r}" for field in idle if (value := getattr(chosen, field.name)) != field.default]
        if told:
            raise UsageError(
                f"{who} was given {' and '.join(told)}, which changes nothing in it; leave that out, it follows "
                f"{' and '.join(followed)} alone"
            )
        return chosen

    def autocast(self, device: torch.device) -> contextlib.AbstractContextManager[object]:
        """The context for forward passes."""
        if self.precision == "32":
            return contextlib.nullcontext()
        return torch.autocast(device.type, torch.bfloat16)

    def said(self, network: nn.Module, *inputs: Tensor) -> Any:
        """What a network says of its inputs, a tensor or several: computed as chosen, and given in float32."""
        with self.autocast(inputs[0].device):
            found = network(*inputs)
        return found.float() if isinstance(found, Tensor) else tuple(each.float() for each in found)

    def prepared(self, network: M) -> M:
        """The network to call, compiled where asked for; its weights are those of `network`."""
        return torch.compile(network) if self.compile else network  # pyright: ignore[reportReturnType]


class Descent:
    """Puts the gradient of a whole batch's mean loss into the parameters.

    The batch is shared by all processes, and each goes through its part in `accumulate` passes. The gradient is that
    of the mean over the whole batch's things, as if it had been computed at once; only batch norm, in whose eyes a
    pass is a batch, sees a difference between passes (none between processes). least: samples that a pass has, of all
    processes together, where there are as many; batch norm takes 2 (after a global pooling one has no deviation).

    Where memory runs out the step is done again in more passes, with the random numbers of the first try. What a loss
    itself moves does not come back: the running statistics of batch norm have seen the passes of the first try too.
    """

    def __init__(self, compute: Compute | None = None, least: int = 1) -> None:
        chosen = compute or Compute()
        self.accumulate, self.compiled, self.least = chosen.accumulate, chosen.compile, least

    def __call__(
        self,
        parameters: Iterable[nn.Parameter],
        samples: int,
        loss_of: LossOf,
        weight: float = 1.0,
        begin: Callable[[], None] | None = None,
    ) -> float:
        """Leaves `.grad` filled anew, with the gradient of `weight` times the loss; returns the whole batch's loss.

        Where memory runs out, twice as many passes are made, from then on. `begin` is called before each try: what
        `loss_of` keeps is to be as it was before.

        Raises:
            UsageError: fewer samples than processes. GannotateError: the smallest pass does not fit, or several
                processes run out of memory: they cannot agree on more passes in the middle of one.
        """
        moved, random = list(parameters), random_state()

        def go() -> float:
            if begin is not None:
                begin()
            return self._gradients(moved, samples, loss_of, weight, random)

        return self.until_it_fits(moved, samples, go)

    def until_it_fits(self, parameters: Sequence[nn.Parameter], samples: int, go: Callable[[], T]) -> T:
        """What `go` gives, which goes through a batch in `passes(samples)` passes.

        Where memory runs out twice as many are made from then on, and it is called again, with the same random numbers
        and no gradients in `parameters`.

        Raises:
            GannotateError: the smallest pass does not fit, or several processes run out of memory.
        """
        random = random_state()
        while True:
            try:
                return go()
            except torch.OutOfMemoryError as error:
                full = error.with_traceback(None)  # which holds on to all that was computed
            self._make_room(parameters, samples, full)
            set_random_state(random)

    def passes(self, samples: int) -> int:
        """In how many passes each process goes through its part of a batch of `samples`."""
        return min(self.accumulate, self._most(samples))

    def metrics(self, samples: int) -> dict[str, float]:
        """For the log, where a batch of `samples` takes more than one pass: their number, and the size of the largest.

        Nothing where it takes one.
        """
        number = self.passes(samples)
        return {"passes": float(number), "pass_size": float(-(-samples // number))} if number > 1 else {}

    def _most(self, samples: int) -> int:
        return max(1, min(samples // self.least, samples // distributed.count()))

    def _gradients(
        self, parameters: list[nn.Parameter], samples: int, loss_of: LossOf, weight: float, random: list[Tensor]
    ) -> float:
        for parameter in parameters:
            parameter.grad = None
        shares = passes(samples, self.passes(samples))
        if shares[0].is_whole:
            with shares[0] as share:
                loss, _ = loss_of(share)
            (loss if weight == 1 else loss * weight).backward()
            return float(loss.detach())
        sums, things = [], []
        for share in shares:
            set_random_state(random)  # every pass draws the whole batch's numbers, and keeps its own
            with share:
                loss, over = loss_of(share)
            (loss * (over * weight)).backward()
            sums.append((loss * over).detach().double())
            things.append(over)
        summed, number = distributed.sum_gradients(parameters, sum(sums), sum(things))
        number = max(1.0, number)
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.div_(number)
        return summed / number

    def _make_room(self, parameters: Sequence[nn.Parameter], samples: int, error: torch.OutOfMemoryError) -> None:
        for parameter in parameters:
            parameter.grad = None
        if self.compiled:
            raise GannotateError(
                f"out of memory with {samples} pictures at once, which a compiled network takes; leave --compile out, "
                "which makes room by itself, or give a smaller --batch"
            ) from error
        most = self._most(samples)
        own = -(-len(own_place(samples)) // self.passes(samples))
        if self.accumulate >= most:
            alone = "one picture alone" if own == 1 else f"{own} pictures, the smallest part that can be taken"
            smaller = "network or size" if own == 1 else "batch, network or size"
            raise GannotateError(f"out of memory with {alone}; give a smaller {smaller}") from error
        if distributed.count() > 1:
            raise GannotateError(
                f"out of memory with {own} of the batch's {samples} pictures at once; start again with --accumulate "
                f"{min(2 * self.accumulate, most)}, which goes on from the last checkpoint"
            ) from error
        self.accumulate = min(2 * self.accumulate, most)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def whole_means(passes: Sequence[tuple[Mapping[str, Tensor], int]], samples: int) -> dict[str, float]:
    """Means over a batch of `samples`, by name, from those over the samples of each of this process's passes.

    passes: the means, and over how many samples they are.
    """
    if len(passes) == distributed.count() == 1:
        return {name: float(mean) for name, mean in passes[0][0].items()}
    sums = torch.stack([torch.stack([mean.detach() for mean in means.values()]) * count for means, count in passes])
    means = distributed.total(sums.sum(0)) / samples
    return dict(zip(passes[0][0], means.tolist(), strict=True))


def fill_gradients(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Leaves in an optimiser's parameters the gradient of the sum of all processes' `loss`, in one pass."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    distributed.sum_gradients(learned_by(optimizer))


def learned_by(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """The parameters that an optimiser moves."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def random_state() -> list[Tensor]:
    """The state of torch's global generators: the CPU's, and the current CUDA card's where it was used."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state()] if torch.cuda.is_initialized() else states


def set_random_state(states: list[Tensor]) -> None:
    """Takes back what `random_state` gave."""
    torch.set_rng_state(states[0])
    for state in states[1:]:
        torch.cuda.set_rng_state(state)
