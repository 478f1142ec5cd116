"""`gannotate invert`: latents that draw real pictures, and which of them the generator cannot draw."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.app import OK
from gannotate.cli.device import prepare
from gannotate.cli.flags import Resumable, settings
from gannotate.cli.generate import generator_folder
from gannotate.cli.processes import recorded_once
from gannotate.cli.runs import drop_checkpoint
from gannotate.data.pictures import SUFFIXES, PictureSet, decode_picture, load_pictures, stems, to_array
from gannotate.data.writing import encode_picture
from gannotate.errors import UsageError
from gannotate.files import make_folder, write_bytes
from gannotate.generators.base import Generator
from gannotate.generators.build import build_generator, load_generator, read_config
from gannotate.inversion.encoder_training import EncoderTraining, check_new_encoder, train_encoder
from gannotate.inversion.gate import REFUSALS, Gate, calibrate, conformal_place, load_gate, save_gate
from gannotate.inversion.inverter import Inverter, usual_config
from gannotate.inversion.losses import OfflineLoss, make_loss
from gannotate.inversion.many import BATCH, invert_pictures, judge, picture_path, side_by_side, statistics_of
from gannotate.inversion.projector import InversionConfig, Space
from gannotate.locks import alone_in
from gannotate.training import distributed
from gannotate.training.resuming import check_place
from gannotate.wording import quoted

GATE, GRID, CALIBRATION = "gate.json", "grid.png", "calibration"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class InvertFlags(Resumable):
    """Flags of `invert`."""

    generator: Path
    """Folder of the generator, or a project."""
    out: Path
    """Folder for latents/, pictures/, grid.png and inversion.jsonl; the same command goes on with an unfinished one,
    other pictures are added to what it holds."""
    space: Space = InversionConfig.space
    """w (one style for all layers) or w+ (one for each: closer pictures)."""
    steps: int | None = None
    """Optimisation steps; 1000, or 100 from an encoder's start, when not given."""
    encoder: Path | None = None
    """Folder of an encoder that gives the start; one that does not exist yet is trained there first."""
    encoder_steps: int | None = None
    """Steps that an encoder is trained for; 3000 when not given."""
    encoder_pictures: Path | None = None
    """Folder or zip of real pictures, e.g. those of the generator's training, that an encoder learns to redraw too."""
    batch: int = BATCH
    """Pictures that are inverted together."""
    perceptual: Annotated[tuple[Path, ...], Parameter(negative="", consume_multiple=True)] = ()
    """Files of weights for LPIPS: torchvision's vgg16 and LPIPS's linear ones; without any it takes pixels."""
    calibrate: Path | None = None
    """Folder or zip of real pictures that the generator was not trained on: sets the gate, written to OUT/gate.json."""
    refusals: float | None = None
    """Part of the generator's own kind of pictures that a gate of --calibrate may refuse; 0.05 when not given."""
    gate: Path | None = None
    """A gate.json from before, to judge the pictures."""
    crop: bool = False
    """Cut every picture to its central square first."""
    recolour: bool = False
    """Take colour pictures as grey ones, or grey as colour, as the generator draws them."""

    def how(self) -> InversionConfig:
        """The library's settings."""
        return usual_config(self.space, self.steps, self.encoder is not None)


def invert(pictures: Path, /, *, flags: InvertFlags) -> int:
    """Find latents with which a generator draws given pictures.

    Several processes train the encoder together; its pictures are then inverted by the first of them.

    Args:
        pictures: folder or zip of pictures, or one picture; of images/ and masks/ only images/ is read.
    """
    folder, config = generator_folder(flags.generator), flags.how()
    steps = EncoderTraining.steps if flags.encoder_steps is None else flags.encoder_steps
    training = EncoderTraining(steps=steps, seed=flags.seed)
    shape = build_generator(read_config(folder)["generator"])
    _check(flags, shape)
    check_place(flags.out, "invert")
    if flags.encoder is not None and not _is_encoder(flags.encoder):
        check_new_encoder(flags.encoder)
    if flags.dry_run:
        would = [f"invert {pictures} into {folder}'s latents in {flags.out}"]
        if flags.encoder is not None and not _is_encoder(flags.encoder):
            would.insert(0, f"train an encoder in {flags.encoder}")
        return show.plan(flags, would, settings(flags, steps=config.steps))
    own_gate = load_gate(flags.gate) if flags.gate is not None else None
    given = read_pictures(pictures, shape, flags)
    held_out = read_pictures(flags.calibrate, shape, flags) if flags.calibrate is not None else None
    if held_out is not None:
        _check_enough(held_out, flags)
    device = prepare(flags, together=True)
    with recorded_once(flags.out, "invert", settings(flags, steps=config.steps), flags.seed) as record:
        _train_encoder(flags, folder, shape, training, device)
        if not distributed.is_first():
            return OK
        distributed.leave()  # from here on the first is alone
        inverter = Inverter.load(folder, config, encoder=flags.encoder, perceptual=flags.perceptual, device=device)
        if isinstance(inverter.loss, OfflineLoss) and inverter.loss.discriminator is None:
            show.say(flags, f"{folder} has no discriminator.safetensors and no --perceptual was given: pixels alone")
        gate = own_gate
        if gate is not None:
            gate.check_settings(inverter.settings)
        if held_out is not None:
            gate = _calibrate(flags, inverter, held_out)
        rows = _invert(flags, inverter, given, flags.out, "invert")
        rows = _rows_of(given, judge(flags.out, gate))
        _write_grid(flags.out, given, rows)
        record.result = _result(flags, folder, inverter, given, rows, gate)
    return show.finish(flags, record.result, _as_text(flags, record.result), _next_step(flags, gate))


