"""Damaged and hostile datasets: what is wrong is named, and nothing of it is executed."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gannotate.data.shards import Labelled, encode_sample, read_dataset, read_shard
from gannotate.decoders.light import LightDecoder
from gannotate.errors import GannotateError, UsageError
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.synthesis import DATASET_FIRST_SEED, DatasetConfig

from .tiny import CLASSES, write


@pytest.fixture(scope="module")
def dataset(generator: StyleGAN2, decoder: LightDecoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    write(folder, generator, decoder, count=4)
    return folder


@pytest.fixture
def broken(dataset: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(dataset, tmp_path / "broken"))


def repack(folder: Path, **changes: bytes | None) -> None:
    """Writes the shard anew with files of the first sample exchanged (or left out), by ending ('_' for '.')."""
    path = folder / "shard-000000.tar"
    samples = [(source.rsplit("/", 1)[-1], files) for source, files in read_shard(path)]
    for ending, data in changes.items():
        if data is None:
            del samples[0][1][ending.replace("_", ".")]
        else:
            samples[0][1][ending.replace("_", ".")] = data
    with tarfile.open(path, "w") as tar:
        for key, files in samples:
            for ending, data in files.items():
                info = tarfile.TarInfo(f"{key}.{ending}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"label_png": png(np.full((16, 16), 9, np.uint8))}, r"0010000000\.label\.png: unknown class id 9"),
        ({"label_png": png(np.zeros((8, 8), np.uint8))}, "the label map is 8x8 px, the picture 16x16 px"),
        ({"label_png": None}, r"\.label\.png is missing"),
        ({"png": b"no picture"}, r"0010000000\.png: not a whole picture"),
        ({"soft_npy": b"\x93NUMPY"}, "not a whole array"),
        ({"soft_npy": npy(np.array([{"code": 1}], dtype=object))}, "not a whole array"),
        ({"soft_npy": npy(np.zeros((3, 16, 16), np.float64))}, "should be float16"),
        ({"soft_npy": npy(np.zeros((3, 16, 16), np.float16))}, "do not add up to 1"),
        ({"soft_npy": npy(np.full((3, 16, 16), np.nan, np.float16))}, "do not add up to 1"),
    ],
)
def test_a_damaged_sample_is_named(broken: Path, changes: dict[str, bytes | None], sentence: str) -> None:
    repack(broken, **changes)
    with pytest.raises(GannotateError, match=sentence):
        read_dataset(broken, 3)


def test_a_picture_of_another_size_is_named(broken: Path) -> None:
    sample = Labelled(0, np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8), np.full((3, 8, 8), 1 / 3), 0.3)
    files = encode_sample(sample, CLASSES, soft=True)
    repack(broken, **{ending.replace(".", "_"): data for ending, data in files.items()})
    with pytest.raises(GannotateError, match="the picture is 16x16 px, those before it are 8x8 px"):
        read_dataset(broken, 3)


@pytest.mark.parametrize("keep", [0, 100, 512, 5000])
def test_a_torn_shard_is_one_sentence(broken: Path, keep: int) -> None:
    path = broken / "shard-000000.tar"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(GannotateError, match="shard-000000"):
        read_dataset(broken, 3)


def test_a_shard_that_lost_whole_samples_is_noticed(broken: Path) -> None:
    path = broken / "shard-000000.tar"
    with tarfile.open(path) as tar:
        member = tar.getmember(f"{DATASET_FIRST_SEED + 3:010d}.json")
    path.write_bytes(path.read_bytes()[: member.offset])  # cut where a file begins: still a tar
    with pytest.raises(GannotateError, match="has 3 samples, the manifest says 4"):
        read_dataset(broken, 3)


def test_noise_instead_of_a_shard_is_one_sentence(broken: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 20_000, dtype=np.uint8).tobytes()
    (broken / "shard-000000.tar").write_bytes(noise)
    with pytest.raises(GannotateError, match="not a whole shard"):
        read_dataset(broken, 3)


def test_a_missing_shard_and_missing_files_are_named(
    broken: Path, generator: StyleGAN2, decoder: LightDecoder, tmp_path: Path
) -> None:
    (broken / "shard-000000.tar").unlink()
    with pytest.raises(GannotateError, match=r"shard-000000\.tar is not a whole shard"):
        read_dataset(broken, 3)
    write(tmp_path / "folder", generator, decoder, DatasetConfig(format="folder", part=8), count=4)
    (tmp_path / "folder" / "masks" / f"{DATASET_FIRST_SEED + 2:010d}.png").unlink()
    with pytest.raises(GannotateError, match=r"0010000002: the file \.label\.png is missing"):
        read_dataset(tmp_path / "folder", 3)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_only_plain_files_are_read_from_a_shard(broken: Path, kind: bytes) -> None:
    with tarfile.open(broken / "shard-000000.tar", "w") as tar:
        info = tarfile.TarInfo("0010000000.png")
        info.type, info.linkname = kind, "/etc/hostname"
        tar.addfile(info)
    with pytest.raises(GannotateError, match="not a plain file"):
        read_dataset(broken, 3)


def test_wrong_datasets_are_one_sentence(broken: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gannotate synthesize"):
        read_dataset(tmp_path / "nothing", 3)
    with pytest.raises(UsageError, match="has 3 classes, 4 were expected"):
        read_dataset(broken, 4)
    path = broken / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"format_version": 99}))
    with pytest.raises(GannotateError, match="newer gannotate"):
        read_dataset(broken, 3)
    strange = (
        {"surprise": 1},
        {"parts": [1]},
        {"parts": [{"samples": "4", "first_seed": 0}]},
        {"settings": {}},
        {"settings": manifest["settings"] | {"format": "zip"}},
    )
    for damaged in ("{", "[]", "{}", *(json.dumps(manifest | change) for change in strange)):
        path.write_text(damaged)
        with pytest.raises(GannotateError, match="damaged"):
            read_dataset(broken, 3)
