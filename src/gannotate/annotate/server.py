"""The annotator's server: its page, and everything below /api/ that the page asks for (see routes/).

Label maps travel as raw bytes, one a pixel, row by row: 262 kB at 512 px, nothing to parse. Their version is in the
header X-Version; a change names the version that it started from in X-Base-Version.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from gannotate import __version__
from gannotate.annotate.access import Access, Guard
from gannotate.annotate.jobs import Jobs
from gannotate.annotate.live import Live
from gannotate.annotate.predictions import Predictions
from gannotate.annotate.routes.answers import REFUSALS
from gannotate.annotate.routes.export import add_export
from gannotate.annotate.routes.importing import MOST_IMPORT_BYTES, add_import
from gannotate.annotate.routes.model import add_model
from gannotate.annotate.routes.pictures import add_pictures
from gannotate.annotate.routes.project import add_project
from gannotate.annotate.routes.work import MOST_PICTURE_BYTES, add_work
from gannotate.annotate.store import StaleVersion, Store
from gannotate.errors import GannotateError
from gannotate.files import DiskError

STATIC = Path(__file__).parent / "static"

SMALLEST_LIMIT = 1 << 16
"""Bytes that a request may have however small the pictures are: a list of 254 classes fits."""


def create_app(store: Store, live: Live, access: Access, jobs: Jobs | None = None) -> FastAPI:
    """The application; `live` is started and stopped, and `jobs` stopped, by the caller."""
    app = FastAPI(
        title="gannotate annotate",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        responses=REFUSALS,
    )
    app.add_middleware(
        Guard,
        access=access,
        most_bytes=max(SMALLEST_LIMIT, store.project.config.size**2),
        larger={"/api/prediction": MOST_PICTURE_BYTES, "/api/import": MOST_IMPORT_BYTES},
    )
    app.add_exception_handler(GannotateError, _refuse)
    app.add_exception_handler(RequestValidationError, _invalid)
    _add_page(app, access)
    add_project(app, store, live)
    add_pictures(app, store, live)
    predictions = Predictions(store)
    add_model(app, store, live, predictions)
    add_work(app, store, jobs or Jobs(), predictions)
    add_export(app, store)
    add_import(app, store, live)
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, StaleVersion):
        more = {"version": error.current, "recovery": f"annotations/recovery/{error.recovery.name}"}
        return JSONResponse({"detail": str(error), **more}, 409)
    if isinstance(error, DiskError):
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