def read_pictures(path: Path, generator: Generator, flags: InvertFlags) -> PictureSet:
    """The pictures at `path` at the generator's size.

    Raises:
        UsageError: none, not square, too small, or grey for a colour generator and the other way round.
    """
    wanted = generator.image_channels
    channels = wanted if flags.recolour else None
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        found = _read_one(path, generator.size, channels, flags.crop)
    else:
        found = load_pictures(path, generator.size, channels, flags.crop)
    if found.pictures.shape[3] != wanted:
        kinds = {1: "grey", 3: "colour"}
        raise UsageError(
            f"the pictures in {path} are {kinds[found.pictures.shape[3]]}, the generator draws {kinds[wanted]} ones; "
            "add --recolour to take them as those"
        )
    for item in found.skipped[:20]:
        show.say(flags, f"skipped {item.name}: {item.reason}")
    if len(found.skipped) > 20:
        show.say(flags, f"... and {len(found.skipped) - 20} more")
    return found


def _read_one(path: Path, size: int, channels: int | None, crop: bool) -> PictureSet:
    image = decode_picture(path.read_bytes())
    if crop:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    if image.width != image.height:
        raise UsageError(f"{path} is {image.width}x{image.height} px, not square; add --crop to cut it")
    if image.width < size:
        raise UsageError(f"{path} is {image.width} px; give a picture of at least {size} px")
    picture = to_array(image, size, channels or (1 if image.mode == "L" else 3))
    return PictureSet((path.name,), picture[None].copy(), ())


def _check(flags: InvertFlags, generator: Generator) -> None:
    if generator.label_dim:
        raise UsageError(
            f"this generator draws {generator.label_dim} classes; give one without classes, only those are inverted"
        )
    if flags.batch < 1:
        raise UsageError(f"--batch is {flags.batch}; give 1 or more")
    if flags.encoder_pictures is not None and flags.encoder is None:
        raise UsageError("--encoder-pictures are for an encoder; say where to keep it with --encoder DIR")
    if flags.encoder_steps is not None and flags.encoder is None:
        raise UsageError("--encoder-steps are of an encoder; say where to keep it with --encoder DIR, or leave it out")
    if flags.gate is not None and flags.calibrate is not None:
        raise UsageError("--gate is a gate from before and --calibrate makes a new one; give one of them")
    if flags.refusals is not None and flags.calibrate is None:
        raise UsageError("--refusals is of a new gate; give pictures to --calibrate it with, or leave it out")
    if not 0 < _refusals(flags) < 1:
        raise UsageError(f"--refusals is {flags.refusals:g}; give a part between 0 and 1, e.g. {REFUSALS}")
    for path in flags.perceptual:
        if not path.is_file():
            raise UsageError(
                f"--perceptual {path} is no file; give torchvision's vgg16 weights (and LPIPS's linear ones)"
            )


def _refusals(flags: InvertFlags) -> float:
    return REFUSALS if flags.refusals is None else flags.refusals


def _check_enough(held_out: PictureSet, flags: InvertFlags) -> None:
    count, refusals = len(held_out.pictures), _refusals(flags)
    if conformal_place(count, refusals) > count:
        fewest = int(np.ceil(1 / refusals - 1))
        raise UsageError(
            f"--calibrate has {count} pictures, too few to refuse {refusals:g} of them; give at least {fewest}, "
            "or a larger --refusals"
        )


def _is_encoder(folder: Path) -> bool:
    return (folder / "config.json").exists()


