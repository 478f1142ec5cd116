"""From annotations to predictions with a tiny generator: the exact files, what they say, and going on after a kill."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gannotate.cli import train as train_verb
from gannotate.cli.app import main
from gannotate.cli.evaluate import as_text
from gannotate.cli.predict_pictures import out_names
from gannotate.project import Project
from gannotate.record import read_record
from gannotate.segmenters.predict import Segmenter

from .conftest import SIZE, Command

TINY = ["--encoder", "tu-resnet10t", "--depth", 3, "--batch", 2, "--max-steps", 4]
RUN = {"config.json", "log.csv", "log.jsonl", "model.safetensors", "run.json"}
EVALUATED = {"run.json", "reliability.svg", "examples/examples.json", "examples/pictures.json"}
EXAMPLE = ("", ".truth", ".prediction", ".uncertainty")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def dataset(command: Command, annotated: Path) -> Path:
    """The annotated project with a decoder of 3 shots and a dataset of 8 pictures."""
    command("fit", annotated, "--max-steps", 6, "--shots", 3)
    command("synthesize", annotated, "-n", 8)
    return annotated


def test_the_whole_way(command: Command, annotated: Path, labelled: Path, tmp_path: Path):
    before = files(annotated)
    fitted = command("fit", annotated, "--max-steps", 6, "--shots", 3)
    assert (fitted["shots"], fitted["label_sources"], fitted["steps"]) == (3, {"person": 3}, 6)
    made = command("synthesize", annotated, "-n", 8)
    assert (made["pictures"], Path(made["dataset"]).name) == (8, "0001")
    trained = command("train", annotated, *TINY)
    assert (trained["pictures"], trained["labels"], trained["steps"]) == (8, 3, 4)
    assert trained["label_source"] == "decoder 0001-light"
    assert trained["peak_rss_mb"] > 50
    scored = command("evaluate", annotated, "--test", labelled, "--labelled", labelled, "--shots", 2)
    assert set(scored["per_class"]) == {"background", "left", "right"}
    assert np.sum(scored["confusion"]) == 4 * SIZE * SIZE
    assert {name: floor["labels"] for name, floor in scored["floors"].items()} == {"majority": 2, "pixels": 2}
    held_out = command("evaluate", annotated, "--of", "decoder")
    assert (held_out["pictures"], held_out["labels"]) == (1, 3)
    predicted = command("predict", annotated, labelled, "--out", tmp_path / "out")
    assert predicted["pictures"] == 4
    assert predicted["seconds"] > 0
    assert files(annotated) - before == {
        *(f"decoders/0001-light/{name}" for name in RUN),
        *(f"datasets/0001/{name}" for name in ("README.md", "croissant.json")),
        *(f"datasets/0001/{name}" for name in ("manifest.json", "run.json", "shard-000000.tar")),
        *(f"segmenters/0001-unet/{name}" for name in RUN | {"evaluation.json"}),
        *(f"runs/000{run}-evaluate/{name}" for run in (1, 2) for name in EVALUATED),
        *(f"runs/0001-evaluate/examples/{index:06d}{kind}.png" for index in range(4) for kind in EXAMPLE),
        *(f"runs/0002-evaluate/examples/000000{kind}.png" for kind in EXAMPLE),
    }
    assert files(tmp_path / "out") == {f"{kind}/{name}.png" for kind in ("masks", "overlays") for name in "abcd"}
    assert command("doctor", annotated)["problems"] == []


def test_scores_as_text():
    scores = {
        "per_class": {"bg": 0.5, "nose": None},
        "miou": 0.5,
        "fg_miou": None,
        "area_iou": 0.5,
        "pixel_accuracy": 0.75,
    }
    about = {"of": "segmenter", "scored": "0001-unet", "test": "test.zip", "pictures": 1, "size_px": 64}
    about["absent"] = "skip"
    text = as_text(about | scores | {"confusion": [[3, 1], [0, 0]], "calibration": {"ece": 0.25}})
    rows = [line.split() for line in text.splitlines()]
    assert ["bg", "0.500"] in rows
    assert ["nose", "-"] in rows
    assert ["bg", "75.0", "25.0"] in rows
    assert ["nose", "-", "-"] in rows
    assert ["calibration", "error", "0.250"] in rows


def test_a_score_that_is_not_above_both_floors_is_called_so():
    scores = {"per_class": {"bg": 0.5}, "miou": 0.5, "fg_miou": None, "area_iou": 0.5, "pixel_accuracy": 0.5}
    shown = {"of": "segmenter", "scored": "0001-unet", "test": "test.zip", "pictures": 2, "size_px": 64, **scores}
    shown |= {"absent": "skip", "confusion": [[1]], "calibration": {"ece": 0.25}}
    told = "is not above the floor"
    assert as_text(shown).startswith("0001-unet on 2 pictures of 64 px (test.zip); ")
    assert told not in as_text(shown)
    floors = {"majority": scores | {"miou": 0.5}, "pixels": scores | {"miou": 0.25}}
    assert "mIoU 0.500 is not above the floor majority (mIoU 0.500): this is no model yet" in as_text(
        shown | {"floors": floors}
    )
    assert told not in as_text(shown | {"floors": {"pixels": floors["pixels"]}})


def test_evaluate_tells_how_far_it_is_and_which_pictures_are_shared(
    command: Command, project: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command("train", project, "--labelled", labelled, *TINY)
    for path in sorted(labelled.rglob("c.png")):  # one that is in there under another name
        (tmp_path / "test" / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "test" / path.parent.name / "z.png")
    assert main(["evaluate", str(project), "--test", str(tmp_path / "test"), "--labelled", str(labelled)]) == 0
    shown = capsys.readouterr()
    assert "evaluate: 1/1 in " in shown.err
    assert "floors: 5/5 in " in shown.err
    assert "--test and --labelled have 1 picture in common, and scores on pictures that were learned" in shown.err
    assert f" on 1 picture of {SIZE} px (" in shown.out


def test_labelled_pictures_of_the_other_kind_and_with_other_names(
    command: Command, project: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    names = {"0": "background", "1": "right", "2": "left"}
    (labelled / "classes.json").write_text(json.dumps({"classes": names}))
    shown = np.zeros((SIZE, SIZE, 3), np.uint8)
    shown[..., 0] = 200
    Image.fromarray(shown).save(labelled / "images" / "a.png")
    words = ["train", str(project), "--labelled", str(labelled), *map(str, TINY)]
    assert main(words) == 0
    told = f"{labelled} has 1 colour picture among its 4; they are taken as grey, as the project's are"
    assert told in capsys.readouterr().err
    (labelled / "classes.json").write_text(json.dumps({"classes": names | {"2": "nose"}}))
    code, text = command.mistake("evaluate", project, "--test", labelled)
    assert code == 1
    assert "has the class 'nose'" in text


def test_run_folders_say_what_made_them(command: Command, dataset: Path):
    command("train", dataset, *TINY, "--seed", 3)
    record = read_record(dataset / "segmenters" / "0001-unet")
    assert record is not None
    assert (record["status"], record["verb"], record["seed"]) == ("done", "train", 3)
    assert record["config"]["dataset"] == str(dataset / "datasets" / "0001")
    assert record["config"]["learning_rate"] == 0.002
    assert record["about"] == {
        "label_source": "decoder 0001-light",
        "labels": 3,
        "decoder_label_sources": {"person": 3},
    }


def test_predictions_are_the_segmenters(command: Command, dataset: Path, labelled: Path, tmp_path: Path):
    folder = command("train", dataset, *TINY)["segmenter"]
    Image.open(labelled / "images" / "a.png").resize((30, 20)).save(labelled / "images" / "a.png")
    (labelled / "images" / "e.png").write_bytes(b"torn")
    for number, network in enumerate((dataset, folder)):
        result = command("predict", network, labelled, "--out", tmp_path / f"out{number}", "--no-overlays")
        assert (result["pictures"], list(result["skipped"])) == (4, ["images/e.png"])
    assert files(tmp_path / "out0") == {f"masks/{name}.png" for name in "abcd"}
    for name in "abcd":
        picture = np.asarray(Image.open(labelled / "images" / f"{name}.png"))
        (expected,) = Segmenter.load(folder).predict([picture[..., None]])
        drawn = Image.open(tmp_path / "out0" / "masks" / f"{name}.png")
        assert drawn.mode == "P"
        assert np.array_equal(np.asarray(drawn), expected)
        assert (tmp_path / "out1" / "masks" / f"{name}.png").read_bytes() == Path(drawn.filename).read_bytes()
    single = command("predict", dataset, labelled / "images" / "a.png", "--out", tmp_path / "one")
    assert (single["pictures"], files(tmp_path / "one")) == (1, {"masks/a.png", "overlays/a.png"})


def test_names_of_predictions_never_meet():
    assert out_names(("images/a.png", "images/b/a.jpg", "images/c.jpg", "images/c.png")) == [
        "a.png",
        "b/a.png",
        "c.jpg.png",
        "c.png.png",
    ]


def test_train_goes_on_after_a_kill(command: Command, dataset: Path, monkeypatch: pytest.MonkeyPatch):
    whole = train_verb.train_segmenter

    def torn(*arguments, **more):
        for progress in whole(*arguments, **more):
            yield progress
            if progress.done == 2:
                signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(train_verb, "train_segmenter", torn)
        assert main(["train", str(dataset), *map(str, TINY)]) == 130
    folder = dataset / "segmenters" / "0001-unet"
    assert (folder / "checkpoint.safetensors").exists()
    assert not (folder / "model.safetensors").exists()
    assert main(["doctor", str(dataset), "--quiet"]) == 1
    assert command("train", dataset, *TINY)["segmenter"] == str(folder)
    record = read_record(folder)
    assert record is not None
    assert (record["status"], record["parts"]) == ("done", 2)
    assert files(folder) == RUN
    again = Path(command("train", dataset, *TINY)["segmenter"])
    assert again.name == "0002-unet"
    assert (again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    steps = [
        [row["step"] for row in map(json.loads, (one / "log.jsonl").read_text().splitlines())]
        for one in (folder, again)
    ]
    assert steps[0][-1] == steps[1][-1] == 4


def test_supervised_training_and_its_simulated_annotations(command: Command, project: Path, labelled: Path):
    trained = command("train", project, "--labelled", labelled, "--labelled", labelled, "--shots", 3, *TINY)
    assert Path(trained["segmenter"]).name == "0001-unet-supervised"
    assert (trained["pictures"], trained["labels"], trained["label_source"]) == (3, 3, "labelled pictures")
    miou = command("evaluate", project, "--test", labelled)["miou"]
    opened = Project.open(project)
    opened.write_annotation(0, np.zeros((SIZE, SIZE), np.uint8), "person", {})
    result = command("simulate", project, "--segmenter", "0001-unet-supervised", "-n", 3)
    assert result["seeds"] == [1, 2, 3]
    annotations = {one.seed: one for one in opened.annotations()}
    assert {seed: one.source for seed, one in annotations.items()} == {
        0: "person",
        **dict.fromkeys((1, 2, 3), "simulated"),
    }
    assert annotations[1].about == {
        "segmenter": trained["segmenter"],
        "network": "unet tu-resnet10t",
        "labels": 3,
        "label_source": "labelled pictures",
        "miou": pytest.approx(miou),
        "miou_on": str(labelled),
    }
    picture = np.asarray(Image.open(opened.pool_picture_path(2)))
    (expected,) = Segmenter.load(trained["segmenter"]).predict([picture[..., None]])
    assert np.array_equal(opened.read_annotation(2), expected)
    replaced = command("simulate", project, "--segmenter", trained["segmenter"], "--replace")
    assert replaced["seeds"] == [1, 2, 3, 4, 5]
    code, text = command.mistake("simulate", project, "--segmenter", "1")
    assert code == 2
    assert text.startswith("every pool picture is annotated")


def test_a_simulator_with_other_classes(
    command: Command, generator: Path, project: Path, labelled: Path, tmp_path: Path
):
    folder = command("train", project, "--labelled", labelled, *TINY)["segmenter"]
    other = tmp_path / "other"
    command("new", other, "--classes", "background,lung,heart", "--generator", generator)
    command("sample", other, "-n", 1)
    code, text = command.mistake("simulate", other, "--segmenter", folder)
    assert code == 1
    assert text.startswith("the segmenter tells background, left, right apart, the project background, lung, heart")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["train"], "has no finished dataset yet; make one with `gannotate synthesize"),
        (["train", "--shots", "2"], "give them with --labelled, or leave --shots out"),
        (
            ["train", "--labelled", "{labelled}", "--shots", "9"],
            "9 shots were asked for; there are 4 labelled pictures",
        ),
        (["train", "--labelled", "{labelled}", "--encoder", "resnet81"], "encoder 'resnet81' is not known"),
        (["evaluate"], "there are no test pictures"),
        (["evaluate", "--test", "{labelled}"], "has no finished segmenter yet; make one with `gannotate train"),
        (["evaluate", "--of", "decoder", "--labelled", "{labelled}"], "leave --labelled out"),
        (["simulate", "--segmenter", "2"], "has no segmenter '2'; it has none yet"),
        (["synthesize", "-n", "0"], "-n is 0; give the number of pictures, 1 or more"),
    ],
)
def test_mistakes_are_one_sentence(command: Command, project: Path, labelled: Path, words: list[str], part: str):
    verb, *flags = (word.format(labelled=labelled) for word in words)
    code, text = command.mistake(verb, project, *flags)
    assert code == 2
    assert part in text
    assert not list((project / "segmenters").glob("*"))


def test_labelled_pictures_that_do_not_fit(command: Command, project: Path, labelled: Path, tmp_path: Path):
    Image.fromarray(np.full((SIZE, SIZE), 9, np.uint8)).save(labelled / "masks" / "b.png")
    code, text = command.mistake("train", project, "--labelled", labelled)
    assert code == 1
    assert "masks/b.png: unknown class id 9 (256 px); accepted are 0-2 for the 3 classes and 255 for ignore" in text
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(labelled / "masks" / "b.png")
    assert "masks/b.png is 8x8 px" in command.mistake("train", project, "--labelled", labelled)[1]
    (tmp_path / "empty" / "images").mkdir(parents=True)
    code, text = command.mistake("train", project, "--labelled", tmp_path / "empty")
    assert code == 2
    assert text.startswith(f"no pictures in {tmp_path}/empty/images")


def test_pictures_for_a_generator_of_mixed_sizes(command: Command, tmp_path: Path):
    (tmp_path / "mixed").mkdir()
    for name, side in (("a", 64), ("b", 70), ("c", 80)):
        Image.new("L", (side, side)).save(tmp_path / "mixed" / f"{name}.png")
    code, text = command.mistake("train-generator", tmp_path / "mixed", "--out", tmp_path / "g")
    assert code == 2
    assert "has pictures of mixed sizes, the most common are" in text
    code, text = command.mistake("train-generator", tmp_path / "none", "--out", tmp_path / "g")
    assert code == 2
    assert "does not exist; give a folder or a zip of pictures" in text
    assert not (tmp_path / "g").exists()
