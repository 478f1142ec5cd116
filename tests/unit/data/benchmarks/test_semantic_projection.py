"""The folder that semantic projection's annotator writes, in its published layout: greys in place of ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gannotate.data.benchmarks import find_benchmark, load_benchmark
from gannotate.data.benchmarks.domains import DomainChoice, domain_sources, write_domain
from gannotate.data.benchmarks.exporting import export_split
from gannotate.data.benchmarks.inspection import inspect, sheet
from gannotate.data.labelled import read_labelled
from gannotate.errors import GannotateError, UsageError
from gannotate.studies.domain import load_domain

from .trees import ODD, encoded, picture, write

NAME = "ffhq-hair-generated"

NUMBERS = (7, 1234, 999999)

PX = 32


def mask(*rows: int) -> np.ndarray:
    """A mask of as many rows of equal height as there are greys."""
    return np.repeat(np.array(rows, np.uint8), PX // len(rows))[:, None].repeat(PX, 1)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The repository with the archive unpacked in experiments: pictures, RGB masks, pickled features, odd files."""
    data = tmp_path / "experiments" / "ffhq-hair" / "data"
    for number in NUMBERS:
        write(data / f"img_{number:06d}.jpg", encoded(picture(PX, PX, number), "JPEG"))
        write(data / f"mask_{number:06d}.png", encoded(mask(0, 128, 255, 255), mode="RGB"))
        write(data / f"feat_{number:06d}.pickle", b"\x80\x04cos\nsystem\n")
    write(data / "mask_000042.png", encoded(mask(0, 128), mode="RGB"))  # its picture is not there
    write(data / "vis_000007.jpg", encoded(picture(PX, PX), "JPEG"))
    write(data / "old" / "img_000008.jpg", encoded(picture(PX, PX), "JPEG"))
    for odd in (*ODD, "._img_000007.jpg"):
        write(data / odd)
    write(tmp_path / "experiments" / "ffhq-hair" / "checkpoints" / "checkpoint_latest.tar")
    write(tmp_path / "experiments" / "ffhq-hair" / "generated" / "vis_000000.jpg")
    write(tmp_path / "configs" / "config.yml")
    return tmp_path


@pytest.mark.parametrize("below", [".", "experiments", "experiments/ffhq-hair"])
def test_painted_and_not_painted_pixels_are_told_apart(checkout: Path, below: str):
    data = load_benchmark(NAME, checkout / below, "train", PX)
    assert [item.name for item in data.items] == ["000007", "001234", "999999"]
    assert [one.name for one in data] == [item.name for item in data.items]
    found = data[0].label_map
    assert found[:, 0].tolist() == [255] * 8 + [0] * 8 + [1] * 16
    assert find_benchmark(NAME).class_names == ("background", "hair")


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    ("grey", "label"), [(0, 255), (63, 255), (64, 0), (128, 0), (192, 0), (193, 1), (254, 1), (255, 1)]
)
def test_the_bounds_are_the_annotators_own(checkout: Path, mode: str, grey: int, label: int):
    write(checkout / "experiments/ffhq-hair/data/mask_000007.png", encoded(mask(grey), mode=mode))
    assert set(np.unique(load_benchmark(NAME, checkout, "train", PX)[0].label_map)) == {label}


def test_masks_in_colours_and_cut_ones_are_named(checkout: Path):
    data = checkout / "experiments/ffhq-hair/data"
    write(data / "mask_000007.png", encoded(picture(PX, PX)))
    write(data / "mask_001234.png", encoded(mask(0, 255))[:40])
    (data / "mask_999999.png").unlink()
    train = load_benchmark(NAME, checkout, "train")
    assert list(train) == []
    reasons = [one.reason for one in train.skipped]
    assert reasons[0].startswith("data/mask_000007.png is RGB with more than greys; a mask has ignore from 0 to 63")
    assert "data/mask_001234.png is not a whole picture" in reasons[1]
    assert "has no data/mask_999999.png" in reasons[2]


def test_the_folder_is_counted_beside_the_paper_and_shown(checkout: Path):
    benchmark = find_benchmark(NAME)
    report = inspect(benchmark, checkout)
    (train,) = report.splits
    assert (train.pictures, train.complete, train.expected, train.whole) == (3, 3, 20, False)
    assert train.pixels == {"background": 3 * 256 * 64, "hair": 3 * 256 * 128, "ignore": 3 * 256 * 64}
    assert not train.unanswered
    assert sheet(benchmark, report).ndim == 3


def test_an_export_is_what_every_verb_reads(checkout: Path, tmp_path: Path):
    export_split(load_benchmark(NAME, checkout, "train", PX), tmp_path / "hair")
    found = read_labelled(tmp_path / "hair", classes=2)
    assert found.label_maps.shape == (3, PX, PX)
    assert set(np.unique(found.label_maps)) == {0, 1, 255}


def test_there_is_nothing_to_test_on():
    with pytest.raises(UsageError, match=r"ffhq-hair-generated has no split 'test'; use one of train"):
        find_benchmark(NAME).split("test")


def test_it_is_a_domain_with_the_test_pictures_of_another(checkout: Path, tmp_path: Path):
    with pytest.raises(UsageError, match=r"generated has no pictures to test on; name some .* --test-pictures"):
        domain_sources(find_benchmark(NAME), checkout, DomainChoice(size=PX))
    export_split(load_benchmark(NAME, checkout, "train", PX), tmp_path / "hair")
    sources = domain_sources(find_benchmark(NAME), checkout, DomainChoice(size=PX, test_pictures=tmp_path / "hair"))
    done = write_domain(find_benchmark(NAME), sources, tmp_path / "domain", lambda which, count, total: None)
    assert {name: found.pictures for name, found in done.items()} == {"labelled": 3}
    domain = load_domain(str(tmp_path / "domain"), environment={})
    assert domain.paths["test"] == (tmp_path / "hair").resolve()


def test_a_folder_of_something_else_is_refused(tmp_path: Path):
    write(tmp_path / "images" / "img_000001.jpg")
    with pytest.raises(GannotateError, match=r"has no data; .*how to get ffhq-hair-generated: the archive"):
        load_benchmark(NAME, tmp_path, "train")
