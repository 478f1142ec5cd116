"""`gannotate fit --from real`: what it makes, that the rest of the house goes on from there, and what it refuses."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gannotate.cli import fit_real as fit_verb
from gannotate.cli.app import main
from gannotate.generators.build import load_generator
from gannotate.inversion.many import load_latents
from gannotate.labels import write_label_map
from gannotate.project import Project
from gannotate.record import read_record
from gannotate.training.checkpoint import load_checkpoint

from .conftest import Command, label

SMALL = ("--segmenter", "unet-classic", "--segmenter-width", 8)
TINY = ("--from", "real", "--max-steps", 4)
METHODS = {
    "gradient-matching": (*SMALL, "--match", "up,head", "--interval", 2),
    "maml": (*SMALL, "--inner-steps", 2),
    "pseudo-labels": (*SMALL, "--pretrain", 2, "--confidence", 0.4),
    "inversion": ("--inversion-steps", 2, "--space", "w"),
}
MADE = {"config.json", "log.csv", "log.jsonl", "model.safetensors", "run.json"}


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.iterdir()}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_makes_a_decoder(command: Command, annotated: Path, labelled: Path, method: str):
    words = ("fit", annotated, *TINY, "--labelled", labelled, "--method", method, *METHODS[method])
    found = command(*words, "--shots", 3)
    folder = annotated / "decoders" / f"0001-light-{method}"
    assert (found["decoder"], found["method"], found["shots"]) == (str(folder), method, 3)
    assert (found["label_sources"], found["steps"], found["held_out_pictures"]) == ({"real": 3}, 4, 4)
    assert 0 <= found["held_out_miou"] <= 1
    more = {"pseudo-labels": {"teacher"}, "inversion": {"inverted"}}.get(method, set())
    assert files(folder) == MADE | more
    curve = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in curve if row.get("hook")] == [1, 2, 3, 4]
    assert command("evaluate", annotated, "--of", "decoder")["pictures"] == 4  # no annotation taught it


def test_synthesize_and_train_go_on_from_there(command: Command, project: Path, labelled: Path):
    found = command("fit", project, *TINY, "--labelled", labelled, *SMALL, "--decoder", "fpn", "--setting", "width=8")
    assert Path(found["decoder"]).name == "0001-fpn-gradient-matching"
    assert (found["held_out_pictures"], "held_out_miou" in found) == (0, False)  # the project has no annotations
    assert command("synthesize", project, "-n", 4)["pictures"] == 4
    trained = command("train", project, "--encoder", "tu-resnet10t", "--depth", 3, "--batch", 2, "--max-steps", 1)
    assert trained["label_source"] == "decoder 0001-fpn-gradient-matching"
    assert (trained["labels"], trained["decoder_label_sources"]) == (4, {"real": 4})
    assert command("doctor", project)["problems"] == []


def test_a_warm_start_from_a_pre_trained_segmenter(command: Command, project: Path, labelled: Path):
    warm = ("--begin", "pseudo-labels", "--pretrain", 9, "--warm-start", 2)
    found = command("fit", project, *TINY, "--labelled", labelled, *SMALL, *warm)
    teacher = json.loads((Path(found["decoder"]) / "teacher" / "config.json").read_text())
    assert (found["steps"], teacher["about"]["trained"]["steps"]) == (4, 4)  # --max-steps is for both
    assert teacher["segmenter"]["architecture"] == "unet"
    about = json.loads((Path(found["decoder"]) / "config.json").read_text())["about"]
    settings = about["settings"]
    assert (settings["warm_start"], settings["segmenter_start"], settings["augment_generated"]) == (2, "new", True)


def test_a_warm_start_from_inverted_pictures(command: Command, project: Path, labelled: Path):
    found = command("fit", project, *TINY, "--labelled", labelled, *SMALL, "--begin", "inversion")
    assert (Path(found["decoder"]) / "inverted").is_dir()
    settings = json.loads((Path(found["decoder"]) / "config.json").read_text())["about"]["settings"]
    assert (settings["warm_from"], settings["warm_start"], settings["inversion_steps"]) == ("inversion", 2, 4)
    assert not (Path(found["decoder"]) / "teacher").exists()


def test_latents_that_are_known(command: Command, annotated: Path, labelled: Path, tmp_path: Path):
    given = ("fit", annotated, *TINY, "--labelled", labelled, "--latents", tmp_path / "inverted")
    command("invert", labelled, "--generator", annotated, "--out", tmp_path / "inverted", "--steps", 30)
    found = command(*given, "--method", "inversion")
    parts = load_checkpoint(Path(found["decoder"]) / "inverted" / "000000.safetensors")
    w, noise = load_latents(tmp_path / "inverted", "b")
    assert torch.equal(parts["w"][1], w)
    assert all(torch.equal(parts["noise"][layer][1], single) for layer, single in enumerate(noise))
    begun = command(*given, *SMALL, "--begin", "inversion")
    again = load_checkpoint(Path(begun["decoder"]) / "inverted" / "000000.safetensors")
    assert torch.equal(parts["w"], again["w"])


def test_latents_that_drew_generated_pictures(command: Command, annotated: Path, tmp_path: Path):
    opened = Project.open(annotated)
    for number, seed in enumerate((3, 1, 0)):
        picture = np.asarray(Image.open(opened.pool_picture_path(seed)))
        (tmp_path / "generated" / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "generated" / "images" / f"image_{number}.png")
        place = tmp_path / "generated" / "masks" / f"image_{number}.png"
        write_label_map(place, label(picture), opened.classes)
    generator = load_generator(opened.generator_folder)
    z = generator.latents([3, 1, 0]).double().numpy()
    words = ("fit", annotated, *TINY, "--method", "inversion", "--labelled", tmp_path / "generated")
    np.save(tmp_path / "z.npy", z)
    found = command(*words, "--latents", tmp_path / "z.npy", "--shots", 2)
    parts = load_checkpoint(Path(found["decoder"]) / "inverted" / "000000.safetensors")
    assert found["latents_psnr_db"] > 40, "but for rounding to 256 greys"
    assert parts["noise"] == "const"
    record = read_record(Path(found["decoder"]))
    assert record is not None
    assert not {"inversion_steps", "space"} & set(record["config"]["resolved"]), "nothing was sought"
    np.save(tmp_path / "turned.npy", np.roll(z, 1, axis=0))
    code, told = command.mistake(*words, "--latents", tmp_path / "turned.npy")
    assert (code, len(opened.made("decoders"))) == (2, 1)
    assert "turned.npy does not draw the labelled pictures: 3 of 3, image_0 the first, look at least as much" in told


def test_doubtful_latents_are_said(
    generator: Path, annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    drawn, network = Project.open(annotated), load_generator(generator)
    (tmp_path / "generated" / "images").mkdir(parents=True)
    for seed in range(4):
        picture = np.asarray(Image.open(drawn.pool_picture_path(seed)))
        noisy = np.clip(picture.astype(int) + np.random.default_rng(seed).integers(-30, 31, picture.shape), 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(tmp_path / "generated" / "images" / f"{seed}.png")
        write_label_map(tmp_path / "generated" / "masks" / f"{seed}.png", label(picture), drawn.classes)
    np.save(tmp_path / "z.npy", network.latents(range(4)).numpy())
    words = ("fit", annotated, *TINY, "--method", "inversion", "--labelled", tmp_path / "generated")
    assert main([str(word) for word in (*words, "--latents", tmp_path / "z.npy")]) == 0
    told = capsys.readouterr().err
    assert "dB from what their latents draw, little for those that drew them: see whether psi 1 and cutoff None" in told


def test_a_stopped_fit_goes_on(command: Command, project: Path, labelled: Path, monkeypatch: pytest.MonkeyPatch):
    words = ["fit", str(project), *map(str, (*TINY, "--labelled", labelled, *SMALL))]
    whole = fit_verb.fit_real

    def torn(*arguments, **more):
        for progress in whole(*arguments, **more):
            yield progress
            if progress.done == 2:
                signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(fit_verb, "fit_real", torn)
        assert main(words) == 130
    folder = project / "decoders" / "0001-light-gradient-matching"
    assert (folder / "checkpoint.safetensors").exists()
    assert command(*words)["decoder"] == str(folder)
    record = read_record(folder)
    assert record is not None
    assert (record["status"], record["parts"]) == ("done", 2)
    again = Path(command(*words)["decoder"])
    assert again != folder
    assert (again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_dry_run_shows_the_papers_settings(command: Command, project: Path, labelled: Path):
    shown = command("fit", project, "--from", "real", "--labelled", labelled, "--schedule", "paper", "--dry-run")
    assert "fpn decoder to real pictures (gradient-matching)" in shown["would"][0]
    resolved = shown["config"]["resolved"]
    assert (resolved["steps"], resolved["optimizer"], resolved["psi"]) == (150_000, "sgd", 0.7)
    assert Project.open(project).made("decoders") == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "real"), "there are no labelled real pictures; give a folder or zip"),
        (("--match", "all"), "--match belongs to labels of real pictures; add --from real"),
        (("--from", "real", "--labelled", "L", "--pixels", 9), "--pixels belongs to a project's annotations"),
        (("--from", "real", "--labelled", "L", "--hold-out"), "--hold-out belongs to a project's annotations"),
        (("--from", "real", "--labelled", "L", "--noise-augment"), "use --fresh-noise with --from real"),
        (("--from", "real", "--labelled", "L", "--taps", "auto"), "--taps auto compares annotated pictures"),
        (("--from", "real", "--labelled", "L", "--inner-steps", 2), "inner-steps means nothing to gradient-matching"),
        (("--from", "real", "--labelled", "L", "--match", "tail"), "unet-classic has no block 'tail'"),
        (("--from", "real", "--labelled", "L", "--interval", 0), "interval is 0; use 1 or more"),
        (("--from", "real", "--labelled", "L", "--segmenter-size", 0), "--segmenter-size is 0; give 8 to"),
        (("--from", "real", "--labelled", "L", "--segmenter-size", 65536), "--segmenter-size is 65536; give 8 to"),
        (("--from", "real", "--labelled", "L", "--segmenter-size", 20), "size 20 px does not divide by 16"),
        (("--from", "real", "--labelled", "L", "--shots", 9), "9 shots were asked for; there are 4 labelled"),
        (("--from", "real", "--labelled", "L", "--latents", "L"), "add --method inversion or --begin inversion"),
        (
            ("--from", "real", "--labelled", "L", "--begin", "inversion", "--latents", "L", "--inversion-steps", 9),
            "--inversion-steps is of seeking latents, which --latents gives; leave one out",
        ),
        (
            ("--from", "real", "--labelled", "L", "--method", "inversion", "--latents", "nowhere"),
            "nowhere does not exist; give a folder of `gannotate invert`, or a .npy array with a row for each picture",
        ),
        (
            ("--from", "real", "--labelled", "L", "--method", "inversion", "--latents", "L"),
            "is no folder of inversions, it has no inversion.json",
        ),
        (
            ("--from", "real", "--labelled", "L", "--method", "inversion", "--schedule", "paper"),
            "the paper gives no schedule for inversion; use --schedule ours",
        ),
    ],
)
def test_mistakes_are_one_sentence(command: Command, annotated: Path, labelled: Path, words: tuple, told: str):
    code, sentence = command.mistake("fit", annotated, *(labelled if word == "L" else word for word in words))
    assert code == 2
    assert told in sentence
    assert Project.open(annotated).made("decoders") == []
