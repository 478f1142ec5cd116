"""Teaching a decoder from labels of real pictures, by any of five methods, start to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Generator as Steps
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from gannotate.decoders.base import Decoder, DecoderConfig
from gannotate.decoders.build import save_decoder
from gannotate.decoders.fpn import FPNConfig
from gannotate.decoders.light import LightConfig
from gannotate.errors import UsageError, nearest
from gannotate.fitting.config import Schedule
from gannotate.fitting.features import FeaturesConfig, fit_features
from gannotate.fitting.gradient_matching import MatchingConfig, fit_gradient_matching, matched
from gannotate.fitting.inversion_labels import InversionLabelsConfig, fit_inversion_labels
from gannotate.fitting.maml import MAMLConfig, fit_maml
from gannotate.fitting.pseudo_labels import PseudoLabelsConfig, fit_pseudo_labels
from gannotate.fitting.pupil import about_task
from gannotate.fitting.real_task import RealConfig, RealTask, SegmenterChoice, check_one_of, check_task, score
from gannotate.segmenters.build import build_network
from gannotate.training import distributed
from gannotate.training.loop import Progress

Method = Literal["gradient-matching", "maml", "pseudo-labels", "inversion", "features"]
"""How labels of real pictures reach the decoder; `METHODS` says what each is."""

Run = Callable[[RealTask, Any, Path, bool, float | None], Steps[Progress, None, Decoder]]
"""Fits a decoder to a task: settings, folder to work in, whether to go on with what is there, minutes."""


@dataclass(frozen=True)
class MethodInfo:
    """One method: what it is configured with, what runs it, our settings, and the paper's where there are any."""

    config: type[RealConfig]
    run: Run
    ours: dict[str, Any]
    paper: dict[str, Any] | None = None


PAPER: dict[str, Any] = {
    "decoder": FPNConfig(),
    "steps": 150_000,
    "batch": 2,
    "generated": 2,
    "optimizer": "sgd",
    "learning_rate": 1e-3,
    "segmenter_rate": 1e-3,
    "rate": "constant",
    "ema": 0.0,
    "augment": False,
    "psi": 0.7,
    "cutoff": 8,
    "fresh_noise": True,
    "interval": 1,
    "segmenter": "unet-classic",
}
"""Settings of Yang et al. 2022 and of their code, with their U-Net (the DeepLabV3 starts from fetched weights)."""

PAPER_MATCH = {"deeplabv3": "head"}
"""Where the paper's code matches something else than all of its U-Net."""

STUDENT: dict[str, Any] = {"segmenter": "unet-classic", "segmenter_width": 8}
"""Of our schedules: a segmenter of 0.2 M parameters is enough to tell good labels from bad ones. The width is this
network's: another one that is asked for has its own."""

Beginning = Literal["nothing", "pseudo-labels", "inversion"]
"""What a decoder that is matched or unrolled knows at first."""

FROM_PSEUDO_LABELS: dict[str, Any] = {
    "teacher": "unet",
    "pretrain": 500,
    "warm_start": 300,
    "segmenter_start": "new",
    "augment_generated": True,
    "balance": 0.25,
}
"""A decoder that learns from a segmenter's pseudo-labels first, and is then matched against a new segmenter: best of
what we tried with 10 labels on each of three domains (docs/log.md, docs/results.md)."""

FROM_INVERSION: dict[str, Any] = {
    "warm_from": "inversion",
    "warm_start": 200,
    "augment_generated": True,
    "balance": 0.25,
}
"""A decoder that learns the labels at the activations that redraw their pictures first, and is then matched."""

BEGINNINGS: dict[Beginning, dict[str, Any]] = {
    "nothing": {},
    "pseudo-labels": FROM_PSEUDO_LABELS,
    "inversion": FROM_INVERSION,
}

METHODS: dict[Method, MethodInfo] = {
    "gradient-matching": MethodInfo(
        MatchingConfig,
        fit_gradient_matching,
        {**STUDENT, "steps": 1500, "learning_rate": 0.004, "segmenter_rate": 0.002},
        {**PAPER, "match": "all", "counted": "all"},
    ),
    "maml": MethodInfo(
        MAMLConfig,
        fit_maml,
        {**STUDENT, "steps": 1500, "learning_rate": 0.004, "segmenter_rate": 0.002, "inner_rate": 0.1},
        {**PAPER, "inner_rate": 0.1},
    ),
    "pseudo-labels": MethodInfo(
        PseudoLabelsConfig, fit_pseudo_labels, {"segmenter": "unet", "pretrain": 500, "steps": 300}
    ),
    "inversion": MethodInfo(InversionLabelsConfig, fit_inversion_labels, {"steps": 200, "learning_rate": 0.003}),
    "features": MethodInfo(FeaturesConfig, fit_features, {"steps": 200, "learning_rate": 0.003}),
}
"""Every method by its name."""


