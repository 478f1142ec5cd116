"""`gannotate data benchmarks | check | export-benchmark | label`, and `evaluate` by a paper's protocol."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gannotate
from gannotate.cli.app import main
from gannotate.cli.evaluate import as_text
from gannotate.data.benchmarks import shipped
from gannotate.data.labelled import read_labelled
from gannotate.labels import make_classes, write_label_map
from gannotate.metrics.protocols import figures, find_protocol
from gannotate.project import Project
from gannotate.segmenters.build import SegmenterConfig, build_network, save_segmenter
from gannotate.segmenters.predict import Segmenter

from .conftest import SIZE, Command, label

CLASSES = "background,left,right"


@pytest.fixture
def cats(tmp_path: Path) -> Path:
    """Cat-16: whole but for one array of the test pictures."""
    rng = np.random.default_rng(0)
    for folder, count in (("training_data/cat_processed", 30), ("testing_data/cat_16_class", 20)):
        place = tmp_path / "cats" / folder
        place.mkdir(parents=True)
        for number in range(count):
            Image.fromarray(rng.integers(0, 256, (20, 20, 3)).astype(np.uint8)).save(place / f"image_{number}.jpg")
            np.save(place / f"image_mask{number}.npy", rng.integers(0, 16, (20, 20)))
    (tmp_path / "cats/testing_data/cat_16_class/image_mask7.npy").unlink()
    return tmp_path / "cats"


def test_lists_them_all(command: Command):
    result = command("data", "benchmarks")
    assert {one["name"] for one in result["benchmarks"]} == set(shipped())
    text = command.text("data", "benchmarks")
    assert all(name in text for name in shipped())
    shown = command.text("data", "benchmarks", "celebamask-hq-8")
    assert "   0 background <- background, hat, ear_r, neck_l, neck, cloth\n" in shown
    assert "train: labelled; the papers' sets of 2, 10, 30, 150 are its first ones, 1500 pictures" in shown
    assert "licence: non-commercial research" in shown
    assert command("data", "benchmarks", "car-20")["classes"]["tire"] == ["tire"]
    assert "NOTE: the authors of datasetgan-best chose" in command.text("data", "benchmarks", "ade-car-12")
    assert "NOTE: the authors of lagm-cgpart chose" in command.text("data", "benchmarks", "cgpart-car-15")
    assert "54.3, where it says 53.1" in command.text("data", "benchmarks", "pascal-part-horse-5")


def test_check_counts_names_and_shows(command: Command, cats: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    sheet = tmp_path / "sheet.png"
    result = command("data", "check", "cat-16", cats, "--sheet", sheet)
    splits = result["splits"]
    assert (splits["train"]["whole"], splits["test"]["whole"]) == (True, False)
    assert (splits["test"]["pictures"], splits["test"]["complete"], splits["test"]["missing_files"]) == (20, 19, 1)
    assert "test misses testing_data/cat_16_class/(an array 7)" in result["notes"]
    with Image.open(sheet) as image:
        assert image.size[0] > 8 * 160
    assert main(["data", "check", "cat-16", str(cats), "--sheet", str(sheet), "--full"]) == 0
    shown = capsys.readouterr()
    assert "test misses testing_data/cat_16_class/(an array 7)" in shown.err
    assert "no release names the classes" in shown.err
    rows = [line.split() for line in shown.out.splitlines()]
    assert ["train", "30", "30", "30", "30", "0", "whole"] in rows
    assert ["test", "20", "20", "19", "19", "0", "not", "whole"] in rows


def test_an_export_is_a_labelled_folder(command: Command, cats: Path, tmp_path: Path):
    out = tmp_path / "out.zip"
    words = ["data", "export-benchmark", "cat-16", cats, "--split", "train", "--out", out]
    assert "would write 5 pictures" in command.text(*words, "--first", 5, "--dry-run")
    assert not out.exists()
    result = command(*words, "--size", 16, "--first", 5, "--grey")
    assert (result["pictures"], result["protocol"], result["skipped"]) == (5, "datasetgan-cv", [])
    found = read_labelled(out, 16)
    assert found.pictures.shape == (5, 16, 16, 1)
    test = command("data", "export-benchmark", "cat-16", cats, "--split", "test", "--out", tmp_path / "t", "--size", 8)
    assert [item["name"] for item in test["skipped"]] == ["image_7"]
    assert "test has 19 pictures here, 20 as published: not comparable" in test["notes"]
    text = command.text(*words[:-1], tmp_path / "whole", "--size", 8)
    assert "next: gannotate new PROJECT --classes 'background,part 1,part 2" in text
    assert f"--pictures {tmp_path}/whole --size 8 --mirror no" in text


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["check", "cat-15", "{cats}"], "there is no benchmark 'cat-15'"),
        (["check", "cat-16", "{cats}/nothing"], "does not exist; give the folder of the unpacked dataset"),
        (["check", "car-20", "{cats}"], "has no training_data/car_processed or testing_data/car_20_class"),
        (
            ["export-benchmark", "cat-16", "{cats}", "--split", "val", "--out", "x"],
            "has no split 'val'; use one of train",
        ),
        (["export-benchmark", "cat-16", "{cats}", "--split", "test", "--out", "{cats}"], "exists and is not an empty"),
        (
            ["export-benchmark", "cat-16", "{cats}", "--split", "test", "--out", "x", "--first", "21"],
            "21 pictures were asked",
        ),
        (["label", "lsun-cars", "{cats}", "--network", "none"], "none does not exist; give a Hugging Face folder"),
        (
            ["domain", "cat-16", "{cats}", "--out", "x", "--labelled", "trains"],
            "has no split 'trains'; use one of train",
        ),
        (["domain", "cat-16", "{cats}", "--out", "x", "--test", "train"], "share 30 pictures"),
        (
            ["domain", "cat-16", "{cats}", "--out", "x", "--generator", "none"],
            "none is no folder; give the folder of",
        ),
    ],
)
def test_mistakes_are_one_sentence(command: Command, cats: Path, words: list[str], part: str):
    code, text = command.mistake("data", *(word.format(cats=cats) for word in words))
    assert code == 2
    assert part in text


def test_a_split_without_pictures_says_so(command: Command, tmp_path: Path):
    folder = two_colours(tmp_path / "lsun", 0)
    words = ["data", "export-benchmark", "lsun-cars", folder, "--split", "train", "--out", tmp_path / "o"]
    code, text = command.mistake(*words)
    assert (code, "the folder has no picture of train; see `data check`" in text) == (1, True)


def test_the_next_step_after_rendered_cars_makes_a_project(command: Command, tmp_path: Path):
    model = shipped()["cgpart-car-10"].splits["train"].only[0]
    for kind, array in (("image", np.zeros((48, 64, 3), np.uint8)), ("seg", np.zeros((48, 64), np.uint8))):
        place = tmp_path / "cars/CGPart_render/car" / kind / model
        place.mkdir(parents=True)
        for number in range(2):
            array[:20] = number + 1
            Image.fromarray(array).save(place / f"{number:06d}.png")
    out = tmp_path / "out"
    words = ["data", "export-benchmark", "cgpart-car-10", tmp_path / "cars", "--split", "train", "--out", out]
    step = next(line for line in command.text(*words, "--size", 16).splitlines() if line.startswith("next: "))
    made = step.removeprefix("next: gannotate ").replace("PROJECT", str(tmp_path / "project"))
    assert main(shlex.split(made)) == 0
    assert len(Project.open(tmp_path / "project").pool("real")) == 2


def test_a_domain_is_what_a_study_runs_on(command: Command, cats: Path, tmp_path: Path):
    generator, domain = Path(gannotate.__file__).parent / "assets/portraits/generator", tmp_path / "my cats"
    words = ["data", "domain", "cat-16", cats, "--out", domain, "--size", 16, "--first", 4, "--generator", generator]
    assert f"would write 4 pictures of train into {domain}/labelled.zip" in command.text(*words, "--dry-run")
    assert not domain.exists()
    result = command(*words)
    assert (result["pictures"], result["lacking"]) == ({"labelled": 4, "test": 19}, ["unlabelled"])
    assert len(result["skipped"]["test"]) == 1
    assert any("studies that need some want --unlabelled DIR here" in note for note in result["notes"])
    assert any(note.startswith("studies score by the protocol datasetgan-cv, but") for note in result["notes"])
    again = [*words[:5], tmp_path / "b", *words[6:]]
    assert f"next: gannotate study run supervised-labels --domain {tmp_path}/b\n" in command.text(*again)
    planned = command("study", "run", "supervised-labels", "--domain", domain, "--quick", "--dry-run")
    assert any(f"--labelled '{domain}/labelled.zip' --shots 1" in step for step in planned["would"])
    code, text = command.mistake(*words)
    assert (code, "exists and is not an empty folder" in text) == (2, True)


def onnx_network(folder: Path, names: list[str], side: int) -> Path:
    """A network that calls a pixel by the largest of its channels."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper

    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"id2label": dict(enumerate(names))}))
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": side, "do_normalize": False}))
    shape = [1, 3, side, side]
    pair = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", pair[:1], pair[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "m.onnx")
    return folder / "m.onnx"


