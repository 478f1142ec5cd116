"""Labelled datasets: what a seed means, what is written, what a stopped run leaves, what is refused."""

from __future__ import annotations

import copy
import io
import json
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gannotate.data.manifest import Manifest
from gannotate.data.shards import Labelled, encode_sample, read_dataset, read_shard
from gannotate.decoders.ensemble import EnsembleConfig, EnsembleDecoder
from gannotate.decoders.light import LightDecoder
from gannotate.errors import GannotateError, UsageError
from gannotate.generators.base import DrawOptions, draw, to_uint8
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.labels import make_classes, read_label_map
from gannotate.synthesis import DATASET_FIRST_SEED, DatasetConfig, annotate_seeds, fingerprint, write_dataset

TINY = StyleGAN2Config(size=16, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128, channel_max=16)
CLASSES = make_classes(["background", "nucleus", "cytoplasm"])
PARTS = DatasetConfig(part=8)
COUNT = 20


@pytest.fixture(scope="module")
def generator() -> StyleGAN2:
    torch.manual_seed(2)
    return StyleGAN2(TINY).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def decoder(generator: StyleGAN2) -> LightDecoder:
    torch.manual_seed(3)
    return LightDecoder.of_generator(generator, len(CLASSES)).eval().requires_grad_(False)


def write(
    folder: Path, generator: StyleGAN2, decoder: LightDecoder, config: DatasetConfig = PARTS, count: int = COUNT
) -> None:
    for _ in write_dataset(folder, generator, decoder, CLASSES, count, config=config):
        pass


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def same(first: Labelled, second: Labelled) -> bool:
    arrays = ((first.picture, second.picture), (first.label_map, second.label_map), (first.soft, second.soft))
    return all(np.array_equal(a, b) for a, b in arrays) and first.confidence == second.confidence


# ---------------------------------------------------------------------------------------------------------------
# Leaving the uncertain out


def test_keep_leaves_the_most_uncertain_of_each_part_out(
    generator: StyleGAN2, decoder: LightDecoder, tmp_path: Path
) -> None:
    config = replace(PARTS, keep=0.75)  # 11 drawn for a part of 8
    write(tmp_path, generator, decoder, config, 12)
    drawn = list(annotate_seeds(generator, decoder, range(DATASET_FIRST_SEED, DATASET_FIRST_SEED + 17)))
    expected = []
    for part, wanted in ((drawn[:11], 8), (drawn[11:], 4)):
        kept = sorted(part, key=lambda sample: sample.uncertainty)[:wanted]
        expected += sorted(sample.seed for sample in kept)
    assert [int(name) for name in read_dataset(tmp_path, len(CLASSES)).names] == expected
    assert config.drawn(12) == 17
    assert Manifest.read(tmp_path).complete


def test_uncertainty_is_the_entropy_of_the_worst_tenth(generator: StyleGAN2, decoder: LightDecoder) -> None:
    (sample,) = annotate_seeds(generator, decoder, [3])
    soft = sample.soft.astype(np.float64)
    entropy = np.sort((-soft * np.log(np.maximum(soft, 1e-12))).sum(axis=0).ravel())
    assert sample.uncertainty == pytest.approx(entropy[-26:].mean(), rel=0.01)  # a tenth of 256 pixels


def test_a_sharper_temperature_is_more_certain(generator: StyleGAN2, decoder: LightDecoder) -> None:
    (before,) = annotate_seeds(generator, decoder, [3])
    sharper = copy.deepcopy(decoder)
    sharper.temperature = 0.25
    (after,) = annotate_seeds(generator, sharper, [3])
    assert np.array_equal(before.label_map, after.label_map)
    assert after.confidence > before.confidence


def test_an_ensembles_disagreement_is_the_same_at_any_temperature(generator: StyleGAN2) -> None:
    torch.manual_seed(4)
    config = EnsembleConfig(members=3, hidden=(8,))
    ensemble = EnsembleDecoder.of_generator(generator, 3, config).eval().requires_grad_(False)
    (before,) = annotate_seeds(generator, ensemble, [3])
    ensemble.temperature = 0.25
    (after,) = annotate_seeds(generator, ensemble, [3])
    assert np.array_equal(before.label_map, after.label_map)
    assert after.confidence > before.confidence
    assert after.uncertainty == before.uncertainty > 0
    ((_, drawing),) = draw(generator, [3], taps=ensemble.tap_names)
    np.testing.assert_allclose(after.soft, ensemble.probabilities(drawing.taps)[0].numpy(), atol=2e-3)


# ---------------------------------------------------------------------------------------------------------------
# One picture


