"""The first StyleGAN's public PyTorch files (`*.for_g_all.pt`): a flat state dict, the average latent beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gannotate.generators.checkpoints.arrays import ForeignArray
from gannotate.generators.checkpoints.plan import AVERAGE, Plan, Source, as_is, by_name, tensors_of, without
from gannotate.generators.checkpoints.stylegan2_plan import channel_rule, mapping_config, resolutions_of, shape
from gannotate.generators.stylegan1 import PUBLIC_NAMES

KIND = "StyleGAN (1) checkpoint in PyTorch (.pt)"
LICENCE = "the public networks of the first StyleGAN are for non-commercial use only; one's own may differ"


def looks_like(root: Any) -> bool:
    """True for a state dict with the synthesis network's tensors."""
    return isinstance(root, Mapping) and any(
        isinstance(name, str) and name.startswith("g_synthesis.blocks.") for name in root
    )


def read(root: Any) -> Plan:
    """The generator, renamed.

    Raises:
        Unreadable: its tensors are not those of a StyleGAN.
    """
    tensors = {name: array for name, array in tensors_of(root, "the file").items() if not name.endswith(".kernel")}
    sources = by_name((_ours(name), _source(name, array)) for name, array in tensors.items())
    resolutions = resolutions_of(sources)
    base, most = channel_rule({r: shape(sources, f"synthesis.b{r}.conv1.weight", 4)[0] for r in resolutions})
    mapping = mapping_config(sources)
    del mapping["label_dim"]  # it draws no classes
    config = {
        "architecture": "stylegan1",
        "size": resolutions[-1],
        "image_channels": shape(sources, "torgb.weight", 4)[0],
        **mapping,
        "channel_base": base,
        "channel_max": most,
    }
    return Plan(KIND, config, sources, missing_noise=True, missing_average=AVERAGE not in sources, licence=LICENCE)


def _ours(name: str) -> str:
    for pattern, replacement in PUBLIC_NAMES.items():
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(replacement)
    return name


def _source(name: str, array: ForeignArray) -> Source:
    return Source(name, array, without(1) if name.endswith(".const") else as_is)
