"""StyleGAN2's tensors under the names of NVIDIA's PyTorch networks, which every StyleGAN2 format is brought to.

Sizes are found from the tensors' shapes, never from what a file says of itself: old files lack attributes, and the
commonest mistake of converters is a channel count that does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from gannotate.generators.checkpoints.plan import Plan, Source, by_name, empty_network
from gannotate.generators.checkpoints.stream import Unreadable, shown

LARGEST_PX = 4096

FIR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
"""The resampling filter of every public StyleGAN2, normalised."""

Sources = Mapping[str, Source]


def stylegan2_plan(
    kind: str,
    sources: Sources,
    conv_clamp: float | None = None,
    missing_noise: bool = False,
    notes: tuple[str, ...] = (),
    licence: str | None = None,
) -> Plan:
    """The plan for tensors under NVIDIA's names (mapping.fc0.weight, synthesis.b8.conv0.affine.bias, ...).

    Args:
        kind: the format, for people. conv_clamp: the layers' outputs are clamped to +- this; None: not clamped.

    Raises:
        Unreadable: no StyleGAN2 has such tensors.
    """
    config = stylegan2_config(sources) | ({} if conv_clamp is None else {"conv_clamp": conv_clamp})
    ours = {public_name(name): name for name in empty_network(config)}
    renamed = by_name((ours.get(name, name), source) for name, source in sources.items())
    return Plan(kind, config, renamed, missing_noise, "mapping.w_avg" not in sources, notes, licence)


def public_name(ours: str) -> str:
    """NVIDIA's name of one of our tensors: there, the convolution and its layer are one module."""
    return ours.replace(".conv.", ".")


def stylegan2_config(sources: Sources) -> dict[str, Any]:
    """What the shapes say: size, channels, latents, mapping layers, classes and architecture."""
    resolutions = resolutions_of(sources)
    channels = {r: shape(sources, f"synthesis.b{r}.conv1.weight", 4)[0] for r in resolutions}
    base, most = channel_rule(channels)
    size = resolutions[-1]
    return {
        "architecture": "stylegan2",
        "size": size,
        "image_channels": shape(sources, f"synthesis.b{size}.torgb.weight", 4)[0],
        **mapping_config(sources),
        "channel_base": base,
        "channel_max": most,
        "connections": _connections(sources, resolutions),
    }


def mapping_config(sources: Sources) -> dict[str, int]:
    """What the mapping network's shapes say: latents, layers and classes."""
    w_dim, inputs = shape(sources, "mapping.fc0.weight", 2)
    embedded, labels = shape(sources, "mapping.embed.weight", 2) if "mapping.embed.weight" in sources else (0, 0)
    if inputs <= embedded:
        raise Unreadable(f"does not fit: {shown(sources['mapping.fc0.weight'].name)} takes no latent")
    return {
        "z_dim": inputs - embedded,
        "w_dim": w_dim,
        "mapping_layers": len([name for name in sources if re.fullmatch(r"mapping\.fc\d+\.weight", name)]),
        "label_dim": labels,
    }


def shape(sources: Sources, name: str, dimensions: int) -> tuple[int, ...]:
    """Shape, in our layout, of the tensor with that public name.

    Raises:
        Unreadable: it is missing, empty, or has another number of dimensions.
    """
    if name not in sources:
        raise Unreadable(f"does not fit: the tensor for {name} is missing")
    found = sources[name].view().shape
    if len(found) != dimensions or 0 in found:
        title = shown(sources[name].name)
        raise Unreadable(f"does not fit: {title} has the shape {found}, where {dimensions} lengths from 1 are due")
    return found


def channel_rule(channels: Mapping[int, int]) -> tuple[int, int]:
    """(base, most) so that the channels at resolution r are min(base // r, most).

    Raises:
        Unreadable: no such numbers exist.
    """
    most = max(channels.values())
    below = {r: count for r, count in channels.items() if count < most}
    # base // r == count for base in [count r, count r + r - 1]; the narrowest range of all resolutions
    least = max((count * r for r, count in below.items()), default=most * max(channels))
    fits = all(min(least // r, most) == count for r, count in channels.items())
    if not fits:
        raise Unreadable(f"does not fit: its channels {dict(channels)} are not min(base / resolution, most)")
    return least, most


def drop_filters(sources: Sources, suffixes: tuple[str, ...]) -> dict[str, Source]:
    """`sources` without the resampling filters, which are the same in every network.

    Raises:
        Unreadable: one is not [1, 3, 3, 1].
    """
    kept = {}
    for name, source in sources.items():
        if not name.endswith(suffixes):
            kept[name] = source
            continue
        taps = source.view()
        if taps.shape == (4, 4) and taps.dtype.kind == "f":
            total = float(taps.sum())
            if total > 0 and np.allclose(taps / total, FIR, atol=1e-4):
                continue
        raise Unreadable(f"is not supported: {shown(source.name)} is no resampling filter [1, 3, 3, 1]")
    return kept


def resolutions_of(sources: Sources) -> list[int]:
    """4, 8, ... up to the largest layer.

    Raises:
        Unreadable: one of them is missing, or the largest is no power of two.
    """
    found = {int(match[1]) for name in sources if (match := re.match(r"synthesis\.b(\d{1,6})\.", name))}
    size = max(found, default=0)
    if size < 8 or size > LARGEST_PX or size & (size - 1):
        raise Unreadable(f"does not fit: its largest layer is {size} px, where a power of two from 8 to 4096 is due")
    due = [2**k for k in range(2, size.bit_length())]
    odd = sorted(found.symmetric_difference(due))
    if odd:
        raise Unreadable(f"does not fit: its layers of {odd[0]} px are missing or too many")
    return due


def _connections(sources: Sources, resolutions: list[int]) -> str:
    if any(re.fullmatch(r"synthesis\.b\d+\.skip\.weight", name) for name in sources):
        return "resnet"
    each = all(f"synthesis.b{r}.torgb.weight" in sources for r in resolutions)
    return "skip" if each else "orig"
