"""Folders of our own models, checkpoints of trainings, exported networks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from bench.fuzz.target import Target, put
from gannotate.decoders.build import load_decoder, save_decoder
from gannotate.decoders.light import LightDecoder
from gannotate.generators.adversarial.discriminator import load_discriminator
from gannotate.generators.build import load_generator, save_generator
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.segmenters.build import SegmenterConfig, build_network, save_segmenter
from gannotate.segmenters.loading import load_predictor
from gannotate.segmenters.onnx_runtime import OnnxSegmenter
from gannotate.training.checkpoint import load_checkpoint, save_checkpoint

GENERATOR = StyleGAN2Config(size=8, z_dim=4, w_dim=4, mapping_layers=1, channel_base=32, channel_max=4)
SEGMENTER = SegmenterConfig(classes=2, image_channels=3, size=8, architecture="unet", depth=3, decoder_width=4)


def void(value: object) -> None:
    """Drops a value."""


def checkpoint(folder: Path) -> Target:
    """Checkpoints of trainings."""
    save_checkpoint(folder / "whole.safetensors", {"step": 3, "state": {"w": torch.zeros(2, 3)}, 1: [None, True, "x"]})
    return Target(
        about="training.checkpoint.load_checkpoint",
        seeds={"c.safetensors": [(folder / "whole.safetensors").read_bytes()]},
        read=lambda kind, data: load_checkpoint(put(folder, kind, data)),
    )


def generators(folder: Path) -> Target:
    """Folders of generators and of decoders."""
    network = StyleGAN2(GENERATOR)
    save_generator(folder / "generator", network)
    save_decoder(folder / "decoder", LightDecoder.of_generator(network, 3))
    readers: dict[str, Callable[[Path], object]] = {"generator": load_generator, "decoder": load_decoder}
    names = [f"{kind}/{file}" for kind in readers for file in ("config.json", "model.safetensors")]
    return _folders(folder, names, readers, "generators.build.load_generator, decoders.build.load_decoder")


def segmenters(folder: Path) -> Target:
    """Folders of segmenters."""
    torch.manual_seed(0)
    save_segmenter(folder / "segmenter", build_network(SEGMENTER), SEGMENTER)
    readers: dict[str, Callable[[Path], object]] = {"segmenter": load_predictor}
    names = ["segmenter/config.json", "segmenter/model.safetensors"]
    return _folders(folder, names, readers, "segmenters.loading.load_predictor")


def _folders(folder: Path, names: list[str], readers: dict[str, Callable[[Path], object]], about: str) -> Target:
    whole = {name: (folder / name).read_bytes() for name in names}

    def read(kind: str, data: bytes) -> None:
        put(folder, kind, data)
        try:
            where = kind.partition("/")[0]
            void(readers[where](folder / where))
            void(load_discriminator(folder / where))
        finally:
            put(folder, kind, whole[kind])

    return Target(about=about, seeds={name: [data] for name, data in whole.items()}, read=read)


def exported(folder: Path) -> Target:
    """Networks in ONNX files, opened and asked once."""
    import numpy as np

    from gannotate.segmenters.export import to_onnx

    torch.manual_seed(0)
    save_segmenter(folder / "made", build_network(SEGMENTER), SEGMENTER)
    data = to_onnx(folder / "made", {})
    shutil.rmtree(folder / "made")

    def read(kind: str, data: bytes) -> None:
        segmenter = OnnxSegmenter.load(put(folder, kind, data), threads=1)
        void(segmenter.predict([np.zeros((8, 8, 3), np.uint8)]))

    return Target(about="segmenters.onnx_runtime.OnnxSegmenter", seeds={"a.onnx": [data]}, read=read)


TARGETS = {"training": checkpoint, "models": generators, "segmenter": segmenters, "onnx": exported}
