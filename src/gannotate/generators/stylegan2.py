"""StyleGAN2 (Karras et al. 2020), written from the paper; grey or RGB, any power-of-two size from 8 pixels.

Parameter names follow the public checkpoints (mapping.fc0, synthesis.b4.const, b8.conv0, ...), so that importing one
is a renaming at most. One picture's way: z -> MappingNetwork -> w+ -> SynthesisNetwork -> picture, with a tap after
every convolution.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.errors import UsageError
from gannotate.generators.base import Drawing, Generator, NoiseMode, Tap
from gannotate.generators.ops import LEAKY_GAIN, LEAKY_SLOPE, Dense, ModulatedConv, upsample


@dataclass(frozen=True, kw_only=True)
class StyleGAN2Config:
    """Shape of a StyleGAN2 generator."""

    size: int = 64
    """Side of the picture in pixels, a power of two."""
    image_channels: int = 3
    """1 for grey, 3 for RGB."""
    z_dim: int = 512
    """Length of the latent z."""
    w_dim: int = 512
    """Length of a style vector."""
    mapping_layers: int = 8
    """Dense layers from z to w."""
    channel_base: int = 32768
    """Channels at resolution r are min(channel_base / r, channel_max)."""
    channel_max: int = 512
    """Most channels of any layer."""

    def __post_init__(self) -> None:
        if self.size < 8 or self.size & (self.size - 1):
            raise UsageError(f"the generator's size is {self.size} px; use a power of two from 8, e.g. 64")
        if self.image_channels not in (1, 3):
            raise UsageError(f"{self.image_channels} image channels were given; use 1 (grey) or 3 (RGB)")

    def channels(self, resolution: int) -> int:
        """Channels of the layers at `resolution` pixels."""
        return max(1, min(self.channel_base // resolution, self.channel_max))

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, ... size."""
        return tuple(2**k for k in range(2, int(math.log2(self.size)) + 1))


