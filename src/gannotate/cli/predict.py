"""`gannotate predict`: label maps for pictures, by a segmenter or by a decoder through what it reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.app import OK
from gannotate.cli.device import prepare
from gannotate.cli.flags import Common, settings
from gannotate.cli.predict_pictures import (
    ByGenerator,
    BySegmenter,
    Labeller,
    batches_of,
    label_batch,
    predict_pictures,
)
from gannotate.cli.predict_shared import MANIFEST, asked_of, open_shared, predict_shared
from gannotate.cli.predict_video import predict_video
from gannotate.cli.processes import check_alone
from gannotate.cli.simulate import segmenter_folder
from gannotate.cli.which_decoder import decoder_reading
from gannotate.data.pictures import SUFFIXES, PictureSource
from gannotate.data.sharing import Worker
from gannotate.data.video import is_video
from gannotate.data.writing import check_new
from gannotate.decoders.build import SOURCE, load_decoder
from gannotate.errors import UsageError
from gannotate.fitting.features import FeatureReader
from gannotate.inversion.gate import load_gate
from gannotate.inversion.inverter import Inverter, usual_config
from gannotate.inversion.labelling import GeneratorLabeller
from gannotate.inversion.projector import InversionConfig, Space
from gannotate.pretraining.sources import load_source
from gannotate.project import Project
from gannotate.segmenters.loading import load_predictor
from gannotate.segmenters.onnx_runtime import OnnxSegmenter
from gannotate.segmenters.predict import Predictor
from gannotate.segmenters.tiling import View
from gannotate.training.launched import launched
from gannotate.wording import counted


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PredictFlags(Common):
    """Flags of `predict`."""

    out: Path
    """New folder, or zip when it ends with .zip: masks/NAME.png (class ids with colours), overlays/NAME.png.

    Through the generator also redrawn/NAME.png and inversion.jsonl; of a video masks/NAME/FRAME.png and
    overlays/NAME.mp4."""
    segmenter: Path | None = None
    """Segmenter of the project to use, by name; the newest one when not given."""
    overlays: bool = True
    """Write the pictures with the classes laid over them too."""
    tile: int | None = None
    """Cut pictures larger than this into overlapping tiles of so many px; whole pictures when not given."""
    overlap: float = View.overlap
    """Part of a tile's side that the next one covers again; 0 to 0.9."""
    scales: str = "1"
    """Show the network the picture at so many times its own size and average, e.g. 0.5,1,2."""
    steady: float | None = None
    """Of a video: weight of the frames before where nothing moves, 0 to below 1; 0.8 when not given, 0 for none."""
    through: Literal["segmenter", "generator", "features"] = "segmenter"
    """segmenter; generator: find the picture among the generator's own, and read it with a decoder; or features: read
    another network's activations with a decoder of these (from `gannotate fit --features`)."""
    decoder: str | None = None
    """With --through generator or features: decoder to read with, by name; the newest one of these when not given."""
    steps: int | None = None
    """With --through generator (as all flags below): optimisation steps for a picture; 1000, or 100 from an encoder's
    start, when not given."""
    space: Space | None = None
    """w (one style for all layers) or w+ (one for each); w+ when not given."""
    encoder: Path | None = None
    """Folder of the encoder that gives the start, from `gannotate invert --encoder`."""
    gate: Path | None = None
    """A gate.json from `gannotate invert --calibrate`: pictures that the generator cannot draw are named."""
    perceptual: Annotated[tuple[Path, ...], Parameter(negative="", consume_multiple=True)] = ()
    """Files of weights for LPIPS; without any it takes pixels and the generator's discriminator."""


GENERATOR_FLAGS = ("steps", "space", "encoder", "gate", "perceptual")
"""Flags that only --through generator takes."""


def predict(project: Path, pictures: Path, /, *, flags: PredictFlags) -> int:
    """Label pictures with a segmentation network, or through the generator.

    Args:
        project: the project's folder; without --through generator also a segmenter's, or an exported file (.onnx).
        pictures: folder or zip of pictures of any sizes, one picture, or a video file (with the extra `video`); of
            images/ and masks/ only images/ is read.
    """
    _check(flags)
    rank, processes = launched()
    if is_video(pictures):
        check_alone("predict of a video")
        if flags.through != "segmenter":
            raise UsageError(f"a video is labelled by a segmenter; leave --through {flags.through} out")
        return predict_video(segmenter_of(project, flags.segmenter), pictures, view_of(flags), flags, _load)
    if flags.steady is not None:
        raise UsageError(f"--steady is for a video, and {pictures} is none; leave it out")
    by_decoder = flags.through != "segmenter"
    opened = Project.open(project) if by_decoder else None
    folder = decoder_of(opened, flags) if opened else segmenter_of(project, flags.segmenter)
    view = view_of(flags)
    names, source = find_pictures(pictures)
    shared = processes > 1 or (flags.out / MANIFEST).exists()  # one process ends what several began
    if not shared:
        check_new(flags.out)
    if flags.dry_run:
        return show.plan(flags, [f"label {len(names)} pictures with {folder} into {flags.out}"], settings(flags))
    device = prepare(flags)
    labeller = _labeller(opened, folder, flags, view, device)
    if shared:
        asked = asked_of(settings(flags, labelled_by=str(folder)), names)
        open_shared(flags.out, asked)
        worker = Worker(number=rank, numbers=processes)
        label = partial(label_batch, labeller, source, flags.overlays)
        running = predict_shared(label, batches_of(names, source, labeller), flags.out, worker, asked)
    else:
        running = predict_pictures(labeller, source, names, flags.out, flags.overlays)
    last = show.follow(running, "predict", flags.quiet)
    if rank > 0:
        return OK
    skipped, rows = (last.skipped, last.rows) if last else ({}, [])
    for name, reason in list(skipped.items())[:20]:
        show.say(flags, f"skipped {name}: {reason}")
    done = len(names) - len(skipped)
    result: dict[str, Any] = {"decoder" if by_decoder else "segmenter": str(folder), "out": str(flags.out)}
    result |= {"pictures": done, "skipped": skipped, "seconds": round(last.seconds, 2) if last else 0.0}
    text = f"{counted(done, 'picture')} labelled by {folder.resolve().name} in {flags.out}, {len(skipped)} skipped"
    if rows:
        result["psnr"] = round(float(np.mean([row["psnr"] for row in rows])), 2)
        text += f"; redrawn with a PSNR of {result['psnr']:.1f} dB"
    if flags.gate is not None:
        result["refused"] = [row["name"] for row in rows if row["verdict"] == "refused"]
        text += f"\n{len(result['refused'])} refused by the gate, do not trust their labels: "
        text += ", ".join(result["refused"][:10]) or "none"
    return show.finish(flags, result, text)


