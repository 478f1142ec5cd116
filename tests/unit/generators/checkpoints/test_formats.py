"""Every format gives back the generator that was written in it: the same pictures, its noise maps and average too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gannotate.errors import GannotateError, UsageError
from gannotate.generators.base import Generator
from gannotate.generators.build import load_generator, read_config
from gannotate.generators.checkpoints.importing import (
    UNKNOWN_LICENCE,
    card_of,
    estimated_average,
    read_foreign,
    writing,
)
from gannotate.generators.checkpoints.stylegan2_plan import channel_rule

from . import foreign


def pictures(network: Generator, noise: str = "const", psi: float = 0.5) -> torch.Tensor:
    labels = network.labels_of(1 if network.label_dim else None, 2)
    with torch.inference_mode():
        w = network.map(network.latents([3, 85]), psi=psi, cutoff=3, labels=labels)
        return network.synthesize(w, noise).picture  # pyright: ignore[reportArgumentType]


def imported(data: bytes, folder: Path, **options) -> Generator:
    file = folder / "anything.bin"
    file.write_bytes(data)
    return read_foreign(file, **options).generator


TWO = [
    {},
    {"image_channels": 1},
    {"label_dim": 3},
    {"conv_clamp": 0.5},
    {"connections": "resnet"},
    {"connections": "orig"},
    {"size": 64, "channel_base": 512},
    {"mapping_layers": 8},
]


@pytest.mark.parametrize("settings", TWO, ids=str)
def test_official_stylegan2(settings: dict, tmp_path: Path):
    network = foreign.random_generator("stylegan2", **settings)
    again = imported(foreign.official(network), tmp_path)
    assert again.config_dict() == network.config_dict()
    assert torch.allclose(pictures(again), pictures(network), atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [{}, {"kernel": 1, "radial": True}, {"label_dim": 3, "conv_clamp": None}, {"critical_layers": 3}],
    ids=str,
)
def test_official_stylegan3(settings: dict, tmp_path: Path):
    network = foreign.random_generator("stylegan3", **settings)
    again = imported(foreign.official(network), tmp_path)
    assert again.config_dict() == network.config_dict()
    assert torch.allclose(pictures(again), pictures(network), atol=1e-5)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_official_of_every_protocol(protocol: int, tmp_path: Path):
    network = foreign.random_generator("stylegan2", size=8)
    again = imported(foreign.official(network, protocol), tmp_path)
    assert torch.equal(pictures(again), pictures(network))


@pytest.mark.parametrize(
    "settings",
    [{}, {"connections": "resnet"}, {"connections": "orig"}, {"label_dim": 3}, {"image_channels": 1}],
    ids=str,
)
def test_tensorflow(settings: dict, tmp_path: Path):
    network = foreign.random_generator("stylegan2", **settings)
    again = imported(foreign.tensorflow(network), tmp_path)
    assert again.config_dict() == network.config_dict()
    assert torch.allclose(pictures(again), pictures(network), atol=1e-5)


def test_tensorflow_layers_counted_from_the_largest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Networks trained with growing pictures call 16x16/ToRGB ToRGB_lod0, and have the variable `lod`."""
    network, plain = foreign.random_generator("stylegan2"), foreign._tensorflow_variable

    def counted(name: str, array: np.ndarray) -> tuple[str, str, Any]:
        component, variable, value = plain(name, array)
        for lod, side in enumerate((16, 8, 4)):
            variable = variable.replace(f"{side}x{side}/ToRGB/", f"ToRGB_lod{lod}/")
        return component, variable, value

    monkeypatch.setattr(foreign, "_tensorflow_variable", counted)
    assert b"ToRGB_lod2/weight" in foreign.tensorflow(network)
    assert torch.allclose(pictures(imported(foreign.tensorflow(network), tmp_path)), pictures(network), atol=1e-5)


@pytest.mark.parametrize("zipped", [True, False])
def test_rosinality(zipped: bool, tmp_path: Path):
    network = foreign.random_generator("stylegan2")
    again = imported(foreign.rosinality(network, zipped), tmp_path)
    assert torch.allclose(pictures(again), pictures(network), atol=1e-5)


@pytest.mark.parametrize("zipped", [True, False])
def test_saic(zipped: bool, tmp_path: Path):
    network = foreign.random_generator("stylegan2")
    again = imported(foreign.saic(network, zipped), tmp_path)
    assert torch.allclose(pictures(again, "none"), pictures(network, "none"), atol=1e-5)
    twice = imported(foreign.saic(network, zipped), tmp_path)
    assert torch.equal(pictures(again), pictures(twice)), "its noise maps come from a fixed seed"


@pytest.mark.parametrize("zipped", [True, False])
def test_stylegan1(zipped: bool, tmp_path: Path):
    network = foreign.random_generator("stylegan1")
    average = tmp_path / "average.npy"
    np.save(average, network.state_dict()["mapping.w_avg"].expand(18, -1).numpy())
    again = imported(foreign.stylegan1(network, zipped), tmp_path, average_latent=average)
    assert torch.allclose(pictures(again, "none"), pictures(network, "none"), atol=1e-5)


