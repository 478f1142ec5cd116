"""What a report says in words: where labels come from, on what machine, with what software."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gannotate.project import Annotation
from gannotate.report.gather import Findings, Run, real_labels_of, scored, shots_of

AND_LABELLED = " and labelled pictures"
"""End of the source of labels of a training that mixed labelled pictures in."""

ONLINE = ", drawn while it learned,"

SOURCES = {"person": "by a person", "exact": "exact", "unknown": "of unknown source"}


def labels_used(found: Findings) -> tuple[str, str]:
    """How many labels taught the decoder, and what they were: `5` and `labelled pictures, by a person`."""
    real = real_labels_of(found.decoder)
    if real is not None:
        return str(real[0]), f"labelled real pictures, learned by {real[1].replace('-', ' ')}"
    return str(len(shots_of(found.decoder))), f"labelled pictures, {label_sources(found.used)}"


def words_of_test(test: Run, trained: Run | None) -> tuple[str, str]:
    """What was tested, and what had taught it; `trained` is the training of a segmenter, where that is known."""
    result = test.result
    if result.get("of") == "decoder":
        on = f"{result.get('pictures', '?')} {result.get('test')}"
        return "decoder", f"{scored(test)}, {count_labels(result.get('labels'))}; on {on}"
    about = result | ((trained.record.get("about") or {}) if trained else {})
    if _by_decoder(about):
        name, parts = "segmenter", _written_pictures(about, trained)
    else:
        name = "supervised segmenter"
        parts = [f"{count_labels(about.get('labels'))} ({about.get('label_source')})"]
    if about.get("unlabelled"):
        parts.append(f"{about['unlabelled']:,} unlabelled pictures")
    name = str(about["method"]).replace("-", " ") if about.get("method") else name
    return name, f"{scored(test)}, trained on {' and '.join(parts)}{_start(trained)}"


def count_labels(count: int | None) -> str:
    """`1 label`, `5 labels`, and `? labels` where nothing tells."""
    return "1 label" if count == 1 else f"{'?' if count is None else count} labels"


def _start(trained: Run | None) -> str:
    weights = (trained.record.get("config") or {}).get("weights") if trained else None
    return "" if weights in (None, "random") else f", started from {Path(weights).name}"


def _by_decoder(about: dict[str, Any]) -> bool:
    return str(about.get("label_source")).startswith("decoder")


def _written_pictures(about: dict[str, Any], trained: Run | None) -> list[str]:
    """Generated pictures that a segmenter learned from, and the labelled ones that were mixed in."""
    real, decoder = about.get("real_labels") or 0, str(about.get("label_source")).removesuffix(AND_LABELLED)
    labels = about.get("labels")
    shots = count_labels(None if labels is None else labels - real)
    settings = trained.about if trained else {}
    online = any("online" in part for part in settings.get("mix", [settings]))
    pictures = trained.result.get("pictures") if trained else None
    count = "" if pictures is None else f"{pictures - real:,} "
    parts = [f"{count}generated pictures{ONLINE if online else ''} that {decoder} labelled (it had {shots})"]
    return [*parts, f"{real} labelled ones ({about.get('mix', 0):.0%} of each batch)"] if real else parts


def label_sources(annotations: Sequence[Annotation]) -> str:
    """Where labels come from, e.g. `simulated by unet resnet18` or `3 by a person, 2 exact`."""
    said = [_source(annotation) for annotation in annotations]
    counts = Counter(said)
    if len(counts) <= 1:
        return said[0] if said else "none"
    return ", ".join(f"{count} {source}" for source, count in counts.items())


def _source(annotation: Annotation) -> str:
    if annotation.source == "simulated":
        return f"simulated by {annotation.about.get('network') or 'an unnamed network'}"
    return SOURCES.get(annotation.source, annotation.source)


def provenance(annotations: Sequence[Annotation]) -> str:
    """What is known of the network that stood in for a person; empty when none did."""
    about = next((one.about for one in annotations if one.source == "simulated"), None)
    if about is None:
        return ""
    seen = "an unknown number of" if about.get("labels") is None else f"{about['labels']:,}"
    source = f" ({about['label_source']})" if about.get("label_source") else ""
    good = "not known" if about.get("miou") is None else f"{about['miou']:.3f}"
    on = f" on {about['miou_on']}" if about.get("miou_on") else ""
    return (
        f"Simulated: a network ({about.get('network') or 'unnamed'}) trained on {seen} other labels{source} stood in "
        f"for a person; its own mean IoU is {good}{on}."
    )


def newest(runs: Sequence[Run], key: str) -> dict[str, str]:
    """The entry `key` (hardware, versions) of the last run that has one."""
    return next((run.record[key] for run in reversed(runs) if key in run.record), {})


def hardware(found: Findings) -> str:
    """Processor, cores and graphics card of the newest run."""
    known = newest(found.steps, "hardware")
    if not known:
        return "unknown hardware"
    card = f", {known['gpu']}" if "gpu" in known else ""
    return f"{known.get('cores', '?')} cores of {known.get('processor', '?')}{card}"


def software(found: Findings) -> str:
    """The versions that matter most, of the newest run."""
    known = newest(found.steps, "versions")
    names = ("gannotate", "python", "torch", "segmentation-models-pytorch", "numpy")
    return ", ".join(f"{name} {known[name]}" for name in names if name in known) or "unknown"


def peak_mb(found: Findings) -> float | None:
    """Largest resident memory of all runs in MB; None when no run tells."""
    return max((run.record["peak_rss_mb"] for run in found.steps if run.record.get("peak_rss_mb")), default=None)
