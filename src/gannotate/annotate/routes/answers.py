"""What requests and answers look like: the models that OpenAPI shows, and answers of raw bytes."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import Path as InPath
from fastapi import Query, Response
from pydantic import BaseModel, ConfigDict, Field

from gannotate.annotate.jobs import Kind, Status
from gannotate.annotate.store import Mark, Store
from gannotate.errors import GannotateError, UsageError

MOST_PIXEL = 1 << 16

RAW = "application/octet-stream"

Seed = Annotated[int, InPath(ge=0, lt=2**32, description="The picture: its seed.")]
Version = Annotated[int, InPath(ge=1, lt=10**6)]
Place = Annotated[int, Query(ge=0, lt=MOST_PIXEL)]


class Message(BaseModel):
    """Why a request was refused."""

    detail: str


class Stale(Message):
    """A save that started from an old version. version: the newest one; recovery: file that keeps the refused map."""

    version: int
    recovery: str


class ClassItem(BaseModel):
    """One class."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=80)
    colour: tuple[
        Annotated[int, Field(ge=0, le=255)], Annotated[int, Field(ge=0, le=255)], Annotated[int, Field(ge=0, le=255)]
    ]


class Classes(BaseModel):
    """The classes in the order of their ids, and the version of project.yaml that they are from."""

    model_config = ConfigDict(extra="forbid")
    version: str = Field(max_length=64)
    classes: list[ClassItem] = Field(min_length=2, max_length=254)


class ProjectInfo(BaseModel):
    """What the page must know. identity: tells two projects of one name apart. generates: it has a generator."""

    name: str
    identity: str
    generates: bool
    size: int
    classes: Classes
    ignore: int
    gannotate: str


class PictureInfo(BaseModel):
    """One picture of the pool. name: its seed, or what a real one is called. labelled: part of its pixels, 0 to 1.

    trouble: why its label map cannot be read, and what to do; nothing where it can, or where there is none.
    """

    seed: int
    name: str
    real: bool
    version: int
    labelled: float
    source: str
    mark: Mark | None
    trouble: str


class SavedVersion(BaseModel):
    """A save that was taken."""

    version: int


class Marking(BaseModel):
    """skip, unsure, or nothing."""

    model_config = ConfigDict(extra="forbid")
    mark: Mark | None


class Next(BaseModel):
    """The picture to label next; none when all are labelled or skipped."""

    seed: int | None


class CurvePoint(BaseModel):
    """mIoU on pictures left out, when so many labelled ones taught."""

    labelled: int
    miou: float


class LiveInfo(BaseModel):
    """The model: `model` counts its fits, 0 before the first; agreement: mIoU on pictures left out.

    by_class: IoU of each class there. segmenter: number of the one that guesses real pictures, 0 without one.
    """

    model: int
    segmenter: int
    curve: list[CurvePoint]
    by_class: list[float | None]
    busy: bool
    fit_s: float
    labelled: int
    agreement: float | None
    gain: float | None
    text: str
    error: str


class DatasetOrder(BaseModel):
    """A dataset to write. count: pictures; decoder: what labels them, fitted anew when labels changed."""

    model_config = ConfigDict(extra="forbid")
    count: int = Field(default=2000, ge=1, le=10**6)
    decoder: Literal["light", "linear"] = "light"


class SegmenterOrder(BaseModel):
    """A segmenter to train, from the newest dataset or from the labelled pictures themselves."""

    model_config = ConfigDict(extra="forbid")
    source: Literal["dataset", "labels"] = "dataset"
    architecture: Literal["unet", "unet-mobile", "lraspp"] = "unet"
    steps: int = Field(default=1000, ge=1, le=10**6)


class JobInfo(BaseModel):
    """A job that runs or ran. done of steps in its part at hand; eta_s: seconds left of that part."""

    number: int
    kind: Kind
    status: Status
    part: int
    parts: int
    title: str
    done: int
    steps: int
    seconds: float
    eta_s: float | None
    error: str


class WorkInfo(BaseModel):
    """The job of this session, and the newest finished dataset and segmenter by name."""

    job: JobInfo | None
    dataset: str | None
    segmenter: str | None


class Imported(BaseModel):
    """What an import brought. pictures: new real ones; unchanged: label maps that were there; notes: worth knowing."""

    imported: int
    pictures: int
    unchanged: int
    notes: list[str]


class History(BaseModel):
    """Kept versions of a picture, oldest first."""

    versions: list[int]


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Message, "description": "The request cannot be carried out."},
    401: {"model": Message, "description": "No session."},
    403: {"model": Message, "description": "Sent by another page."},
    404: {"model": Message, "description": "No such picture or version."},
    413: {"model": Message, "description": "Too many bytes."},
    422: {"model": Message, "description": "A value that does not fit."},
    507: {"model": Message, "description": "It could not be written; nothing changed."},
}


def raw(description: str) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of an answer of raw bytes, one or more a pixel."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": description, "content": {RAW: binary}}}


class Conflict(GannotateError):
    """Answered with 409."""


class Missing(GannotateError):
    """Answered with 404."""


def known(store: Store, seed: int) -> None:
    """Raises Missing when the pool has no picture of this seed."""
    try:
        store.check_seed(seed)
    except UsageError as error:
        raise Missing(str(error)) from error


def identity(store: Store) -> str:
    """Tells this project from others of its name, in what a browser keeps."""
    told = f"{store.project.folder.resolve()} {store.project.config.created}"
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def classes_of(store: Store) -> Classes:
    """The classes as they are now."""
    items = [ClassItem(name=item.name, colour=item.colour) for item in store.project.config.classes]
    return Classes(version=store.classes_version(), classes=items)


def raw_answer(values: np.ndarray, headers: dict[str, str]) -> Response:
    """An answer of an array's bytes, row by row."""
    return Response(values.tobytes(), media_type=RAW, headers=headers | {"Cache-Control": "no-store"})