class MappingNetwork(nn.Module):
    """z (n, z_dim) -> w (n, w_dim), both roughly unit variance; `w_avg` is the running mean of w."""

    w_avg: Tensor

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.layers = config.mapping_layers
        for index in range(config.mapping_layers):
            inputs = config.z_dim if index == 0 else config.w_dim
            self.add_module(f"fc{index}", Dense(inputs, config.w_dim, lr_multiplier=0.01, activate=True))
        self.register_buffer("w_avg", torch.zeros(config.w_dim))

    def forward(self, z: Float[Tensor, "n z"]) -> Float[Tensor, "n w"]:
        x = z.float() * (z.float().square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
        for index in range(self.layers):
            x = self.get_submodule(f"fc{index}")(x)
        return x


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU: one tap. Output (n, outputs, resolution, resolution)."""

    noise_const: Tensor

    def __init__(self, inputs: int, outputs: int, w_dim: int, resolution: int, up: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, w_dim, kernel=3, up=up)
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))

    def forward(
        self, x: Float[Tensor, "n i h w"], w: Float[Tensor, "n d"], noise: Tensor | None
    ) -> Float[Tensor, "n o h2 w2"]:
        # the activation's gain rides on the small tensors: leaky(g x) = g leaky(x)
        x = self.conv(x, w, gain=LEAKY_GAIN)
        shift = (self.bias * LEAKY_GAIN).view(1, -1, 1, 1)
        if noise is not None:
            shift = shift + noise * (self.noise_strength * LEAKY_GAIN)
        return F.leaky_relu_(x.add_(shift), LEAKY_SLOPE)  # in place: x is this layer's own


class ToRGB(nn.Module):
    """Modulated 1x1 convolution without demodulation: activations -> picture channels."""

    def __init__(self, inputs: int, image_channels: int, w_dim: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, image_channels, w_dim, kernel=1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(image_channels))

    def forward(self, x: Float[Tensor, "n i h w"], w: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        return self.conv(x, w) + self.bias.view(1, -1, 1, 1)


class SynthesisBlock(nn.Module):
    """All layers of one resolution: conv0 (doubles the size; absent at 4), conv1, torgb."""

    def __init__(self, config: StyleGAN2Config, resolution: int) -> None:
        super().__init__()
        outputs = config.channels(resolution)
        self.resolution = resolution
        if resolution == 4:
            self.const = nn.Parameter(torch.randn(outputs, 4, 4))
        else:
            inputs = config.channels(resolution // 2)
            self.conv0 = SynthesisLayer(inputs, outputs, config.w_dim, resolution, up=True)
        self.conv1 = SynthesisLayer(outputs, outputs, config.w_dim, resolution, up=False)
        self.torgb = ToRGB(outputs, config.image_channels, config.w_dim)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of this block's convolutions in drawing order."""
        return ("conv1",) if self.resolution == 4 else ("conv0", "conv1")


class StyleGAN2(Generator):
    """StyleGAN2 with skip connections to the picture; the taps are `b4.conv1, b8.conv0, b8.conv1, ...`."""

    architecture = "stylegan2"

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        self.z_dim, self.w_dim = config.z_dim, config.w_dim
        self.size, self.image_channels = config.size, config.image_channels
        self.mapping = MappingNetwork(config)
        self.synthesis = nn.ModuleDict({f"b{r}": SynthesisBlock(config, r) for r in config.resolutions})
        self.taps = tuple(
            Tap(f"b{r}.{name}", config.channels(r), r, r)
            for r in config.resolutions
            for name in self._block(r).layer_names
        )
        self.style_count = len(self.taps) + 1
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @property
    def noise_shapes(self) -> tuple[tuple[int, int], ...]:
        return tuple((tap.height, tap.width) for tap in self.taps)

    def config_dict(self) -> dict[str, object]:
        """What `build_generator` needs to make this network again."""
        return {"architecture": self.architecture, **asdict(self.config)}

    def map(
        self,
        z: Float[Tensor, "n z"],
        psi: float = 1.0,
        cutoff: int | None = None,
        labels: Float[Tensor, "n k"] | None = None,
    ) -> Float[Tensor, "n styles w"]:
        if labels is not None:
            raise UsageError("this generator takes no class labels; leave them out")
        w = self.mapping(z)
        styles = w[:, None, :].repeat(1, self.style_count, 1)
        if psi == 1:
            return styles
        end = self.style_count if cutoff is None else cutoff
        truncated = self.mapping.w_avg + psi * (styles[:, :end] - self.mapping.w_avg)
        return torch.cat([truncated, styles[:, end:]], dim=1)

    def synthesize(
        self,
        w: Float[Tensor, "n styles w"],
        noise: NoiseMode | Sequence[Float[Tensor, "n 1 h w"]] = "const",
        taps: Sequence[str] = (),
        replace: Mapping[str, Float[Tensor, "n k h w"]] | None = None,
    ) -> Drawing:
        replace = replace or {}
        for name in (*taps, *replace):
            self.tap(name)
        maps = self._noise_maps(noise)
        kept: dict[str, Tensor] = {}
        x = self._block(4).const[None].repeat(len(w), 1, 1, 1).to(memory_format=torch.channels_last)
        picture: Tensor | None = None
        layer = 0
        for resolution in self.config.resolutions:
            block = self._block(resolution)
            for name in block.layer_names:
                tap = f"b{resolution}.{name}"
                x = replace[tap] if tap in replace else block.get_submodule(name)(x, w[:, layer], maps[layer])
                if tap in taps:
                    kept[tap] = x
                layer += 1
            # torgb shares its style with the next block's first convolution
            part = block.torgb(x, w[:, layer])
            picture = part if picture is None else upsample(picture) + part
        assert picture is not None
        return Drawing(picture, {name: kept[name] for name in taps})

    def _block(self, resolution: int) -> SynthesisBlock:
        block = self.synthesis[f"b{resolution}"]
        assert isinstance(block, SynthesisBlock)
        return block

    def _noise_maps(self, noise: NoiseMode | Sequence[Tensor]) -> Sequence[Tensor | None]:
        if not isinstance(noise, str):
            if len(noise) != len(self.taps):
                raise UsageError(f"{len(noise)} noise maps were given; this generator takes {len(self.taps)}")
            return noise
        if noise == "none":
            return [None] * len(self.taps)
        if noise == "seeded":
            raise UsageError("noise 'seeded' depends on the seeds; pass generator.noise_of_seeds(seeds)")
        layers = [self._block(tap.height).get_submodule(tap.name.split(".")[1]) for tap in self.taps]
        return [layer.noise_const[None, None] for layer in layers]  # pyright: ignore[reportIndexIssue, reportReturnType]
