"""Our own generators written in the layouts of others: the inverse of what the importer does, made for the tests."""

from __future__ import annotations

import contextlib
import io
import pickle
import re
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gannotate.generators.base import Generator
from gannotate.generators.build import build_generator

FIR = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64

TINY = {"size": 16, "z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 128, "channel_max": 16}


def random_generator(architecture: str, **settings: Any) -> Generator:
    """A tiny generator none of whose tensors is at its initial zero."""
    torch.manual_seed(0)
    network = build_generator({"architecture": architecture, **TINY, **settings})
    for name, tensor in network.state_dict().items():
        if name.endswith(("noise_strength", "w_avg", "bias")):
            tensor.add_(0.2 * torch.randn_like(tensor))
        if name.endswith("magnitude_ema"):
            tensor.uniform_(0.5, 2)
    return network.eval()


def public_tensors(network: Generator) -> dict[str, Tensor]:
    """The tensors under NVIDIA's names."""
    return {name.replace(".conv.", "."): tensor for name, tensor in network.state_dict().items()}


def to_file(content: Any, zipped: bool = True) -> bytes:
    """torch's file of `content`."""
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


# --- NVIDIA's PyTorch pickles


class Persistent:
    """A module as NVIDIA's persistence writes it: its class's name, its source, and its attributes."""

    def __init__(self, class_name: str, **state: Any) -> None:
        empty: dict[str, Any] = {"_parameters": OrderedDict(), "_buffers": OrderedDict(), "_modules": OrderedDict()}
        self.state = {"training": False, "_non_persistent_buffers_set": set()} | empty | state
        self.meta = {"type": "class", "version": 6, "module_src": "raise SystemExit('compiled')"}
        self.meta |= {"class_name": class_name, "state": self.state}

    def __reduce__(self):
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (self.meta,)


@contextlib.contextmanager
def foreign_modules() -> Iterator[dict[str, type]]:
    """Loads stand-ins for the modules that foreign pickles name; gives EasyDict and Network."""
    persistence = types.ModuleType("torch_utils.persistence")

    def _reconstruct_persistent_obj(meta: object) -> None:
        raise AssertionError("ran")

    class EasyDict(dict):
        pass

    class Network:
        def __init__(self, state: Mapping[str, Any]) -> None:
            self.__dict__.update(state)

    named = {"dnnlib.util": EasyDict, "dnnlib.tflib.network": Network}
    persistence._reconstruct_persistent_obj = _reconstruct_persistent_obj  # pyright: ignore[reportAttributeAccessIssue]
    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    parents = ("torch_utils", "dnnlib", "dnnlib.tflib")
    sys.modules |= {parent: types.ModuleType(parent) for parent in parents}
    sys.modules["torch_utils.persistence"] = persistence
    for module, thing in named.items():
        thing.__module__, thing.__qualname__ = module, thing.__name__
        sys.modules[module] = types.ModuleType(module)
        setattr(sys.modules[module], thing.__name__, thing)
    try:
        yield {"EasyDict": EasyDict, "Network": Network}
    finally:
        for module in ("torch_utils.persistence", *named, *parents):
            del sys.modules[module]


def official(network: Generator, protocol: int = 4, **attributes: Any) -> bytes:
    """NVIDIA's training snapshot. `attributes` are those of every layer, of the synthesis network and of its making."""
    config: Any = network.config_dict()
    two = network.architecture == "stylegan2"
    layer = (
        {"activation": "lrelu", "act_gain": np.sqrt(2)} if two else {"in_size": np.broadcast_to(np.asarray(36), [2])}
    )
    layer |= {"conv_clamp": config["conv_clamp"]} | attributes.get("layer", {})
    root = Persistent("Generator", z_dim=network.z_dim, img_resolution=network.size, _init_kwargs={})
    for name, tensor in public_tensors(network).items():
        *path, last = name.split(".")
        module = root
        for part in path:
            module = module.state["_modules"].setdefault(part, Persistent("Part"))
        kind = "_parameters" if name in dict(_parameters(network)) else "_buffers"
        module.state[kind][last] = nn.Parameter(tensor) if kind == "_parameters" else tensor
    for module in _layers(root):
        module.state |= layer
        if two:
            module.state["_buffers"]["resample_filter"] = FIR.clone()
    synthesis = root.state["_modules"]["synthesis"]
    if not two:
        made = {key: config[key] for key in ("channel_base", "channel_max")}
        synthesis.state |= {"_init_kwargs": made, "num_critical": config["critical_layers"]}
    synthesis.state |= attributes.get("synthesis", {})
    with foreign_modules() as classes:
        settings = classes["EasyDict"](path="pictures.zip", use_labels=False)
        snapshot = {"G": root, "D": Persistent("Discriminator"), "G_ema": root, "training_set_kwargs": settings}
        return pickle.dumps(snapshot | {"augment_pipe": None}, protocol)


def _layers(module: Persistent) -> Iterator[Persistent]:
    for child in module.state["_modules"].values():
        if "affine" in child.state["_modules"]:
            yield child
        yield from _layers(child)


def _parameters(network: Generator) -> Iterator[tuple[str, Tensor]]:
    return ((name.replace(".conv.", "."), tensor) for name, tensor in network.named_parameters())


# --- NVIDIA's TensorFlow pickles

TF_LAYERS = {"conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB", "skip": "Skip"}
TF_PARTS = {"affine.weight": "mod_weight", "affine.bias": "mod_bias"}


def tensorflow(network: Generator, version: int = 4, **settings: Any) -> bytes:
    """NVIDIA's three TensorFlow networks."""
    rows: dict[str, list[tuple[str, Any]]] = {"": [], "mapping": [], "synthesis": []}
    for name, tensor in public_tensors(network).items():
        component, variable, array = _tensorflow_variable(name, tensor.numpy())
        rows[component].append((variable, array))
    with foreign_modules() as classes:

        def made(kind: str, components: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
            about = {"version": version, "name": kind, "build_module_src": "raise SystemExit", "variables": rows[kind]}
            easy = classes["EasyDict"]
            return classes["Network"](about | {"static_kwargs": easy(settings), "components": easy(components)})

        parts = {kind: made(kind, {}, {}) for kind in ("mapping", "synthesis")}
        averaged = made("", parts, {"resample_kernel": [1, 3, 3, 1], "nonlinearity": "lrelu"} | settings)
        return pickle.dumps((averaged, parts["mapping"], averaged), 4)


def _tensorflow_variable(name: str, array: np.ndarray) -> tuple[str, str, Any]:
    if name == "mapping.w_avg":
        return "", "dlatent_avg", array
    if match := re.fullmatch(r"mapping\.(fc|embed)(\d*)\.(\w+)", name):
        layer = "LabelEmbed" if match[1] == "embed" else f"Dense{match[2]}"
        return "mapping", f"{layer}/{match[3]}", array.T
    match = re.fullmatch(r"synthesis\.b(\d+)\.(.+)", name)
    assert match
    side, rest = int(match[1]), match[2]
    if rest == "const":
        return "synthesis", "4x4/Const/const", array[None]
    layer, _, part = rest.partition(".")
    if part == "noise_const":
        log2 = side.bit_length() - 1
        index = 0 if side == 4 else 2 * log2 - (5 if layer == "conv0" else 4)
        return "synthesis", f"noise{index}", array[None, None]
    if part == "weight":
        array = array.transpose(2, 3, 1, 0)
        array = array[::-1, ::-1] if layer in ("conv0", "skip") else array
    elif part == "affine.weight":
        array = array.T
    elif part == "affine.bias":
        array = array - 1
    title = "Conv" if side == 4 and layer == "conv1" else TF_LAYERS[layer]
    # TensorFlow gives variables without dimensions as NumPy's numbers
    return "synthesis", f"{side}x{side}/{title}/{TF_PARTS.get(part, part)}", array if array.ndim else array[()]


# --- rosinality, saic-vul, StyleGAN1


def _place(name: str) -> tuple[int, str, str]:
    """(number of the block, layer, rest) of a tensor of the synthesis network."""
    match = re.fullmatch(r"synthesis\.b(\d+)\.(\w+)(?:\.(.+))?", name)
    assert match
    return int(match[1]).bit_length() - 3, match[2], match[3] or ""


def rosinality(network: Generator, zipped: bool = True, **extra: Any) -> bytes:
    """rosinality's checkpoint."""
    state: dict[str, Tensor] = {}
    for name, tensor in public_tensors(network).items():
        if match := re.fullmatch(r"mapping\.fc(\d+)\.(\w+)", name):
            state[f"style.{int(match[1]) + 1}.{match[2]}"] = tensor
        elif name == "synthesis.b4.const":
            state["input.input"] = tensor[None]
        elif name != "mapping.w_avg":
            block, layer, part = _place(name)
            rgb = layer == "torgb"
            index = 2 * block - (layer == "conv0")
            prefix = f"to_rgbs.{block - 1}" if rgb else f"convs.{index - 1}"
            prefix = ("to_rgb1" if rgb else "conv1") if block == 0 else prefix
            if part == "weight":
                state[f"{prefix}.conv.weight"] = tensor[None]
            elif part == "bias":
                state[f"{prefix}.{'bias' if rgb else 'activate.bias'}"] = tensor.view(1, -1, 1, 1) if rgb else tensor
            elif part == "noise_strength":
                state[f"{prefix}.noise.weight"] = tensor.view(1)
            elif part == "noise_const":
                state[f"noises.noise_{index}"] = tensor[None, None]
            else:
                state[f"{prefix}.conv.{part.replace('affine', 'modulation')}"] = tensor
    state |= {"convs.0.conv.blur.kernel": FIR * 4, "to_rgbs.0.upsample.kernel": FIR * 4}
    average = network.state_dict()["mapping.w_avg"]
    return to_file({"g_ema": state, "latent_avg": average, **extra}, zipped)


def saic(network: Generator, zipped: bool = False) -> bytes:
    """saic-vul's checkpoint."""
    state: dict[str, Tensor] = {"upscale2x.kernel": FIR * 4}
    for name, tensor in public_tensors(network).items():
        if match := re.fullmatch(r"mapping\.fc(\d+)\.(\w+)", name):
            state[f"mapping.{2 * int(match[1]) + 1}.{match[2]}_orig"] = tensor
        elif name == "synthesis.b4.const":
            state["constant_tensor"] = tensor[None]
        elif name != "mapping.w_avg" and not name.endswith("noise_const"):
            block, layer, part = _place(name)
            number = int(layer[-1]) + 1 if layer != "torgb" else 1
            prefix = f"to_rgbs.{block}" if layer == "torgb" else f"blocks.{block}"
            part = {"weight": "weight_orig", "affine.weight": "affine.weight_orig"}.get(part, part)
            if part == "bias":
                kind = "bias1" if layer == "torgb" else f"bias_act{number}"
                state[f"{prefix}.{kind}.bias"] = tensor.view(1, -1, 1, 1) if layer == "torgb" else tensor
            elif part == "noise_strength":
                state[f"{prefix}.addnoise{number}.scale_factors"] = tensor.view(1, 1, 1, 1)
            else:
                state[f"{prefix}.conv{number}.{part}"] = tensor - 1 if part == "affine.bias" else tensor
    return to_file({"netGA": state, "latent_avg": network.state_dict()["mapping.w_avg"]}, zipped)


def stylegan1(network: Generator, zipped: bool = False) -> bytes:
    """A public StyleGAN (1) file."""
    state: dict[str, Tensor] = {}
    for name, tensor in network.state_dict().items():
        if match := re.fullmatch(r"mapping\.fc(\d+)\.(\w+)", name):
            state[f"g_mapping.dense{match[1]}.{match[2]}"] = tensor
        elif name.startswith("torgb"):
            state[f"g_synthesis.{name}"] = tensor
        elif name != "mapping.w_avg" and not name.endswith("noise_const"):
            block, layer, part = _place(name)
            side, number = 4 << block, int(layer[-1]) + 1
            prefix = f"g_synthesis.blocks.{side}x{side}"
            if part == "noise_strength":
                state[f"{prefix}.epi{number}.top_epi.noise.weight"] = tensor
            elif part.startswith("affine"):
                state[f"{prefix}.epi{number}.style_mod.lin.{part[7:]}"] = tensor
            elif block == 0 and layer == "conv0":
                state[f"{prefix}.{part}"] = tensor[None] if part == "const" else tensor
            else:
                title = "conv" if block == 0 else ("conv0_up" if layer == "conv0" else "conv1")
                state[f"{prefix}.{title}.{part}"] = tensor
    state["g_synthesis.blocks.8x8.conv0_up.intermediate.kernel"] = torch.ones(1, 1, 3, 3)
    return to_file(OrderedDict(state), zipped)
