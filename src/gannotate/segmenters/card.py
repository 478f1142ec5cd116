"""A segmenter's model card: what it is, what it learned from and who labelled that, how it scores, where it ends.

It begins with what Hugging Face reads of a model's README.md, so that it can be uploaded under that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gannotate.data.front_matter import front_matter, licence_fields
from gannotate.project import Project
from gannotate.record import read_record
from gannotate.segmenters.architectures import architecture_info
from gannotate.segmenters.build import SegmenterConfig, read_segmenter_config
from gannotate.segmenters.scored import read_scores
from gannotate.wording import last_name

NOT_STATED = "not stated"

SUPERVISED = "supervised"
"""The method of a training that says nothing of one."""

OF_PART = ("share", "pictures", "labelled_px", "hash", "online", "draw", "generator_hash", "decoder_hash")
"""What is told of each source that a training took its batches from (see `sources.Mixed`)."""


def provenance(folder: str | Path, project: Project | None = None, licence: str = "") -> dict[str, Any]:
    """Where the segmenter in `folder` comes from, JSON-able; None for what its files do not tell.

    Args:
        project: whose generator made the pictures, if one did; gives their source, licence and attribution.
        licence: of the network's weights.

    Raises:
        UsageError: not a segmenter folder. GannotateError: damaged, or of a newer version.
    """
    folder = Path(folder)
    trained, record = read_segmenter_config(folder)["about"], read_record(folder) or {}
    about, settings = record.get("about") or {}, trained.get("settings") or {}
    generator = project.config.generator if project else None
    made = dict(generator.about) if generator else {}
    return {
        "segmenter": folder.name,
        "label_source": trained.get("label_source") or about.get("label_source"),
        "labels": about.get("labels"),
        "label_makers": about.get("decoder_label_sources"),
        "method": settings.get("method") or SUPERVISED,
        "unlabelled": trained.get("unlabelled"),
        "pictures": trained.get("pictures") or (record.get("result") or {}).get("pictures"),
        "soft_labels": trained.get("soft_labels"),
        "parts": [_part(part) for part in trained.get("mix") or [trained]],
        "mirror": settings.get("mirror"),
        "seed": settings.get("seed"),
        "steps": (trained.get("trained") or {}).get("steps"),
        "seconds": (trained.get("trained") or {}).get("seconds"),
        "generator": made.get("source") or (generator.public_source if generator else None),
        "attribution": made.get("attribution"),
        "picture_licence": made.get("licence"),
        "licence": licence or None,
        "versions": record.get("versions"),
        "hardware": record.get("hardware"),
        "evaluation": _evaluation(folder),
    }


def card(config: SegmenterConfig, parameters: int, about: Mapping[str, Any], export: Mapping[str, Any]) -> str:
    """The card's text (Markdown, after a YAML head).

    Args:
        about: from `provenance`. export: file, opset, parity and latency of the exported network, as dictionaries.
    """
    channels = "grey" if config.image_channels == 1 else "RGB"
    sections = {
        f"# Segmenter {about['segmenter']}, {config.size} px, {channels}": _network(config, parameters, about),
        "## Learned from": _data(config, about),
        "## Scores": _scores(about.get("evaluation")),
        "## Exported": _export(export),
        "## Limits": _limits(config, about),
        "## Licence": _licence(about),
    }
    body = "\n".join(f"{title}\n\n{chr(10).join(f'- {line}' for line in lines)}\n" for title, lines in sections.items())
    return front_matter(head(config, about)) + body


def head(config: SegmenterConfig, about: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that Hugging Face reads; scores only where there are some.

    Args:
        about: from `provenance`.
    """
    scores = _metrics(about.get("evaluation"))
    fields = {
        **licence_fields(about.get("licence")),
        "library_name": "onnx",
        "pipeline_tag": "image-segmentation",
        "tags": ["image-segmentation", "semantic-segmentation", "gannotate", config.architecture, config.encoder],
    }
    if not scores:
        return fields
    test = Path(str((about.get("evaluation") or {}).get("test"))).name
    result = {
        "task": {"type": "image-segmentation", "name": "Semantic segmentation"},
        "dataset": {"type": test, "name": test},
        "metrics": scores,
    }
    names = [score["type"] for score in scores]
    return fields | {"metrics": names, "model-index": [{"name": about["segmenter"], "results": [result]}]}


METRICS = {
    "miou": ("mean_iou", "mIoU"),
    "fg_miou": ("foreground_mean_iou", "mIoU without the background"),
    "pixel_accuracy": ("accuracy", "pixel accuracy"),
}
"""Figures of an evaluation as Hugging Face calls them, and in words."""


