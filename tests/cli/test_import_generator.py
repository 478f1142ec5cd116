"""`import-generator` from a foreign file to a folder that the other verbs take."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gannotate.cli.import_generator import import_generator
from gannotate.generators.base import DrawOptions, draw, to_uint8
from gannotate.generators.build import build_generator, load_generator

from .conftest import Command


@pytest.fixture
def network():
    torch.manual_seed(0)
    settings = {"size": 16, "z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 128, "channel_max": 16}
    made = build_generator({"architecture": "stylegan1", **settings})
    for name, tensor in made.state_dict().items():
        if name.endswith(("bias", "w_avg")):
            tensor.normal_(0, 0.2)
    return made.eval()


PARTS = {"noise_strength": "top_epi.noise.weight", "affine.weight": "style_mod.lin.weight"}
PARTS |= {"affine.bias": "style_mod.lin.bias"}


@pytest.fixture
def file(network, tmp_path: Path) -> Path:
    """The network as a public StyleGAN file."""
    state = {}
    for name, tensor in network.state_dict().items():
        first, *rest = name.split(".")
        if first == "mapping" and rest[0] != "w_avg":
            state[f"g_mapping.dense{rest[0][2:]}.{rest[1]}"] = tensor
        elif first == "torgb":
            state[f"g_synthesis.{name}"] = tensor
        elif first == "synthesis" and rest[-1] != "noise_const":
            side, layer, part = int(rest[0][1:]), rest[1], ".".join(rest[2:])
            prefix, number = f"g_synthesis.blocks.{side}x{side}", int(layer[-1]) + 1
            own = {"conv0": "conv0_up", "conv1": "conv1"} if side > 4 else {"conv0": "", "conv1": "conv"}
            middle = f"epi{number}.{PARTS[part]}" if part in PARTS else f"{own[layer]}.{part}".lstrip(".")
            state[f"{prefix}.{middle}"] = tensor[None] if part == "const" else tensor
    path = tmp_path / "file.pt"
    torch.save(state, path)
    return path


def test_a_file_becomes_a_generator(command: Command, network, file: Path, tmp_path: Path):
    average = tmp_path / "average.npy"
    np.save(average, network.mapping.w_avg.numpy())
    out = tmp_path / "deep" / "generator"
    result = command("import-generator", file, "--out", out, "--average-latent", average, "--licence", "CC0")
    assert result["architecture"] == "stylegan1"
    assert result["size_px"] == 16
    assert result["licence"] == "CC0"
    assert [tap[0] for tap in result["taps"]] == [tap.name for tap in network.taps]
    assert sorted(path.name for path in out.iterdir()) == ["card.md", "config.json", "model.safetensors", "run.json"]
    assert json.loads((out / "run.json").read_text())["status"] == "done"
    assert f"SHA-256 of that file: {result['sha256']}" in (out / "card.md").read_text()

    options = DrawOptions(psi=0.5, noise="none")
    (theirs,), (ours,) = (list(draw(each, [3], options)) for each in (network, load_generator(out)))
    assert torch.allclose(theirs[1].picture, ours[1].picture, atol=1e-5)
    command("generate", out, "--seeds", "3", "--psi", "0.5", "--noise", "none", "--out", tmp_path / "pictures")
    drawn = np.asarray(Image.open(tmp_path / "pictures" / "3.png")).astype(int)
    assert np.abs(drawn - to_uint8(theirs[1].picture)[0]).max() <= 1


def test_what_a_person_reads(command: Command, file: Path, tmp_path: Path):
    text = command.text("import-generator", file, "--out", tmp_path / "out")
    assert "stylegan1, 16 px RGB" in text
    assert "licence: unknown: ask the author" in text
    assert any(line.split() == ["b16.style1", "8", "16", "16"] for line in text.splitlines())
    assert text.splitlines()[-1] == f"next: gannotate generate {tmp_path / 'out'} --out PICTURES"


def test_notes_are_said(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from gannotate.cli.app import main

    assert main(["import-generator", str(file), "--out", str(tmp_path / "out")]) == 0
    assert "average latent; it was estimated" in capsys.readouterr().err


def test_dry_run_reads_nothing(command: Command, tmp_path: Path):
    result = command("import-generator", "hf:a/b/c.pkl", "--out", tmp_path / "out", "--dry-run")
    assert result["would"] == [f"import hf:a/b/c.pkl into {tmp_path / 'out'}"]
    assert not (tmp_path / "out").exists()


def test_mistakes_leave_nothing(command: Command, file: Path, tmp_path: Path):
    out = tmp_path / "out"
    assert command.mistake("import-generator", tmp_path / "no.pkl", "--out", out)[0] == 2
    file.write_bytes(file.read_bytes()[:2000])
    code, sentence = command.mistake("import-generator", file, "--out", out)
    assert code == 1
    assert sentence.startswith(f"{file} is damaged")
    file.write_bytes(b"cos\nsystem\n(S'touch sung'\ntR.")
    code, sentence = command.mistake("import-generator", file, "--out", out)
    assert code == 1
    assert "asks for os.system" in sentence
    code, sentence = command.mistake("import-generator", file, "--out", tmp_path)
    assert code == 2
    assert "exists" in sentence
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


class Hub(types.ModuleType):
    """Stands in for huggingface_hub: has one file."""

    def __init__(self, file: Path) -> None:
        super().__init__("huggingface_hub")
        self.file, self.asked = file, []

    def hf_hub_download(self, repository: str, path: str) -> str:
        self.asked.append((repository, path))
        if path != "deep/G.pt":
            raise ConnectionError("no route\nto host")
        return str(self.file)


def test_a_file_of_the_hub(command: Command, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hub = Hub(file)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    result = command("import-generator", "hf:some.one/faces/deep/G.pt", "--out", tmp_path / "out")
    assert hub.asked == [("some.one/faces", "deep/G.pt")]
    assert result["imported_from"] == "hf:some.one/faces/deep/G.pt"
    code, sentence = command.mistake("import-generator", "hf:some.one/faces/other.pt", "--out", tmp_path / "new")
    assert code == 1
    assert "hf:some.one/faces/other.pt could not be downloaded (ConnectionError: no route to host)" in sentence
    code, sentence = command.mistake("import-generator", "hf:faces/other.pt", "--out", tmp_path / "new")
    assert code == 2
    assert "hf:OWNER/NAME/PATH" in sentence
    assert not (tmp_path / "new").exists()


def test_the_verb_is_the_function():
    from gannotate.cli.app import find_verb

    assert find_verb("import-generator").load() is import_generator
