"""The demonstration on a tiny generator with random weights: what it leaves, prints and refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import gannotate.demo.run as run_module
from gannotate.data.portraits import CLASSES
from gannotate.demo import DemoConfig, read_result, run_demo, shipped_portraits
from gannotate.demo.stages import COLOURS, TEST_FIRST_SEED, render_set
from gannotate.errors import GannotateError, UsageError
from gannotate.generators.build import save_generator
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.jsonlines import write_rows
from gannotate.labels import make_classes, write_label_map
from gannotate.locks import take
from gannotate.project import Project
from gannotate.record import read_record

SIZE, SHIPPED = 16, 8
TINY = DemoConfig(shots=2, fit_steps=2, synthetic=3, segmenter_steps=2, supervised_steps=2, batch=2, test=4)
STAGES = ["prepare", "fit", "synthesize", "supervised", "train", "test", "report"]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As assets/portraits, of 16 px and with made-up annotations."""
    folder = tmp_path_factory.mktemp("shipped")
    torch.manual_seed(0)
    config = StyleGAN2Config(
        size=SIZE, image_channels=3, z_dim=8, w_dim=8, mapping_layers=2, channel_base=128, channel_max=16
    )
    save_generator(folder / "generator", StyleGAN2(config), half=True)
    write_rows(
        folder / "pool.jsonl", [{"seed": s, "psi": 0.7, "cutoff": None, "noise": "const"} for s in range(SHIPPED)]
    )
    about = {"network": "unet resnet18", "labels": 9, "label_source": "exact renders", "miou": 0.5}
    rows = [{"seed": seed, "source": "simulated", "about": about} for seed in range(SHIPPED)]
    for seed in range(SHIPPED):
        label_map = np.random.default_rng(seed).integers(0, len(CLASSES), (SIZE, SIZE), np.uint8)
        write_label_map(folder / "annotations" / f"{seed}.png", label_map, make_classes(CLASSES))
    write_rows(folder / "annotations" / "annotations.jsonl", rows)
    return folder


