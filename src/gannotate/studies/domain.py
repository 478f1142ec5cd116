"""Domains as data: which pictures a study is done on. Those that ship are library/domains/*.yaml.

A domain gives its sources (a generator, labelled pictures, unlabelled ones, test pictures, and latents of the labelled
ones where they are known), each a place or the command that makes it, and what a project of them is told: classes,
mirror rule, flags of trainings.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

import gannotate
from gannotate.errors import UsageError, nearest
from gannotate.parsing import DAMAGED, load_json
from gannotate.studies.documents import Scalar, Strict, read_document
from gannotate.studies.study import SOURCES, Quick, library

DOMAIN_FILE, DATA, GENERATOR = "domain.yaml", "DATA", "GENERATOR"
"""The file of a domain's folder; environment variables that stand for --data and --generator."""


class Made(Strict):
    """A source that a command makes."""

    run: str
    gives: str = "out"
    """Field of the command's result that is the source."""


class Source(Strict):
    """A place, with {data}, {generators}, {assets} and {folder} in it; or the command that makes it."""

    path: str | None = None
    made: Made | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_short(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"path": given}
        return {"made": given} if isinstance(given, dict) and "run" in given else given


class DomainFile(Strict):
    """All of a domain's YAML."""

    title: str
    about: str = ""
    classes: tuple[str, ...] = Field(min_length=2)
    new: str = ""
    """Flags of `gannotate new`: the mirror rule, quarter turns."""
    gan: str = ""
    """Flags of `gannotate train-generator`: flipped and turned copies."""
    real: str = ""
    """Flags of trainings on real labelled pictures."""
    score: str = ""
    """Flags of scoring segmenters and decoders: the protocol of a benchmark."""
    most: dict[str, float | str] = Field(default={})
    """Largest values that an axis of this name may have here, e.g. as there are no more labelled pictures; or the
    setting of the domain that tells it."""
    settings: dict[str, Scalar] = Field(default={})
    quick: Quick = Quick()
    sources: dict[str, Source]

    @model_validator(mode="after")
    def _check(self) -> DomainFile:
        for name in self.sources:
            if name not in SOURCES:
                raise ValueError(f"there is no source {name!r}{nearest(name, SOURCES)}; known are {', '.join(SOURCES)}")
        for axis, most in self.most.items():
            if isinstance(most, str) and isinstance(self.settings.get(most), bool | str | None):
                numbers = [name for name, value in self.settings.items() if not isinstance(value, bool | str)]
                raise ValueError(
                    f"the most of {axis} is {most!r}, which is no number and no setting of the domain that is one"
                    f"{nearest(most, numbers)}"
                )
        return self


@dataclass(frozen=True)
class Domain:
    """A domain with its places found.

    paths: of the sources that are there. made: of those that a command makes. missing: why the others are not there.
    """

    name: str
    about: DomainFile
    paths: Mapping[str, Path] = field(default_factory=dict)
    made: Mapping[str, Made] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    def texts(self) -> dict[str, str]:
        """What {domain.NAME} stands for in a command."""
        about = self.about
        inverted = "--latents {latents}" if "latents" in about.sources else "--inversion-steps {inversion_steps}"
        return {"new": about.new, "gan": about.gan, "real": about.real, "score": about.score, "inverted": inverted}


def names() -> list[str]:
    """Names of the domains that ship."""
    return sorted(path.stem for path in (library() / "domains").glob("*.yaml"))


def load_domain(
    name: str, data: Path | None = None, generator: Path | None = None, environment: Mapping[str, str] | None = None
) -> Domain:
    """A domain by its name, or a folder: with domain.yaml, or with labelled/, test/, unlabelled/ and generator/ (and
    latents/ or latents.npy, where they are known).

    Args:
        data: the folder that holds xray/pool.zip and the like; else the environment's DATA.
        generator: a generator in place of the domain's own; else the environment's GENERATOR.

    Raises:
        UsageError: no such domain, or a folder that is none.
    """
    environment = os.environ if environment is None else environment
    data = data or _path(environment.get(DATA))
    generator = generator or _path(environment.get(GENERATOR))
    if name in names():
        about, folder = read_document(library() / "domains" / f"{name}.yaml", DomainFile), None
    elif Path(name).is_dir():
        folder = Path(name).resolve()
        about = read_document(folder / DOMAIN_FILE, DomainFile) if (folder / DOMAIN_FILE).exists() else _read(folder)
        name = folder.name
    else:
        raise UsageError(
            f"there is no domain {name!r}{nearest(name, names())}; give {', '.join(names())} or a folder with "
            f"{DOMAIN_FILE}, or with labelled/, test/ and generator/"
        )
    places = {"data": data, "generators": _generators(), "assets": _assets(), "folder": folder}
    return _find(name, about, places, generator)


