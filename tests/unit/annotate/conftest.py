"""A project of a tiny generator whose truth lies in one activation, and a label map of each pool picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gannotate.annotate.store import Store
from gannotate.generators.base import draw, to_uint8
from gannotate.generators.build import save_generator
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.project import PoolPicture, Project
from gannotate.project_config import ClassEntry, GeneratorEntry, MirrorEntry, ProjectConfig

SIZE, POOL = 16, 6

Truth = Callable[[int], np.ndarray]


@pytest.fixture(scope="session")
def tiny() -> StyleGAN2:
    torch.manual_seed(1)
    config = StyleGAN2Config(size=SIZE, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128, channel_max=16)
    return StyleGAN2(config).eval().requires_grad_(False)


@pytest.fixture(scope="session")
def generator_folder(tiny: StyleGAN2, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "generator"
    save_generator(folder, tiny)
    return folder


@pytest.fixture(scope="session")
def drawn(tiny: StyleGAN2) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """By seed: the picture, and a label map (0, 1) that is linear in the taps."""
    found = {}
    for seed, drawing in draw(tiny, range(POOL), taps=["b16.conv1"]):
        found[seed] = to_uint8(drawing.picture)[0], (drawing.taps["b16.conv1"][0, 0] > 0).byte().numpy()
    return found


@pytest.fixture(scope="session")
def truth(drawn: dict[int, tuple[np.ndarray, np.ndarray]]) -> Truth:
    return lambda seed: drawn[seed][1].copy()


@pytest.fixture
def project(tmp_path: Path, generator_folder: Path, drawn: dict[int, tuple[np.ndarray, np.ndarray]]) -> Project:
    names = ("background", "left", "right")
    config = ProjectConfig(
        name="parts",
        created="2025-01-01T00:00:00+00:00",
        size=SIZE,
        image_channels=3,
        classes=tuple(ClassEntry(name=name, colour=(40 * i, 80, 90)) for i, name in enumerate(names)),
        mirror=MirrorEntry(rule="swap", pairs=(("left", "right"),)),
        generator=GeneratorEntry(source="x", architecture="stylegan2", sha256="0"),
    )
    made = Project.create(tmp_path / "parts", config, generator_folder)
    made.add_to_pool(
        [(PoolPicture(seed, config.draw.model_dump()), png(picture)) for seed, (picture, _) in drawn.items()]
    )
    return made


@pytest.fixture
def store(project: Project) -> Store:
    return Store(project)


def png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
