"""Several processes that do one training together, started by `torchrun` (docs/decisions/0005).

Each takes its contiguous part of every batch. What is said of a batch (its random numbers, the statistics of batch
norm, means, gradients) is said of the whole of it, so that any number of processes does what one would do, but for the
order in which floats are added. One process alone communicates nothing and pays nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gannotate.errors import AlikeEverywhere, GannotateError
from gannotate.training.launched import launched

T = TypeVar("T")

PATIENCE = datetime.timedelta(hours=1)
"""How long a process waits for another one: a snapshot with its figures is made by the first alone. A process that
ends, however it ends, is noticed at once."""


class Elsewhere(GannotateError):
    """The first process could not go on, and has said why."""


def join(device: str) -> None:
    """Meets the other processes that torchrun started; does nothing in a process that was started alone.

    Numbers on a CPU travel by gloo, those on a CUDA card by NCCL.

    Raises:
        GannotateError: the others cannot be reached.
    """
    if launched()[1] == 1 or dist.is_initialized():
        return
    on_card = device.startswith("cuda")
    if on_card:
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_card else "gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise GannotateError(
            f"the {launched()[1]} processes cannot reach each other ({' '.join(str(error).split())}); start them "
            "together with torchrun"
        ) from error


def leave() -> None:
    """Parts from the other processes, if any."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


_apart = False
"""Whether this process works by itself for now (see `apart`)."""


def count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if not _apart and dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if count() > 1 else 0


def is_first() -> bool:
    """Whether this process is the one that writes files and speaks."""
    return rank() == 0


def from_first(work: Callable[[], T]) -> T:
    """What `work` gives in the first process, in all of them; it is done there alone.

    Raises:
        Elsewhere: in the others, where the first one failed; that one raises its own error.
    """
    if count() == 1:
        return work()
    answer: list[Any] = [None, None]
    failure: BaseException | None = None
    if is_first():
        try:
            answer = [True, work()]
        except Exception as error:
            answer, failure = [False, str(error)], error
    dist.broadcast_object_list(answer, src=0, device=torch.device("cpu"))
    if failure is not None:
        raise failure
    if not answer[0]:
        raise Elsewhere(answer[1])
    return answer[1]


def wait_for_first() -> None:
    """Goes on in all processes when the first has come here too: what it wrote before is there."""
    from_first(lambda: None)


def apart(work: Iterator[T]) -> Iterator[T]:
    """Goes through `work` as if this were the only process, whatever the others do meanwhile."""
    global _apart
    while True:
        before, _apart = _apart, True
        try:
            item = next(work)
        except StopIteration:
            return
        finally:
            _apart = before
        yield item


def from_each(value: T) -> list[T]:
    """Every process's `value`, in their order, in all of them."""
    if count() == 1:
        return [value]
    values: list[Any] = [None] * count()
    dist.all_gather_object(values, value)
    return values


def any_says(*flags: bool) -> tuple[bool, ...]:
    """For each flag, whether it is up in any process."""
    if count() == 1:
        return flags
    raised = torch.tensor([float(flag) for flag in flags])
    dist.all_reduce(raised, op=dist.ReduceOp.MAX)
    return tuple(value > 0 for value in raised.tolist())


class _Total(torch.autograd.Function):
    """The sum over processes; its gradient is the sum of the gradients, which is differentiable in turn."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        summed = x.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _Total.apply(gradients[0])  # pyright: ignore[reportReturnType]


def total(x: Tensor) -> Tensor:
    """The sum of all processes' `x`, differentiable any number of times.

    A loss is the sum of all processes' losses: one that all of them compute alike counts as often as there are
    processes (see `once`).
    """
    return x if count() == 1 else _Total.apply(x)  # pyright: ignore[reportReturnType]


def totals(tensors: Sequence[Tensor]) -> list[Tensor]:
    """`total` of each of several tensors, in one message."""
    if count() == 1:
        return list(tensors)
    summed = total(torch.cat([tensor.flatten() for tensor in tensors]))
    parts = summed.split([tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]


def summed(**parts: Tensor) -> dict[str, float]:
    """Numbers of a whole batch by name, from what each process adds to them."""
    found = total(torch.stack([part.detach().float() for part in parts.values()]))
    return dict(zip(parts, found.tolist(), strict=True))


def once(loss: Tensor) -> Tensor:
    """This process's share of a loss that all processes compute alike."""
    return loss if count() == 1 else loss / count()


def sum_gradients(parameters: Iterable[nn.Parameter], *more: float | Tensor) -> list[float]:
    """Adds up every parameter's gradient over the processes, in one message, and the numbers `more`, which it returns.

    A parameter without a gradient in this process has one nowhere: all processes do the same.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    numbers = [torch.as_tensor(number, dtype=torch.float64).detach().reshape(()) for number in more]
    if count() == 1:
        return [float(number) for number in numbers]
    # beside the gradients, since a sum of labelled pixels needs more digits than they have
    summed = torch.stack([number.cpu() for number in numbers]) if numbers else torch.zeros(0, dtype=torch.float64)
    if numbers:
        dist.all_reduce(summed)
    if gradients:
        message = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(message)
        parts = message.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
    return summed.tolist()


def check_same_everywhere(what: str, value: Any) -> None:
    """Checks that all processes have the same `value`.

    Raises:
        AlikeEverywhere: they do not; most often a folder that they do not share.
    """
    values = from_each(value)
    if any(other != values[0] for other in values):
        raise AlikeEverywhere(
            f"the processes do not agree on {what} ({', '.join(str(other) for other in values)}); put the folder on a "
            "disk that all machines share"
        )
