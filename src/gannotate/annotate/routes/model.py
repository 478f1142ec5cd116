"""What the model that learns along says of a picture, and tools that ask generator or picture."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import numpy as np
from fastapi import FastAPI, Query, Response

from gannotate.annotate.live import Live
from gannotate.annotate.predictions import Predictions
from gannotate.annotate.routes.answers import MOST_PIXEL, CurvePoint, LiveInfo, Place, Seed, known, raw, raw_answer
from gannotate.annotate.store import Store
from gannotate.annotate.superpixels import SMALLEST_PX, Superpixels
from gannotate.project import is_real

NO_GENERATOR = "Without a generator no model learns while you label."


def add_model(app: FastAPI, store: Store, live: Live, predictions: Predictions) -> None:
    """Adds what the model, the generator and the superpixels say of a picture."""

    @app.get("/api/live")
    def state() -> LiveInfo:
        """How the model is doing."""
        now, newest = live.state, predictions.newest
        known = asdict(now.judgement)
        return LiveInfo(
            model=now.model,
            segmenter=int(newest[:4]) if newest else 0,
            curve=[CurvePoint(labelled=labelled, miou=miou) for labelled, miou in known["curve"]],
            by_class=known["by_class"],
            busy=now.busy,
            fit_s=now.fit_s,
            labelled=known["pictures"],
            agreement=known["agreement"],
            gain=known["gain"],
            text=now.judgement.as_text() if live.generator is not None else _without_generator(newest),
            error=now.error,
        )

    @app.get(
        "/api/pictures/{seed}/guess",
        response_class=Response,
        responses=raw(
            "Of every pixel the class id, then of every pixel the uncertainty (0 certain, 255 no idea), then of every "
            "pixel the probability of that class (255 certain)."
        )
        | {204: {"description": "There is no model yet; for a real picture: no segmenter."}},
    )
    def guess(seed: Seed) -> Response:
        """The model's labels of a picture, and how sure it is of them; of a real one the newest segmenter's."""
        known(store, seed)
        found = predictions.guess(seed) if is_real(seed) else live.guess(seed)
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


def _without_generator(segmenter: str | None) -> str:
    """What the page says of a project of real pictures only."""
    if segmenter is None:
        return f"{NO_GENERATOR} Label some pictures, then train a segmenter from them: it guesses the others."
    return f"{NO_GENERATOR} Segmenter {segmenter} guesses pictures without labels; train a new one after more labels."
