"""Feature spaces in which sets of pictures are compared: `make_feature_space("scattering", 3)`.

The default needs no weights: a wavelet scattering of two orders (Bruna and Mallat 2013, "Invariant Scattering
Convolution Networks") pooled on a coarse grid, so that it sees texture, edges and the rough place of parts.
`bench/gauge.py` holds the experiment that chose it. Inception features are there for those who have the weights
in a file.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, UInt8
from numpy import ndarray
from torch import Tensor

from gannotate.errors import GannotateError, UsageError, nearest

SPACE_NAMES = ("scattering", "pixels")
"""Spaces that need no file. They work at 64 x 64 pixels, `scattering-128px` at 128 x 128, and so on."""

CHUNK = 64
"""Pictures looked at together: bounds the memory, changes no feature beyond float tolerance."""


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


def make_feature_space(name_or_path: str = "scattering", image_channels: int = 3) -> FeatureSpace:
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


class PixelSpace:
    """Raw pixels after a resize to `working_px`: the floor that any other space must beat."""

    def __init__(self, image_channels: int, working_px: int = 64):
        self.name = f"pixels-{working_px}px"
        self._channels, self._working_px = image_channels, working_px

    def __call__(self, pictures: UInt8[ndarray, "n h w c"]) -> Float32[ndarray, "n d"]:
        """The pixels in [-1, 1], flattened."""
        return _in_chunks(pictures, self._channels, self._working_px, lambda x: x.flatten(1))

    def relative_to(self, real: Float32[ndarray, "n d"]) -> Callable[[ndarray], ndarray]:
        """Centred on the real mean, divided by one number, the mean deviation; no axis is favoured."""
        mean = real.mean(0)
        scale = max(float(np.sqrt(real.var(0).mean())), 1e-6)
        return lambda features: (features - mean) / scale


class ScatteringSpace:
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
        self.name = f"scattering-{working_px}px"
        self._channels, self._working_px = image_channels, working_px
        self._wavelets = morlet_wavelets(self.ORIENTATIONS)

    def __call__(self, pictures: UInt8[ndarray, "n h w c"]) -> Float32[ndarray, "n d"]:
        """Features before they are scaled by the real pictures."""
        return _in_chunks(pictures, self._channels, self._working_px, self._scatter)

    def relative_to(self, real: Float32[ndarray, "n d"]) -> Callable[[ndarray], ndarray]:
        """Leading principal axes of the standardised real features, see `principal_axes`."""
        return principal_axes(real)

    def _scatter(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
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


class InceptionSpace:
    """The 2048 pooled features of torchvision's inception_v3, weights from a file.

    Not to be compared with published FIDs, which use another conversion of the network and another resize.
    """

    def __init__(self, weights: Path, image_channels: int):
        self._channels = image_channels
        self._network = _inception_network(weights)
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
        self.name = f"inception_v3-{digest}"

    def __call__(self, pictures: UInt8[ndarray, "n h w c"]) -> Float32[ndarray, "n d"]:
        """Features (n, 2048), not scaled by the real pictures."""
        return _in_chunks(pictures, self._channels, 299, self._features, chunk=16)

    def _features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        # torchvision's ImageNet weights were converted from a network that takes [-1, 1], as x is.
        return self._network(x.expand(-1, 3, -1, -1))


def _inception_network(path: Path) -> torch.nn.Module:
    """inception_v3 up to its pooled features, in evaluation mode, with the weights of a file."""
    state = _read_state(path)
    try:
        from torchvision.models import inception_v3
    except (ImportError, RuntimeError) as error:  # RuntimeError: its operators were built for another torch
        raise GannotateError(
            f"torchvision does not work with the installed torch {torch.__version__} ({error}); install the "
            "matching build, or use the feature space scattering, which does without"
        ) from error
    network = inception_v3(weights=None, aux_logits=False, transform_input=False, init_weights=False)
    network.fc = torch.nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    expected = network.state_dict()
    state = {name: value for name, value in state.items() if not name.startswith(("AuxLogits.", "fc."))}
    wrong = [name for name in expected if name not in state or state[name].shape != expected[name].shape]
    wrong += [name for name in state if name not in expected]
    if wrong:
        raise GannotateError(
            f"{path} is not a torchvision inception_v3 state dict: {len(wrong)} entries are missing, unknown or "
            f"of another shape, the first is {wrong[0]!r}; save torchvision's inception_v3(...).state_dict()"
        )
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


def _read_state(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a .safetensors file or a torch file; nothing in the file is executed."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the two readers raise a dozen kinds for files that are not theirs
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GannotateError(f"cannot read Inception weights from {path} ({reason[:120]})") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise GannotateError(f"{path} holds no state dict of tensors; save inception_v3(...).state_dict()")
    return state


def _in_chunks(
    pictures: UInt8[ndarray, "n h w c"],
    image_channels: int,
    working_px: int,
    features: Callable[[Tensor], Tensor],
    chunk: int = CHUNK,
) -> Float32[ndarray, "n d"]:
    """`features` of the pictures as float nchw in [-1, 1] at the working size, `chunk` at a time."""
    if pictures.ndim != 4 or pictures.dtype != np.uint8 or pictures.shape[-1] != image_channels:
        raise UsageError(
            f"pictures of shape {pictures.shape} and type {pictures.dtype} were given; this feature space "
            f"takes uint8 pictures of shape (n, height, width, {image_channels})"
        )
    rows = []
    with torch.inference_mode():
        for start in range(0, len(pictures), chunk):
            x = torch.from_numpy(np.ascontiguousarray(pictures[start : start + chunk])).permute(0, 3, 1, 2)
            x = x.float() / 127.5 - 1
            if x.shape[-2:] != (working_px, working_px):
                x = F.interpolate(x, (working_px, working_px), mode="bilinear", antialias=True, align_corners=False)
            rows.append(features(x).numpy())
    return np.concatenate(rows).astype(np.float32, copy=False)
