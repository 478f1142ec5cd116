"""What a project keeps of each picture: where it comes from, and where its labels come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, TypeAdapter

from gannotate.errors import GannotateError

Source = Literal["generated", "real", "any"]
"""Which pictures: those that the generator drew, those that came from files, or both."""

FIRST_REAL = 4_000_000_001
"""Number of a project's first real picture, the others follow; seeds end below. All fit into 32 bits, as seeds do."""


def _file_name(name: str) -> str:
    """Raises ValueError when a name may not be that of a file in a given folder."""
    if not name.strip(". ") or {"/", "\\", "\0"} & set(name):
        raise ValueError("a name with folders in it, or none")
    return name


@dataclass(frozen=True)
class RealPicture:
    """Where a real picture of the pool comes from, and which part of it the pool shows.

    name: how label files call it, unique in the project and no number. file: its name in the folder or zip. sha256: of
    the file. width, height: its own size in px. left, top, side_px: the square of it that was scaled to the project's
    size.
    """

    name: Annotated[str, AfterValidator(_file_name)]
    file: str
    sha256: str
    width: int
    height: int
    left: int
    top: int
    side_px: int


@dataclass(frozen=True)
class PoolPicture:
    """A picture offered for labelling: its seed and how it was drawn (psi, cutoff, noise).

    A real one has a number from FIRST_REAL on for a seed, no options, and `real` says where it comes from.
    """

    seed: int
    options: dict[str, Any]
    real: RealPicture | None = None

    @property
    def name(self) -> str:
        """How label files call it: the seed, or the real picture's name."""
        return self.real.name if self.real else str(self.seed)

    def as_row(self) -> dict[str, Any]:
        """Its line in pool.jsonl."""
        if self.real is None:
            return {"seed": self.seed, "source": "generated", **self.options}
        return {"seed": self.seed, "source": "real", **asdict(self.real)}


REAL_FIELDS = tuple(item.name for item in fields(RealPicture))


def is_real(seed: int) -> bool:
    """Whether a picture's number is that of a real one: then no generator draws it."""
    return seed >= FIRST_REAL


def belongs(seed: int, source: Source) -> bool:
    """Whether a picture is one of the asked-for kind."""
    return source == "any" or is_real(seed) == (source == "real")


@dataclass(frozen=True)
class Annotation:
    """Where one annotation comes from. Its label map is annotations/SEED.png.

    source: `person`, `simulated` (a network trained on other labels), `exact` (a renderer), `imported` (from another
    tool's files, which do not tell who made them), or `unknown` for a file without a row. about: for a simulated one,
    which network, how many labels it saw and its own mIoU; for an imported one, its format and file.
    """

    seed: int
    source: str
    about: dict[str, Any] = field(default_factory=dict)
    saved: str = ""


def annotation_of(seed: int, row: Mapping[str, Any]) -> Annotation:
    """What a row of annotations.jsonl says.

    Raises:
        GannotateError: it has values of another kind.
    """
    source, about, saved = row["source"], row.get("about", {}), row.get("saved", "")
    if not (isinstance(source, str) and isinstance(about, dict) and isinstance(saved, str)):
        raise GannotateError(
            f"annotations.jsonl has a damaged row for picture {seed} (source, about or saved); mend or remove that line"
        )
    return Annotation(seed, source, about, saved)


def real_picture(row: Mapping[str, Any]) -> RealPicture:
    """Where the real picture of a row comes from.

    Raises:
        KeyError, pydantic.ValidationError: something is missing, or of another kind; files are called by the name.
    """
    return TypeAdapter(RealPicture).validate_python({name: row[name] for name in REAL_FIELDS})