def _find(name: str, about: DomainFile, places: Mapping[str, Path | None], generator: Path | None) -> Domain:
    paths: dict[str, Path] = {}
    made: dict[str, Made] = {}
    missing: dict[str, str] = {}
    for source in SOURCES:
        if source == "generator" and generator is not None:
            paths[source] = generator.resolve()
        elif source == "latents" and source not in about.sources:
            continue  # then they are sought, see `texts`
        elif source not in about.sources:
            what = _called(source)
            how = f"; add them to its folder as {source} or {source}.zip, or name them in its {DOMAIN_FILE}"
            how = how if places["folder"] else ""
            how = "; give one with --generator DIR" if source == "generator" else how
            missing[source] = f"the domain {name} has no {what}{how}"
        elif (one := about.sources[source]).made is not None:
            made[source] = one.made
        else:
            found = _place(one.path or "", places)
            if isinstance(found, Path):
                paths[source] = found
            else:
                missing[source] = f"the domain {name} needs its {_called(source)}, {one.path}: {found}"
    for source, path in paths.items():
        if not path.exists():
            named = about.sources[source].path if source != "generator" and source in about.sources else None
            how = f"correct its place in {DOMAIN_FILE}" if named and "{" not in named else HOW[source]
            missing[source] = f"{path} is not there, the {source} of the domain {name}; {how}"
    return Domain(name, about, {key: path for key, path in paths.items() if key not in missing}, made, missing)


def _called(source: str) -> str:
    return source if source in ("generator", "latents") else f"{source} pictures"


HOW = dict.fromkeys(SOURCES, "give the folder that holds it with --data DIR, or in the environment as DATA") | {
    "generator": "give one with --generator DIR, or in the environment as GENERATOR"
}
"""What to do when a source is not there."""


def _place(text: str, places: Mapping[str, Path | None]) -> Path | str:
    """The path, or why there is none."""
    for name, folder in places.items():
        hole = "{" + name + "}"
        if hole in text:
            if folder is None:
                return HOW["generator" if name == "generators" else "test"]
            return Path(text.replace(hole, str(folder))).resolve()
    if Path(text).is_absolute() or places["folder"] is None:
        return Path(text).resolve()
    return (places["folder"] / text).resolve()


def _read(folder: Path) -> DomainFile:
    """A domain of a folder without domain.yaml: what lies in it by its names."""
    sources: dict[str, str] = {}
    for name in SOURCES:
        for path in (folder / name, folder / f"{name}.{'npy' if name == 'latents' else 'zip'}"):
            if path.exists():
                sources[name] = path.name
    for needed in ("labelled", "test"):
        if needed not in sources:
            raise UsageError(f"{folder} is no domain: it has neither {DOMAIN_FILE} nor {needed}/ (or {needed}.zip)")
    for path in (folder / "classes.json", folder / "labelled" / "classes.json"):
        if path.exists():
            return DomainFile.model_validate({"title": folder.name, "classes": _classes(path), "sources": sources})
    raise UsageError(
        f"{folder} does not tell its classes; add a {DOMAIN_FILE}, or a classes.json as `gannotate render` and "
        "`gannotate data export` write it"
    )


def _classes(path: Path) -> list[str]:
    try:
        named = load_json(path.read_bytes())["classes"]
        classes = [str(named[str(number)]) for number in range(len(named))]
    except DAMAGED as error:
        raise UsageError(f'{path} does not name classes like {{"classes": {{"0": "background"}}}} ({error})') from error
    if len(classes) < 2:
        raise UsageError(f"{path} names {len(classes)} classes; give the background and at least one more")
    return classes


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _assets() -> Path:
    return Path(str(resources.files("gannotate"))) / "assets"


def _generators() -> Path | None:
    """trained/ of the working folder or of the checkout that this package runs from."""
    for folder in (Path.cwd(), Path(gannotate.__file__).parents[2]):
        if (folder / "trained").is_dir():
            return folder / "trained"
    return None
