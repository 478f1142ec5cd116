"""A tiny study on tiny files, run by a script that stands for `gannotate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from gannotate.studies import (
    Choice,
    Done,
    How,
    Outcomes,
    Plan,
    Study,
    load_domain,
    make_plan,
    outcomes_so_far,
    run_plan,
)
from gannotate.studies.cell import words_of
from gannotate.studies.documents import parse_document
from gannotate.studies.domain import Domain
from gannotate.studies.frame import Frame
from gannotate.studies.resolving import Cell
from gannotate.studies.study import Axis, Measure, Shared

FAKE = """
import argparse, json, select, sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("verb")
parser.add_argument("place", nargs="?")
parser.add_argument("--value", type=float, default=0)
parser.add_argument("--add", type=float, default=0)
parser.add_argument("--twice", action="store_true")
parser.add_argument("--seed", type=float, default=0)
parser.add_argument("--read", type=Path)
parser.add_argument("--pictures", type=int, default=0)
parser.add_argument("--folds", type=float, default=0)
parser.add_argument("--sleep", type=float, default=0)
parser.add_argument("--json", action="store_true")
flags = parser.parse_args()
with open("ran.log", "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if flags.verb == "break":
    sys.exit("gannotate: it broke")
if flags.verb == "list":
    print("[1]")
    sys.exit()
if flags.verb == "chat":
    print("no JSON at all")
    sys.exit()
if flags.verb == "new":
    Path(flags.place, "pool").mkdir(parents=True)
    Path(flags.place, "pool", "a.png").write_text("picture")
    Path(flags.place, "project.yaml").write_text("format_version: 2")
if flags.verb == "fit":
    made = Path(flags.place, "decoders", "0001-light")
    made.mkdir(parents=True)
    (made / "run.json").write_text(str(flags.value))
if flags.verb == "train":  # goes on where it was: a line for each start, and time to be stopped in
    with Path(flags.place).joinpath("starts").open("a") as starts:
        starts.write("start\\n")
if flags.sleep and not (flags.verb == "train" and len(Path(flags.place, "starts").read_text().split()) > 1):
    if select.select([sys.stdin], [], [], flags.sleep)[0]:  # it was closed
        sys.exit(130)
value = (flags.value + flags.add) * (2 if flags.twice else 1) + flags.seed / 10
result = {"value": value, "none": None, "word": "w", "per_class": {"ground": 0.5, "left side": value}}
if flags.pictures:
    result["pictures"] = flags.pictures
if flags.folds:  # mean a hundredth above the figure, and this spread
    told = {"value": value + 0.01, "deviation": flags.folds + flags.seed / 10, "count": 5, "over": "folds"}
    result["protocol"] = {"figure": "value", **told}
if flags.read:
    result["read"] = len(flags.read.read_text())
if flags.verb == "fit":
    result["decoder"] = str(made)
print(json.dumps(result))
"""

STUDY = """
title: Sums
paper: {of: A paper, where: Table 1}
claim: More is more.
seeds: 2
axes:
  n: {title: numbers, values: [1, 2]}
  way: {title: way, values: {plain: {title: as it is, how: ""}, twice: {title: doubled, how: --twice}}}
steps:
  base: make --value 10
  one: make --value {n} --add {base.value} {way.how} --seed {seed}
measures:
  value: {from: "{one.value}", title: sum, format: number}
  base: {from: "{base.value}", format: number}
  classes: {from: "{one.per_class.*}"}
tables:
  - {rows: [way], columns: n, measures: [value], beside: [base]}
plots:
  - {x: n, series: [way], measure: value}
expect:
  - {text: Twice is more, better: {way: twice}, than: {way: plain}}
  - {text: Two are ten more than one, better: {n: 2}, than: {n: 1}, by: 10}
  - {text: Two are two more than one, better: {n: 2}, than: {n: 1}, by: 1.5}
quick:
  axes: {n: [1]}
"""

LATER = (
    STUDY.replace("numbers, values: [1, 2]", "numbers, values: [7, 9]")
    .replace("{n: 2}, than: {n: 1}", "{n: 9}, than: {n: 7}")
    .replace("axes: {n: [1]}", "axes: {n: [7]}")
)
"""The study with other numbers."""

DOMAIN = """
title: Grounds
classes: [ground, left side]
new: --mirror yes
sources: {test: test.txt, labelled: {run: "make --value 3", gives: value}}
"""


@pytest.fixture
def fake(tmp_path: Path) -> tuple[str, ...]:
    """Words that run the stand-in."""
    script = tmp_path / "fake.py"
    script.write_text(FAKE)
    return sys.executable, str(script)


@pytest.fixture
def domain(tmp_path: Path) -> Domain:
    """A domain of two classes with a test file, and labelled pictures that a command makes."""
    folder = tmp_path / "ground"
    folder.mkdir()
    (folder / "domain.yaml").write_text(DOMAIN)
    (folder / "test.txt").write_text("test")
    return load_domain(str(folder), environment={})


def study_of(text: str = STUDY) -> Study:
    """A study from YAML."""
    return parse_document(text, "sums.yaml", Study)


class Bench:
    """Plans and runs studies in one folder with the stand-in."""

    def __init__(self, folder: Path, fake: tuple[str, ...], domain: Domain) -> None:
        self.how, self.domain = How(folder=folder, runner=fake), domain
        folder.mkdir()

    def plan(self, study: Study | str = STUDY, **choice: Any) -> Plan:
        """The study's plan."""
        study = study_of(study) if isinstance(study, str) else study
        return make_plan("sums", study, Shared(), self.domain, Choice(**choice))

    def run(self, plan: Plan, processes: int = 1) -> tuple[Outcomes, list[Done]]:
        """Runs all that is not done."""
        outcomes = outcomes_so_far(plan, self.how)
        return outcomes, list(run_plan(plan, self.how, processes, outcomes))

    @property
    def ran(self) -> list[str]:
        """The commands that ran so far, in order."""
        log = self.how.folder / "ran.log"
        return [line.removesuffix(" --json") for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def bench(tmp_path: Path, fake: tuple[str, ...], domain: Domain) -> Bench:
    """See Bench."""
    return Bench(tmp_path / "out", fake, domain)


FRAME = Frame(
    called="s",
    title="s",
    domain="d",
    quick=False,
    axes={
        "n": Axis.model_validate({"values": [1, 10]}),
        "way": Axis.model_validate({"values": ["a", "b"]}),
    },
    measures={
        name: Measure.model_validate({"from": "", "title": name.split(": ")[-1]}) for name in ("m", "c: x", "c: y")
    },
    families={"m": ("m",), "c": ("c: x", "c: y")},
    tables=(),
    plots=(),
    expect=(),
    published=(),
)
"""A measure and one of every class, over two axes."""


def cell_of(plan: Plan, step: str) -> Cell:
    """The first cell of a step."""
    return next(cell for cell in plan.cells.values() if cell.step == step)


def commands(plan: Plan) -> list[str]:
    """The command of every cell."""
    return [" ".join(words_of(cell)) for cell in plan.cells.values()]
