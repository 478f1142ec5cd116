"""Settings of SemanticGAN: the pairs' training, the encoder's, and how a picture is labelled at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from gannotate.data.augment import ALIGNED, Augmentation, Warp
from gannotate.errors import UsageError
from gannotate.generators.adversarial.presets import AdversarialConfig, preset, with_choices
from gannotate.generators.stylegan2 import StyleGAN2Config
from gannotate.inversion.encoder import GROUPS
from gannotate.labels import Mirror
from gannotate.segmenters.build import AnswerConfig

Reach = Literal["trunk", "branch"]
"""How far D_m's gradient goes: through the label branch into the layers that draw the picture, or not beyond it."""

PAIRS_PART = 0.7
"""Of the minutes, where they are limited: for the pairs; the encoder has the rest."""


@dataclass(frozen=True, kw_only=True)
class InferenceConfig:
    """How a picture is labelled: latents from the encoder, then optimised until they draw the picture."""

    steps: int = 100
    """Optimisation steps; 0 takes the encoder's answer as it is."""
    learning_rate: float = 0.1
    """Adam's largest step size; it rises for 5 % of the steps and falls in the last 25 %."""
    perceptual_weight: float = 1.0
    """Weight of the perceptual distance (pixels at several scales without VGG16's weights)."""
    pixel_weight: float = 0.1
    """Weight of the mean squared error of the pixels."""
    noise_weight: float = 1e2
    """Weight of what keeps the noise maps from drawing the picture."""
    consistency_weight: float = 1e-3
    """Weight of the mean squared distance to what the encoder says of the picture drawn so far."""
    start_weight: float = 0.0
    """Weight of the mean squared distance to what the encoder says of the picture itself."""
    seed: int = 303
    """Seed of the first noise maps."""

    def __post_init__(self) -> None:
        if self.steps < 0 or not self.learning_rate > 0:
            raise UsageError(
                f"{self.steps} steps at a rate of {self.learning_rate} were asked for to label a picture; give 0 or "
                "more steps, e.g. 100, and a rate above 0"
            )


@dataclass(frozen=True, kw_only=True)
class SemanticGANConfig(AnswerConfig):
    """Everything that defines a SemanticGAN, but for the pictures.

    The weights are those of the authors' code, where ours is not said.
    """

    generator: str = ""
    """Folder of a trained StyleGAN2 whose picture part is taken over; a new one of preset `tiny` when empty."""
    steps: int = 1200
    """Optimisation steps of generator and discriminators."""
    encoder_steps: int = 800
    """Optimisation steps of the encoder, afterwards."""
    warmup_steps: int = 200
    """First steps in which a generator that was taken over keeps drawing as it does, while all else learns."""
    batch: int = 16
    """Pictures a step, of each kind: real, labelled, drawn."""
    learning_rate: float = 0.002
    """Adam's step size for generator and discriminators."""
    r1_gamma: float | None = None
    """Weight of D_r's gradient penalty; that of preset `tiny` for this size when not given."""
    pair_r1_gamma: float = 1.0
    """Weight of D_m's gradient penalty, a picture's own; ours: the authors' 10 are on the mean of a batch's verdicts,
    which at their 16 pictures comes to a twenty-fifth of this."""
    matching_weight: float = 2.0
    """Weight of the matching of D_m's activations beside its hinge loss."""
    reach: Reach = "trunk"
    """How far D_m's gradient goes: trunk (the layers that draw the picture learn from it, as published) or branch."""
    pair_width: int = 16
    """Channels of D_m's first layer; the last has eight times as many."""
    pair_scales: int = 3
    """Scales that D_m looks at, each half the one before; those below 8 px are left out."""
    encoder_width: int = 32
    """Channels of the encoder at half the picture's size; the coarsest level has eight times as many."""
    encoder_learning_rate: float = 1e-3
    """Adam's largest step size for the encoder; it falls to zero along a cosine."""
    encoder_clip: float = 5.0
    """Largest norm of the encoder's gradient."""
    drawn_weight: float = 1.0
    """Weight of what the encoder learns on drawn pairs, whose latents are known; ours: 0 for none, as in the
    authors' code."""
    pixel_weight: float = 1.0
    """Weight of the mean squared error between a picture and the one drawn from its code."""
    perceptual_weight: float = 10.0
    """Weight of the perceptual distance between them."""
    label_weight: float = 1.0
    """Weight of cross-entropy and Dice loss between given and drawn labels."""
    perceptual: tuple[str, ...] = ()
    """Files with VGG16's (and LPIPS') weights for the perceptual distance; pixels at several scales when empty."""
    warp: Warp = ALIGNED
    """How far pairs are moved before D_m sees them, real and drawn ones alike, and labelled ones for the encoder."""
    mirror: Mirror = field(default_factory=Mirror)
    """What a left-right flip means here; half of the pictures are flipped unless the rule is `no`."""
    turn90: bool = False
    """Turn pictures by quarter turns."""
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    """How a picture is labelled when all is learned."""
    minutes: float | None = None
    """Stop after so many minutes, seven tenths of them for the pairs; no limit when not given."""
    seed: int = 0
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reach not in get_args(Reach):
            raise UsageError(f"reach {self.reach!r} is not known; use {' or '.join(get_args(Reach))}")
        if self.steps < 1 or self.encoder_steps < 1 or self.batch < 2:
            raise UsageError(
                f"{self.steps} steps for pairs and {self.encoder_steps} for the encoder, of {self.batch} pictures, "
                "were asked for; give at least 1 step each and 2 pictures"
            )
        for name in ("learning_rate", "encoder_learning_rate", "encoder_clip"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} is {getattr(self, name)}; use a number above 0")
        for name in ("pair_width", "pair_scales"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; use 1 or more")
        if self.encoder_width < GROUPS or self.encoder_width % GROUPS:
            raise UsageError(f"encoder_width is {self.encoder_width}; use a multiple of {GROUPS}, e.g. 32")

    @property
    def answers(self) -> AnswerConfig:
        """Pictures and classes alone: what a finished model needs to know."""
        return AnswerConfig(
            classes=self.classes,
            image_channels=self.image_channels,
            size=self.size,
            class_names=self.class_names,
            colours=self.colours,
        )

    @property
    def augmentation(self) -> Augmentation:
        """What may happen to a labelled picture."""
        return Augmentation(warp=self.warp, mirror=self.mirror, turn90=self.turn90)

    def adversarial(self, network: StyleGAN2Config | None) -> AdversarialConfig:
        """The training of the picture part: preset `tiny` for the network given, or for its own."""
        return with_choices(
            preset("tiny", self.size, self.image_channels),
            network=network,
            batch=self.batch,
            learning_rate=self.learning_rate,
            r1_gamma=self.r1_gamma,
            mirror=self.mirror.rule != "no",
            turn90=self.turn90,
        )
