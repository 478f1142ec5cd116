"""Verbs that make things: render, generate, new, sample, fit, synthesize, doctor."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gannotate.cli import fit as fit_verb
from gannotate.cli import synthesize as synthesize_verb
from gannotate.cli.app import main
from gannotate.cli.generate import parse_seeds
from gannotate.decoders.build import load_decoder
from gannotate.errors import UsageError
from gannotate.files import write_text
from gannotate.generators.build import load_generator
from gannotate.project import Project
from gannotate.record import read_record
from gannotate.synthesis import write_dataset

from .conftest import SIZE, Command


def test_render_writes_pictures_with_masks(command: Command, tmp_path: Path):
    out = tmp_path / "r"
    result = command("render", "portraits", "-n", 3, "--size", 32, "--out", out, "--workers", 1, "--first-seed", 5)
    names = [f"{seed:08d}.png" for seed in (5, 6, 7)]
    assert sorted(path.name for path in (out / "images").iterdir()) == names
    assert sorted(path.name for path in (out / "masks").iterdir()) == names
    classes = json.loads((out / "classes.json").read_text())["classes"]
    assert list(classes.values()) == result["classes"]
    mask = np.asarray(Image.open(out / "masks" / names[0]))
    assert mask.shape == (32, 32)
    assert mask.max() < len(classes)


def test_render_into_a_zip_without_masks(command: Command, tmp_path: Path):
    words = ["render", "portraits", "-n", 2, "--size", 16, "--out", tmp_path / "r.zip", "--workers", 2, "--no-masks"]
    command(*words)
    with zipfile.ZipFile(tmp_path / "r.zip") as archive:
        assert archive.namelist() == ["00000000.png", "00000001.png"]
    code, text = command.mistake(*words)
    assert code == 2
    assert text == f"{tmp_path}/r.zip exists and is not an empty folder; give a new name to --out"


@pytest.mark.parametrize("name", ["r", "r.zip"])
def test_a_full_disk_leaves_no_half_render(command: Command, tmp_path: Path, monkeypatch, name: str):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync" if name.endswith("zip") else "replace", full)
    code, text = command.mistake("render", "portraits", "-n", 2, "--size", 16, "--out", tmp_path / name, "--workers", 1)
    assert code == 1
    assert "no space left on the disk while writing" in text
    assert list(tmp_path.iterdir()) == []


def test_generate_draws_the_same_picture_for_a_seed(command: Command, generator: Path, tmp_path: Path):
    command("generate", generator, "--seeds", "0-3,40", "--out", tmp_path / "a")
    command("generate", generator, "--seeds", "40", "--out", tmp_path / "b.zip")
    assert sorted(path.stem for path in (tmp_path / "a").glob("*.png")) == ["0", "1", "2", "3", "40"]
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert archive.read("40.png") == (tmp_path / "a" / "40.png").read_bytes()
        assert json.loads(archive.read("pictures.json"))["options"] == {"psi": 1.0, "cutoff": None, "noise": "const"}


def test_seeds_are_numbers_and_ranges():
    assert parse_seeds("3, 1-2,2") == [3, 1, 2]
    for text in ("a", "1-", "-1", "5-2", ""):
        with pytest.raises(UsageError, match="--seeds has"):
            parse_seeds(text)


def test_new_writes_what_was_asked_for(command: Command, generator: Path, tmp_path: Path):
    result = command(
        "new", tmp_path / "p", "--classes", "bg, nose", "--generator", generator, "--colours", "000000,#ff8000",
        "--mirror", "yes", "--turn90", "--psi", 0.7,
    )  # fmt: skip
    config = Project.open(tmp_path / "p").config
    assert [(item.name, item.colour) for item in config.classes] == [("bg", (0, 0, 0)), ("nose", (255, 128, 0))]
    assert (config.size, config.image_channels, config.turn90, config.draw.psi) == (SIZE, 1, True, 0.7)
    assert (config.mirror.rule, result["mirror"]["rule"]) == ("yes", "yes")


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--classes", "bg,a", "--swap", "1:3"], "--swap names class 3; the 2 classes are 0 to 1"),
        (["--classes", "bg,a,b", "--swap", "a:bb"], "names 'bb', which is no class; did you mean 'b'"),
        (["--classes", "bg,a,b", "--swap", "ab"], "--swap has 'ab'; give pairs like 1:2 or left:right"),
        (["--classes", "bg,a,b", "--mirror", "swap"], "add e.g. --swap 1:2"),
        (["--classes", "bg,a,b", "--mirror", "yes", "--swap", "1:2"], "contradict each other"),
        (["--classes", "bg,a", "--colours", "ff0000"], "--colours has 1 colour for 2 classes; give one a class"),
        (["--classes", "bg,a", "--colours", "ff0000,blue"], "'blue' is no colour; give six hexadecimal digits"),
        (["--classes", "bg"], "1 class name was given; give 2 to 254"),
        (["--classes", "bg,a", "--psi", "9"], "psi is 9.0; use a number from -2 to 2"),
        (["--classes", "bg,a", "--psi", "nan"], "psi is nan; use a number from -2 to 2"),
        (["--classes", "bg,a", "--cutoff", "-2"], "cutoff is -2; use 0 (no style is truncated) or more"),
        (["--classes", "bg,a", "--cutoff", "99"], "--cutoff is 99; this generator has"),
        (["--classes", "bg,a", "--crop"], "--crop cuts real pictures; give them with --pictures DIR"),
        (
            ["--classes", "nose,Background,my eye"],
            "stands before 'Background'; give --classes 'Background,nose,my eye'",
        ),
    ],
)
def test_new_refuses_what_does_not_fit(command: Command, generator: Path, tmp_path: Path, flags: list[str], part: str):
    code, text = command.mistake("new", tmp_path / "p", "--generator", generator, *flags)
    assert code == 2
    assert part in text
    assert not (tmp_path / "p").exists()


def test_new_takes_the_generator_of_a_project(command: Command, project: Path, tmp_path: Path):
    result = command("new", tmp_path / "p", "--classes", "bg,a", "--generator", project)
    assert Path(result["generator"]["source"]) == project / "generator"
    assert Project.open(tmp_path / "p").generator_folder.is_dir()
    weights = project / "generator" / "model.safetensors"
    code, text = command.mistake("new", tmp_path / "q", "--classes", "bg,a", "--generator", weights)
    assert (code, text) == (2, f"--generator is the file {weights}; give its folder, {weights.parent}")


def test_new_and_sample_tell_mistakes_without_torch(project: Path, tmp_path: Path):
    wrong = (
        ["new", str(tmp_path / "p"), "--classes", "bg", "--generator", str(project)],
        ["new", str(project), "--classes", "bg,a", "--generator", str(project)],
        ["sample", str(project), "-n", "0"],
    )
    code = "import sys; from gannotate.cli.app import main; "
    check = code + f"sys.exit({{main(words) for words in {wrong}}} != {{2}} or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], timeout=60, stderr=subprocess.DEVNULL).returncode == 0


def test_the_next_step_is_typed_as_it_stands(command: Command, generator: Path, tmp_path: Path):
    folder = tmp_path / "Meine Zellen ä"
    words = command.text("new", folder, "--classes", "bg,a", "--generator", generator).split("next: ")[1]
    assert shlex.split(words) == ["gannotate", "sample", str(folder), "-n", "20"]
    words = command.text(*shlex.split(words)[1:-1], "2").split("next: ")[1]
    assert shlex.split(words) == ["gannotate", "annotate", str(folder)]
    typed = re.findall("`(.*?)`", command.mistake("fit", folder)[1])
    assert [shlex.split(words)[:4] for words in typed] == [
        ["gannotate", "annotate", str(folder)],
        ["gannotate", "data", "import", str(folder)],
        ["gannotate", "simulate", str(folder), "--segmenter"],
    ]


def test_sample_tells_new_pictures_from_those_drawn_again(command: Command, project: Path):
    assert "3 pictures added, seeds 10 to 12; the pool has 9" in command.text(
        "sample", project, "--first-seed", 10, "-n", 3
    )
    assert "no picture added, seeds 10 to 12 drawn again" in command.text(
        "sample", project, "--first-seed", 10, "-n", 3
    )
    told = command.text("sample", project, "--first-seed", 9, "-n", 2)
    assert "1 picture added, seed 9, seed 10 drawn again; the pool has 10" in told
    assert command("sample", project, "--first-seed", 12, "-n", 2)["drawn_again"] == [12]


def test_sample_goes_on_after_the_last_seed(command: Command, project: Path):
    assert command("sample", project, "-n", 2)["seeds"] == [6, 7]
    opened = Project.open(project)
    assert [picture.seed for picture in opened.pool()] == list(range(8))
    assert Image.open(opened.pool_picture_path(7)).size == (SIZE, SIZE)


def test_dry_runs_write_nothing(command: Command, annotated: Path, generator: Path, tmp_path: Path):
    before = sorted(tmp_path.rglob("*"))
    command.text("fit", annotated, "--dry-run")
    command.text("sample", annotated, "--dry-run")
    command.text("render", "portraits", "--out", tmp_path / "x", "--dry-run")
    command.text("generate", generator, "--out", tmp_path / "x", "--dry-run")
    command.text("new", tmp_path / "x", "--classes", "a,b", "--generator", generator, "--dry-run")
    command.text("doctor", annotated, "--dry-run")
    assert sorted(tmp_path.rglob("*")) == before


def test_fit_explains_itself_without_annotations(command: Command, project: Path):
    code, text = command.mistake("fit", project)
    assert code == 2
    assert f"has no annotations; label pictures with `gannotate annotate {project}`" in text
    assert "gannotate simulate" in text
    (project / "annotations").mkdir()
    (project / "annotations" / "0.jpg").write_bytes(b"")
    assert "has no annotations, and 0.jpg is none: only SEED.png counts" in command.mistake("fit", project)[1]


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--shots", "5"], "5 shots were asked for; there are 4 labelled pictures"),
        (["--shots", "0"], "0 shots were asked for; there are 4 labelled pictures, give 1 to that many"),
        (["--shots", "-1", "--pick", "random"], "-1 shots were asked for; there are 4 labelled pictures"),
        (["--only", "9"], "has no annotation of seed 9; it has 0, 1, 2, 3"),
        (["--shots", "2", "--only", "1"], "--shots and --only were both given"),
        (["--taps", "b16.conv9"], "no tap 'b16.conv9'"),
        (["--taps", "fine"], "this generator has no fine taps; it has coarse, middle"),
        (["--setting", "taps=middle"], "name them with --taps"),
        (["--setting", "width"], "is not NAME=VALUE"),
        (["--setting", "width=2026-13-01"], "--setting 'width=2026-13-01' is not NAME=VALUE"),
        (["--setting", f"width={'[' * 5000}"], "is not NAME=VALUE; give e.g. --setting width=64"),
        (["--setting", "wide=3"], "decoder light has no setting 'wide'"),
        (["--decoder", "mlp", "--setting", "hidden=9"], "setting hidden of decoder mlp is a list"),
        (["--decoder", "linear", "--solver", "closed", "--steps", "9"], "steps means nothing to it"),
        (["--decoder", "linear", "--accumulate", "2"], "--accumulate is 2, and the closed form takes no steps"),
        (["--decoder", "fpn", "--schedule", "paper"], "learns by gradient matching"),
        (["--device", "cuda:7"], "device 'cuda:7' is not usable here; use auto or cpu"),
    ],
)
def test_fit_refuses_what_does_not_fit(command: Command, annotated: Path, flags: list[str], part: str):
    code, text = command.mistake("fit", annotated, "--max-steps", 2, *flags)
    assert code == 2
    assert part in text


@pytest.mark.parametrize("decoder", ["cnn", "mlp", "ensemble", "fpn", "linear"])
def test_every_kind_of_decoder_goes_all_the_way(command: Command, annotated: Path, decoder: str):
    fitted = command(
        "fit", annotated, "--decoder", decoder, "--shots", 3, "--taps", "auto", "--hold-out", "--max-steps", 20
    )
    assert fitted["tap_choice"]["taps"]
    assert fitted["temperature"] > 0
    assert fitted["parameters"] > 0
    assert 0 <= command("evaluate", annotated, "--of", "decoder")["miou"] <= 1
    made = command("synthesize", annotated, "-n", 4, "--keep", 0.5)
    assert made["pictures"] == 4


def test_fewer_shots_are_part_of_more(command: Command, annotated: Path):
    def chosen(*flags: object) -> set[int]:
        return set(command("fit", annotated, "--dry-run", *flags)["config"]["annotations"])

    assert chosen() == {0, 1, 2, 3}
    assert chosen("--shots", 1) < chosen("--shots", 2) < chosen("--shots", 3)
    assert chosen("--only", "3,1") == {1, 3}
    assert len({frozenset(chosen("--shots", 2, "--seed", seed)) for seed in range(5)}) > 1


def test_a_mask_with_more_classes_than_names(command: Command, annotated: Path):
    Image.fromarray(np.full((SIZE, SIZE), 3, np.uint8)).save(annotated / "annotations" / "5.png")
    code, text = command.mistake("fit", annotated)
    assert code == 1
    assert "annotations/5.png: unknown class id 3 (256 px); accepted are 0-2 for the 3 classes" in text


def test_an_annotation_of_another_size(command: Command, annotated: Path):
    Image.fromarray(np.zeros((8, 4), np.uint8)).save(annotated / "annotations" / "5.png")
    code, text = command.mistake("fit", annotated)
    assert code == 1
    assert "annotations/5.png is 4x8 px; label maps of this project are 16x16 px" in text


def test_pictures_drawn_otherwise_do_not_teach(command: Command, annotated: Path):
    path = annotated / "project.yaml"
    write_text(path, path.read_text().replace("psi: 1.0", "psi: 0.5"))
    code, text = command.mistake("fit", annotated)
    assert code == 1
    assert text.startswith("pool picture 0 was drawn with psi 1.0, but project.yaml now says 0.5")


def test_a_newer_project(command: Command, project: Path):
    path = project / "project.yaml"
    write_text(path, path.read_text().replace("format_version: 2", "format_version: 3"))
    code, text = command.mistake("fit", project)
    assert code == 1
    assert "was written by a newer gannotate (format 3, this one reads up to 2); upgrade gannotate" in text


def interrupt_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Fits are stopped by Ctrl-C after so many steps."""
    whole = fit_verb.fit_decoder

    def torn(*arguments, **more):
        for progress in whole(*arguments, **more):
            yield progress
            if progress.done == steps:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(fit_verb, "fit_decoder", torn)


