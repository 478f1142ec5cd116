"""Writes tests/golden/generators.npz: what the official code of the StyleGANs draws with the weights of recipe.py.

    python tools/make_golden_generators.py --stylegan1 DIR --stylegan2 DIR --stylegan3 DIR
    python tools/make_golden_generators.py ... --compare '{"architecture": "stylegan3", "size": 256}'

The folders are checkouts of nv-tlabs/datasetGAN_release (its models/stylegan1.py), NVlabs/stylegan2-ada-pytorch and
NVlabs/stylegan3, at the commits 588c5e9, d72cc7d and c233a91. Their licences do not let them ship here; only numbers
that they put out are kept. Everything runs on a CPU with their reference operators. With --compare nothing is written:
the picture and all taps of both codes are compared for that network, in one json line.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from packaging.version import Version

from gannotate.generators.base import Generator
from gannotate.generators.build import build_generator
from gannotate.generators.stylegan1 import PUBLIC_NAMES, StyleGAN1
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.generators.stylegan3 import StyleGAN3

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "golden"))
import recipe

GOLDEN = Path(recipe.__file__).with_name("generators.npz")

Draw = Callable[[torch.Tensor, torch.Tensor | None], tuple[torch.Tensor, dict[str, torch.Tensor]]]
"""z, labels -> picture and taps (under our names), truncated as recipe.py says."""


def official_module(folder: Path, name: str) -> Any:
    """Imports `name` from a checkout; the checkouts share package names, so what they loaded before is forgotten."""
    for loaded in list(sys.modules):
        if loaded.split(".")[0] in ("models", "training", "torch_utils", "dnnlib"):
            del sys.modules[loaded]
    sys.modules.setdefault("requests", types.ModuleType("requests"))  # only used for downloads
    resources = sys.modules.setdefault("pkg_resources", types.ModuleType("pkg_resources"))
    resources.__dict__.setdefault("parse_version", Version)  # only asked for PyTorch's version
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))


def our_name(official: str, architecture: str) -> str | None:
    """Our name of an official tensor; None for filters that we do not store."""
    if architecture == "stylegan1":
        found = [re.sub(f"^{old}$", new, official) for old, new in PUBLIC_NAMES.items() if re.fullmatch(old, official)]
        return found[0] if found else None
    if architecture == "stylegan2":
        if official.endswith("resample_filter"):
            return None
        return re.sub(r"\.(conv[01]|torgb)\.(affine|weight)", r".\1.conv.\2", official)
    return official


def fill_official(network: torch.nn.Module, architecture: str) -> None:
    """Gives an official network the weights of recipe.py, after our names."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            ours = our_name(name, architecture)
            if ours is not None and recipe.is_made(ours):
                shape = tuple(tensor.shape[1:]) if name.endswith("4x4.const") else tuple(tensor.shape)
                tensor.copy_(recipe.tensor_of(ours, shape).reshape(tensor.shape))


def hooked(modules: dict[str, torch.nn.Module]) -> dict[str, torch.Tensor]:
    """A dict that fills with the outputs of `modules` when they run; of a pair the first."""
    outputs: dict[str, torch.Tensor] = {}

    def keep(name: str, output: Any) -> None:
        outputs[name] = output[0] if isinstance(output, tuple) else output

    for name, module in modules.items():
        module.register_forward_hook(lambda _module, _inputs, output, name=name: keep(name, output))
    return outputs


def official_stylegan1(folder: Path, ours: StyleGAN1) -> Draw:
    module, config = official_module(folder, "models.stylegan1"), ours.config
    synthesis = module.G_synthesis(
        config.w_dim,
        config.image_channels,
        config.size,
        fmap_base=config.channel_base // 2,
        fmap_max=config.channel_max,
    ).eval()
    network = torch.nn.ModuleDict({"g_mapping": module.G_mapping(), "g_synthesis": synthesis})
    fill_official(network, "stylegan1")
    average = recipe.tensor_of("mapping.w_avg", (config.w_dim,))
    truncation = module.Truncation(average, "cpu", max_layer=recipe.CUTOFF, threshold=recipe.PSI)
    for resolution, block in zip(config.resolutions, synthesis.blocks.values(), strict=True):
        for layer, end in (("conv0", block.epi1), ("conv1", block.epi2)):
            name = f"synthesis.b{resolution}.{layer}.noise_const"
            end.top_epi.noise.noise = recipe.tensor_of(name, (resolution, resolution))[None, None]

    def draw(z: torch.Tensor, labels: torch.Tensor | None) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        picture, taps = synthesis(truncation(network["g_mapping"](z)))
        # the official list goes (styled, raw) for each resolution
        names = [f"b{r}.{name}" for r in config.resolutions for name in ("style1", "conv1")]
        return picture, dict(zip(names, taps, strict=True))

    return draw


