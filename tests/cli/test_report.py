"""`report` on a generated dataset: its card and Croissant metadata. On others: test_demo.py, test_study.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Command


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
    assert (found["license"], found["creator"]["name"], found["url"]) == ("MIT", "Ann", "https://example.org/a")
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
    assert (code, "is not a project" in told) == (2, True)
