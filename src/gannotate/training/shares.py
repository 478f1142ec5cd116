"""A process's share of a batch, and the mode in which code that works on a batch works on a share of it.

In one process, and in one pass, a batch is what it always was. Otherwise every share is computed in a `Share`, in which

- random numbers are drawn for the whole batch, by every process alike, and the share's own are kept: a picture's
  numbers are those it has in one process;
- batch norm takes mean and deviation over all processes (shared_norm.py);
- `mean_of_all`, `whole_mean` and `whole` reach over all processes.

Calls are caught where torch dispatches them (TorchFunctionMode), so that networks of other libraries are covered.
docs/decisions/0005 has why this and not DistributedDataParallel.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gannotate.errors import UsageError
from gannotate.training import distributed
from gannotate.training.shared_norm import shared_batch_norm

_current: list[Share] = []
"""The share being computed; the last entry counts."""


@dataclass(frozen=True)
class Place:
    """Which samples of a batch of `of` are meant: those from `start` to below `stop`."""

    start: int
    stop: int
    of: int

    @property
    def slice(self) -> slice:
        """For indexing what belongs to the whole batch."""
        return slice(self.start, self.stop)

    def within(self, other: Place) -> slice:
        """For indexing what belongs to `other`, of which these are some."""
        return slice(self.start - other.start, self.stop - other.start)

    def __len__(self) -> int:
        return self.stop - self.start


class Share(TorchFunctionMode):
    """One pass of this process over its samples of a batch; use it as a context.

    place: its samples in the whole batch. counts: samples of each process in this pass.
    """

    def __init__(self, place: Place, counts: Sequence[int]) -> None:
        super().__init__()
        self.place, self.counts, self.parts = place, tuple(counts), 1

    @property
    def is_whole(self) -> bool:
        """Whether this is all of the batch: nothing has to be shared then."""
        return len(self.place) == self.place.of

    @property
    def fraction(self) -> float:
        """What part of the batch all processes together go through in this pass."""
        return sum(self.counts) / self.place.of

    def part_of(self, mean: Tensor) -> Tensor:
        """What the mean over these samples adds to the mean over the whole batch."""
        return mean if self.is_whole else mean * (len(self.place) / self.place.of)

    def __enter__(self) -> Share:
        _current.append(self)
        if not self.is_whole:
            super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if not self.is_whole:
            super().__exit__(*error)
        _current.pop()

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _SIZED and kwargs.get("generator") is None:
            return self._sized(func, args, kwargs)
        if func in _LIKE:
            return self._own(func(self._whole_like(args[0]), *args[1:], **kwargs))
        if func is Tensor.bernoulli_:  # how timm drops paths
            whole = self._whole_like(args[0])
            return args[0].copy_(self._own(whole.bernoulli_(*args[1:], **kwargs)))
        if func in _DROPOUTS:
            return self._dropped(func, *args, **kwargs)
        if func is F.batch_norm:
            return self._batch_norm(*args, **kwargs)
        return func(*args, **kwargs)

    def _sized(self, func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
        """rand, randn or randint: the numbers of all samples, of which these are kept."""
        leading, size = _size_of(func, args, kwargs)
        kwargs = {name: value for name, value in kwargs.items() if name not in ("size", "low", "high")}
        if not size:  # one number for all
            return func(*leading, (), **kwargs)
        return self._own(func(*leading, (self._whole_length(size[0]), *size[1:]), **kwargs))

    def _whole_length(self, length: int) -> int:
        mine = len(self.place) * self.parts
        if length % mine:
            raise RuntimeError(
                f"{length} random numbers were drawn in a share of {len(self.place)} samples in {self.parts} part(s): "
                "draw as many for each sample, or in `for_all` what all of them share"
            )
        return length // mine * self.parts * self.place.of

    def _whole_like(self, x: Tensor) -> Tensor:
        """An empty tensor of the whole batch's size; in x's order in memory, since numbers are drawn in that order."""
        flat = x.is_contiguous()
        order = torch.contiguous_format
        if not flat and x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
            order = torch.channels_last
        shape = (self._whole_length(len(x)), *x.shape[1:])
        return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=order)

    def _own(self, whole: Tensor) -> Tensor:
        """This share of the whole batch, of each part of it."""
        each = len(whole) // (self.parts * self.place.of)
        if not each:  # numbers for no samples
            return whole
        kept = slice(self.place.start * each, self.place.stop * each)
        return whole.unflatten(0, (self.parts, -1))[:, kept].flatten(0, 1)

    def _dropped(
        self, func: Callable[..., Any], x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or not p:
            return func(x, p, training, inplace)
        mask = self._own(func(torch.ones_like(self._whole_like(x)), p, True, False))
        return x.mul_(mask) if inplace else x * mask

    def _batch_norm(
        self,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not training or len(self.counts) == 1:
            return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
        return shared_batch_norm(x, running_mean, running_var, weight, bias, momentum, eps, self.counts)


_SIZED = (torch.rand, torch.randn, torch.randint)
_LIKE = (torch.rand_like, torch.randn_like, torch.randint_like)
_DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d)


def _size_of(func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Any], list[int]]:
    """What stands before the size (randint's bounds), and the size, in any way that torch accepts to give them."""
    rest = list(args)
    leading: list[Any] = []
    if func is torch.randint:
        low = [kwargs["low"]] if "low" in kwargs else []
        high = [kwargs["high"]] if "high" in kwargs else []
        bounds = [value for value in rest if isinstance(value, int)]
        rest = [value for value in rest if not isinstance(value, int)]
        leading = low + bounds + high
    size = kwargs["size"] if "size" in kwargs else (rest[0] if rest and not isinstance(rest[0], int) else rest)
    return leading, list(size)


def place_of(samples: int, number: int, numbers: int) -> Place:
    """Part `number` of `numbers` contiguous parts of `samples`; the first ones are larger where they are uneven."""
    each, more = divmod(samples, numbers)
    start = number * each + min(number, more)
    return Place(start, start + each + (number < more), samples)


def own_place(samples: int) -> Place:
    """This process's part of a batch of `samples`.

    Raises:
        UsageError: fewer samples than processes.
    """
    if samples < distributed.count():
        raise UsageError(
            f"a step learns from {samples} sample(s), which {distributed.count()} processes cannot share; start "
            f"{samples} at most, or give a larger --batch"
        )
    return place_of(samples, distributed.rank(), distributed.count())


def passes(samples: int, number: int = 1) -> list[Share]:
    """The shares in which this process goes through its part of a batch: `number`, or as many as it has samples.

    Raises:
        UsageError: fewer samples than processes.
    """
    own = own_place(samples)
    processes = distributed.count()
    all_places = [place_of(samples, process, processes) for process in range(processes)]
    number = min(number, min(map(len, all_places)))
    shares = []
    for index in range(number):
        counts = [len(place_of(len(place), index, number)) for place in all_places]
        inside = place_of(len(own), index, number)
        shares.append(Share(Place(own.start + inside.start, own.start + inside.stop, samples), counts))
    return shares


def current() -> Share | None:
    """The share being computed, where that is not the whole batch."""
    return _current[-1] if _current and not _current[-1].is_whole else None


@contextlib.contextmanager
def in_parts(parts: int) -> Iterator[None]:
    """Within it a tensor holds the samples `parts` times over, e.g. all real pictures, then all drawn ones."""
    share = current()
    if share is None:
        yield
        return
    before, share.parts = share.parts, parts
    try:
        yield
    finally:
        share.parts = before


@contextlib.contextmanager
def for_all() -> Iterator[None]:
    """Within it random numbers are drawn as they are asked for: what all samples share, or another number of things."""
    if current() is None:
        yield
        return
    with torch._C.DisableTorchFunction():
        yield


def own(whole: Tensor) -> Tensor:
    """The current share of something that was made for the whole batch (in as many parts as the share has)."""
    share = current()
    return whole if share is None else share._own(whole)


def mean_of_all(x: Float[Tensor, "n _"]) -> Float[Tensor, " _"]:
    """Mean over the samples of all processes in this pass, no gradient."""
    share = current()
    if share is None:
        return x.mean(dim=0)
    return distributed.total(x.detach().sum(dim=0)) / sum(share.counts)


def whole_mean(mean: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """The mean over the samples of all processes in this pass, where this process's have the mean `mean`.

    For losses that are no means of what each sample adds; differentiable any number of times.
    """
    share = current()
    if share is None or len(share.counts) == 1:
        return mean
    return distributed.total(mean * (len(share.place) / sum(share.counts)))


def part_of_mean(mean: Tensor, samples: int) -> Tensor:
    """What the mean over this process's part of so many samples adds to the mean over all of them."""
    return mean if distributed.count() == 1 else mean * (len(own_place(samples)) / samples)


def whole(x: Float[Tensor, "n ..."], parts: int = 1) -> Float[Tensor, "m ..."]:
    """All processes' samples of this pass, part by part; differentiable any number of times."""
    share = current()
    if share is None or len(share.counts) == 1:
        return x
    before, after = _around(share)
    y = x.unflatten(0, (parts, -1))
    return distributed.total(F.pad(y, (*(0, 0) * (y.ndim - 2), before, after))).flatten(0, 1)


def out_of_whole(x: Float[Tensor, "m ..."], parts: int = 1) -> Float[Tensor, "n ..."]:
    """This process's own of what `whole` gave, or of what was made from it sample by sample."""
    share = current()
    if share is None or len(share.counts) == 1:
        return x
    before, _ = _around(share)
    return x.unflatten(0, (parts, -1))[:, before : before + len(share.place)].flatten(0, 1)


def _around(share: Share) -> tuple[int, int]:
    """How many samples of this pass come before and after this process's."""
    ends = list(accumulate(share.counts))
    end = ends[distributed.rank()]
    return end - len(share.place), ends[-1] - end
