"""`gannotate evaluate --of decoder`: on annotated pool pictures, or on labelled real ones through what it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gannotate.cli import show
from gannotate.cli.training_data import read_all
from gannotate.data.labelled import LabelledSet
from gannotate.decoders.build import load_decoder
from gannotate.errors import UsageError
from gannotate.fitting.features import FeatureReader
from gannotate.fitting.shots import load
from gannotate.generators.base import DrawOptions, draw, to_uint8
from gannotate.generators.build import load_generator
from gannotate.inversion.features import GeneratorFeatures
from gannotate.inversion.inverter import Inverter, usual_config
from gannotate.inversion.projector import InversionConfig
from gannotate.metrics.calibration import ReliabilityCounter
from gannotate.metrics.confusion import Scores, confusion, scores
from gannotate.pretraining.sources import SOURCE, load_source, reads_source
from gannotate.project import Project
from gannotate.record import read_record
from gannotate.segmenters.evaluate import evaluate as evaluate_answers
from gannotate.synthesis import annotate_seeds

if TYPE_CHECKING:
    from gannotate.cli.evaluate import EvaluateFlags

INVERTING = ("steps", "encoder")
"""Flags that say how a test picture is found in the generator."""


def check_decoder_flags(flags: EvaluateFlags) -> None:
    """Refuses flags that mean nothing to what is scored on what.

    Raises:
        UsageError: names the flag and what it is for.
    """
    inverting = [name for name in INVERTING if getattr(flags, name) is not None]
    if inverting and (flags.of == "segmenter" or flags.test is None):
        raise UsageError(
            f"--{inverting[0]} says how test pictures are found in the generator; it is for --of decoder with --test"
        )
    if flags.of == "decoder" and flags.labelled and flags.test is None:
        raise UsageError("a decoder without --test is scored on the generator's pictures; leave --labelled out")
    if flags.most is not None and flags.test is None:
        raise UsageError("--most says how many of the test pictures are used; give these with --test")


def score_decoder(project: Project, folder: Path, flags: EvaluateFlags, device: str) -> dict[str, Any]:
    """The scores on the test pictures, or without any on the annotated pool pictures that it was not fitted to."""
    if flags.test is not None:
        return _on_real(project, folder, flags, device)
    if reads_source(folder):
        return _on_pool_by_source(project, folder, flags, device)
    return _on_pool(project, folder, flags, device)


def named(project: Project, found: Scores) -> dict[str, Any]:
    """Scores ready for json, those of each class by its name."""
    names = [item.name for item in project.classes]
    return asdict(found) | {"per_class": dict(zip(names, found.per_class, strict=True))}


def _on_real(project: Project, folder: Path, flags: EvaluateFlags, device: str) -> dict[str, Any]:
    assert flags.test is not None
    test = read_all(flags, project, [flags.test], flags.most, flags.size)
    if reads_source(folder):
        _check_not_inverted(folder, flags)
        through, reader = "features", _by_source(project, folder, device)
    else:
        through, reader = "generator", _by_generator(project, folder, flags, device)
        show.say(flags, f"finding {len(test)} pictures in the generator first, which takes a while")
    return _about(folder, str(flags.test), through) | evaluate_answers(reader, test, flags.absent or "skip")


def _check_not_inverted(folder: Path, flags: EvaluateFlags) -> None:
    given = [name for name in INVERTING if getattr(flags, name) is not None]
    if given:
        raise UsageError(f"{folder} reads another network, which looks once at a picture; leave --{given[0]} out")


def _on_pool_by_source(project: Project, folder: Path, flags: EvaluateFlags, device: str) -> dict[str, Any]:
    """The pool's pictures are drawn as pictures alone, and the source reads them as it reads any."""
    shots = load(project, project.annotations())
    if not shots:
        raise UsageError(f"{project.folder} has no annotations to score {folder} on; give real pictures with --test")
    generator = load_generator(project.generator_folder, device)
    drawn = draw(generator, [shot.seed for shot in shots], DrawOptions(**project.config.draw.model_dump()))
    pictures = np.concatenate([to_uint8(drawing.picture) for _, drawing in drawn])
    pool = LabelledSet(tuple(str(shot.seed) for shot in shots), pictures, np.stack([shot.label_map for shot in shots]))
    found = evaluate_answers(_by_source(project, folder, device), pool, flags.absent or "skip")
    return _about(folder, "held-out annotations", "features") | found


def _on_pool(project: Project, folder: Path, flags: EvaluateFlags, device: str) -> dict[str, Any]:
    fitted = _fitted(folder)
    held_out = [annotation for annotation in project.annotations() if annotation.seed not in fitted]
    if not held_out:
        raise UsageError(
            f"{folder} was fitted to every annotation; hold some out with `gannotate fit {project.folder} --shots N`"
        )
    shots = load(project, held_out)
    generator, decoder = load_generator(project.generator_folder, device), load_decoder(folder, device)
    options = DrawOptions(**project.config.draw.model_dump())
    classes = len(project.classes)
    counts, reliability = np.zeros((classes, classes), np.int64), ReliabilityCounter()
    drawn = annotate_seeds(generator, decoder, [shot.seed for shot in shots], options)
    for shot, labelled in zip(shots, drawn, strict=True):
        counts += confusion(shot.label_map[None], labelled.label_map[None], classes)
        reliability.add(labelled.soft, shot.label_map)
    return {
        "of": "decoder",
        "scored": str(folder),
        "test": "held-out annotations",
        "labels": len(fitted),
        **named(project, scores(counts, flags.absent or "skip")),
        "confusion": counts.tolist(),
        "calibration": reliability.result().as_dict(),
        "pictures": len(shots),
        "absent": flags.absent or "skip",
    }


def _by_source(project: Project, folder: Path, device: str) -> FeatureReader:
    return FeatureReader(load_source(folder / SOURCE, device), load_decoder(folder, device), project.classes)


def _by_generator(project: Project, folder: Path, flags: EvaluateFlags, device: str) -> FeatureReader:
    config = usual_config(InversionConfig.space, flags.steps, flags.encoder is not None)
    inverter = Inverter.load(project.generator_folder, config, encoder=flags.encoder, device=device)
    return FeatureReader(GeneratorFeatures(inverter), load_decoder(folder, device), project.classes)


def _about(folder: Path, test: str, through: str) -> dict[str, Any]:
    made = (read_record(folder) or {}).get("result", {})
    labels = made.get("shots", len(_fitted(folder)))
    return {"of": "decoder", "scored": str(folder), "test": test, "through": through, "labels": labels}


def _fitted(folder: Path) -> Sequence[int]:
    """Seeds of the annotated pool pictures that a decoder was fitted to."""
    return (read_record(folder) or {}).get("config", {}).get("annotations", [])
