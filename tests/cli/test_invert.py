"""`gannotate invert` and `gannotate predict --through generator`, from files to files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gannotate.generators.base import to_uint8
from gannotate.generators.build import load_generator, save_generator
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.inversion.many import load_latents

from .conftest import SIZE, Command


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, generator: Path) -> Path:
    """A folder with 4 pictures that the generator drew."""
    folder, network = tmp_path_factory.mktemp("pictures"), load_generator(generator)
    with torch.no_grad():
        drawn = to_uint8(network.synthesize(network.map(network.latents(range(4)))).picture)
    for index, picture in enumerate(drawn):
        Image.fromarray(picture[..., 0]).save(folder / f"{index}.png")
    return folder


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    """A folder with 2 pictures that no generator draws."""
    folder, rng = tmp_path / "noisy", np.random.default_rng(0)
    folder.mkdir()
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 256, (SIZE, SIZE)).astype(np.uint8)).save(folder / f"{name}.png")
    return folder


def test_whole_and_again(command: Command, generator: Path, pictures: Path, tmp_path: Path):
    out = tmp_path / "out"
    words = ("invert", pictures, "--generator", generator, "--out", out, "--steps", 2, "--batch", 3)
    result = command(*words)
    assert (result["pictures"], result["space"], result["steps"], result["loss"]) == (4, "w+", 2, "pixels")
    rows = [json.loads(line) for line in (out / "inversion.jsonl").read_text().splitlines()]
    assert [row["name"] for row in rows] == ["0", "1", "2", "3"]
    assert result["psnr"] == pytest.approx(np.mean([row["psnr"] for row in rows]), abs=0.01)
    assert load_latents(out, "3")[0].shape == (load_generator(generator).style_count, 8)
    assert Image.open(out / "pictures" / "3.png").size == (SIZE, SIZE)
    assert Image.open(out / "grid.png").size == (8 * 128 + 14, 128)
    before = (out / "latents" / "0.safetensors").stat().st_mtime_ns
    assert command(*words) == result
    assert (out / "latents" / "0.safetensors").stat().st_mtime_ns == before
    command(*words, "--no-resume")
    assert (out / "latents" / "0.safetensors").stat().st_mtime_ns > before


def test_one_picture_and_a_summary_for_people(command: Command, generator: Path, pictures: Path, tmp_path: Path):
    out = tmp_path / "out"
    text = command.text("invert", pictures / "1.png", "--generator", generator, "--out", out, "--steps", 1)
    assert "1 pictures inverted" in text
    assert "next: gannotate predict" in text
    assert (out / "pictures" / "1.png").exists()


def test_an_encoder_is_trained_once(command: Command, generator: Path, pictures: Path, tmp_path: Path):
    words = ("invert", pictures, "--generator", generator, "--encoder", tmp_path / "e", "--encoder-steps", 3)
    result = command(*words, "--encoder-pictures", pictures, "--out", tmp_path / "one", "--space", "w", "--steps", 1)
    assert (tmp_path / "e" / "model.safetensors").exists()
    trained = (tmp_path / "e" / "model.safetensors").read_bytes()
    assert (result["encoder"], result["space"]) == (str(tmp_path / "e"), "w")
    command(*words, "--out", tmp_path / "two", "--steps", 1)
    assert (tmp_path / "e" / "model.safetensors").read_bytes() == trained


def test_a_gate_is_calibrated_and_used(
    command: Command, generator: Path, annotated: Path, pictures: Path, noisy: Path, tmp_path: Path
):
    words = ("--generator", generator, "--steps", 30)
    calibrate = ("--calibrate", pictures, "--refusals", 0.25)
    result = command("invert", noisy, *words, *calibrate, "--out", tmp_path / "one")
    assert result["refused"] == ["a", "b"]
    assert result["gate"]["calibrated_on"] == 4
    gate = tmp_path / "one" / "gate.json"
    again = command("invert", pictures, *words, "--gate", gate, "--out", tmp_path / "two")
    assert again["refused"] == []
    command("fit", annotated, "--decoder", "linear")
    through = ("predict", annotated, noisy, "--through", "generator", "--gate", gate)
    labelled = command(*through, "--out", tmp_path / "labels")
    assert labelled["refused"] == ["a.png", "b.png"]
    code, text = command.mistake(*through, "--steps", 2, "--out", tmp_path / "more")
    assert (code, "steps 30, now 2" in text) == (2, True)


def test_predict_through_the_generator(command: Command, annotated: Path, pictures: Path, tmp_path: Path):
    command("fit", annotated, "--decoder", "linear")
    given = tmp_path / "given"
    given.mkdir()
    Image.open(pictures / "0.png").resize((40, 40)).save(given / "large.png")
    Image.new("L", (20, SIZE)).save(given / "wide.png")
    out = tmp_path / "out"
    result = command("predict", annotated, given, "--through", "generator", "--steps", 2, "--out", out)
    assert result["pictures"] == 1
    assert "not square" in result["skipped"]["wide.png"]
    assert np.asarray(Image.open(out / "masks" / "large.png")).shape == (40, 40)
    assert Image.open(out / "overlays" / "large.png").size == (40, 40)
    assert Image.open(out / "redrawn" / "large.png").size == (SIZE, SIZE)
    (row,) = [json.loads(line) for line in (out / "inversion.jsonl").read_text().splitlines()]
    assert row["name"] == "large.png"
    assert row["psnr"] == pytest.approx(result["psnr"], abs=0.01)


def test_dry_run_writes_nothing(command: Command, generator: Path, pictures: Path, tmp_path: Path):
    out = tmp_path / "out"
    words = ("invert", pictures, "--generator", generator, "--out", out, "--encoder", tmp_path / "e", "--dry-run")
    result = command(*words)
    assert result["config"]["steps"] == 100
    assert result["would"][0].startswith("train an encoder")
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--steps", "0"), "steps is 0"),
        (("--batch", "0"), "--batch is 0"),
        (("--space", "z"), "z"),
        (("--refusals", "2", "--calibrate", "b"), "--refusals is 2"),
        (("--refusals", "0.5"), "give pictures to --calibrate it with"),
        (("--encoder-steps", "5"), "say where to keep it with --encoder DIR, or leave it out"),
        (("--perceptual", "nowhere.pth"), "nowhere.pth is no file"),
        (("--gate", "nowhere.json"), "there is no gate nowhere.json"),
        (("--gate", "a.json", "--calibrate", "b"), "give one of them"),
        (("--encoder-pictures", "zip"), "say where to keep it"),
        (("--encoder", "e", "--encoder-steps", "0"), "steps of the encoder is 0"),
    ],
)
def test_wrong_flags(
    command: Command, generator: Path, pictures: Path, tmp_path: Path, words: tuple[str, ...], sentence: str
):
    code, text = command.mistake("invert", pictures, "--generator", generator, "--out", tmp_path / "out", *words)
    assert code == 2
    assert sentence in text
    assert not (tmp_path / "out").exists()


def test_wrong_pictures(command: Command, generator: Path, pictures: Path, tmp_path: Path):
    out = ("--generator", generator, "--out", tmp_path / "out", "--steps", 1)
    given = tmp_path / "given"
    given.mkdir()
    assert "no pictures in" in command.mistake("invert", given, *out)[1]
    colours = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    Image.fromarray(colours).save(given / "a.png")
    code, text = command.mistake("invert", given, *out)
    assert (code, "are colour, the generator draws grey ones; add --recolour" in text) == (2, True)
    assert command("invert", given, *out, "--recolour")["pictures"] == 1
    wide, small = tmp_path / "wide.png", tmp_path / "small.png"
    Image.new("L", (SIZE + 4, SIZE)).save(wide)
    Image.new("L", (SIZE - 4, SIZE - 4)).save(small)
    assert "not square; add --crop" in command.mistake("invert", wide, *out)[1]
    assert f"at least {SIZE} px" in command.mistake("invert", small, *out)[1]
    code, text = command.mistake("invert", pictures, *out, "--calibrate", pictures)
    assert (code, "too few to refuse 0.05 of them; give at least 19" in text) == (2, True)


def test_wrong_generators(command: Command, pictures: Path, tmp_path: Path):
    out = ("--out", tmp_path / "out")
    assert "is not a generator" in command.mistake("invert", pictures, "--generator", pictures, *out)[1]
    conditional = StyleGAN2(StyleGAN2Config(size=8, z_dim=8, w_dim=8, label_dim=3, channel_base=64))
    save_generator(tmp_path / "conditional", conditional)
    code, text = command.mistake("invert", pictures, "--generator", tmp_path / "conditional", *out)
    assert (code, "draws 3 classes" in text) == (2, True)


def test_flags_of_the_other_way(command: Command, annotated: Path, pictures: Path, tmp_path: Path):
    predict = ("predict", annotated, pictures, "--out", tmp_path / "out")
    assert "--steps is for --through generator" in command.mistake(*predict, "--steps", 3)[1]
    assert "say how large they are with --tile PX" in command.mistake(*predict, "--overlap", 0.5)[1]
    assert "--tile is for a segmenter" in command.mistake(*predict, "--through", "generator", "--tile", 64)[1]
    command("fit", annotated, "--decoder", "linear")
    code, text = command.mistake(*predict, "--through", "generator", "--encoder", tmp_path / "nowhere")
    assert (code, "is not a latent-encoder" in text) == (2, True)


@pytest.mark.parametrize("flag", ["--out", "--encoder"])
def test_a_folder_of_pictures_is_left_alone(
    command: Command, generator: Path, pictures: Path, tmp_path: Path, flag: str
):
    before = sorted(path.name for path in pictures.iterdir())
    places = {"--out": tmp_path / "out", "--encoder": tmp_path / "encoder"} | {flag: pictures}
    words = [word for pair in places.items() for word in pair]
    code, said = command.mistake("invert", pictures, "--generator", generator, "--steps", 1, *words)
    assert (code, said) == (2, f"{pictures} exists and is not an empty folder; give a new one")
    assert sorted(path.name for path in pictures.iterdir()) == before
