"""The generator's card: what it is, what it was trained on, how good it measures, what it may be used for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gannotate.data.front_matter import front_matter, licence_fields
from gannotate.files import write_text
from gannotate.generators.build import build_generator, read_config


def write_card(folder: str | Path) -> None:
    """Writes `folder`/card.md from its config.json."""
    config = read_config(folder)
    network, about = config["generator"], config["about"]
    generator = build_generator(network)
    parameters = sum(p.numel() for p in generator.parameters())
    lines = [
        front_matter(head(network, about)).rstrip("\n"),
        "",
        f"# Generator, {network['size']} px, {'grey' if network['image_channels'] == 1 else 'RGB'}",
        "",
        f"- Network: {network['architecture']}, {parameters / 1e6:.2f} M parameters, z {network['z_dim']}, "
        f"w {network['w_dim']}, {network['mapping_layers']} mapping layers",
        f"- Taps: {', '.join(f'{t.name} ({t.channels}x{t.height}x{t.width})' for t in generator.taps)}",
        *_about_lines(about),
        "",
        "A seed is a picture's identity: `gannotate generate` draws the same picture for the same seed.",
        "",
    ]
    write_text(Path(folder) / "card.md", "\n".join(lines))


def head(network: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    """The fields that Hugging Face reads; the licence in `about` is that of the pictures, none of the weights is known.

    The space stands in a metric's name: KID and FID of other features than Inception's are no such figures of others.
    """
    fields: dict[str, Any] = {
        **licence_fields(None),
        "library_name": "gannotate",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["gan", str(network["architecture"]), "gannotate"],
    }
    figures, space = about.get("figures") or {}, about.get("gauge_space")
    scores = [
        {"type": f"{name}-{space}", "name": f"{name.upper()} in {space}", "value": round(figures[name], 5)}
        for name in ("kid", "fid")
        if figures.get(name) is not None
    ]
    if not scores:
        return fields
    pictures = str(about.get("source") or "training pictures")
    result = {
        "task": {"type": "unconditional-image-generation"},
        "dataset": {"type": pictures, "name": pictures},
        "metrics": scores,
    }
    return fields | {"model-index": [{"name": f"{network['architecture']}-{network['size']}px", "results": [result]}]}


def _about_lines(about: dict[str, Any]) -> list[str]:
    lines = []
    titles = {
        "source": "Trained on",
        "attribution": "Attribution",
        "licence": "Licence of the pictures",
        "pictures_seen": "Pictures in the training set",
        "preset": "Preset",
        "kimg": "Thousand pictures shown at this snapshot",
        "seconds": "Training time in seconds",
        "hardware": "Hardware",
    }
    for key, title in titles.items():
        if about.get(key) is not None:
            lines.append(f"- {title}: {about[key]}")
    figures = about.get("figures") or {}
    if "kid" in figures:
        lines.append(
            f"- {about.get('gauge_pictures', '?')} drawn pictures against {about.get('gauge_real', '?')} of the "
            f"training set, in the feature space `{about.get('gauge_space', '?')}`: KID {figures['kid']:.4f} "
            f"(standard error {figures['kid_standard_error']:.4f}), FID {figures['fid']:.2f}, precision "
            f"{figures['precision']:.2f}, recall {figures['recall']:.2f}"
        )
    return lines
