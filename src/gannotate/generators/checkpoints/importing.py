"""Makes a foreign generator a folder of ours: config.json, model.safetensors, and a card with its origin."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gannotate.data.front_matter import front_matter, licence_fields
from gannotate.data.writing import check_new
from gannotate.errors import GannotateError, UsageError
from gannotate.files import appearing, write_text
from gannotate.generators.base import Generator
from gannotate.generators.build import save_generator
from gannotate.generators.checkpoints.opening import opened, plan_of
from gannotate.generators.checkpoints.plan import AVERAGE, Plan, assemble
from gannotate.seeding import torch_stream

UNKNOWN_LICENCE = "unknown: ask the author"

AVERAGED_LATENTS = 10_000
"""Latents that the average is estimated from where the file has none."""


@dataclass(frozen=True)
class Imported:
    """A generator read from a foreign file, and what its card says of it (JSON-able)."""

    generator: Generator
    about: dict[str, Any]


def read_foreign(
    file: str | Path,
    average_latent: str | Path | None = None,
    licence: str | None = None,
    attribution: str | None = None,
    origin: str | None = None,
) -> Imported:
    """The generator in `file`, whatever its known format; nothing in the file is run.

    Args:
        average_latent: .npy of the average w, where the file has none or another one is wanted: (w,), or rows of
            which all are equal. origin: where the file is from, for the card; its name when not given.

    Raises:
        UsageError: no such file, or an average latent that does not fit. GannotateError: the file is in no known
            format, damaged, or was refused; the sentence says what it asked for or which tensor does not fit.
    """
    with opened(file) as data:
        plan = plan_of(data)
        notes = list(plan.notes)
        network = assemble(plan, _filled, len(data))
        digest = hashlib.sha256(data).hexdigest()
    average = dict(network.state_dict())[AVERAGE]
    if average_latent is not None:
        average.copy_(read_average(average_latent, network.w_dim))
        notes.append(f"The average latent was given beside the file ({Path(average_latent).name}).")
    elif plan.missing_average:
        average.copy_(estimated_average(network))
        notes.append(f"The file has no average latent; it was estimated from {AVERAGED_LATENTS} random latents.")
    if plan.missing_noise:
        notes.append("The file stores no noise maps; those of `--noise const` were drawn from a fixed seed.")
    about = {
        "imported_from": origin or Path(file).name,
        "sha256": digest,
        "format": plan.kind,
        "licence": licence or _licence(plan),
        "attribution": attribution,
        "notes": notes,
    }
    return Imported(network, {key: value for key, value in about.items() if value})


@contextlib.contextmanager
def writing(imported: Imported, out: str | Path) -> Iterator[Path]:
    """Writes the generator's folder: given to the body before it gets its name, so that it appears whole or not at all.

    Raises:
        UsageError: `out` exists. GannotateError: the disk is full.
    """
    with appearing(check_new(out)) as building:
        save_generator(building, imported.generator, **imported.about)
        write_text(building / "card.md", card_of(imported))
        yield building


def read_average(path: str | Path, w_dim: int) -> Float[Tensor, " w"]:
    """The average w, (w_dim,), from a .npy; nothing in it is unpickled.

    Raises:
        UsageError: no such file, no plain array, or of another length.
    """
    if Path(path).is_dir():
        raise UsageError(f"{path} is a folder; give --average-latent a .npy of {w_dim} numbers")
    try:
        rows = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist; give --average-latent a .npy of {w_dim} numbers") from error
    except Exception as error:  # NumPy lets Python's own parser read the header, which raises a dozen kinds
        raise UsageError(f"{path} is no whole .npy of plain numbers; give one of {w_dim} numbers") from error
    if rows.dtype.kind != "f" or rows.size == 0 or rows.shape[-1:] != (w_dim,) or rows.size > 4096 * w_dim:
        raise UsageError(
            f"{path} holds {rows.dtype} of the shape {rows.shape}; the average latent is {w_dim} floating numbers"
        )
    each = np.asarray(rows, dtype=np.float32).reshape(-1, w_dim)
    if not np.isfinite(each).all() or not np.allclose(each, each[0], rtol=1e-3, atol=1e-5):
        raise UsageError(f"{path} has rows that differ, or no finite numbers; the average latent is one for all layers")
    return torch.from_numpy(each[0].copy())


@torch.inference_mode()
def estimated_average(network: Generator) -> Float[Tensor, " w"]:
    """Mean w, (w_dim,), over random latents; of a class-conditional network over its classes in turn."""
    stream = torch_stream("import-generator", AVERAGE)
    total, step = torch.zeros(network.w_dim, dtype=torch.float64), 1000
    for _ in range(0, AVERAGED_LATENTS, step):
        latents = torch.randn(step, network.z_dim, generator=stream)
        classes = torch.arange(step) % max(network.label_dim, 1)
        labels = F.one_hot(classes, network.label_dim).float() if network.label_dim else None
        total += network.map(latents, labels=labels)[:, 0].double().sum(dim=0)
    return (total / AVERAGED_LATENTS).float()


def card_of(imported: Imported) -> str:
    """The text of card.md."""
    network, about = imported.generator, imported.about
    channels = "grey" if network.image_channels == 1 else "RGB"
    parameters = sum(parameter.numel() for parameter in network.parameters())
    taps = ", ".join(f"{tap.name} ({tap.channels}x{tap.height}x{tap.width})" for tap in network.taps)
    lines = [
        f"# Generator, {network.size} px, {channels}",
        "",
        f"- Network: {network.architecture}, {parameters / 1e6:.2f} M parameters, z {network.z_dim}, w {network.w_dim}",
        *([f"- Classes: {network.label_dim}"] if network.label_dim else []),
        f"- Taps: {taps}",
        f"- Imported from: {about['imported_from']}, a {about['format']}",
        f"- SHA-256 of that file: {about['sha256']}",
        f"- Licence: {about['licence']}",
        *([f"- Attribution: {about['attribution']}"] if about.get("attribution") else []),
        *(f"- {note}" for note in about.get("notes", ())),
        "",
        "Nothing in that file was run: only its numbers were read.",
        "A seed is a picture's identity: `gannotate generate` draws the same picture for the same seed.",
        "",
    ]
    head = licence_fields(stated(about["licence"]))
    head |= {"library_name": "gannotate", "pipeline_tag": "unconditional-image-generation"}
    return front_matter(head) + "\n".join(lines)


def download(address: str) -> Path:
    """The file that `hf:OWNER/NAME/PATH` names on the Hugging Face hub, in its local cache.

    Raises:
        UsageError: not such an address. GannotateError: it cannot be had.
    """
    owner, _, rest = address.removeprefix("hf:").partition("/")
    name, _, path = rest.partition("/")
    if not (address.startswith("hf:") and owner and name and path):
        raise UsageError(f"{address!r} is no file on the hub; write hf:OWNER/NAME/PATH, e.g. hf:someone/faces/G.pkl")
    try:
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(f"{owner}/{name}", path))
    except ImportError as error:
        raise GannotateError(
            "downloading needs huggingface_hub; install it with `pip install huggingface_hub`"
        ) from error
    except Exception as error:  # the hub's client has a dozen kinds, and those of its transport
        reason = " ".join(str(error).split()).split(". ")[0][:200]
        raise GannotateError(f"{address} could not be downloaded ({type(error).__name__}: {reason})") from error


def stated(licence: str) -> str | None:
    """A licence that somebody named; None for what only says that nobody did."""
    return None if licence.startswith(UNKNOWN_LICENCE) else licence


def _licence(plan: Plan) -> str:
    return f"{UNKNOWN_LICENCE} ({plan.licence})" if plan.licence else UNKNOWN_LICENCE


def _filled(name: str, shape: tuple[int, ...]) -> Tensor:
    if name == AVERAGE:
        return torch.zeros(shape)
    return torch.randn(shape, generator=torch_stream("import-generator", name))
