"""Latents of pictures that are known before a decoder learns their labels: found earlier, or those that drew them.

    a folder of `gannotate invert`    latents/NAME.safetensors: w+ and noise maps
    an array (.npy)                   row k is of the picture whose name ends with the number k: z (n, z_dim), or
                                      w+ (n, styles, w_dim). So DatasetGAN has them, in latent_stylegan1.npy

Labels that lie beside their activations teach nonsense, and nobody would see it. So it is made sure that the latents
are those of the pictures: a folder tells which pictures it is of; what an array draws is compared with them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from gannotate.data.formats.arrays import decode
from gannotate.data.pictures import stems
from gannotate.errors import GannotateError, UsageError
from gannotate.generators.base import DrawOptions, Generator, NoiseMode, from_uint8
from gannotate.inversion.many import SETTINGS, load_latents, picture_hash, read_inversions, read_settings
from gannotate.inversion.projector import psnr
from gannotate.synthesis import fingerprint
from gannotate.wording import counted

AT_ONCE = 8
"""Pictures that are drawn together, as many as are sought together."""

LOOKED_AT_PX = 32
"""Longest side at which pictures are compared: finer than that is noise, which an array does not tell."""

RIVALS = 16
"""Rows of other pictures that a picture is compared with too."""

LEAST_DB, DOUBTFUL_DB = 20.0, 30.0
"""PSNR at LOOKED_AT_PX, in the median, below which an array's latents are refused, and below which they are doubtful.

