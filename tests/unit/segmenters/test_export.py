"""The exported file answers as the segmenter does, says what it is, and its card says where it comes from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from torch import nn

from gannotate.data.labelled import LabelledSet
from gannotate.decoders.build import make_decoder
from gannotate.errors import GannotateError, UsageError
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.record import recorded
from gannotate.segmenters import onnx_runtime
from gannotate.segmenters.architectures import Architecture
from gannotate.segmenters.build import SegmenterConfig, build_network, save_segmenter
from gannotate.segmenters.card import card, provenance
from gannotate.segmenters.export import Parity, check_parity, latency, metadata, parity, random_pictures, to_onnx
from gannotate.segmenters.online import Online, OnlineConfig
from gannotate.segmenters.onnx_runtime import OnnxSegmenter
from gannotate.segmenters.predict import Segmenter
from gannotate.segmenters.scored import EVALUATION
from gannotate.segmenters.semi_supervised.build import train_semi_supervised
from gannotate.segmenters.sources import Mixed, Source, Stored
from gannotate.segmenters.supervised import SegmenterTraining, train_segmenter
from gannotate.segmenters.tiling import View
from gannotate.synthesis import fingerprint

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
Squares = Callable[..., LabelledSet]


def saved(folder: Path, config: SegmenterConfig, **about: Any) -> Path:
    """A segmenter with random weights whose batch normalisations have seen pictures: its answers differ by pixel."""
    torch.manual_seed(0)
    network = build_network(config)
    with torch.no_grad():
        for _ in range(20):
            network.train()(torch.rand(4, config.image_channels, config.size, config.size) * 2 - 1)
    for part in network.modules():
        if isinstance(part, nn.Conv2d) and part.out_channels == config.classes:
            nn.init.normal_(part.weight)
    save_segmenter(folder, network, config, **about)
    return folder


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a grey segmenter of 16 px."""
    config = SegmenterConfig(
        classes=3, image_channels=1, size=16, depth=3, decoder_width=16, class_names=("back", "light", "dark")
    )
    mirror = {"rule": "swap", "pairs": [[1, 2]]}
    return saved(tmp_path_factory.mktemp("made") / "grey", config, pictures=7, settings={"mirror": mirror, "seed": 4})


@pytest.fixture(scope="module")
def model(grey: Path) -> bytes:
    """That segmenter's file."""
    return to_onnx(grey, provenance(grey))


def test_any_number_and_size_of_pictures(grey: Path, model: bytes) -> None:
    segmenter, exported = Segmenter.load(grey), OnnxSegmenter(model, "model", 1)
    found = parity(segmenter, exported, random_pictures(segmenter.config))
    assert found.pictures == 16
    assert found.equal >= 0.9999
    assert found.largest_difference < 1e-3  # one grey value, where Pillow rounds otherwise
    rng = np.random.default_rng(1)
    for shape in ((1, 16, 16, 1), (5, 40, 23, 1), (2, 9, 64, 1)):
        pictures = rng.integers(0, 256, shape).astype(np.uint8)
        label_maps, probabilities = (np.asarray(one) for one in exported.session.run(None, {"pictures": pictures}))
        assert (label_maps.dtype, label_maps.shape) == (np.uint8, shape[:3])
        np.testing.assert_array_equal(label_maps, segmenter.predict(pictures))
        np.testing.assert_allclose(probabilities, segmenter.predict(pictures, True)[1], atol=1e-3)
        assert len(np.unique(label_maps)) > 1


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["unet-classic", "unet-mobile", "lraspp"])
def test_other_networks_export_too(tmp_path: Path, architecture: Architecture) -> None:
    config = SegmenterConfig(classes=3, image_channels=3, size=32, architecture=architecture, decoder_width=16)
    folder = saved(tmp_path / "s", config)
    segmenter, exported = Segmenter.load(folder), OnnxSegmenter(to_onnx(folder, {}), "model", 1)
    found = parity(segmenter, exported, random_pictures(config)[::4])
    assert found.equal >= 0.9999


def test_the_reader_has_the_segmenters_interface(grey: Path, model: bytes, tmp_path: Path, squares: Squares) -> None:
    (tmp_path / "s.onnx").write_bytes(model)
    exported, segmenter = OnnxSegmenter.load(tmp_path / "s.onnx"), Segmenter.load(grey)
    assert exported.config == segmenter.config
    pictures = squares(3, channels=3).pictures  # RGB for a grey network
    mixed = [pictures[0], pictures[1, :10], pictures[2, :10], pictures[0].repeat(3, 0)]
    for one, two in zip(exported.predict(mixed), segmenter.predict(mixed), strict=True):
        np.testing.assert_array_equal(one, two)
    view = View(tile_px=16)
    np.testing.assert_array_equal(exported.predict(mixed[3:], view=view), segmenter.predict(mixed[3:], view=view))
    with pytest.raises(UsageError, match="sees pictures at 16 px only, not at 2 times that"):
        exported.predict(mixed, view=View(scales=(1.0, 2.0)))


