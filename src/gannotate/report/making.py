"""The sections of a report that say how it was made."""

from __future__ import annotations

import json
from html import escape

from gannotate.project_config import GeneratorEntry
from gannotate.report.gather import EVALUATE, Findings, Run, scored, shots_of
from gannotate.report.plots import curve_svg
from gannotate.report.tables import clock, facts, scrolled
from gannotate.report.wording import hardware, labels_used, peak_mb, software

LIVE = "held_out_miou"
"""In the log of a decoder that learns from labels of real pictures: how well it labels annotated generated ones."""

KINDS = {"decoders": "decoder", "datasets": "dataset", "segmenters": "segmenter", "runs": "run"}


def curves(found: Findings) -> str:
    """Loss over steps of everything that was trained, and a decoder's quality on its way where it was looked at."""
    cards = []
    for run in found.steps:
        name = title(run)
        if any("loss" in row for row in run.log):
            cards.append(_curve_card(curve_svg(run.log, ("loss",), f"Loss of {name} over its steps", "loss"), name))
        if any(LIVE in row for row in run.log):
            svg = curve_svg(run.log, (LIVE,), f"Mean IoU of {name} over its steps", "mean IoU", linear=True)
            cards.append(_curve_card(svg, f"{name}, on annotated pictures that did not teach it"))
    if not cards:
        return ""
    return f'<section><h2>Training curves</h2><div class="curves">{"".join(cards)}</div></section>'


def _curve_card(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption><span>{escape(caption)}</span></figcaption></figure>"


def making(found: Findings) -> str:
    """How it was made: labels, generator, hardware, software, and every run with its settings and wall time."""
    generator, seeds, memory = found.project.config.generator, shots_of(found.decoder), peak_mb(found)
    rows = [
        ("labels used", "none yet" if found.decoder is None else escape(" ".join(labels_used(found)))),
        ("their seeds", escape(", ".join(map(str, seeds)) or "-")),
        ("generator", _drawn_by(generator)),
        ("hardware", escape(hardware(found))),
        ("peak memory", "-" if memory is None else f"{memory:,.0f} MB"),
        ("software", escape(software(found))),
    ]
    missing = _missing(found)
    note = f'<p class="note">Not made yet: {escape(", ".join(missing))}.</p>' if missing else ""
    return f"<section><h2>How it was made</h2>{facts(rows)}{_run_table(found)}{note}</section>"


def title(run: Run) -> str:
    """A run in words, e.g. `segmenter 0002-unet`, or `test of 0002-unet`."""
    if run.record.get("verb") == EVALUATE:
        return f"test of {scored(run)}"
    return f"{KINDS[run.folder.parent.name]} {run.folder.name}"


def _run_table(found: Findings) -> str:
    rows = "".join(_run_row(run, found.project.folder.name) for run in found.steps)
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in ("step", "command and settings", "seed"))
    table = (
        f'<table class="runs"><thead><tr>{head}<th scope="col" class="number">wall time</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )
    return scrolled(table, "Steps")


def _run_row(run: Run, project: str) -> str:
    record = run.record
    command = record.get("about", {}).get("command") or f"gannotate {record.get('verb', '?')} {project}"
    settings = json.dumps(record.get("config", {}), indent=1)
    over = "over " if record.get("killed") else ""  # what a killed part took is not known
    return (
        f'<tr><th scope="row">{escape(title(run))}</th><td><code>{escape(command)}</code><details><summary>settings'
        f"</summary><pre>{escape(settings)}</pre></details></td><td>{record.get('seed', '-')}</td>"
        f'<td class="number">{over}{clock(record.get("wall_s", 0.0))}</td></tr>'
    )


def _missing(found: Findings) -> list[str]:
    made = {
        "annotations (gannotate simulate, or label maps in annotations/SEED.png)": found.annotations,
        "a decoder (gannotate fit)": found.decoder,
        "a dataset (gannotate synthesize)": found.dataset,
        "a segmenter (gannotate train)": found.segmenter,
        "test figures (gannotate evaluate)": found.evaluation,
    }
    return [name for name, there in made.items() if not there]


def _drawn_by(generator: GeneratorEntry | None) -> str:
    if generator is None:
        return "none: real pictures only"
    return f"{escape(generator.architecture)}, {escape(generator.source)}"
