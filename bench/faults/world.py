"""A folder with one of everything, tiny, and the commands that are disturbed in copies of it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gannotate.labels import make_classes, write_label_map
from gannotate.project import Project

from .standins import CLASSES, SIZE, STUDY, label, make_generator
from .warm import run

NETWORK = "--encoder tu-resnet10t --depth 3 --batch 2 --max-steps 4"
REAL = "--from real --labelled labelled --max-steps 4 --segmenter unet-classic --segmenter-width 8"


@dataclass(frozen=True)
class Case:
    """A command that takes long on real inputs.

    name: in tables. text: the command. needs: what of the world it reads or changes. again: what it says when it is
    typed once more after its end, where it refuses that.
    """

    name: str
    text: str
    needs: tuple[str, ...]
    again: str = ""

    @property
    def words(self) -> list[str]:
        """The command's words after `gannotate`."""
        return [*self.text.split(), "--json", "--quiet"]


CASES = (
    Case(
        "train-generator",
        "train-generator many --out made --size 16 --batch 4 --kimg 1 --gauge-pictures 50 --snapshot-kimg 0.012 "
        "--max-steps 5",
        ("many",),
    ),
    Case("fit", "fit project --max-steps 8", ("project",)),
    Case("fit --hold-out", "fit project --hold-out --max-steps 8", ("project",)),
    Case(
        "fit --from real, gradient matching",
        f"fit project --method gradient-matching {REAL} --begin pseudo-labels --pretrain 3 --warm-start 2",
        ("project", "labelled"),
    ),
    Case("fit --from real, maml", f"fit project --method maml {REAL} --inner-steps 2", ("project", "labelled")),
    Case(
        "fit --from real, pseudo-labels",
        f"fit project --method pseudo-labels {REAL} --pretrain 4 --confidence 0.4",
        ("project", "labelled"),
    ),
    Case(
        "fit --from real, inversion",
        "fit project --method inversion --from real --labelled labelled --max-steps 6 --inversion-steps 3",
        ("project", "labelled"),
    ),
    Case(
        "invert",
        "invert pictures --generator generator --out made --steps 3 --batch 4",
        ("pictures", "generator"),
    ),
    Case(
        "invert --encoder --calibrate",
        "invert labelled --generator generator --out made --steps 2 --batch 2 --encoder encoder --encoder-steps 5 "
        "--calibrate pictures --refusals 0.2",
        ("pictures", "labelled", "generator"),
    ),
    Case("pretrain", "pretrain generator --out made --depth 3 --batch 2 --steps 4", ("generator",)),
    Case("synthesize", "synthesize project -n 40", ("project",)),
    Case(
        "synthesize --format folder",
        "synthesize project -n 40 --out made --format folder --keep 0.8",
        ("project",),
    ),
    Case("train", f"train project {NETWORK}", ("project",)),
    Case("train --online", f"train project {NETWORK} --online --buffer 8 --keep 0.5", ("project",)),
    Case("train --mix", f"train project {NETWORK} --labelled labelled --mix 0.5", ("project", "labelled")),
    Case(
        "train --method mean-teacher",
        f"train project {NETWORK} --method mean-teacher --labelled labelled --unlabelled pictures",
        ("project", "labelled", "pictures"),
    ),
    Case(
        "train --method semantic-gan",
        "train project --method semantic-gan --labelled labelled --unlabelled many --generator generator --batch 2 "
        "--steps 4 --method-setting encoder_steps=3 --method-setting pair_width=8",
        ("project", "labelled", "many", "generator"),
    ),
    Case("evaluate", "evaluate project --test labelled", ("project", "labelled")),
    Case(
        "predict", "predict project pictures --out made", ("project", "pictures"), "exists and is not an empty folder"
    ),
    Case(
        "predict --through generator",
        "predict project labelled --through generator --steps 2 --out made.zip",
        ("project", "labelled"),
        "exists and is not an empty folder",
    ),
    Case("export", "export project --out made.onnx", ("project",), "exists; give a new name"),
    Case("simulate", "simulate project --segmenter 1", ("project",), "every pool picture is annotated"),
    Case("sample", "sample project -n 12 --first-seed 100", ("project",)),
    Case("sample --pictures", "sample project --pictures pictures", ("project", "pictures"), "was added"),
    Case("data import", "data import project labelled --format palette", ("project", "labelled")),
    Case("data export", "data export project --format coco --out made", ("project",), "exists and is not an empty"),
    Case(
        "new",
        f"new made --classes {','.join(CLASSES)} --swap 1:2 --generator generator --pictures pictures",
        ("generator", "pictures"),
        "exists and is not empty",
    ),
    Case(
        "render",
        "render portraits -n 60 --size 32 --workers 2 --out made",
        (),
        "exists and is not an empty folder",
    ),
    Case("study run", "study run renders.yaml --domain portraits --out made", ("renders.yaml",)),
    Case("report", "report project", ("project",)),
)
"""Every verb that writes for longer than a moment."""


def make_world(folder: Path) -> Path:
    """Fills a folder with a generator, a project with all that can be in one, and pictures."""
    folder.mkdir(parents=True)
    make_generator(folder / "generator")
    rng = np.random.default_rng(0)
    for name, count in (("pictures", 14), ("many", 50)):
        for index in range(count):
            _save(folder / name / f"{index:02d}.png", rng)
    for name in "abcd":
        picture = _save(folder / "labelled" / "images" / f"{name}.png", rng)
        write_label_map(folder / "labelled" / "masks" / f"{name}.png", label(picture), make_classes(list(CLASSES)))
    (folder / "renders.yaml").write_text(STUDY)
    _must("new project --swap 1:2 --generator generator --classes " + ",".join(CLASSES), folder)
    _must("sample project -n 8", folder)
    project = Project.open(folder / "project")
    for seed in range(4):
        with Image.open(project.pool_picture_path(seed)) as image:
            project.write_annotation(seed, label(np.asarray(image)), "person", {})
    for text in (
        "fit project --max-steps 4",
        "synthesize project -n 16",
        f"train project {NETWORK} --labelled labelled",
    ):
        _must(text, folder)
    return folder


def copy_of(world: Path, case: Case, folder: Path) -> Path:
    """What a case needs of the world, in a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in case.needs:
        if (world / name).is_dir():
            shutil.copytree(world / name, folder / name)
        else:
            shutil.copy2(world / name, folder / name)
    return folder


def named(names: Sequence[str]) -> tuple[Case, ...]:
    """The cases of these names; all when none is given."""
    known = {case.name: case for case in CASES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"there is no case {unknown[0]!r}; known are {', '.join(known)}")
    return tuple(known[name] for name in names) or CASES


def _save(path: Path, rng: np.random.Generator) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = rng.integers(0, 256, (SIZE, SIZE)).astype(np.uint8)
    Image.fromarray(picture).save(path)
    return picture


def _must(text: str, folder: Path) -> None:
    ended = run([*text.split(), "--json", "--quiet"], folder)
    if ended.code:
        raise SystemExit(f"{text} ended with {ended.code}: {ended.err}")
