"""What the tiny datasets of these tests are, and how one is written."""

from __future__ import annotations

from pathlib import Path

from gannotate.decoders.light import LightDecoder
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.labels import make_classes
from gannotate.synthesis import DatasetConfig, write_dataset

TINY = StyleGAN2Config(size=16, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128, channel_max=16)
CLASSES = make_classes(["background", "nucleus", "cytoplasm"])
PARTS = DatasetConfig(part=8)
COUNT = 20


def write(
    folder: Path, generator: StyleGAN2, decoder: LightDecoder, config: DatasetConfig = PARTS, count: int = COUNT
) -> None:
    for _ in write_dataset(folder, generator, decoder, CLASSES, count, config=config):
        pass
