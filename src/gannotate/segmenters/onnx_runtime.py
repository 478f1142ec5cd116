"""A segmenter in an ONNX file, run by ONNX Runtime: the same interface as `Segmenter`, without its network's code."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from gannotate.errors import GannotateError, UsageError, newer_format
from gannotate.parsing import DAMAGED, load_json
from gannotate.segmenters.build import SegmenterConfig, config_of
from gannotate.segmenters.predict import Predictor, as_image

FORMAT_VERSION = 1


class OnnxSegmenter(Predictor):
    """An exported segmenter. `metadata` is what the file says of itself, see `gannotate.segmenters.export`."""

    def __init__(self, model: str | bytes, name: str, threads: int | None = None) -> None:
        need_packages("onnxruntime")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has a dozen kinds, none of them public
            reason = " ".join(str(error).split())[:200]
            raise GannotateError(
                f"{name} cannot be run ({reason}); it is damaged or no ONNX file: export it again"
            ) from error
        self.metadata: dict[str, str] = dict(self.session.get_modelmeta().custom_metadata_map)
        self.config = _config(self.metadata, name)

    @classmethod
    def load(cls, path: str | Path, threads: int | None = None) -> OnnxSegmenter:
        """The segmenter in an .onnx file that `gannotate export` wrote; `threads` is all cores when not given.

        Raises:
            UsageError: no such file, or not one of ours. GannotateError: damaged, of a newer version, or the package
                onnxruntime is missing.
        """
        if not Path(path).is_file():
            raise UsageError(f"{path} does not exist; write one with `gannotate export PROJECT --out FILE.onnx`")
        return cls(str(path), str(path), threads)

    def answers(self, batch: np.ndarray | Sequence[np.ndarray], scale: float) -> Iterator[np.ndarray]:
        """See Predictor.

        Raises:
            UsageError: a scale other than 1; the file holds one size.
        """
        if scale != 1:
            raise UsageError(
                f"an exported segmenter sees pictures at {self.config.size} px only, not at {scale:g} times that; use "
                "the segmenter's folder for several scales"
            )
        channels = self.config.image_channels
        converted = (
            picture if picture.shape[2] == channels else _reshaped(as_image(picture, channels)) for picture in batch
        )
        for _, alike in groupby(converted, key=lambda picture: picture.shape):
            (found,) = self.session.run(["probabilities"], {"pictures": np.stack(list(alike))})
            yield from np.asarray(found)


def need_packages(*names: str) -> None:
    """Checks that packages of the extra `export` are installed.

    Raises:
        GannotateError: one is not; says what to type.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        are = "package is" if len(missing) == 1 else "packages are"
        raise GannotateError(
            f"the {are} missing that ONNX files need ({', '.join(missing)}); pip install '.[export]' in gannotate's "
            "folder"
        )


def _reshaped(image: Any) -> np.ndarray:
    array = np.asarray(image, np.uint8)
    return array.reshape(*array.shape[:2], -1)


def _config(metadata: dict[str, str], name: str) -> SegmenterConfig:
    if "segmenter" not in metadata:
        raise UsageError(f"{name} was not written by `gannotate export`: it does not say what its classes are")
    try:
        version, settings = int(metadata["format_version"]), load_json(metadata["segmenter"])
    except DAMAGED as error:
        raise GannotateError(f"the metadata of {name} are damaged ({error}); export the segmenter again") from error
    if version > FORMAT_VERSION:
        raise newer_format(name, version, FORMAT_VERSION)
    return config_of(settings, Path(name))
