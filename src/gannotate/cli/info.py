"""`gannotate info`: what a generator is, and what can be read off it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.flags import Common, settings
from gannotate.cli.generate import generator_folder
from gannotate.generators.build import load_generator, read_config
from gannotate.generators.inspect import GeneratorInfo, inspect


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class InfoFlags(Common):
    """Flags of `info`."""


def info(generator: Path, /, *, flags: InfoFlags = InfoFlags()) -> int:
    """Show a generator's taps, styles, parameters, memory and card.

    Args:
        generator: the generator's folder, or a project.
    """
    folder = generator_folder(generator)
    if flags.dry_run:
        return show.plan(flags, [f"read {folder}"], settings(flags))
    config = read_config(folder)
    found = inspect(load_generator(folder))
    architecture = str(config["generator"].get("architecture", "?"))
    result = {"generator": str(folder), "architecture": architecture, **as_dict(found), "about": config["about"]}
    return show.finish(flags, result, as_text(architecture, found, config["about"]))


def as_dict(found: GeneratorInfo) -> dict[str, Any]:
    """Everything, JSON-able, with the sums."""
    sums = {name: getattr(found, name) for name in ("features", "native_mb", "stacked_mb")}
    return asdict(found) | sums | {"parameter_count": sum(found.parameters.values())}


def as_text(architecture: str, found: GeneratorInfo, about: dict[str, Any]) -> str:
    """The same for a person."""
    colours = "grey" if found.image_channels == 1 else "RGB"
    asked = f", {found.classes} classes" if found.classes else ""
    heading = (
        f"{architecture}, {found.size} px {colours}{asked}; z {found.z_dim}, w {found.w_dim}, "
        f"{found.style_count} styles ({_styles(found)})"
    )
    return "\n\n".join([heading, _taps(found), _parameters(found), *_about(about)])


def _styles(found: GeneratorInfo) -> str:
    return ", ".join(f"{group} {_range(styles)}" for group, styles in found.styles.items())


def _range(numbers: tuple[int, ...]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"


def _taps(found: GeneratorInfo) -> str:
    rows = [("tap", "channels", "size", "place", "group", "style", "MB", "MB stacked")]
    for tap in found.taps:
        place = f"{tap.place} of {tap.of}" + (", doubles" if tap.doubles else "")
        size = f"{tap.height}x{tap.width}"
        memory = (f"{tap.native_mb:.3f}", f"{tap.stacked_mb:.2f}")
        rows.append((tap.name, str(tap.channels), size, place, tap.group, str(tap.style), *memory))
    sums = (f"{found.native_mb:.3f}", f"{found.stacked_mb:.2f}")
    rows.append(("all", str(found.features), "", "", "", "", *sums))
    ratio = found.stacked_mb / found.native_mb
    note = (
        f"A picture's features take {found.native_mb:.2f} MB where they are (projected there, as decoders do), "
        f"{found.stacked_mb:.1f} MB stacked at\n{found.size} px: {ratio:.1f} times as much. float32; MB is 10^6 bytes."
    )
    return f"{show.table(rows)}\n{note}"


def _parameters(found: GeneratorInfo) -> str:
    total = sum(found.parameters.values())
    rows = [("part", "parameters")] + [(name, f"{count:,}") for name, count in found.parameters.items()]
    rows += [("all", f"{total:,}"), ("noise maps (not trained)", f"{found.noise_values:,}")]
    return show.table(rows)


def _about(about: dict[str, Any]) -> list[str]:
    """The card's facts, a line each; figures in one line."""
    lines = []
    for name, value in about.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {_short(item)}" for key, item in value.items())
        if isinstance(value, list):
            value = "; ".join(map(str, value))
        if value not in (None, ""):
            lines.append(f"{name}: {_short(value)}")
    return ["\n".join(lines)] if lines else []


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
