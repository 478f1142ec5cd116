"""Makes torchvision importable beside a torch that its compiled operators were not built for.

The registry's Linux builds of torchvision are for CUDA. Beside a CPU-only torch their library of operators (nms,
roi_align, ...) does not load, and `import torchvision`, hence timm and segmentation-models-pytorch, fails on the first
operator that it wants to describe. The networks here use none of them, so it is enough that the names exist; calling
one still fails with torchvision's own sentence.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import torch

OPERATORS = (
    "nms", "qnms", "roi_align", "qroi_align", "_roi_align_backward", "ps_roi_align", "_ps_roi_align_backward",
    "roi_pool", "_roi_pool_backward", "ps_roi_pool", "_ps_roi_pool_backward", "deform_conv2d",
    "_deform_conv2d_backward",
)  # fmt: skip
"""The operators of torchvision's compiled library."""

_declared: list[torch.library.Library] = []  # the declarations live as long as these objects


@functools.cache
def make_importable() -> bool:
    """Call before the first import of torchvision. True: its operators work; False: only their names exist."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    try:
        for path in Path(spec.origin).parent.glob("_C.*"):
            torch.ops.load_library(str(path))
        return hasattr(torch.ops.torchvision, "nms")
    except OSError:
        pass
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}() -> ()")
    _declared.append(library)
    return False