def two_colours(folder: Path, count: int) -> Path:
    """Pictures that are red in their left half and green in the right one."""
    (folder / "images").mkdir(parents=True)
    for number in range(count):
        colours = np.zeros((16, 16, 3), np.uint8)
        colours[:, :8, 0], colours[:, 8:, 1] = 255, 255
        Image.fromarray(colours).save(folder / "images" / f"{number}.png")
    return folder


def test_pictures_are_labelled_by_a_ready_network_and_go_on(command: Command, tmp_path: Path):
    folder = two_colours(tmp_path / "lsun", 12)
    network = onnx_network(tmp_path / "net", ["road", "car, auto", "sky"], 16)
    words = ["data", "label", "lsun-cars", folder, "--network", network]
    assert "would car from car, auto" in command.text(*words, "--dry-run")
    code, text = command.mistake(
        "data", "export-benchmark", "lsun-cars", folder, "--split", "train", "--out", tmp_path / "o"
    )
    assert (code, "none of the" in text) == (1, True)
    result = command(*words)
    assert (result["labelled"], result["kept"], result["classes"]["background"]) == (12, 0, ["road", "sky"])
    assert command(*words)["kept"] == 12
    words = ["data", "export-benchmark", "lsun-cars", folder, "--split", "train", "--out", tmp_path / "o", "--size", 16]
    exported = command(*words)
    assert exported["label_source"] == "network m.onnx"
    assert "the labels are answers of the network m.onnx, not truth" in exported["notes"]
    checked = command("data", "check", "lsun-cars", folder, "--sheet", tmp_path / "sheet.png")
    assert list(checked["shared"]) == ["train and unlabelled"]  # as it should be, so nothing is said
    assert not any("NOTE" in note for note in checked["notes"])
    domain = command("data", "domain", "lsun-cars", folder, "--out", tmp_path / "domain", "--size", 16)
    assert "the labels are answers of the network m.onnx, not truth" in domain["notes"]
    assert domain["lacking"] == ["generator"]
    found = read_labelled(tmp_path / "o", 2)
    assert (found.label_maps[0, :, :8] == 0).all()
    assert (found.label_maps[0, :, 8:] == 1).all()