def method_info(name: str) -> MethodInfo:
    """The method called `name`.

    Raises:
        UsageError: none is called so; names the nearest.
    """
    known = get_args(Method)
    if name not in known:
        raise UsageError(f"method {name!r} is not known; use {', '.join(known)}{nearest(name, known)}")
    return METHODS[name]  # pyright: ignore[reportArgumentType]


def real_schedule(
    method: Method,
    schedule: Schedule,
    decoder: DecoderConfig | None = None,
    beginning: Beginning = "nothing",
    **choices: Any,
) -> RealConfig:
    """The settings of a method by our schedule or the paper's; `choices` that are not None go before either.

    `decoder` is the schedule's own when not given: light in ours, a feature pyramid in the paper's. With `beginning`
    pseudo-labels or inversion, gradient matching and MAML go on from where these lead (`BEGINNINGS`).

    Raises:
        UsageError: no such method, schedule or setting, settings that cannot be used together, or a method that the
            paper gives no schedule for.
    """
    check_one_of("schedule", schedule, get_args(Schedule))
    check_one_of("begin", beginning, get_args(Beginning))
    info = method_info(method)
    if schedule == "paper" and info.paper is None:
        raise UsageError(f"the paper gives no schedule for {method}; use --schedule ours")
    settings = {"decoder": LightConfig(), **info.ours} if schedule == "ours" else dict(info.paper or {})
    known = [field.name for field in fields(info.config)]
    chosen = {name: value for name, value in choices.items() if value is not None}
    if beginning != "nothing":
        if "warm_start" not in known:
            raise UsageError(f"begin {beginning} means nothing to {method}; leave it out")
        settings = _begun(settings | BEGINNINGS[beginning], chosen)
    if beginning != "inversion" and "warm_from" in known and "inversion_steps" in chosen:
        raise UsageError(
            f"inversion-steps means nothing to {method} unless it begins so; add begin inversion, or leave it out"
        )
    for name in chosen:
        if name not in known:
            flag = name.replace("_", "-")
            raise UsageError(f"{flag} means nothing to {method}; leave it out, or use {_methods_with(name)}")
    if decoder is not None:
        settings["decoder"] = decoder
    if "psi" in chosen and "cutoff" not in chosen:
        settings.pop("cutoff", None)  # the paper's belongs to the paper's psi
    if schedule == "paper" and "match" in settings:
        settings["match"] = PAPER_MATCH.get(chosen.get("segmenter", ""), settings["match"])
    if chosen.get("segmenter") not in (None, settings.get("segmenter")):
        settings.pop("segmenter_width", None)
    return info.config(**(settings | chosen))


def _begun(settings: dict[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The beginning's own settings as far as what was chosen leaves them a meaning."""
    steps = chosen.get("steps", settings.get("steps", RealConfig.steps))
    settings = settings | {"warm_start": max(1, min(settings["warm_start"], steps // 2))}
    if chosen.get("augment") is False:
        settings |= {"augment_generated": False}
    if chosen.get("segmenter_start") == "pretrained":
        settings |= {"teacher": ""}
    return settings


def fit_real(
    task: RealTask,
    config: RealConfig,
    folder: str | Path,
    resume: bool = True,
    minutes: float | None = None,
) -> Iterator[Progress]:
    """Fits a decoder to labels of real pictures; yields progress after each step of each stage.

    Iterating to the end leaves a decoder folder (see `load_decoder`) with the log beside it. With held-out pictures the
    log has the decoder's mIoU on them, about twenty times. A fit that was stopped goes on, and ends as one that was
    not.

    Raises:
        UsageError: the pictures or settings cannot be used; see `check_real`.
    """
    folder = Path(folder)
    check_real(task, config)
    info = next(info for info in METHODS.values() if type(config) is info.config)
    decoder = yield from info.run(task, config, folder, resume, minutes)
    if not distributed.is_first():
        return
    save_decoder(folder, decoder, **about_task(task, config), method=method_of(config), held_out=score(task, decoder))


def method_of(config: RealConfig) -> Method:
    """Name of the method that a configuration is of."""
    return next(name for name, info in METHODS.items() if type(config) is info.config)


def check_real(task: RealTask, config: RealConfig) -> None:
    """Checks pictures and settings before anything is made.

    Raises:
        UsageError: pictures that cannot teach, an unknown network, or blocks that it does not have.
    """
    check_task(task, config)
    if isinstance(config, SegmenterChoice):
        network = build_network(replace(config.segmenter_config(task), weights="random"))
        build_network(replace(config.teacher_config(task), weights="random"))
        if isinstance(config, MatchingConfig):
            matched(network, config.segmenter, config.match)


def _methods_with(setting: str) -> str:
    names = [name for name, info in METHODS.items() if setting in [field.name for field in fields(info.config)]]
    return " or ".join(f"method {name}" for name in names) or "another one"
