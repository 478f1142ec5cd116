"""A generated dataset's card (README.md with what Hugging Face reads) and its Croissant metadata (croissant.json)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gannotate.data.front_matter import front_matter, licence_fields
from gannotate.data.manifest import MANIFEST, Manifest
from gannotate.errors import GannotateError
from gannotate.files import write_json, write_text
from gannotate.project import Project
from gannotate.record import read_record
from gannotate.report.croissant import NOT_STATED, croissant

CARD, CROISSANT = "README.md", "croissant.json"

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""Numbers of pictures from which on the next of Hugging Face's size categories holds."""


@dataclass(frozen=True)
class Facts:
    """What the files say of a dataset; None or empty for what they do not tell.

    labels: how many annotations the decoder learned from. makers: how many of them each kind of source made. made:
    when it was begun. licence, creator, url: of the dataset, as its maker states them.
    """

    name: str
    manifest: Manifest
    decoder: str | None
    labels: int | None
    makers: Mapping[str, int]
    generator: Mapping[str, Any]
    made: str
    versions: Mapping[str, str]
    hardware: Mapping[str, Any]
    licence: str = ""
    creator: str = ""
    url: str = ""

    @property
    def classes(self) -> list[str]:
        """Names of the classes, by id."""
        return [str(item["name"]) for item in self.manifest.settings["classes"]]

    @property
    def shares(self) -> list[float]:
        """Part of all labelled pixels that each class has; empty where the manifest does not tell."""
        rows = [part["class_px"] for part in self.manifest.parts if "class_px" in part]
        totals = [sum(column) for column in zip(*rows, strict=True)]
        return [count / max(1, sum(totals)) for count in totals]


def write_dataset_card(
    folder: str | Path, project: Project | None = None, licence: str = "", creator: str = "", url: str = ""
) -> tuple[Path, Path]:
    """Writes `folder`/README.md and `folder`/croissant.json, replacing older ones; gives both paths.

    Args:
        project: that the dataset was made in, for what is known of its decoder and generator.
        licence, creator, url: of the dataset; nothing here can know them.

    Raises:
        UsageError: not a dataset. GannotateError: it is damaged or not finished.
    """
    folder = Path(folder)
    facts = dataset_facts(folder, project, licence, creator, url)
    write_text(folder / CARD, dataset_card(facts))
    write_json(folder / CROISSANT, croissant(folder, facts, _description(facts)))
    return folder / CARD, folder / CROISSANT


def dataset_facts(
    folder: str | Path, project: Project | None = None, licence: str = "", creator: str = "", url: str = ""
) -> Facts:
    """What the dataset's manifest and record, its decoder and its project say.

    Raises:
        UsageError: not a dataset. GannotateError: it is damaged or not finished.
    """
    folder = Path(folder)
    manifest, record = Manifest.read(folder), read_record(folder) or {}
    if not manifest.complete:
        raise GannotateError(
            f"{folder} is not finished ({manifest.samples} of {manifest.settings['count']} pictures); type the "
            "`gannotate synthesize` command again, then write its card"
        )
    decoder = record.get("config", {}).get("decoder")
    made = {} if decoder is None or project is None else read_record(project.folder / "decoders" / decoder) or {}
    taught = made.get("result", {})
    return Facts(
        name=f"{project.config.name}-{folder.name}" if project else folder.resolve().name,
        manifest=manifest,
        decoder=decoder,
        labels=taught.get("shots"),
        makers=taught.get("label_sources") or {},
        generator=_generator(project),
        made=str(record.get("started", "")),
        versions=record.get("versions", {}),
        hardware=record.get("hardware", {}),
        licence=licence,
        creator=creator,
        url=url,
    )


def _generator(project: Project | None) -> dict[str, Any]:
    generator = project.config.generator if project else None
    if generator is None:
        return {}
    about = {name: generator.about.get(name) for name in ("attribution", "licence")}
    trained_on = generator.about.get("source")
    return {
        "architecture": generator.architecture,
        "source": generator.public_source,
        "trained_on": trained_on,
        **about,
    }


def dataset_card(facts: Facts) -> str:
    """The text of README.md."""
    settings = facts.manifest.settings
    head = front_matter(
        {
            **licence_fields(facts.licence),
            "pretty_name": facts.name,
            "task_categories": ["image-segmentation"],
            "task_ids": ["semantic-segmentation"],
            "annotations_creators": ["machine-generated"],
            "size_categories": [_size(facts.manifest.samples)],
            "tags": ["synthetic", "gan", "gannotate"],
            "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": _files(settings)}]}],
        }
    )
    sections = {
        f"# {facts.name}": [_description(facts)],
        "## Classes": _classes(facts),
        "## Labels": _labels(facts),
        "## Pictures": _pictures(facts),
        "## Files": _layout(facts),
        "## Limits": _limits(facts),
        "## Licence": _licence(facts),
        "## Made": _made(facts),
    }
    body = "\n".join(f"{title}\n\n{chr(10).join(lines)}\n" for title, lines in sections.items())
    return f"{head}{body}"


