"""Files that are cut, changed, too big or not what they seem: one sentence of ours, and no memory for empty claims."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gannotate.errors import GannotateError, UsageError
from gannotate.generators.checkpoints.importing import read_foreign
from gannotate.generators.checkpoints.opening import plan_of
from gannotate.generators.checkpoints.plan import assemble
from gannotate.generators.checkpoints.stream import Unreadable
from gannotate.generators.checkpoints.torch_files import read_pickle, read_torch

from . import foreign
from .hostile import call, name, raw, text, torch_legacy, torch_zip, whole


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """A small valid file of every format."""
    two = foreign.random_generator("stylegan2", size=8)
    return {
        "official": foreign.official(two),
        "official 3": foreign.official(foreign.random_generator("stylegan3")),
        "tensorflow": foreign.tensorflow(two),
        "rosinality": foreign.rosinality(two),
        "rosinality, legacy": foreign.rosinality(two, zipped=False),
        "saic": foreign.saic(two),
        "stylegan1": foreign.stylegan1(foreign.random_generator("stylegan1", size=8)),
    }


FORMATS = ("official", "official 3", "tensorflow", "rosinality", "rosinality, legacy", "saic", "stylegan1")


def read(data: bytes) -> None:
    """The whole import, but for writing."""
    view = memoryview(data)
    assemble(plan_of(view), lambda name, shape: torch.zeros(shape), len(view))


def sentence(data: bytes) -> str:
    with pytest.raises(Unreadable) as refusal:
        read(data)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def outcome(data: bytes) -> str:
    """What is said of a file that may be whole: nothing, or a sentence."""
    try:
        read(data)
    except Unreadable as error:
        return str(error)
    return ""


@pytest.mark.parametrize("form", FORMATS)
def test_whole_files_are_read(form: str, files: dict[str, bytes]):
    read(files[form])


@pytest.mark.parametrize("form", FORMATS)
def test_a_cut_file(form: str, files: dict[str, bytes], tmp_path: Path):
    data = files[form]
    # the last byte of a zip may be a part of nothing, but of every other format it is the end
    for end in [1, 2, 3, 10, 100, *(len(data) * part // 23 for part in range(1, 23)), len(data) - 1]:
        assert "damaged" in sentence(data[:end]) or "no known format" in sentence(data[:end]), end
    (tmp_path / "cut").write_bytes(data[: len(data) // 2])
    with pytest.raises(GannotateError, match="copy or download it again"):
        read_foreign(tmp_path / "cut")


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_changed_file_gives_a_generator_or_a_sentence(data: st.DataObject, files: dict[str, bytes]):
    """Bytes changed, taken out or put in, mostly where the pickle is: nothing but our own errors comes out."""
    content = bytearray(files[data.draw(st.sampled_from(FORMATS))])
    reach = data.draw(st.sampled_from([200, 2000, len(content)]))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, min(reach, len(content)) - 1))
        put = data.draw(st.binary(max_size=4) | st.sampled_from([b"\x80\x04", b"R", b"\x81", b"b", b"0", b"(", b"."]))
        content[place : place + data.draw(st.integers(0, 4))] = put
    assert "\n" not in outcome(bytes(content))


@example(b"\x88.")
@given(st.binary(max_size=300) | st.lists(st.sampled_from([bytes([code]) for code in range(256)])).map(b"".join))
@settings(max_examples=300, deadline=None)
def test_noise_gives_a_sentence(content: bytes):
    noise = memoryview(content + b"\xff")
    for reader in (read_pickle, read_torch):
        with suppress(Unreadable):  # noise may be a whole pickle: b"\x88." is True
            reader(noise)
    with pytest.raises(Unreadable):
        plan_of(noise)


# --- wrong content


def rosinality_with(change: Callable[[dict[str, Any]], Any]) -> bytes:
    network = foreign.random_generator("stylegan2")
    content = torch.load(io.BytesIO(foreign.rosinality(network)), weights_only=True)
    change(content["g_ema"])
    return foreign.to_file(content)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda g: g.pop("convs.1.conv.weight"), ["b8.conv1", "missing"]),
        (lambda g: g.pop("style.1.weight"), ["mapping.fc0.weight", "missing"]),
        (lambda g: g.pop("noises.noise_2"), ["b8.conv1.noise_const", "missing"]),
        (lambda g: g.update({"to_rgbs.7.bias": torch.zeros(1, 3, 1, 1)}), ["32 px", "missing"]),
        (lambda g: g.update({"extra": torch.zeros(3)}), ["extra", "too many"]),
        (lambda g: g.update({"convs.1.activate.bias": torch.zeros(5)}), ["convs.1.activate.bias", "(5,)", "(16,)"]),
        (lambda g: g.update({"convs.1.conv.weight": torch.zeros(1, 5, 16, 3, 3)}), ["channels"]),
        (lambda g: g.update({"conv1.conv.weight": torch.zeros(3)}), ["conv1.conv.weight", "(3,)"]),
        (lambda g: g.update({"style.1.bias": torch.full((8,), float("nan"))}), ["style.1.bias", "NaN"]),
        (lambda g: g.update({"style.1.bias": torch.zeros(8, dtype=torch.int64)}), ["style.1.bias", "int64"]),
        (lambda g: g.update({"style.1.bias": "text"}), ["style.1.bias", "where a tensor is due"]),
        (lambda g: g.update({"convs.0.conv.blur.kernel": torch.ones(4, 4)}), ["blur.kernel", "[1, 3, 3, 1]"]),
        (lambda g: [g.pop(key) for key in list(g) if key.startswith("conv")], ["b4.conv1", "missing"]),
        (lambda g: g.clear(), ["power of two"]),
    ],
    ids=range(14),
)
def test_wrong_tensors_are_named(change: Callable[[dict[str, Any]], Any], words: list[str]):
    said = sentence(rosinality_with(change))
    assert all(word in said for word in words), said


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda n: foreign.official(n, layer={"activation": "relu"}), "activation relu"),
        (lambda n: foreign.official(n, layer={"conv_clamp": "much"}), "conv_clamp"),
        (lambda n: foreign.tensorflow(n, version=3), "version 3"),
        (lambda n: foreign.tensorflow(n, nonlinearity="relu"), "nonlinearity is relu"),
        (lambda n: foreign.tensorflow(n, resample_kernel=[1, 2, 1]), "resample_kernel"),
    ],
)
def test_unusual_networks_are_refused(data: Callable[[Any], bytes], words: str):
    assert words in sentence(data(foreign.random_generator("stylegan2", size=8)))


@pytest.mark.parametrize(
    ("synthesis", "words"),
    [
        ({"num_critical": 99}, "num_critical is 99"),
        ({"margin_size": 10**9}, "margin_size"),
        ({"_init_kwargs": {"filter_size": 12}}, "filter_size is 12"),
        ({"_init_kwargs": {"channel_max": 5}}, "missing"),
        ({"output_scale": "x"}, "output_scale"),
    ],
)
def test_unusual_stylegan3(synthesis: dict[str, Any], words: str):
    assert words in sentence(foreign.official(foreign.random_generator("stylegan3"), synthesis=synthesis))


# --- strangers


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "is a picture"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "is a picture"),
        (b"\x1f\x8b\x08" + bytes(20), "gzip"),
        (b"\x89HDF\r\n\x1a\n" + bytes(20), "HDF5"),
        (b"\x93NUMPY\x01\x00", "--average-latent"),
        (struct.pack("<Q", 40) + b'{"x": {"dtype": "F32"}}', "safetensors"),
        (bytes(257) + b"ustar" + bytes(200), "tar archive"),
        (b"just some text", "known are NVIDIA's .pkl"),
        (pickle.dumps({"model": 1, "optimizer": 2}), "a dictionary with 'model', 'optimizer'"),
        (pickle.dumps({}), "an empty dictionary"),
        (pickle.dumps([1, 2]), "a list"),
        (foreign.to_file(torch.zeros(3)), "ForeignArray"),
        (b"\x80\x09.", "protocol 9"),
    ],
    ids=range(15),
)
def test_strangers_are_told_apart(data: bytes, words: str):
    assert words in sentence(data)


def test_zips_that_are_not_torchs():
    assert "not one of torch's" in sentence(_zip({"a.png": b"x"}))
    script = {"m/data.pkl": pickle.dumps({}), "m/constants.pkl": b"x"}
    assert "TorchScript" in sentence(_zip(script))
    big = {"m/data.pkl": pickle.dumps({}), "m/byteorder": b"big"}
    assert "big-endian" in sentence(_zip(big))


def test_files_that_are_none(tmp_path: Path):
    with pytest.raises(UsageError, match="does not exist"):
        read_foreign(tmp_path / "no.pkl")
    with pytest.raises(UsageError, match="is a folder"):
        read_foreign(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(GannotateError, match="is empty"):
        read_foreign(tmp_path / "empty")


# --- claims without anything behind them


def storage(count: int, kind: str = "FloatStorage") -> bytes:
    """Opcodes of a persistent id."""
    number = b"\x8a\x08" + struct.pack("<q", count)
    return b"(" + text("storage") + name(f"torch.{kind}") + text("0") + text("cpu") + number + b"tQ"


def tensor(count: int, size: bytes, strides: bytes, offset: bytes = b"K\x00") -> bytes:
    """Opcodes of a tensor over a storage of `count` numbers."""
    return call("torch._utils._rebuild_tensor_v2", storage(count), offset, size, strides, b"\x89", b"N")


def legacy(count: int, key: str, rest: bytes) -> bytes:
    """torch's older container with three of the numbers that its one storage claims."""
    return torch_legacy(whole(tensor(count, THREE, ONE), 2), keys=pickle.dumps([key], 2), rest=rest)