def test_labels_are_the_decoders(generator: StyleGAN2, decoder: LightDecoder) -> None:
    options = DrawOptions(psi=0.8)
    for sample in annotate_seeds(generator, decoder, [5, 6, 40], options):
        ((_, drawing),) = draw(generator, [sample.seed], options, decoder.tap_names)
        probabilities = decoder(drawing.taps).softmax(dim=1)[0]
        assert np.array_equal(sample.picture, to_uint8(drawing.picture)[0])
        np.testing.assert_allclose(sample.soft, probabilities.numpy(), atol=2e-3)
        assert (sample.label_map == probabilities.argmax(dim=0).numpy()).mean() > 0.99
        assert sample.confidence == pytest.approx(float(probabilities.max(dim=0).values.mean()), abs=1e-5)
        assert 1 / 3 <= sample.confidence <= 1
        assert (sample.soft.dtype, sample.label_map.dtype, sample.picture.dtype) == ("float16", "uint8", "uint8")


def test_a_seed_is_the_same_in_any_company(generator: StyleGAN2, decoder: LightDecoder) -> None:
    together = {sample.seed: sample for sample in annotate_seeds(generator, decoder, range(40))}
    scattered = list(annotate_seeds(generator, decoder, [33, 2, 17, 3, 33]))
    assert [sample.seed for sample in scattered] == [33, 2, 17, 3, 33]
    assert all(same(sample, together[sample.seed]) for sample in scattered)


def test_dropout_is_off_and_stays_so(generator: StyleGAN2, decoder: LightDecoder) -> None:
    decoder.train()
    first, second = (next(annotate_seeds(generator, decoder, [1])) for _ in range(2))
    assert same(first, second)


def test_another_generators_decoder_is_refused(decoder: LightDecoder) -> None:
    other = StyleGAN2(replace(TINY, channel_max=8))
    with pytest.raises(GannotateError, match="another generator"):
        next(annotate_seeds(other, decoder, [1]))


# ---------------------------------------------------------------------------------------------------------------
# Datasets


@pytest.mark.parametrize("layout", ["shards", "folder"])
@pytest.mark.parametrize("soft", [True, False])
def test_what_is_written_is_read(
    generator: StyleGAN2, decoder: LightDecoder, tmp_path: Path, layout: str, soft: bool
) -> None:
    write(tmp_path, generator, decoder, DatasetConfig(format=layout, part=8, soft=soft))  # pyright: ignore
    seeds = range(DATASET_FIRST_SEED, DATASET_FIRST_SEED + COUNT)
    drawn = list(annotate_seeds(generator, decoder, seeds))
    read = read_dataset(tmp_path, len(CLASSES))
    assert read.names == tuple(f"{seed:010d}" for seed in seeds)
    assert np.array_equal(read.pictures, np.stack([sample.picture for sample in drawn]))
    assert np.array_equal(read.label_maps, np.stack([sample.label_map for sample in drawn]))
    if soft:
        assert read.soft is not None
        assert np.array_equal(read.soft, np.stack([sample.soft for sample in drawn]))
    else:
        assert read.soft is None
    assert len(read_dataset(tmp_path, len(CLASSES), most=3).names) == 3


def test_progress_counts_every_picture(generator: StyleGAN2, decoder: LightDecoder, tmp_path: Path) -> None:
    steps = list(write_dataset(tmp_path, generator, decoder, CLASSES, 40, config=DatasetConfig(part=32)))
    assert [step.done for step in steps] == [16, 32, 40]
    assert {step.steps for step in steps} == {40}
    assert 0 < steps[-1].metrics["confidence"] <= 1


def test_folder_format_is_plain_pictures_and_masks(generator: StyleGAN2, decoder: LightDecoder, tmp_path: Path) -> None:
    write(tmp_path, generator, decoder, DatasetConfig(format="folder", part=8))
    key = f"{DATASET_FIRST_SEED + 19:010d}"
    assert Image.open(tmp_path / "images" / f"{key}.png").size == (16, 16)
    assert read_label_map(tmp_path / "masks" / f"{key}.png", 3).shape == (16, 16)
    about = json.loads((tmp_path / "about" / f"{key}.json").read_text())
    assert about["seed"] == DATASET_FIRST_SEED + 19
    assert len(list((tmp_path / "images").iterdir())) == len(list((tmp_path / "soft").iterdir())) == COUNT


def test_shards_are_webdataset(generator: StyleGAN2, decoder: LightDecoder, tmp_path: Path) -> None:
    write(tmp_path, generator, decoder)
    assert sorted(path.name for path in tmp_path.glob("*.tar")) == [f"shard-{i:06d}.tar" for i in range(3)]
    from webdataset.compat import WebDataset

    found = list(WebDataset(str(tmp_path / "shard-000002.tar"), shardshuffle=False))
    assert [sample["__key__"] for sample in found] == [f"{DATASET_FIRST_SEED + i:010d}" for i in range(16, 20)]
    assert {"png", "label.png", "soft.npy", "json"} <= set(found[0])


