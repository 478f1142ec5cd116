"""One picture: its pixels, its labels and their versions, whether it was put aside."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import numpy as np
from fastapi import FastAPI, Header, Request, Response
from starlette.concurrency import run_in_threadpool

from gannotate.annotate.live import Live
from gannotate.annotate.routes.answers import (
    RAW,
    History,
    Marking,
    Missing,
    SavedVersion,
    Seed,
    Stale,
    Version,
    known,
    raw,
    raw_answer,
)
from gannotate.annotate.store import Started, Store
from gannotate.errors import UsageError


def add_pictures(app: FastAPI, store: Store, live: Live) -> None:
    """Adds what is asked of one picture and its labels."""

    @app.get("/api/pictures/{seed}/image", responses={200: {"content": {"image/png": {}}}})
    def image(seed: Seed) -> Response:
        """The picture, PNG."""
        known(store, seed)
        return Response(store.project.pool_picture_path(seed).read_bytes(), media_type="image/png")

    @app.get("/api/pictures/{seed}/labels", response_class=Response, responses=raw("Class ids, 255 = not labelled."))
    def labels(seed: Seed) -> Response:
        """The newest label map; version 0 is an empty one.

        X-Trouble says, percent-encoded, why the one that is there cannot be read: then it is an empty one.
        """
        known(store, seed)
        saved = store.look(seed)
        headers = {"X-Version": str(saved.version), "X-Source": saved.source, "X-Trouble": quote(saved.trouble)}
        return raw_answer(saved.label_map, headers)

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
        known(store, seed)
        if len(data) != size**2:
            raise UsageError(f"{len(data)} bytes were sent; a label map of this project has {size**2}, one a pixel")
        label_map = np.frombuffer(data, np.uint8).reshape(size, size)
        version = await run_in_threadpool(store.save, seed, label_map, x_base_version, x_started, x_editor)
        live.request()
        return SavedVersion(version=version)

    @app.get("/api/pictures/{seed}/history")
    def history(seed: Seed) -> History:
        """Which versions are kept."""
        known(store, seed)
        return History(versions=store.history.versions(seed))

    @app.get("/api/pictures/{seed}/history/{version}", response_class=Response, responses=raw("Class ids."))
    def old_version(seed: Seed, version: Version) -> Response:
        """An older label map."""
        known(store, seed)
        if version not in store.history.versions(seed):
            raise Missing(f"version {version} of picture {seed} is not kept")
        return raw_answer(store.version(seed, version), {"X-Version": str(version)})

    @app.put("/api/pictures/{seed}/mark")
    def mark(seed: Seed, marking: Marking) -> Marking:
        """Puts a picture aside (skip), or to the end (unsure), or takes that back."""
        known(store, seed)
        store.mark(seed, marking.mark)
        return marking
