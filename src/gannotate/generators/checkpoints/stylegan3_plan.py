"""StyleGAN3's tensors under NVIDIA's names, which are ours too; its filters' settings come from the modules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gannotate.generators.checkpoints.plan import Plan, clamp_value
from gannotate.generators.checkpoints.stream import Holder, Unreadable, shown
from gannotate.generators.checkpoints.stylegan2_plan import LARGEST_PX, Sources, mapping_config, shape

KIND = "StyleGAN3 network of NVIDIA's PyTorch code (.pkl)"

LAYER = re.compile(r"synthesis\.L(\d{1,2})_(\d{1,5})_(\d{1,5})\.weight")

ATTRIBUTES = {
    "num_critical": ("critical_layers", 1, 64),
    "margin_size": ("margin", 0, 64),
    "output_scale": ("output_scale", 1e-6, 1e6),
}
"""Attributes of the synthesis network: our setting, least and largest value."""

SETTINGS = {
    "channel_base": ("channel_base", 1, 2**24),
    "channel_max": ("channel_max", 1, 2**16),
    "first_cutoff": ("first_cutoff", 0.1, 64),
    "first_stopband": ("first_stopband", 0.1, 256),
    "last_stopband_rel": ("last_stopband", 1, 16),
}
"""Settings that it was made with: the same. What a file does not say is as NVIDIA's code has it."""

DEFAULT_CLAMP = 256.0
"""Where a layer does not say what it is clamped to."""

FIXED = {"filter_size": 6, "lrelu_upsampling": 2}
"""Settings that have only one value here."""


def is_stylegan3(sources: Sources) -> bool:
    """True when the network begins with Fourier features."""
    return "synthesis.input.freqs" in sources


def stylegan3_plan(sources: Sources, modules: Mapping[str, Holder], licence: str) -> Plan:
    """The plan for a StyleGAN3 of NVIDIA's code.

    Raises:
        Unreadable: no StyleGAN3 has such tensors or settings.
    """
    layers = sorted((int(m[1]), int(m[2]), int(m[3]), m[0]) for m in map(LAYER.fullmatch, sources) if m)
    if [layer[0] for layer in layers] != list(range(len(layers))) or len(layers) < 3 or layers[-1][1] > LARGEST_PX:
        raise Unreadable("does not fit: the layers of its synthesis network are not L0_..., L1_..., and so on")
    first, last = layers[0], layers[-1]
    synthesis = modules.get("synthesis", Holder("none"))
    layer = modules.get(first[3].removesuffix(".weight"), Holder("none"))
    made_with = synthesis.attribute("_init_kwargs", {})
    made_with = made_with if isinstance(made_with, Mapping) else {}
    for name, value in FIXED.items():
        if made_with.get(name, value) != value:
            raise Unreadable(f"is not supported: its setting {name} is {shown(made_with[name])}, not {value}")
    down_filters = [source.view().ndim for name, source in sources.items() if name.endswith(".down_filter")]
    attributes = {name: synthesis.attribute(name) for name in ATTRIBUTES}
    config = {
        "architecture": "stylegan3",
        "size": last[1],
        "image_channels": last[2],
        **mapping_config(sources),
        "layers": len(layers) - 1,
        "kernel": shape(sources, first[3], 4)[-1],
        "radial": 2 in down_filters,
        "conv_clamp": clamp_value(layer.attribute("conv_clamp", DEFAULT_CLAMP)),
        **_numbers(attributes, ATTRIBUTES),
        **_numbers(made_with, SETTINGS),
    }
    return Plan(KIND, config, sources, licence=licence)


def _numbers(found: Mapping[str, Any], known: Mapping[str, tuple[str, float, float]]) -> dict[str, Any]:
    settings = {}
    for name, (ours, least, most) in known.items():
        value = found.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise Unreadable(f"is not supported: its {name} is {shown(value)}, not from {least} to {most}")
        settings[ours] = value
    return settings
