"""A model on disk: a folder with model.safetensors and config.json, read with care and written atomically.

config.json is {"format_version", KIND: what builds the network again, "about": where it comes from}.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from gannotate.errors import GannotateError, UsageError, newer_format
from gannotate.files import write_bytes, write_json
from gannotate.parsing import DAMAGED, load_json

FORMAT_VERSION = 1


@dataclass(frozen=True)
class ModelKind:
    """A kind of model folder: its key in config.json and in sentences, and the command that makes one."""

    name: str
    made_by: str

    def save(
        self, folder: str | Path, network: nn.Module, config: dict[str, Any], about: dict[str, Any], half: bool = False
    ) -> None:
        """Writes model.safetensors, then config.json; `half` stores float16. `config` and `about` are json-able."""
        folder = Path(folder)
        tensors = {name: _stored(tensor, half) for name, tensor in network.state_dict().items()}
        write_bytes(folder / "model.safetensors", save(tensors))
        write_json(folder / "config.json", {"format_version": FORMAT_VERSION, self.name: config, "about": about})

    def read_config(self, folder: str | Path) -> dict[str, Any]:
        """The folder's config.json.

        Raises:
            UsageError: not a folder of this kind. GannotateError: damaged, or written by a newer version.
        """
        path = Path(folder) / "config.json"
        try:
            config = load_json(path.read_bytes())
            version = int(config["format_version"])
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError(
                f"{folder} is not a {self.name} (no config.json); make one with `gannotate {self.made_by}`"
            ) from error
        except DAMAGED as error:
            raise GannotateError(f"{path} is damaged ({error}); make or copy the {self.name} again") from error
        if version > FORMAT_VERSION:
            raise newer_format(folder, version, FORMAT_VERSION)
        if not isinstance(config.get(self.name), dict):
            raise UsageError(
                f"{folder} is not a {self.name} (its config.json has no {self.name!r}); make one with "
                f"`gannotate {self.made_by}`"
            )
        return config

    def check_size(self, folder: str | Path, make: Callable[[], nn.Module]) -> None:
        """Checks that model.safetensors can hold the network that `make` builds by config.json, before it is built.

        Whoever made the folder may have written any number there; what it takes is only known when it is too late.

        Raises:
            GannotateError: a network of more numbers than the file has bytes, or none at all.
        """
        path = Path(folder) / "model.safetensors"
        try:
            size = path.stat().st_size
            with torch.device("meta"):
                numbers = sum(tensor.numel() for tensor in make().state_dict().values())
        except GannotateError:
            raise
        except (RuntimeError, *DAMAGED) as error:  # numbers that no network is made of, or no such file
            raise GannotateError(f"{path} is damaged or does not fit its config.json ({error})") from error
        if numbers > size:
            raise GannotateError(
                f"{path} is damaged or does not fit its config.json (a network of {numbers} numbers in {size} bytes)"
            )

    def load_weights(
        self, folder: str | Path, network: nn.Module, ignore: Callable[[str], bool] = lambda name: False
    ) -> None:
        """Fills `network` from model.safetensors (float16 becomes float32), leaving out names to `ignore`.

        Raises:
            GannotateError: missing, damaged, or of another network.
        """
        path = Path(folder) / "model.safetensors"
        try:
            tensors = {name: _working(tensor) for name, tensor in load_file(path).items() if not ignore(name)}
            network.load_state_dict(tensors)
        except (SafetensorError, RuntimeError, *DAMAGED) as error:
            reason = str(error).partition("\n")[0]
            raise GannotateError(f"{path} is damaged or does not fit its config.json ({reason})") from error


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.half() if half and tensor.is_floating_point() else tensor
    return tensor.detach().cpu().contiguous()


def _working(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
