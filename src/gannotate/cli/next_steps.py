"""What to type next, where more than one command ends at the same place."""

from __future__ import annotations

from pathlib import Path

from gannotate.wording import quoted


def after_labels(project: Path, generated: bool) -> str:
    """After labelling: a decoder learns from labels of `generated` pictures; those of real ones train a segmenter."""
    if generated:
        return f"gannotate fit {quoted(project)}"
    write = f"gannotate data export {quoted(project)} --format palette --out DIR"
    return f"{write}, then gannotate train {quoted(project)} --labelled DIR"
