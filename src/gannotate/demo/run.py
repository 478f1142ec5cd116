"""Running the demonstration: its folder appears whole or not at all."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from gannotate.data.writing import check_new
from gannotate.demo.stages import Demo, DemoConfig
from gannotate.errors import GannotateError, UsageError
from gannotate.files import appearing, write_json
from gannotate.parsing import read_ours

RESULT = "demo.json"
"""File in the project with the demonstration's figures."""

BUILDING = ".project"
"""The project while it is made: below a folder that already exists, as a project is made where nothing is."""

KEPT_BACK = 5
"""At least so many shipped annotations are kept from the decoder, to score it."""


@dataclass(frozen=True)
class StageProgress:
    """Progress of one stage of the demonstration: a `Progress` and the stage's name."""

    stage: str
    done: int
    steps: int
    seconds: float
    eta_s: float
    metrics: dict[str, float]


def shipped_portraits() -> Path:
    """The folder that ships: generator/, annotations/ (palette PNGs SEED.png, annotations.jsonl) and pool.jsonl.

    Raises:
        GannotateError: this installation lacks it.
    """
    folder = Path(str(resources.files("gannotate"))) / "assets" / "portraits"
    if not (folder / "generator" / "model.safetensors").exists():
        raise GannotateError(
            f"the portraits generator is not in {folder}; install gannotate again, or make it with "
            "tools/make_demo_assets.py"
        )
    return folder


def run_demo(
    folder: str | Path, config: DemoConfig | None = None, device: str = "cpu", shipped: str | Path | None = None
) -> Generator[StageProgress, None, None]:
    """Runs the demonstration; iterating to the end leaves a whole project in `folder`, and stopping earlier nothing.

    Args:
        shipped: as `shipped_portraits`, which it is when not given.

    Raises:
        UsageError: `folder` exists and is not empty, or more shots than there are annotations to spare.
        GannotateError: the disk is full, or another process makes `folder`.
    """
    config, folder = config or DemoConfig(), check_new(folder)
    shipped = Path(shipped) if shipped is not None else shipped_portraits()
    _check_shots(config.shots, len(list((shipped / "annotations").glob("*.png"))))
    seconds: dict[str, float] = {}
    with appearing(folder) as building:
        project = building / BUILDING
        demo = Demo(project, folder.name, config, device, shipped)
        for stage, steps in demo.stages():
            begin = time.monotonic()
            for step in steps():
                yield StageProgress(stage, **asdict(step))
            seconds[stage] = round(time.monotonic() - begin, 2)
        write_json(project / RESULT, demo.result(seconds))
        _move_up(project)


def read_result(folder: str | Path) -> dict[str, Any]:
    """The figures of a demonstration: shots, test_pictures, miou (of five), seconds (a stage) and peak_rss_mb.

    Raises:
        GannotateError: there are none, or they are damaged.
    """
    return read_ours(Path(folder) / RESULT, "run `gannotate demo` again, with a new folder", dict)


def _check_shots(shots: int, annotations: int) -> None:
    if not 1 <= shots <= annotations - KEPT_BACK:
        raise UsageError(
            f"--shots is {shots}; {annotations} annotations ship and {KEPT_BACK} are held out, give 1 to "
            f"{annotations - KEPT_BACK}"
        )


def _move_up(project: Path) -> None:
    """Moves everything in a folder to the one that it is in, and removes it."""
    for path in project.iterdir():
        os.replace(path, project.parent / path.name)
    project.rmdir()
