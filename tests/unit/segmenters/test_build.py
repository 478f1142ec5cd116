"""Building networks, and the folder that holds one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from gannotate.errors import GannotateError, UsageError
from gannotate.labels import make_classes
from gannotate.segmenters.build import SegmenterConfig, build_network, load_segmenter, save_segmenter


def test_saved_and_loaded_is_the_same(tmp_path: Path, tiny: SegmenterConfig) -> None:
    network = build_network(tiny).eval()
    save_segmenter(tmp_path / "s", network, tiny, labels=5)
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["config.json", "model.safetensors"]
    loaded, config = load_segmenter(tmp_path / "s")
    assert config == tiny
    x = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded(x), network(x), atol=0, rtol=0)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_classes_give_names_and_colours() -> None:
    classes = make_classes(["back", "cell"])
    config = SegmenterConfig.of_classes(classes, image_channels=3, size=64)
    assert config.class_infos == classes
    assert [item.name for item in replace(config, class_names=()).class_infos] == ["class 0", "class 1"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"architecture": "unett"}, r"'unett' is not known; use unet, unet-classic, .* or hrnet; did you mean 'unet'"),
        ({"size": 40}, r"size 40 px does not divide by 16.*use 32"),
        ({"classes": 1}, r"tells 2 to 254 apart"),
        ({"image_channels": 2}, r"use 1 \(grey\) or 3 \(RGB\)"),
        ({"depth": 6}, r"depth is 6; unet takes 3 to 5"),
        ({"architecture": "hrnet", "depth": 4}, r"depth is 4; hrnet takes 5$"),
        ({"class_names": ("a", "b")}, r"2 class names were given for 3 classes"),
        ({"decoder_width": 4}, r"decoder_width is 4; unet takes 8 to 1024"),
        ({"decoder_width": 1025}, r"decoder_width is 1025; unet takes 8 to 1024"),
        ({"decoder_width": 10**9, "architecture": "unet-classic"}, r"unet-classic takes 8 to 512"),
        ({"size": 16 * 10**6}, r"size is 16000000 px; a segmenter sees pictures of 1 to 10000 px"),
    ],
)
def test_wrong_settings_say_what_is_accepted(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        SegmenterConfig(**{"classes": 3, "image_channels": 1, "size": 64, **settings})


def test_unknown_encoder_names_the_nearest() -> None:
    config = SegmenterConfig(classes=3, image_channels=1, size=64, encoder="resnet81")
    with pytest.raises(UsageError, match=r"'resnet81' is not known.*did you mean 'resnet18'"):
        build_network(config)


def test_folders_of_the_first_format_still_load(tmp_path: Path, tiny: SegmenterConfig) -> None:
    """They do not say what the weights started from, and may hold stages that nothing calls."""
    folder, network = tmp_path / "s", build_network(tiny)
    save_segmenter(folder, network, tiny)
    config = json.loads((folder / "config.json").read_text())
    del config["segmenter"]["weights"]
    (folder / "config.json").write_text(json.dumps(config))
    unused = {"encoder.layer4.0.conv1.weight": torch.zeros(2, 2, 3, 3)}
    save_file(dict(network.state_dict()) | unused, folder / "model.safetensors")
    loaded, read = load_segmenter(folder)
    assert read == tiny
    assert sorted(loaded.state_dict()) == sorted(network.state_dict())


def test_folders_that_are_no_segmenter(tmp_path: Path, tiny: SegmenterConfig) -> None:
    with pytest.raises(UsageError, match=r"no config.json\); make one with `gannotate train`"):
        load_segmenter(tmp_path / "nothing")

    folder = tmp_path / "s"
    save_segmenter(folder, build_network(tiny), tiny)
    good = json.loads((folder / "config.json").read_text())

    (folder / "config.json").write_text(json.dumps(good | {"format_version": 99}))
    with pytest.raises(GannotateError, match="written by a newer gannotate"):
        load_segmenter(folder)
    (folder / "config.json").write_text(json.dumps({"format_version": 1, "generator": {}}))
    with pytest.raises(UsageError, match="is not a segmenter"):
        load_segmenter(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(GannotateError, match="is damaged"):
        load_segmenter(folder)
    (folder / "config.json").write_text(json.dumps(good | {"segmenter": good["segmenter"] | {"dropout": 1}}))
    with pytest.raises(GannotateError, match="unknown setting 'dropout'"):
        load_segmenter(folder)

    (folder / "config.json").write_text(json.dumps(good | {"segmenter": good["segmenter"] | {"decoder_width": 10**9}}))
    with pytest.raises(GannotateError, match=r"json does not fit \(decoder_width is 1000000000; unet takes 4 to"):
        load_segmenter(folder)

    (folder / "config.json").write_text(json.dumps(good | {"segmenter": good["segmenter"] | {"encoder": 2}}))
    with pytest.raises(GannotateError, match=r"json does not fit \(encoder is 2\)"):
        load_segmenter(folder)

    (folder / "config.json").write_text(json.dumps(good))
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(GannotateError, match=r"model.safetensors is damaged or does not fit"):
        load_segmenter(folder)