def test_the_file_says_what_it_is(model: bytes) -> None:
    found = {name: json.loads(value) for name, value in OnnxSegmenter(model, "model").metadata.items()}
    assert found["classes"] == ["back", "light", "dark"]
    assert found["mirror"] == {"rule": "swap", "pairs": [[1, 2]]}
    assert (found["size_px"], found["image_channels"], found["format_version"]) == (16, 1, 1)
    assert len(found["colours"]) == 3
    assert found["provenance"]["seed"] == 4


def test_neither_the_file_nor_its_card_has_folders_of_this_machine(tmp_path: Path) -> None:
    config = SegmenterConfig(classes=3, image_channels=1, size=16, depth=3, decoder_width=16)
    folder = saved(tmp_path / "s", config)
    config = replace(config, weights="/home/ann/encoders/mine.safetensors")
    choice = {"among": ["0001-unet"], "validation": 0.4, "on": "/home/ann/val.zip"}
    scores = {"miou": 0.5, "pictures": 9, "test": "/home/ann/test.zip", "choice": choice}
    (folder / EVALUATION).write_text(json.dumps(scores))
    about = provenance(folder)
    found = metadata(config, about)
    assert not [value for value in found.values() if "/home" in value]
    evaluation = json.loads(found["provenance"])["evaluation"]
    assert (evaluation["test"], evaluation["choice"]["on"]) == ("test.zip", "val.zip")
    assert json.loads(found["segmenter"])["weights"] == "mine.safetensors"
    assert "/home" not in card(config, 1, about, EXPORT)


def test_operators_of_another_version(grey: Path) -> None:
    import onnx

    read = onnx.load_from_string(to_onnx(grey, {}, opset=20))
    assert [item.version for item in read.opset_import if item.domain == ""] == [20]
    with pytest.raises(UsageError, match="opset 7 was asked for; use 18 to 21"):
        to_onnx(grey, {}, opset=7)


