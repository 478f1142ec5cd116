"""Ready networks: a Hugging Face folder, an ONNX file of anybody's, and the label maps that they leave behind."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gannotate.data.benchmarks import find_benchmark, load_benchmark
from gannotate.data.benchmarks.labelling import class_use, label_pictures
from gannotate.data.benchmarks.networks import HuggingFaceLabeller, OnnxLabeller, Preparation, fingerprint, read_labels
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import read_label_map

from .trees import encoded, picture, write

NAMES = {"0": "wall", "1": "car;auto", "2": "sky"}


def config(folder: Path, **preparation: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "segformer", "id2label": NAMES}))
    if preparation:
        (folder / "preprocessor_config.json").write_text(json.dumps(preparation))
    return folder


class Channels(torch.nn.Module):
    """Class k where channel k is largest, at half the size; or class ids."""

    def __init__(self, ids: bool = False) -> None:
        super().__init__()
        self.ids = ids

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.argmax(1).to(torch.int64) if self.ids else torch.nn.functional.avg_pool2d(x, 2)


OnnxFile = Callable[..., Path]


@pytest.fixture
def onnx_file(tmp_path: Path) -> OnnxFile:
    """Writes `Channels` as an ONNX file, with a config.json beside it."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")

    def written(ids: bool = False, size: int = 16) -> Path:
        import onnx
        from onnx import TensorProto, helper

        folder = config(
            tmp_path / f"net-{ids}", size={"height": size, "width": size}, image_mean=[0, 0, 0], image_std=[1, 1, 1]
        )
        if ids:
            node = helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)
            out = helper.make_tensor_value_info("y", TensorProto.INT64, [1, size, size])
        else:
            node = helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])
            out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, size // 2, size // 2])
        graph = helper.make_graph(
            [node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, size, size])], [out]
        )
        onnx.save(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "m.onnx"
        )
        return folder / "m.onnx"

    return written


def stripes(height: int = 24, width: int = 36) -> np.ndarray:
    """Red, green and blue thirds."""
    found = np.zeros((height, width, 3), np.uint8)
    for index in range(3):
        found[:, index * width // 3 : (index + 1) * width // 3, index] = 200
    return found


@pytest.mark.parametrize("ids", [False, True])
def test_an_onnx_file_labels_at_the_pictures_size(onnx_file: OnnxFile, ids: bool):
    labeller = OnnxLabeller(onnx_file(ids))
    assert labeller.labels == ("wall", "car;auto", "sky")
    found = labeller(stripes())
    assert found.shape == (24, 36)
    for index in range(3):
        inside = found[:, index * 12 + 3 : index * 12 + 9]
        assert (inside == index).all()


def test_onnx_files_that_do_not_fit_are_named(onnx_file: OnnxFile, tmp_path: Path):
    path = onnx_file()
    with pytest.raises(UsageError, match="does not exist; give an ONNX file"):
        OnnxLabeller(tmp_path / "none.onnx")
    (path.parent / "config.json").write_text(json.dumps({"id2label": {"0": "a", "1": "b"}}))
    with pytest.raises(GannotateError, match=r"answers \(1, 3, 8, 8\); 2 classes ask for \(1, 2, height, width\)"):
        OnnxLabeller(path)(stripes())
    path.write_bytes(b"no network")
    with pytest.raises(GannotateError, match="cannot be run"):
        OnnxLabeller(path)
    (path.parent / "config.json").unlink()
    with pytest.raises(UsageError, match=r"has no config\.json, which names a network's classes"):
        OnnxLabeller(path)


def test_a_network_that_answers_unknown_ids_is_refused(onnx_file: OnnxFile):
    path = onnx_file(ids=True)
    (path.parent / "config.json").write_text(json.dumps({"id2label": {"0": "a", "1": "b"}}))
    with pytest.raises(GannotateError, match=r"answers class 2, config\.json names 2"):
        OnnxLabeller(path)(stripes())


@pytest.mark.parametrize("told", [{}, {"id2label": []}, {"id2label": {"1": "a", "2": "b"}}, {"id2label": {"x": "a"}}])
def test_configs_without_classes_are_refused(tmp_path: Path, told: dict):
    (tmp_path / "config.json").write_text(json.dumps(told))
    with pytest.raises(UsageError, match=r"config\.json (does not name|names)"):
        read_labels(tmp_path)


def test_preparation_follows_the_folder(tmp_path: Path):
    plain = Preparation.read(config(tmp_path / "a"))
    x = plain(np.full((4, 6, 3), 255, np.uint8))
    assert x.shape == (1, 3, 4, 6)
    np.testing.assert_allclose(x[0, :, 0, 0], (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], rtol=1e-5)
    short = Preparation.read(config(tmp_path / "b", size={"shortest_edge": 8}, do_normalize=False))
    assert short(np.zeros((4, 6, 3), np.uint8)).shape == (1, 3, 8, 12)
    assert Preparation.read(config(tmp_path / "c", size=32)).side == (32, 32)
    assert Preparation.read(config(tmp_path / "d", size=32, do_resize=False)).side is None
    with pytest.raises(GannotateError, match=r"preprocessor_config\.json is damaged"):
        Preparation.read(config(tmp_path / "e", size={"sides": 3}))


def test_without_transformers_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = config(tmp_path)
    with pytest.raises(UsageError, match=r"has no \.safetensors; other weights are pickles"):
        HuggingFaceLabeller(folder)
    write(folder / "model.safetensors")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "transformers" else find(name, *a)
    )
    with pytest.raises(
        GannotateError, match=r"the package transformers is missing .* pip install transformers, or give an"
    ):
        HuggingFaceLabeller(folder)


