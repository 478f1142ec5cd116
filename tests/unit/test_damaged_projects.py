"""Projects, datasets and records that somebody damaged or made up: a sentence, nothing written elsewhere, no hang."""

from __future__ import annotations

import dataclasses
import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.annotate.store import Store
from gannotate.data.manifest import Manifest
from gannotate.data.shards import read_dataset
from gannotate.data.sharing import PartNotes
from gannotate.data.writing import new_pictures
from gannotate.decoders.build import load_decoder, save_decoder
from gannotate.decoders.light import LightDecoder
from gannotate.errors import GannotateError, UsageError
from gannotate.generators.build import load_generator, save_generator
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.inversion.gate import load_gate
from gannotate.jsonlines import read_rows
from gannotate.project import FIRST_REAL, PoolPicture, Project, RealPicture
from gannotate.project_config import ClassEntry, ProjectConfig
from gannotate.record import is_finished, read_record
from gannotate.studies.domain import load_domain
from gannotate.training.checkpoint import load_checkpoint

DRAWN = {"psi": 1.0, "cutoff": None, "noise": "const"}
REAL = RealPicture(name="a", file="a.png", sha256="0", width=4, height=4, left=0, top=0, side_px=4)

DEEP = "[" * 100_000


@pytest.fixture
def project(tmp_path: Path) -> Project:
    classes = tuple(ClassEntry(name=name, colour=(0, 0, 0)) for name in ("background", "left"))
    config = ProjectConfig(name="x", created="2025", size=4, image_channels=1, classes=classes)
    made = Project.create(tmp_path / "parts", config)
    made.add_to_pool([(PoolPicture(0, DRAWN), b"png")])
    return made


def append(project: Project, file: str, row: dict[str, Any] | str) -> None:
    path = project.folder / file
    path.parent.mkdir(exist_ok=True)
    text = row if isinstance(row, str) else json.dumps(row)
    path.write_text((path.read_text() if path.exists() else "") + text + "\n")


NAMES = ("../../x", "/tmp/x", "a/b", "a\\b", "..", ".", "", "a\0b")


@pytest.mark.parametrize("name", NAMES)
def test_a_real_picture_is_not_called_by_a_path(name: str, project: Project):
    """An export would write it by its name."""
    append(project, "pool/pool.jsonl", PoolPicture(FIRST_REAL, {}, dataclasses.replace(REAL, name=name)).as_row())
    with pytest.raises(GannotateError, match=r"pool\.jsonl, picture 4000000001: name: .*a name with folders in it"):
        project.pool("any")


@pytest.mark.parametrize("name", ["../x.png", "/tmp/x.png", "a/../../x.png", "a\\x.png"])
@pytest.mark.parametrize("out", ["out", "out.zip"])
def test_pictures_are_not_written_out_of_their_folder(name: str, out: str, tmp_path: Path):
    def write() -> None:
        with new_pictures(tmp_path / out) as add:
            add("images/a.png", b"a")
            add(name, b"x")

    with pytest.raises(GannotateError, match="leads out of the folder"):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"seed": "1"}, "seed is no whole number"),
        ({"seed": None}, "seed is no whole number"),
        ({"seed": 1.5}, "seed is no whole number"),
        ({"seed": True}, "seed is no whole number"),
        ('{"seed": 1e999}', "seed is no whole number"),
        ('{"seed": ' + "9" * 5000 + "}", "is not JSON"),
        (DEEP, "is not JSON.*nested too deep"),
        ("[1]", "lacks seed"),
        ({"seed": 1}, "lacks 'psi' for picture 1"),
        ({"seed": 1} | DRAWN | {"psi": "much"}, "picture 1: psi"),
        ({"seed": 1} | DRAWN | {"noise": []}, "picture 1: noise"),
        ({"seed": FIRST_REAL}, "lacks 'name'"),
        ({"seed": FIRST_REAL} | dataclasses.asdict(REAL) | {"left": "x"}, "picture 4000000001: left"),
    ],
)
def test_damaged_pools(row: dict[str, Any] | str, words: str, project: Project):
    append(project, "pool/pool.jsonl", row)
    with pytest.raises(GannotateError, match=words):
        project.pool("any")


