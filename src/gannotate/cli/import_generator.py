"""`gannotate import-generator`: a generator of somebody else's, without running anything of its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.flags import Common, settings
from gannotate.data.writing import check_new
from gannotate.generators.checkpoints.importing import Imported, download, read_foreign, writing
from gannotate.record import recorded
from gannotate.wording import quoted


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ImportGeneratorFlags(Common):
    """Flags of `import-generator`."""

    out: Path
    """New or empty folder for the generator: config.json, model.safetensors and card.md."""
    average_latent: Path | None = None
    """NumPy file (.npy) of the average latent w, for files that have none; estimated when not given."""
    licence: str | None = None
    """The generator's licence, for the card."""
    attribution: str | None = None
    """Who made the generator, for the card."""


def import_generator(file: str, /, *, flags: ImportGeneratorFlags) -> int:
    """Import a generator that somebody else trained, without running anything of its file.

    Args:
        file: the checkpoint, or hf:OWNER/NAME/PATH to download it from the Hugging Face hub.
    """
    check_new(flags.out)
    if flags.dry_run:
        return show.plan(flags, [f"import {file} into {flags.out}"], settings(flags))
    from_hub = file.startswith("hf:")
    path = download(file) if from_hub else Path(file)
    imported = read_foreign(
        path, flags.average_latent, flags.licence, flags.attribution, origin=file if from_hub else None
    )
    with writing(imported, flags.out) as folder:
        with recorded(folder, "import-generator", settings(flags, file=file), flags.seed) as record:
            record.result = _summary(imported) | {"generator": str(flags.out)}
    for note in imported.about.get("notes", ()):
        show.say(flags, note)
    return show.finish(
        flags, record.result, _text(flags, imported), f"gannotate generate {quoted(flags.out)} --out PICTURES"
    )


def _summary(imported: Imported) -> dict[str, Any]:
    network = imported.generator
    return {
        "architecture": network.architecture,
        "size_px": network.size,
        "image_channels": network.image_channels,
        "classes": network.label_dim,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "taps": [[tap.name, tap.channels, tap.height, tap.width] for tap in network.taps],
        **imported.about,
    }


def _text(flags: ImportGeneratorFlags, imported: Imported) -> str:
    network, about = imported.generator, imported.about
    parameters = sum(parameter.numel() for parameter in network.parameters())
    channels = "grey" if network.image_channels == 1 else "RGB"
    classes = f", {network.label_dim} classes" if network.label_dim else ""
    rows = [["tap", "channels", "height", "width"]]
    rows += [[tap.name, str(tap.channels), str(tap.height), str(tap.width)] for tap in network.taps]
    return (
        f"{flags.out}: {about['format']}\n"
        f"{network.architecture}, {network.size} px {channels}{classes}, {parameters / 1e6:.2f} M parameters\n"
        f"licence: {about['licence']}\n{show.table(rows)}"
    )
