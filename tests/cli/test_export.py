"""`export`, and `predict` with the file that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gannotate.segmenters import onnx_runtime

from .conftest import Command

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture
def trained(command: Command, project: Path, labelled: Path) -> Path:
    """The project with a segmenter that learned for 3 steps."""
    command("train", project, "--labelled", labelled, "--depth", "3", "--max-steps", "3", "--batch", "2")
    return project


def masks(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(Image.open(path)) for path in sorted((folder / "masks").iterdir())}


def test_a_project_becomes_a_file_that_labels_the_same(
    command: Command, trained: Path, labelled: Path, tmp_path: Path
) -> None:
    command("evaluate", trained, "--test", labelled)
    out = tmp_path / "out" / "net.onnx"
    words = ("export", trained, "--out", out, "--check", labelled, "--most", "3", "--licence", "CC0-1.0")
    planned = command(*words, "--dry-run")
    assert planned["dry_run"]
    assert not out.exists()
    result = command(*words)
    assert result["parity"]["pictures"] == 3
    assert result["parity"]["equal"] >= 0.9999
    assert result["latency"]["onnx_ms"] > 0
    assert sorted(path.name for path in out.parent.iterdir()) == ["net.card.md", "net.onnx"]
    card = (out.parent / "net.card.md").read_text()
    assert "- Weights: CC0-1.0" in card
    assert "- Test pictures: 4 (labelled)" in card

    ways = {"torch": trained, "onnx": out}
    for name, what in ways.items():
        found = command("predict", what, labelled, "--out", tmp_path / name, "--tile", "8", "--overlap", "0.5")
        assert found["pictures"] == 4
    for one, two in zip(masks(tmp_path / "torch").values(), masks(tmp_path / "onnx").values(), strict=True):
        np.testing.assert_array_equal(one, two)
    code, sentence = command.mistake("predict", out, labelled, "--out", tmp_path / "no", "--scales", "1,2")
    assert (code, "sees pictures at 16 px only" in sentence) == (2, True)
    code, sentence = command.mistake(*words)
    assert (code, "net.onnx exists; give a new name to --out" in sentence) == (2, True)


def test_predict_at_several_scales(command: Command, trained: Path, labelled: Path, tmp_path: Path) -> None:
    found = command("predict", trained, labelled, "--out", tmp_path / "out", "--scales", "0.5,1,2")
    assert found["pictures"] == 4
    code, sentence = command.mistake("predict", trained, labelled, "--out", tmp_path / "no", "--scales", "1;2")
    assert (code, "give numbers with commas between them, e.g. 0.5,1,2" in sentence) == (2, True)


def test_what_is_given_wrongly(
    command: Command, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, sentence = command.mistake("export", project, "--out", tmp_path / "x.onnx")
    assert (code, "gannotate train" in sentence) == (2, True)
    (project / "segmenters" / "s").mkdir(parents=True)
    given = ("export", project / "segmenters" / "s", "--out")
    for words, expected in (
        ((tmp_path / "x.pt",), "x.onnx"),
        ((tmp_path / "x.onnx", "--opset", "9"), "use 18 to 21"),
        ((tmp_path / "x.onnx", "--most", "0"), "at least 1 picture"),
        ((tmp_path / "x.onnx",), "is not a segmenter"),
    ):
        code, sentence = command.mistake(*given, *words)
        assert (code, expected in sentence) == (2, True), sentence
    monkeypatch.setattr(onnx_runtime.importlib.util, "find_spec", lambda name: None)
    code, sentence = command.mistake(*given, tmp_path / "x.onnx")
    assert (code, "pip install '.[export]'" in sentence) == (1, True)


def test_train_with_start_weights_says_which(command: Command, trained: Path, labelled: Path, tmp_path: Path) -> None:
    first = next((trained / "segmenters").iterdir())
    words = ("train", trained, "--labelled", labelled, "--depth", "3", "--max-steps", "1", "--batch", "2")
    result = command(*words, "--weights", first)
    folder = Path(result["segmenter"])
    assert json.loads((folder / "config.json").read_text())["segmenter"]["weights"] == str(first)
    config = json.loads((folder / "run.json").read_text())["config"]
    assert (config["weights"], config["encoder"], config["depth"]) == (str(first), "resnet18", 3)
    code, sentence = command.mistake(*words, "--encoder", "resnet34", "--weights", first)
    assert (code, "that the encoder resnet34 needs are not in" in sentence) == (2, True)
