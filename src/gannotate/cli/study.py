"""`gannotate study`: the papers' tables and figures, on the pictures at hand."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from cyclopts import Parameter

from gannotate.cli import show, study_words
from gannotate.cli.flags import Common
from gannotate.cli.study_claims import claims_verb
from gannotate.cli.study_commands import check_commands
from gannotate.errors import GannotateError, UsageError, unexpected
from gannotate.files import disk_trouble, file_in_the_way, make_folder
from gannotate.locks import alone_in
from gannotate.parsing import Malformed, load_yaml
from gannotate.record import cores
from gannotate.studies import (
    Choice,
    Domain,
    How,
    Outcomes,
    Plan,
    add_known,
    load_domain,
    load_shared,
    load_study,
    make_plan,
    outcomes_so_far,
    run_plan,
    to_run,
    write_study,
)
from gannotate.studies.cell import CELLS, words_of
from gannotate.studies.domain import names as domain_names
from gannotate.studies.reading import find_studies, read_study, told_name
from gannotate.studies.several import Several, plan_several
from gannotate.studies.study import names as study_names
from gannotate.studies.words import as_command
from gannotate.studies.writing import STUDY, TABLE, VALUES, about
from gannotate.training.launched import launched, launched_here
from gannotate.wording import counted, quoted

study = cyclopts.App(help="Do the papers' tables and figures, on the pictures at hand.")
study.command(claims_verb, name="claims")

FAILED = 1
ALL = "all"
"""In place of a study's name: all that ship."""