def _description(facts: Facts) -> str:
    settings = facts.manifest.settings
    channels = settings.get("image_channels")
    kind = "grey " if channels == 1 else "colour " if channels == 3 else ""
    size = f" of {settings['size']} x {settings['size']} px" if "size" in settings else ""
    return (
        f"{facts.manifest.samples:,} generated {kind}pictures{size} with label maps of {len(facts.classes)} classes. "
        "A generator drew the pictures; a decoder read the labels off its activations."
    )


def _classes(facts: Facts) -> list[str]:
    lines = ["| id | class | colour | of the pixels |", "|---|---|---|---|"]
    shares = facts.shares or [None] * len(facts.classes)
    for index, (item, share) in enumerate(zip(facts.manifest.settings["classes"], shares, strict=True)):
        colour = "#{:02x}{:02x}{:02x}".format(*item["colour"]) if "colour" in item else "-"
        part = "-" if share is None else f"{100 * share:.2f} %"
        lines.append(f"| {index} | {_cell(item['name'])} | {colour} | {part} |")
    return lines


def _cell(text: str) -> str:
    """Text in a cell of a Markdown table, which a bar or a line break would end."""
    return " ".join(text.split()).replace("|", "\\|")


def _labels(facts: Facts) -> list[str]:
    makers = ", ".join(f"{count} {maker}" for maker, count in facts.makers.items())
    count = NOT_STATED if facts.labels is None else str(facts.labels)
    lines = [
        f"- Labelled by: decoder {facts.decoder or NOT_STATED}",
        f"- Annotated pictures that taught it: {count}{f' ({makers})' if makers else ''}",
    ]
    if (confidence := facts.manifest.confidence) is not None:
        lines.append(f"- Mean confidence (largest class probability): {confidence:.3f}")
    keep = facts.manifest.settings.get("keep", 1.0)
    if keep < 1:
        lines.append(f"- Kept: the most certain {keep:.0%} of the pictures drawn")
    return lines


def _pictures(facts: Facts) -> list[str]:
    settings, generator = facts.manifest.settings, facts.generator
    draw = settings.get("draw", {})
    how = ", ".join(f"{name} {value}" for name, value in draw.items()) or NOT_STATED
    return [
        f"- Generator: {_value(generator.get('architecture'))}, {_value(generator.get('source'))}; SHA-256 of its "
        f"weights {_value(settings.get('generator'))}",
        f"- It was trained on: {_value(generator.get('trained_on'))}",
        f"- First seed: {_value(settings.get('first_seed'))}; drawn with {how}",
    ]


def _layout(facts: Facts) -> list[str]:
    soft = facts.manifest.settings["soft"]
    if facts.manifest.settings["format"] == "shards":
        lines = [
            "- `shard-NNNNNN.tar` (WebDataset): `KEY.png` picture, `KEY.label.png` label map (palette PNG of class "
            "ids, 255 not labelled), `KEY.json` seed, confidence and uncertainty"
            + (", `KEY.soft.npy` class probabilities, float16 (classes, height, width)" if soft else "")
        ]
    else:
        lines = [
            "- `images/KEY.png` pictures, `masks/KEY.png` label maps (palette PNG of class ids, 255 not labelled), "
            "`about/KEY.json` seed, confidence and uncertainty"
            + (", `soft/KEY.npy` class probabilities, float16 (classes, height, width)" if soft else "")
        ]
    return [*lines, f"- `{MANIFEST}`: what defines the bytes, and the SHA-256 of each part", f"- `{CROISSANT}`"]


def _limits(facts: Facts) -> list[str]:
    lines = [
        "- What the generator does not draw is in none of the pictures, and what it draws wrongly is labelled all the "
        "same",
        "- The labels are a network's; nobody looked at them one by one",
    ]
    if "simulated" in facts.makers:
        lines.append("- The annotations behind them are simulated: a network made them, not a person")
    absent = [name for name, share in zip(facts.classes, facts.shares, strict=False) if not share]
    return lines + ([f"- Not a single pixel of: {', '.join(absent)}"] if absent else [])


def _licence(facts: Facts) -> list[str]:
    return [
        f"- This dataset: {facts.licence or NOT_STATED}",
        f"- The pictures that the generator was trained on: {_value(facts.generator.get('licence'))}",
        f"- Their attribution: {_value(facts.generator.get('attribution'))}",
    ]


def _made(facts: Facts) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    return [
        f"- With `gannotate synthesize`, {facts.made or 'at an unknown time'}",
        f"- By: {facts.creator or NOT_STATED}",
        f"- Versions: {versions or NOT_STATED}",
        f"- Hardware: {_value(facts.hardware.get('processor'))}",
    ]


def _files(settings: Mapping[str, Any]) -> str:
    return "shard-*.tar" if settings["format"] == "shards" else "images/*.png"


def _size(samples: int) -> str:
    return next((name for limit, name in SIZES if samples < limit), "n>1M")


def _value(value: Any) -> str:
    return NOT_STATED if value is None else str(value)
