"""Start weights: taken from segmenters and from files of other libraries, and refused where they do not fit."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_json
from gannotate.segmenters.build import SegmenterConfig, build_network, load_segmenter, save_segmenter
from gannotate.segmenters.start_weights import encoder_in, fill
from gannotate.torchvision_operators import make_importable

make_importable()
smp = importlib.import_module("segmentation_models_pytorch")


def encoder_of(config: SegmenterConfig) -> dict[str, torch.Tensor]:
    """The encoder's tensors of a network that `config` builds."""
    state = build_network(config).state_dict()
    return {name: tensor for name, tensor in state.items() if name.startswith("encoder.")}


def test_random_weights_differ_and_say_so(tiny: SegmenterConfig) -> None:
    assert tiny.weights == "random"
    assert not torch.equal(encoder_of(tiny)["encoder.conv1.weight"], encoder_of(tiny)["encoder.conv1.weight"])


def test_a_segmenters_folder_gives_all_that_fits(tmp_path: Path, tiny: SegmenterConfig) -> None:
    taught = build_network(tiny)
    save_segmenter(tmp_path / "s", taught, tiny)
    other = replace(tiny, classes=5, class_names=(), weights=str(tmp_path / "s"))
    state, before = build_network(other).state_dict(), taught.state_dict()
    same = {
        name for name in state if state[name].shape == before[name].shape and torch.equal(state[name], before[name])
    }
    assert set(state) - same == {"segmentation_head.0.weight", "segmentation_head.0.bias"}


@pytest.mark.parametrize("kind", ["segmenter", "encoder"])
def test_a_folder_says_which_encoder_it_has(tmp_path: Path, kind: str) -> None:
    write_json(tmp_path / "config.json", {kind: {"encoder": "resnet34", "depth": 3, "size": 64}})
    assert encoder_in(str(tmp_path)) == {"encoder": "resnet34", "depth": 3}
    assert encoder_in("random") == encoder_in(str(tmp_path / "weights.pth")) == {}
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(GannotateError, match=r"config.json is damaged"):
        encoder_in(str(tmp_path))


def test_a_saved_segmenter_needs_its_start_weights_no_more(tmp_path: Path, tiny: SegmenterConfig) -> None:
    save_segmenter(tmp_path / "a", build_network(tiny), tiny)
    config = replace(tiny, weights=str(tmp_path / "a"))
    network = build_network(config)
    save_segmenter(tmp_path / "b", network, config)
    (tmp_path / "a" / "model.safetensors").unlink()
    loaded, read = load_segmenter(tmp_path / "b")
    assert read.weights == str(tmp_path / "a")
    torch.testing.assert_close(loaded.state_dict(), network.state_dict())


@pytest.mark.parametrize("prefix", ["", "backbone.", "module.encoder."])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_files_of_other_libraries(tmp_path: Path, tiny: SegmenterConfig, prefix: str, suffix: str) -> None:
    """A ResNet-18 for RGB with its classifier, by torchvision's names, into a grey one of three stages."""
    tensors = smp.encoders.get_encoder("resnet18", weights=None).state_dict()
    file = tmp_path / f"weights{suffix}"
    named = {prefix + name: tensor for name, tensor in tensors.items()} | {"fc.weight": torch.zeros(2, 2)}
    if suffix == ".pth":
        torch.save({"state_dict": named}, file)
    else:
        save_file(named, file)
    found = encoder_of(replace(tiny, weights=str(file)))
    torch.testing.assert_close(found["encoder.conv1.weight"], tensors["conv1.weight"].sum(1, keepdim=True))
    torch.testing.assert_close(found["encoder.layer1.0.conv1.weight"], tensors["layer1.0.conv1.weight"])


def test_timms_names(tmp_path: Path) -> None:
    config = SegmenterConfig(classes=2, image_channels=3, size=32, architecture="unet-mobile", depth=3)
    tensors = encoder_of(config)
    save_file({name.removeprefix("encoder.model."): one for name, one in tensors.items()}, tmp_path / "w.safetensors")
    torch.testing.assert_close(encoder_of(replace(config, weights=str(tmp_path / "w.safetensors"))), tensors)


def test_imagenet_asks_the_library_by_the_encoders_name(monkeypatch: pytest.MonkeyPatch, tiny: SegmenterConfig) -> None:
    made, network, asked = smp.encoders.get_encoder("resnet18", weights=None), build_network(tiny), []

    def get_encoder(name: str, weights: Any) -> torch.nn.Module:
        asked.append((name, weights))
        return made

    monkeypatch.setattr(smp.encoders, "get_encoder", get_encoder)
    fill(network, "imagenet", "resnet18")
    assert asked == [("resnet18", "imagenet")]
    found = network.state_dict()["encoder.layer2.0.conv1.weight"]
    torch.testing.assert_close(found, made.state_dict()["layer2.0.conv1.weight"])


def test_imagenet_weights_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch, tiny: SegmenterConfig) -> None:
    def get_encoder(name: str, weights: Any) -> torch.nn.Module:
        raise OSError("no route to the hub")

    network = build_network(tiny)
    monkeypatch.setattr(smp.encoders, "get_encoder", get_encoder)
    with pytest.raises(GannotateError, match=r"resnet18 cannot be fetched \(no route to the hub\); give a file"):
        fill(network, "imagenet", "resnet18")


def test_weights_that_do_not_fit_say_what_is_missing(tmp_path: Path, tiny: SegmenterConfig) -> None:
    save_file({"conv1.weight": torch.zeros(64, 1, 7, 7)}, tmp_path / "w.safetensors")
    with pytest.raises(
        UsageError, match=r"tensors that the encoder resnet18 needs are not in .*w.safetensors, the first"
    ):
        build_network(replace(tiny, weights=str(tmp_path / "w.safetensors")))
    with pytest.raises(UsageError, match="nothing is no file of weights; use random, imagenet"):
        build_network(replace(tiny, weights=str(tmp_path / "nothing")))
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    with pytest.raises(GannotateError, match=r"broken.pth is no readable file of weights \(it is damaged, or"):
        build_network(replace(tiny, weights=str(tmp_path / "broken.pth")))
    classic = SegmenterConfig(
        classes=2, image_channels=1, size=16, architecture="unet-classic", decoder_width=8, weights="imagenet"
    )
    with pytest.raises(UsageError, match="no encoder with ImageNet weights"):
        build_network(classic)
