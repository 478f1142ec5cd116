"""The annotator's server: its page, and everything below /api/ that the page asks for.

Label maps travel as raw bytes, one a pixel, row by row: 262 kB at 512 px, nothing to parse. Their version is in the
header X-Version; a change names the version that it started from in X-Base-Version.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Header, Query, Request, Response
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from gannotate import __version__
from gannotate.annotate.access import Access, Guard
from gannotate.annotate.live import Live
from gannotate.annotate.store import Mark, StaleVersion, Started, Store
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import IGNORE
from gannotate.project_config import ClassEntry

STATIC = Path(__file__).parent / "static"

SMALLEST_LIMIT = 1 << 16
"""Bytes that a request may have however small the pictures are: a list of 254 classes fits."""

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
    """What the page must know. identity: tells two projects of one name apart."""

    name: str
    identity: str
    size: int
    classes: Classes
    ignore: int
    gannotate: str


class PictureInfo(BaseModel):
    """One picture of the pool. labelled: part of its pixels that have a class, 0 to 1."""

    seed: int
    version: int
    labelled: float
    source: str
    mark: Mark | None


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


class LiveInfo(BaseModel):
    """The model: `model` counts its fits, 0 before the first; agreement: mIoU on pictures left out."""

    model: int
    busy: bool
    fit_s: float
    labelled: int
    agreement: float | None
    gain: float | None
    text: str
    error: str


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


def create_app(store: Store, live: Live, access: Access) -> FastAPI:
    """The application; `live` is started and stopped by the caller."""
    app = FastAPI(
        title="gannotate annotate",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        responses=REFUSALS,
    )
    app.add_middleware(Guard, access=access, most_bytes=max(SMALLEST_LIMIT, store.project.config.size**2))
    app.add_exception_handler(GannotateError, _refuse)
    app.add_exception_handler(RequestValidationError, _invalid)
    _add_page(app, access)
    _add_project(app, store, live)
    _add_pictures(app, store, live)
    _add_model(app, store, live)
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, StaleVersion):
        more = {"version": error.current, "recovery": f"annotations/recovery/{error.recovery.name}"}
        return JSONResponse({"detail": str(error), **more}, 409)
    if isinstance(error.__cause__, OSError):
        return JSONResponse({"detail": str(error)}, 507)
    return JSONResponse({"detail": str(error)}, 400)


async def _invalid(request: Request, error: Exception) -> Response:
    """One sentence, without the request's own bytes: those need not be text."""
    assert isinstance(error, RequestValidationError)
    problems = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
    text = f"the request does not fit: {'; '.join(problems[:3])}"
    return JSONResponse({"detail": text.encode("ascii", "backslashreplace").decode()}, 422)


def _add_page(app: FastAPI, access: Access) -> None:
    @app.get("/", include_in_schema=False)
    def page(token: str | None = None) -> Response:
        if token is None:
            return FileResponse(STATIC / "index.html")
        session = access.exchange(token)
        if session is None:
            return FileResponse(STATIC / "spent.html", 403)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(access.cookie, session, httponly=True, samesite="strict", path="/")
        return answer

    app.mount("/static", StaticFiles(directory=STATIC), name="static")


def _add_project(app: FastAPI, store: Store, live: Live) -> None:
    @app.get("/api/project")
    def project() -> ProjectInfo:
        """The project's name, picture size and classes."""
        config = store.project.config
        return ProjectInfo(
            name=config.name,
            identity=_identity(store),
            size=config.size,
            classes=_classes(store),
            ignore=IGNORE,
            gannotate=__version__,
        )

    @app.get("/api/classes")
    def classes() -> Classes:
        """The classes."""
        return _classes(store)

    @app.put("/api/classes", responses={409: {"model": Message, "description": "Changed elsewhere."}})
    def change_classes(given: Classes) -> Classes:
        """Renames, recolours or adds classes; none can be removed, because a class's place is its id."""
        if given.version != store.classes_version():
            raise _Conflict("the classes were changed elsewhere; reload the page to see them")
        store.change_classes([ClassEntry(name=item.name, colour=item.colour) for item in given.classes], given.version)
        live.request()
        return _classes(store)

    @app.exception_handler(_Conflict)
    async def conflict(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, 409)

    @app.exception_handler(_Missing)
    async def missing(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, 404)

    @app.get("/api/pictures")
    def pictures() -> list[PictureInfo]:
        """Every picture of the pool, by seed."""
        sources = {one.seed: one.source for one in store.project.annotations()}
        marks, labelled = store.marks(), store.labelled()
        return [
            PictureInfo(
                seed=seed,
                version=store.history.head(seed),
                labelled=labelled.get(seed, 0.0),
                source=sources.get(seed, "none"),
                mark=marks.get(seed),
            )
            for seed in store.seeds()
        ]

    @app.get("/api/next")
    def next_picture(after: Annotated[int | None, Query(ge=0, lt=2**32)] = None) -> Next:
        """The picture that is worth labelling next, other than `after`."""
        return Next(seed=live.next_picture(after))


