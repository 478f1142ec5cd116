"""Benchmarks as domains of studies: what is written, that studies take it, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gannotate.data.benchmarks import domains, find_benchmark
from gannotate.data.benchmarks.domains import DomainChoice, domain_sources, write_domain
from gannotate.data.labelled import read_labelled
from gannotate.data.pictures import PictureSource
from gannotate.errors import GannotateError, UsageError
from gannotate.studies.cell import words_of
from gannotate.studies.domain import DOMAIN_FILE, load_domain
from gannotate.studies.plan import Choice, make_plan
from gannotate.studies.study import load_shared, load_study

from .trees import celeba, encoded, numbered, picture, write

ROWS = {"skin": slice(0, 256), "l_eye": slice(128, 160), "r_eye": slice(160, 192)}


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Four train pictures, two to choose on, two to test on and one without labels."""
    return celeba(tmp_path / "faces", [28000, 28001, 28002, 28003, 27500, 27501, 29500, 29501, 0], ROWS)


def written(name: str, folder: Path, out: Path, choice: DomainChoice) -> dict[str, int]:
    benchmark = find_benchmark(name)
    sources = domain_sources(benchmark, folder, choice)
    done = write_domain(benchmark, sources, out, lambda which, count, total: None)
    return {which: found.pictures for which, found in done.items()}


def test_a_domain_has_its_splits_classes_and_mirror_rule(faces: Path, tmp_path: Path):
    generator = tmp_path / "generator"
    generator.mkdir()
    choice = DomainChoice(first=3, generator=generator, size=16)
    counts = written("celebamask-hq-19", faces, tmp_path / "domain", choice)
    assert counts == {"labelled": 3, "test": 2, "unlabelled": 1}
    assert domains.DOMAIN_FILE == DOMAIN_FILE  # the data's room does not know the studies'
    domain = load_domain(str(tmp_path / "domain"), environment={})
    assert domain.missing == {}
    assert domain.paths["generator"] == generator.resolve()
    assert domain.about.classes == find_benchmark("celebamask-hq-19").class_names
    score = "--protocol layermatch"
    sought = "--inversion-steps {inversion_steps}"
    new = "--swap 4:5,6:7,8:9"
    assert domain.texts() == {"new": new, "gan": "--mirror", "real": "", "score": score, "inverted": sought}
    assert "Scored by the protocol layermatch: mean IoU over" in domain.about.about
    assert domain.about.most == {"shots": 3}
    learned = read_labelled(domain.paths["labelled"], 19)
    assert [Path(name).stem for name in learned.names] == ["28000", "28001", "28002"]
    assert learned.pictures.shape == (3, 16, 16, 3)
    assert len(PictureSource(domain.paths["unlabelled"]).names) == 1
    assert "28003" not in "".join(PictureSource(domain.paths["test"]).names)


def test_every_study_of_real_labels_plans_its_cells_on_a_domain(faces: Path, tmp_path: Path):
    (tmp_path / "generator").mkdir()
    written("celebamask-hq-8", faces, tmp_path / "d", DomainChoice(generator=tmp_path / "generator", size=16))
    domain = load_domain(str(tmp_path / "d"), environment={})
    study = load_study("gradient-matching")
    plan = make_plan("gradient-matching", study, load_shared(), domain)
    words = " ".join(str(part) for cell in plan.cells.values() for word in cell.words for part in word)
    assert all(str(domain.paths[name]) in words for name in ("labelled", "unlabelled", "test", "generator"))
    scored = [words_of(cell) for cell in plan.cells.values() if cell.step == "score"]
    assert scored
    assert all(words[-2:] == ["--protocol", domain.about.score.split()[-1]] for words in scored)
    shots = {row.at["shots"] for row in plan.rows}
    assert shots == {2}, "there are four labelled pictures"


