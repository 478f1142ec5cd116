"""The project, its classes, and the list of its pictures."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse

from gannotate import __version__
from gannotate.annotate.live import Live
from gannotate.annotate.routes.answers import (
    Classes,
    Conflict,
    Message,
    Missing,
    Next,
    PictureInfo,
    ProjectInfo,
    classes_of,
    identity,
)
from gannotate.annotate.store import Store
from gannotate.labels import IGNORE
from gannotate.project import Project, is_real
from gannotate.project_config import ClassEntry


def add_project(app: FastAPI, store: Store, live: Live) -> None:
    """Adds `/api/project`, `/api/classes`, `/api/pictures` and `/api/next`."""

    @app.get("/api/project")
    def project() -> ProjectInfo:
        """The project's name, picture size and classes."""
        config = store.project.config
        return ProjectInfo(
            name=name_of(store.project),
            identity=identity(store),
            generates=live.generator is not None,
            size=config.size,
            classes=classes_of(store),
            ignore=IGNORE,
            gannotate=__version__,
        )

    @app.get("/api/classes")
    def classes() -> Classes:
        """The classes."""
        return classes_of(store)

    @app.put("/api/classes", responses={409: {"model": Message, "description": "Changed elsewhere."}})
    def change_classes(given: Classes) -> Classes:
        """Renames, recolours or adds classes; none can be removed, because a class's place is its id."""
        if given.version != store.classes_version():
            raise Conflict("the classes were changed elsewhere; reload the page to see them")
        store.change_classes([ClassEntry(name=item.name, colour=item.colour) for item in given.classes], given.version)
        live.request()
        return classes_of(store)

    @app.exception_handler(Conflict)
    async def conflict(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, 409)

    @app.exception_handler(Missing)
    async def missing(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, 404)

    @app.get("/api/pictures")
    def pictures() -> list[PictureInfo]:
        """Every picture of the pool, by seed."""
        sources, marks = store.sources(), store.marks()
        labelled, unreadable = store.labelled(), store.unreadable()
        return [
            PictureInfo(
                seed=one.seed,
                name=one.name,
                real=is_real(one.seed),
                version=store.history.head(one.seed),
                labelled=labelled.get(one.seed, 0.0),
                source=sources.get(one.seed, "none"),
                mark=marks.get(one.seed),
                trouble=unreadable.get(one.seed, ""),
            )
            for one in store.project.pool("any")
        ]

    @app.get("/api/next")
    def next_picture(after: Annotated[int | None, Query(ge=0, lt=2**32)] = None) -> Next:
        """The picture that is worth labelling next, other than `after`."""
        return Next(seed=live.next_picture(after))


def name_of(project: Project) -> str:
    """What the page calls a project: its name, with the folder's where that is another, as of a copy."""
    name, folder = project.config.name, project.folder.resolve().name
    return name if name == folder else f"{name} in {folder}"