def test_files_that_are_not_ours(model: bytes, tmp_path: Path) -> None:
    import onnx

    with pytest.raises(UsageError, match="does not exist; write one with `gannotate export"):
        OnnxSegmenter.load(tmp_path / "nothing.onnx")
    (tmp_path / "broken.onnx").write_bytes(model[:1000])
    with pytest.raises(GannotateError, match=r"broken.onnx cannot be run"):
        OnnxSegmenter.load(tmp_path / "broken.onnx")
    changed = onnx.load_from_string(model)
    for item in changed.metadata_props:
        if item.key == "format_version":
            item.value = "99"
    with pytest.raises(GannotateError, match="written by a newer gannotate"):
        OnnxSegmenter(changed.SerializeToString(), "new.onnx")
    del changed.metadata_props[:]
    with pytest.raises(UsageError, match=r"other.onnx was not written by `gannotate export`"):
        OnnxSegmenter(changed.SerializeToString(), "other.onnx")


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, grey: Path) -> None:
    monkeypatch.setattr(onnx_runtime.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(GannotateError, match=r"\(onnx, onnxscript\); pip install '\.\[export\]'"):
        to_onnx(grey, {})


def test_parity_counts_every_pixel(grey: Path, tiny: SegmenterConfig) -> None:
    one = Segmenter.load(grey)
    torch.manual_seed(5)
    other = Segmenter(build_network(tiny), tiny)
    pictures = random_pictures(one.config)[:3]
    found = parity(one, other, pictures)
    expected = np.mean([one.predict([p])[0] == other.predict([p])[0] for p in pictures])
    assert (found.pictures, found.pixels) == (3, 3 * 16 * 16)
    assert found.equal == pytest.approx(expected)
    assert parity(one, one, pictures) == Parity(3, 768, 1.0, 0.0)
    with pytest.raises(GannotateError, match=r"agrees with 0001 on 99.000 % of the pixels of 3 pictures.*nothing was"):
        check_parity(replace(found, equal=0.99), "0001")
    with pytest.raises(UsageError, match="no pictures to compare on"):
        parity(one, one, [])


def test_the_card_says_where_the_network_comes_from(grey: Path, model: bytes) -> None:
    segmenter, exported = Segmenter.load(grey), OnnxSegmenter(model, "model", 1)
    about = provenance(grey, licence="CC0-1.0") | {
        "label_source": "decoder 0001-light",
        "labels": 5,
        "label_makers": {"simulated": 5},
        "evaluation": {"miou": 0.5, "fg_miou": 0.25, "pixel_accuracy": None, "pictures": 9, "test": "a/test.zip"},
    }
    times = latency(segmenter, exported, repeats=2)
    assert times.pytorch_ms > 0
    assert times.onnx_ms > 0
    export = {"file": "a/s.onnx", "opset": 18, "parity": asdict(Parity(2, 512, 1.0, 1e-6)), "checked_on": "pictures"}
    text = card(segmenter.config, 1_234_567, about, export | {"latency": asdict(times)})
    for line in (
        "# Segmenter grey, 16 px, grey",
        "- Network: unet, U-Net (Ronneberger et al. 2015) on any encoder; encoder resnet18; 1.23 M parameters",
        "- Classes: 0 back, 1 light, 2 dark",
        "- Annotations behind them: 5 (5 simulated)",
        "- Left-right flip: swap, pairs [[1, 2]]",
        "- mIoU 0.500, without the background 0.250, pixel accuracy -",
        "- Test pictures: 9 (test.zip); absent classes are counted as 0",
        "- Weights: CC0-1.0",
        "- Pictures: not stated",
        "- Method: supervised",
    ):
        assert line in text.splitlines()
    assert "a network made them, not a person" in text
    data = ModelCard(text).data
    assert (data.license, data.library_name, data.pipeline_tag) == ("cc0-1.0", "onnx", "image-segmentation")
    assert {"gannotate", "unet", "resnet18"} <= set(data.tags or ())
    found = [(one.metric_type, one.metric_value, one.dataset_name) for one in data.eval_results or ()]
    assert found == [("mean_iou", 0.5, "test.zip"), ("foreground_mean_iou", 0.25, "test.zip")]


EXPORT: dict[str, Any] = {
    "file": "s.onnx",
    "opset": 18,
    "checked_on": "noise pictures",
    "parity": asdict(Parity(1, 1, 1.0, 0.0)),
    "latency": {"size_px": 16, "threads": 1, "pytorch_ms": 1.0, "onnx_ms": 1.0},
}


def trained_card(folder: Path, squares: Squares, tiny: SegmenterConfig, source: Source, method: str = "") -> list[str]:
    """Lines of the card of a segmenter that a real training of one step leaves."""
    how = SegmenterTraining(steps=1, batch=4)
    unlabelled = squares(5, seed=7).pictures
    running = (
        train_semi_supervised(method, source, unlabelled, tiny, how, None, folder)
        if method
        else train_segmenter(source, tiny, how, folder)
    )
    with recorded(folder, "train", {}, 0) as record:
        list(running)
        record.about, record.result = {"labels": 3}, {"pictures": 11}
    return card(Segmenter.load(folder).config, 1, provenance(folder), EXPORT).splitlines()


def test_a_card_of_a_mix_tells_of_each_part(tmp_path: Path, squares: Squares, tiny: SegmenterConfig) -> None:
    mixed = Mixed([(Stored(squares(8, soft=True)), 0.75), (Stored(squares(3)), 0.25)])
    lines = trained_card(tmp_path, squares, tiny, mixed)
    assert "- Pictures: 11" in lines
    for share, hashed in ((75, mixed.parts[0][0].about(3)["hash"]), (25, mixed.parts[1][0].about(3)["hash"])):
        assert f"- SHA-256 of the data ({share}% of each batch): {hashed}" in lines
        assert sum(f"Share of labelled pixels ({share}% of each batch): back " in line for line in lines) == 1


def test_a_card_tells_of_unlabelled_pictures(tmp_path: Path, squares: Squares, tiny: SegmenterConfig) -> None:
    lines = trained_card(tmp_path, squares, tiny, Stored(squares(3)), "mean-teacher")
    hashed = sha256(squares(5, seed=7).pictures.tobytes()).hexdigest()
    assert f"- Method: mean-teacher, with 5 unlabelled pictures (SHA-256 {hashed})" in lines
    assert "- Pictures: 3" in lines


def test_a_card_of_pictures_drawn_while_it_learned(tmp_path: Path, squares: Squares, tiny: SegmenterConfig) -> None:
    generator = StyleGAN2(StyleGAN2Config(size=16, image_channels=1, z_dim=8, w_dim=8, mapping_layers=1)).eval()
    decoder = make_decoder("light", generator, 3).eval()
    lines = trained_card(tmp_path, squares, tiny, Online(generator, decoder, config=OnlineConfig(buffer=0)))
    assert (
        f"- Drawn while it learned: by the generator with weights {fingerprint(generator)}, labelled by the decoder "
        f"with weights {fingerprint(decoder)}"
    ) in lines
    assert "- Pictures: 11" in lines
    assert not any("SHA-256 of the data" in line for line in lines)


def test_a_card_without_scores_says_so(grey: Path) -> None:
    text = card(Segmenter.load(grey).config, 1, provenance(grey), EXPORT)
    assert "- Not tested: `gannotate evaluate PROJECT --test DIR`" in text
    assert "- Weights: not stated" in text
    data = ModelCard(text).data.to_dict()
    assert data["license"] == "unknown"
    assert "model-index" not in data
    assert "metrics" not in data
    assert "generated pictures" not in text
