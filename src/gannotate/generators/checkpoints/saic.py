"""StyleGAN2 checkpoints of saic-vul's code (`{gan}.tar`, a torch file): {"netGA": state dict, "latent_avg": ...}.

Their style layers add 1 to the bias when they draw, so their biases are NVIDIA's less 1. Noise maps are not stored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gannotate.generators.checkpoints.arrays import ForeignArray, as_array
from gannotate.generators.checkpoints.plan import Plan, Source, as_is, by_name, flat, renamed, tensors_of, without
from gannotate.generators.checkpoints.stylegan2_plan import drop_filters, stylegan2_plan

KIND = "StyleGAN2 checkpoint of saic-vul's code (.tar)"


def looks_like(root: Any) -> bool:
    """True for a dictionary with the averaged generator under saic-vul's name."""
    return isinstance(root, Mapping) and isinstance(root.get("netGA"), Mapping)


def read(root: Any) -> Plan:
    """The averaged generator, renamed.

    Raises:
        Unreadable: its tensors are not those of a StyleGAN2.
    """
    tensors = tensors_of(root["netGA"], "its 'netGA'")
    sources = by_name((renamed(name, RULES), _source(name, array)) for name, array in tensors.items())
    average = as_array(root.get("latent_avg"))
    if average is not None:
        sources["mapping.w_avg"] = Source("latent_avg", average, flat)
    return stylegan2_plan(KIND, drop_filters(sources, (".kernel",)), missing_noise=True)


def _source(name: str, array: ForeignArray) -> Source:
    if name == "constant_tensor":
        return Source(name, array, without(1))
    if name.endswith("scale_factors"):
        return Source(name, array, without(4))
    if name.endswith("affine.bias"):
        return Source(name, array, flat, plus=1.0)
    if name.endswith(".bias"):
        return Source(name, array, flat)
    return Source(name, array, as_is)


CONV_PARTS = {"weight_orig": "weight", "affine.weight_orig": "affine.weight", "affine.bias": "affine.bias"}
_PART = "|".join(re.escape(part) for part in CONV_PARTS)


def _layer(block: str, number: str) -> str:
    return f"synthesis.b{2 ** (int(block) + 2)}.conv{int(number) - 1}"


RULES = (
    (r"mapping\.(\d{1,3})\.(weight|bias)_orig", lambda n, part: f"mapping.fc{int(n) // 2}.{part}"),
    (r"constant_tensor", lambda: "synthesis.b4.const"),
    (rf"blocks\.(\d{{1,2}})\.conv([12])\.({_PART})", lambda b, n, part: f"{_layer(b, n)}.{CONV_PARTS[part]}"),
    (r"blocks\.(\d{1,2})\.addnoise([12])\.scale_factors", lambda b, n: f"{_layer(b, n)}.noise_strength"),
    (r"blocks\.(\d{1,2})\.bias_act([12])\.bias", lambda b, n: f"{_layer(b, n)}.bias"),
    (
        rf"to_rgbs\.(\d{{1,2}})\.conv1\.({_PART})",
        lambda b, part: f"synthesis.b{2 ** (int(b) + 2)}.torgb.{CONV_PARTS[part]}",
    ),
    (r"to_rgbs\.(\d{1,2})\.bias1\.bias", lambda b: f"synthesis.b{2 ** (int(b) + 2)}.torgb.bias"),
)
"""Their names -> NVIDIA's."""