With the portraits' generator: 65 dB for the right latents, 48 with other noise, 24 where psi is 1 in place of 0.7, and
12 to 22 for cut, stretched or mirrored pictures and for other latents."""

ACCEPTED = "give a folder of `gannotate invert`, or a .npy array with a row for each picture"


@dataclass(frozen=True)
class KnownLatents:
    """Latents of pictures, in the pictures' order, on the CPU.

    w: w+ (n, styles, w_dim). noise: maps (n, 1, h, w) of each layer that takes them, or how all pictures get theirs.
    digest: sha256 of what they were read from. psnr, likeness: PSNR of what they draw to the pictures in dB, (n,), as
    they are and at LOOKED_AT_PX.
    """

    w: Float[Tensor, "n styles w"]
    noise: tuple[Float[Tensor, "n 1 _h _w"], ...] | NoiseMode
    digest: str
    psnr: Float[Tensor, " n"]
    likeness: Float[Tensor, " n"]


@dataclass(frozen=True)
class _Read:
    """What a file or folder tells; fields as in `KnownLatents`."""

    w: Float[Tensor, "n styles w"]
    noise: tuple[Float[Tensor, "n 1 _h _w"], ...] | NoiseMode
    digest: str


@dataclass(frozen=True)
class _Compared:
    """What latents draw beside the pictures: both small and flat, and the PSNRs of `KnownLatents`."""

    drawn: Float[Tensor, "n d"]
    pictures: Float[Tensor, "n d"]
    psnr: Float[Tensor, " n"]
    likeness: Float[Tensor, " n"]


def read_known(
    path: str | Path,
    names: Sequence[str],
    pictures: UInt8[np.ndarray, "n h w c"],
    generator: Generator,
    options: DrawOptions | None = None,
) -> KnownLatents:
    """The latents of labelled `pictures`.

    Args:
        path: a folder of `gannotate invert`, or a .npy array (see the module).
        names: of the pictures, with folders and endings as `read_labelled` gives them. pictures: at the generator's
            size. options: how z of an array becomes w+ (psi, cutoff); and with noise `none`, that there is none.

    Raises:
        UsageError: nothing there, latents of another generator, a picture without latents, or latents that draw
            other pictures than these. GannotateError: a damaged file.
    """
    path, options = Path(path), options or DrawOptions()
    if not path.exists():
        raise UsageError(f"{path} does not exist; {ACCEPTED}")
    if path.is_dir():
        read = _of_folder(path, names, pictures, generator)
        found = _compared(read, pictures, generator)
    else:
        read, rivals = _of_array(path, stems(names), generator, options)
        found = _compared(read, pictures, generator)
        _check_drawn(path, stems(names), found, [_small(one) for one in _pictures(rivals, read.noise, generator)])
    return KnownLatents(read.w, read.noise, read.digest, found.psnr, found.likeness)


def _of_folder(
    folder: Path, names: Sequence[str], pictures: UInt8[np.ndarray, "n h w c"], generator: Generator
) -> _Read:
    if not (folder / SETTINGS).exists():
        raise UsageError(f"{folder} is no folder of inversions, it has no {SETTINGS}; {ACCEPTED}")
    if read_settings(folder).get("generator") != fingerprint(generator)[:16]:
        raise UsageError(f"{folder} holds latents of another generator than the project's; invert the pictures with it")
    rows = {row["name"]: row.get("sha256") for row in read_inversions(folder)}
    told = hashlib.sha256()
    found: list[tuple[Tensor, list[Tensor]]] = []
    for name, picture in zip(names, pictures, strict=True):
        inside = name.removeprefix("images/")  # the ending is kept where two pictures differ in it alone
        called = next((one for one in (*stems([name]), inside) if one in rows), None)
        if called is None:
            raise UsageError(f"{folder} has no latents of {inside}; invert all labelled pictures into it")
        if rows[called] != picture_hash(picture):
            raise UsageError(
                f"{folder} has the latents of another picture {called} than the labelled one, or of a part of it "
                "(--crop); invert the labelled pictures as they are"
            )
        w, noise = load_latents(folder, called)
        for tensor in (w, *noise):
            told.update(tensor.numpy().tobytes())
        found.append((w, noise))
    _check_tensors(folder, found, generator)
    maps = tuple(torch.stack(layer) for layer in zip(*(noise for _, noise in found), strict=True))
    return _Read(torch.stack([w for w, _ in found]), maps or "none", told.hexdigest())


def _check_tensors(folder: Path, found: Sequence[tuple[Tensor, list[Tensor]]], generator: Generator) -> None:
    wanted = [(generator.style_count, generator.w_dim), *((1, *shape) for shape in generator.noise_shapes)]
    for w, noise in found:
        tensors = [w, *noise]
        fit = [tuple(tensor.shape) for tensor in tensors] == wanted
        if not fit or not all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in tensors):
            raise GannotateError(
                f"{folder} has latents of other shapes than this generator's, or no finite numbers; invert the "
                "pictures again"
            )


def _of_array(
    path: Path, names: Sequence[str], generator: Generator, options: DrawOptions
) -> tuple[_Read, Float[Tensor, "m styles w"]]:
    """What the array tells of these pictures, and w+ of some others of its rows."""
    try:
        rows = decode(path.read_bytes(), kinds="f")
    except OSError as error:
        raise GannotateError(f"{path} cannot be read ({error.strerror}); {ACCEPTED}") from error
    except GannotateError as error:
        raise UsageError(f"{path} {error}; give floating numbers in a .npy, a row for each picture") from error
    is_z, is_w = rows.shape[1:] == (generator.z_dim,), rows.shape[1:] == (generator.style_count, generator.w_dim)
    if not (is_z or is_w):
        raise UsageError(
            f"{path} is an array {rows.shape}; give z of this generator, (pictures, {generator.z_dim}), or w+, "
            f"(pictures, {generator.style_count}, {generator.w_dim})"
        )
    places = _places(path, names, len(rows))
    with np.errstate(over="ignore"):
        rows = rows.astype(np.float32)
    finite = np.array([np.isfinite(row).all() for row in rows], bool)
    if not finite[places].all():
        raise UsageError(f"{path} has infinite numbers, or what is no number, in the rows of these pictures")
    others = [place for place in np.flatnonzero(finite).tolist() if place not in places][:RIVALS]
    used = rows[[*places, *others]]
    latents = torch.from_numpy(used).to(next(generator.parameters()))
    with torch.no_grad():
        w = generator.map(latents, psi=options.psi, cutoff=options.cutoff) if is_z else latents
    how = f"{options.psi} {options.cutoff} {options.noise}"
    digest = hashlib.sha256(how.encode() + used[: len(places)].tobytes()).hexdigest()
    noise = "none" if options.noise == "none" else "const"
    return _Read(w[: len(places)].cpu(), noise, digest), w[len(places) :].cpu()


def _places(path: Path, names: Sequence[str], rows: int) -> list[int]:
    """The row of each picture."""
    taken: dict[int, str] = {}
    for name in names:
        number = re.search(r"(?<!\d)\d{1,9}$", name)
        if number is None:
            raise UsageError(f"{path} has a row for each picture by its number, and {name} ends with none; rename it")
        place = int(number[0])
        if place >= rows:
            raise UsageError(f"{path} has {counted(rows, 'row')}, counted from 0, and none for {name}; give all rows")
        if place in taken:
            raise UsageError(f"{path} has one row for both {taken[place]} and {name}; rename one, or leave it out")
        taken[place] = name
    return list(taken)


def _compared(read: _Read, pictures: UInt8[np.ndarray, "n h w c"], generator: Generator) -> _Compared:
    parts: list[_Compared] = []
    for number, drawn in enumerate(_pictures(read.w, read.noise, generator)):
        given = from_uint8(pictures[number * AT_ONCE : (number + 1) * AT_ONCE])
        small, wanted = _small(drawn), _small(given)
        parts.append(_Compared(small, wanted, psnr(drawn, given), psnr(small[:, None, None], wanted[:, None, None])))
    return _Compared(*(torch.cat([getattr(part, one.name) for part in parts]) for one in fields(_Compared)))


@torch.no_grad()
def _pictures(
    w: Float[Tensor, "n styles w"], noise: tuple[Tensor, ...] | NoiseMode, generator: Generator
) -> Iterator[Float[Tensor, "m c h w"]]:
    """The pictures that latents draw, some at a time, on the CPU."""
    like = next(generator.parameters())
    for start in range(0, len(w), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        maps = noise if isinstance(noise, str) else [single[some].to(like) for single in noise]
        yield generator.synthesize(w[some].to(like), maps).picture.float().cpu()


def _small(pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
    return F.adaptive_avg_pool2d(pictures.clamp(-1, 1), min(LOOKED_AT_PX, pictures.shape[-1])).flatten(1)


def _check_drawn(path: Path, names: Sequence[str], found: _Compared, rivals: Sequence[Float[Tensor, "m d"]]) -> None:
    """Refuses latents most of which draw another picture than their own, or none that is like it.

    Not all, as some may be JPEGs, or were drawn with other noise. rivals: what other latents draw, small and flat.
    """
    apart = torch.cdist(found.pictures, torch.cat([found.drawn, *rivals]))
    own = apart.diag()
    others = apart.scatter(1, torch.arange(len(own))[:, None], torch.inf)
    wrong = (~(own < others.min(dim=1).values)).nonzero().flatten().tolist()
    if 2 * len(wrong) > len(names):
        raise UsageError(
            f"{path} does not draw the labelled pictures: {len(wrong)} of {len(names)}, {names[wrong[0]]} the first, "
            "look at least as much like what other latents draw; row k has to be of the picture with the number k, "
            "and the generator the one that drew it"
        )
    median = float(found.likeness.median())
    if not median >= LEAST_DB:
        raise UsageError(
            f"{path} does not draw the labelled pictures: half of them are at {median:.0f} dB or less from what their "
            "latents draw; give the generator, psi and cutoff that drew them, and the pictures as they were drawn, "
            "neither cut nor stretched nor flipped"
        )