WRITE_EVERY_S = 60.0
"""Seconds after which the table is written again while cells still run."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ListFlags(Common):
    """Flags of `study list`."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PlanFlags(Common):
    """Flags of `study show`; --seed is the first seed."""

    domain: str = "portraits"
    """Pictures: portraits, xray, wbc, or a folder with domain.yaml, or with labelled/, test/ and generator/."""
    data: Path | None = None
    """Folder that holds the domain's pictures, e.g. xray/pool.zip; $DATA when not given."""
    generator: Path | None = None
    """Folder of a generator in place of the domain's own; $GENERATOR when not given."""
    seeds: int | None = None
    """Number of seeds, counted from --seed; the study's own number when not given."""
    quick: Annotated[bool, Parameter(negative="")] = False
    """The form that takes minutes: fewer values, steps and pictures, one seed."""
    only: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """AXIS=VALUE,VALUE: only these values of an axis; one of plain numbers takes others than the study's too, e.g.
    shots=2,150, up to the most that the domain has. May be given several times."""
    set: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """NAME=VALUE: another value of a setting, see `study show`; may be given several times."""
    also: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """STEP=FLAGS: more flags for the command of a step of `study show`, e.g. 'train=--architecture deeplabv3plus
    --weights imagenet'; may be given several times."""
    out: Path = Path("gannotate-studies")
    """Folder of all studies: cells/ is shared by them, NAME-DOMAIN/ has a study's table and plots."""
    known: Annotated[tuple[Path, ...], Parameter(negative="")] = ()
    """An --out of another day or machine, or a study's folder in it: figures that its study.json has are taken, and
    their cells are run only where others need what they make; may be given several times."""

    def folder(self) -> Path:
        """The folder of all studies, or where it is to be made."""
        folder = self.out.resolve()
        if (file := file_in_the_way(folder / CELLS)) is not None:
            raise UsageError(f"--out is {self.out}, but {file} is a file; give a folder, or a name that is free")
        return folder

    def outcomes(self, plan: Plan, how: How) -> Outcomes:
        """What is done already, here and in --known, of which is said how much was taken."""
        outcomes = outcomes_so_far(plan, how)
        for folder in find_studies(self.known):
            if told_name(folder) == plan.name:
                ended = read_study(folder)
                taken = add_known(plan, outcomes, ended)
                if taken or ended.frame.called == plan.called:  # not of other domains, which have nothing to give
                    show.say(self, f"{counted(taken, 'cell')} known from {folder}")
        return outcomes

    def plan(self, name: str) -> Plan:
        """The study on the domain, as the flags ask for it."""
        plan = make_plan(Path(name).stem, load_study(name), load_shared(), self._domain(), self._choice())
        self._check({name: plan})
        return plan

    def plans(self, names: Sequence[str]) -> Several:
        """Several studies on the domain, as far as each of them knows what the flags ask for."""
        wanted = dict.fromkeys(one for name in names for one in (study_names() if name == ALL else (name,)))
        studies = {name: load_study(name) for name in wanted}
        several = plan_several(studies, load_shared(), self._domain(), self._choice(), leave_out=ALL in names)
        self._check(several.plans)
        return several

    def _domain(self) -> Domain:
        return load_domain(self.domain, self.data, self.generator)

    def _choice(self) -> Choice:
        only, settings, also = parse_only(self.only), parse_settings(self.set), parse_also(self.also)
        return Choice(self.quick, self.seeds, self.seed, only, settings, also)

    def _check(self, plans: Mapping[str, Plan]) -> None:
        """Checks the commands that are not all of what ships, which a test takes."""
        for name, plan in plans.items():
            if name not in study_names() or self.domain not in domain_names() or plan.choice.also:
                try:
                    check_commands(plan)
                except UsageError as error:
                    raise UsageError(f"{name}: {error}") from error


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunFlags(PlanFlags):
    """Flags of `study run`; --seed is the first seed."""

    processes: int = 1
    """Commands that run at the same time; they share the cores. Started several times, by torchrun or by hand and on
    any number of machines with --out on a disk that they share, each runs so many."""

    def how(self) -> How:
        """How the cells are run: so many processes, and together no more threads than cores."""
        _, here = launched_here()
        most = max(1, cores() // here)
        if not 1 <= self.processes <= most:
            whose = "the cores of this machine" + (f" for each of the {here} processes on it" if here > 1 else "")
            raise UsageError(f"--processes is {self.processes}; give 1 to {most}, {whose}")
        threads, environment = threads_of(self.processes * here), own_card(self.device)
        return How(folder=self.folder(), threads=threads, device=self.device, environment=environment)


def threads_of(processes: int) -> int:
    """Threads of each of so many processes: all cores together, or as OMP_NUM_THREADS says when that is fewer."""
    share = max(1, cores() // processes)
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(asked)) if asked.isdecimal() and int(asked) else share


def own_card(device: str) -> dict[str, str]:
    """The variable that shows the commands one CUDA card, where several processes on this machine share several."""
    place, here = launched_here()
    if here == 1 or device not in ("auto", "cuda"):
        return {}
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        import torch  # takes a second, and is not needed by one process

        listed = ",".join(map(str, range(torch.cuda.device_count())))
    cards = [card for card in listed.split(",") if card.strip()]
    return {"CUDA_VISIBLE_DEVICES": cards[place % len(cards)]} if cards else {}


def parse_only(given: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`shots=1,5` as {"shots": ("1", "5")}.

    Raises:
        UsageError: there is no =, or nothing behind it.
    """
    only: dict[str, tuple[str, ...]] = {}
    for word in given:
        axis, _, values = word.partition("=")
        if not axis or not values:
            raise UsageError(f"--only has {word!r}; give AXIS=VALUE,VALUE, e.g. --only shots=1,5")
        only[axis.strip()] = (*only.get(axis.strip(), ()), *(value.strip() for value in values.split(",")))
    return only


def parse_also(given: Sequence[str]) -> dict[str, str]:
    """`train=--encoder resnet34` as {"train": "--encoder resnet34"}.

    Raises:
        UsageError: there is no =, or nothing behind it.
    """
    also: dict[str, str] = {}
    for word in given:
        step, _, flags = (part.strip() for part in word.partition("="))
        if not step or not flags:
            raise UsageError(f"--also has {word!r}; give STEP=FLAGS, e.g. --also 'train=--encoder resnet34'")
        also[step] = f"{also[step]} {flags}" if step in also else flags
    return also


def parse_settings(given: Sequence[str]) -> dict[str, Any]:
    """`steps=100` as {"steps": 100}.

    Raises:
        UsageError: there is no =, or no single value behind it.
    """
    settings: dict[str, Any] = {}
    for word in given:
        name, _, text = word.partition("=")
        value = None
        with contextlib.suppress(Malformed):
            value = load_yaml(text)
        if not name or not isinstance(value, bool | int | float | str):
            raise UsageError(f"--set has {word!r}; give NAME=VALUE, e.g. --set steps=100")
        settings[name.strip()] = value
    return settings


@study.command(name="list")
def list_verb(*, flags: ListFlags = ListFlags()) -> int:
    """Name the studies that ship, and what each is of."""
    found = {name: load_study(name) for name in study_names()}
    result = {
        "studies": {
            name: {"title": one.title, "paper": one.paper.of, "where": one.paper.where, "claim": one.claim}
            for name, one in found.items()
        },
        "domains": domain_names(),
    }
    width = max(map(len, found))
    lines = [
        f"{name:<{width}}  {one.title}\n{'':<{width}}  {one.paper.of}: {one.paper.where}" for name, one in found.items()
    ]
    text = "\n".join(lines) + f"\n\ndomains: {', '.join(domain_names())}, or a folder"
    return show.finish(flags, result, text, "gannotate study show NAME")


@study.command(name="show")
def show_verb(name: str, /, *, flags: PlanFlags = PlanFlags()) -> int:
    """Show what a study claims, varies and runs, and how much of it is done.

    Args:
        name: one of `gannotate study list`, or a file that ends with .yaml.
    """
    plan = flags.plan(name)
    outcomes = flags.outcomes(plan, How(folder=flags.folder()))
    result = about(plan) | study_words.counts(plan, outcomes) | {"failures": study_words.failures(plan, outcomes)}
    return show.finish(flags, result, study_words.described(plan, outcomes), _command(name, plan, flags))


@study.command(name="run")
def run_verb(*names: str, flags: RunFlags = RunFlags()) -> int:
    """Run the cells of studies, and write their tables and plots; the same command goes on where it was.

    Of several studies one is done after the other, whatever becomes of those before it; --only, --set and --also are
    for those of them that have such an axis, setting or step. Several processes on the same --out share the cells, and
    need nothing else of each other: each takes what is not done and nobody is at, waits for the rest, and the last
    one's table stands.

    Args:
        names: of `gannotate study list`, or files that end with .yaml; or all, which is every one that ships and can
            be done on the domain.
    """
    if not names:
        raise UsageError("no study was named; give one or more of `gannotate study list`, or all")
    one = len(names) == 1 and names[0] != ALL
    several = Several({names[0]: flags.plan(names[0])}) if one else flags.plans(names)
    how = flags.how()
    for name, why in several.left_out.items():
        show.say(flags, f"left out {name}: {why}")
    for name, plan in several.plans.items():
        for what in plan.above:
            show.say(flags, f"{name}: {what}")
    if flags.dry_run:
        return _would(several, how, flags, one)
    results = [_told(name, plan, how, flags, one) for name, plan in several.plans.items()]
    if not one:
        show.finish(flags, results, study_words.summary(results), f"gannotate report {quoted(flags.out)}/STUDY")
    if all(map(study_words.is_whole, results)):
        return 0
    told = study_words.missing(results[0] if one else results)
    sys.stderr.write(f"gannotate: {told}\n")  # with --quiet too: it is why the exit code is not 0
    return FAILED


def _would(several: Several, how: How, flags: RunFlags, one: bool) -> int:
    """Shows what would be run; a command that several studies have in common is named once."""
    would: dict[str, str] = {}
    configs: dict[str, dict[str, Any]] = {}
    damaged: dict[str, str] = {}
    for name, plan in several.plans.items():
        outcomes = flags.outcomes(plan, how)
        damaged |= study_words.damaged(outcomes)
        for cell in to_run(plan, outcomes):
            would[cell] = "run " + as_command(["gannotate", *words_of(plan.cells[cell], how.device)])
        config = {"folder": str(flags.out), "processes": flags.processes, "threads": how.threads}
        configs[name] = config | study_words.counts(plan, outcomes) | {"settings": dict(plan.settings)}
    for what in damaged.values():
        show.say(flags, what)
    return show.plan(flags, [*would.values()], next(iter(configs.values())) if one else {"studies": configs})


def _told(name: str, plan: Plan, how: How, flags: RunFlags, one: bool) -> dict[str, Any]:
    """Runs a study, and shows and gives its result.

    One of several is only shown where these are not told as one answer; where it breaks down the others go on, and its
    result is `folder` and `error`.
    """
    if not one:
        show.say(flags, f"study {name}")
    try:
        result, text = _run(name, plan, how, flags)
    except Exception as error:
        if one:
            raise
        known = error if isinstance(error, GannotateError) else disk_trouble(error)
        told = str(known or unexpected(error))
        show.say(flags, f"{name}: {told}")
        return {"folder": str(how.folder / plan.called), "error": told}
    if one or not flags.json:
        show.finish(flags, result, text, f"gannotate report {quoted(result['folder'])}" if one else "")
    return result


def _run(name: str, plan: Plan, how: How, flags: RunFlags) -> tuple[dict[str, Any], str]:
    """Runs what is not done; gives the result and the table."""
    command, outcomes = _command(name, plan, flags), flags.outcomes(plan, how)
    make_folder(how.folder)
    counts = study_words.counts(plan, outcomes)
    show.say(
        flags, f"{counts['cells']} cells, {counts['done']} of them done; {flags.processes} x {how.threads} threads"
    )
    for what in study_words.damaged(outcomes).values():
        show.say(flags, what)
    begin = written = time.monotonic()
    try:
        with contextlib.closing(run_plan(plan, how, flags.processes, outcomes)) as running:
            for event in running:
                show.say(flags, study_words.line(event))
                if launched()[0] == 0 and time.monotonic() - written > WRITE_EVERY_S:
                    _write(how, plan, outcomes, command, begin)
                    written = time.monotonic()
    finally:  # after Ctrl-C too: what is there is worth a table
        content = _write(how, plan, outcomes, command, begin)
    for failure in study_words.failures(plan, outcomes):
        show.say(flags, failure)
    folder = how.folder / plan.called
    result = {"folder": str(folder), **study_words.counts(plan, outcomes), "command": command, **content}
    drawn = [one["svg"] for one in (*content["plots"], *content["curves"])]
    drawn += [one["file"] for one in content["pictures"] if one["file"]]
    written = [TABLE, VALUES, *drawn, STUDY]
    return result, f"{(folder / TABLE).read_text()}\nin {folder}: {', '.join(written)}"


def _write(how: How, plan: Plan, outcomes: Outcomes, command: str, begin: float) -> dict[str, Any]:
    """Writes table and plots, one process at a time; gives what study.json says.

    Where another process wrote the same cells' results, only the first process writes its own, which tells its time.
    """
    own = make_folder(how.folder / plan.called)
    with alone_in(own):
        if launched()[0] > 0:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                there = json.loads((own / STUDY).read_text())
                states = {cell: about["status"] for cell, about in there["cells"].items()}
                if states == {cell: outcomes.state(plan, cell)[0] for cell in plan.cells}:
                    return there
        return write_study(how.folder, plan, outcomes, command, time.monotonic() - begin)


def _command(name: str, plan: Plan, flags: PlanFlags) -> str:
    """The command that runs the study alone with these flags, those of them that it knows."""
    words = ["gannotate", "study", "run", name]
    default = RunFlags()
    for flag in ("domain", "data", "generator", "seeds", "seed", "out", "processes", "device"):
        value = getattr(flags, flag, getattr(default, flag))
        if value != getattr(default, flag):
            words += [f"--{flag}", str(value)]
    words += ["--quick"] if flags.quick else []
    words += [word for folder in flags.known for word in ("--known", str(folder))]
    for flag, known in (("only", plan.choice.only), ("set", plan.choice.settings), ("also", plan.choice.also)):
        given = [word for word in getattr(flags, flag) if word.partition("=")[0].strip() in known]
        words += [word for value in given for word in (f"--{flag}", value)]
    return as_command(words)
