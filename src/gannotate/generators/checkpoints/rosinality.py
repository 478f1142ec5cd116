"""StyleGAN2 checkpoints of rosinality's PyTorch code and its descendants: {"g_ema": state dict, "latent_avg": ...}."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gannotate.generators.checkpoints.arrays import ForeignArray, as_array
from gannotate.generators.checkpoints.plan import Plan, Source, as_is, by_name, flat, renamed, tensors_of, without
from gannotate.generators.checkpoints.stream import Unreadable
from gannotate.generators.checkpoints.stylegan2_plan import drop_filters, stylegan2_plan

KIND = "StyleGAN2 checkpoint of rosinality's code (.pt)"

LABEL_BRANCH = ("to_seg1.", "to_segs.")
"""Layers of semanticGAN that draw label maps beside the picture."""

WITHOUT_LABELS = "Its label branch (to_seg) was left out; only the pictures are drawn."


def looks_like(root: Any) -> bool:
    """True for a dictionary with the averaged generator."""
    return isinstance(root, Mapping) and isinstance(root.get("g_ema"), Mapping)


def read(root: Any) -> Plan:
    """The averaged generator, renamed.

    Raises:
        Unreadable: its tensors are not those of a StyleGAN2.
    """
    tensors = tensors_of(root["g_ema"], "its 'g_ema'")
    kept = {name: array for name, array in tensors.items() if not name.startswith(LABEL_BRANCH)}
    sources = by_name((renamed(name, RULES), _source(name, array)) for name, array in kept.items())
    average = root.get("latent_avg")
    if average is not None:
        sources["mapping.w_avg"] = Source("latent_avg", _average(average), flat)
    notes = (WITHOUT_LABELS,) if len(kept) < len(tensors) else ()
    return stylegan2_plan(KIND, drop_filters(sources, (".kernel",)), missing_noise=not _has_noise(sources), notes=notes)


def _average(value: Any) -> ForeignArray:
    array = as_array(value)
    if array is None:
        raise Unreadable("does not fit: its 'latent_avg' is no tensor")
    return array


def _has_noise(sources: Mapping[str, Source]) -> bool:
    return any(name.endswith("noise_const") for name in sources)


def _source(name: str, array: ForeignArray) -> Source:
    if name == "input.input" or name.endswith(("conv.weight", "noise.weight")):
        return Source(name, array, without(1))
    if name.startswith("noises."):
        return Source(name, array, without(2))
    if re.fullmatch(r"to_rgb.*\d\.bias", name):
        return Source(name, array, flat)
    return Source(name, array, as_is)


def _layer(index: int) -> str:
    """The convolution number `index`: 0 is the one at 4 px, then two a resolution."""
    if index == 0:
        return "synthesis.b4.conv1"
    return f"synthesis.b{2 ** ((index + 1) // 2 + 2)}.conv{(index + 1) % 2}"


PARTS = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
    "noise.weight": "noise_strength",
    "activate.bias": "bias",
    "bias": "bias",
    "conv.blur.kernel": "blur.kernel",
    "upsample.kernel": "upsample.kernel",
}
_PART = "|".join(re.escape(part) for part in PARTS)

RULES = (
    (r"style\.(\d{1,3})\.(weight|bias)", lambda n, part: f"mapping.fc{int(n) - 1}.{part}"),
    (r"input\.input", lambda: "synthesis.b4.const"),
    (rf"conv1\.({_PART})", lambda part: f"{_layer(0)}.{PARTS[part]}"),
    (rf"convs\.(\d{{1,2}})\.({_PART})", lambda n, part: f"{_layer(int(n) + 1)}.{PARTS[part]}"),
    (rf"to_rgb1\.({_PART})", lambda part: f"synthesis.b4.torgb.{PARTS[part]}"),
    (rf"to_rgbs\.(\d{{1,2}})\.({_PART})", lambda n, part: f"synthesis.b{2 ** (int(n) + 3)}.torgb.{PARTS[part]}"),
    (r"noises\.noise_(\d{1,2})", lambda n: f"{_layer(int(n))}.noise_const"),
)
"""Their names -> NVIDIA's."""
