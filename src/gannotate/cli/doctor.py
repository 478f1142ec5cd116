"""`gannotate doctor`: is this machine fit for it, and is a project consistent?"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.flags import Common, settings
from gannotate.data.pictures import read_picture
from gannotate.errors import GannotateError
from gannotate.fitting.shots import load
from gannotate.generators.base import draw, to_uint8
from gannotate.generators.build import load_generator, save_generator
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.labels import make_classes, read_label_map, write_label_map
from gannotate.project import KINDS, Project, digest, is_real
from gannotate.record import hardware, is_finished, versions
from gannotate.segmenters.scored import read_scores
from gannotate.training.bf16_time import bf16_time
from gannotate.wording import quoted

FREE_MB = 2000
"""Less free disk space than this is reported: a dataset of some thousand pictures takes as much."""

PAYS = 0.9
"""Half precision that takes less than this part of the time is worth its rounding."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DoctorFlags(Common):
    """Flags of `doctor`."""


def doctor(project: Path | None = None, /, *, flags: DoctorFlags = DoctorFlags()) -> int:
    """Check this machine, and a project's files; exit code 1 when something is wrong.

    Args:
        project: a project's folder to check too.
    """
    checks: dict[str, Callable[[], list[str]]] = {"disk": lambda: check_disk(project or Path.cwd())}
    checks["self-check"] = lambda: check_works(flags)
    if project is not None:
        checks["project"] = lambda: check_project(Project.open(project))
    if flags.dry_run:
        return show.plan(flags, [f"check {name}" for name in checks], settings(flags))
    device = prepare(flags)
    problems = [f"{name}: {problem}" for name, check in checks.items() for problem in check()]
    result: dict[str, Any] = {
        "ok": not problems,
        "problems": problems,
        "device": device,
        "versions": versions(),
        "hardware": hardware(),
        "bf16_time": round(bf16_time(device), 2),
    }
    lines = [f"{name} {version}" for name, version in result["versions"].items()]
    lines += [f"{name} {value}" for name, value in result["hardware"].items()]
    lines += [f"device {device}", bf16_advice(result["bf16_time"])]
    lines += [f"PROBLEM {problem}" for problem in problems] or [f"fine: {', '.join(checks)}"]
    show.finish(flags, result, "\n".join(lines))
    return 1 if problems else 0


def bf16_advice(times: float) -> str:
    """What half precision does to trainings here, by the time of its steps in times that of the others."""
    told = f"a training step with --precision bf16 takes {times:.2f} times as long here"
    return f"{told}: use it" if times < PAYS else f"{told}: leave it out"


def check_disk(folder: Path) -> list[str]:
    """Problems with the free space where `folder` is."""
    here = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    free_mb = shutil.disk_usage(here).free >> 20
    return [f"only {free_mb} MB are free at {here}; make some room"] if free_mb < FREE_MB else []


def check_works(flags: Common) -> list[str]:
    """Problems met when a tiny generator is saved, loaded and drawn, and a label map written and read."""
    config = StyleGAN2Config(
        size=8, image_channels=1, z_dim=4, w_dim=4, mapping_layers=1, channel_base=64, channel_max=8
    )
    label_map = np.array([[0, 1], [255, 1]], np.uint8)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            save_generator(folder, StyleGAN2(config))
            once, again = (_first_picture(folder, flags) for _ in range(2))
            write_label_map(folder / "map.png", label_map, make_classes(["background", "thing"]))
            read = read_label_map(folder / "map.png", 2)
        except (GannotateError, RuntimeError) as error:
            return [str(error)]
    problems = []
    if not np.array_equal(once, again):
        problems.append("the same seed gave two pictures")
    if not np.array_equal(read, label_map):
        problems.append("a label map changed on the disk")
    if time.monotonic() - begin > 20:
        problems.append("a tiny generator takes longer than 20 s; is the machine overloaded?")
    return problems


def check_project(project: Project) -> list[str]:
    """Problems with a project's files: each a sentence."""
    problems = []
    for check in (_check_generator, _check_pool, _check_annotations, _check_runs):
        try:
            problems += check(project)
        except GannotateError as error:
            problems.append(str(error))
    return problems


def _check_generator(project: Project) -> list[str]:
    entry = project.config.generator
    if entry is None:  # a project of real pictures alone
        return []
    generator = load_generator(project.generator_folder)
    problems = []
    if (generator.size, generator.image_channels) != (project.config.size, project.config.image_channels):
        problems.append(f"project.yaml says {project.config.size} px, the generator draws {generator.size} px")
    if digest(project.generator_folder / "model.safetensors") != entry.sha256:
        problems.append("the generator is another than the one that the project was made with (sha256 differs)")
    return problems


def _check_pool(project: Project) -> list[str]:
    problems = []
    for picture in project.pool("any"):
        path = project.pool_picture_path(picture.seed)
        if not path.exists():
            again = (
                f"add it again with `gannotate sample {quoted(project.folder)} --pictures DIR`"
                if is_real(picture.seed)
                else f"draw it again with `gannotate sample {quoted(project.folder)} --first-seed {picture.seed} -n 1`"
            )
            problems.append(f"{path} is missing; {again}")
            continue
        try:
            image = read_picture(path)
        except GannotateError as error:
            problems.append(f"{path} cannot be read ({error})")
            continue
        if image.size != (project.config.size,) * 2:
            problems.append(f"{path} is {image.width}x{image.height} px, the project's are {project.config.size}")
    return problems


def _check_annotations(project: Project) -> list[str]:
    problems = []
    for annotation in project.annotations():
        try:
            load(project, [annotation])
        except GannotateError as error:
            problems.append(str(error))
    for annotation in project.annotations("real"):
        try:
            project.read_annotation(annotation.seed)
        except GannotateError as error:
            problems.append(str(error))
    return problems


def _check_runs(project: Project) -> list[str]:
    problems = []
    for kind in KINDS:
        for folder in project.made(kind):
            try:
                if not is_finished(folder):
                    problems.append(f"{folder} is unfinished; run its command again to finish it, or delete it")
                if kind == "segmenters":
                    read_scores(folder)
            except GannotateError as error:
                problems.append(str(error))
    return problems


def _first_picture(folder: Path, flags: Common) -> np.ndarray:
    generator = load_generator(folder, prepare(flags))
    (_, drawing), *_ = draw(generator, [0])
    return to_uint8(drawing.picture)