def test_a_list_that_is_no_text(project: Project):
    (project.folder / "pool" / "pool.jsonl").write_bytes(b'{"seed": 0, "x": "\xff"}\n')
    with pytest.raises(GannotateError, match="line 1 is not JSON"):
        project.pool()
    (project.folder / "pool" / "pool.jsonl").unlink()
    (project.folder / "pool" / "pool.jsonl").mkdir()
    with pytest.raises(GannotateError, match="cannot be read"):
        project.pool()


@pytest.mark.parametrize("more", [{"about": []}, {"about": "x"}, {"saved": 1}, {"source": 3}])
def test_damaged_rows_of_annotations(more: dict[str, Any], project: Project):
    project.write_annotation(0, np.zeros((4, 4), np.uint8), "person", {})
    (project.folder / "pool" / "images").mkdir(exist_ok=True)
    path = project.folder / "annotations" / "annotations.jsonl"
    path.write_text(json.dumps({"seed": 0, "source": "person"} | more) + "\n")
    for reader in (lambda: project.annotations(), lambda: Store(project).load(0)):
        with pytest.raises(GannotateError, match="damaged row for picture 0"):
            reader()


@pytest.mark.parametrize(
    "text",
    [DEEP, "{}", "[]", "1", '{"format_version": 1e999}', '{"format_version": 1}', '{"format_version": 1, "status": 3}',
     '{"format_version": 1, "status": "done", "result": []}', '{"format_version": "x"}', "\udcff"],
)  # fmt: skip
def test_damaged_records(text: str, tmp_path: Path):
    (tmp_path / "run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    for reader in (read_record, is_finished):
        with pytest.raises(GannotateError, match=r"run\.json is damaged"):
            reader(tmp_path)


SETTINGS = {"format": "folder", "count": 2, "classes": [], "soft": False}
MANIFEST = {"format_version": 1, "settings": SETTINGS, "parts": [{"first_seed": 0, "samples": 2}], "complete": True}


@pytest.mark.parametrize(
    "change",
    [
        {"parts": [{"first_seed": 0, "samples": 10**30}]},
        {"parts": [{"first_seed": -1, "samples": 2}]},
        {"parts": [3]},
        {"parts": None},
        {"settings": []},
        {"settings": SETTINGS | {"count": float("inf")}},
        {"format_version": float("inf")},
        {"more": 1},
    ],
)
def test_damaged_manifests(change: dict[str, Any], tmp_path: Path):
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST | change))
    with pytest.raises(GannotateError, match=r"manifest\.json is damaged"):
        Manifest.read(tmp_path)


def test_a_manifest_may_say_that_there_are_billions_of_samples(tmp_path: Path):
    about = MANIFEST | {"parts": [{"first_seed": 0, "samples": 2**31}]}
    (tmp_path / "manifest.json").write_text(json.dumps(about))
    with pytest.raises(GannotateError, match=r"the file \.png is missing"):
        read_dataset(tmp_path, 0)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["format_version", "settings", "parts", "gate", "status", "samples"]), inner)
    ),
    max_leaves=10,
)


