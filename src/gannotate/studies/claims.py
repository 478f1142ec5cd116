"""What the papers claim and what we found: every claim of every study, and what the folders of studies say of it.

A study's claim is looked up part by part. Verdicts are made anew from the figures in study.json by the study's
expectations as they are today, so that a folder need not be run again when an expectation is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import Field

from gannotate.studies.current import as_declared, stands_on_superseded, written_at
from gannotate.studies.documents import Strict, known_keys, read_document
from gannotate.studies.findings import Finding, Verdict
from gannotate.studies.frame import Frame
from gannotate.studies.plan import only_seeds
from gannotate.studies.reading import Ended
from gannotate.studies.study import Expectation, Paper, See, Study, Untestable, library, load_study, names

UNTESTED = "claims/untested.yaml"
"""In the library: claims that no study is of, and why."""


class Untested(Strict):
    """Claims of one table, figure or section that no study is of."""

    paper: Paper
    text: str
    why: str


class UntestedFile(Strict):
    """All of library/claims/untested.yaml."""

    claims: tuple[Untested, ...] = Field(min_length=1)


NOT_LOOKED_UP = (Verdict.UNTESTABLE, Verdict.UNTESTED, Verdict.NOT_RUN, Verdict.NOTHING)


@dataclass(frozen=True)
class OnDomain:
    """What one folder says of a part of a claim. seeds: the fewest behind a comparison, 0 where there is none.

    reduced: otherwise (steps, pictures, values of the axes) than the study asks for; of seeds, see `seeds`. superseded:
    with figures among them that a change of ours has made other since.
    """

    folder: str
    frame: Frame
    reduced: bool
    seeds: int
    finding: Finding
    superseded: bool = False

    @property
    def domain(self) -> str:
        """What it was done on."""
        return self.frame.domain

    @property
    def quick(self) -> bool:
        """Whether it is a study's quick form."""
        return self.frame.quick


@dataclass(frozen=True)
class Part:
    """A part of a claim. found: what each folder says. why: its study does not ask it, because of this.

    ours: a question that the paper does not ask. possible: it could be asked here, and was not. see, seen: the study
    that asks it, and its part.
    """

    text: str
    found: tuple[OnDomain, ...] = ()
    why: str = ""
    ours: bool = False
    possible: bool = False
    see: See | None = None
    seen: Part | None = None

    @property
    def counted(self) -> tuple[OnDomain, ...]:
        """Those that speak for the verdict: studies in full, and quick forms only where there is nothing else."""
        if self.seen is not None:
            return self.seen.counted
        full = tuple(one for one in self.found if not one.quick and one.finding.places)
        return full or tuple(one for one in self.found if one.finding.places)

    @property
    def verdict(self) -> Verdict:
        """Over all places of all folders that are counted."""
        if self.seen is not None:
            return self.seen.verdict
        if self.why:
            return Verdict.UNTESTED if self.possible else Verdict.UNTESTABLE
        if self.found and all(one.finding.verdict is Verdict.NOTHING for one in self.found):
            return Verdict.NOTHING
        return _together([one.finding.verdict for one in self.counted])

    @property
    def quick(self) -> bool:
        """Whether it stands on quick forms alone, whose figures show that a study runs and not what is true."""
        return bool(self.counted) and all(one.quick for one in self.counted)

    @property
    def superseded(self) -> bool:
        """Whether a figure that it stands on is from before a change of ours."""
        return any(one.superseded for one in self.counted)


@dataclass(frozen=True)
class Claim:
    """A study's claim. name: of the study, empty for a claim that none is of."""

    name: str
    paper: Paper
    text: str
    parts: tuple[Part, ...]

    @property
    def own(self) -> tuple[Part, ...]:
        """The parts that the paper claims."""
        return tuple(part for part in self.parts if not part.ours)

    @property
    def looked_up(self) -> tuple[Part, ...]:
        """Those of them that there are figures for."""
        return tuple(part for part in self.own if part.verdict not in NOT_LOOKED_UP)

    @property
    def verdict(self) -> Verdict:
        """What the paper's parts say that could be looked up."""
        verdicts = {part.verdict for part in self.own}
        if verdicts <= {Verdict.UNTESTABLE, Verdict.UNTESTED}:
            return Verdict.UNTESTED if Verdict.UNTESTED in verdicts else Verdict.UNTESTABLE
        if verdicts <= {Verdict.UNTESTABLE, Verdict.UNTESTED, Verdict.NOTHING}:
            return Verdict.NOTHING
        return _together([part.verdict for part in self.looked_up])

    @property
    def quick(self) -> bool:
        """Whether all that was looked up stands on quick forms alone."""
        return bool(self.looked_up) and all(part.quick for part in self.looked_up)

    @property
    def ran(self) -> bool:
        """Whether there is a folder of its study."""
        return any(part.found for part in self.parts)


