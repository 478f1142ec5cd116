"""A SemanticGAN on disk: the folder with the joint generator and the encoder, and how they label a picture."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gannotate.errors import GannotateError
from gannotate.generators.stylegan2 import StyleGAN2Config
from gannotate.parsing import load_json
from gannotate.segmenters.build import AnswerConfig
from gannotate.segmenters.semantic_gan.config import InferenceConfig
from gannotate.segmenters.semantic_gan.encoder import PyramidEncoder, make_encoder
from gannotate.segmenters.semantic_gan.generator import JointGenerator
from gannotate.training.model_folder import ModelKind

SEMANTIC_GAN = ModelKind("semantic-gan", "train --method semantic-gan")


class SemanticGAN(nn.Module):
    """A trained pair of joint generator and encoder."""

    def __init__(
        self,
        generator: JointGenerator,
        encoder: PyramidEncoder,
        answers: AnswerConfig,
        encoder_width: int,
        inference: InferenceConfig,
    ) -> None:
        super().__init__()
        self.generator, self.encoder = generator, encoder
        self.answers, self.encoder_width, self.inference = answers, encoder_width, inference


def is_semantic_gan(folder: str | Path) -> bool:
    """Whether config.json in `folder` says that it holds a SemanticGAN."""
    try:
        config = load_json((Path(folder) / "config.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and SEMANTIC_GAN.name in config


def save_semantic_gan(folder: str | Path, model: SemanticGAN, **about: Any) -> None:
    """Writes model.safetensors, then config.json; `about` (json-able) goes to config.json under 'about'."""
    config = {
        "answers": asdict(model.answers),
        "network": asdict(model.generator.config),
        "encoder_width": model.encoder_width,
        "inference": asdict(model.inference),
    }
    SEMANTIC_GAN.save(folder, model, config, about)


def load_semantic_gan(folder: str | Path, device: str | torch.device = "cpu") -> SemanticGAN:
    """The SemanticGAN in `folder`, in evaluation mode, its parameters frozen.

    Raises:
        UsageError: not such a folder. GannotateError: damaged, or of a newer version.
    """
    config = SEMANTIC_GAN.read_config(folder)[SEMANTIC_GAN.name]
    try:
        given = dict(config["answers"])
        given["class_names"] = tuple(given["class_names"])
        given["colours"] = tuple((int(r), int(g), int(b)) for r, g, b in given["colours"])
        answers, inference = AnswerConfig(**given), InferenceConfig(**config["inference"])
        network, width = StyleGAN2Config(**config["network"]), int(config["encoder_width"])

        def make() -> SemanticGAN:
            generator = JointGenerator(network, answers.classes)
            return SemanticGAN(generator, make_encoder(generator, width), answers, width, inference)

        SEMANTIC_GAN.check_size(folder, make)
        model = make()
    except (KeyError, TypeError, ValueError) as error:
        raise GannotateError(f"{folder}/config.json does not fit ({error}); train it again") from error
    SEMANTIC_GAN.load_weights(folder, model)
    return model.eval().requires_grad_(False).to(device)
