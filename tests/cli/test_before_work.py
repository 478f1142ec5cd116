"""What is wrong with a command is told before its work, which would be lost; and what was typed is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gannotate.cli import evaluate as evaluate_verb
from gannotate.cli import evaluate_decoder
from gannotate.cli import export as export_verb
from gannotate.cli import fit as fit_verb
from gannotate.cli import pretrain as pretrain_verb
from gannotate.cli.app import main
from gannotate.segmenters.scored import EVALUATION, read_scores

from .conftest import Command

SHORT = ("--depth", 3, "--batch", 2, "--steps", 2)


@pytest.fixture
def trained(command: Command, project: Path, labelled: Path) -> Path:
    """The project with a segmenter that learned for a step."""
    command("train", project, "--labelled", labelled, "--depth", 3, "--max-steps", 1, "--batch", 2)
    return project


@pytest.fixture
def fitted(command: Command, annotated: Path) -> Path:
    """The project with a decoder that learned for a step."""
    command("fit", annotated, "--max-steps", 1)
    return annotated


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the long works that were begun; each fails then."""
    begun: list[str] = []

    def instead(name: str) -> Any:
        def work(*words: object, **named: object) -> None:
            begun.append(name)
            raise AssertionError(f"{name} was begun")

        return work

    works = (evaluate_verb, "asked"), (evaluate_decoder, "asked"), (export_verb, "to_onnx")
    for module, name in (*works, (pretrain_verb, "LayerMatchTrainer"), (fit_verb, "fit_decoder")):
        monkeypatch.setattr(module, name, instead(name))
    return begun


def segmenter(project: Path) -> Path:
    (folder,) = (project / "segmenters").iterdir()
    return folder


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (("--first-seed", 99_999_999_999), "-n 4 from --first-seed 99999999999 on would draw up to seed 100000000002"),
        (("--first-seed", 2**32 - 3), "would draw up to seed 4294967296, and the last one is 4294967295; give a lower"),
        (("--first-seed", 2**32 - 6, "--keep", 0.5), "-n 4 with --keep 0.5 from --first-seed 4294967290 on would draw"),
    ],
)
def test_seeds_that_there_are_not(command: Command, fitted: Path, flags: tuple[object, ...], part: str) -> None:
    code, text = command.mistake("synthesize", fitted, "-n", 4, *flags)
    assert (code, part in text) == (2, True)
    assert not list((fitted / "datasets").glob("*"))


def test_the_last_seeds_are_drawn(command: Command, fitted: Path) -> None:
    assert command("synthesize", fitted, "-n", 4, "--first-seed", 2**32 - 4)["pictures"] == 4


@pytest.mark.parametrize("size", [0, -5, 7, 4097])
def test_sizes_at_which_nothing_is_scored(
    command: Command, trained: Path, labelled: Path, worked: list[str], size: int
) -> None:
    code, text = command.mistake("evaluate", trained, "--test", labelled, "--size", size)
    assert (code, text) == (2, f"--size is {size}; give 8 to 4096 px, or leave it out for the project's own")
    assert worked == []


@pytest.mark.parametrize("size", [0, -5])
def test_sizes_that_no_project_has(command: Command, labelled: Path, tmp_path: Path, size: int) -> None:
    words = ("new", tmp_path / "new", "--classes", "background,a", "--pictures", labelled)
    code, text = command.mistake(*words, "--size", size)
    assert (code, text) == (2, f"--size is {size}; give 8 px or more, or leave it out for the pictures' own")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (("--labelled", "nosuch"), "nosuch does not exist"),
        (("--labelled", "L", "--shots", 0), "0 shots were asked for; there are 4 labelled pictures"),
        (("--most", 0), "--most is 0; there are 4 labelled pictures, give 1 to that many"),
        (("--most", 9), "--most is 9; there are 4 labelled pictures, give 1 to that many"),
    ],
)
def test_pictures_that_evaluate_cannot_use(
    command: Command, trained: Path, labelled: Path, worked: list[str], flags: tuple[object, ...], part: str
) -> None:
    words = [labelled if word == "L" else word for word in flags]
    code, text = command.mistake("evaluate", trained, "--test", labelled, *words)
    assert (code, part in text) == (2, True)
    assert worked == []


@pytest.mark.parametrize(
    ("flags", "part"), [(("--labelled", "nosuch"), "nosuch does not exist"), (("--most", 0), "--most is 0; there")]
)
def test_pictures_that_a_decoder_cannot_be_scored_on(
    command: Command, fitted: Path, labelled: Path, worked: list[str], flags: tuple[object, ...], part: str
) -> None:
    code, text = command.mistake("evaluate", fitted, "--of", "decoder", "--test", labelled, *flags)
    assert (code, part in text) == (2, True)
    assert worked == []