def test_unlabelled_pictures_of_ones_own_and_a_domain_without_a_generator(tmp_path: Path):
    for folder, count in (("training_data/cat_processed", 3), ("testing_data/cat_16_class", 5)):
        labels = {str(number): np.full((10, 10), number) for number in range(count)}
        numbered(tmp_path / "cats" / folder, labels, "image_{}.png", "image_mask{}.npy")
    write(tmp_path / "more/1.png", encoded(picture(20, 20)))
    counts = written("cat-16", tmp_path / "cats", tmp_path / "d", DomainChoice(unlabelled=tmp_path / "more"))
    assert counts == {"labelled": 3, "test": 5}
    domain = load_domain(str(tmp_path / "d"), environment={})
    assert domain.paths["unlabelled"] == (tmp_path / "more").resolve()
    assert set(domain.missing) == {"generator"}
    texts = domain.texts()
    assert (texts["new"], texts["gan"], texts["score"]) == ("--mirror no", "", "--protocol datasetgan-cv")
    given = load_domain(str(tmp_path / "d"), generator=tmp_path / "more", environment={})
    assert given.paths["generator"] == (tmp_path / "more").resolve()


def test_labels_of_generated_pictures_are_tested_on_the_real_ones_of_another_domain(faces: Path, tmp_path: Path):
    """Table C.12: it learns from 8 classes of Face-34 and is tested on CelebAMask-HQ."""
    written("celebamask-hq-8", faces, tmp_path / "real", DomainChoice(size=16))
    labels = {str(number): np.full((10, 10), number) for number in range(3)}
    numbered(tmp_path / "face/training_data/face_processed", labels, "image_{}.png", "image_mask{}.npy")
    choice = DomainChoice(test_pictures=tmp_path / "real/test.zip", size=16)
    counts = written("face-34-as-8", tmp_path / "face", tmp_path / "d", choice)
    assert counts == {"labelled": 3}
    domain = load_domain(str(tmp_path / "d"), environment={})
    assert domain.paths["test"] == (tmp_path / "real/test.zip").resolve()
    assert len(read_labelled(domain.paths["test"], 8, names=domain.about.classes)) == 2


def test_test_pictures_of_other_classes_are_refused(faces: Path, tmp_path: Path):
    written("celebamask-hq-19", faces, tmp_path / "real", DomainChoice(size=16))
    choice = DomainChoice(test_pictures=tmp_path / "real/test.zip", size=16)
    with pytest.raises(GannotateError, match=r"has the class 'l_eye' .* and the classes are background, ear, eye"):
        domain_sources(find_benchmark("celebamask-hq-8"), faces, choice)


@pytest.mark.parametrize(
    ("choice", "part"),
    [
        (
            DomainChoice(labelled="unlabelled"),
            "unlabelled of celebamask-hq-8 has no labels; use one of train, val, test",
        ),
        (DomainChoice(labelled="test"), "test and test of celebamask-hq-8 share 500 pictures; learn from and test on"),
        (DomainChoice(labelled="train-large", test="train"), "train-large and train .* share 1500 pictures"),
        (DomainChoice(labelled="trains"), "has no split 'trains'"),
        (DomainChoice(generator=Path("nowhere")), "nowhere is no folder; give the folder of a generator"),
        (DomainChoice(unlabelled=Path("nowhere")), "nowhere does not exist; give a folder or a zip of pictures"),
        (DomainChoice(test_pictures=Path("nowhere")), "nowhere does not exist; give a folder or a zip of pictures"),
        (DomainChoice(test_pictures=Path("t.zip"), test="val"), r"the split val and t\.zip were both given to test on"),
        (DomainChoice(first=1501), "1501 pictures were asked for"),
    ],
)
def test_what_makes_no_domain_is_refused_before_anything_is_written(faces: Path, choice: DomainChoice, part: str):
    with pytest.raises(UsageError, match=part):
        domain_sources(find_benchmark("celebamask-hq-8"), faces, choice)


def test_nothing_is_left_when_a_split_cannot_be_read(tmp_path: Path):
    folder = celeba(tmp_path / "faces", [28000], ROWS)
    with pytest.raises(GannotateError, match=r"none of the 500 pictures of test can be read: 29500: .* has no"):
        written("celebamask-hq-8", folder, tmp_path / "d", DomainChoice(size=16))
    assert not (tmp_path / "d").exists()


