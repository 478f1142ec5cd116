"""Labelled datasets: what a seed means, what is written, what a stopped run leaves, what is refused."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gannotate.data.manifest import Manifest
from gannotate.data.shards import Labelled, read_dataset
from gannotate.decoders.ensemble import EnsembleConfig, EnsembleDecoder
from gannotate.decoders.light import LightDecoder
from gannotate.errors import GannotateError, UsageError
from gannotate.generators.base import DrawOptions, draw, to_uint8
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.labels import read_label_map
from gannotate.synthesis import DATASET_FIRST_SEED, DatasetConfig, annotate_seeds, fingerprint, write_dataset

from .tiny import CLASSES, COUNT, PARTS, TINY, write


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
