"""Requests to the annotator's server, straight into the application: no client checks or repairs them before."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np

from bench.fuzz.archives import packed
from bench.fuzz.target import Target
from bench.fuzz.targets.formats import written
from bench.fuzz.targets.pictures import CLASSES, noise, picture_files
from bench.fuzz.targets.projects import SIZE, make_project
from gannotate.annotate.access import Access
from gannotate.annotate.jobs import Jobs
from gannotate.annotate.live import Live
from gannotate.annotate.server import create_app
from gannotate.annotate.store import Store
from gannotate.data.writing import encode_picture
from gannotate.errors import GannotateError
from gannotate.labels import encode_label_map
from gannotate.project import FIRST_REAL

PORT = 8770

CANNOT = {507}
"""Server errors that say what happened: the disk takes no more."""

Message = dict[str, Any]


class ServerError(Exception):
    """An answer of 500 and more: what a client sees of a traceback."""


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """A request as the fuzzer changes it: a line, headers, an empty line, the body."""
    lines = [f"{method} {path}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\n".join(lines).encode() + b"\n\n" + body


def requests() -> dict[str, list[bytes]]:
    """What the page sends, by what the body is."""
    blank = bytes(SIZE * SIZE)
    ids = np.zeros((SIZE, SIZE), np.uint8)
    own = [("images/0.png", encode_picture(noise(SIZE, SIZE))), ("masks/0.png", encode_label_map(ids, CLASSES))]
    classes = [{"name": one.name, "colour": list(one.colour)} for one in CLASSES]
    imports = [
        request("POST", "/api/import?name=a.zip&format=palette&map=left%3Dright&replace=true", packed(own)),
        request("POST", "/api/import?name=0.png&format=palette&replace=1", encode_label_map(ids, CLASSES)),
        request("POST", "/api/import?name=b.zip&format=coco&crop=true", packed(list(written("coco").items()))),
        request("POST", "/api/import?name=x.json&format=coco", written("coco")["annotations/instances.json"]),
        request("POST", "/api/import?name=t.json&format=label-studio", written("label-studio")["tasks.json"]),
        request("POST", "/api/import?name=y.zip&format=yolo", packed(list(written("yolo").items()))),
        request("POST", "/api/import?name=v.zip&format=voc&blended=nearest", packed(list(written("voc").items()))),
        request("POST", "/api/import?name=n.zip&format=numpy", packed(list(written("numpy").items()))),
    ]
    texts = [
        request("PUT", "/api/classes", json.dumps({"version": "0" * 16, "classes": classes}).encode()),
        request("PUT", "/api/pictures/1/mark", b'{"mark": "skip"}'),
        request("POST", "/api/work/dataset", b'{"count": 3, "decoder": "light"}'),
        request("POST", "/api/work/segmenter", b'{"source": "labels", "architecture": "unet", "steps": 3}'),
    ]
    pages = (
        *(
            "/api/project",
            "/api/classes",
            "/api/pictures",
            "/api/next?after=0",
            "/api/live",
            "/api/work",
            "/api/export",
        ),
        *("/api/export/coco", "/api/pictures/0/labels", f"/api/pictures/{FIRST_REAL}/image", "/api/pictures/0/history"),
        *(
            "/api/pictures/0/history/1",
            "/api/pictures/0/guess",
            "/api/pictures/1/superpixels?x=3&y=4",
            "/",
            "/?token=x",
        ),
        *("/static/index.html", "/static/../../errors.py", "/api/openapi.json"),
    )
    reads = [request("GET", page) for page in pages]
    maps = [request("PUT", f"/api/pictures/{seed}/labels", blank, x_base_version="0", x_started="guess", x_editor="t")
            for seed in (0, 1, FIRST_REAL)]  # fmt: skip
    pictures = [request("POST", "/api/prediction", data) for some in picture_files().values() for data in some]
    return {"import": imports, "text": texts, "get": reads, "labels": maps, "picture": pictures}


class Asked:
    """The application of one project, and requests to it."""

    def __init__(self, project_folder: Path) -> None:
        project = make_project(project_folder)
        self.folder, self.kept = project.folder, project_folder.parent / "kept"
        shutil.copytree(self.folder, self.kept)
        self.access, self.loop = Access("127.0.0.1", PORT), asyncio.new_event_loop()
        self.jobs = Jobs(runner=(sys.executable, "-c", "pass"))
        self.reset()

    def reset(self) -> None:
        """A new application over the project as it was."""
        shutil.rmtree(self.folder)
        shutil.copytree(self.kept, self.folder)
        from gannotate.project import Project

        store = Store(Project.open(self.folder))
        self.app = create_app(store, Live(store, None), self.access, _NoJobs())
        self.session = self.access.exchange(self.access.token)

    def send(self, data: bytes) -> None:
        """Sends a request in the form of `request`.

        Raises:
            GannotateError: it was refused. ServerError: the answer was one of a failing server.
        """
        head, _, body = data.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        method, _, target = first.partition(b" ")
        raw, _, query = target.partition(b"?")
        headers = [
            (b"host", f"127.0.0.1:{PORT}".encode()),
            (b"cookie", f"{self.access.cookie}={self.session}".encode()),
        ]
        for line in lines:
            name, _, value = line.partition(b":")
            headers.append((name.strip().lower(), value.strip()))
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method.decode("latin-1"),
                 "scheme": "http", "path": unquote_to_bytes(raw).decode("utf-8", "replace"), "raw_path": raw,
                 "query_string": query, "root_path": "", "headers": headers, "client": ("127.0.0.1", 1),
                 "server": ("127.0.0.1", PORT)}  # fmt: skip
        status = self.loop.run_until_complete(_answered(self.app, scope, body))
        if status >= 500 and status not in CANNOT:
            raise ServerError(f"the answer is {status}")
        if status >= 400:
            raise GannotateError(f"refused with {status}")


class _NoJobs(Jobs):
    """Takes orders and does nothing: what a job does is none of a request's business."""

    def start(self, kind: Any, parts: Any) -> Any:
        """Refuses, as when another one runs."""
        raise GannotateError("a job runs already")


async def _answered(app: Any, scope: Message, body: bytes) -> int:
    """The status of the answer; whatever the application raises is raised."""
    sent: list[Message] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return int(sent[0]["status"])


def server(folder: Path) -> Target:
    """Every way to ask the server."""
    asked = Asked(folder / "parts")
    return Target(
        about="annotate.server: requests of every kind",
        seeds=requests(),
        read=lambda kind, data: asked.send(data),
        reset=asked.reset,
        allowed_mb=lambda kind, data: 128.0,
    )


TARGETS = {"http": server}