HUGE = b"\x8a\x08" + struct.pack("<q", 10**12)
THREE = b"K\x03\x85"
ONE = b"K\x01\x85"


@pytest.mark.parametrize(
    "data",
    [
        torch_zip(whole(tensor(10**12, HUGE + b"\x85", ONE), 2), _0=bytes(12)),
        torch_zip(whole(tensor(3, HUGE + b"\x85", b"K\x00\x85"), 2), _0=bytes(12)),
        torch_zip(whole(tensor(3, THREE, b"K\x02\x85"), 2), _0=bytes(12)),
        torch_zip(whole(tensor(3, THREE, ONE, b"K\x01"), 2), _0=bytes(12)),
        torch_zip(whole(tensor(3, THREE, ONE, b"J\xff\xff\xff\xff"), 2), _0=bytes(12)),
        torch_zip(whole(tensor(3, b"J\xff\xff\xff\xff\x85", ONE), 2), _0=bytes(12)),
        torch_zip(whole(tensor(3, THREE, b"K\x01K\x01\x86"), 2), _0=bytes(12)),
        torch_zip(whole(tensor(3, THREE, ONE), 2)),
        torch_zip(whole(tensor(2, b"K\x02\x85", ONE), 2), _0=bytes(12)),
        legacy(10**12, "0", struct.pack("<q", 10**12) + bytes(12)),
        legacy(3, "0", struct.pack("<q", 4) + bytes(16)),
        legacy(3, "1", struct.pack("<q", 3) + bytes(12)),
        whole(b"B\xff\xff\xff\xff"),
        whole(b"\x8e" + struct.pack("<Q", 2**62)),
        whole(b"\x8b\xff\xff\xff\x7f"),
        whole(b"Nr\xff\xff\xff\xffj\xfe\xff\xff\xff"),
    ],
    ids=range(16),
)
def test_absurd_sizes_cost_no_memory(data: bytes):
    tracemalloc.start()
    try:
        sentence(data)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_numpy_arrays_that_claim_too_much():
    shape = b"(" + HUGE + b"t"
    number = call("numpy.dtype", text("f4"), b"\x89", b"\x88") + b"(K\x03" + text("<") + b"NNN" + b"K\x00" * 3 + b"tb"
    made = call("numpy.core.multiarray._reconstruct", name("numpy.ndarray"), b"K\x00\x85", raw(b"b"))
    assert "has 4" in sentence(whole(made + b"(K\x01" + shape + number + b"\x89" + raw(bytes(4)) + b"tb"))


