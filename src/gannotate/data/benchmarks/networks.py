"""Ready segmentation networks that label real pictures: a Hugging Face folder, or an ONNX file beside such a folder's
config.json. Weights come by path; nothing is fetched, no code of the folder is run, and no pickle is opened."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from gannotate.errors import GannotateError, UsageError
from gannotate.labels import MAX_CLASSES

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, which nearly every network was trained with; used when preprocessor_config.json does not tell."""


@runtime_checkable
class Labeller(Protocol):
    """What labels a picture with classes of its own."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of its classes, in the order of their ids; one may have several: `building;edifice`."""
        ...

    def __call__(self, picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
        """Its class ids, at the picture's size."""
        ...


@dataclass(frozen=True)
class Preparation:
    """How a network wants its pictures, as preprocessor_config.json says.

    side: width and height in px, or the shorter side alone, or None for the picture's own size. mean, deviation: of
    RGB from 0 to 1. scale: what a byte is multiplied with first.
    """

    side: tuple[int, int] | int | None
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    scale: float

    @classmethod
    def read(cls, folder: Path) -> Preparation:
        """The preparation of a Hugging Face folder; the usual one when it does not tell.

        Raises:
            GannotateError: damaged.
        """
        path = folder / "preprocessor_config.json"
        told = _json(path) if path.exists() else {}
        try:
            size = told.get("size") if told.get("do_resize", True) else None
            normalise = told.get("do_normalize", True)
            return cls(
                side=_side(size),
                mean=tuple(float(x) for x in told.get("image_mean", MEAN)) if normalise else (0.0,) * 3,
                deviation=tuple(float(x) for x in told.get("image_std", DEVIATION)) if normalise else (1.0,) * 3,
                scale=float(told.get("rescale_factor", 1 / 255)) if told.get("do_rescale", True) else 1.0,
            )
        except (TypeError, ValueError, KeyError) as error:
            raise GannotateError(f"{path} is damaged ({type(error).__name__}: {error})") from error

    def __call__(self, picture: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "1 3 H W"]:
        image = Image.fromarray(picture)
        if self.side is not None:
            if isinstance(self.side, int):
                short = min(image.size)
                width, height = (max(1, round(side * self.side / short)) for side in image.size)
            else:
                width, height = self.side
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        scaled = np.asarray(image, np.float32) * np.float32(self.scale)
        ready = (scaled - np.asarray(self.mean, np.float32)) / np.asarray(self.deviation, np.float32)
        return np.ascontiguousarray(ready.transpose(2, 0, 1)[None].astype(np.float32))


def _side(size: Any) -> tuple[int, int] | int | None:
    if isinstance(size, Mapping):
        if "shortest_edge" in size:
            return int(size["shortest_edge"])
        return int(size["width"]), int(size["height"])
    return None if size is None else (int(size), int(size))


class HuggingFaceLabeller:
    """A semantic-segmentation network of the library `transformers`: config.json and safetensors in a folder."""

    def __init__(self, folder: str | Path, device: str = "cpu") -> None:
        """Opens the network.

        Raises:
            UsageError: no such folder, not a semantic-segmentation network, or without safetensors. GannotateError:
                `transformers` is not installed, or the folder is damaged.
        """
        folder = Path(folder)
        self.labels = read_labels(folder)
        if not any(folder.glob("*.safetensors")):
            raise UsageError(
                f"{folder} has no .safetensors; other weights are pickles, which are not opened: convert them with "
                "`transformers` (save_pretrained writes safetensors)"
            )
        if importlib.util.find_spec("transformers") is None:
            raise GannotateError(
                "the package transformers is missing that Hugging Face networks need; pip install transformers, or "
                "give an ONNX file or a segmenter's folder"
            )
        from gannotate.torchvision_operators import make_importable

        make_importable()
        from transformers import AutoModelForSemanticSegmentation  # pyright: ignore[reportMissingImports]

        self.prepare, self.device = Preparation.read(folder), device
        try:
            network = AutoModelForSemanticSegmentation.from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True, trust_remote_code=False
            )
        except Exception as error:  # transformers has no error of its own for this
            reason = " ".join(str(error).split())[:200]
            raise GannotateError(f"{folder} is no semantic-segmentation network of transformers ({reason})") from error
        self.network = network.eval().to(device)

    def __call__(self, picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
        """See Labeller."""
        import torch

        with torch.inference_mode():
            ready = torch.from_numpy(self.prepare(picture)).to(self.device)
            logits = self.network(pixel_values=ready).logits.float().cpu().numpy()
        return _best(logits, picture.shape[:2], len(self.labels))


class OnnxLabeller:
    """Any network in an ONNX file: one input (1, 3, h, w), logits (1, k, h', w') or class ids (1, h', w').

    config.json beside it names the classes, preprocessor_config.json the preparation, as exports of Hugging Face
    networks have them.
    """

    def __init__(self, file: str | Path) -> None:
        """Opens the network.

        Raises:
            UsageError: no such file, no config.json beside it, or inputs of another kind. GannotateError: onnxruntime
                is not installed, or the file is damaged.
        """
        file = Path(file)
        if not file.is_file():
            raise UsageError(f"{file} does not exist; give an ONNX file")
        self.labels = read_labels(file.parent)
        if importlib.util.find_spec("onnxruntime") is None:
            raise GannotateError(
                "the package onnxruntime is missing that ONNX files need; pip install '.[export]' in gannotate's folder"
            )
        import onnxruntime

        self.prepare = Preparation.read(file.parent)
        try:
            self.session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has a dozen kinds, none of them public
            raise GannotateError(f"{file} cannot be run ({' '.join(str(error).split())[:200]})") from error
        inputs = self.session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type != "tensor(float)":
            told = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
            raise UsageError(f"{file} takes {told}; give a network that takes one float picture (1, 3, height, width)")
        self.input = inputs[0].name

    def __call__(self, picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
        """See Labeller.

        Raises:
            GannotateError: the network fails, or answers in another shape.
        """
        try:
            answer = np.asarray(self.session.run(None, {self.input: self.prepare(picture)})[0])
        except Exception as error:  # see above
            raise GannotateError(
                f"the network cannot label a picture ({' '.join(str(error).split())[:200]})"
            ) from error
        return _best(answer, picture.shape[:2], len(self.labels))


def read_labels(folder: Path) -> tuple[str, ...]:
    """Names of a network's classes, from id2label of its config.json.

    Raises:
        UsageError: no config.json, or it names no classes. GannotateError: damaged.
    """
    path = folder / "config.json"
    if not path.exists():
        raise UsageError(f"{folder} has no config.json, which names a network's classes (id2label); give one beside it")
    try:
        named = {int(index): str(name) for index, name in dict(_json(path).get("id2label") or {}).items()}
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path} does not name the network's classes (id2label, id to name)") from error
    if sorted(named) != list(range(len(named))) or not 2 <= len(named) <= MAX_CLASSES:
        raise UsageError(f"{path} names {len(named)} classes; a network that is read here has ids 0 to at most 253")
    return tuple(named[index] for index in range(len(named)))


def fingerprint(path: str | Path) -> str:
    """SHA-256 of a network's weights: of the ONNX file, or of all safetensors of the folder, by name."""
    path = Path(path)
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            for block in iter(functools.partial(opened.read, 1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise GannotateError(f"{path} cannot be read ({error})") from error
    if not isinstance(found, dict):
        raise GannotateError(f"{path} is no table of settings")
    return found


def _best(answer: np.ndarray, size: tuple[int, ...], classes: int) -> UInt8[np.ndarray, "h w"]:
    """The most probable class at every pixel of the picture: logits are brought to its size, then compared."""
    height, width = size
    if answer.ndim == 3 and answer.shape[0] == 1 and answer.dtype.kind in "iu":
        if answer.min() < 0 or answer.max() >= classes:
            raise GannotateError(f"the network answers class {int(answer.max())}, config.json names {classes}")
        ids = Image.fromarray(answer[0].astype(np.uint8)).resize((width, height), Image.Resampling.NEAREST)
        return np.asarray(ids, np.uint8)
    if answer.ndim != 4 or answer.shape[:2] != (1, classes):
        raise GannotateError(
            f"the network answers {answer.shape}; {classes} classes ask for (1, {classes}, height, width)"
        )
    import torch
    import torch.nn.functional as F

    whole = F.interpolate(torch.from_numpy(np.ascontiguousarray(answer, np.float32)), (height, width), mode="bilinear")
    return whole[0].argmax(0).to(torch.uint8).numpy()
