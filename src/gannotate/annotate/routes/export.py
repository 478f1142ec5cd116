"""The labels as files that other programs read."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Response
from pydantic import BaseModel

from gannotate.annotate.export import NAMES, export_zip
from gannotate.annotate.routes.answers import Missing
from gannotate.annotate.store import Store
from gannotate.data.formats.build import FORMATS, FormatName

ZIP = "application/zip"


class FormatInfo(BaseModel):
    """A format, and a line about it."""

    name: str
    about: str


def add_export(app: FastAPI, store: Store) -> None:
    """Adds `/api/export`."""

    @app.get("/api/export")
    def formats() -> list[FormatInfo]:
        """The formats on offer."""
        return [FormatInfo(name=name, about=FORMATS[name][1]) for name in NAMES]

    binary: dict[int | str, dict[str, Any]] = {
        200: {"description": "A zip.", "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}}}
    }

    @app.get("/api/export/{format}", response_class=Response, responses=binary)
    def export(format: str) -> Response:
        """Every labelled picture with its labels, as a zip; X-Told says what the format could not hold."""
        name: FormatName | None = next((known for known in NAMES if known == format), None)
        if name is None:
            raise Missing(f"there is no format {format!r}; there are {', '.join(NAMES)}")
        data, told = export_zip(store, name)
        file = f"{store.project.folder.resolve().name}-{name}.zip".replace('"', "_")
        headers = {
            "Content-Disposition": _plain(f'attachment; filename="{file}"'),
            "X-Told": _plain(" ".join(told)),
            "Cache-Control": "no-store",
        }
        return Response(data, media_type=ZIP, headers=headers)


def _plain(text: str) -> str:
    """A header holds printable ASCII only, and a project's folder may be called anything."""
    return "".join(sign if sign.isascii() and sign.isprintable() else "_" for sign in text)
