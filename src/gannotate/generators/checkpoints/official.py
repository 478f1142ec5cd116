"""NVIDIA's PyTorch pickles (stylegan2-ada-pytorch, stylegan3): {"G", "D", "G_ema", "training_set_kwargs", ...}.

A network in them carries its own source text, which NVIDIA's loader runs. Here that text is left unread: the modules'
parameters and a few attributes are all that a network is made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gannotate.generators.checkpoints.arrays import as_array
from gannotate.generators.checkpoints.plan import MOST_TENSORS, Plan, Source, by_name, clamp_value
from gannotate.generators.checkpoints.stream import Holder, Unreadable, damaged, shown
from gannotate.generators.checkpoints.stylegan2_plan import drop_filters, stylegan2_plan
from gannotate.generators.checkpoints.stylegan3_plan import is_stylegan3, stylegan3_plan

KIND = "StyleGAN2 network of NVIDIA's PyTorch code (.pkl)"
LICENCE = "NVIDIA's code and its public networks are for non-commercial use only; a network of one's own may differ"

MOST_MODULES = 10_000
DEEPEST = 16


def looks_like(root: Any) -> bool:
    """True for a training snapshot with the averaged generator."""
    return isinstance(root, Mapping) and isinstance(root.get("G_ema"), Holder)


def read(root: Any) -> Plan:
    """The averaged generator, renamed.

    Raises:
        Unreadable: it is unusual, or its tensors are those of no StyleGAN.
    """
    modules = dict(modules_of(root["G_ema"]))
    sources = by_name(item for path, module in modules.items() for item in _tensors(path, module))
    _check_mapping(modules)
    if is_stylegan3(sources):
        return stylegan3_plan(sources, modules, LICENCE)
    for path, module in modules.items():
        activation = module.attribute("activation", "lrelu")  # old files do not say it
        if path.rpartition(".")[2] in ("conv0", "conv1") and activation != "lrelu":
            raise Unreadable(f"is not supported: {shown(path)} has the activation {shown(activation)}, not lrelu")
    # a filter is kept by every layer and, where there is no layer that needs it, by the block
    sources = drop_filters(sources, (".resample_filter",))
    return stylegan2_plan(KIND, sources, clamp_of(modules), licence=LICENCE)


def modules_of(holder: Holder) -> Iterator[tuple[str, Holder]]:
    """(path, module) of a network and every module in it, the network itself as ''.

    Raises:
        Unreadable: endless, or with something in it that is no module.
    """
    waiting, count = [("", holder, 0)], 0
    while waiting:
        path, module, depth = waiting.pop()
        count += 1
        yield path, module
        children = module.attribute("_modules", {})
        if not isinstance(children, Mapping):
            raise damaged(f"the modules of {shown(path) or 'the network'} are no dictionary")
        if depth > DEEPEST or count + len(waiting) + len(children) > MOST_MODULES:
            raise damaged("its modules hold one another without end")
        for name, child in children.items():
            if not isinstance(name, str) or not isinstance(child, Holder):
                raise damaged(f"{shown(name)} in {shown(path) or 'the network'} is no module")
            waiting.append((f"{path}.{name}" if path else name, child, depth + 1))


def clamp_of(modules: Mapping[str, Holder]) -> float | None:
    """What the layers' outputs are clamped to; None when they are not, as in old files.

    Raises:
        Unreadable: the layers differ, or it is no number.
    """
    layers = [m for path, m in modules.items() if path.startswith("synthesis.") and "affine" in _children(m)]
    clamps = {clamp_value(layer.attribute("conv_clamp")) for layer in layers}
    if len(clamps) > 1:
        raise Unreadable("is not supported: its layers are clamped to different values (conv_clamp)")
    return clamps.pop() if clamps else None


def _children(module: Holder) -> Mapping[str, Any]:
    children = module.attribute("_modules", {})
    return children if isinstance(children, Mapping) else {}


def _tensors(path: str, module: Holder) -> Iterator[tuple[str, Source]]:
    for part in ("_parameters", "_buffers"):
        rows = module.attribute(part, {})
        if not isinstance(rows, Mapping) or len(rows) > MOST_TENSORS:
            raise damaged(f"the tensors of {shown(path) or 'the network'} are no dictionary")
        for name, value in rows.items():
            if value is None:
                continue
            array = as_array(value)
            if not isinstance(name, str) or array is None:
                raise damaged(f"{shown(name)} in {shown(path) or 'the network'} is no tensor")
            full = f"{path}.{name}" if path else name
            yield full, Source(full, array)


def _check_mapping(modules: Mapping[str, Holder]) -> None:
    first = modules.get("mapping.fc0")
    gain = 0.01 if first is None else first.attribute("bias_gain", 0.01)
    if not isinstance(gain, int | float) or abs(gain - 0.01) > 1e-6:
        raise Unreadable(f"is not supported: its mapping's lr_multiplier is {shown(gain)}, not 0.01")
