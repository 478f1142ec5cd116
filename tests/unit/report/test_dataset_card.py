"""A dataset's card and its Croissant metadata: complete, valid, and nothing that no file says."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import DatasetCard

from gannotate.data.manifest import Manifest
from gannotate.data.shards import Labelled, encode_sample, write_part
from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_json
from gannotate.project import Project
from gannotate.record import recorded
from gannotate.report.croissant import CONFORMS_TO, KEY
from gannotate.report.dataset_card import write_dataset_card

from .conftest import NAMES, SIZE, add_decoder, label_maps, pictures

REQUIRED = ("@context", "@type", "conformsTo", "description", "license", "name", "url", "creator", "datePublished")
"""Properties that a Croissant 1.0 dataset must have (specification, Dataset-level information)."""


def add_whole_dataset(project: Project, layout: str = "shards", complete: bool = True) -> Path:
    """A dataset of 5 pictures as `synthesize` leaves it; class 3 is in none."""
    folder = project.next_folder("datasets")
    labels = np.where(label_maps(5, 1) > 3, 0, label_maps(5, 1)).astype(np.uint8)
    one = np.full((4, SIZE, SIZE), 0.25, np.float16)
    samples = [Labelled(100 + index, pictures(5, 1)[index], labels[index], one, 0.9) for index in range(5)]
    files = ((f"{sample.seed:010d}", encode_sample(sample, project.classes, soft=True)) for sample in samples)
    with recorded(folder, "synthesize", {"decoder": "0001-light"}, 0):
        sha256 = write_part(folder, layout, 0, files)  # type: ignore[arg-type]
        names = [{"name": item.name, "colour": list(item.colour)} for item in project.classes]
        settings: dict[str, Any] = {"format": layout, "count": 5, "soft": True, "classes": names, "size": SIZE}
        settings |= {"image_channels": 1, "first_seed": 100, "draw": {"psi": 0.7}, "keep": 0.9, "generator": "ab12"}
        px = np.bincount(labels.ravel(), minlength=4).tolist()
        part = {"first_seed": 100, "samples": 5, "confidence": 0.9, "class_px": px, "sha256": sha256}
        Manifest(settings, [part], complete=complete).write(folder)
    return folder


@pytest.fixture
def project(empty: Project) -> Project:
    """A project with a decoder that a simulated annotator taught."""
    add_decoder(empty, [4, 5])
    path = empty.folder / "decoders" / "0001-light" / "run.json"
    record = json.loads(path.read_text())
    write_json(path, record | {"result": {"shots": 2, "label_sources": {"simulated": 2}}})
    return empty


@pytest.mark.parametrize("layout", ["shards", "folder"])
def test_the_card_says_what_the_files_say(project: Project, layout: str):
    folder = add_whole_dataset(project, layout)
    path, _ = write_dataset_card(folder, project, licence="CC BY 4.0", creator="Ann")
    text = path.read_text()
    data = DatasetCard(text).data.to_dict()
    assert data["license"] == "cc-by-4.0"
    assert data["task_categories"] == ["image-segmentation"]
    assert data["size_categories"] == ["n<1K"]
    glob = data["configs"][0]["data_files"][0]["path"]
    assert [one for one in folder.rglob("*") if fnmatch(str(one.relative_to(folder)), glob)]
    for line in (
        "# cells <i>-0001",
        "- Labelled by: decoder 0001-light",
        "- Annotated pictures that taught it: 2 (2 simulated)",
        "- Mean confidence (largest class probability): 0.900",
        "- Kept: the most certain 90% of the pictures drawn",
        "- Generator: stylegan2, a & b; SHA-256 of its weights ab12",
        "- First seed: 100; drawn with psi 0.7",
        "- Not a single pixel of: never",
        "- The annotations behind them are simulated: a network made them, not a person",
        "- This dataset: CC BY 4.0",
        "- The pictures that the generator was trained on: not stated",
        "- By: Ann",
    ):
        assert line in text.splitlines()
    assert "5 generated grey pictures of 16 x 16 px with label maps of 4 classes." in text
    assert re.search(r"\| 3 \| never \| #dc5ac8 \| 0\.00 % \|", text)
    assert ("shard-NNNNNN.tar" in text) == (layout == "shards")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("/home/ann/runs/faces", "faces"),
        (r"C:\Users\Ann\faces", "faces"),
        ("/opt/gannotate/assets/portraits/generator", "the portraits generator that ships with gannotate"),
        ("the one from the paper", "the one from the paper"),
    ],
)
def test_a_card_names_no_folder_of_the_machine_that_made_it(project: Project, source: str, told: str):
    assert project.config.generator is not None
    generator = project.config.generator.model_copy(update={"source": source})
    config = project.config.model_copy(update={"generator": generator})
    path = project.folder / "project.yaml"
    path.write_text(config.to_yaml())
    folder = add_whole_dataset(project)
    for written in write_dataset_card(folder, Project.open(project.folder)):
        text = written.read_text()
        assert not [place for place in ("/home/", "/opt/", "Users", str(project.folder)) if place in text]
    assert f"- Generator: stylegan2, {told}; SHA-256" in (folder / "README.md").read_text()


def test_a_dataset_far_from_its_project_says_less(project: Project):
    folder = add_whole_dataset(project)
    card, croissant = write_dataset_card(folder)
    assert DatasetCard(card.read_text()).data.to_dict()["license"] == "unknown"
    for line in ("# 0001", "- Annotated pictures that taught it: not stated", "- By: not stated"):
        assert line in card.read_text().splitlines()
    assert json.loads(croissant.read_text())["license"] == "not stated"


@pytest.mark.parametrize("layout", ["shards", "folder"])
def test_croissant_has_what_the_specification_asks_for(project: Project, layout: str):
    folder = add_whole_dataset(project, layout)
    _, path = write_dataset_card(folder, project, "CC BY 4.0", "Ann", "https://example.org/cells")
    found = json.loads(path.read_text())
    assert all(found[name] for name in REQUIRED)
    assert (found["@type"], found["conformsTo"]) == ("sc:Dataset", CONFORMS_TO)
    assert (found["name"], found["url"]) == ("cells--i--0001", "https://example.org/cells")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["datePublished"])
    ids = _ids(found)
    assert len(set(ids)) == len(ids)
    for one in found["distribution"]:
        assert one["encodingFormat"]
        if one["@type"] == "cr:FileObject":
            data = (folder / one["contentUrl"]).read_bytes()
            assert one["sha256"] == hashlib.sha256(data).hexdigest()
            assert one["contentSize"] == f"{len(data)} B"
        assert {inside["@id"] for inside in one.get("containedIn", [])} <= set(ids)
    for records in found["recordSet"]:
        for item in records["field"]:
            assert item["@id"].startswith(f"{records['@id']}/")
            source = item.get("source")
            assert source is None or source["fileSet"]["@id"] in ids
            assert item.get("references", {"field": {"@id": ids[0]}})["field"]["@id"] in ids
        assert records["key"]["@id"] in ids
    assert [row["classes/name"] for row in found["recordSet"][0]["data"]] == list(NAMES)
    assert str(folder) not in path.read_text()


@pytest.mark.parametrize(
    ("licence", "told"),
    [
        ("CC BY 4.0", "https://spdx.org/licenses/CC-BY-4.0.html"),
        ("apache-2.0", "https://spdx.org/licenses/Apache-2.0.html"),
        ("GPL-3.0", "GPL-3.0"),  # which of two, SPDX would ask
        ("ask Ann first", "ask Ann first"),
        ("", "not stated"),
    ],
)
def test_croissant_gives_the_address_of_a_known_licence(project: Project, licence: str, told: str):
    _, path = write_dataset_card(add_whole_dataset(project), project, licence)
    assert json.loads(path.read_text())["license"] == told


def test_croissant_calls_label_maps_masks(project: Project):
    _, path = write_dataset_card(add_whole_dataset(project), project)
    fields = {item["@id"]: item for records in json.loads(path.read_text())["recordSet"] for item in records["field"]}
    assert fields["labels/label_map"]["dataType"] == ["sc:ImageObject", "cr:SegmentationMask"]
    assert fields["samples/picture"]["dataType"] == "sc:ImageObject"


def test_without_a_record_of_its_making_a_dataset_is_as_old_as_its_manifest(project: Project):
    folder = add_whole_dataset(project)
    (folder / "run.json").unlink()
    noon = datetime(2025, 3, 4, 12, tzinfo=UTC).timestamp()
    os.utime(folder / "manifest.json", (noon, noon))
    _, path = write_dataset_card(folder, project)
    assert json.loads(path.read_text())["datePublished"] == "2025-03-04"


def test_a_class_with_a_bar_in_its_name_stays_in_its_row(project: Project):
    folder = add_whole_dataset(project)
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    content["settings"]["classes"][1]["name"] = "left | right\nlung"
    write_json(path, content)
    card, _ = write_dataset_card(folder, project)
    rows = [line for line in card.read_text().splitlines() if line.startswith("| 1 ")]
    assert [re.split(r" (?<!\\)\| ", row)[1] for row in rows] == [r"left \| right lung"]


def _ids(tree: Any) -> list[str]:
    """Identities of everything that is defined (and not only named) in a JSON-LD tree."""
    if isinstance(tree, list):
        return [name for item in tree for name in _ids(item)]
    if not isinstance(tree, dict):
        return []
    own = [tree["@id"]] if "@id" in tree and "@type" in tree and tree["@type"] != "@json" else []
    own = [name for name in own if not name.startswith("cr:")]
    return own + [name for key, item in tree.items() if key != "@context" for name in _ids(item)]


def test_keys_are_read_off_every_name_and_off_themselves():
    for name in ("0000000100.png", "0000000100.label.png", "images/0000000100.png", "0000000100"):
        match = re.match(KEY, name)
        assert match is not None
        assert match[1] == "0000000100"


@pytest.mark.parametrize("layout", ["shards", "folder"])
def test_mlcroissant_reads_every_picture_and_label_map(
    project: Project, layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mlcroissant = pytest.importorskip("mlcroissant")
    extract = importlib.import_module("mlcroissant._src.operation_graph.operations.extract")
    # it keeps unpacked archives by their name alone
    monkeypatch.setattr(extract, "EXTRACT_PATH", type(extract.EXTRACT_PATH)(tmp_path / "unpacked"))
    folder = add_whole_dataset(project, layout)
    _, path = write_dataset_card(folder, project, "CC BY 4.0", "Ann", "https://example.org/cells")
    dataset = mlcroissant.Dataset(jsonld=str(path))
    assert not dataset.metadata.issues.errors
    for records, field in (("samples", "picture"), ("labels", "label_map")):
        rows = list(dataset.records(records))
        assert [row[f"{records}/key"].decode() for row in rows] == [f"{seed:010d}" for seed in range(100, 105)]
        assert all(row[f"{records}/{field}"].size == (SIZE, SIZE) for row in rows)


def test_what_is_no_dataset_and_one_that_is_not_finished(project: Project, tmp_path: Path):
    with pytest.raises(UsageError, match="is not a dataset"):
        write_dataset_card(tmp_path, project)
    folder = add_whole_dataset(project, complete=False)
    with pytest.raises(GannotateError, match=r"is not finished \(5 of 5 pictures\); type the"):
        write_dataset_card(folder, project)
    assert not (folder / "README.md").exists()
