"""From tensors of a foreign file to a generator of ours: every name and shape is settled before a number is copied."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gannotate.errors import GannotateError
from gannotate.generators.base import Generator
from gannotate.generators.build import build_generator
from gannotate.generators.checkpoints.arrays import ForeignArray, as_array
from gannotate.generators.checkpoints.stream import Unreadable, damaged, shown

MOST_TENSORS = 20_000
"""In one file; the largest network has some hundred."""

AVERAGE = "mapping.w_avg"
"""Our name of the average latent."""


def as_is(array: np.ndarray) -> np.ndarray:
    """No change."""
    return array


def flat(array: np.ndarray) -> np.ndarray:
    """As one row."""
    return array.reshape(-1)


def transposed(array: np.ndarray) -> np.ndarray:
    """(inputs, outputs) -> (outputs, inputs), for TensorFlow's dense layers."""
    return array.T


def channels_first(array: np.ndarray) -> np.ndarray:
    """(h, w, inputs, outputs) -> (outputs, inputs, h, w), for TensorFlow's convolutions."""
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array


def channels_first_flipped(array: np.ndarray) -> np.ndarray:
    """The same, turned by 180 degrees: TensorFlow's upsampling convolutions run the other way."""
    return channels_first(array[::-1, ::-1]) if array.ndim == 4 else array


def without(axes: int) -> Callable[[np.ndarray], np.ndarray]:
    """Drops so many leading axes of length 1."""
    return lambda array: array[(0,) * axes] if array.shape[:axes] == (1,) * axes else array


Rule = tuple[str, Callable[..., str]]
"""A pattern of a foreign tensor's whole name, and what makes another name of its groups."""


def renamed(name: str, rules: Iterable[Rule]) -> str:
    """The name by the first rule that fits; an unknown one stays, and is told as left over later."""
    for pattern, rename in rules:
        match = re.fullmatch(pattern, name)
        if match:
            return rename(*match.groups())
    return name


@dataclass(frozen=True)
class Source:
    """Where one of our tensors comes from: its name and array in the file, and what turns them into ours."""

    name: str
    array: ForeignArray
    change: Callable[[np.ndarray], np.ndarray] = as_is
    plus: float = 0.0

    def view(self) -> np.ndarray:
        """In our layout, not copied yet."""
        return self.change(self.array.view())

    def read(self) -> Tensor:
        """A float32 copy.

        Raises:
            Unreadable: NaN or infinity in it, or no floating numbers.
        """
        view = self.view()
        if view.dtype.kind != "f":
            raise Unreadable(f"does not fit: {shown(self.name)} holds {view.dtype} where floating numbers are due")
        values = np.array(view, dtype=np.float32, order="C")
        if not np.isfinite(values).all():
            raise damaged(f"{shown(self.name)} holds NaN or infinity")
        return torch.from_numpy(values + np.float32(self.plus) if self.plus else values)


def by_name(named: Iterable[tuple[str, Source]]) -> dict[str, Source]:
    """The sources under their new names.

    Raises:
        Unreadable: two have the same, or there are too many.
    """
    found: dict[str, Source] = {}
    for name, source in named:
        if name in found:
            raise Unreadable(f"does not fit: {shown(found[name].name)} and {shown(source.name)} are the same tensor")
        if len(found) == MOST_TENSORS:
            raise damaged(f"it has more than {MOST_TENSORS} tensors")
        found[name] = source
    return found


@dataclass(frozen=True)
class Plan:
    """A foreign generator, recognised and renamed.

    Attributes:
        kind: the format, in words for people. config: what `build_generator` takes. sources: our tensor name -> where
        it comes from. missing_noise: the format stores no noise maps, they are drawn. missing_average: nor the average
        latent. notes: sentences for the card. licence: what the format's makers say.
    """

    kind: str
    config: dict[str, Any]
    sources: Mapping[str, Source]
    missing_noise: bool = False
    missing_average: bool = False
    notes: tuple[str, ...] = ()
    licence: str | None = None


def tensors_of(state: Any, what: str) -> dict[str, ForeignArray]:
    """The arrays of a state dict, by name.

    Raises:
        Unreadable: it is none, or holds something else than arrays.
    """
    if not isinstance(state, Mapping) or len(state) > MOST_TENSORS:
        raise Unreadable(f"does not fit: {what} is no dictionary of tensors ({shown(state)})")
    tensors = {}
    for name, value in state.items():
        array = as_array(value)
        if not isinstance(name, str) or array is None:
            raise Unreadable(f"does not fit: {what} holds {shown(value)} as {shown(name)!r} where a tensor is due")
        tensors[name] = array
    return tensors


def clamp_value(value: Any) -> float | None:
    """What a layer's outputs are clamped to; None: nothing.

    Raises:
        Unreadable: no positive number.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise Unreadable(f"is not supported: its conv_clamp is {shown(value)}, no number above 0")
    return float(value)


def empty_network(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of the generator that `config` describes, without allocating any.

    Raises:
        Unreadable: no generator of ours can be so.
    """
    try:
        with torch.device("meta"):
            network = build_generator(dict(config))
    except GannotateError as error:
        raise Unreadable(f"holds a generator that is not supported: {error}") from error
    except (ArithmeticError, ValueError, TypeError, RuntimeError) as error:  # numbers that no network is made of
        raise Unreadable(f"does not fit: no {config['architecture']} has settings like its own") from error
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def assemble(plan: Plan, fill: Callable[[str, tuple[int, ...]], Tensor], size: int) -> Generator:
    """The generator with the file's numbers, in evaluation mode, frozen.

    Args:
        fill: makes a tensor that the format does not store, from its name and shape. size: bytes of the file, which
            may not give more numbers than that.

    Raises:
        Unreadable: a tensor is missing, left over, or of another shape; the sentence names it.
    """
    expected = empty_network(plan.config)
    filled = [name for name in expected if name not in plan.sources and _is_filled(name, plan)]
    _check_names(plan, expected, filled)
    for name, source in plan.sources.items():
        if source.view().shape != expected[name]:
            raise Unreadable(
                f"does not fit: {shown(source.name)} has the shape {source.array.shape}, which does not give "
                f"{expected[name]} for {name}"
            )
    # a file may show the same numbers as many tensors, and so claim more than it holds
    if sum(math.prod(expected[name]) for name in plan.sources) > size:
        raise damaged("its tensors share the same numbers over and over")
    tensors = {name: source.read() for name, source in plan.sources.items()}
    tensors |= {name: fill(name, expected[name]) for name in filled}
    network = build_generator(plan.config)
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)


def _is_filled(name: str, plan: Plan) -> bool:
    return (plan.missing_noise and name.endswith("noise_const")) or (plan.missing_average and name == AVERAGE)


def _check_names(plan: Plan, expected: Mapping[str, tuple[int, ...]], filled: list[str]) -> None:
    absent = [name for name in expected if name not in plan.sources and name not in filled]
    if absent:
        raise Unreadable(f"does not fit: the tensor for {absent[0]} is missing{_and_more(absent)}")
    left = [source.name for name, source in plan.sources.items() if name not in expected]
    if left:
        raise Unreadable(f"does not fit: it has a tensor {shown(left[0])} too many{_and_more(left)}")


def _and_more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
