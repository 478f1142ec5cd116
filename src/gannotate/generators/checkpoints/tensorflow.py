"""StyleGAN2's first networks, pickled by TensorFlow code: (G, D, Gs), each with its variables by name.

Dense layers are stored transposed, convolutions as (h, w, inputs, outputs); upsampling ones run the other way round
than PyTorch's; the style layers add 1 to their bias when they draw.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gannotate.generators.checkpoints.arrays import as_array, scalar_array
from gannotate.generators.checkpoints.plan import (
    MOST_TENSORS,
    Plan,
    Rule,
    Source,
    as_is,
    by_name,
    channels_first,
    channels_first_flipped,
    clamp_value,
    renamed,
    transposed,
    without,
)
from gannotate.generators.checkpoints.stream import Holder, Unreadable, damaged, shown
from gannotate.generators.checkpoints.stylegan2_plan import stylegan2_plan

KIND = "StyleGAN2 network of NVIDIA's TensorFlow code (.pkl)"
LICENCE = "NVIDIA's code and its public networks are for non-commercial use only; a network of one's own may differ"

OLDEST_VERSION = 4
"""Of a TensorFlow network's pickle; StyleGAN2's have this or a later one."""

MOST_PARTS = 100
"""Networks inside one another; a generator has two."""

EXPECTED = {
    "mapping_nonlinearity": ("lrelu",),
    "nonlinearity": ("lrelu",),
    "mapping_lrmul": (0.01,),
    "resample_kernel": ([1, 3, 3, 1], (1, 3, 3, 1)),
    "use_noise": (True,),
}
"""Settings that are not seen in the tensors, and the values that are drawn here."""

UNUSED = re.compile(r"(synthesis/)?lod")


def looks_like(root: Any) -> bool:
    """True for the three networks of a TensorFlow training."""
    return isinstance(root, tuple | list) and len(root) == 3 and all(_is_network(item) for item in root)


def read(root: Any) -> Plan:
    """The averaged generator Gs, renamed.

    Raises:
        Unreadable: older than StyleGAN2, unusual, or with tensors that are not those of a StyleGAN2.
    """
    network = root[2]
    version = network.attribute("version")
    if not isinstance(version, int) or version < OLDEST_VERSION:
        raise Unreadable(
            f"is not supported: its TensorFlow network has version {shown(version)}, and StyleGAN2's have "
            f"{OLDEST_VERSION} or later; of the first StyleGAN, give the PyTorch file (.pt) with --average-latent"
        )
    settings = network.attribute("static_kwargs")
    settings = settings if isinstance(settings, Mapping) else {}
    for name, accepted in EXPECTED.items():
        if settings.get(name) is not None and settings[name] not in accepted:
            raise Unreadable(f"is not supported: its setting {name} is {shown(settings[name])}, not {accepted[0]}")
    variables = _variables(network)
    largest = max((int(m[1]) for name in variables if (m := re.match(r"synthesis/(\d{1,6})x", name))), default=0)
    named = [(_modern(name, largest), source) for name, source in variables.items()]
    sources = by_name((renamed(name, RULES), _changed(name, source)) for name, source in named)
    return stylegan2_plan(KIND, sources, clamp_value(settings.get("conv_clamp")), licence=LICENCE)


def _is_network(item: Any) -> bool:
    return isinstance(item, Holder) and item.name == "Network"


def _variables(network: Holder) -> dict[str, Source]:
    """Every variable of the network and its components, as `mapping/Dense0/weight`."""
    waiting, parts = [("", network)], 0
    found: list[tuple[str, Source]] = []
    while waiting:
        prefix, part = waiting.pop()
        parts += 1
        components = part.attribute("components")
        components = components if isinstance(components, Mapping) else {}
        if parts + len(waiting) + len(components) > MOST_PARTS:
            raise damaged("its TensorFlow networks hold one another without end")
        for name, component in components.items():
            if not isinstance(name, str) or not _is_network(component):
                raise Unreadable(f"does not fit: {shown(name)} in its TensorFlow network is no network")
            waiting.append((f"{prefix}{name}/", component))
        found += _own_variables(prefix, part)
    return by_name(found)


def _own_variables(prefix: str, part: Holder) -> list[tuple[str, Source]]:
    rows = part.attribute("variables")
    if not isinstance(rows, list) or len(rows) > MOST_TENSORS:
        raise Unreadable("does not fit: its TensorFlow network has no list of variables")
    found = []
    for row in rows:
        name, value = row if isinstance(row, tuple | list) and len(row) == 2 else (None, None)
        array = scalar_array(value) if isinstance(value, float) else as_array(value)
        if not isinstance(name, str) or array is None:
            raise Unreadable(f"does not fit: {shown(name)} among its TensorFlow variables is no named array")
        if not UNUSED.fullmatch(prefix + name):
            found.append((prefix + name, Source(prefix + name, array)))
    return found


def _modern(name: str, largest: int) -> str:
    """Some networks count their layers to RGB from the largest picture downwards."""
    match = re.fullmatch(r"synthesis/ToRGB_lod(\d{1,2})/(.*)", name)
    if not match:
        return name
    side = largest >> int(match[1])
    return f"synthesis/{side}x{side}/ToRGB/{match[2]}"


def _changed(name: str, source: Source) -> Source:
    if name.endswith("mod_bias"):
        return Source(source.name, source.array, as_is, plus=1.0)
    return Source(source.name, source.array, _change(name))


def _change(name: str) -> Callable[[np.ndarray], np.ndarray]:
    if name.endswith("Const/const"):
        return without(1)
    if re.fullmatch(r"synthesis/noise\d+", name):
        return without(2)
    if name.endswith("mod_weight") or (name.startswith("mapping/") and name.endswith("weight")):
        return transposed
    if name.endswith(("Conv0_up/weight", "Skip/weight")):
        return channels_first_flipped
    return channels_first if name.endswith("weight") else as_is


def _noise_layer(number: str) -> str:
    index = int(number)
    if index == 0:
        return "synthesis.b4.conv1.noise_const"
    return f"synthesis.b{2 ** ((index + 5) // 2)}.conv{(index + 1) % 2}.noise_const"


LAYERS = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb", "Skip": "skip"}
PARTS = {
    "weight": "weight",
    "bias": "bias",
    "noise_strength": "noise_strength",
    "mod_weight": "affine.weight",
    "mod_bias": "affine.bias",
}

RULES: tuple[Rule, ...] = (
    (r"dlatent_avg", lambda: "mapping.w_avg"),
    (r"mapping/Dense(\d{1,3})/(weight|bias)", lambda n, part: f"mapping.fc{int(n)}.{part}"),
    (r"mapping/LabelEmbed/(weight|bias)", lambda part: f"mapping.embed.{part}"),
    (r"synthesis/4x4/Const/const", lambda: "synthesis.b4.const"),
    (r"synthesis/noise(\d{1,2})", _noise_layer),
    (
        rf"synthesis/(\d{{1,6}})x\d+/({'|'.join(LAYERS)})/({'|'.join(PARTS)})",
        lambda side, layer, part: f"synthesis.b{side}.{LAYERS[layer]}.{PARTS[part]}",
    ),
)
"""Their names -> NVIDIA's PyTorch names."""