def test_a_hugging_face_folder(tmp_path: Path):
    from gannotate.torchvision_operators import make_importable

    make_importable()
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    network = transformers.SegformerForSemanticSegmentation(
        transformers.SegformerConfig(
            hidden_sizes=[8] * 4, depths=[1] * 4, num_attention_heads=[1] * 4, decoder_hidden_size=8,
            id2label={int(index): name for index, name in NAMES.items()},
            label2id={name: int(index) for index, name in NAMES.items()},
        )
    ).eval()  # fmt: skip
    network.save_pretrained(tmp_path)
    labeller = HuggingFaceLabeller(tmp_path)
    assert labeller.labels == tuple(NAMES.values())
    shown = picture(64, 48)
    with torch.inference_mode():
        logits = network(pixel_values=torch.from_numpy(Preparation.read(tmp_path)(shown))).logits
        whole = torch.nn.functional.interpolate(logits, (48, 64), mode="bilinear")
    np.testing.assert_array_equal(labeller(shown), whole[0].argmax(0).numpy())
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(GannotateError, match="is no semantic-segmentation network of transformers"):
        HuggingFaceLabeller(tmp_path)


class Halves:
    """Answers its last class in the left half, class 0 in the right one, and counts how often it was asked."""

    def __init__(self, labels: tuple[str, ...] = ("wall", "person", "car, auto")) -> None:
        self.labels, self.asked = labels, 0

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        self.asked += 1
        found = np.zeros(picture.shape[:2], np.uint8)
        found[:, : picture.shape[1] // 2] = len(self.labels) - 1
        return found


@pytest.fixture
def cars(tmp_path: Path) -> Path:
    for number in range(3):
        write(tmp_path / f"images/a/{number}.jpg", encoded(picture(20, 10, number), "JPEG"))
    write(tmp_path / "images/torn.png", b"torn")
    return tmp_path


def test_labels_are_written_once_and_say_whose_they_are(cars: Path):
    benchmark, network = find_benchmark("lsun-cars"), Halves()
    done = list(label_pictures(benchmark, cars, network, "halves", "ab"))
    assert [(one.name, one.done, one.total, one.kept) for one in done[:2]] == [
        ("a/0", 1, 4, False),
        ("a/1", 2, 4, False),
    ]
    assert done[3].skipped is not None
    found = read_label_map(cars / "masks/a/0.png", 2)
    assert found.shape == (10, 20)
    assert found[0].tolist() == [1] * 10 + [0] * 10
    about = json.loads((cars / "labels.json").read_text())
    assert about["classes"] == {"background": ["wall", "person"], "car": ["car, auto"], "ignore": []}
    assert (about["network"], about["sha256"], about["made_by"]) == ("halves", "ab", "network")
    (cars / "masks/a/1.png").unlink()
    again = list(label_pictures(benchmark, cars, network, "halves", "ab"))
    assert [one.kept for one in again if not one.skipped] == [True, False, True]
    assert network.asked == 4
    splits = {
        split: [one.name for one in load_benchmark(benchmark, cars, split, 16)] for split in ("train", "val", "test")
    }
    assert sorted(name for names in splits.values() for name in names) == ["a/0", "a/1", "a/2"]


def test_labels_of_two_networks_never_mix(cars: Path):
    benchmark = find_benchmark("lsun-cars")
    list(label_pictures(benchmark, cars, Halves(), "halves", "ab"))
    with pytest.raises(UsageError, match="has label maps already, made by halves for lsun-cars; add --replace"):
        list(label_pictures(benchmark, cars, Halves(), "other", "cd"))
    (cars / "labels.json").unlink()
    with pytest.raises(UsageError, match="made by somebody"):
        list(label_pictures(benchmark, cars, Halves(), "halves", "ab"))
    for number in (1, 2):
        list(label_pictures(benchmark, cars, Halves(), "other", "cd", replace=True))
        assert len(list((cars / f"masks-{number}").rglob("*.png"))) == 3
    assert len(list((cars / "masks").rglob("*.png"))) == 3


def test_two_pictures_of_one_name_get_no_label_map_of_each_other(cars: Path):
    write(cars / "images/a/0.png", encoded(picture(20, 10, 9)))
    with pytest.raises(GannotateError, match=r"images has a/0\.jpg and a/0\.png, which would share one label map"):
        list(label_pictures(find_benchmark("lsun-cars"), cars, Halves(), "halves", "ab"))
    assert not (cars / "masks").exists()


def test_networks_without_the_classes_and_benchmarks_with_labels_are_refused(cars: Path):
    with pytest.raises(UsageError, match="the network has no class for car of lsun-cars; it has wall, sofa"):
        list(label_pictures(find_benchmark("lsun-cars"), cars, Halves(("wall", "sofa")), "x", "ab"))
    with pytest.raises(UsageError, match="cat-16 has labels of its own"):
        list(label_pictures(find_benchmark("cat-16"), cars, Halves(), "x", "ab"))
    assert not (cars / "masks").exists()


def test_which_classes_become_which():
    used = class_use(find_benchmark("ffhq-hair"), Halves(("background", "skin", "hair")))
    assert used == {"background": ["background", "skin"], "hair": ["hair"], "ignore": []}


def test_fingerprints_are_of_the_weights(tmp_path: Path):
    write(tmp_path / "a.safetensors", b"1")
    write(tmp_path / "config.json", b"x")
    before = fingerprint(tmp_path)
    write(tmp_path / "config.json", b"y")
    assert fingerprint(tmp_path) == before
    write(tmp_path / "b.safetensors", b"2")
    assert fingerprint(tmp_path) != before
    assert fingerprint(tmp_path / "a.safetensors") == before
