"""The discriminator of StyleGAN2 (residual) with minibatch standard deviation, written from the paper."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from gannotate.errors import GannotateError
from gannotate.files import write_bytes
from gannotate.generators.ops import LEAKY_GAIN, LEAKY_SLOPE, Conv, Dense
from gannotate.generators.stylegan2 import StyleGAN2Config
from gannotate.parsing import DAMAGED, load_json
from gannotate.training.shares import out_of_whole, whole

FILE = "discriminator.safetensors"
"""Beside a generator's model.safetensors: the discriminator of the same snapshot, in float16."""


class DiscriminatorBlock(nn.Module):
    """Halves the size: (conv, conv down) plus a 1x1 shortcut, divided by sqrt(2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0 = Conv(inputs, inputs, 3)
        self.conv1 = Conv(inputs, outputs, 3, down=True)
        self.skip = Conv(inputs, outputs, 1, down=True, activate=False, bias=False)

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o h2 w2"]:
        return (self.conv1(self.conv0(x)) + self.skip(x)) * math.sqrt(0.5)


def minibatch_std(x: Float[Tensor, "n c h w"], group: int, parts: int = 1) -> Float[Tensor, "n c1 h w"]:
    """Appends a channel: the standard deviation over groups of `group` pictures, averaged over everything else.

    It lets the discriminator see a lack of variety (Karras et al. 2018, section 3). Groups are interleaved within each
    of the `parts` equal parts of the batch, so that real and drawn pictures can go through together and never mix.
    The batch is that of all processes.
    """
    n, c, h, w = x.shape
    batch = whole(x, parts)
    samples = len(batch)
    group = math.gcd(samples // parts, group)
    y = batch.reshape(parts, group, samples // parts // group, c, h, w)
    deviation = ((y - y.mean(dim=1, keepdim=True)).square().mean(dim=1) + 1e-8).sqrt()
    statistic = out_of_whole(deviation.mean(dim=(2, 3, 4)).repeat(1, group).reshape(samples), parts)
    return torch.cat([x, statistic.view(n, 1, 1, 1).expand(n, 1, h, w)], dim=1)


class PatchStem(nn.Module):
    """4x4 convolution with stride 2 and leaky ReLU: straight from the picture to half its size.

    The full-size block costs as much as all others together on a CPU; overlapping patches keep the detail in reach.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 4, 4))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = LEAKY_GAIN / math.sqrt(inputs * 16)

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o h2 w2"]:
        x = F.conv2d(x, self.weight * self.gain, self.bias * LEAKY_GAIN, stride=2, padding=1)
        return F.leaky_relu_(x, LEAKY_SLOPE)


class Discriminator(nn.Module):
    """Pictures (n, image_channels, size, size) in [-1, 1] -> one logit each (n,); positive means real."""

    def __init__(self, config: StyleGAN2Config, group: int = 4, patch_stem: bool = False) -> None:
        super().__init__()
        self.config, self.group, self.patch_stem = config, group, patch_stem
        resolutions = config.resolutions[1:]
        if patch_stem:
            resolutions = resolutions[:-1]
            self.fromrgb = PatchStem(config.image_channels, config.channels(config.size // 2))
        else:
            self.fromrgb = Conv(config.image_channels, config.channels(config.size), 1)
        self.blocks = nn.Sequential(
            *(DiscriminatorBlock(config.channels(r), config.channels(r // 2)) for r in reversed(resolutions))
        )
        last = config.channels(4)
        self.conv = Conv(last + 1, last, 3)
        self.fc = Dense(last * 16, last, activate=True)
        self.out = Dense(last, 1)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, picture: Float[Tensor, "n c h w"], parts: int = 1) -> Float[Tensor, " n"]:
        """`parts`: the batch is so many equal parts that know nothing of each other."""
        x = self.blocks(self.fromrgb(picture))
        x = self.conv(minibatch_std(x, self.group, parts))
        return self.out(self.fc(x.flatten(1)))[:, 0]

    def activations(self, picture: Float[Tensor, "n c h w"]) -> list[Tensor]:
        """What the stem and each block make of a picture, (n, channels, h, w), large to small.

        The batch statistic comes later, so these are each picture's own.
        """
        found = [self.fromrgb(picture)]
        for block in self.blocks:
            found.append(block(found[-1]))
        return found

    def config_dict(self) -> dict[str, Any]:
        """What `load_discriminator` needs to build this network again, json-able."""
        return {"network": asdict(self.config), "group": self.group, "patch_stem": self.patch_stem}


def save_discriminator(folder: str | Path, discriminator: Discriminator) -> None:
    """Writes `folder`/discriminator.safetensors: weights in float16, the configuration in the header."""
    tensors = {name: tensor.detach().half().cpu().contiguous() for name, tensor in discriminator.state_dict().items()}
    header = {"discriminator": json.dumps(discriminator.config_dict())}
    write_bytes(Path(folder) / FILE, save(tensors, metadata=header))


def load_discriminator(folder: str | Path, device: str | torch.device = "cpu") -> Discriminator | None:
    """The discriminator kept beside the generator in `folder`, in float32 and frozen; None when there is none.

    Raises:
        GannotateError: damaged.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return None
    try:
        with safe_open(str(path), framework="pt") as file:
            config = load_json((file.metadata() or {})["discriminator"])
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 (not a dict)
        network = StyleGAN2Config(**config["network"])
        with torch.device("meta"):  # what a network takes that does not belong to these tensors, nobody knows before
            wanted = Discriminator(network, int(config["group"]), bool(config["patch_stem"])).state_dict().values()
        if sum(one.numel() for one in wanted) > sum(tensor.numel() for tensor in tensors.values()):
            raise ValueError("its tensors are of a smaller network")
        discriminator = Discriminator(network, int(config["group"]), bool(config["patch_stem"]))
        discriminator.load_state_dict(tensors)
    except (SafetensorError, RuntimeError, *DAMAGED) as error:
        reason = str(error).partition("\n")[0]
        raise GannotateError(
            f"{path} is damaged ({reason}); copy it again, or delete it to go on without it"
        ) from error
    return discriminator.eval().requires_grad_(False).to(device)
