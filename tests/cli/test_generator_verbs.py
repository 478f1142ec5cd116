"""Verbs beside a project that look at a generator: generate, info, mix, quality."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from gannotate.generators.build import load_generator, save_generator
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.metrics.perceptual import CHANNELS, STAGES

from .conftest import SIZE, Command


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a generator of 3 classes with random weights that draws RGB 16 px pictures."""
    folder = tmp_path_factory.mktemp("made") / "classes"
    torch.manual_seed(0)
    config = StyleGAN2Config(
        size=SIZE, label_dim=3, z_dim=8, w_dim=8, mapping_layers=2, channel_base=128, channel_max=16
    )
    save_generator(folder, StyleGAN2(config), licence="CC0", kimg=1.5)
    return folder


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Zip of 120 grey pictures of 32 px: blobs of different places."""
    path, rng = tmp_path_factory.mktemp("made") / "real.zip", np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(120):
            centre = rng.uniform(8, 24, 2)
            blob = 255 * np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / 40)
            with archive.open(f"{index}.png", "w") as file:
                Image.fromarray((blob + rng.uniform(0, 9, blob.shape)).clip(0, 255).astype(np.uint8)).save(file, "PNG")
        archive.writestr("broken.png", b"no picture")
    return path


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


# generate


def test_generate_draws_what_the_public_script_draws(command: Command, generator: Path, tmp_path: Path):
    """z from RandomState(seed), untruncated, constant noise, x * 127.5 + 128 cut to a byte."""
    command("generate", generator, "--seeds", "3,70", "--out", tmp_path / "out")
    network = load_generator(generator)
    for seed in (3, 70):
        z = torch.from_numpy(np.random.RandomState(seed).randn(1, network.z_dim)).float()
        drawn = network.synthesize(network.map(z), "const").picture
        public = (drawn * 127.5 + 128).clamp(0, 255).to(torch.uint8)[0, 0].numpy().astype(int)
        difference = np.abs(pixels(tmp_path / "out" / f"{seed}.png").astype(int) - public)
        assert difference.max() <= 1  # sums of another batch size
        assert (difference > 0).mean() < 0.01


def test_generate_puts_all_pictures_on_one_sheet(command: Command, generator: Path, tmp_path: Path):
    words = ["generate", generator, "--seeds", "0-4", "--sheet", tmp_path / "all.png"]
    result = command(*words, "--out", tmp_path / "out")
    assert (result["sheet"], result["label"]) == (str(tmp_path / "all.png"), None)
    sheet = pixels(tmp_path / "all.png")
    assert sheet.shape == (2 * SIZE + 2, 3 * SIZE + 4, 3)
    fourth = sheet[SIZE + 2 :, :SIZE, 0]
    assert np.array_equal(fourth, pixels(tmp_path / "out" / "3.png"))
    alone = command("generate", generator, "--seeds", "0-4", "--sheet", tmp_path / "alone.png")
    assert "out" not in alone
    assert (tmp_path / "alone.png").read_bytes() == (tmp_path / "all.png").read_bytes()


def test_generate_takes_a_number_of_pictures(command: Command, generator: Path, tmp_path: Path):
    drawn = command("generate", generator, "-n", 3, "--first-seed", 7, "--out", tmp_path / "some")
    assert drawn["seeds"] == [7, 8, 9]
    assert sorted(path.name for path in (tmp_path / "some").glob("*.png")) == ["7.png", "8.png", "9.png"]
    assert len(command("generate", generator, "--sheet", tmp_path / "sheet.png")["seeds"]) == 64


def test_generate_draws_the_class_asked_for(command: Command, classes: Path, tmp_path: Path):
    for label in (0, 2):
        command("generate", classes, "--seeds", "5", "--label", label, "--out", tmp_path / str(label))
        assert json.loads((tmp_path / str(label) / "pictures.json").read_text())["label"] == label
    assert not np.array_equal(pixels(tmp_path / "0" / "5.png"), pixels(tmp_path / "2" / "5.png"))


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "add --out FOLDER, or --sheet FILE.png"),
        (["--sheet", "all.jpg"], "--sheet is all.jpg; give the name of a new PNG, e.g. all.png"),
        (["--sheet", "here.png"], "here.png exists; give a new name to --sheet"),
        (["--sheet", "new.png", "--seeds", "0-390625"], "--sheet takes at most 390625 pictures of 16 px, these are"),
        (["--sheet", "new.png", "--cutoff", "7"], "--cutoff is 7; this generator has 6 styles"),
        (["--sheet", "new.png", "--label", "1"], "--label is 1, but this generator has no classes"),
        (["--sheet", "new.png", "-n", "0"], "-n is 0; give the number of pictures, 1 to 1,000,000"),
        (["--sheet", "new.png", "--first-seed", "-1"], "--first-seed is -1; give 0 or more"),
        (["--sheet", "new.png", "-n", "2", "--seeds", "5"], "leave -n and --first-seed out, or --seeds"),
    ],
)
def test_generate_refuses(command: Command, generator: Path, tmp_path: Path, monkeypatch, words: list[str], part: str):
    monkeypatch.chdir(tmp_path)
    Path("here.png").write_bytes(b"")
    code, text = command.mistake("generate", generator, *words)
    assert code == 2
    assert part in text
    assert [path.name for path in tmp_path.iterdir()] == ["here.png"]


@pytest.mark.parametrize("verb", ["generate", "mix", "quality"])
def test_a_generator_of_classes_wants_one(command: Command, classes: Path, real: Path, tmp_path: Path, verb: str):
    where = ["--against", real] if verb == "quality" else ["--out", tmp_path / "x.png"]
    code, text = command.mistake(verb, classes, *where)
    assert (code, text) == (2, "this generator draws 3 classes; say which one, e.g. --label 0, up to 2")
    code, text = command.mistake(verb, classes, *where, "--label", 3)
    assert (code, text) == (2, "--label is 3; the 3 classes of this generator are 0 to 2")


# info


def test_info_tells_taps_memory_and_card(command: Command, classes: Path, project: Path):
    found = command("info", classes)
    assert (found["architecture"], found["size"], found["classes"], found["style_count"]) == ("stylegan2", SIZE, 3, 6)
    assert [tap["name"] for tap in found["taps"]] == ["b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1"]
    assert found["native_mb"] == pytest.approx((16 * 16 + 2 * 16 * 64 + 2 * 8 * 256) * 4 / 1e6)
    assert found["stacked_mb"] == pytest.approx((3 * 16 + 2 * 8) * SIZE**2 * 4 / 1e6)
    network = load_generator(classes)
    assert found["parameter_count"] == sum(parameter.numel() for parameter in network.parameters())
    assert found["about"] == {"licence": "CC0", "kimg": 1.5}
    text = command.text("info", classes)
    assert text.startswith("stylegan2, 16 px RGB, 3 classes; z 8, w 8, 6 styles (coarse 0-2, middle 3-5)\n")
    assert "b8.conv0         16    8x8  1 of 2, doubles  coarse      1  0.004        0.02" in text
    assert text.endswith("licence: CC0\nkimg: 1.5\n")
    assert command("info", project)["generator"] == str(project / "generator")


def test_info_refuses_what_is_no_generator(command: Command, generator: Path, tmp_path: Path):
    code, text = command.mistake("info", tmp_path)
    assert (code, text.startswith(f"{tmp_path} is not a generator (no config.json); make one with")) == (2, True)
    (tmp_path / "config.json").write_text("{")
    code, text = command.mistake("info", tmp_path)
    assert code == 1
    assert "config.json is damaged" in text
    (tmp_path / "config.json").write_bytes((generator / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"short")
    code, text = command.mistake("info", tmp_path)
    assert code == 1
    assert "model.safetensors is damaged or does not fit" in text


# mix


def test_mix_writes_sources_and_mixtures(command: Command, generator: Path, tmp_path: Path):
    command("generate", generator, "--seeds", "0-2,9", "--out", tmp_path / "own")
    words = ["mix", generator, "--rows", "0-2", "--cols", "9"]
    result = command(*words, "--styles", "all", "--out", tmp_path / "all.png")
    assert result["styles"] == list(range(6))
    sheet = pixels(tmp_path / "all.png")[..., 0]
    assert sheet.shape == (SIZE + 8 + 3 * (SIZE + 2) - 2, SIZE + 8 + SIZE)
    for row in range(3):
        top = SIZE + 8 + row * (SIZE + 2)
        assert np.array_equal(sheet[top : top + SIZE, :SIZE], pixels(tmp_path / "own" / f"{row}.png"))
        assert np.array_equal(sheet[top : top + SIZE, SIZE + 8 :], pixels(tmp_path / "own" / "9.png"))
    assert np.array_equal(sheet[:SIZE, SIZE + 8 :], pixels(tmp_path / "own" / "9.png"))
    assert command(*words, "--out", tmp_path / "coarse.png")["styles"] == [0, 1, 2]
    assert command(*words, "--styles", "middle,1", "--out", tmp_path / "some.png")["styles"] == [1, 3, 4, 5]
    assert "styles 2, 4 of the columns" in command.text(*words, "--styles", "4,2", "--out", tmp_path / "two.png")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--out", "x.png", "--styles", "fine"], "--styles has 'fine'; give numbers from 0 to 5 like 0-6, or coarse"),
        (["--out", "x.png", "--styles", "2-6"], "there is no style 6; this generator has styles 0 to 5"),
        (["--out", "x.png", "--rows", "b"], "--rows has 'b'; give whole numbers and ranges"),
        (["--out", "x.png", "--cols", "5-2"], "--cols has '5-2', which ends before it begins"),
        (["--out", "x.png", "--cols", "0-99999999"], "--cols has '0-99999999'; give at most 1,000,000 seeds at a time"),
        (["--out", "x.png", "--cols", "0-199999"], "--out takes at most 390625 pictures of 16 px, these are 1000005"),
        (["--out", "x"], "--out is x; give the name of a new PNG, e.g. x.png"),
        (["--out", "x.png", "--psi", "9"], "psi is 9.0; use a number from -2 to 2"),
    ],
)
def test_mix_refuses(command: Command, generator: Path, tmp_path: Path, monkeypatch, words: list[str], part: str):
    monkeypatch.chdir(tmp_path)
    code, text = command.mistake("mix", generator, *words)
    assert code == 2
    assert part in text
    assert list(tmp_path.iterdir()) == []


# quality


def test_quality_measures_beside_a_floor(command: Command, generator: Path, real: Path):
    words = ["quality", generator, "--against", real, "--space", "pixels-32px", "--ppl-pairs", 50]
    found = command(*words)
    assert (found["real_pictures"], found["measured_against"], found["feature_space"]) == (120, 60, "pixels-32px")
    assert list(found["skipped"].values()) == [1]
    generated, floor = found["generated"], found["floor"]
    assert (generated["pictures"], floor["pictures"]) == (60, 60)
    assert abs(floor["kid"]) < 4 * floor["kid_standard_error"]
    assert generated["kid"] > 4 * generated["kid_standard_error"]  # noise of random weights is no blob
    assert generated["precision"] < 0.1 < 0.5 < floor["precision"]
    path = found["path_length"]
    assert (path["distance"], path["space"], path["comparable_with_published"]) == ("pixels-32px", "w", False)
    again = command(*words)
    assert all(again[name] == found[name] for name in ("generated", "floor", "path_length"))
    other = command(*words, "--ppl-space", "z", "--ppl-sampling", "full", "--psi", "0.5", "--no-floor")
    assert (other["measured_against"], other["floor"]) == (120, None)
    assert other["path_length"]["value"] != path["value"]


def test_quality_says_what_may_be_compared(command: Command, generator: Path, real: Path):
    text = command.text("quality", generator, "--against", real, "--space", "pixels-32px", "--ppl-pairs", 50)
    assert text.splitlines()[0].split("  ")[-1] == "real, held back"
    assert "measured against 60 real pictures in pixels-32px; compare only figures of that space" in text
    assert "over 50 steps in pixels-32px, not comparable with published figures" in text
    text = command.text("quality", generator, "--against", real, "--ppl-pairs", 0, "--space", "pixels")
    assert "path length" not in text


def test_quality_takes_perceptual_weights_by_path(command: Command, generator: Path, real: Path, tmp_path: Path):
    rng, inputs, state = torch.Generator().manual_seed(0), 3, {}
    for outputs, convolutions in zip(CHANNELS, STAGES, strict=True):
        for index in convolutions:
            weight = torch.randn(outputs, inputs, 3, 3, generator=rng) * (2 / (9 * inputs)) ** 0.5
            state |= {f"features.{index}.weight": weight, f"features.{index}.bias": torch.zeros(outputs)}
            inputs = outputs
    linear = {f"lin{stage}.model.1.weight": torch.ones(1, n, 1, 1) / 10 for stage, n in enumerate(CHANNELS)}
    files = tmp_path / "vgg16.safetensors", tmp_path / "linear.safetensors"
    save_file(state, files[0])
    save_file(linear, files[1])
    words = ["quality", generator, "--against", real, "--space", "pixels-32px", "--ppl-pairs", 50, "--lpips"]
    alone, both = command(*words, files[0])["path_length"], command(*words, *files)["path_length"]
    assert alone["distance"].startswith("vgg16-unweighted-")
    assert both["distance"].startswith("lpips-vgg16-")
    assert (alone["comparable_with_published"], both["comparable_with_published"]) == (False, True)
    assert both["value"] == pytest.approx(alone["value"] / 10, rel=1e-3)


def test_quality_of_few_pictures_has_no_floor(command: Command, generator: Path, tmp_path: Path):
    rng = np.random.default_rng(0)
    for index in range(60):
        Image.fromarray(rng.integers(0, 256, (SIZE, SIZE), dtype=np.uint8)).save(tmp_path / f"{index}.png")
    words = ["quality", generator, "--against", tmp_path, "--space", "pixels", "--ppl-pairs", 0]
    assert "no floor: too few real pictures" in command.text(*words)
    found = command(*words)
    assert (found["floor"], found["measured_against"], found["generated"]["pictures"]) == (None, 60, 50)


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["--against", "nowhere"], 2, "nowhere does not exist; give a folder or a zip of pictures"),
        (["--pictures", "9"], 2, "9 drawn pictures say nothing; ask for at least 50"),
        (["--space", "scatering"], 2, "did you mean 'scattering'"),
        (["--space", "noise.pth"], 1, "cannot read inception_v3 weights from noise.pth"),
        (["--lpips", "noise.pth"], 1, "cannot read vgg16 weights from noise.pth (it is damaged, or holds"),
        (["--lpips", "noise.pth", "--ppl-pairs", "0"], 2, "--ppl-pairs 0 leaves out; give one of them only"),
        (["--ppl-pairs", "7"], 2, "--ppl-pairs is 7, too few for a path length; give at least 50, or 0"),
        (["--ppl-space", "x"], 2, 'Invalid value "x" for --ppl-space'),
    ],
)
def test_quality_refuses(
    command: Command, generator: Path, real: Path, tmp_path: Path, monkeypatch, words: list[str], code: int, part: str
):
    monkeypatch.chdir(tmp_path)
    Path("noise.pth").write_bytes(b"not weights at all")
    against = [] if "--against" in words else ["--against", str(real)]
    found, text = command.mistake("quality", generator, *against, *words)
    assert found == code
    assert part in text


def test_dry_runs_draw_nothing(command: Command, generator: Path, real: Path, tmp_path: Path):
    for words in (["info", generator], ["mix", generator, "--out", tmp_path / "x.png"]):
        assert command(*words, "--dry-run")["dry_run"] is True
    assert command("quality", generator, "--against", real, "--dry-run")["config"]["ppl_pairs"] == 1000
    assert list(tmp_path.iterdir()) == []
