"""`gannotate evaluate --of decoder`: on annotated pool pictures, or on labelled real ones through what it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gannotate.cli import show
from gannotate.cli.training_data import read_all
from gannotate.cli.which_decoder import decoder_reading
from gannotate.data.labelled import LabelledSet
from gannotate.decoders.build import SOURCE, load_decoder, reads_source
from gannotate.errors import UsageError
from gannotate.fitting.asking import annotated_set, ask_decoder
from gannotate.fitting.features import FeatureReader
from gannotate.fitting.shot import Shot
from gannotate.fitting.shots import draw_some, load
from gannotate.generators.base import DrawOptions, Generator, draw, to_uint8
from gannotate.generators.build import load_generator
from gannotate.inversion.features import GeneratorFeatures
from gannotate.inversion.inverter import Inverter, usual_config
from gannotate.inversion.projector import InversionConfig
from gannotate.metrics.confusion import Scores
from gannotate.metrics.floors import PixelFloor, majority_floor
from gannotate.metrics.protocols import find_protocol
from gannotate.pretraining.sources import load_source
from gannotate.project import Project
from gannotate.record import read_record
from gannotate.report.examples import ON_POOL, write_examples
from gannotate.segmenters.evaluate import Answers, Asking, score
from gannotate.segmenters.predict import Predictor

if TYPE_CHECKING:
    from gannotate.cli.evaluate import EvaluateFlags

INVERTING = ("steps", "encoder")
"""Flags that say how a test picture is found in the generator."""

NO_FLOORS = (
    "{} was not fitted to annotations of this project, so that there are none to make floors from; leave --floors out"
)

Scored = tuple[dict[str, Any], Callable[[Path], object]]
"""Scores, and what keeps some of the pictures in a folder for the report."""


def check_decoder_flags(flags: EvaluateFlags) -> None:
    """Refuses flags that mean nothing to what is scored on what.

    Raises:
        UsageError: names the flag and what it is for.
    """
    inverting = _inverting(flags)
    if inverting and (flags.of == "segmenter" or flags.test is None):
        raise UsageError(
            f"--{inverting[0]} says how test pictures are found in the generator; it is for --of decoder with --test"
        )
    if flags.of == "decoder" and flags.labelled and flags.test is None:
        raise UsageError(
            "a decoder without --test is scored on the generator's pictures; leave --labelled out, or give --floors in "
            "its place for floors from the annotations that it was fitted to"
        )
    if flags.floors and (flags.of == "segmenter" or flags.test is not None):
        raise UsageError(
            "--floors makes floors from the annotations that a decoder was fitted to, for --of decoder without --test; "
            "give labelled pictures with --labelled for floors on --test"
        )
    if flags.most is not None and flags.test is None:
        raise UsageError("--most says how many of the test pictures are used; give these with --test")
    if flags.size is not None and flags.test is None:
        raise UsageError("--size is the side that test pictures are scored at; give these with --test, or leave it out")


def decoder_of(project: Project, flags: EvaluateFlags) -> Path:
    """The decoder that the flags name, or the newest one that they can be for.

    Raises:
        UsageError: there is none, or the one called so does not read the generator, where flags are for one that does.
    """
    inverting = _inverting(flags)
    if inverting:
        return decoder_reading(project, flags.decoder, "generator", f"leave --{inverting[0]} out")
    return project.find("decoders", flags.decoder)


def score_decoder(project: Project, folder: Path, flags: EvaluateFlags, device: str) -> Scored:
    """Scores it on the test pictures, or without any on the annotated pool pictures that it was not fitted to."""
    if flags.test is not None:
        return _on_real(project, folder, flags, device)
    if reads_source(folder):
        return _on_pool_by_source(project, folder, flags, device)
    return _on_pool(project, folder, flags, device)


def read_test(flags: EvaluateFlags, project: Project) -> tuple[LabelledSet, int]:
    """The test pictures, --most of them, and how many there are in all.

    Raises:
        UsageError: fewer than --most; and what `read_labelled` raises.
    """
    assert flags.test is not None
    whole = read_all(flags, project, [flags.test], None, flags.size)
    if flags.most is None:
        return whole, len(whole)
    return whole.take(draw_some(len(whole), flags.most, flags.seed, "--most")), len(whole)


def named(project: Project, found: Scores) -> dict[str, Any]:
    """Scores ready for json, those of each class by its name."""
    names = [item.name for item in project.classes]
    return asdict(found) | {"per_class": dict(zip(names, found.per_class, strict=True))}


def floors_of(project: Project, labelled: LabelledSet, test: LabelledSet, flags: EvaluateFlags) -> dict[str, Any]:
    """Scores on `test` of the two floors that are made from `labelled`."""
    classes = len(project.classes)
    pixels = PixelFloor(labelled, test, classes, flags.seed)
    show.follow(pixels, "floors", flags.quiet)
    return {
        "majority": {"labels": len(labelled), **named(project, majority_floor(labelled, test, classes))},
        "pixels": {"labels": len(labelled), **named(project, pixels.scores)},
    }


def _on_real(project: Project, folder: Path, flags: EvaluateFlags, device: str) -> Scored:
    test, _ = read_test(flags, project)
    if reads_source(folder):
        through, reader = "features", _by_source(project, folder, device)
    else:
        through, reader = "generator", _by_generator(project, folder, flags, device)
        show.say(flags, f"finding {len(test)} pictures in the generator first, which takes a while")
    return _asked(project, reader, test, flags, _about(folder, str(flags.test), through))


def _on_pool_by_source(project: Project, folder: Path, flags: EvaluateFlags, device: str) -> Scored:
    """The pool's pictures are drawn as pictures alone, and the source reads them as it reads any."""
    shots = load(project, project.annotations())
    if not shots:
        raise UsageError(f"{project.folder} has no annotations to score {folder} on; give real pictures with --test")
    if flags.floors:
        raise UsageError(NO_FLOORS.format(folder))
    pool = _drawn(project, load_generator(project.generator_folder, device), shots)
    about = _about(folder, ON_POOL, "features")
    return _asked(project, _by_source(project, folder, device), pool, flags, about)