def _add_pictures(app: FastAPI, store: Store, live: Live) -> None:
    @app.get("/api/pictures/{seed}/image", responses={200: {"content": {"image/png": {}}}})
    def image(seed: Seed) -> Response:
        """The picture, PNG."""
        _known(store, seed)
        return Response(store.project.pool_picture_path(seed).read_bytes(), media_type="image/png")

    @app.get("/api/pictures/{seed}/labels", response_class=Response, responses=raw("Class ids, 255 = not labelled."))
    def labels(seed: Seed) -> Response:
        """The newest label map; version 0 is an empty one."""
        _known(store, seed)
        saved = store.load(seed)
        return _raw(saved.label_map, {"X-Version": str(saved.version), "X-Source": saved.source})

    body = {"required": True, "content": {RAW: {"schema": {"type": "string", "format": "binary"}}}}

    @app.put(
        "/api/pictures/{seed}/labels",
        openapi_extra={"requestBody": body},
        responses={409: {"model": Stale, "description": "Changed elsewhere; the refused map was kept."}},
    )
    async def save(
        request: Request,
        seed: Seed,
        x_base_version: Annotated[int, Header(ge=0, lt=10**6)],
        x_started: Annotated[Started, Header()] = "blank",
        x_editor: Annotated[str, Header(max_length=64)] = "",
    ) -> SavedVersion:
        """Saves a label map, raw bytes as they are read."""
        data, size = await request.body(), store.project.config.size
        _known(store, seed)
        if len(data) != size**2:
            raise UsageError(f"{len(data)} bytes were sent; a label map of this project has {size**2}, one a pixel")
        label_map = np.frombuffer(data, np.uint8).reshape(size, size)
        version = await run_in_threadpool(store.save, seed, label_map, x_base_version, x_started, x_editor)
        live.request()
        return SavedVersion(version=version)

    @app.get("/api/pictures/{seed}/history")
    def history(seed: Seed) -> History:
        """Which versions are kept."""
        _known(store, seed)
        return History(versions=store.history.versions(seed))

    @app.get("/api/pictures/{seed}/history/{version}", response_class=Response, responses=raw("Class ids."))
    def old_version(seed: Seed, version: Version) -> Response:
        """An older label map."""
        _known(store, seed)
        if version not in store.history.versions(seed):
            raise _Missing(f"version {version} of picture {seed} is not kept")
        return _raw(store.version(seed, version), {"X-Version": str(version)})

    @app.put("/api/pictures/{seed}/mark")
    def mark(seed: Seed, marking: Marking) -> Marking:
        """Puts a picture aside (skip), or to the end (unsure), or takes that back."""
        _known(store, seed)
        store.mark(seed, marking.mark)
        return marking


def _add_model(app: FastAPI, store: Store, live: Live) -> None:
    @app.get("/api/live")
    def state() -> LiveInfo:
        """How the model is doing."""
        now = live.state
        known = asdict(now.judgement)
        return LiveInfo(
            model=now.model,
            busy=now.busy,
            fit_s=now.fit_s,
            labelled=known["pictures"],
            agreement=known["agreement"],
            gain=known["gain"],
            text=now.judgement.as_text(),
            error=now.error,
        )

    @app.get(
        "/api/pictures/{seed}/guess",
        response_class=Response,
        responses=raw("Class ids of every pixel, then the uncertainty of every pixel (0 certain, 255 no idea).")
        | {204: {"description": "There is no model yet."}},
    )
    def guess(seed: Seed) -> Response:
        """The model's labels of a picture, and how unsure it is of them."""
        _known(store, seed)
        found = live.guess(seed)
        if found is None:
            return Response(status_code=204)
        return _raw(np.stack([found.labels, found.uncertainty]), {"X-Model": str(found.model)})

    @app.get(
        "/api/pictures/{seed}/similarity",
        response_class=Response,
        responses=raw("How like the pixel (x, y) every pixel is, 0 to 255."),
    )
    def similarity(seed: Seed, x: Place, y: Place) -> Response:
        """The similarity wand, in the generator's features."""
        _known(store, seed)
        return _raw(live.alike(seed, x, y), {})


class _Conflict(GannotateError):
    """Answered with 409."""


class _Missing(GannotateError):
    """Answered with 404."""


def _known(store: Store, seed: int) -> None:
    try:
        store.check_seed(seed)
    except UsageError as error:
        raise _Missing(str(error)) from error


def _identity(store: Store) -> str:
    told = f"{store.project.folder.resolve()} {store.project.config.created}"
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _classes(store: Store) -> Classes:
    items = [ClassItem(name=item.name, colour=item.colour) for item in store.project.config.classes]
    return Classes(version=store.classes_version(), classes=items)


def _raw(values: np.ndarray, headers: dict[str, str]) -> Response:
    return Response(values.tobytes(), media_type=RAW, headers=headers | {"Cache-Control": "no-store"})
