"""Settings and lists in YAML and JSON that people write or programs leave: configuration, studies, domains, records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.fuzz.target import Target, put
from gannotate.cli.config_file import read_flags
from gannotate.data.benchmarks.exporting import protocol_of
from gannotate.data.manifest import Manifest
from gannotate.data.sharing import PartNotes
from gannotate.demo.run import read_result
from gannotate.fitting.held_out import read_held_out
from gannotate.inversion.gate import Gate, load_gate, save_gate
from gannotate.jsonlines import read_rows
from gannotate.parsing import still_says
from gannotate.project_config import parse_config
from gannotate.record import Record, as_json, is_finished, read_record
from gannotate.report.examples import read_examples, read_pictures
from gannotate.segmenters import card
from gannotate.studies.documents import parse_document
from gannotate.studies.domain import DomainFile, load_domain
from gannotate.studies.reading import read_study
from gannotate.studies.study import Shared, Study, library

PROJECT = """format_version: 2
name: parts
created: '2025-01-01T00:00:00+00:00'
size: 16
image_channels: 3
classes:
- {name: background, colour: [0, 80, 90]}
- {name: left, colour: [40, 80, 90]}
- {name: right, colour: [80, 80, 90]}
mirror: {rule: swap, pairs: [[left, right]]}
draw: {psi: 1.0, cutoff: null, noise: const}
generator: {source: x, architecture: stylegan2, sha256: '0', about: {kid: 0.1}}
"""

STUDY_JSON = Path(__file__).parents[3] / "docs" / "study-results" / "layermatch-features-portraits" / "study.json"
"""A small one that `study run` wrote."""

FLAGS = "steps: 500\nlearning-rate: 0.001\nclasses: [a, b]\n"


def yaml_files(folder: Path) -> Target:
    """project.yaml, --config files, studies, domains."""
    study = min((path for path in library().glob("*.yaml") if path.stem != "shared"), key=lambda p: p.stat().st_size)
    domain = min((library() / "domains").glob("*.yaml"), key=lambda path: path.stat().st_size)
    readers: dict[str, Callable[[str], object]] = {
        "project.yaml": lambda text: parse_config(text, "project.yaml").to_yaml(),
        "study.yaml": lambda text: parse_document(text, "study.yaml", Study),
        "shared.yaml": lambda text: parse_document(text, "shared.yaml", Shared),
        "domain.yaml": lambda text: parse_document(text, "domain.yaml", DomainFile),
    }

    def read(kind: str, data: bytes) -> None:
        if kind == "flags.yaml":
            return void(read_flags(put(folder, kind, data)))
        void(readers[kind](data.decode("utf-8", "replace")))

    return Target(
        about="project_config.parse_config, cli.config_file.read_flags, studies.documents",
        seeds={
            "project.yaml": [PROJECT.encode()],
            "flags.yaml": [FLAGS.encode()],
            "study.yaml": [study.read_bytes()],
            "shared.yaml": [(library() / "shared.yaml").read_bytes()],
            "domain.yaml": [domain.read_bytes()],
        },
        read=read,
    )


def void(value: object) -> None:
    """Drops a value."""


def evaluation_as_text(folder: Path) -> str:
    """What a model card tells of a segmenter's scores."""
    found = card._evaluation(folder)
    return f"{card._metrics(found)} {card._scores(found)}"


def json_files(folder: Path) -> Target:
    """What runs leave: records, logs, manifests, gates, notes, scores, studies' tables, examples."""
    gate = folder / "whole.json"
    ones = {"distance": 1.0, "typicality": 1.0}
    save_gate(gate, Gate(refusals=0.05, pictures=9, centre=ones, scale=ones, threshold=2.0))
    record: Any = as_json(Record("fit", {"steps": 3}, 0, status="done", started="2025", result={"miou": 0.5}))
    settings = {"format": "folder", "count": 2, "classes": [], "soft": False}
    manifest = {"format_version": 1, "settings": settings, "parts": [{"first_seed": 0, "samples": 2}], "complete": True}
    tested = [{"name": "a", "miou": 0.5, "uncertainty": 0.1}]
    classes = {"classes": {"0": "background", "1": "nose"}, "colours": {"0": [0, 0, 0]}}
    whole = {"miou": 0.5, "fg_miou": None, "pixel_accuracy": 0.5}
    test = {"test": "faces", "pictures": 2, "absent": "skip"}
    scored = whole | test | {"per_class": {"nose": 0.5}, "calibration": {"ece": 0.1}, "choice": {"on": "x"}}
    looks = [{"step": 5, "miou": 0.5, "nll": 1.0, "nll_at_best": 0.9, "temperature": 1.2}] * 2
    held_out = {"steps": 5, "temperature": 1.2, "folds": 2, "points": looks}
    for name in ("labelled", "test"):
        (folder / name).mkdir()
    readers: dict[str, Callable[[Path], object]] = {
        "run.json": lambda path: (read_record(folder), is_finished(folder)),
        "log.jsonl": lambda path: read_rows(path, ("step",)),
        "manifest.json": lambda path: Manifest.read(folder).samples,
        "gate.json": load_gate,
        "000000.json": lambda path: PartNotes(folder, ("samples",)).get(0),
        "study.json": lambda path: read_study(folder),
        "pictures.json": lambda path: read_pictures(folder),
        "examples.json": lambda path: read_examples(folder, 3),
        "classes.json": lambda path: load_domain(str(folder), environment={}),
        "evaluation.json": lambda path: evaluation_as_text(folder),
        "held-out.json": lambda path: read_held_out(folder),
        "about.json": lambda path: still_says(path, held_out),
        "demo.json": lambda path: read_result(folder),
        "benchmark.json": lambda path: protocol_of(folder),
    }
    seeds: dict[str, Any] = {
        "run.json": record,
        "manifest.json": manifest,
        "gate.json": json.loads(gate.read_text()),
        "000000.json": {"samples": 3, "first_seed": 0},
        "study.json": {"format_version": 1, "study": "x", "rows": [], "points": [], "findings": []},
        "pictures.json": tested,
        "examples.json": [{"name": "a", "chosen": "best", "miou": 0.5}],
        "classes.json": classes,
        "evaluation.json": scored,
        "held-out.json": held_out,
        "about.json": held_out,
        "demo.json": whole | {"shots": 5},
        "benchmark.json": {"benchmark": "cat-16", "protocol": "datasetgan-cv", "pictures": 2},
    }

    def read(kind: str, data: bytes) -> None:
        path = put(folder, kind, data)
        try:
            void(readers[kind](path))
        finally:
            path.unlink()

    return Target(
        about="record, jsonlines, shards.Manifest, sharing, inversion.gate, segmenters.scored, fitting.held_out, "
        "demo.run, benchmarks.exporting, studies.reading, report.examples",
        seeds={kind: [json.dumps(value).encode()] for kind, value in seeds.items()}
        | {"log.jsonl": [b'{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25}\n']},
        read=read,
    )


def study_files(folder: Path) -> Target:
    """The study.json of a study, as the page that is made of it."""
    from gannotate.report.study import study_page  # matplotlib takes a second to load

    whole = STUDY_JSON.read_bytes()
    put(folder, "study.json", whole)
    void(study_page(read_study(folder)))  # reads its fonts

    def read(kind: str, data: bytes) -> None:
        put(folder, kind, data)
        void(study_page(read_study(folder)))

    return Target(about="studies.reading, studies.written, report.study", seeds={"study.json": [whole]}, read=read)


TARGETS = {"yaml": yaml_files, "json": json_files, "study": study_files}
