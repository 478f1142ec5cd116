"""project.yaml: its fields, how it is read, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PureWindowsPath
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gannotate.errors import GannotateError, UsageError, nearest, newer_format
from gannotate.labels import MAX_CLASSES, Mirror
from gannotate.parsing import Malformed, load_yaml
from gannotate.wording import last_name

FORMAT_VERSION = 2
"""1: a generator, and pool pictures drawn by it. 2: real pictures too, and projects without a generator."""

SHIPPED, SHIPPED_AT = (
    "the portraits generator that ships with gannotate",
    ("gannotate", "assets", "portraits", "generator"),
)
"""How the generator that ships is called, and where it lies in any installation."""


class Strict(BaseModel):
    """A part of project.yaml: unknown keys are errors, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClassEntry(Strict):
    """One class."""

    name: str = Field(min_length=1)
    colour: tuple[int, int, int]


class MirrorEntry(Strict):
    """What a left-right flip means; the pairs are class names, so that the file can be read and edited."""

    rule: Literal["no", "yes", "swap"] = "no"
    pairs: tuple[tuple[str, str], ...] = ()

    def with_ids(self, names: Sequence[str]) -> Mirror:
        """The rule with class ids in place of names.

        Raises:
            UsageError: a name that is no class, or a class that is in two pairs.
        """
        ids = []
        for pair in self.pairs:
            for name in pair:
                if name not in names:
                    hint = nearest(name, list(names))
                    raise UsageError(f"the mirror pair {pair[0]}:{pair[1]} names {name!r}, which is no class{hint}")
            ids.append((names.index(pair[0]), names.index(pair[1])))
        flat = [index for pair in ids for index in pair]
        for index in flat:
            if flat.count(index) > 1:
                raise UsageError(f"class {names[index]!r} is in more than one mirror pair; a class has one partner")
        return Mirror(self.rule, tuple(ids))


class GeneratorEntry(Strict):
    """Where the copy in generator/ comes from."""

    source: str
    """Path of the folder that it was copied from, or words."""
    architecture: str
    sha256: str
    about: dict[str, Any] = {}

    @property
    def public_source(self) -> str:
        """The source as cards tell it: without the folders that it lay in, which are of one machine."""
        parts = PureWindowsPath(self.source).parts  # at both kinds of slashes
        return SHIPPED if parts[-len(SHIPPED_AT) :] == SHIPPED_AT else last_name(self.source)


class DrawEntry(Strict):
    """How the project's pictures are drawn from their seeds."""

    psi: float = Field(default=1.0, ge=-2, le=2)
    cutoff: int | None = Field(default=None, ge=0)
    noise: Literal["const", "seeded", "none"] = "const"


class ProjectConfig(Strict):
    """All of project.yaml."""

    format_version: int = FORMAT_VERSION
    name: str
    created: str
    size: int = Field(gt=0)
    image_channels: Literal[1, 3]
    classes: tuple[ClassEntry, ...] = Field(min_length=2, max_length=MAX_CLASSES)
    mirror: MirrorEntry = MirrorEntry()
    turn90: bool = False
    draw: DrawEntry = DrawEntry()
    generator: GeneratorEntry | None = None
    """None: a project of real pictures only."""

    def to_yaml(self) -> str:
        """The text of project.yaml."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, default_flow_style=None, width=110)


def parse_config(text: str, source: str) -> ProjectConfig:
    """Reads project.yaml; `source` names it in errors.

    Raises:
        GannotateError: not YAML, of a newer version, or with fields that are unknown, missing or wrong.
    """
    try:
        values = load_yaml(text)
    except Malformed as error:
        raise GannotateError(f"{source} is not YAML ({error})") from error
    if not isinstance(values, dict):
        raise GannotateError(f"{source} is damaged: it holds no fields; copy it back from a backup")
    version = values.get("format_version")
    if not isinstance(version, int):
        raise GannotateError(f"{source} has no format_version; add the line `format_version: {FORMAT_VERSION}`")
    if version > FORMAT_VERSION:
        raise newer_format(source, version, FORMAT_VERSION)
    try:
        config = ProjectConfig.model_validate(values)
    except ValidationError as error:
        raise GannotateError(f"{source}: {_first_problem(error)}") from error
    if config.generator is None and version < 2:
        raise GannotateError(f"{source}: the key 'generator' is missing")
    config.mirror.with_ids([item.name for item in config.classes])
    return config


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _fields_at(problem["loc"][:-1])
        name = str(problem["loc"][-1])
        return f"unknown key {place!r}{nearest(name, known)}; known here are {', '.join(known)}"
    if problem["type"] == "missing":
        return f"the key {place!r} is missing"
    return f"{place!r} is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _fields_at(place: tuple[int | str, ...]) -> list[str]:
    # the part of project.yaml that the unknown key sits in: the whole, or one of the entries above
    parts: dict[str, type[Strict]] = {
        "classes": ClassEntry,
        "mirror": MirrorEntry,
        "generator": GeneratorEntry,
        "draw": DrawEntry,
    }
    model = parts[str(place[0])] if place else ProjectConfig
    return list(model.model_fields)
