"""`gannotate train --method`: which flags go together, a method's own settings, and starting it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from gannotate.cli.generate import generator_folder
from gannotate.cli.training_data import Origin
from gannotate.data.labelled import LabelledSet
from gannotate.errors import UsageError, nearest
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.sources import Source
from gannotate.segmenters.start_weights import RANDOM
from gannotate.segmenters.supervised import SegmenterTraining
from gannotate.training.loop import Progress

if TYPE_CHECKING:
    from gannotate.cli.train import TrainFlags
    from gannotate.segmenters.semantic_gan.config import SemanticGANConfig

SUPERVISED, SEMANTIC_GAN = "supervised", "semantic-gan"

ONLINE_ONLY = ("decoder", "refresh", "buffer", "keep", "psi", "cutoff", "noise")
"""Flags that say how pictures are drawn online."""

NETWORK_ONLY = ("architecture", "encoder", "depth", "weights", "init", "labels", "photometric")
"""Flags of a segmentation network and its training, which a SemanticGAN is not."""


def check_flags(flags: TrainFlags) -> None:
    """Refuses flags that contradict each other, or that would do nothing.

    Raises:
        UsageError: the first such pair, and what to type.
    """
    for wrong, sentence in (*_wrong_data(flags), *_wrong_method(flags)):
        if wrong:
            raise UsageError(sentence)
    if flags.online:
        flags.online_config()  # refuses numbers that cannot be


def _wrong_data(flags: TrainFlags) -> list[tuple[bool, str]]:
    drawn = "--online" if flags.online else "--dataset"
    idle = next((name for name in ONLINE_ONLY if getattr(flags, name) is not None), "")
    return [
        (
            flags.online and flags.dataset is not None,
            "--online draws its pictures and --dataset names drawn ones; give one of the two",
        ),
        (
            bool(idle) and not flags.online,
            f"--{idle} says how pictures are drawn online; add --online, or leave it out",
        ),
        (
            flags.mix is not None and not flags.labelled,
            "--mix is the part of a batch that comes from labelled pictures; give them with --labelled, or leave --mix "
            "out",
        ),
        (
            flags.mix is not None and not 0 < flags.mix < 1,
            f"--mix is {flags.mix}; give the part of a batch that comes from labelled pictures, e.g. 0.25",
        ),
        (
            bool(flags.labelled) and (flags.online or flags.dataset is not None) and flags.mix is None,
            f"--labelled and {drawn} were both given; add --mix 0.25 to take a quarter of each batch from the labelled "
            "pictures, or leave one of them out",
        ),
        (
            flags.shots is not None and not flags.labelled,
            "--shots draws from labelled pictures; give them with --labelled, or leave --shots out",
        ),
        (
            flags.most is not None and (flags.online or (bool(flags.labelled) and flags.mix is None)),
            "--most takes the first pictures of a dataset, and none is used here; leave it out",
        ),
        (flags.most is not None and flags.most < 1, f"--most is {flags.most}; give 1 or more"),
        (
            flags.init is not None and flags.weights != RANDOM,
            "--init and --weights both say what the network starts from; give one of the two",
        ),
    ]


def _wrong_method(flags: TrainFlags) -> list[tuple[bool, str]]:
    supervised, own_network = flags.method == SUPERVISED, flags.method == SEMANTIC_GAN
    default = type(flags)()
    useless = next((name for name in NETWORK_ONLY if getattr(flags, name) != getattr(default, name)), "")
    given = ("unlabelled", "generator", "most_unlabelled", "method_setting")
    idle = next((name.replace("_", "-") for name in given if getattr(flags, name) not in (None, ())), "")
    return [
        (
            supervised and bool(idle),
            f"--{idle} is for semi-supervised methods; add e.g. --method mean-teacher, or leave it out",
        ),
        (
            flags.unlabelled is not None and flags.generator is not None and not own_network,
            "--unlabelled gives the unlabelled pictures and --generator draws them; give one of the two",
        ),
        (
            not supervised and flags.unlabelled is None and (own_network or flags.generator is None),
            f"{flags.method} learns from unlabelled pictures too; give them with --unlabelled DIR"
            + ("" if own_network else ", or draw them with --generator DIR"),
        ),
        (
            flags.most_unlabelled is not None and flags.most_unlabelled < 1,
            f"--most-unlabelled is {flags.most_unlabelled}; give 1 or more",
        ),
        (
            not supervised and flags.compile,
            "--compile is for supervised training, which has one network; leave it out",
        ),
        (
            own_network and (flags.online or flags.mix is not None),
            "semantic-gan learns from labelled pictures or a dataset; leave --online and --mix out",
        ),
        (
            own_network and flags.keep_every is not None,
            "semantic-gan is whole at its end alone, when its encoder has learned too; leave --keep-every out",
        ),
        (
            own_network and bool(useless),
            f"semantic-gan has a network of its own, which --{useless} says nothing about; leave it out",
        ),
    ]


def run_name(flags: TrainFlags, origin: Origin) -> str:
    """What a run folder's name says after its number: the network and how it learned."""
    if flags.method == SUPERVISED:
        return f"{flags.architecture}{origin.name}"
    data = "" if origin.kind == "labelled" else origin.name or "-dataset"
    network = "" if flags.method == SEMANTIC_GAN else f"{flags.architecture}-"
    return f"{network}{flags.method}{data}"