def test_a_folder_in_use_is_left_alone(faces: Path, tmp_path: Path):
    write(tmp_path / "d/mine.txt")
    with pytest.raises(UsageError, match="exists and is not an empty folder"):
        written("celebamask-hq-8", faces, tmp_path / "d", DomainChoice(size=16))
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["mine.txt"]


def generated(folder: Path, benchmark_folder: str, test: str, shape: tuple[int, int]) -> Path:
    """Three generated pictures to learn from and five to test on, in DatasetGAN's layout."""
    for place, count in ((benchmark_folder, 3), (test, 5)):
        labels = {str(number): np.full(shape, number) for number in range(count)}
        numbered(folder / place, labels, "image_{}.png", "image_mask{}.npy")
    return folder


def test_latents_that_drew_the_pictures_are_noted_with_how_they_were_drawn(tmp_path: Path):
    cats = generated(tmp_path / "cats", "training_data/cat_processed", "testing_data/cat_16_class", (10, 10))
    (tmp_path / "latent_stylegan1.npy").write_bytes(b"")
    (tmp_path / "generator").mkdir()
    write(tmp_path / "more/1.png", encoded(picture(20, 20)))
    places = {name: tmp_path / name for name in ("generator", "more")}
    choice = DomainChoice(
        latents=tmp_path / "latent_stylegan1.npy", generator=places["generator"], unlabelled=places["more"], size=16
    )
    written("cat-16", cats, tmp_path / "d", choice)
    domain = load_domain(str(tmp_path / "d"), environment={})
    assert domain.paths["latents"] == (tmp_path / "latent_stylegan1.npy").resolve()
    assert domain.texts()["new"] == "--mirror no --psi 0.7 --cutoff 7"
    asked = Choice(only={"shots": (2,)})
    plan = make_plan("released-labels", load_study("released-labels"), load_shared(), domain, asked)
    fits = {cell.at["way"]: words_of(cell) for cell in plan.cells.values() if cell.step == "fit"}
    for way in ("datasetgan", "light"):
        assert fits[way][fits[way].index("--latents") + 1] == str(domain.paths["latents"])
        assert "--inversion-steps" not in fits[way]
    assert "--latents" not in fits["gradient-matching"]
    (tmp_path / "latent_stylegan1.npy").unlink()  # then they are missed, and not sought in silence
    gone = load_domain(str(tmp_path / "d"), environment={})
    with pytest.raises(
        UsageError,
        match=r"latent_stylegan1.npy is not there, the latents of the domain d; correct its place in domain.yaml",
    ):
        make_plan("released-labels", load_study("released-labels"), load_shared(), gone, asked)
    with pytest.raises(UsageError, match=r"latent_stylegan1.npy does not exist; give an array of latents"):
        written("cat-16", cats, tmp_path / "e", choice)


def test_latents_want_pictures_as_the_generator_draws_them(tmp_path: Path):
    folder, test = "training_data/car_processed", "testing_data/car_20_class"
    cars = generated(tmp_path / "cars", folder, test, (12, 16))
    (cars / folder / "image_0.png").write_bytes(b"damaged")  # left out when it is written, as without latents
    (tmp_path / "z.npy").write_bytes(b"")
    choice = DomainChoice(latents=tmp_path / "z.npy", size=32)
    with pytest.raises(UsageError, match=r"of car-20 is 16x12 px, and as a square .* as car-20-padded does"):
        written("car-20", cars, tmp_path / "d", choice)
    assert written("car-20-padded", cars, tmp_path / "d", choice) == {"labelled": 2, "test": 5}
    (tmp_path / "inverted").mkdir()
    written("car-20-padded", cars, tmp_path / "e", replace(choice, latents=tmp_path / "inverted"))
    news = [load_domain(str(tmp_path / name), environment={}).texts()["new"] for name in ("d", "e")]
    assert news == ["--mirror yes --psi 0.7 --cutoff 8", "--mirror yes"], "w+ that was found knows no psi"
