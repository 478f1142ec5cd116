"""`gannotate quality`: how close a generator's pictures are to real ones, and how smooth its latent space is."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.flags import Common, settings
from gannotate.cli.generate import check_label, generator_folder
from gannotate.data.pictures import PictureSet, load_pictures
from gannotate.errors import UsageError
from gannotate.generators.base import DrawOptions
from gannotate.generators.build import load_generator
from gannotate.generators.quality import FIRST_SEED, QualityConfig, QualityRun
from gannotate.metrics.feature_spaces import make_feature_space
from gannotate.metrics.path_length import FEWEST_PAIRS, PathLength, PathLengthConfig, PathSpace, Sampling
from gannotate.metrics.perceptual import PerceptualSpace
from gannotate.wording import counted


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class QualityFlags(Common):
    """Flags of `quality`."""

    against: Path
    """Folder or zip of real pictures; they are scaled down to the generator's size."""
    pictures: int | None = None
    """Pictures to draw; as many as real ones are held back for the floor (at most 1000) when not given."""
    real: int = QualityConfig.real
    """Real pictures to measure against, at most; 0 takes all."""
    space: str = "scattering"
    """Feature space: scattering, pixels, or a path to Inception weights (a torchvision inception_v3 state dict)."""
    psi: float = 1.0
    """Truncation: 1 draws the full variety, 0 the average picture."""
    label: int | None = None
    """Class to draw, for a class-conditional generator; give real pictures of that class."""
    first_seed: int = FIRST_SEED
    """Seed of the first picture drawn, the others follow."""
    floor: bool = True
    """Hold real pictures back, at most half, and measure them too; else all of them are what is measured against."""
    crop: bool = False
    """Cut every real picture to its central square first."""
    lpips: Annotated[tuple[Path, ...], Parameter(negative="", consume_multiple=True)] = ()
    """Files of weights for path length: torchvision's vgg16 and LPIPS's linear ones; without any it takes --space."""
    ppl_pairs: int = 1000
    """Steps that perceptual path length is measured on; 0 leaves it out."""
    ppl_space: PathSpace = "w"
    """Where the paths run: w (straight between styles) or z (along the sphere)."""
    ppl_sampling: Sampling = "end"
    """Where the steps are taken: end (the path's beginning) or full (anywhere on it)."""

    def how(self) -> QualityConfig:
        """The library's settings.

        Raises:
            UsageError: too few steps for a path length.
        """
        paths = None
        if self.ppl_pairs and self.ppl_pairs < FEWEST_PAIRS:
            raise UsageError(
                f"--ppl-pairs is {self.ppl_pairs}, too few for a path length; give at least {FEWEST_PAIRS}, or 0 to "
                "leave it out"
            )
        if self.ppl_pairs:
            paths = PathLengthConfig(pairs=self.ppl_pairs, space=self.ppl_space, sampling=self.ppl_sampling)
        return QualityConfig(
            pictures=self.pictures,
            first_seed=self.first_seed,
            options=DrawOptions(psi=self.psi),
            label=self.label,
            real=self.real,
            floor=self.floor,
            paths=paths,
            seed=self.seed,
        )


def quality(generator: Path, /, *, flags: QualityFlags) -> int:
    """Measure a generator's pictures against real ones: KID, FID, precision, recall, density, coverage, path length.

    Args:
        generator: the generator's folder, or a project.
    """
    folder = generator_folder(generator)
    if flags.lpips and not flags.ppl_pairs:
        raise UsageError("--lpips is for path length, which --ppl-pairs 0 leaves out; give one of them only")
    config = flags.how()
    if flags.dry_run:
        return show.plan(flags, [f"measure {folder} against {flags.against}"], settings(flags))
    device = prepare(flags)
    network = load_generator(folder, device)
    check_label(flags.label, network)
    space = make_feature_space(flags.space, network.image_channels)
    embedding = PerceptualSpace(flags.lpips, network.image_channels, device) if flags.lpips else space
    real = load_pictures(flags.against, network.size, network.image_channels, flags.crop)
    _name_skipped(flags, real)
    run = QualityRun(network, real.pictures, space, config, embedding)
    show.follow(run, "quality", flags.quiet)
    comparable = isinstance(embedding, PerceptualSpace) and embedding.published
    result = {
        "generator": str(folder),
        "against": str(flags.against),
        "real_pictures": len(real.pictures),
        "skipped": dict(Counter(item.reason for item in real.skipped)),
        **as_dict(run, comparable),
        "psi": flags.psi,
        "label": flags.label,
        "first_seed": flags.first_seed,
        "seed": flags.seed,
    }
    return show.finish(flags, result, as_text(run, result))


def as_dict(run: QualityRun, comparable: bool) -> dict[str, Any]:
    """The figures, JSON-able."""
    path = run.path_length
    return {
        "measured_against": run.against,
        "feature_space": run.space.name,
        "generated": asdict(run.generated),
        "floor": asdict(run.floor) if run.floor else None,
        "path_length": asdict(path) | {"comparable_with_published": comparable} if path else None,
    }


def as_text(run: QualityRun, result: dict[str, Any]) -> str:
    """The same for a person: a table, and what it may be compared with."""
    columns = {"generated": run.generated} | ({"real, held back": run.floor} if run.floor else {})
    rows = [("", *columns)]
    rows.append(("KID", *(f"{found.kid:.4f} +- {found.kid_standard_error:.4f}" for found in columns.values())))
    rows.append(("FID", *(f"{found.fid:.2f}" for found in columns.values())))
    for name in ("precision", "recall", "density", "coverage"):
        rows.append((name, *(show.fraction(getattr(found, name)) for found in columns.values())))
    rows.append(("pictures", *(str(found.pictures) for found in columns.values())))
    lines = [
        show.table(rows),
        f"measured against {run.against} real pictures in {run.space.name}; compare only figures of that space and of "
        "as many pictures",
    ]
    if run.config.floor and not run.floor:
        lines.append("no floor: too few real pictures to hold some back, give 100 or more")
    if run.path_length:
        lines.append(_path_text(run.path_length, result["path_length"]["comparable_with_published"]))
    return "\n".join(lines)


def _path_text(path: PathLength, comparable: bool) -> str:
    note = "" if comparable else ", not comparable with published figures"
    return (
        f"path length in {path.space} ({path.sampling}): {path.value:.4g} +- {path.standard_error:.2g} over "
        f"{path.pairs} steps in {path.distance}{note}"
    )


def _name_skipped(flags: QualityFlags, real: PictureSet) -> None:
    for item in real.skipped[:20]:
        show.say(flags, f"skipped {item.name}: {item.reason}")
    if len(real.skipped) > 20:
        show.say(flags, f"... and {len(real.skipped) - 20} more")
    count, side, *_ = real.pictures.shape
    show.say(flags, f"{counted(count, 'real picture')} of {side} px, {len(real.skipped)} skipped")