@given(value=json_values)
@settings(max_examples=150, deadline=None)
def test_any_json_in_place_of_what_runs_leave(value: Any, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("json")
    for name in ("run.json", "manifest.json", "gate.json", "000000.json", "classes.json"):
        (folder / name).write_text(json.dumps(value))
    for name in ("labelled", "test"):
        (folder / name).mkdir()
    with pytest.raises(GannotateError):
        Manifest.read(folder)
    for reader in (
        lambda: read_record(folder),
        lambda: load_gate(folder / "gate.json"),
        lambda: PartNotes(folder, ("samples",)).get(0),
        lambda: load_domain(str(folder), environment={}),
        lambda: read_rows(folder / "run.json", ("step",)),
    ):
        with suppress(GannotateError):
            reader()


@pytest.mark.parametrize(
    "tree",
    [
        '{"tensor": "t0", "channels_last": true}',  # of three sides
        '{"tensor": "t9", "channels_last": false}',
        '{"tensor": [], "channels_last": false}',
        '{"dict": [[[], {"value": 1}]]}',
        '{"dict": [1]}',
        '{"list": 3}',
        "{}",
        "3",
        DEEP,
    ],
)
def test_damaged_checkpoints(tree: str, tmp_path: Path):
    from safetensors.torch import save

    (tmp_path / "c.safetensors").write_bytes(save({"t0": torch.zeros(2, 2, 2)}, metadata={"tree": tree}))
    with pytest.raises(GannotateError, match="is not a whole checkpoint"):
        load_checkpoint(tmp_path / "c.safetensors")


def head(tensors: dict[str, Any], size: int = 8) -> bytes:
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text + bytes(size)


ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
TREE = {"__metadata__": {"tree": '{"tensor": "t0", "channels_last": false}'}}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        (1 << 40).to_bytes(8, "little") + b"{}",
        head(TREE | {"t0": ONE | {"data_offsets": [0, 1 << 40]}}),
        head(TREE | {"t0": ONE | {"shape": [1 << 40]}}),
        head(TREE | {"t0": ONE | {"shape": [1 << 63, 2]}}),
        head(TREE | {"t0": ONE | {"data_offsets": [4, 12]}}),
        head(TREE | {"t0": ONE, "t1": ONE}),  # overlapping
        head(TREE | {"t0": ONE | {"dtype": "F99"}}),
        head(TREE | {"t0": ONE}, size=7),
        head(TREE | {"t0": ONE}, size=99),
        head({"t0": ONE}),
        head(TREE),
    ],
    ids=range(13),
)
def test_safetensors_that_lie_about_their_tensors(data: bytes, tmp_path: Path):
    (tmp_path / "c.safetensors").write_bytes(data)
    with pytest.raises(GannotateError, match="is not a whole checkpoint"):
        load_checkpoint(tmp_path / "c.safetensors")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    config = StyleGAN2Config(size=8, z_dim=4, w_dim=4, mapping_layers=1, channel_base=32, channel_max=4)
    save_generator(folder / "generator", StyleGAN2(config))
    save_decoder(folder / "decoder", LightDecoder.of_generator(StyleGAN2(config), 3))
    return folder


LARGE = [(name, 1 << 31) for name in ("z_dim", "w_dim", "size")] + [("mapping_layers", 1 << 62)]
ODD: list[tuple[str, Any]] = [("architecture", []), ("size", float("inf")), ("z_dim", "x"), ("z_dim", -1), ("more", 1)]


@pytest.mark.parametrize(("key", "value"), LARGE + ODD)
def test_a_generators_config_that_claims_another_network(key: str, value: Any, models: Path, tmp_path: Path):
    """Nothing of the size that it claims is allocated, nor as many layers made."""
    folder = Path(shutil.copytree(models / "generator", tmp_path / "generator"))
    content = json.loads((folder / "config.json").read_text())
    content["generator"][key] = value
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(GannotateError):
        load_generator(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("classes", 1 << 40),
        ("size", float("-inf")),
        ("architecture", []),
        ("taps", [{"name": "a"}]),
        ("config", {"width": 0}),
    ],
)
def test_a_decoders_config_that_claims_another_network(key: str, value: Any, models: Path, tmp_path: Path):
    folder = Path(shutil.copytree(models / "decoder", tmp_path / "decoder"))
    content = json.loads((folder / "config.json").read_text())
    content["decoder"][key] = value
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(GannotateError):
        load_decoder(folder)
    content["decoder"] = json.loads((models / "decoder" / "config.json").read_text())["decoder"]
    content["decoder"]["taps"][0]["channels"] = 1 << 31
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(GannotateError, match=r"a network of \d+ numbers in \d+ bytes"):
        load_decoder(folder)


def test_a_classes_file_of_a_domain_that_is_none(tmp_path: Path):
    for name in ("labelled", "test"):
        (tmp_path / name).mkdir()
    for text in (DEEP, "[]", '{"classes": 3}', '{"classes": {"5": "x"}}'):
        (tmp_path / "classes.json").write_text(text)
        with pytest.raises(UsageError, match=r"classes\.json does not name classes"):
            load_domain(str(tmp_path), environment={})
