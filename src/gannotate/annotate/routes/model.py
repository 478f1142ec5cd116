"""What the model that learns along says of a picture, and tools that ask generator or picture."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import numpy as np
from fastapi import FastAPI, Query, Response

from gannotate.annotate.live import Live
from gannotate.annotate.routes.answers import MOST_PIXEL, LiveInfo, Place, Seed, known, raw, raw_answer
from gannotate.annotate.store import Store
from gannotate.annotate.superpixels import SMALLEST_PX, Superpixels


def add_model(app: FastAPI, store: Store, live: Live) -> None:
    """Adds what the model, the generator and the superpixels say of a picture."""

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
        responses=raw(
            "Of every pixel the class id, then of every pixel the uncertainty (0 certain, 255 no idea), then of every "
            "pixel the probability of that class (255 certain)."
        )
        | {204: {"description": "There is no model yet."}},
    )
    def guess(seed: Seed) -> Response:
        """The model's labels of a picture, and how sure it is of them."""
        known(store, seed)
        found = live.guess(seed)
        if found is None:
            return Response(status_code=204)
        return raw_answer(np.stack([found.labels, found.uncertainty, found.confidence]), {"X-Model": str(found.model)})

    @app.get(
        "/api/pictures/{seed}/similarity",
        response_class=Response,
        responses=raw("How like the pixel (x, y) every pixel is, 0 to 255."),
    )
    def similarity(seed: Seed, x: Place, y: Place) -> Response:
        """The similarity wand, in the generator's features."""
        known(store, seed)
        return raw_answer(live.alike(seed, x, y), {})

    patches = Superpixels(store)

    @app.get(
        "/api/pictures/{seed}/superpixels",
        response_class=Response,
        responses=raw("The number of every pixel's superpixel, 4 bytes each, the lowest first."),
    )
    def superpixels(seed: Seed, side: Annotated[int, Query(ge=SMALLEST_PX, lt=MOST_PIXEL)]) -> Response:
        """Patches of alike colour, about `side` px wide."""
        known(store, seed)
        return raw_answer(patches.of(seed, side).astype("<u4"), {})
