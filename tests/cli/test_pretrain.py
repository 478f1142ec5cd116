"""`pretrain` from a generator to an encoder that `train` starts from; typed again it draws the figure only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gannotate.decoders.build import make_decoder, save_decoder
from gannotate.generators.build import load_generator

from .conftest import Command

SHORT = ("--depth", 3, "--batch", 2, "--steps", 2)


def test_an_encoder_that_a_network_starts_from(
    command: Command, generator: Path, project: Path, labelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "encoder"
    made = command("pretrain", generator, "--out", out, "--method", "layermatch", *SHORT)
    assert made["encoder"] == str(out)
    assert made["taps"] == ["b4.conv1", "b8.conv1"]
    assert {path.name for path in out.iterdir()} == {
        *("config.json", "model.safetensors", "card.md", "log.csv", "log.jsonl", "run.json")
    }
    before = (out / "model.safetensors").read_bytes()
    again = command("pretrain", project / "generator", "--out", tmp_path / "other", *SHORT)
    assert again["match"] == made["match"]  # a project's copy of the generator teaches the same

    train = ("train", project, "--labelled", labelled, "--batch", 2, "--steps", 1, "--warp", "none")
    trained = command(*train, "--init", out, "--learning-rate", 1e-9)
    taught, found = load_file(out / "model.safetensors"), load_file(Path(trained["segmenter"]) / "model.safetensors")
    weights = [name for name in taught if name.endswith("conv1.weight")]
    assert weights
    for name in weights:
        torch.testing.assert_close(found[name], taught[name], atol=1e-6, rtol=0)
    assert (out / "model.safetensors").read_bytes() == before


def test_typed_again_draws_the_figure_only(command: Command, project: Path, labelled: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    out = tmp_path / "encoder"
    command("pretrain", project, "--out", out, *SHORT)
    before = (out / "model.safetensors").stat().st_mtime_ns
    shown = command("pretrain", project, "--out", out, *SHORT, "--figure", labelled)
    assert (out / "model.safetensors").stat().st_mtime_ns == before
    assert set(shown["figure"]["encoders"]) == {"random", "layermatch"}
    assert (out / "tsne.png").read_bytes().startswith(b"\x89PNG")
    kept = json.loads((out / "tsne.json").read_text())
    assert kept == shown["figure"]
    assert set(kept["encoders"]["random"]["per_class"]) == {"background", "left", "right"}
    assert f"--labelled DIR --init {out}" in command.text("pretrain", project, "--out", out, *SHORT)


def test_a_decoder_makes_a_whole_segmenter(command: Command, generator: Path, project: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_decoder(tmp_path / "decoder", make_decoder("light", load_generator(generator), 3))
    out = tmp_path / "out"
    made = command("pretrain", project, "--out", out, "--distill", tmp_path / "decoder", *SHORT)
    assert {"match", "rec", "labels"} <= set(made)
    config = json.loads((out / "config.json").read_text())
    assert config["segmenter"]["class_names"] == ["background", "left", "right"]
    assert config["about"]["decoder"] == str(tmp_path / "decoder")


def test_a_dry_run_writes_nothing(command: Command, generator: Path, tmp_path: Path) -> None:
    shown = command("pretrain", generator, "--out", tmp_path / "new", "--dry-run", "--taps", "b4.conv1", "b8.conv1")
    assert shown["config"]["taps"] == ["b4.conv1", "b8.conv1"]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--depth", 3, "--taps", "b8.conv9"), "no tap 'b8.conv9'"),
        (("--depth", 3, "--encoder", "resnet81"), "encoder 'resnet81' is not known"),
        (("--architecture", "unet-classic"), "unet-classic has no encoder apart from the rest"),
        (("--depth", 5), "does not divide by 32"),
        (("--depth", 3, "--distill", "nowhere"), "nowhere is not a decoder"),
        (("--distillation", 3), "--distillation weighs a decoder's labels; give one with --distill"),
        (("--method", "other"), "--method"),
    ],
)
def test_wrong_requests(
    command: Command, generator: Path, tmp_path: Path, words: tuple[object, ...], sentence: str
) -> None:
    code, said = command.mistake("pretrain", generator, "--out", tmp_path / "new", "--steps", 2, *words)
    assert (code, sentence in said) == (2, True), said
    assert not (tmp_path / "new").exists()


def test_another_pre_training_is_not_gone_on_with(command: Command, generator: Path, tmp_path: Path) -> None:
    command("pretrain", generator, "--out", tmp_path, *SHORT)
    code, said = command.mistake("pretrain", generator, "--out", tmp_path, *SHORT, "--reconstruction", 0)
    assert code == 2
    assert "holds a pre-training with another reconstruction; give a new folder to --out" in said


@pytest.mark.parametrize("method", ["layermatch", "vae"])
def test_a_generator_is_not_replaced(
    command: Command, generator: Path, labelled: Path, tmp_path: Path, method: str
) -> None:
    out = shutil.copytree(generator, tmp_path / "copy")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    of_pictures = () if method == "layermatch" else ("--unlabelled", labelled)
    words = ("pretrain", generator, "--out", out, "--method", method, "--steps", 2, *of_pictures)
    for more in ((), ("--no-resume",), ("--dry-run",)):
        code, said = command.mistake(*words, *more)
        assert (code, said) == (2, f"{out} exists and is not an empty folder; give a new one")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