@pytest.fixture(scope="module")
def made(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished demonstration; not to be changed."""
    folder = tmp_path_factory.mktemp("made") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gannotate.metrics.floors.STEPS", 5)
        stages = [step.stage for step in run_demo(folder, TINY, shipped=shipped)]
    assert list(dict.fromkeys(stages)) == STAGES
    return folder


def test_the_result_is_what_the_issue_asks_for(made: Path):
    result = read_result(made)
    assert list(result) == ["shots", "test_pictures", "miou", "seconds", "peak_rss_mb"]
    assert (result["shots"], result["test_pictures"]) == (2, 4)
    assert list(result["miou"]) == ["floor_majority", "floor_pixels", "supervised", "decoder", "segmenter"]
    assert all(0 <= value <= 1 for value in result["miou"].values())
    assert list(result["seconds"]) == STAGES
    assert result["peak_rss_mb"] > 50


@pytest.mark.parametrize("text", ["{", "[]", None])
def test_figures_that_are_not_there(tmp_path: Path, text: str | None):
    if text is not None:
        (tmp_path / "demo.json").write_text(text)
    what = "there is no .*demo.json" if text is None else r"demo\.json is damaged \(.*\)"
    with pytest.raises(GannotateError, match=f"{what}; run `gannotate demo` again, with a new folder"):
        read_result(tmp_path)


def test_it_leaves_a_whole_project(made: Path):
    project = Project.open(made)
    assert [entry.colour for entry in project.config.classes] == list(COLOURS)
    assert project.mirror.rule == "yes"
    assert project.config.draw.psi == 0.7
    assert len(project.pool()) == SHIPPED
    assert all(project.pool_picture_path(picture.seed).exists() for picture in project.pool())
    assert {annotation.source for annotation in project.annotations()} == {"simulated"}
    assert project.annotations()[0].about["miou"] == 0.5
    assert project.latest("segmenters").name == "0002-unet"
    assert [path.name for path in project.made("runs")] == ["0001-evaluate", "0002-evaluate", "0003-evaluate"]
    assert (made / "report" / "index.html").exists()
    assert [path for path in made.parent.iterdir() if path != made] == []


def test_nothing_unfinished_or_misplaced_is_left(made: Path):
    assert list(made.rglob("*.part")) == []
    assert list(made.rglob("checkpoint.safetensors")) == []
    for path in [*made.rglob("*.json"), *made.rglob("*.jsonl"), *made.rglob("*.yaml")]:
        assert str(made.parent) not in path.read_text(), f"{path} names the place it was made at"


def test_labels_are_kept_apart(made: Path):
    project = Project.open(made)
    fitted = json.loads((project.latest("decoders") / "config.json").read_text())["about"]["annotations"]["seeds"]
    runs = [read_record(path) for path in project.made("runs")]
    results = [run["result"] for run in runs if run is not None]
    assert len(fitted) == 2
    assert [result["pictures"] for result in results] == [SHIPPED - 2, 4, 4]
    assert [result["scored"] for result in results] == [
        "decoders/0001-mlp",
        "segmenters/0001-unet-supervised",
        "segmenters/0002-unet",
    ]
    assert results[1]["label_source"] == "exactly labelled renders"
    assert results[2]["label_source"] == "decoder 0001-mlp"
    assert {floor["labels"] for floor in results[2]["floors"].values()} == {2}
    assert results[1]["test"] == results[2]["test"]


def test_the_test_pictures_are_fresh_renders(made: Path):
    names = [path.name for path in (made / "runs" / "0003-evaluate" / "examples").glob("*.truth.png")]
    assert len(names) == 4
    test = render_set(range(TEST_FIRST_SEED, TEST_FIRST_SEED + 4), SIZE)
    run = read_record(made / "runs" / "0003-evaluate")
    assert run is not None
    truth = np.array(run["result"]["confusion"]).sum(axis=1)
    assert truth.tolist() == np.bincount(test.label_maps.ravel(), minlength=len(CLASSES)).tolist()


def test_the_verbs_go_on_from_it(made: Path, capsys: pytest.CaptureFixture[str]):
    from gannotate.cli.app import main

    assert main(["evaluate", str(made), "--of", "decoder", "--dry-run", "--json"]) == 0
    assert main(["report", str(made), "--json", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert '"page"' in shown.out


def test_what_a_killed_one_left_is_taken_over_and_a_living_one_is_not(shipped: Path, tmp_path: Path):
    part = tmp_path / ".demo.part"
    (part / ".project" / "pool").mkdir(parents=True)
    (part / ".project" / "project.yaml").write_text("half")
    handle = os.open(part, os.O_RDONLY)
    try:
        assert take(handle)
        with pytest.raises(
            GannotateError, match=r"another process is making .*demo; wait for its end, or give another"
        ):
            next(run_demo(tmp_path / "demo", TINY, shipped=shipped))
    finally:
        os.close(handle)
    assert (part / ".project" / "project.yaml").read_text() == "half"
    running = run_demo(tmp_path / "demo", TINY, shipped=shipped)
    assert next(running).stage == "prepare"
    assert [path.name for path in tmp_path.iterdir()] == [".demo.part"]
    running.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", ["prepare", "fit", "synthesize", "supervised"])
def test_stopping_leaves_nothing(stage: str, shipped: Path, tmp_path: Path):
    running = run_demo(tmp_path / "demo", TINY, shipped=shipped)
    for step in running:
        if step.stage == stage:
            assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
            running.close()
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_inside_a_stage_leaves_nothing(shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gannotate.demo.stages.fit", stopped)
    running = run_demo(tmp_path / "demo", TINY, shipped=shipped)
    with pytest.raises(KeyboardInterrupt):
        list(running)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shots", [0, SHIPPED - 4])
def test_some_annotations_are_held_out(shots: int, shipped: Path, tmp_path: Path):
    with pytest.raises(UsageError, match=rf"--shots is {shots}; 8 annotations ship and 5 are held out, give 1 to 3"):
        next(run_demo(tmp_path / "demo", DemoConfig(shots=shots), shipped=shipped))
    assert list(tmp_path.iterdir()) == []


def test_a_full_folder_is_refused(shipped: Path, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(UsageError, match="exists and is not an empty folder"):
        next(run_demo(tmp_path, TINY, shipped=shipped))
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_an_installation_without_assets_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_module.resources, "files", lambda _: tmp_path)
    with pytest.raises(GannotateError, match="install gannotate again"):
        shipped_portraits()