def test_a_segmenter_of_ours_labels_too(command: Command, tmp_path: Path):
    folder, network = two_colours(tmp_path / "ffhq", 2), tmp_path / "segmenter"
    config = SegmenterConfig.of_classes(make_classes(["background", "Hair"]), image_channels=3, size=16, depth=3)
    torch.manual_seed(0)
    save_segmenter(network, build_network(config), config)
    result = command("data", "label", "ffhq-hair", folder, "--network", network)
    assert (result["labelled"], result["classes"]["hair"]) == (2, ["Hair"])
    with Image.open(folder / "images" / "0.png") as image:
        expected = Segmenter.load(network).predict([np.asarray(image)])[0]
    with Image.open(folder / "masks" / "0.png") as image:
        np.testing.assert_array_equal(np.asarray(image), expected)
    code, text = command.mistake("data", "label", "lsun-cars", folder, "--network", network)
    assert (code, "the network has no class for car of lsun-cars; it has background, Hair" in text) == (2, True)


def write_labelled(folder: Path, count: int, seed: int) -> Path:
    """Labelled pictures in images/ and masks/, with the name of a benchmark's protocol on them."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        picture = rng.integers(0, 256, (SIZE, SIZE)).astype(np.uint8)
        (folder / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / "images" / f"{index}.png")
        write_label_map(folder / "masks" / f"{index}.png", label(picture), make_classes(CLASSES.split(",")))
    (folder / "benchmark.json").write_text('{"protocol": "datasetgan-cv"}')
    return folder


@pytest.fixture(scope="module")
def tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten labelled pictures to test on."""
    return write_labelled(tmp_path_factory.mktemp("labelled") / "tests", 10, 1)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four labelled pictures to choose on."""
    return write_labelled(tmp_path_factory.mktemp("labelled") / "others", 4, 2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, others: Path) -> Path:
    """A project of real pictures with two segmenters of random weights; these tests add runs to it, nothing else."""
    project = tmp_path_factory.mktemp("made") / "project"
    assert main(["new", str(project), "--classes", CLASSES, "--pictures", str(others), "--quiet"]) == 0
    config = SegmenterConfig.of_classes(Project.open(project).classes, image_channels=1, size=SIZE, depth=3)
    for seed in (1, 2):
        torch.manual_seed(seed)
        folder = project / "segmenters" / f"{seed:04d}-unet"
        save_segmenter(folder, build_network(config), config, label_source="nothing")
    return project


def segmenters(project: Path) -> list[str]:
    return [str(path) for path in sorted((project / "segmenters").iterdir())]


def test_a_protocol_averages_as_it_says(command: Command, trained: Path, tests: Path):
    one = ["--segmenter", segmenters(trained)[0]]
    plain = command("evaluate", trained, "--test", tests, *one)
    assert plain["absent"] == "skip"
    assert "protocol" not in plain
    found = command("evaluate", trained, "--test", tests, "--protocol", "repurpose-parts", *one)
    assert (found["protocol"]["name"], found["absent"]) == ("repurpose-parts", "skip")
    assert found["protocol"]["value"] == found["fg_area_iou"]
    assert found["per_class"] == plain["per_class"]


def test_a_protocol_averages_a_decoders_scores_too(command: Command, annotated: Path):
    command("fit", annotated, "--max-steps", 2, "--shots", 2)
    words = ["evaluate", annotated, "--of", "decoder"]
    plain = command(*words)
    found = command(*words, "--protocol", "datasetgan-cv")
    assert found["confusion"] == plain["confusion"]
    counts = np.array(found["confusion"])
    protocol = find_protocol("datasetgan-cv")
    assert found["protocol"]["value"] == pytest.approx(figures(counts, protocol).miou)
    # a decoder is no candidate among several: nothing is chosen in folds
    assert (found["absent"], found["protocol"]["notes"]) == ("zero", [])
    assert "folds" not in found["protocol"]


def test_folds_choose_and_spread(trained: Path, tests: Path, capsys: pytest.CaptureFixture[str]):
    first, second = segmenters(trained)
    words = ["evaluate", str(trained), "--test", str(tests), "--protocol", "datasetgan-cv", "--among", first]
    assert main([*words, "--among", second]) == 0
    shown = capsys.readouterr()
    newest = sorted((trained / "runs").iterdir())[-1]
    told = json.loads((newest / "run.json").read_text())["result"]["protocol"]
    assert (told["over"], told["count"], len(told["folds"])) == ("folds", 5, 5)
    values = [fold["test"] for fold in told["folds"]]
    assert told["value"] == pytest.approx(np.mean(values))
    assert told["deviation"] == pytest.approx(np.std(values))
    assert {fold["chosen"] for fold in told["folds"]} <= {0, 1}
    assert f"datasetgan-cv: mIoU {told['spread']}" in shown.out
    assert "in the test part of fold 5" in shown.out
    assert "it is no spread over seeds" in shown.err


def test_a_folder_of_kept_networks_stands_for_the_last_that_a_protocol_looks_at(
    command: Command, trained: Path, tests: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    training = tmp_path / "0007-unet"
    for done in range(21):  # by number, not by name: step-10 comes after step-2
        shutil.copytree(segmenters(trained)[0], training / "kept" / f"step-{done}")
    words = ["evaluate", str(trained), "--test", str(tests), "--protocol", "lagm-cv", "--among", str(training / "kept")]
    assert main([*words, "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert "the protocol lagm-cv looks at the last 20 of 21 segmenters" in shown.err
    assert "choose among 20 segmenters" in shown.out
    assert "step-0," not in shown.out
    for done in range(3, 21):
        shutil.rmtree(training / "kept" / f"step-{done}")
    found = command(*words)
    assert found["choice"]["among"] == [f"0007-unet/kept/step-{done}" for done in range(3)]
    assert found["protocol"]["count"] == 5
    shutil.rmtree(training / "kept")
    (training / "kept").mkdir()
    code, text = command.mistake(*words)
    assert (code, "holds no kept networks; train with `--keep-every N`" in text) == (2, True)


def test_validation_pictures_choose_and_test_pictures_never(command: Command, trained: Path, tests: Path, others: Path):
    first, second = segmenters(trained)
    words = ["evaluate", trained, "--test", tests, "--protocol", "lagm-fg", "--among", first, "--among", second]
    code, text = command.mistake(*words)
    assert (code, "nothing is chosen on test pictures, give others with --validation DIR" in text) == (2, True)
    code, text = command.mistake(*words, "--validation", tests)
    assert (code, "--validation and --test are the same pictures" in text) == (2, True)
    found = command(*words, "--validation", others)
    values = found["choice"]["validation"]
    assert found["scored"] == [first, second][int(np.argmax(values))]
    assert found["protocol"]["value"] == found["fg_miou"]
    assert f"  {values[0]:.3f} on {others}: {Path(first).name}\n" in as_text(found)


def test_a_benchmarks_folder_hints_at_its_protocol(
    command: Command, trained: Path, tests: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["evaluate", str(trained), "--test", str(tests), "--segmenter", segmenters(trained)[0]]) == 0
    assert "add --protocol datasetgan-cv to compare" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--protocol", "lagm"], "there is no protocol 'lagm'"),
        (["--protocol", "lagm-fg", "--absent", "skip"], "leave --absent out"),
        (["--among", "0001"], "give that, and no --segmenter"),
        (["--validation", "x"], "give two or more with --among"),
        (["--of", "decoder", "--among", "0001"], "--among and --validation choose between segmenters"),
    ],
)
def test_flags_that_do_not_go_together(command: Command, trained: Path, tests: Path, flags: list[str], part: str):
    test = [] if "decoder" in flags else ["--test", tests]
    code, text = command.mistake("evaluate", trained, *test, *flags)
    assert code == 2
    assert part in text


def test_folds_take_no_validation_pictures(command: Command, trained: Path, tests: Path, others: Path):
    names = segmenters(trained)
    words = ["--among", names[0], "--among", names[1], "--validation", others]
    code, text = command.mistake("evaluate", trained, "--test", tests, "--protocol", "datasetgan-cv", *words)
    assert (code, "chooses in folds of the test pictures; leave --validation out" in text) == (2, True)
