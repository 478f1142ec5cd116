"""Feature spaces in which sets of pictures are compared: `make_feature_space("scattering", 3)`.

The default needs no weights: a wavelet scattering of two orders (Bruna and Mallat 2013, "Invariant Scattering
Convolution Networks") pooled on a coarse grid, so that it sees texture, edges and the rough place of parts.
`bench/gauge.py` holds the experiment that chose it. Inception features are there for those who have the weights
in a file.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, UInt8
from numpy import ndarray
from torch import Tensor

from gannotate.errors import UsageError, nearest
from gannotate.metrics.weights import check_shapes, digest, read_state
from gannotate.torchvision_operators import make_importable

SPACE_NAMES = ("scattering", "pixels")
"""Spaces that need no file. They work at 64 x 64 pixels, `scattering-128px` at 128 x 128, and so on."""

CHUNK = 64
"""Pictures looked at together: bounds the memory, changes no feature beyond float tolerance."""


@runtime_checkable
class FeatureSpace(Protocol):
    """Pictures to feature vectors. `name` stands beside every figure measured in the space."""

    name: str

    def __call__(self, pictures: UInt8[ndarray, "n h w c"]) -> Float32[ndarray, "n d"]:
        """One row of features a picture."""
        ...


@runtime_checkable
class RelativeSpace(Protocol):
    """A feature space whose axes are scaled by the real pictures before anything is measured in it."""

    def relative_to(self, real: Float32[ndarray, "n d"]) -> Callable[[ndarray], ndarray]:
        """The map from raw features to scaled ones, fitted on the features of the real pictures."""
        ...


@runtime_checkable
class Embedding(Protocol):
    """Float pictures to vectors whose squared distance says how much two pictures differ.

    Perceptual path length looks at differences far below one grey level, which uint8 pictures do not have.
    """

    name: str

    def embed(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """One row of features a picture; pictures are in [-1, 1]."""
        ...


def make_feature_space(name_or_path: str = "scattering", image_channels: int = 3) -> TorchSpace:
    """The feature space of a name (`scattering`, `pixels-32px`) or of a file of Inception weights.

    Raises:
        UsageError: neither a known name nor a file, a size outside 32-512 px, or channels other than 1 and 3.
        GannotateError: the file does not hold a torchvision inception_v3 state dict.
    """
    if image_channels not in (1, 3):
        raise UsageError(f"pictures with {image_channels} channels were given; give grey (1) or RGB (3) pictures")
    match = re.fullmatch(r"([a-z]+)(?:-(\d+)px)?", str(name_or_path))
    if match and match[1] in SPACE_NAMES:
        working_px = int(match[2] or 64)
        if not 32 <= working_px <= 512 or working_px % 32:
            raise UsageError(f"{name_or_path!r} asks for {working_px} px; give a multiple of 32, 32 to 512")
        kind = ScatteringSpace if match[1] == "scattering" else PixelSpace
        return kind(image_channels, working_px)
    if Path(name_or_path).is_file():
        return InceptionSpace(Path(name_or_path), image_channels)
    raise UsageError(
        f"there is no feature space and no file {str(name_or_path)!r}; give {' or '.join(SPACE_NAMES)} or the "
        f"path of a torchvision inception_v3 state dict{nearest(str(name_or_path), SPACE_NAMES)}"
    )


class TorchSpace(ABC):
    """A feature space made of tensor operations: a `FeatureSpace` of uint8 pictures, an `Embedding` of float ones.

    Attributes:
        name: stands beside every figure measured in the space. chunk: pictures looked at together, `CHUNK` if None.
    """

    chunk: int | None = None

    def __init__(self, name: str, image_channels: int, working_px: int):
        self.name = name
        self._channels, self._working_px = image_channels, working_px

    def __call__(self, pictures: UInt8[ndarray, "n h w c"]) -> Float32[ndarray, "n d"]:
        """Raw features, before they are scaled by the real pictures (see `RelativeSpace`).

        Raises:
            UsageError: pictures of another type or number of channels than the space takes.
        """
        if pictures.ndim != 4 or pictures.dtype != np.uint8 or pictures.shape[-1] != self._channels:
            raise UsageError(
                f"pictures of shape {pictures.shape} and type {pictures.dtype} were given; this feature space "
                f"takes uint8 pictures of shape (n, height, width, {self._channels})"
            )
        rows, chunk = [], self.chunk or CHUNK
        for start in range(0, len(pictures), chunk):
            x = torch.from_numpy(np.ascontiguousarray(pictures[start : start + chunk])).permute(0, 3, 1, 2)
            rows.append(self.embed(x.float() / 127.5 - 1).numpy())
        return np.concatenate(rows).astype(np.float32, copy=False)

    @torch.inference_mode()
    def embed(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """The same features of float pictures in [-1, 1], all in one pass, on the CPU and without rounding."""
        x = pictures.detach().to("cpu", torch.float32)
        if x.shape[1] != self._channels:
            raise UsageError(
                f"pictures with {x.shape[1]} channels were given; this feature space takes {self._channels}"
            )
        if x.shape[-2:] != (self._working_px, self._working_px):
            side = (self._working_px, self._working_px)
            x = F.interpolate(x, side, mode="bilinear", antialias=True, align_corners=False)
        return self._features(x)

    @abstractmethod
    def _features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Features of pictures at the working size."""