def all_claims(ended: Sequence[Ended]) -> list[Claim]:
    """The claims of all studies that ship, of others among the folders, and those that no study is of, by paper."""
    found = [_claim(name, load_study(name), [one for one in ended if one.name == name]) for name in names()]
    others = dict.fromkeys(one.name for one in ended if one.name not in names())
    found += [_foreign([one for one in ended if one.name == name]) for name in others]
    untested = read_document(library() / UNTESTED, UntestedFile).claims
    found += [Claim("", one.paper, one.text, (Part(one.text, why=one.why),)) for one in untested]
    order = list(dict.fromkeys(claim.paper.of for claim in found))
    return sorted(_linked(found), key=lambda claim: order.index(claim.paper.of))


def _linked(claims: Sequence[Claim]) -> list[Claim]:
    """The claims with the finding of another study at every part that this asks."""
    parts = {(claim.name, part.text): part for claim in claims for part in claim.parts}

    def linked(part: Part) -> Part:
        return replace(part, seen=parts.get((part.see.study, part.see.part))) if part.see else part

    return [replace(claim, parts=tuple(map(linked, claim.parts))) for claim in claims]


def count_verdicts(claims: Sequence[Claim]) -> dict[str, int]:
    """How many of the papers' parts came to each verdict; what another study asks counts there alone."""
    verdicts = [part.verdict for claim in claims for part in claim.own if part.seen is None]
    return {verdict.value: verdicts.count(verdict) for verdict in Verdict}


def _claim(name: str, study: Study, ended: Sequence[Ended]) -> Claim:
    today = [as_declared(folder) for folder in ended]
    parts = [
        Part(one.text, tuple(_declared(study, one, folder, folder.findings[place]) for folder in today), ours=one.ours)
        for place, one in enumerate(study.expect)
    ]
    return Claim(name, study.paper, study.claim, (*parts, *map(_unasked, study.untestable)))


def _declared(study: Study, one: Expectation, ended: Ended, finding: Finding) -> OnDomain:
    older = stands_on_superseded(study, one, finding, written_at(ended))
    return replace(_told(ended, finding), superseded=older)


def _unasked(one: Untestable) -> Part:
    return Part(one.text, why=one.why, possible=one.possible, see=one.see)


def _foreign(ended: Sequence[Ended]) -> Claim:
    """A study that does not ship: what it claims stands in its folder alone."""
    content = ended[-1].content
    texts = dict.fromkeys(finding.text for one in ended for finding in one.findings)
    ours = {one.text for folder in ended for one in folder.frame.expect if one.ours}
    parts = [
        Part(
            text,
            tuple(_told(one, finding) for one in ended for finding in one.findings if finding.text == text),
            ours=text in ours,
        )
        for text in texts
    ]
    parts += [_unasked(Untestable.model_validate(known_keys(Untestable, one))) for one in content.get("untestable", ())]
    paper = Paper.model_validate(content["paper"])
    return Claim(ended[-1].name, paper, str(content["claim"]), tuple(parts))


def _told(ended: Ended, finding: Finding) -> OnDomain:
    seeds = min((int(item.get("seeds", 1)) for item in finding.differences), default=0)
    reduced = not all(only_seeds(str(lack)) for lack in ended.content.get("reduced", ()))
    return OnDomain(ended.folder.name, ended.frame, reduced, seeds, finding)


def _together(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict for several: with one that is too close to tell what holds elsewhere holds partly."""
    kinds = set(verdicts)
    if not kinds:
        return Verdict.NOT_RUN
    if len(kinds) > 1:
        kinds.discard(Verdict.CLOSE)
    if kinds == {Verdict.HOLDS} and Verdict.CLOSE in verdicts:
        return Verdict.PARTLY
    return kinds.pop() if len(kinds) == 1 else Verdict.PARTLY
