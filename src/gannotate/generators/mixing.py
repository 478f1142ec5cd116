"""Style mixing (Karras et al. 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks", section
3.1 and figure 3): pictures of one seed with some styles of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gannotate.errors import UsageError
from gannotate.generators.base import CHUNK, DrawOptions, Generator, draw, in_passes, to_uint8
from gannotate.viz import PAPER, contact_sheet


@dataclass(frozen=True)
class Mixed:
    """Pictures of seeds and of their mixtures, uint8.

    rows: (rows, h, w, c), columns: (columns, h, w, c): as `draw` draws these seeds. mixtures: (rows, columns, h, w, c).
    """

    rows: UInt8[np.ndarray, "r h w c"]
    columns: UInt8[np.ndarray, "k h w c"]
    mixtures: UInt8[np.ndarray, "r k h w c"]


def mix(
    generator: Generator,
    rows: Sequence[int],
    columns: Sequence[int],
    styles: Sequence[int],
    options: DrawOptions | None = None,
    label: int | None = None,
) -> Mixed:
    """Every row seed with the styles numbered `styles` taken from every column seed.

    With no styles each mixture is its row's picture, with all of them its column's. The noise is the row's. `label` is
    the class that a class-conditional generator draws.

    Raises:
        UsageError: a style that the generator does not have.
    """
    options = options or DrawOptions()
    for style in styles:
        if not 0 <= style < generator.style_count:
            raise UsageError(f"there is no style {style}; this generator has styles 0 to {generator.style_count - 1}")
    row_styles, column_styles = (styles_of_seeds(generator, seeds, options, label) for seeds in (rows, columns))
    mixtures = []
    for seed, own in zip(rows, row_styles, strict=True):
        mixed = own.repeat(len(columns), 1, 1)
        mixed[:, list(styles)] = column_styles[:, list(styles)]
        mixtures.append(_draw_styles(generator, mixed, seed, options))
    row_pictures, column_pictures = (
        np.concatenate([to_uint8(drawing.picture) for _, drawing in draw(generator, seeds, options, label=label)])
        for seeds in (rows, columns)
    )
    return Mixed(row_pictures, column_pictures, np.stack(mixtures))


@torch.inference_mode()
def styles_of_seeds(
    generator: Generator, seeds: Sequence[int], options: DrawOptions, label: int | None = None
) -> Float[Tensor, "n styles d"]:
    """Truncated styles of each seed, made in whole chunks of seeds as `draw` makes them."""
    styles, labels = [], generator.labels_of(label, CHUNK)
    for seed in seeds:
        index, place = divmod(seed, CHUNK)
        z = generator.latents(range(index * CHUNK, (index + 1) * CHUNK))
        styles.append(generator.map(z, psi=options.psi, cutoff=options.cutoff, labels=labels)[place])
    return torch.stack(styles)


@torch.inference_mode()
def _draw_styles(
    generator: Generator, styles: Float[Tensor, "n styles d"], seed: int, options: DrawOptions
) -> UInt8[np.ndarray, "n h w c"]:
    """Pictures of styles with the noise of `seed`, in batches of CHUNK so that they round as drawn seeds do."""
    pictures = []
    for start in range(0, len(styles), CHUNK):
        some = styles[start : start + CHUNK]
        full = torch.cat([some, some[:1].expand(CHUNK - len(some), -1, -1)])
        noise = generator.noise_of_seeds([seed] * CHUNK) if options.noise == "seeded" else options.noise
        pictures.append(to_uint8(in_passes(generator, full, noise).picture[: len(some)]))
    return np.concatenate(pictures)


def mixing_sheet(mixed: Mixed, gap_px: int = 2, apart_px: int = 8) -> UInt8[np.ndarray, "H W 3"]:
    """The mixtures in their rows and columns; a little apart, the columns' own pictures on top, the rows' on the left.

    Picture (r, k) of the mixtures begins at row (h + apart) + r (h + gap), column (w + apart) + k (w + gap).
    """
    count = len(mixed.columns)
    top = contact_sheet(list(mixed.columns), count, gap_px)
    left = contact_sheet(list(mixed.rows), 1, gap_px)
    body = contact_sheet([picture for row in mixed.mixtures for picture in row], count, gap_px)
    down, across = len(top) + apart_px, left.shape[1] + apart_px
    sheet = np.full((down + len(body), across + body.shape[1], 3), PAPER, np.uint8)
    sheet[: len(top), across:], sheet[down:, : left.shape[1]], sheet[down:, across:] = top, left, body
    return sheet
