"""`report` on a generated dataset: its card and Croissant metadata. On others: test_demo.py, test_study.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gannotate.labels import read_label_map
from gannotate.project import Project

from .conftest import BY_FEATURES, Command


@pytest.fixture
def dataset(command: Command, annotated: Path) -> Path:
    """A dataset of 4 pictures in a project."""
    command("fit", annotated, "--max-steps", 4, "--shots", 3)
    return Path(command("synthesize", annotated, "-n", 4)["dataset"])


def test_report_writes_a_datasets_card(command: Command, dataset: Path):
    card, croissant = dataset / "README.md", dataset / "croissant.json"
    for made in (card, croissant):
        made.unlink()  # by `synthesize`
    would = command("report", dataset, "--licence", "MIT", "--dry-run")["would"]
    assert would == [f"write {card} and {croissant}"]
    assert not card.exists()
    assert command("report", dataset) == {"card": str(card), "croissant": str(croissant)}
    assert "license: unknown" in card.read_text()
    command("report", dataset, "--licence", "MIT", "--creator", "Ann", "--url", "https://example.org/a")
    assert card.read_text().startswith("---\nlicense: mit\n")
    assert "- Labelled by: decoder 0001-light" in card.read_text()
    assert "- Annotated pictures that taught it: 3 (3 person)" in card.read_text()
    found = json.loads(croissant.read_text())
    licence = "https://spdx.org/licenses/MIT.html"
    assert (found["license"], found["creator"]["name"], found["url"]) == (licence, "Ann", "https://example.org/a")
    assert len(list(dataset.glob("shard-*.tar"))) == sum(
        one["@type"] == "cr:FileObject" for one in found["distribution"]
    )


def test_report_says_what_a_card_still_lacks(command: Command, dataset: Path, capsys: pytest.CaptureFixture[str]):
    from gannotate.cli.app import main

    assert main(["report", str(dataset), "--licence", "MIT"]) == 0
    assert "not stated: creator, url; give --creator and --url" in capsys.readouterr().err


def test_a_trained_segmenter_still_reads_the_dataset(command: Command, dataset: Path):
    command("report", dataset)
    project = dataset.parent.parent
    words = ["--encoder", "tu-resnet10t", "--depth", 3, "--batch", 2, "--max-steps", 1]
    assert command("train", project, *words)["pictures"] == 4


def test_report_mistakes(command: Command, dataset: Path, tmp_path: Path):
    project = dataset.parent.parent
    code, told = command.mistake("report", project, "--licence", "MIT", "--creator", "Ann")
    assert code == 2
    assert told == (
        f"--licence and --creator are for the card of a dataset, and {project} has no manifest.json; leave them out"
    )
    (dataset / "manifest.json").write_text("{}")
    code, told = command.mistake("report", dataset)
    assert (code, "manifest.json is damaged" in told) == (1, True)
    code, told = command.mistake("report", tmp_path / "nowhere")
    assert (code, "is not there; give the folder of a project" in told) == (2, True)


@pytest.mark.parametrize("through", ["generator", "features", "test"])
def test_a_decoders_evaluation_keeps_pictures_for_the_page(
    command: Command, annotated: Path, labelled: Path, through: str
):
    fit = ["--max-steps", 2]
    if through == "features":
        fit += ["--from", "real", "--labelled", labelled, *BY_FEATURES]
    else:
        fit += ["--shots", 2]
    decoder = Path(command("fit", annotated, *fit)["decoder"])
    test = ["--test", labelled, "--steps", 2] if through == "test" else []
    run = Path(command("evaluate", annotated, "--of", "decoder", *test)["run"])
    sources = [one["source"] for one in json.loads((run / "examples" / "examples.json").read_text())]
    if through == "test":
        assert sources == [f"images/{name}.png" for name in "abcd"]
    else:
        config = json.loads((decoder / "run.json").read_text())["config"]
        assert sources == [f"seed {seed}" for seed in range(4) if seed not in config.get("annotations", ())]
        opened = Project.open(annotated)
        first = int(sources[0].removeprefix("seed "))
        shown = np.asarray(Image.open(run / "examples" / "000000.png"))
        assert (shown == np.asarray(Image.open(opened.pool_picture_path(first)))).all()
        truth = read_label_map(run / "examples" / "000000.truth.png", 3)
        assert (truth == opened.read_annotation(first)).all()
    title = "The decoder on test pictures" if through == "test" else "The decoder on held-out annotations"
    assert title in Path(command("report", annotated)["page"]).read_text()