def parse_settings(kind: type, words: Sequence[str], method: str, fixed: Mapping[str, Any] | None = None) -> Any:
    """A method's settings (a frozen dataclass) from `NAME=VALUE` words; its defaults where a name is not given.

    A setting of a part is called PART.NAME, e.g. test_time.steps; several values have commas between them; none is
    no value. `fixed` settings come from other flags and may not be named.

    Raises:
        UsageError: no such setting, or a value that it cannot take.
    """
    known = {name: item for name, item in _settable(kind).items() if name.split(".")[0] not in (fixed or {})}
    given: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in known:
            raise UsageError(
                f"--method-setting has {word!r}; give NAME=VALUE with one of {method}'s settings, which are "
                f"{', '.join(known)}{nearest(name, list(known))}"
            )
        *parts, last = name.split(".")
        place = given
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = _value(text.strip(), known[name])
    try:
        return TypeAdapter(kind).validate_python({**(fixed or {}), **given})
    except ValidationError as error:
        problem = error.errors()[0]
        name, reason = ".".join(map(str, problem["loc"])), str(problem["msg"])
        raise UsageError(
            f"--method-setting {name}={problem['input']} is not accepted: {reason[:1].lower()}{reason[1:]}"
        ) from error


def _settable(kind: type) -> dict[str, Field[Any]]:
    """The fields of a dataclass by name, those of dataclasses in it as PART.NAME."""
    found: dict[str, Field[Any]] = {}
    for item in fields(kind):
        part = item.default_factory() if item.default_factory is not MISSING else item.default
        if is_dataclass(part):
            found |= {f"{item.name}.{name}": inner for name, inner in _settable(type(part)).items()}
        else:
            found[item.name] = item
    return found


def _value(text: str, item: Field[Any]) -> Any:
    if text.lower() == "none":
        return None
    return [word.strip() for word in text.split(",")] if isinstance(item.default, tuple) else text


def method_settings(flags: TrainFlags, network: SegmenterConfig, how: SegmenterTraining) -> Any:
    """The settings of the method that the flags name, of the kind that it takes; None for a supervised training.

    Raises:
        UsageError: a setting that the method does not have or cannot use.
    """
    if flags.method == SUPERVISED:
        return None
    if flags.method == SEMANTIC_GAN:
        return _semantic_gan_config(flags, network, how)
    from gannotate.segmenters.semi_supervised.build import METHODS

    return parse_settings(METHODS[flags.method].settings, flags.method_setting, flags.method)


def _semantic_gan_config(flags: TrainFlags, network: SegmenterConfig, how: SegmenterTraining) -> SemanticGANConfig:
    from gannotate.segmenters.semantic_gan.config import SemanticGANConfig

    shared = ("classes", "class_names", "colours", "image_channels", "size")
    fixed: dict[str, Any] = {name: getattr(network, name) for name in shared}
    fixed |= {name: getattr(how, name) for name in ("warp", "mirror", "turn90", "minutes", "seed", "batch")}
    fixed["learning_rate"] = how.learning_rate
    fixed["generator"] = "" if flags.generator is None else str(generator_folder(flags.generator))
    if flags.steps is not None:
        fixed["steps"] = flags.steps
    config = parse_settings(SemanticGANConfig, flags.method_setting, flags.method, fixed)
    return replace(config, steps=flags.steps_of(config.steps), encoder_steps=flags.steps_of(config.encoder_steps))


def start_method(
    flags: TrainFlags,
    chosen: Any,
    labelled: LabelledSet | Source,
    unlabelled: np.ndarray,
    network: SegmenterConfig,
    how: SegmenterTraining,
    folder: Path,
    source: str,
    device: str,
) -> Iterator[Progress]:
    """Starts or resumes a semi-supervised training; `chosen` is what `method_settings` gave."""
    if flags.method == SEMANTIC_GAN:
        from gannotate.segmenters.semantic_gan import train_semantic_gan

        assert isinstance(labelled, LabelledSet)  # check_flags lets no other source through
        return train_semantic_gan(labelled, unlabelled, chosen, folder, flags.resume, source, device, flags.compute())
    from gannotate.segmenters.semi_supervised.build import train_semi_supervised

    return train_semi_supervised(
        flags.method, labelled, unlabelled, network, how, chosen, folder, flags.resume, source, device, flags.compute()
    )