def official_stylegan2(folder: Path, ours: StyleGAN2) -> Draw:
    config = ours.config
    network = official_module(folder, "training.networks").Generator(
        config.z_dim,
        config.label_dim,
        config.w_dim,
        config.size,
        config.image_channels,
        mapping_kwargs={"num_layers": config.mapping_layers},
        synthesis_kwargs={
            "channel_base": config.channel_base,
            "channel_max": config.channel_max,
            "conv_clamp": config.conv_clamp,
            "architecture": config.connections,
        },
    )
    fill_official(network.eval(), "stylegan2")
    modules = {tap.name: network.synthesis.get_submodule(tap.name) for tap in ours.taps}
    if config.connections == "resnet":  # our conv1 taps are the blocks' outputs
        modules |= {name: network.synthesis.get_submodule(name.split(".")[0]) for name in modules if "conv1" in name}
    taps = hooked(modules)

    def draw(z: torch.Tensor, labels: torch.Tensor | None) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        truncation = {"truncation_psi": recipe.PSI, "truncation_cutoff": recipe.CUTOFF}
        return network(z, labels, noise_mode="const", **truncation), taps

    return draw


def official_stylegan3(folder: Path, ours: StyleGAN3) -> Draw:
    config = ours.config
    network = official_module(folder, "training.networks_stylegan3").Generator(
        config.z_dim,
        config.label_dim,
        config.w_dim,
        config.size,
        config.image_channels,
        mapping_kwargs={"num_layers": config.mapping_layers},
        channel_base=config.channel_base,
        channel_max=config.channel_max,
        conv_kernel=config.kernel,
        use_radial_filters=config.radial,
        conv_clamp=config.conv_clamp,
        num_layers=config.layers,
        num_critical=config.critical_layers,
        margin_size=config.margin,
        output_scale=config.output_scale,
    )
    fill_official(network.eval(), "stylegan3")
    whole = hooked({tap.name: network.synthesis.get_submodule(tap.name) for tap in ours.taps})

    def draw(z: torch.Tensor, labels: torch.Tensor | None) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        picture = network(z, labels, truncation_psi=recipe.PSI, truncation_cutoff=recipe.CUTOFF)
        taps = {}
        for tap in ours.taps:
            margin = (whole[tap.name].shape[-1] - tap.width) // 2
            inside = slice(margin, margin + tap.width)
            taps[tap.name] = whole[tap.name][:, :, inside, inside]
        return picture, taps

    return draw


def official(ours: Generator, folders: dict[str, Path]) -> Draw:
    """The official network of the same shape and weights."""
    if isinstance(ours, StyleGAN1):
        return official_stylegan1(folders["stylegan1"], ours)
    if isinstance(ours, StyleGAN2):
        return official_stylegan2(folders["stylegan2"], ours)
    assert isinstance(ours, StyleGAN3)
    return official_stylegan3(folders["stylegan3"], ours)


@torch.inference_mode()
def compare(config: dict[str, Any], folders: dict[str, Path]) -> dict[str, Any]:
    """Largest difference of the picture over its range, of every tap over its largest value; seconds of both."""
    ours = build_generator(config)
    recipe.fill(ours.eval())
    z, labels = ours.latents([recipe.SEED]), ours.labels_of(recipe.LABEL if ours.label_dim else None, 1)
    draw = official(ours, folders)
    started = time.process_time()
    picture, taps = draw(z, labels)
    middle = time.process_time()
    w = ours.map(z, psi=recipe.PSI, cutoff=recipe.CUTOFF, labels=labels)
    drawing = ours.synthesize(w, taps=[tap.name for tap in ours.taps])
    ended = time.process_time()
    relative = {
        name: float((tap - taps[name]).abs().max() / taps[name].abs().max()) for name, tap in drawing.taps.items()
    }
    worst = max(relative, key=lambda name: relative[name])
    scale = float(picture.abs().max())
    return {
        **config,
        "picture_largest": scale,
        "picture_difference": float((drawing.picture - picture).abs().max()),
        "picture_difference_in_range_1": float((drawing.picture - picture).abs().max()) / scale,
        "worst_tap": worst,
        "worst_tap_difference": relative[worst],
        "cpu_s_official": round(middle - started, 2),
        "cpu_s_ours": round(ended - middle, 2),
    }


@torch.inference_mode()
def golden(folders: dict[str, Path]) -> dict[str, np.ndarray]:
    """The stored part of every case's picture and taps, drawn by the official code: `CASE/picture`, `CASE/TAP`."""
    arrays = {}
    for case, config in recipe.CASES.items():
        ours = build_generator(config)
        z, labels = ours.latents([recipe.SEED]), ours.labels_of(recipe.LABEL if ours.label_dim else None, 1)
        picture, taps = official(ours, folders)(z, labels)
        arrays[f"{case}/picture"] = recipe.kept(picture)
        arrays |= {f"{case}/{tap.name}": recipe.kept(taps[tap.name]) for tap in ours.taps}
    return arrays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("stylegan1", "stylegan2", "stylegan3"):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="DIR", help=f"official checkout of {name}")
    parser.add_argument("--compare", type=json.loads, metavar="JSON", help="compare this network, write nothing")
    options = parser.parse_args()
    folders = {name: getattr(options, name) for name in ("stylegan1", "stylegan2", "stylegan3")}
    if options.compare is not None:
        print(json.dumps(compare(options.compare, folders)))
        return
    np.savez_compressed(GOLDEN, allow_pickle=False, **golden(folders))


if __name__ == "__main__":
    main()
