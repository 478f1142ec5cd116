"""Latents of pictures that are known before a decoder learns their labels: found earlier, or those that drew them.

a folder of `gannotate invert`    latents/NAME.safetensors: w+ and noise maps
an array (.npy)                   row k is of the picture whose name ends with the number k: z (n, z_dim), or
                                  w+ (n, styles, w_dim). So DatasetGAN has them, in latent_stylegan1.npy
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from gannotate.data.formats.arrays import decode
from gannotate.errors import GannotateError, UsageError
from gannotate.generators.base import Drawing, DrawOptions, Generator, NoiseMode, from_uint8, in_passes
from gannotate.inversion.many import SETTINGS, latents_path, load_latents
from gannotate.synthesis import fingerprint

LOOKED_AT_PX = 32
"""Longest side at which pictures are compared: finer than that is noise, which the latents do not tell."""

ACCEPTED = "give a folder of `gannotate invert`, or a .npy array with a row for each picture"


@dataclass(frozen=True)
class KnownLatents:
    """Latents of pictures, in the pictures' order.

    w: w+ (n, styles, w_dim). noise: maps (n, 1, h, w) of each layer that takes them, or how all pictures get theirs.
    """

    w: Float[Tensor, "n styles w"]
    noise: tuple[Float[Tensor, "n 1 _h _w"], ...] | NoiseMode

    def part(self, some: slice) -> KnownLatents:
        """The latents of some of the pictures."""
        noise = self.noise if isinstance(self.noise, str) else tuple(single[some] for single in self.noise)
        return KnownLatents(self.w[some], noise)

    @property
    def digest(self) -> str:
        """sha256 of all of it."""
        tensors = [self.w, *(() if isinstance(self.noise, str) else self.noise)]
        told = hashlib.sha256(self.noise.encode() if isinstance(self.noise, str) else b"maps")
        for tensor in tensors:
            told.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return told.hexdigest()

    @torch.no_grad()
    def drawn_by(self, generator: Generator) -> Drawing:
        """The pictures that the latents draw, without taps."""
        return in_passes(generator, self.w, self.noise)


def read_known(
    path: str | Path,
    names: Sequence[str],
    pictures: UInt8[np.ndarray, "n h w c"],
    generator: Generator,
    options: DrawOptions | None = None,
) -> KnownLatents:
    """The latents of labelled `pictures`, on the generator's device.

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
    plain = [_plain(name) for name in names]
    twice = next((name for name in plain if plain.count(name) > 1), None)
    if twice:
        raise UsageError(f"two labelled pictures are called {twice}; latents are found by name, give each its own")
    read = _of_folder(path, names, generator) if path.is_dir() else _of_array(path, plain, generator, options)
    like = next(generator.parameters())
    noise = read.noise if isinstance(read.noise, str) else tuple(single.to(like) for single in read.noise)
    known = KnownLatents(read.w.to(like), noise)
    _check_drawn(path, plain, pictures, known.drawn_by(generator).picture)
    return known


def _plain(name: str) -> str:
    """A picture's name as inversions have it: without the leading images/ and the ending."""
    return str(PurePosixPath(name.removeprefix("images/")).with_suffix(""))


def _of_folder(folder: Path, names: Sequence[str], generator: Generator) -> KnownLatents:
    settings = folder / SETTINGS
    if not settings.exists():
        raise UsageError(f"{folder} is no folder of inversions, it has no {SETTINGS}; {ACCEPTED}")
    try:
        made_with = str(json.loads(settings.read_text())["settings"]["generator"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise GannotateError(f"{settings} is damaged ({error}); invert the pictures again") from error
    if not fingerprint(generator).startswith(made_with):
        raise UsageError(f"{folder} holds latents of another generator than the project's; invert the pictures with it")
    found = []
    for name in names:
        inside = name.removeprefix("images/")  # the ending is kept where two pictures differ in it alone
        there = [one for one in (_plain(name), inside) if latents_path(folder, one).exists()]
        if not there:
            raise UsageError(f"{folder} has no latents of {inside}; invert all labelled pictures into it")
        found.append(load_latents(folder, there[0]))
    shapes = {(tuple(w.shape), *(tuple(single.shape) for single in noise)) for w, noise in found}
    wanted = ((generator.style_count, generator.w_dim), *((1, *shape) for shape in generator.noise_shapes))
    if shapes != {wanted}:
        raise GannotateError(f"{folder} has latents of other shapes than this generator's; invert the pictures again")
    maps = tuple(torch.stack(layer) for layer in zip(*(noise for _, noise in found), strict=True))
    return KnownLatents(torch.stack([w for w, _ in found]), maps or "none")


def _of_array(path: Path, names: Sequence[str], generator: Generator, options: DrawOptions) -> KnownLatents:
    try:
        rows = decode(path.read_bytes(), kinds="f")
    except OSError as error:
        raise GannotateError(f"{path} cannot be read ({error.strerror}); {ACCEPTED}") from error
    except GannotateError as error:
        raise UsageError(f"{path} {error}; {ACCEPTED}") from error
    is_z, is_w = rows.shape[1:] == (generator.z_dim,), rows.shape[1:] == (generator.style_count, generator.w_dim)
    if not (is_z or is_w) or not np.isfinite(rows).all():
        raise UsageError(
            f"{path} is an array {rows.shape}, or has infinite numbers; give z of this generator, (pictures, "
            f"{generator.z_dim}), or w+, (pictures, {generator.style_count}, {generator.w_dim})"
        )
    if generator.label_dim:
        raise UsageError(f"this generator draws {generator.label_dim} classes, which an array of latents does not tell")
    places = [_place(path, name, len(rows)) for name in names]
    latents = torch.from_numpy(rows[places].astype(np.float32)).to(next(generator.parameters()))
    with torch.no_grad():
        w = generator.map(latents, psi=options.psi, cutoff=options.cutoff) if is_z else latents
    return KnownLatents(w, "none" if options.noise == "none" else "const")


def _place(path: Path, name: str, rows: int) -> int:
    number = re.search(r"(\d+)$", name)
    if number is None or int(number[1]) >= rows:
        lacks = "has no number at the end" if number is None else f"is beyond its {rows} rows"
        raise UsageError(f"{path} has a row for each picture by its number, from 0, and {name} {lacks}; rename it")
    return int(number[1])


def _check_drawn(
    path: Path, names: Sequence[str], pictures: UInt8[np.ndarray, "n h w c"], drawn: Float[Tensor, "n c h w"]
) -> None:
    """Refuses latents most of which draw another picture than their own: shuffled ones, or of another generator.

    Not all, as a picture that the generator cannot draw well may come out more like another.
    """
    side = min(LOOKED_AT_PX, drawn.shape[-1])
    given = F.adaptive_avg_pool2d(from_uint8(pictures), side).flatten(1)
    found = F.adaptive_avg_pool2d(drawn.cpu().float().clamp(-1, 1), side).flatten(1)
    apart = torch.cdist(given, found)
    wrong = (apart.diag() > apart.min(dim=1).values).nonzero().flatten().tolist()
    if 2 * len(wrong) > len(names):
        first = wrong[0]
        raise UsageError(
            f"{path} does not draw the labelled pictures: {len(wrong)} of {len(names)} look more like what another "
            f"one's latents draw, {names[first]} like {names[int(apart[first].argmin())]}'s; give their own latents, "
            "and the generator, psi and cutoff that drew them"
        )