class PixelSpace(TorchSpace):
    """Raw pixels after a resize to `working_px`, flattened: the floor that any other space must beat."""

    def __init__(self, image_channels: int, working_px: int = 64):
        super().__init__(f"pixels-{working_px}px", image_channels, working_px)

    def _features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        return x.flatten(1)

    def relative_to(self, real: Float32[ndarray, "n d"]) -> Callable[[ndarray], ndarray]:
        """Centred on the real mean, divided by one number, the mean deviation; no axis is favoured."""
        mean = real.mean(0)
        scale = max(float(np.sqrt(real.var(0).mean())), 1e-6)
        return lambda features: (features - mean) / scale


class ScatteringSpace(TorchSpace):
    """Logarithms of wavelet moduli of two orders on coarse grids, and the coarse picture itself.

    Colours are turned into one brightness and two opponent channels. Each of four octaves convolves the picture
    of that octave with Morlet wavelets in `ORIENTATIONS` directions, 7 x 7 pixels; first-order moduli of every
    channel (of the brightness alone in the finest octave) are averaged on a 4 x 4 grid. The moduli of the
    brightness are the pictures of the second order, which is averaged on a 2 x 2 grid. A high-pass of the finest
    pixels and the 8 x 8 thumbnail complete them. Measures are taken in principal axes of the real pictures, see
    `principal_axes`.
    """

    OCTAVES = 4
    ORIENTATIONS = 6
    EPSILON = 0.01
    """Added to a modulus before its logarithm, so that nothing below about 1/200 of the range is blown up."""

    def __init__(self, image_channels: int, working_px: int = 64):
        super().__init__(f"scattering-{working_px}px", image_channels, working_px)
        self._wavelets = morlet_wavelets(self.ORIENTATIONS)

    def relative_to(self, real: Float32[ndarray, "n d"]) -> Callable[[ndarray], ndarray]:
        """Leading principal axes of the standardised real features, see `principal_axes`."""
        return principal_axes(real)

    def _features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        x = opponent_channels(x)
        # What the wavelets miss: the highest diagonal frequencies, where upsampling leaves checkerboards.
        parts = [self._log_average(high_pass(x[:, :1]).abs()[:, None], 4)]
        for octave in range(self.OCTAVES):
            # Colours have little of their own in the finest octave, which costs the most.
            modulus = self._modulus(x[:, :1] if octave == 0 else x)  # n c o h w
            parts.append(self._log_average(modulus, 4))
            # Second order: how each modulus of the brightness varies over the coarser octaves.
            inner = modulus[:, 0]
            for _ in range(octave + 1, self.OCTAVES):
                inner = halve(inner)
                parts.append(self._log_average(self._modulus(inner), 2))
            x = halve(x)
        parts.append(F.adaptive_avg_pool2d(x, 8 if x.shape[-1] > 8 else x.shape[-1]).flatten(1))
        return torch.cat(parts, 1)

    def _modulus(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c o h w"]:
        n, c, h, w = x.shape
        padded = F.pad(x.reshape(n * c, 1, h, w), (3, 3, 3, 3), mode="replicate")
        real, imaginary = F.conv2d(padded, self._wavelets).square_().chunk(2, dim=1)
        return (real + imaginary).sqrt_().reshape(n, c, self.ORIENTATIONS, h, w)

    def _log_average(self, modulus: Float[Tensor, "n c o h w"], cells: int) -> Float[Tensor, "n d"]:
        pooled = F.adaptive_avg_pool2d(modulus.flatten(1, 2), min(cells, modulus.shape[-1]))
        return torch.log(pooled + self.EPSILON).flatten(1)


def morlet_wavelets(orientations: int) -> Float[Tensor, "two_o 1 7 7"]:
    """Morlet wavelets of about one octave, real parts, then imaginary parts: mean 0, unit l1 norm."""
    axis = torch.arange(7, dtype=torch.float64) - 3
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    filters = []
    for index in range(orientations):
        angle = math.pi * index / orientations
        along = x * math.cos(angle) + y * math.sin(angle)
        across = y * math.cos(angle) - x * math.sin(angle)
        envelope = torch.exp(-(along**2 + (across / 1.3) ** 2) / (2 * 1.1**2))
        wave = torch.polar(envelope, 0.6 * math.pi * along)
        # A constant picture must give nothing: take the envelope's share of the mean out.
        wave = wave - envelope * (wave.sum() / envelope.sum())
        wave = wave / wave.abs().sum()
        filters.append(wave)
    waves = torch.stack(filters)
    return torch.cat([waves.real, waves.imag])[:, None].float()


def opponent_channels(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Brightness, red-blue and green-purple by an orthogonal matrix; grey pictures stay as they are."""
    if x.shape[1] == 1:
        return x
    matrix = x.new_tensor([[3**-0.5] * 3, [2**-0.5, 0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]])
    return torch.einsum("oc,nchw->nohw", matrix, x)


def high_pass(x: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 h w"]:
    """[1 -2 1] / 4 down and across: gain 1 at the checkerboard frequency, 0 on edges along an axis."""
    taps = x.new_tensor([1, -2, 1]) / 4
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), torch.outer(taps, taps)[None, None])


def halve(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Half the size after the binomial low-pass [1 3 3 1], which keeps the coarse pixels centred."""
    n, c, h, w = x.shape
    taps = x.new_tensor([1, 3, 3, 1]) / 8
    padded = F.pad(x.reshape(n * c, 1, h, w), (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, torch.outer(taps, taps)[None, None], stride=2).reshape(n, c, h // 2, w // 2)


def principal_axes(real: Float32[ndarray, "n d"], axes: int = 128) -> Callable[[ndarray], ndarray]:
    """Standardised features in the leading principal axes of the real ones, half whitened.

    Each axis is divided by the fourth root of its variance: half-way between leaving the axes as they are, where
    a few large ones drown the rest, and whitening them, where the small ones drown the modes. At most an eighth
    as many axes as pictures, so that they are well estimated; scaled so that x.x / d is 1 on average, where KID's
    kernel is neither linear nor purely cubic.

    Raises:
        UsageError: the real pictures are all the same.
    """
    variance = real.var(0, dtype=np.float64)
    if not variance.any():
        raise UsageError("the real pictures are all the same; give a folder of different pictures")
    mean, deviation = real.mean(0, dtype=np.float64), np.sqrt(variance + 0.01 * variance.mean())
    standard = (real - mean) / deviation
    # The smaller of the two Gram matrices has the same leading eigenvalues.
    wide = len(standard) < standard.shape[1]
    values, vectors = np.linalg.eigh(standard @ standard.T if wide else standard.T @ standard)
    count = min(axes, max(8, len(real) // 8), int((values > 1e-6 * values[-1]).sum()))
    values, vectors = values[-count:], vectors[:, -count:]
    directions = standard.T @ vectors / np.sqrt(values) if wide else vectors
    directions = directions / values**0.25
    directions = directions / np.sqrt(np.mean((standard @ directions) ** 2))
    return lambda features: ((features - mean) / deviation @ directions).astype(np.float32)


class InceptionSpace(TorchSpace):
    """The 2048 pooled features of torchvision's inception_v3, weights from a file; not scaled by the real pictures.

    Not to be compared with published FIDs, which use another conversion of the network and another resize.
    """

    chunk = 16

    def __init__(self, weights: Path, image_channels: int):
        self._network = _inception_network(weights)
        super().__init__(f"inception_v3-{digest([weights])}", image_channels, working_px=299)

    def _features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        # torchvision's ImageNet weights were converted from a network that takes [-1, 1], as x is.
        return self._network(x.expand(-1, 3, -1, -1))


def _inception_network(path: Path) -> torch.nn.Module:
    """inception_v3 up to its pooled features, in evaluation mode, with the weights of a file."""
    state = read_state(path, "inception_v3")
    make_importable()
    from torchvision.models import inception_v3

    network = inception_v3(weights=None, aux_logits=False, transform_input=False, init_weights=False)
    network.fc = torch.nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    state = {name: value for name, value in state.items() if not name.startswith(("AuxLogits.", "fc."))}
    expected = {name: value.shape for name, value in network.state_dict().items()}
    check_shapes(state, expected, f"{path} is not a torchvision inception_v3 state dict")
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)