def test_the_manifest_says_what_it_is(generator: StyleGAN2, decoder: LightDecoder, tmp_path: Path) -> None:
    write(tmp_path, generator, decoder)
    manifest = Manifest.read(tmp_path)
    assert manifest.complete
    assert manifest.samples == COUNT == manifest.settings["count"]
    assert manifest.settings["generator"] == fingerprint(generator) != fingerprint(decoder)
    assert [item["name"] for item in manifest.settings["classes"]] == [item.name for item in CLASSES]
    assert manifest.settings["draw"] == {"psi": 1.0, "cutoff": None, "noise": "const"}
    assert sum(sum(part["class_px"]) for part in manifest.parts) == COUNT * 16 * 16
    import hashlib

    shard = (tmp_path / "shard-000001.tar").read_bytes()
    assert manifest.parts[1]["sha256"] == hashlib.sha256(shard).hexdigest()


@pytest.mark.parametrize("layout", ["shards", "folder"])
@pytest.mark.parametrize("chunks", [1, 2])
def test_stopped_and_resumed_is_the_same_byte_for_byte(
    generator: StyleGAN2, decoder: LightDecoder, tmp_path: Path, layout: str, chunks: int
) -> None:
    config = DatasetConfig(format=layout, part=8)  # pyright: ignore
    write(tmp_path / "whole", generator, decoder, config)
    stopping = write_dataset(tmp_path / "parts", generator, decoder, CLASSES, COUNT, config=config)
    for _ in range(chunks):
        next(stopping)
    stopping.close()  # pyright: ignore[reportAttributeAccessIssue]
    if layout == "folder":  # killed in the middle of a part: files of a part that is not noted
        (tmp_path / "parts" / "images" / f"{DATASET_FIRST_SEED + 8 * chunks:010d}.png").write_bytes(b"half")
    with pytest.raises(GannotateError, match=rf"not finished \({8 * chunks} of 20"):
        read_dataset(tmp_path / "parts", 3)
    assert len(read_dataset(tmp_path / "parts", 3, most=8).names) == 8
    write(tmp_path / "parts", generator, decoder, config)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_a_finished_dataset_is_left_alone(generator: StyleGAN2, decoder: LightDecoder, tmp_path: Path) -> None:
    write(tmp_path, generator, decoder)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    write(tmp_path, generator, decoder)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_other_settings_are_refused(generator: StyleGAN2, decoder: LightDecoder, tmp_path: Path) -> None:
    write(tmp_path, generator, decoder, count=4)
    other = LightDecoder.of_generator(generator, len(CLASSES))
    before = contents(tmp_path)
    for changes, name in (
        ({"count": 5}, "count"),
        ({"decoder": other}, "decoder"),
        ({"options": DrawOptions(psi=0.5)}, "draw"),
        ({"config": DatasetConfig(part=16)}, "part"),
    ):
        asked = {"generator": generator, "decoder": decoder, "classes": CLASSES, "count": 4, "config": PARTS}
        with pytest.raises(UsageError, match=f"another {name}; give another folder"):
            next(write_dataset(tmp_path, **{**asked, **changes}))
    assert contents(tmp_path) == before


def test_unusable_requests_are_one_sentence(generator: StyleGAN2, decoder: LightDecoder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ask for at least 1"):
        next(write_dataset(tmp_path, generator, decoder, CLASSES, 0))
    with pytest.raises(UsageError, match="knows 3 classes, 2 were given"):
        next(write_dataset(tmp_path, generator, decoder, CLASSES[:2], 1))
    with pytest.raises(UsageError, match="use shards or folder"):
        DatasetConfig(format="zip")  # pyright: ignore
    with pytest.raises(UsageError, match="at least 1"):
        DatasetConfig(part=0)


def test_a_full_disk_is_said_and_leaves_no_half_part(
    generator: StyleGAN2, decoder: LightDecoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    import gannotate.files

    writing = write_dataset(tmp_path, generator, decoder, CLASSES, COUNT, config=PARTS)
    next(writing)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(gannotate.files.os, "fsync", full)
        with pytest.raises(GannotateError, match="no space left on the disk"):
            list(writing)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", "parts", "shard-000000.tar"]
    write(tmp_path, generator, decoder)
    assert len(read_dataset(tmp_path, 3).names) == COUNT


# ---------------------------------------------------------------------------------------------------------------
# Damaged and hostile datasets


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