def test_a_compressed_zip_is_refused():
    """torch stores its zips uncompressed; a compressed one may be a thousand times its size."""
    bomb = _zip({"m/data.pkl": bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 20_000
    assert "compressed" in sentence(bomb)


def test_a_wrong_checksum_is_damage(files: dict[str, bytes]):
    data = bytearray(files["rosinality"])
    place = data.find(np.float32(foreign.FIR[1, 1] * 4).tobytes())
    data[place] ^= 1
    assert "checksum" in sentence(bytes(data))


def test_the_same_content_over_and_over_is_refused():
    """A few bytes a call on one long list, thousands of times, would grow without bounds."""
    items = b"](" + b"N" * 3000 + b"e\x94"
    repeated = items + b"](" + (name("builtins.set") + b"h\x00\x85R") * 1000 + b"e"
    assert "over and over" in sentence(whole(repeated))


def test_tensors_that_share_their_numbers_are_refused():
    network = foreign.random_generator("stylegan2", size=8)
    content = torch.load(io.BytesIO(foreign.rosinality(network)), weights_only=True)
    shared = content["g_ema"]["conv1.conv.weight"]
    for key in ("convs.0.conv.weight", "convs.1.conv.weight"):
        content["g_ema"][key] = shared
    wide = foreign.to_file(content)
    read(wide)  # a few shared ones are fine
    view = memoryview(wide)
    with pytest.raises(Unreadable, match="over and over"):
        assemble(plan_of(view), lambda name, shape: torch.zeros(shape), 100)


def test_endless_networks_end():
    """A module that holds itself, and containers nested deeper than the interpreter's stack."""
    meta = b"}" + text("class_name") + text("G") + b"s" + text("state") + b"}" + text("_modules") + b"h\x00ss"
    own = call("torch_utils.persistence._reconstruct_persistent_obj", meta)
    looped = b"}q\x000" + own + b"q\x01h\x00" + text("again") + b"h\x01s0"
    assert "without end" in sentence(whole(b"}" + text("G_ema") + looped + b"s"))
    deep = b")" + b"\x85" * 100_000
    assert "a tuple" in sentence(whole(deep))
    assert "key" in sentence(whole(b"}" + deep + b"Ns"))


def test_networks_in_networks_end():
    """A few bytes make a network of 200 parts, each of which has 200 parts, and so on: all are one and the same."""
    names = b"".join(text(f"p{index}") + b"h\x00" for index in range(200))
    variables = b"}" + text("variables") + b"]s"
    component = name("dnnlib.tflib.network.Network") + b")\x81"
    shared = component + variables + b"b"
    for _ in range(4):
        parts = text("components") + b"}(" + names + b"us"
        shared += b"q\x000" + component + b"}" + text("variables") + b"]s" + parts + b"b"
    top = component + b"}" + text("version") + b"K\x04s" + text("variables") + b"]s"
    top += text("components") + b"}(" + names + b"usb"
    assert "without end" in sentence(whole(shared + b"q\x000" + top + b"q\x00h\x00h\x00\x87"))


def test_a_value_nested_without_end_is_not_printed():
    deep = b")" + b"\x85" * 5000
    network = name("dnnlib.tflib.network.Network") + b")\x81}" + text("version") + b"K\x04s"
    network += text("static_kwargs") + b"}" + text("nonlinearity") + deep + b"ssb"
    assert "nonlinearity is tuple" in sentence(whole(network + b"q\x00h\x00h\x00\x87"))


def test_two_tensors_for_one_are_told():
    network = foreign.random_generator("stylegan2", size=8)
    content = torch.load(io.BytesIO(foreign.saic(network)), weights_only=True)
    content["netGA"]["mapping.0.weight_orig"] = torch.zeros(8, 8)
    assert "are the same tensor" in sentence(foreign.to_file(content))


@pytest.mark.parametrize("shape", [(), (3,), (3, 3), (1, 1, 1, 1, 1)])
@pytest.mark.parametrize(("form", "key"), [("rosinality", "g_ema"), ("saic", "netGA")])
def test_a_tensor_of_any_shape(shape: tuple[int, ...], form: str, key: str, files: dict[str, bytes]):
    """Whatever its shape, what would turn it into ours does not fail first: it is told, but for the few that fit."""
    content = torch.load(io.BytesIO(files[form]), weights_only=True)
    said = [
        outcome(foreign.to_file(content | {key: content[key] | {title: torch.zeros(shape)}})) for title in content[key]
    ]
    assert sum("does not fit" in one or "is not supported" in one for one in said) >= len(said) - 5


@pytest.mark.parametrize("shape", [(), (3,), (3, 3), (5, 4, 3, 2)])
def test_a_tensorflow_variable_of_any_shape(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch):
    network = foreign.random_generator("stylegan2", size=8)
    original, said = foreign._tensorflow_variable, []
    for title in foreign.public_tensors(network):

        def changed(name: str, array: np.ndarray, title: str = title) -> tuple[str, str, Any]:
            component, variable, right = original(name, array)
            return component, variable, np.zeros(shape, np.float32) if name == title else right

        monkeypatch.setattr(foreign, "_tensorflow_variable", changed)
        said.append(outcome(foreign.tensorflow(network)))
    assert sum("does not fit" in one for one in said) >= len(said) - 5


def _zip(content: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for entry, data in content.items():
            archive.writestr(entry, data)
    return buffer.getvalue()
