"""`gannotate train-generator`: a generator from a folder or zip of pictures."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.app import OK
from gannotate.cli.compute import Precise, told
from gannotate.cli.device import prepare
from gannotate.cli.flags import settings
from gannotate.cli.processes import recorded_once
from gannotate.data.pictures import PictureSet, load_pictures
from gannotate.generators.adversarial.run import GeneratorRun, train_generator
from gannotate.generators.build import read_config
from gannotate.training import distributed
from gannotate.training.loop import read_log
from gannotate.training.resuming import check_place, holds_training
from gannotate.wording import quoted

DEFAULT_SIDE_PX = 64


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TrainGeneratorFlags(Precise):
    """Flags of `train-generator`."""

    out: Path
    """Folder for the generator; the same command goes on with an unfinished one."""
    preset: Literal["tiny", "auto", "paper256", "paper512", "stylegan2"] = "tiny"
    """Settings by name: tiny (ours, for small pictures on a CPU), auto, paper256, paper512 or stylegan2."""
    size: int = DEFAULT_SIDE_PX
    """Side of the pictures it draws, a power of two; larger pictures are scaled down to it."""
    crop: bool = False
    """Cut every picture to its central square first."""
    grey: bool | None = None
    """Draw grey pictures, or (--no-grey) colour; found from the pictures when not given."""
    mirror: bool = False
    """Left-right flipped copies belong to the pictures."""
    turn90: bool = False
    """Copies turned by quarter turns belong to the pictures."""
    aug: Literal["ada", "fixed", "none"] | None = None
    """Discriminator augmentation: ada (strength found while training), fixed or none; the preset's when not given."""
    kimg: float | None = None
    """Length in thousand pictures shown; 160 when neither this nor --minutes is given."""
    batch: int | None = None
    """Pictures a step; the preset's own when not given."""
    gamma: float | None = None
    """Weight of the gradient penalty; the preset's own when not given."""
    snapshot_kimg: float = 10.0
    """Thousand pictures between snapshots (grid and figures; the best one is kept)."""
    gauge_space: str = "scattering"
    """Feature space of the figures: scattering, pixels, or a path to Inception weights."""
    gauge_pictures: int = 1000
    """Drawn pictures that a snapshot's figures are measured on."""
    attribution: str | None = None
    """Who made the pictures, for the card."""
    licence: str | None = None
    """The pictures' licence, for the card."""

    def run(self) -> GeneratorRun:
        """The library's settings."""
        return GeneratorRun(
            preset=self.preset,
            kimg=self.kimg,
            minutes=self.minutes,
            mirror=self.mirror,
            turn90=self.turn90,
            aug=self.aug,
            batch=self.batch,
            gamma=self.gamma,
            snapshot_kimg=self.snapshot_kimg,
            gauge_pictures=self.gauge_pictures,
            gauge_space=self.gauge_space,
            seed=self.seed,
        )


def train_generator_verb(pictures: Path, /, *, flags: TrainGeneratorFlags) -> int:
    """Train a generator on a folder or zip of pictures.

    Args:
        pictures: folder or zip; of images/ and masks/ only images/ is read.
    """
    run = flags.run()
    run.config(flags.size, 3)  # wrong sizes and presets are told before any picture is read
    check_place(flags.out, "train-generator", begun=holds_training(flags.out, "generator"))
    if flags.dry_run:
        config = settings(flags, resolved=asdict(run.config(flags.size, 1 if flags.grey else 3)))
        return show.plan(flags, [f"train a generator on {pictures} into {flags.out}"], config)
    device = prepare(flags, together=True)
    channels = None if flags.grey is None else (1 if flags.grey else 3)
    loaded = load_pictures(pictures, flags.size, channels, flags.crop)
    _name_skipped(flags, loaded)
    about = {"source": pictures.name, "attribution": flags.attribution, "licence": flags.licence}
    about["hardware"] = f"{device}, {_threads()} threads"
    with recorded_once(flags.out, "train-generator", settings(flags), flags.seed) as record:
        progress = train_generator(
            loaded.pictures,
            flags.out,
            run,
            resume=flags.resume,
            max_steps=flags.max_steps,
            device=device,
            about=about,
            compute=flags.compute(),
        )
        show.follow(told(progress, flags), "train-generator", flags.quiet)
        if not distributed.is_first():
            return OK
        record.result = _summary(flags, loaded)
    best = record.result["best"]
    text = (
        f"generator in {flags.out}: KID {best['kid']:.4f} ({record.result['feature_space']}) "
        f"at {best['kimg']:.0f} kimg, {record.result['s_per_kimg']:.1f} s/kimg; grids in {flags.out / 'snapshots'}"
    )
    return show.finish(
        flags, record.result, text, f"gannotate new PROJECT --generator {quoted(flags.out)} --classes background,..."
    )


def _name_skipped(flags: TrainGeneratorFlags, loaded: PictureSet) -> None:
    for item in loaded.skipped[:20]:
        show.say(flags, f"skipped {item.name}: {item.reason}")
    if len(loaded.skipped) > 20:
        show.say(flags, f"... and {len(loaded.skipped) - 20} more")
    count, side, _, channels = loaded.pictures.shape
    kind = "grey" if channels == 1 else "colour"
    show.say(flags, f"{count} {kind} pictures of {side} px, {len(loaded.skipped)} skipped")


def _summary(flags: TrainGeneratorFlags, loaded: PictureSet) -> dict[str, Any]:
    about = read_config(flags.out)["about"]
    batch = flags.run().config(flags.size, 3).batch
    # from the log, so that a command typed again after the end says the same
    last = [row for row in read_log(flags.out / "log.jsonl") if not row.get("hook")][-1]
    kimg = last["step"] * batch / 1000
    return {
        "generator": str(flags.out),
        "pictures": len(loaded.pictures),
        "skipped": dict(Counter(item.reason for item in loaded.skipped)),
        "kimg": kimg,
        "seconds": last["seconds"],
        "s_per_kimg": round(last["seconds"] / kimg, 2),
        "feature_space": about["gauge_space"],
        "best": {"kimg": about["kimg"], **about["figures"]},
    }


def _threads() -> int:
    import torch

    return torch.get_num_threads()