def _train_encoder(
    flags: InvertFlags, folder: Path, generator: Generator, training: EncoderTraining, device: str
) -> None:
    """Trains --encoder where there is none yet."""
    if flags.encoder is None:
        return
    if _is_encoder(flags.encoder):
        if flags.encoder_pictures is not None or flags.encoder_steps is not None:
            show.say(
                flags, f"{flags.encoder} holds a trained encoder, which is taken as it is; give a new folder to train"
            )
        drop_checkpoint(flags.encoder)  # of a training that was killed at its very end
        return
    real = None
    if flags.encoder_pictures is not None:
        real = read_pictures(flags.encoder_pictures, generator, flags).pictures
    network = load_generator(folder, device)
    loss = make_loss(folder, network.image_channels, flags.perceptual, device)
    alone = alone_in(
        make_folder(flags.encoder), f"another process trains the encoder in {flags.encoder}; wait for its end"
    )
    with contextlib.ExitStack() as held:
        distributed.from_first(lambda: held.enter_context(alone))
        progress = train_encoder(network, flags.encoder, training, loss=loss, real=real, resume=flags.resume)
        show.follow(progress, "encoder", flags.quiet)


def _invert(
    flags: InvertFlags, inverter: Inverter, given: PictureSet, folder: Path, title: str
) -> Sequence[dict[str, Any]]:
    if not flags.resume:
        for name in ("inversion.json", "inversion.jsonl"):
            (folder / name).unlink(missing_ok=True)
    progress = invert_pictures(inverter, stems(given.names), given.pictures, folder, flags.batch)
    show.follow(progress, title, flags.quiet)
    return _rows_of(given, judge(folder, None))


def _rows_of(given: PictureSet, rows: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """The rows of the given pictures, which come first: the folder may hold others from before."""
    return rows[: len(given.pictures)]


def _calibrate(flags: InvertFlags, inverter: Inverter, held_out: PictureSet) -> Gate:
    rows = _invert(flags, inverter, held_out, flags.out / CALIBRATION, "calibrate")
    gate = calibrate(statistics_of(rows), _refusals(flags), inverter.settings)
    save_gate(flags.out / GATE, gate)
    return gate


def _write_grid(folder: Path, given: PictureSet, rows: Sequence[dict[str, Any]]) -> None:
    names = [row["name"] for row in rows]
    redrawn = []
    for name in names[: len(given.pictures)]:
        image = decode_picture(picture_path(folder, name).read_bytes())
        redrawn.append(to_array(image, given.pictures.shape[1], given.pictures.shape[3]))
    write_bytes(folder / GRID, encode_picture(side_by_side(list(given.pictures), redrawn)))


def _result(
    flags: InvertFlags,
    folder: Path,
    inverter: Inverter,
    given: PictureSet,
    rows: Sequence[dict[str, Any]],
    gate: Gate | None,
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "out": str(flags.out),
        "generator": str(folder),
        "pictures": len(rows),
        "skipped": {item.name: item.reason for item in given.skipped},
        "space": inverter.config.space,
        "steps": inverter.config.steps,
        "loss": inverter.loss.name,
        "encoder": None if flags.encoder is None else str(flags.encoder),
        "psnr": round(float(np.mean([row["psnr"] for row in rows])), 2),
        "distance": round(float(np.mean([row["distance"] for row in rows])), 5),
    }
    if gate is not None:
        refused = [row["name"] for row in rows if row["verdict"] == "refused"]
        path = flags.gate or flags.out / GATE
        result |= {"gate": {"file": str(path), "refusals": gate.refusals, "calibrated_on": gate.pictures}}
        result |= {"refused": refused}
    return result


def _as_text(flags: InvertFlags, result: dict[str, Any]) -> str:
    text = (
        f"{result['pictures']} pictures inverted in {result['out']}: PSNR {result['psnr']:.1f} dB, distance "
        f"{result['distance']:.4f} ({result['loss']}); side by side in {flags.out / GRID}"
    )
    if "refused" in result:
        gate = result["gate"]
        text += (
            f"\n{len(result['refused'])} refused by {gate['file']} (calibrated to {gate['refusals']:.0%} on "
            f"{gate['calibrated_on']} pictures): {', '.join(result['refused'][:10]) or 'none'}"
            f"{' ...' if len(result['refused']) > 10 else ''}"
        )
    return text


def _next_step(flags: InvertFlags, gate: Gate | None) -> str:
    words = "gannotate predict PROJECT PICTURES --through generator --out DIR"
    if flags.encoder is not None:
        words += f" --encoder {quoted(flags.encoder)}"
    return words if gate is None else f"{words} --gate {quoted(flags.gate or flags.out / GATE)}"