def _labeller(project: Project | None, folder: Path, flags: PredictFlags, view: View, device: str) -> Labeller:
    if project is None:
        return BySegmenter(_load(folder, device), view)
    if flags.through == "generator":
        return ByGenerator(_through_generator(project, folder, flags, device), project.classes)
    source = load_source(folder / SOURCE, device)
    return BySegmenter(FeatureReader(source, load_decoder(folder, device), project.classes), view)


def _through_generator(project: Project, decoder: Path, flags: PredictFlags, device: str) -> GeneratorLabeller:
    gate = None if flags.gate is None else load_gate(flags.gate)
    # a gate judges inversions that were made as those that it was calibrated with
    usual = {} if gate is None else gate.settings
    config = usual_config(
        flags.space or usual.get("space", InversionConfig.space),
        flags.steps if flags.steps is not None else usual.get("steps"),
        flags.encoder is not None,
    )
    inverter = Inverter.load(
        project.generator_folder, config, encoder=flags.encoder, perceptual=flags.perceptual, device=device
    )
    return GeneratorLabeller(inverter, load_decoder(decoder, device), gate)


def _check(flags: PredictFlags) -> None:
    """Refuses flags of the other ways."""
    given = [name for name in GENERATOR_FLAGS if getattr(flags, name) not in (None, ())]
    if given and flags.through != "generator":
        raise UsageError(f"--{given[0]} is for --through generator; add that, or leave --{given[0]} out")
    if flags.through == "segmenter":
        if flags.decoder is not None:
            raise UsageError("--decoder is for --through generator or features; add one of these, or leave it out")
        if flags.tile is None and flags.overlap != View.overlap:
            raise UsageError("--overlap is of tiles; say how large they are with --tile PX, or leave it out")
        return
    usual = {"segmenter": None, "tile": None, "overlap": View.overlap, "scales": "1"}
    given = [name for name, value in usual.items() if getattr(flags, name) != value]
    if given:
        raise UsageError(f"--{given[0]} is for a segmenter; leave it out, or leave --through {flags.through} out")


def find_pictures(path: Path) -> tuple[tuple[str, ...], PictureSource | None]:
    """Names of the pictures at `path` and where to read them; without a source `path` is one picture.

    Raises:
        UsageError: there are none.
    """
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return (str(path),), None
    source = PictureSource(path)
    if any(name.startswith("images/") for name in source.names):
        source = PictureSource(path, under="images")
    return source.names, source


def segmenter_of(project: Path, given: Path | None) -> Path:
    """The segmenter of a project, the newest unless one is given; or `project` itself when it is one.

    Raises:
        UsageError: there is none of that name, or one was given for something that is no project.
    """
    if (project / "project.yaml").exists():
        return segmenter_folder(Project.open(project), given)
    if given is not None:
        raise UsageError(f"{project} is no project, so --segmenter names nothing in it; leave --segmenter out")
    return project


def decoder_of(project: Project, flags: PredictFlags) -> Path:
    """The decoder that the flags name, or the newest one that reads what --through says.

    Raises:
        UsageError: there is none, or it reads something else.
    """
    assert flags.through != "segmenter"
    other = "generator" if flags.through == "features" else "features"
    return decoder_reading(project, flags.decoder, flags.through, f"use --through {other}")


def view_of(flags: PredictFlags) -> View:
    """How a segmenter is shown the pictures."""
    return View(tile_px=flags.tile, overlap=flags.overlap, scales=parse_scales(flags.scales))


def parse_scales(text: str) -> tuple[float, ...]:
    """`0.5,1,2` to numbers.

    Raises:
        UsageError: not numbers.
    """
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError as error:
        raise UsageError(f"--scales is {text!r}; give numbers with commas between them, e.g. 0.5,1,2") from error


def _load(path: Path, device: str) -> Predictor:
    if path.suffix.lower() == ".onnx":
        return OnnxSegmenter.load(path, torch.get_num_threads())
    return load_predictor(path, device)
