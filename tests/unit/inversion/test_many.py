"""Many pictures into a folder, and their labels through the generator."""

from __future__ import annotations

import hashlib
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gannotate.decoders.build import make_decoder
from gannotate.errors import GannotateError, UsageError
from gannotate.generators.base import to_uint8
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.inversion.gate import Gate, calibrate
from gannotate.inversion.inverter import Inverter, usual_config
from gannotate.inversion.labelling import GeneratorLabeller, label_map_at, read_labels
from gannotate.inversion.latents import latent_statistics
from gannotate.inversion.losses import OfflineLoss
from gannotate.inversion.many import (
    invert_pictures,
    judge,
    latents_path,
    load_latents,
    picture_path,
    read_inversions,
    side_by_side,
    statistics_of,
)
from gannotate.inversion.projector import InversionConfig

NAMES = ["a", "b", "deep/c", "d", "e"]


@pytest.fixture(scope="module")
def inverter(tiny: StyleGAN2) -> Inverter:
    return Inverter(tiny, InversionConfig(steps=3), OfflineLoss(), latent_statistics(tiny))


@pytest.fixture(scope="module")
def pictures(drawn: torch.Tensor) -> np.ndarray:
    return to_uint8(drawn)[:5]


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_stopped_and_gone_on_equals_uninterrupted(inverter: Inverter, pictures: np.ndarray, tmp_path: Path):
    whole = list(invert_pictures(inverter, NAMES, pictures, tmp_path / "whole", batch=2))
    assert [progress.done for progress in whole] == list(range(1, 10))
    list(islice(invert_pictures(inverter, NAMES, pictures, tmp_path / "stopped", batch=2), 5))  # within batch 2
    assert len(read_inversions(tmp_path / "stopped")) == 2
    rest = list(invert_pictures(inverter, NAMES, pictures, tmp_path / "stopped", batch=2))
    assert [progress.done for progress in rest] == list(range(4, 10))
    assert digests(tmp_path / "stopped") == digests(tmp_path / "whole")
    assert list(invert_pictures(inverter, NAMES, pictures, tmp_path / "whole", batch=2)) == []


def test_a_changed_picture_is_inverted_again(inverter: Inverter, pictures: np.ndarray, tmp_path: Path):
    list(invert_pictures(inverter, NAMES, pictures, tmp_path, batch=1))
    before, other = digests(tmp_path), pictures.copy()
    other[1] = 255 - other[1]
    assert len(list(invert_pictures(inverter, NAMES, other, tmp_path, batch=1))) == 3
    changed = {name for name, digest in digests(tmp_path).items() if before[name] != digest}
    assert changed == {"latents/b.safetensors", "pictures/b.png", "inversion.jsonl"}


def test_pictures_of_other_names_stay(inverter: Inverter, pictures: np.ndarray, tmp_path: Path):
    list(invert_pictures(inverter, NAMES[:3], pictures[:3], tmp_path))
    before = digests(tmp_path)
    list(invert_pictures(inverter, NAMES[2:], pictures[2:], tmp_path))
    assert [row["name"] for row in read_inversions(tmp_path)] == ["deep/c", "d", "e", "a", "b"]
    assert before.items() - digests(tmp_path).items() == {("inversion.jsonl", before["inversion.jsonl"])}
    list(invert_pictures(inverter, NAMES, pictures, tmp_path))
    assert [row["name"] for row in read_inversions(tmp_path)] == NAMES


def test_other_pictures_of_the_same_names_are_refused(inverter: Inverter, pictures: np.ndarray, tmp_path: Path):
    list(invert_pictures(inverter, NAMES, pictures, tmp_path))
    before = digests(tmp_path)
    with pytest.raises(UsageError, match=r"other pictures with the same names, e\.g\. a; give another --out"):
        list(invert_pictures(inverter, [*NAMES[:2], "f"], 255 - pictures[:3], tmp_path))
    assert digests(tmp_path) == before