def _on_pool(project: Project, folder: Path, flags: EvaluateFlags, device: str) -> Scored:
    fitted = _fitted(folder)
    held_out = [annotation for annotation in project.annotations() if annotation.seed not in fitted]
    if not held_out:
        raise UsageError(
            f"{folder} was fitted to every annotation; hold some out with `gannotate fit {project.folder} --shots N`"
        )
    if flags.floors and not fitted:
        raise UsageError(NO_FLOORS.format(folder))
    shots = load(project, held_out)
    generator, decoder = load_generator(project.generator_folder, device), load_decoder(folder, device)
    pool, answers = ask_decoder(generator, decoder, shots, DrawOptions(**project.config.draw.model_dump()))
    about = {"of": "decoder", "scored": str(folder), "test": ON_POOL, "labels": len(fitted)}
    found, keep_examples = _scored(project, pool, answers, flags, about)
    if flags.floors:
        learned = load(project, [annotation for annotation in project.annotations() if annotation.seed in fitted])
        found["floors"] = floors_of(project, _drawn(project, generator, learned), pool, flags)
    return found, keep_examples


def _drawn(project: Project, generator: Generator, shots: Sequence[Shot]) -> LabelledSet:
    """Annotated pool pictures, drawn again."""
    drawn = draw(generator, [shot.seed for shot in shots], DrawOptions(**project.config.draw.model_dump()))
    return annotated_set(shots, np.concatenate([to_uint8(drawing.picture) for _, drawing in drawn]))


def _asked(
    project: Project, reader: FeatureReader, test: LabelledSet, flags: EvaluateFlags, about: dict[str, Any]
) -> Scored:
    return _scored(project, test, asked(flags, reader, test), flags, about)


def _scored(
    project: Project, test: LabelledSet, answers: Answers, flags: EvaluateFlags, about: dict[str, Any]
) -> Scored:
    """A decoder is no candidate among others: of a protocol it takes the averages, and no folds."""
    protocol = replace(find_protocol(flags.protocol), folds=0) if flags.protocol else None
    found = score([item.name for item in project.classes], test, answers, flags.absent or "skip", protocol)
    return about | {"size_px": test.label_maps.shape[-1]} | found, examples_of(project, test, answers, flags)


def asked(flags: EvaluateFlags, reader: Predictor, test: LabelledSet) -> Answers:
    """What it says of the test pictures, showing how far it is."""
    asking = Asking(reader, test)
    show.follow(asking, "evaluate", flags.quiet)
    return asking.answers


def examples_of(
    project: Project, test: LabelledSet, answers: Answers, flags: EvaluateFlags
) -> Callable[[Path], object]:
    """What keeps some of the test pictures in a folder for the report."""
    return lambda folder: write_examples(
        folder, test, answers.predictions, project.classes, seed=flags.seed, uncertainty=answers.uncertainty
    )


def _inverting(flags: EvaluateFlags) -> list[str]:
    return [name for name in INVERTING if getattr(flags, name) is not None]


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
