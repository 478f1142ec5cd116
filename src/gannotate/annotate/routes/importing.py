"""Labels that come in through the page: the same readers and rules as `gannotate data import`."""

from __future__ import annotations

import tempfile
import threading
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, Request
from starlette.concurrency import run_in_threadpool

from gannotate.annotate.importing import Importer, parse_map
from gannotate.annotate.live import Live
from gannotate.annotate.routes.answers import Imported
from gannotate.annotate.store import Store
from gannotate.data.formats.base import Blended
from gannotate.data.formats.build import FormatName, load_format
from gannotate.data.formats.files import Files
from gannotate.errors import GannotateError
from gannotate.files import DiskError

MOST_IMPORT_BYTES = 1 << 26
"""Bytes of a zip or mask that the page sends; `gannotate data import` takes larger ones."""


def add_import(app: FastAPI, store: Store, live: Live) -> None:
    """Adds `/api/import`."""
    one_at_a_time = threading.Lock()

    def bring(data: bytes, file: str, format: FormatName, make: Callable[[], Importer], blended: Blended) -> Imported:
        kind = load_format(format)
        with one_at_a_time, tempfile.TemporaryDirectory() as folder:
            # it looks at the labels that are there: not before another import has written its own
            importer = make()
            path = Path(folder) / file
            path.write_bytes(data)
            try:
                single = zipfile.is_zipfile(path) or path.suffix.lower() in kind.single
                entries = kind.read(Files(path if single else folder, kind.single), importer.options(blended))
                plan = importer.plan(entries, file)
                seeds = list(importer.carry_out(plan, {"format": format, "from": file}))
            except GannotateError as error:
                # the person knows the file by its name, and not where it lies on this machine
                told = str(error).replace(f"{folder}/", "").replace(folder, file)
                raise (DiskError(told) if isinstance(error, DiskError) else GannotateError(told)) from error.__cause__
        live.request()
        pictures = sum(one.seed is None for one in plan.taken)
        return Imported(imported=len(seeds), pictures=pictures, unchanged=plan.same, notes=list(plan.notes))

    body = {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }

    @app.post("/api/import", openapi_extra={"requestBody": body})
    async def import_labels(
        request: Request,
        name: Annotated[str, Query(min_length=1, max_length=200, description="The file's name.")],
        format: FormatName,
        map: Annotated[list[str] | None, Query(max_length=300, description="OLD=NEW, as `--map` has it.")] = None,
        replace: bool = False,
        crop: bool = False,
        blended: Blended = "refuse",
    ) -> Imported:
        """Takes label maps in: the body is a zip in that format, one of its JSON files, or one mask."""
        make = partial(Importer, store.project, parse_map(map or []), replace, crop, store)
        return await run_in_threadpool(bring, await request.body(), safe_file(name), format, make, blended)


def safe_file(name: str) -> str:
    """A file's name without folders, and with nothing in it that a file system could take for more than a name."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1].lstrip(".")
    return (
        "".join(sign if sign.isprintable() else "_" for sign in last).encode()[:200].decode(errors="ignore") or "labels"
    )