def test_fit_goes_on_with_the_unfinished_run(
    command: Command, annotated: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        assert main(["fit", str(annotated), "--max-steps", "5"]) == 130
    assert "stopped; the same command goes on" in capsys.readouterr().err
    folder = annotated / "decoders" / "0001-light"
    record = read_record(folder)
    assert record is not None
    assert record["status"] == "interrupted"
    assert command.mistake("synthesize", annotated, "-n", 4)[1].endswith(f"make one with `gannotate fit {annotated}`")
    assert command("fit", annotated, "--max-steps", 5)["decoder"] == str(folder)
    assert command("fit", annotated, "--max-steps", 5)["decoder"] == str(annotated / "decoders" / "0002-light")
    torn, whole = (annotated / "decoders" / name / "model.safetensors" for name in ("0001-light", "0002-light"))
    assert torn.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("flag", [["--no-resume"], ["--learning-rate", "0.1"]])
def test_another_fit_starts_anew(command: Command, annotated: Path, monkeypatch: pytest.MonkeyPatch, flag: list[str]):
    with monkeypatch.context() as patch:
        interrupt_after(patch, 1)
        assert main(["fit", str(annotated), "--max-steps", "3"]) == 130
    result = command("fit", annotated, "--max-steps", 3, *flag)
    assert result["decoder"] == str(annotated / "decoders" / "0002-light")


def test_synthesize_keeps_off_the_pool(command: Command, annotated: Path):
    command("fit", annotated, "--max-steps", 2)
    code, text = command.mistake("synthesize", annotated, "-n", 4, "--first-seed", 3)
    assert code == 2
    assert "would take seed 3 of the pool" in text
    code, text = command.mistake("synthesize", annotated, "-n", 4, "--cutoff", 99)
    assert (code, "--cutoff is 99; this generator has" in text) == (2, True)
    assert not list(annotated.glob("datasets/*"))


def test_synthesize_elsewhere_and_otherwise(command: Command, annotated: Path, tmp_path: Path):
    command("fit", annotated, "--max-steps", 2)
    out = tmp_path / "data"
    words = ["synthesize", annotated, "-n", 3, "--out", out, "--format", "folder", "--no-soft", "--psi", 0.5]
    result = command(*words)
    assert (result["dataset"], result["pictures"]) == (str(out), 3)
    assert sum(result["class_share"].values()) == pytest.approx(1, abs=1e-3)
    assert len(list((out / "images").iterdir())) == len(list((out / "masks").iterdir())) == 3
    assert not (out / "soft").exists()
    record = read_record(out)
    assert record is not None
    assert record["config"]["draw"] == {"psi": 0.5, "cutoff": None, "noise": "const"}
    assert command(*words)["pictures"] == 3  # finished already: nothing to do
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    code, text = command.mistake(*words, "--no-resume")
    assert (code, text.partition(";")[0]) == (2, f"{out} holds a dataset, and --no-resume begins a new one")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    with pytest.raises(UsageError, match="--no-resume with several processes"):
        synthesize_verb._check_place(tmp_path / "new", resume=False, processes=2)
    assert not (annotated / "datasets").exists()


def test_a_dataset_is_not_mixed_into_something_else(command: Command, annotated: Path, labelled: Path):
    command("fit", annotated, "--max-steps", 2)
    before = sorted(labelled.rglob("*"))
    for more in ([], ["--no-resume"], ["--dry-run"]):
        code, text = command.mistake("synthesize", annotated, "-n", 3, "--out", labelled, *more)
        assert (code, text) == (2, f"{labelled} exists and is not an empty folder; give a new one")
    generator = load_generator(annotated / "generator")
    decoder = load_decoder(annotated / "decoders" / "0001-light")
    with pytest.raises(UsageError, match="not an empty folder"):
        next(write_dataset(str(labelled), generator, decoder, Project.open(annotated).classes, 3))
    assert sorted(labelled.rglob("*")) == before


def test_a_dataset_at_an_address(command: Command, annotated: Path, tmp_path: Path):
    command("fit", annotated, "--steps", 3)
    address = f"memory://{tmp_path.name}/cells"
    assert command("synthesize", annotated, "-n", 8, "--out", address)["dataset"] == address
    again = command("synthesize", annotated, "-n", 8, "--out", address)  # it is whole: nothing is drawn
    assert again["pictures"] == 8
    words = ["train", annotated, "--steps", 1, "--batch", 2, "--depth", 3, "--dataset"]
    trained = command(*words, address)
    assert (trained["pictures"], trained["label_source"], trained["labels"]) == (8, "decoder 0001-light", 4)
    assert command.mistake(*words, "memory://nothing") == (
        2,
        "memory://nothing is not a dataset (no manifest.json); make one with `gannotate synthesize`",
    )


def test_doctor_finds_a_healthy_project_healthy(command: Command, annotated: Path):
    result = command("doctor", annotated)
    assert (result["ok"], result["problems"]) == (True, [])
    assert result["versions"]["torch"] != "missing"


def test_doctor_finds_what_is_wrong(annotated: Path, capsys: pytest.CaptureFixture[str]):
    opened = Project.open(annotated)
    opened.pool_picture_path(5).unlink()
    opened.annotation_path(1).write_bytes(b"torn")
    (opened.generator_folder / "model.safetensors").write_bytes(b"torn")
    opened.next_folder("decoders", "light").joinpath("run.json").write_text(
        json.dumps({"format_version": 1, "status": "interrupted"})
    )
    assert main(["doctor", str(annotated), "--json"]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert len(problems) == 4
    for part in (
        "model.safetensors is damaged",
        "5.png is missing",
        "1.png: not a readable picture",
        "0001-light is unf",
    ):
        assert sum(part in problem for problem in problems) == 1