def test_what_is_written_draws_the_picture_again(inverter: Inverter, pictures: np.ndarray, tmp_path: Path):
    list(invert_pictures(inverter, NAMES, pictures, tmp_path))
    w, noise = load_latents(tmp_path, "deep/c")
    assert [tuple(single.shape) for single in noise] == [(1, *shape) for shape in inverter.generator.noise_shapes]
    drawn = to_uint8(inverter.generator.synthesize(w[None], [single[None] for single in noise]).picture)[0, ..., 0]
    assert np.abs(drawn.astype(int) - np.asarray(Image.open(picture_path(tmp_path, "deep/c")))).max() <= 1
    rows = read_inversions(tmp_path)
    assert [row["name"] for row in rows] == NAMES
    latents_path(tmp_path, "a").write_bytes(b"")
    with pytest.raises(GannotateError, match="damaged"):
        load_latents(tmp_path, "a")


def test_other_settings_need_another_folder(inverter: Inverter, pictures: np.ndarray, tmp_path: Path):
    list(invert_pictures(inverter, NAMES, pictures, tmp_path))
    other = Inverter(inverter.generator, InversionConfig(steps=4), inverter.loss, inverter.statistics)
    with pytest.raises(UsageError, match="another steps"):
        next(invert_pictures(other, NAMES, pictures, tmp_path))
    with pytest.raises(UsageError, match="same name"):
        next(invert_pictures(inverter, ["a"] * 5, pictures, tmp_path))
    with pytest.raises(UsageError, match="batch is 0"):
        next(invert_pictures(inverter, NAMES, pictures, tmp_path, batch=0))


def test_a_gate_judges_the_rows(inverter: Inverter, pictures: np.ndarray, tmp_path: Path):
    list(invert_pictures(inverter, NAMES, pictures, tmp_path))
    gate = calibrate(statistics_of(read_inversions(tmp_path)), refusals=0.2)
    assert [row["verdict"] for row in judge(tmp_path, gate)] == ["accepted"] * 5
    never = Gate(refusals=0.2, pictures=5, centre=gate.centre, scale=gate.scale, threshold=-100)
    assert {row["verdict"] for row in judge(tmp_path, never)} == {"refused"}
    assert "verdict" not in judge(tmp_path, None)[0]


def test_the_sheet_has_each_picture_left_of_its_redrawing():
    dark, light = np.zeros((16, 16, 1), np.uint8), np.full((16, 16, 1), 200, np.uint8)
    sheet = side_by_side([dark] * 5, [light] * 5)
    assert sheet.shape == (2 * 128 + 2, 8 * 128 + 7 * 2, 3)
    assert (sheet[:128, :128] == 0).all()
    assert (sheet[:128, 130:258] == 200).all()


def test_usual_schedules():
    assert usual_config().steps == 1000
    assert usual_config(encoder=True).steps == 100
    assert (usual_config("w", 7, True).space, usual_config("w", 7, True).steps) == ("w", 7)


def test_labels_are_those_of_the_decoder_on_the_found_taps(inverter: Inverter, pictures: np.ndarray):
    torch.manual_seed(0)
    decoder = make_decoder("light", inverter.generator, 3).eval()
    labeller = GeneratorLabeller(inverter, decoder)
    redrawn = labeller.label(pictures[:2], [(16, 16), (40, 40)])
    probabilities = read_labels(inverter.invert(pictures[:2]), inverter.generator, decoder)
    assert np.array_equal(redrawn[0].label_map, probabilities[0].argmax(dim=0).numpy())
    assert redrawn[1].label_map.shape == (40, 40)
    assert redrawn[0].picture.shape == (16, 16, 1)
    assert set(redrawn[0].about) == {"psnr", "distance", "typicality"}
    assert label_map_at(torch.tensor([0.2, 0.8]).view(1, 2, 1, 1), (3, 3)).tolist() == [[1] * 3] * 3


def test_pictures_are_made_ready(inverter: Inverter):
    labeller = GeneratorLabeller(inverter, make_decoder("light", inverter.generator, 2))
    assert labeller.prepare(np.zeros((64, 64, 3), np.uint8)).shape == (16, 16, 1)
    with pytest.raises(GannotateError, match="20x16 px is not square"):
        labeller.prepare(np.zeros((16, 20, 1), np.uint8))


def test_a_gate_of_other_settings_is_refused(inverter: Inverter):
    gate = Gate(refusals=0.1, pictures=10, centre={}, scale={}, threshold=0, settings={"steps": 99})
    with pytest.raises(UsageError, match="steps 99, now 3"):
        GeneratorLabeller(inverter, make_decoder("light", inverter.generator, 2), gate)
