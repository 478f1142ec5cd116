"""Long work from the page: writing a dataset, training a segmenter, seeing what that says."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from gannotate.annotate.jobs import Busy, Jobs, JobState, Part, dataset_parts, labelled_parts, segmenter_parts
from gannotate.annotate.predictions import Predictions
from gannotate.annotate.routes.answers import (
    DatasetOrder,
    JobInfo,
    Message,
    Seed,
    SegmenterOrder,
    WorkInfo,
    known,
    raw,
    raw_answer,
)
from gannotate.annotate.store import Store
from gannotate.errors import UsageError

BUSY: dict[int | str, dict[str, Any]] = {409: {"model": Message, "description": "A job runs already."}}

MOST_PICTURE_BYTES = 1 << 23
"""Bytes of a picture file that the page sends to have it labelled."""


def add_work(app: FastAPI, store: Store, jobs: Jobs, predictions: Predictions) -> None:
    """Adds `/api/work` and what the segmenter predicts."""

    @app.exception_handler(Busy)
    async def busy(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, 409)

    @app.get("/api/work")
    def work() -> WorkInfo:
        """The job that runs or ran last, and what was made so far."""
        dataset = store.project.newest("datasets")
        return WorkInfo(
            job=_info(jobs.state), dataset=dataset.name if dataset is not None else None, segmenter=predictions.newest
        )

    @app.post("/api/work/dataset", responses=BUSY)
    def write_dataset(order: DatasetOrder) -> JobInfo:
        """Fits a decoder to the labels, if there is none of them yet, and writes a dataset with it."""
        return _started(jobs.start("dataset", lambda: dataset_parts(store, order.count, order.decoder)))

    @app.post("/api/work/segmenter", responses=BUSY)
    def train_segmenter(order: SegmenterOrder) -> JobInfo:
        """Trains a segmenter from the newest dataset, or from the labelled pictures."""

        def parts() -> list[Part]:
            if order.source == "labels":
                return labelled_parts(store, order.architecture, order.steps)
            if store.project.newest("datasets") is None:
                raise UsageError("there is no dataset to learn from yet; write one first")
            return segmenter_parts(store.project, order.architecture, order.steps)

        return _started(jobs.start("segmenter", parts))

    @app.delete("/api/work")
    def cancel() -> WorkInfo:
        """Ends the job; the same order goes on where it was."""
        jobs.cancel()
        return work()

    @app.get("/api/pictures/{seed}/prediction", response_class=Response, responses=raw("Class ids."))
    def prediction(seed: Seed) -> Response:
        """What the newest segmenter says of a pool picture."""
        known(store, seed)
        name, label_map = predictions.of_pool(seed)
        return raw_answer(label_map, {"X-Segmenter": name})

    body = {"required": True, "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}

    @app.post(
        "/api/prediction",
        response_class=Response,
        responses=raw("Class ids, row by row; X-Width and X-Height say how many."),
        openapi_extra={"requestBody": body},
    )
    async def prediction_of(request: Request) -> Response:
        """What the newest segmenter says of any picture: the body is a picture file."""
        name, label_map = await run_in_threadpool(predictions.of, await request.body())
        height, width = label_map.shape
        return raw_answer(label_map, {"X-Segmenter": name, "X-Width": str(width), "X-Height": str(height)})


def _info(state: JobState | None) -> JobInfo | None:
    return None if state is None else _started(state)


def _started(state: JobState) -> JobInfo:
    known_fields = asdict(state)
    return JobInfo(**{name: known_fields[name] for name in JobInfo.model_fields})
