"""`gannotate export`: a segmenter as an ONNX file, checked against PyTorch, with a model card beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.flags import Common, settings
from gannotate.cli.predict import find_pictures, segmenter_of
from gannotate.cli.predict_pictures import as_array
from gannotate.data.pictures import PictureSource, decode_picture
from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_bytes, write_text
from gannotate.project import Project
from gannotate.segmenters.card import card, provenance
from gannotate.segmenters.export import OPSETS, Comparison, check_opset, check_parity, latency, random_pictures, to_onnx
from gannotate.segmenters.onnx_runtime import OnnxSegmenter, need_packages
from gannotate.segmenters.predict import Segmenter
from gannotate.wording import quoted


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ExportFlags(Common):
    """Flags of `export`."""

    out: Path
    """New file NAME.onnx; the model card becomes NAME.card.md beside it."""
    segmenter: Path | None = None
    """Segmenter of the project to use, by name; the newest one when not given."""
    opset: int = OPSETS[0]
    """Version of the ONNX operators, 18 to 21; older programs read lower ones."""
    check: Path | None = None
    """Folder or zip of pictures to compare the file with PyTorch on; noise pictures when not given."""
    most: int = 200
    """Compare on the first so many of them."""
    licence: str = ""
    """Licence of the network's weights, for the card and the file."""


def export(project: Path, /, *, flags: ExportFlags) -> int:
    """Write a segmentation network as an ONNX file, and check that it answers as PyTorch does.

    Args:
        project: the project's folder, or a segmenter's.
    """
    folder = segmenter_of(project, flags.segmenter)
    _check(flags)
    card_path = flags.out.with_suffix(".card.md")
    if flags.dry_run:
        return show.plan(flags, [f"write {folder} to {flags.out} and {card_path}"], settings(flags))
    prepare(flags)
    about, segmenter = provenance(folder, _project_of(folder), flags.licence), Segmenter.load(folder)
    pictures, count = _pictures(flags, segmenter)
    show.say(flags, f"writing {folder} as ONNX, which takes up to a minute")
    model = to_onnx(folder, about, flags.opset)
    exported = OnnxSegmenter(model, str(flags.out), torch.get_num_threads())
    comparison = Comparison(segmenter, exported, pictures, count)
    show.follow(comparison, "compare with PyTorch", flags.quiet)
    agreement = comparison.parity
    check_parity(agreement, str(folder))
    show.say(flags, "timing both")
    result: dict[str, Any] = {
        "file": str(flags.out),
        "card": str(card_path),
        "segmenter": str(folder),
        "opset": flags.opset,
        "checked_on": "noise pictures" if flags.check is None else f"pictures of {flags.check.name}",
        "parity": asdict(agreement),
        "latency": asdict(latency(segmenter, exported)),
        "parameters": sum(parameter.numel() for parameter in segmenter.network.parameters()),
        "megabytes": round(len(model) / 1e6, 2),
    }
    # the card first: where there is a model, this has come to its end
    write_text(card_path, card(segmenter.config, result["parameters"], about, result))
    write_bytes(flags.out, model)
    return show.finish(flags, result, as_text(result), f"gannotate predict {quoted(flags.out)} PICTURES --out DIR")


def as_text(result: dict[str, Any]) -> str:
    """Which segmenter is in which file, how far it agrees with PyTorch, and how fast both are."""
    parity, latency = result["parity"], result["latency"]
    return "\n".join(
        (
            f"{Path(result['segmenter']).resolve().name} in {result['file']} ({result['megabytes']} MB, "
            f"{result['parameters'] / 1e6:.2f} M parameters) and {result['card']}",
            f"the same class as PyTorch on {100 * parity['equal']:.4f} % of {parity['pixels']:,} pixels of "
            f"{parity['pictures']} {result['checked_on']}, probabilities within {parity['largest_difference']:.1e}",
            f"one picture of {latency['size_px']} px takes ONNX Runtime {latency['onnx_ms']} ms, PyTorch "
            f"{latency['pytorch_ms']} ms ({latency['threads']} thread(s))",
        )
    )


def _check(flags: ExportFlags) -> None:
    need_packages("onnx", "onnxscript", "onnxruntime")
    check_opset(flags.opset)
    if flags.out.suffix.lower() != ".onnx":
        raise UsageError(f"--out is {flags.out}; give the name of a new file, e.g. {flags.out.with_suffix('.onnx')}")
    card_path = flags.out.with_suffix(".card.md")
    for path in (flags.out, card_path):
        if path.exists() and not _is_of_killed_export(path):
            raise UsageError(f"{path} exists; give a new name to --out")
    if flags.most < 1:
        raise UsageError(f"--most is {flags.most}; compare on at least 1 picture")


def _is_of_killed_export(path: Path) -> bool:
    """Whether it is a card alone: it is written just before its file."""
    return path.suffix == ".md" and not path.is_dir() and "\n## Exported\n" in path.read_text(errors="replace")


def _project_of(folder: Path) -> Project | None:
    """The project that a segmenter's folder lies in, if it does."""
    above = folder.resolve().parent.parent
    return Project.open(above) if (above / "project.yaml").exists() else None


def _pictures(flags: ExportFlags, segmenter: Segmenter) -> tuple[Iterable[np.ndarray], int]:
    """What the file is compared with PyTorch on, and how many these are at most.

    Raises:
        UsageError: none of them can be read.
    """
    if flags.check is None:
        noise = random_pictures(segmenter.config, flags.seed)
        return noise, len(noise)
    names, source = find_pictures(flags.check)
    names = names[: flags.most]
    readable = _read(flags, names, source)
    first = next(readable, None)  # at once: that there is none must not be found after the export
    if first is None:
        raise UsageError(f"none of the {len(names)} pictures in {flags.check} can be read; give others to --check")
    return chain((first,), readable), len(names)


def _read(flags: ExportFlags, names: Sequence[str], source: PictureSource | None) -> Iterator[np.ndarray]:
    for name in names:
        try:
            yield as_array(decode_picture(Path(name).read_bytes()) if source is None else source.read(name))
        except GannotateError as error:
            show.say(flags, f"skipped {name}: {error}")
