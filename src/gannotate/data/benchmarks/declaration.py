"""What a benchmark is: a few lines of YAML over shared layouts. See `declarations/` for those that ship."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from gannotate.data.benchmarks.classes import REST, Merge
from gannotate.data.benchmarks.layouts import Numbered, Pairs, PartMasks, PascalPart
from gannotate.data.benchmarks.layouts.pairs import UNLABELLED
from gannotate.data.benchmarks.splits import Split
from gannotate.data.benchmarks.tree import Tree
from gannotate.errors import UsageError, nearest
from gannotate.labels import ClassInfo, Mirror, make_classes
from gannotate.metrics.protocols import Protocol, find_protocol
from gannotate.parsing import Malformed, load_yaml
from gannotate.project_config import DrawEntry, MirrorEntry, Strict

Model = TypeVar("Model", bound=BaseModel)

DECLARATIONS = Path(__file__).parent / "declarations"

LARGEST_PX = 1024
"""Side of the largest pictures that are trained on."""

Layout = Annotated[PartMasks | PascalPart | Numbered | Pairs, Field(discriminator="kind")]


class Benchmark(Strict):
    """One benchmark: a dataset's files, what of them is asked, and how an answer is scored."""

    name: str
    """As typed on the command line."""
    about: str
    """One line."""
    paper: str
    """Papers that report on it."""
    get: str
    """Where its files are had, in words; nothing is fetched from there."""
    licence: str
    """What its licence allows, in words."""
    attribution: str
    """Whom to cite."""
    roots: tuple[str, ...] = (".",)
    """Places below the user's folder where the dataset's own folder may be."""
    layout: Layout
    """How the files lie, and how they are read."""
    source: tuple[str, ...] = ()
    """Names of the ids in the dataset's files, from 0; empty where files name their parts themselves."""
    classes: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Class names in the order of their ids, each with the dataset's names that become it; `rest` is all others.
    The dataset's own when empty."""
    size_px: int = Field(ge=8, le=LARGEST_PX)
    """Side at which is trained and scored."""
    fit: Literal["stretch", "short-side", "pad"] = "stretch"
    """How pictures come to that size: stretched to a square, scaled so that the shorter side has it, or scaled so that
    the longer side has it and put in the middle of a black square, whose bars have no label."""
    splits: Mapping[str, Split] = Field(min_length=1)
    """The splits by name."""
    draw: DrawEntry | None = None
    """How its generated pictures were drawn from their latents."""
    protocol: str
    """Name of the protocol that its figures are made by."""
    mirror: MirrorEntry = MirrorEntry()
    """What a left-right flip of a picture does to its labels."""
    notes: tuple[str, ...] = ()
    """What one must know before comparing: what is inferred, unresolved, or different from the paper."""

    @field_validator("classes", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        # `hair: hair` and `skin: rest` read better than lists of one
        if not isinstance(value, Mapping):
            return value
        return {name: (words,) if isinstance(words, str) else words for name, words in value.items()}

    @model_validator(mode="after")
    def _check(self) -> Self:
        make_classes(self.class_names)
        self.mirror.with_ids(self.class_names)
        find_protocol(self.protocol)
        if sum(REST in words for words in self.classes.values()) > 1:
            raise ValueError("more than one class takes `rest`")
        greys = self.layout.greys if isinstance(self.layout, Pairs) else {}
        unnamed = sorted({*greys} - {*self.source, UNLABELLED})
        if unnamed:
            raise ValueError(f"greys has {', '.join(unnamed)}, which source does not have")
        for name, split in self.splits.items():
            unused = sorted(split.model_fields_set - set(Split.EVERYWHERE) - set(self.layout.split_fields))
            if unused:
                raise ValueError(f"split {name}: the layout {self.layout.kind} has no use for {', '.join(unused)}")
            unknown = sorted(set(split.unlearned) - set(self.source))
            if unknown:
                raise ValueError(f"split {name}: unlearned names {', '.join(unknown)}, which source does not have")
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their ids."""
        return tuple(self.classes) or self.source

    @property
    def infos(self) -> tuple[ClassInfo, ...]:
        """The classes with the house's colours."""
        return make_classes(self.class_names)

    @property
    def merge(self) -> Merge:
        """From the dataset's names to the classes."""
        return Merge(self.classes or {name: (name,) for name in self.source})

    @property
    def scored_by(self) -> Protocol:
        """The protocol."""
        return find_protocol(self.protocol)

    @property
    def flips(self) -> Mirror:
        """The mirror rule, with class ids."""
        return self.mirror.with_ids(self.class_names)

    def split(self, name: str) -> Split:
        """The split called `name`.

        Raises:
            UsageError: none is called so; names them all.
        """
        if name not in self.splits:
            hint = nearest(name, list(self.splits))
            raise UsageError(f"{self.name} has no split {name!r}; use one of {', '.join(self.splits)}{hint}")
        return self.splits[name]

    def tree(self, folder: str | Path) -> Tree:
        """The dataset's files.

        Raises:
            UsageError: there is no such folder, or nothing of the dataset in it; says where it is had.
        """
        anchors = self.layout.anchors(list(self.splits.values()))
        try:
            return Tree(folder, self.roots, anchors)
        except UsageError as error:
            raise UsageError(f"{error}; how to get {self.name}: {self.get}") from error


class _File(Strict):
    """A file of declarations: `common` holds what all of its benchmarks have, which a benchmark's own lines replace."""

    common: dict[str, Any] = Field(default_factory=dict)
    benchmarks: dict[str, dict[str, Any]] = Field(min_length=1)


def read_declarations(path: str | Path) -> dict[str, Benchmark]:
    """The benchmarks of a YAML file, by name.

    Raises:
        UsageError: not there, not YAML, or not a declaration; names the first problem.
    """
    path = Path(path)
    try:
        file = _validated(_File, load_yaml(path.read_bytes()), str(path))
    except (OSError, Malformed) as error:
        raise UsageError(f"{path} cannot be read as YAML ({' '.join(str(error).split())[:200]})") from error
    return {
        name: _validated(Benchmark, file.common | own | {"name": name}, f"{path}: {name}")
        for name, own in file.benchmarks.items()
    }


def _validated(model: type[Model], lines: Any, place: str) -> Model:
    try:
        return model.model_validate(lines)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise UsageError(
            f"{place} is no declaration of a benchmark ({where + ': ' * bool(where)}{problem['msg']})"
        ) from error
    except UsageError as error:  # of a protocol, class or mirror pair that is not there
        raise UsageError(f"{place}: {error}") from error


@functools.cache
def shipped() -> dict[str, Benchmark]:
    """Every benchmark that ships, by name."""
    found: dict[str, Benchmark] = {}
    for path in sorted(DECLARATIONS.glob("*.yaml")):
        found |= read_declarations(path)
    return found


def find_benchmark(name: str) -> Benchmark:
    """The benchmark called `name`, or the one in a YAML file: FILE.yaml, or FILE.yaml:NAME where it has several.

    Raises:
        UsageError: none is called so; names the nearest.
    """
    path, _, own = name.partition(".yaml")
    if own or name.endswith(".yaml"):
        found = read_declarations(f"{path}.yaml")
        chosen = own.removeprefix(":") or next(iter(found))
        if chosen not in found or (not own and len(found) > 1):
            raise UsageError(f"{path}.yaml has {', '.join(found)}; give {path}.yaml:NAME")
        return found[chosen]
    if name not in shipped():
        hint = nearest(name.lower(), list(shipped()))
        raise UsageError(f"there is no benchmark {name!r}; `gannotate data benchmarks` lists them{hint}")
    return shipped()[name]
