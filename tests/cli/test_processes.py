"""Commands in several processes: which can, who speaks, who writes, and what is said when one ends."""

from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from torch.distributed import DistStoreError

from gannotate.cli.app import VERBS, main
from gannotate.cli.processes import sentence_of
from gannotate.errors import GannotateError, UsageError
from gannotate.project import Project
from gannotate.record import read_record
from gannotate.segmenters.predict import Segmenter
from gannotate.torchvision_operators import make_importable
from gannotate.training import distributed
from gannotate.training.distributed import Elsewhere
from gannotate.training.launched import launched, launched_here
from gannotate.training.loop import Diverged

Together = Callable[[Callable[[], Any], int], list[Any]]
Said = tuple[int, str, str]

TRAIN = ["--steps", "3", "--batch", "4", "--depth", "3", "--json"]


def said(words: list[str]) -> Said:
    """A command's exit code, stdout and stderr in one of several processes."""
    rank, count = str(distributed.rank()), str(distributed.count())
    os.environ |= {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(words)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def second_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    for number, numbers in (("RANK", "WORLD_SIZE"), ("LOCAL_RANK", "LOCAL_WORLD_SIZE")):
        monkeypatch.setenv(number, "1")
        monkeypatch.setenv(numbers, "2")


def test_training_leaves_one_run_and_one_answer(
    project: Path, labelled: Path, together: Together, capsys: pytest.CaptureFixture[str]
) -> None:
    make_importable()
    importlib.import_module("segmentation_models_pytorch")  # once, and not in both processes
    first, second = together(lambda: said(["train", str(project), "--labelled", str(labelled), *TRAIN]), 2)
    assert first[0] == second[0] == 0, first[2]
    assert second[1:] == ("", "")
    folder = Path(json.loads(first[1])["segmenter"])
    assert [path.name for path in (project / "segmenters").iterdir()] == [folder.name]
    assert Segmenter.load(folder).config.classes == 3
    record = read_record(folder)
    assert record is not None
    assert record["status"] == "done"
    assert not (folder / "checkpoint.safetensors").exists()


def test_fitting_too(annotated: Path, together: Together) -> None:
    answers = together(lambda: said(["fit", str(annotated), "--steps", "3", "--json"]), 2)
    assert [code for code, _, _ in answers] == [0, 0], answers
    assert Project.open(annotated).find("decoders", None).name == "0001-light"


def test_a_wrong_flag_is_told_once(project: Path, labelled: Path, together: Together) -> None:
    words = ["train", str(project), "--labelled", str(labelled), "--steps", "3", "--batch", "1"]
    first, second = together(lambda: said(words), 2)
    assert (first[0], second[0]) == (2, 2)
    assert first[2].startswith("gannotate: ")
    assert second[2] == ""


@pytest.mark.parametrize("verb", [verb.name for group in VERBS.values() for verb in group if not verb.many])
def test_other_verbs_are_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main([verb, "anything"]) == 2
    expected = f"gannotate: {verb} runs in one process and was started in 2; start it without torchrun\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("compute", [[], ["--accumulate", "2", "--precision", "bf16"]])
def test_semi_supervised_methods_too(project: Path, labelled: Path, together: Together, compute: list[str]) -> None:
    make_importable()
    importlib.import_module("segmentation_models_pytorch")
    words = ["train", str(project), "--method", "mean-teacher", "--labelled", str(labelled)]
    words += ["--unlabelled", str(labelled / "images"), *TRAIN, *compute]
    first, second = together(lambda: said(words), 2)
    assert first[0] == second[0] == 0, first[2]
    assert second[1:] == ("", "")
    assert Segmenter.load(json.loads(first[1])["segmenter"]).config.classes == 3


SMALL = ["--generated", "2", "--segmenter", "unet-classic", "--segmenter-width", "8"]
FROM_REAL = {
    "inversion": ["--inversion-steps", "2"],
    "pseudo-labels": ["--pretrain", "2", *SMALL],
    "gradient-matching": ["--begin", "inversion", "--inversion-steps", "2", "--warm-start", "1", *SMALL],
}


@pytest.mark.parametrize("method", FROM_REAL)
def test_decoders_learn_from_real_labels_together(
    project: Path, labelled: Path, together: Together, method: str
) -> None:
    words = ["fit", str(project), "--from", "real", "--labelled", str(labelled), "--method", method, "--steps", "2"]
    first, second = together(lambda: said([*words, *FROM_REAL[method], "--json"]), 2)
    assert first[0] == second[0] == 0, (first[2], second[2])
    assert second[1:] == ("", "")
    assert Project.open(project).find("decoders", None).name == f"0001-light-{method}"


def test_decoders_learn_at_known_latents_together(
    project: Path, labelled: Path, tmp_path: Path, together: Together
) -> None:
    latents = str(tmp_path / "latents")
    invert = ["invert", str(labelled), "--generator", str(project), "--out", latents, "--steps", "30"]
    assert said(invert)[0] == 0
    words = ["fit", str(project), "--from", "real", "--labelled", str(labelled), "--method", "inversion"]
    words += ["--latents", latents, "--steps", "2"]
    first, second = together(lambda: said([*words, "--json"]), 2)
    assert first[0] == second[0] == 0, (first[2], second[2])
    assert second[1:] == ("", "")
    assert json.loads(first[1])["latents_psnr_db"] > 0
    assert Project.open(project).find("decoders", None).name == "0001-light-inversion"


@pytest.mark.parametrize("method", ["vae", "simclr"])
def test_networks_learn_unlabelled_pictures_together(
    project: Path, labelled: Path, tmp_path: Path, together: Together, method: str
) -> None:
    make_importable()
    importlib.import_module("segmentation_models_pytorch")
    words = [
        "pretrain",
        str(project),
        "--method",
        method,
        "--unlabelled",
        str(labelled),
        "--out",
        str(tmp_path / "net"),
    ]
    words += ["--steps", "2", "--batch", "8", "--json", *(["--depth", "3"] if method == "simclr" else [])]
    words += ["--accumulate", "2"]
    for _ in range(2):  # typed again: finished
        first, second = together(lambda: said(words), 2)
        assert first[0] == second[0] == 0, (first[2], second[2])
        assert second[1:] == ("", "")
        assert (json.loads(first[1])["steps"], json.loads(first[1])["passes"]) == (2, 2)
    assert not (tmp_path / "net" / "checkpoint.safetensors").exists()


def test_an_encoder_of_latents_is_trained_together(
    project: Path, labelled: Path, tmp_path: Path, together: Together
) -> None:
    words = ["invert", str(labelled), "--generator", str(project), "--encoder", str(tmp_path / "encoder")]
    words += ["--encoder-pictures", str(labelled), "--encoder-steps", "2", "--steps", "2", "--json"]
    for run in ("first", "second"):  # the encoder is there then
        first, second = together(lambda run=run: said([*words, "--out", str(tmp_path / run)]), 2)
        assert first[0] == second[0] == 0, (first[2], second[2])
        assert second[1:] == ("", "")
        assert json.loads(first[1])["pictures"] == len(list((tmp_path / run / "pictures").iterdir())) > 0
    assert not (tmp_path / "encoder" / "checkpoint.safetensors").exists()


def test_pictures_are_left_out_together(annotated: Path, together: Together) -> None:
    first, second = together(lambda: said(["fit", str(annotated), "--steps", "8", "--hold-out", "--json"]), 2)
    assert first[0] == second[0] == 0, (first[2], second[2])
    assert json.loads(first[1])["temperature"] > 0


@pytest.mark.parametrize("method", ["gct", "semantic-gan"])
def test_one_network_alone_is_compiled(
    project: Path, labelled: Path, capsys: pytest.CaptureFixture[str], method: str
) -> None:
    words = ["train", str(project), "--method", method, "--labelled", str(labelled), "--unlabelled", str(labelled)]
    assert main([*words, "--compile"]) == 2
    assert "--compile is for supervised training, which has one network; leave it out" in capsys.readouterr().err


def test_the_environment_says_who_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert launched() == launched_here() == (0, 1)
    monkeypatch.setenv("RANK", "5")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert launched() == (5, 8)
    for wrong in ("4", "many", ""):
        monkeypatch.setenv("WORLD_SIZE", wrong)
        with pytest.raises(UsageError, match="start several processes with torchrun"):
            launched()


def test_what_each_process_says_of_its_end(second_of_two: None, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer")
    assert sentence_of(UsageError("wrong"), "wrong") == ""
    assert sentence_of(Elsewhere("full"), "full") == ""
    assert sentence_of(lost, "unexpected") == ""
    assert sentence_of(DistStoreError("wait timeout"), "unexpected") == ""
    assert sentence_of(RuntimeError("cannot restore"), "unexpected") == "process 1: unexpected"
    assert sentence_of(GannotateError("full"), "full") == "process 1: full"
    assert sentence_of(Diverged("no number"), "no number") == ""
    monkeypatch.setenv("LOCAL_RANK", "0")  # the first on its machine
    assert sentence_of(UsageError("no project"), "no project") == "process 1: no project"
    assert sentence_of(Elsewhere("full"), "full") == ""
    monkeypatch.setenv("RANK", "0")
    assert sentence_of(UsageError("wrong"), "wrong") == "wrong"
    assert sentence_of(lost, "unexpected").startswith("another process has ended, see there")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def as_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs a command as process `rank` of `count`, which the others need not be there for."""

    def run(rank: int, count: int, *words: object) -> Said:
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(count))
        capsys.readouterr()
        code = main([str(word) for word in words])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def test_a_dataset_is_written_together(annotated: Path, tmp_path: Path, as_process: Callable[..., Said]) -> None:
    assert main(["fit", str(annotated), "--steps", "2", "--quiet"]) == 0
    words = ["synthesize", annotated, "-n", 300, "--json"]
    assert as_process(0, 1, *words, "--out", tmp_path / "one")[0] == 0
    assert as_process(1, 2, *words, "--out", tmp_path / "many") == (0, "", "")
    code, out, _ = as_process(0, 2, *words, "--out", tmp_path / "many")
    assert (code, json.loads(out)["pictures"]) == (0, 300)
    one, many = files(tmp_path / "one"), files(tmp_path / "many")
    for name in ("run.json", "README.md", "croissant.json"):  # name their own folder, and tell the time
        assert one.pop(name)
        assert many.pop(name)
    assert one == many
    code, _, err = as_process(0, 2, *words)
    assert code == 2
    assert "2 processes write one dataset and do not speak with each other; give its folder with --out" in err


def test_pictures_are_labelled_together(
    project: Path, labelled: Path, tmp_path: Path, as_process: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gannotate.cli.predict.BySegmenter.batch", 1)
    assert main(["train", str(project), "--labelled", str(labelled), *TRAIN, "--quiet"]) == 0
    (labelled / "images" / "e.png").write_bytes(b"torn")
    words = ["predict", project, labelled, "--json", "--quiet"]
    _, expected, _ = as_process(0, 1, *words, "--out", tmp_path / "one")

    out = tmp_path / "many"
    assert as_process(2, 3, *words, "--out", out) == (0, "", "")  # pictures c; then it is started in two
    before = (out / "masks" / "c.png").stat().st_mtime_ns
    assert as_process(1, 2, *words, "--out", out)[0] == 0
    code, shown, err = as_process(0, 2, *words, "--out", out)
    assert code == 0, err
    assert (out / "masks" / "c.png").stat().st_mtime_ns == before
    result = json.loads(shown)
    assert result == {**json.loads(expected), "out": str(out), "seconds": result["seconds"]}
    assert list(result["skipped"]) == ["images/e.png"]
    found = files(out)
    assert json.loads(found.pop("predict.json"))["complete"]
    assert found == files(tmp_path / "one")
    assert as_process(1, 2, *words, "--out", out)[0] == 0  # a late one finds all done


def test_one_process_ends_what_several_began(
    project: Path, labelled: Path, tmp_path: Path, as_process: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gannotate.cli.predict.BySegmenter.batch", 1)
    assert main(["train", str(project), "--labelled", str(labelled), *TRAIN, "--quiet"]) == 0
    words, out = ["predict", project, labelled, "--json", "--quiet"], tmp_path / "out"
    code, _, err = as_process(0, 2, "predict", tmp_path, labelled, "--out", out)
    assert (code, "is not a segmenter" in err, out.exists()) == (2, True, False)
    assert as_process(1, 2, *words, "--out", out)[0] == 0
    code, shown, err = as_process(0, 1, *words, "--out", tmp_path / ".." / tmp_path.name / "out", "--device", "cpu")
    assert code == 0, err
    assert json.loads(shown)["pictures"] == len(list((out / "masks").iterdir()))
    assert json.loads((out / "predict.json").read_text())["complete"]


@pytest.mark.parametrize(
    ("out", "more", "sentence"),
    [
        ("answers.zip", [], "several processes cannot write one zip; give a folder to --out"),
        ("taken", [], "exists and is not an empty folder"),
        ("begun", ["--no-overlays"], "holds answers to another overlays"),
    ],
)
def test_folders_that_processes_cannot_share_are_refused(
    project: Path,
    labelled: Path,
    tmp_path: Path,
    as_process: Callable[..., Said],
    out: str,
    more: list[str],
    sentence: str,
) -> None:
    assert main(["train", str(project), "--labelled", str(labelled), *TRAIN, "--quiet"]) == 0
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    assert as_process(1, 2, "predict", project, labelled, "--out", tmp_path / "begun")[0] == 0
    code, _, err = as_process(0, 2, "predict", project, labelled, "--out", tmp_path / out, *more)
    assert code == 2
    assert sentence in err


@pytest.mark.slow
def test_torchrun(project: Path, labelled: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = [*launch, "-m", "gannotate", "train", str(project), "--labelled", str(labelled), *TRAIN]
    run = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert Segmenter.load(json.loads(run.stdout)["segmenter"]).config.classes == 3