@pytest.mark.parametrize("flag", ["--most", "--size"])
def test_what_is_said_of_test_pictures_needs_them(command: Command, fitted: Path, worked: list[str], flag: str) -> None:
    code, text = command.mistake("evaluate", fitted, "--of", "decoder", flag, 8)
    assert (code, "give these with --test" in text) == (2, True)
    assert worked == []


def test_pictures_that_export_cannot_compare_on(
    command: Command, trained: Path, tmp_path: Path, worked: list[str]
) -> None:
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "a.png").write_bytes(b"torn")
    words = ("export", trained, "--out", tmp_path / "net.onnx", "--check")
    code, text = command.mistake(*words, "nosuch")
    assert (code, "nosuch" in text) == (2, True)
    code, text = command.mistake(*words, tmp_path / "torn")
    assert code == 2
    assert text.endswith(f"none of the 1 pictures in {tmp_path / 'torn'} can be read; give others to --check")
    assert worked == []


def test_pictures_that_no_figure_can_be_made_of(
    command: Command, generator: Path, labelled: Path, tmp_path: Path, worked: list[str]
) -> None:
    pytest.importorskip("sklearn")
    words = ("pretrain", generator, "--out", tmp_path / "encoder", *SHORT, "--figure")
    code, text = command.mistake(*words, "nosuch")
    assert (code, "nosuch" in text) == (2, True)
    for name in ("b", "c", "d"):
        (labelled / "masks" / f"{name}.png").unlink()
    code, text = command.mistake(*words, labelled)
    assert (code, "1 was given; give at least 2" in text) == (2, True)
    assert worked == []
    assert not (tmp_path / "encoder").exists()


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (("--only", "a-b"), "--only has 'a-b'; give whole numbers and ranges"),
        (("--only", ""), "--only has ''; give whole numbers and ranges"),
        (("--weight-decay", -1), "the weight decay is -1.0; use 0 (none) or more"),
        (("--weight-decay", "nan"), "the weight decay is nan; use 0 (none) or more"),
        (("--learning-rate", "inf"), "the learning rate is inf; use a positive number"),
    ],
)
def test_settings_of_a_fit(
    command: Command, annotated: Path, worked: list[str], flags: tuple[object, ...], part: str
) -> None:
    code, text = command.mistake("fit", annotated, *flags)
    assert (code, part in text) == (2, True)
    assert worked == []
    assert not list((annotated / "decoders").glob("*"))


def test_scores_of_a_trial_are_not_those_of_the_segmenter(
    command: Command, trained: Path, labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(trained), "--test", str(labelled)]
    path = segmenter(trained) / EVALUATION
    assert main([*words, "--most", "1"]) == 0
    told = f"not kept in {path} for the model card, as these scores are of 1 of the 4 test pictures\n"
    assert told in capsys.readouterr().err
    assert not path.exists()

    whole = command(*words, "--most", 4, "--size", 16)
    kept = path.read_bytes()
    assert (json.loads(kept)["pictures"], json.loads(kept)["miou"]) == (4, whole["miou"])
    assert main([*words, "--most", "2", "--size", "8"]) == 0
    told = "as these scores are of 2 of the 4 test pictures and are at 8 px, the project's 16 px\n"
    assert told in capsys.readouterr().err
    assert path.read_bytes() == kept
    assert len(list((trained / "runs").iterdir())) == 3


@pytest.mark.parametrize("text", ["{", "[]", '{"miou": "much"}', '{"per_class": 3}', '{"choice": {"on": 3}}'])
def test_damaged_scores(command: Command, trained: Path, labelled: Path, tmp_path: Path, text: str) -> None:
    path = segmenter(trained) / EVALUATION
    path.write_text(text)
    for words in (
        ("simulate", trained, "--segmenter", segmenter(trained)),
        ("export", trained, "--out", tmp_path / "net.onnx"),
    ):
        code, sentence = command.mistake(*words)
        assert (code, f"{path} is damaged" in sentence) == (1, True)
        assert sentence.endswith("score it again with `gannotate evaluate`, or delete that file")
    command("evaluate", trained, "--test", labelled)
    assert read_scores(segmenter(trained))


def test_doctor_sees_damaged_scores(command: Command, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("doctor", trained)["ok"]
    path = segmenter(trained) / EVALUATION
    path.write_text("{")
    (trained / "runs" / "0001-evaluate").mkdir(parents=True)
    (trained / "runs" / "0001-evaluate" / "run.json").write_text("[]")
    (trained / "runs" / "0002-evaluate").mkdir()
    assert main(["doctor", str(trained), "--json", "--quiet"]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    for part in (f"{path} is damaged", "0001-evaluate/run.json is damaged", "0002-evaluate is unfinished"):
        assert sum(part in problem for problem in problems) == 1
    assert len(problems) == 3
