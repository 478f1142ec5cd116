"""`train-generator` from files to a generator folder; what is broken is named; typed again it goes on."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from gannotate.cli.app import main
from gannotate.errors import UsageError
from gannotate.generators.adversarial.run import GeneratorRun, train_generator


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(60):
        Image.fromarray(rng.integers(0, 255, (16, 16), dtype=np.uint8)).save(folder / f"{index:03d}.png")
    (folder / "broken.png").write_bytes(b"not a picture")
    Image.fromarray(np.zeros((16, 20), np.uint8)).save(folder / "wide.png")
    return folder


def run(pictures, out, *words):
    flags = [
        *([] if "--size" in words else ["--size", "16"]),
        "--batch",
        "4",
        "--kimg",
        "1",
        "--gauge-pictures",
        "50",
        "--snapshot-kimg",
        "0.008",
    ]
    return main(["train-generator", str(pictures), "--out", str(out), "--json", *flags, *words])


def test_whole_and_again(pictures, tmp_path, capsys):
    out = tmp_path / "generator"
    assert run(pictures, out, "--max-steps", "2") == 0
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert result["pictures"] == 60
    assert sum(result["skipped"].values()) == 2
    assert "skipped broken.png: not a whole picture" in shown.err
    assert "skipped wide.png: 20x16 px, the others are 16x16" in shown.err
    assert result["kimg"] == pytest.approx(0.008)
    assert result["best"]["kid"] > 0
    assert json.loads((out / "run.json").read_text())["status"] == "done"

    assert run(pictures, out, "--max-steps", "4") == 0
    assert json.loads(capsys.readouterr().out)["kimg"] == pytest.approx(0.016)
    assert run(pictures, out, "--max-steps", "4") == 0
    assert json.loads(capsys.readouterr().out)["kimg"] == pytest.approx(0.016)


def test_dry_run_writes_nothing(pictures, tmp_path, capsys):
    assert run(pictures, tmp_path / "generator", "--dry-run") == 0
    assert json.loads(capsys.readouterr().out)["config"]["resolved"]["batch"] == 4
    assert not (tmp_path / "generator").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--size", "24"], "power of two"),
        (["--size", "32"], "smaller than 32 px"),
        (["--gauge-space", "no/such/file"], "no/such/file"),
        (["--aug", "some"], "--aug"),
        (["--gamma", "-1"], "gamma is -1"),
    ],
)
def test_wrong_requests(pictures, tmp_path, capsys, change, words):
    assert run(pictures, tmp_path / "generator", *change) == 2
    sentence = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in sentence
    assert not (tmp_path / "generator").exists()


@pytest.mark.parametrize(("minutes", "max_steps"), [(0.0, None), (-1.0, None), (None, 0), (None, -3)])
def test_from_python_a_limit_leaves_something_to_do(tmp_path, minutes, max_steps):
    pictures = np.zeros((60, 16, 16, 1), np.uint8)
    with pytest.raises(UsageError, match=r"give (more than 0|1 or more), or none"):
        next(train_generator(pictures, tmp_path / "new", GeneratorRun(minutes=minutes), max_steps=max_steps))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("what", ["generator", "pictures"])
def test_a_folder_of_something_else_is_left_alone(generator, pictures, tmp_path, capsys, what):
    out = shutil.copytree(generator, tmp_path / "generator") if what == "generator" else pictures
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    for more in ([], ["--no-resume"], ["--dry-run"]):
        assert run(pictures, out, "--max-steps", "2", *more) == 2
        assert f"{out} exists and is not an empty folder; give a new one" in capsys.readouterr().err
    with pytest.raises(UsageError, match="not an empty folder"):
        next(train_generator(np.zeros((60, 16, 16, 1), np.uint8), out, GeneratorRun()))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
