"""From a folder of unlabelled pictures and a handful of labels to a segmentation model you can ship.

The names below are the public Python interface (docs/python.md). They are loaded when first asked for, so that
`import gannotate` stays quick and does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gannotate.data.labelled import LabelledSet, read_labelled
    from gannotate.data.shards import read_dataset
    from gannotate.decoders.base import Decoder
    from gannotate.decoders.build import load_decoder
    from gannotate.decoders.cnn import CNNConfig
    from gannotate.decoders.ensemble import EnsembleConfig
    from gannotate.decoders.fpn import FPNConfig
    from gannotate.decoders.light import LightConfig
    from gannotate.decoders.linear import LinearConfig
    from gannotate.decoders.mlp import MLPConfig
    from gannotate.errors import GannotateError, UsageError
    from gannotate.fitting.config import FitConfig, scheduled
    from gannotate.fitting.fit import fit
    from gannotate.fitting.shot import Shot
    from gannotate.generators.base import DrawOptions, Generator, draw
    from gannotate.generators.build import load_generator
    from gannotate.inversion.projector import InversionConfig, invert
    from gannotate.labels import ClassInfo, read_label_map, write_label_map
    from gannotate.project import Project
    from gannotate.segmenters.build import SegmenterConfig
    from gannotate.segmenters.loading import load_predictor
    from gannotate.segmenters.onnx_runtime import OnnxSegmenter
    from gannotate.segmenters.predict import Segmenter
    from gannotate.segmenters.supervised import SegmenterTraining, train_segmenter
    from gannotate.segmenters.tiling import View
    from gannotate.synthesis import DatasetConfig, annotate_seeds, write_dataset

__version__ = "0.1.0"

_ROOMS = {
    "data.labelled": ("LabelledSet", "read_labelled"),
    "data.shards": ("read_dataset",),
    "decoders.base": ("Decoder",),
    "decoders.build": ("load_decoder",),
    "decoders.cnn": ("CNNConfig",),
    "decoders.ensemble": ("EnsembleConfig",),
    "decoders.fpn": ("FPNConfig",),
    "decoders.light": ("LightConfig",),
    "decoders.linear": ("LinearConfig",),
    "decoders.mlp": ("MLPConfig",),
    "errors": ("GannotateError", "UsageError"),
    "fitting.config": ("FitConfig", "scheduled"),
    "fitting.fit": ("fit",),
    "fitting.shot": ("Shot",),
    "generators.base": ("DrawOptions", "Generator", "draw"),
    "generators.build": ("load_generator",),
    "inversion.projector": ("InversionConfig", "invert"),
    "labels": ("ClassInfo", "read_label_map", "write_label_map"),
    "project": ("Project",),
    "segmenters.build": ("SegmenterConfig",),
    "segmenters.loading": ("load_predictor",),
    "segmenters.onnx_runtime": ("OnnxSegmenter",),
    "segmenters.predict": ("Segmenter",),
    "segmenters.supervised": ("SegmenterTraining", "train_segmenter"),
    "segmenters.tiling": ("View",),
    "synthesis": ("DatasetConfig", "annotate_seeds", "write_dataset"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "CNNConfig",
    "ClassInfo",
    "DatasetConfig",
    "Decoder",
    "DrawOptions",
    "EnsembleConfig",
    "FPNConfig",
    "FitConfig",
    "GannotateError",
    "Generator",
    "InversionConfig",
    "LabelledSet",
    "LightConfig",
    "LinearConfig",
    "MLPConfig",
    "OnnxSegmenter",
    "Project",
    "Segmenter",
    "SegmenterConfig",
    "SegmenterTraining",
    "Shot",
    "UsageError",
    "View",
    "annotate_seeds",
    "draw",
    "fit",
    "invert",
    "load_decoder",
    "load_generator",
    "load_predictor",
    "read_dataset",
    "read_label_map",
    "read_labelled",
    "scheduled",
    "train_segmenter",
    "write_dataset",
    "write_label_map",
]


def __getattr__(name: str) -> Any:
    """Loads a public name from its room, once (PEP 562)."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