def test_half_precision_and_bfloat16_are_read(tmp_path: Path):
    network = foreign.random_generator("stylegan2").half()
    assert torch.equal(pictures(imported(foreign.rosinality(network), tmp_path)), pictures(network.float()))
    network = network.bfloat16()
    assert torch.equal(pictures(imported(foreign.rosinality(network), tmp_path)), pictures(network.float()))


def test_old_files_lack_attributes(tmp_path: Path):
    """Only tensors and nothing else is enough; what is not said is as the first version had it."""
    network = foreign.random_generator("stylegan2")
    again = imported(foreign.official(network, layer={"conv_clamp": None, "act_gain": None}), tmp_path)
    assert again.config_dict()["conv_clamp"] is None
    assert torch.allclose(pictures(again), pictures(network), atol=1e-5)


def test_a_label_branch_is_left_out_and_said(tmp_path: Path):
    network = foreign.random_generator("stylegan2")
    file = tmp_path / "g.pt"
    content = torch.load(_written(file, foreign.rosinality(network)), weights_only=True)
    content["g_ema"]["to_seg1.bias"] = torch.zeros(1, 8, 1, 1)
    file.write_bytes(foreign.to_file(content))
    found = read_foreign(file)
    assert torch.allclose(pictures(found.generator), pictures(network), atol=1e-5)
    assert "label branch" in card_of(found)


def test_a_missing_average_is_estimated_and_said(tmp_path: Path):
    network = foreign.random_generator("stylegan1")
    found = read_foreign(_written(tmp_path / "g.pt", foreign.stylegan1(network)))
    average = found.generator.state_dict()["mapping.w_avg"]
    mean = network.map(network.latents(range(2000)))[:, 0].mean(dim=0)
    assert torch.allclose(average, mean, atol=0.15)
    assert torch.equal(average, estimated_average(found.generator))
    assert "estimated from 10000 random latents" in card_of(found)


def test_the_folder_and_its_card(tmp_path: Path):
    network = foreign.random_generator("stylegan2")
    found = read_foreign(_written(tmp_path / "g.pkl", foreign.official(network)), attribution="A. Person")
    with writing(found, tmp_path / "out"):
        assert not (tmp_path / "out").exists(), "it appears whole"
    assert torch.equal(pictures(load_generator(tmp_path / "out")), pictures(network))
    about = read_config(tmp_path / "out")["about"]
    card = (tmp_path / "out" / "card.md").read_text()
    assert about["sha256"] in card
    assert len(about["sha256"]) == 64
    assert f"Licence: {UNKNOWN_LICENCE} (NVIDIA" in card
    assert "non-commercial" in card
    assert "Attribution: A. Person" in card
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_failed_write_leaves_nothing(tmp_path: Path):
    network = foreign.random_generator("stylegan2", size=8)
    found = read_foreign(_written(tmp_path / "g.pkl", foreign.official(network)), licence="MIT")
    assert found.about["licence"] == "MIT"
    with pytest.raises(ZeroDivisionError), writing(found, tmp_path / "new" / "out"):
        raise ZeroDivisionError
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(UsageError, match="exists"), writing(found, tmp_path / "full"):
        pass


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(9, np.float32), "the average latent is 8"),
        (np.zeros(8, np.int64), "int64"),
        (np.arange(16, dtype=np.float32).reshape(2, 8), "rows that differ"),
        (np.full(8, np.nan), "no finite"),
        (np.array([{}], dtype=object), "no whole .npy"),
    ],
)
def test_wrong_average_latents(array: np.ndarray, words: str, tmp_path: Path):
    network = foreign.random_generator("stylegan1", size=8)
    average = tmp_path / "average.npy"
    np.save(average, array, allow_pickle=True)
    with pytest.raises(UsageError, match=words):
        imported(foreign.stylegan1(network), tmp_path, average_latent=average)
    average.write_bytes(
        b"\x93NUMPY\x01\x00\x46\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}   \n"
    )
    with pytest.raises(UsageError, match="no whole"):
        imported(foreign.stylegan1(network), tmp_path, average_latent=average)
    with pytest.raises(UsageError, match="does not exist"):
        imported(foreign.stylegan1(network), tmp_path, average_latent=tmp_path / "none.npy")


@pytest.mark.parametrize(
    ("base", "most", "size"), [(16384, 512, 256), (32768, 512, 1024), (1000, 64, 64), (128, 16, 8)]
)
def test_the_channel_rule_is_found_from_the_channels(base: int, most: int, size: int):
    channels = {2**k: max(1, min(base // 2**k, most)) for k in range(2, size.bit_length())}
    found, top = channel_rule(channels)
    assert {r: max(1, min(found // r, top)) for r in channels} == channels


def test_channels_without_a_rule():
    with pytest.raises(GannotateError, match="min"):
        channel_rule({4: 16, 8: 3, 16: 8})


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
