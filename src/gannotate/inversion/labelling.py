"""Label maps of real pictures through the generator: invert, read the taps, decode.

So Image2StyleGAN's latents (Abdal et al. 2019) become labels in RepurposeGAN (Tritrong et al. 2021, section 3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from gannotate.data.pictures import to_array
from gannotate.decoders.base import Decoder
from gannotate.errors import GannotateError
from gannotate.generators.base import Generator, to_uint8
from gannotate.inversion.gate import Gate
from gannotate.inversion.inverter import Inverter
from gannotate.inversion.many import verdicts
from gannotate.inversion.projector import Inverted


@dataclass(frozen=True)
class Redrawn:
    """A real picture that was labelled through the generator.

    label_map: uint8 at the real picture's size. picture: what the generator drew for it, uint8 (size, size, channels).
    about: psnr (dB), distance, typicality; score and verdict where a gate judged.
    """

    label_map: UInt8[np.ndarray, "H W"]
    picture: UInt8[np.ndarray, "h w c"]
    about: dict[str, Any]


class GeneratorLabeller:
    """Labels real pictures with a decoder that was fitted to the generator's own."""

    def __init__(self, inverter: Inverter, decoder: Decoder, gate: Gate | None = None) -> None:
        """Checks that the parts belong together.

        Raises:
            GannotateError: the decoder is of another generator. UsageError: the gate is of other settings.
        """
        decoder.check_fits(inverter.generator)
        if gate is not None:
            gate.check_settings(inverter.settings)
        self.inverter, self.decoder, self.gate = inverter, decoder.eval(), gate

    def prepare(self, picture: UInt8[np.ndarray, "H W C"]) -> UInt8[np.ndarray, "h w c"]:
        """A square picture as the generator would draw it: its size, grey or RGB.

        Raises:
            GannotateError: it is not square.
        """
        height, width = picture.shape[:2]
        if width != height:
            raise GannotateError(f"{width}x{height} px is not square, as the generator's pictures are; cut it")
        image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
        return to_array(image, self.inverter.generator.size, self.inverter.generator.image_channels)

    def label(self, pictures: UInt8[np.ndarray, "n h w c"], sizes: Sequence[tuple[int, int]]) -> list[Redrawn]:
        """Labels a batch of prepared pictures; `sizes` are the (height, width) that each label map shall have."""
        found = self.inverter.invert(pictures)
        probabilities = read_labels(found, self.inverter.generator, self.decoder)
        statistics, drawn = self.inverter.gate_statistics(found), to_uint8(found.pictures)
        judged = verdicts(self.gate, statistics) if self.gate else [{} for _ in sizes]
        redrawn = []
        for place, size in enumerate(sizes):
            label_map = label_map_at(probabilities[place : place + 1], size)
            values = {name: round(float(of[place]), 6) for name, of in statistics.items()}
            about = {"psnr": round(float(found.psnr[place]), 3), **values, **judged[place]}
            redrawn.append(Redrawn(label_map, drawn[place], about))
        return redrawn


@torch.inference_mode()
def read_labels(found: Inverted, generator: Generator, decoder: Decoder) -> Float[Tensor, "n classes size size"]:
    """Class probabilities that `decoder` reads off the taps of inverted pictures."""
    return decoder.probabilities(found.taps(generator, decoder.tap_names))


def label_map_at(probabilities: Float[Tensor, "1 k h w"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W"]:
    """The likeliest class of each pixel at `size` (height, width); probabilities are interpolated, not classes."""
    if tuple(probabilities.shape[-2:]) != size:
        probabilities = F.interpolate(probabilities, size, mode="bilinear", align_corners=False)
    return probabilities.argmax(dim=1)[0].to(torch.uint8).cpu().numpy()