def _metrics(found: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    values = {key: (found or {}).get(key) for key in METRICS}
    return [
        {"type": METRICS[key][0], "name": METRICS[key][1], "value": round(value, 5)}
        for key, value in values.items()
        if value is not None
    ]


def _network(config: SegmenterConfig, parameters: int, about: Mapping[str, Any]) -> list[str]:
    classes = ", ".join(f"{index} {item.name}" for index, item in enumerate(config.class_infos))
    start = {"random": "random weights", "imagenet": "ImageNet weights in the encoder"}
    kind = architecture_info(config.architecture).about
    versions = ", ".join(f"{name} {version}" for name, version in (about["versions"] or {}).items())
    steps = "" if about["steps"] is None else f", {about['steps']} steps in {_value(about['seconds'])} s"
    return [
        f"Network: {config.architecture}, {kind}; encoder {config.encoder}; {parameters / 1e6:.2f} M parameters",
        f"Classes: {classes}",
        f"Started from: {start.get(config.weights, f'weights of {Path(config.weights).name}')}",
        f"Trained: seed {_value(about['seed'])}{steps}{_machine(about['hardware'])}",
        f"Versions: {versions or NOT_STATED}",
    ]


def _data(config: SegmenterConfig, about: Mapping[str, Any]) -> list[str]:
    makers = about["label_makers"]
    lines = [
        f"Method: {_method(about)}",
        f"Pictures: {_value(about['pictures'])}",
        f"Labels by: {_value(about['label_source'])}",
        f"Annotations behind them: {_value(about['labels'])}"
        + (f" ({', '.join(f'{count} {maker}' for maker, count in makers.items())})" if makers else ""),
        f"Label values: {'class probabilities' if about['soft_labels'] else 'label maps'}",
    ]
    lines += [line for part in about["parts"] for line in _source(config, part)]
    mirror = about["mirror"] or {}
    if mirror:
        pairs = f", pairs {mirror['pairs']}" if mirror.get("pairs") else ""
        lines.append(f"Left-right flip: {mirror.get('rule')}{pairs}")
    return lines


def _method(about: Mapping[str, Any]) -> str:
    unlabelled = about["unlabelled"]
    if not unlabelled:
        return about["method"]
    return f"{about['method']}, with {unlabelled['pictures']:,} unlabelled pictures (SHA-256 {unlabelled['hash']})"


def _source(config: SegmenterConfig, part: Mapping[str, Any]) -> list[str]:
    """Where all pictures, or a part of each batch, came from."""
    where = f" ({part['share']:.0%} of each batch)" if part.get("share") else ""
    if part.get("online"):
        return [
            f"Drawn while it learned{where}: by the generator with weights {part['generator_hash']}, labelled by the "
            f"decoder with weights {part['decoder_hash']}"
        ]
    hashed = f"SHA-256 of the data{where}: {_value(part.get('hash'))}"
    pixels = part.get("labelled_px")
    if not pixels:
        return [hashed]
    names, total = [item.name for item in config.class_infos], max(1, sum(pixels))
    shares = ", ".join(f"{name} {100 * px / total:.1f} %" for name, px in zip(names, pixels, strict=True))
    return [f"Share of labelled pixels{where}: {shares}", hashed]


def _scores(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return [
            "Not tested: `gannotate evaluate PROJECT --test DIR` scores it on labelled pictures that it has not seen"
        ]
    absent = "left out" if found.get("absent") == "skip" else "counted as 0"
    lines = [
        f"Test pictures: {_value(found.get('pictures'))} ({Path(str(found.get('test'))).name}); absent classes are "
        f"{absent}",
        f"mIoU {_share(found.get('miou'))}, without the background {_share(found.get('fg_miou'))}, pixel accuracy "
        f"{_share(found.get('pixel_accuracy'))}",
        "IoU: " + ", ".join(f"{name} {_share(value)}" for name, value in (found.get("per_class") or {}).items()),
    ]
    error = (found.get("calibration") or {}).get("ece")
    return lines if error is None else [*lines, f"Expected calibration error: {_share(error)}"]


def _export(export: Mapping[str, Any]) -> list[str]:
    parity, latency = export["parity"], export["latency"]
    return [
        f"File: {Path(export['file']).name}, ONNX operators of version {export['opset']}",
        "Input `pictures` uint8 (n, height, width, channels), any n, height and width; outputs `label_maps` uint8 "
        "(n, height, width) and `probabilities` float32 (n, classes, height, width)",
        f"Against PyTorch on {parity['pictures']} {export['checked_on']}: the same class on "
        f"{100 * parity['equal']:.4f} % of {parity['pixels']:,} pixels, probabilities within "
        f"{parity['largest_difference']:.1e}",
        f"One picture of {latency['size_px']} px, {latency['threads']} thread(s): ONNX Runtime "
        f"{latency['onnx_ms']} ms, PyTorch {latency['pytorch_ms']} ms",
    ]


def _limits(config: SegmenterConfig, about: Mapping[str, Any]) -> list[str]:
    lines = [
        f"It sees every picture at {config.size} x {config.size} px, whatever its shape: details smaller than a pixel "
        "of that are lost, and long pictures are squeezed (`gannotate predict --tile` cuts them up instead)",
        "Every pixel gets one of the classes above; it cannot say that something is none of them",
    ]
    if about["evaluation"]:
        lines.append("The scores hold for pictures like the test pictures; other devices and subjects are not covered")
    if "decoder" in str(about["label_source"]):
        lines.append("It learned from generated pictures: what the generator does not draw, it has not seen")
    if "simulated" in (about["label_makers"] or {}):
        lines.append("The annotations behind its labels are simulated: a network made them, not a person")
    return lines


def _licence(about: Mapping[str, Any]) -> list[str]:
    return [
        f"Weights: {_value(about['licence'])}",
        f"Pictures: {_value(about['picture_licence'])}",
        f"Attribution: {_value(about['attribution'])}",
        f"Generator: {_value(about['generator'])}",
    ]


def _part(about: Mapping[str, Any]) -> dict[str, Any]:
    return {name: about[name] for name in OF_PART if name in about}


def _evaluation(folder: Path) -> dict[str, Any] | None:
    """The test's figures; of the folders that its pictures lay in the last name alone, as this is published."""
    found = read_scores(folder)
    if found is None:
        return None
    if "test" in found:
        found["test"] = last_name(found["test"])
    if (found.get("choice") or {}).get("on"):
        found["choice"]["on"] = last_name(found["choice"]["on"])
    return found


def _machine(hardware: Mapping[str, Any] | None) -> str:
    return f", on {hardware.get('processor')} with {hardware.get('torch_threads')} thread(s)" if hardware else ""


def _value(value: Any) -> str:
    return NOT_STATED if value is None else str(value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
