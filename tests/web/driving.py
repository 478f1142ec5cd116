"""Drives the real page: a project of portraits, its server, and Debian's Chromium through Playwright.

Used by the tests here, by bench/annotator.py, and by tools/make_annotator_pictures.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import uvicorn
from playwright.sync_api import Browser, Page, Playwright

import gannotate
from gannotate.annotate.access import Access
from gannotate.annotate.jobs import Jobs
from gannotate.annotate.live import Live
from gannotate.annotate.server import create_app
from gannotate.annotate.store import Store
from gannotate.data.writing import encode_picture
from gannotate.generators.base import DrawOptions, Generator, draw, to_uint8
from gannotate.generators.build import load_generator
from gannotate.labels import IGNORE, read_label_map
from gannotate.project import PoolPicture, Project
from gannotate.project_config import ClassEntry, GeneratorEntry, MirrorEntry, ProjectConfig

PORTRAITS = Path(gannotate.__file__).parent / "assets" / "portraits"

PARTS = ("background", "face", "eyes", "eyebrows", "nose", "mouth", "ears", "hair", "neck", "clothes", "glasses")
COLOURS = (
    (40, 40, 40), (242, 37, 12), (85, 114, 242), (122, 242, 12), (242, 85, 206), (12, 242, 229), (242, 187, 85),
    (94, 12, 242), (85, 242, 95), (242, 12, 64), (85, 166, 242),
)  # fmt: skip

MARGIN = 16
"""Screen pixels around a fitted picture, see view.js."""


def find_chromium() -> str | None:
    """$CHROMIUM, or Debian's own; Playwright's downloads are not needed."""
    for path in (os.environ.get("CHROMIUM"), "/usr/bin/chromium", shutil.which("chromium")):
        if path and Path(path).exists():
            return path
    return None


def launch(playwright: Playwright, chromium: str) -> Browser:
    """A browser without a window."""
    # --no-sandbox: tests run as root in containers, where Chromium's sandbox does not start
    return playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])


def portraits_project(folder: Path, seeds: Sequence[int], generator: Generator | None = None) -> Project:
    """A project of the shipped portraits generator, or of another one, with these pictures in its pool."""
    options = DrawOptions()
    drawing = generator or load_generator(PORTRAITS / "generator")
    config = ProjectConfig(
        name="portraits",
        created="2025-01-01T00:00:00+00:00",
        size=drawing.size,
        image_channels=drawing.image_channels,
        classes=tuple(ClassEntry(name=name, colour=colour) for name, colour in zip(PARTS, COLOURS, strict=True)),
        mirror=MirrorEntry(rule="yes"),
        generator=GeneratorEntry(source="portraits", architecture="stylegan2", sha256="0"),
    )
    project = Project.create(folder, config, PORTRAITS / "generator")
    pictures = [
        (PoolPicture(seed, asdict(options)), encode_picture(to_uint8(drawing_of.picture)[0]))
        for seed, drawing_of in draw(drawing, seeds, options)
    ]
    project.add_to_pool(pictures)
    return project


def shipped_labels(seed: int) -> np.ndarray:
    """The shipped annotation of a portrait: what a person would see in it."""
    return read_label_map(PORTRAITS / "annotations" / f"{seed}.png", len(PARTS))


@contextlib.contextmanager
def served(project: Project, generator: Generator | None = None) -> Iterator[tuple[str, Live]]:
    """Serves the annotator in a thread; gives the one-time address."""
    listening = socket.create_server(("127.0.0.1", 0))
    access = Access("127.0.0.1", listening.getsockname()[1])
    live = Live(Store(project), generator or load_generator(project.generator_folder))
    jobs = Jobs()
    config = uvicorn.Config(create_app(live.store, live, access, jobs), log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    live.start()
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield access.address, live
    finally:
        server.should_exit = True
        thread.join(10)
        jobs.stop()
        live.stop()
        listening.close()


class Annotator:
    """The open page, in picture pixels."""

    def __init__(self, page: Page, size: int) -> None:
        self.page, self.size = page, size
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)

    def open(self, address: str) -> None:
        """Opens the page and waits until a picture is there."""
        self.page.goto(address)
        self.settled()

    def settled(self) -> None:
        """Waits until a picture is open."""
        self.until("/\\d/.test(document.getElementById('where').textContent)")

    @property
    def seed(self) -> int:
        """Of the open picture."""
        return int(self.page.evaluate("location.hash.slice(1)"))

    def text(self, name: str) -> str:
        """What an element says."""
        return self.page.locator(f"#{name}").inner_text()

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where picture point (x, y) is on the screen, while the picture is fitted."""
        box = self.page.locator("#board").bounding_box()
        assert box is not None
        scale = (min(box["width"], box["height"]) - 2 * MARGIN) / self.size
        left, top = box["width"] - self.size * scale, box["height"] - self.size * scale
        return box["x"] + left / 2 + x * scale, box["y"] + top / 2 + y * scale

    def click(self, x: float, y: float) -> None:
        """A click on a picture point."""
        self.page.mouse.click(*self.at(x, y))

    def drag(self, *points: tuple[float, float]) -> None:
        """A stroke through picture points."""
        mouse = self.page.mouse
        mouse.move(*self.at(*points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.at(*point))
        mouse.up()

    def press(self, key: str) -> None:
        """A key, with the picture in focus."""
        self.page.locator("#board").focus()
        self.page.keyboard.press(key)

    def choose_class(self, value: int) -> None:
        """Class 0 to 19 by its key."""
        self.press(f"Shift+Digit{value - 10}" if value > 9 else f"Digit{value}")

    def slide(self, name: str, value: int) -> None:
        """Sets a slider as a person would: what listens to it hears of it."""
        script = "(slider, value) => { slider.value = value; for (const kind of ['input', 'change']) "
        self.page.locator(f"#{name}").evaluate(script + "slider.dispatchEvent(new Event(kind)); }", str(value))

    def wait_state(self, state: str) -> None:
        """Waits until the word at the top right means `state`: saved, guess, unsaved, ..."""
        self.until(f"document.getElementById('saved').dataset.state === '{state}'")

    def wait_text(self, name: str, part: str, timeout_s: float = 30) -> None:
        """Waits until an element's text holds `part`."""
        self.until(f"document.getElementById('{name}').textContent.includes({json.dumps(part)})", timeout_s)

    def until(self, expression: str, timeout_s: float = 30) -> None:
        """Waits for a JavaScript expression; Playwright's own waiting needs eval, which the page forbids."""
        end = time.monotonic() + timeout_s
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"waited {timeout_s} s for {expression}"
            self.page.wait_for_timeout(20)

    def scribble(self, label_map: np.ndarray, brush: int = 3, every: int = 3) -> None:
        """Labels part of a picture as a hurried person would: dabs well inside of each part."""
        self.press("b")
        self.slide("size", brush)
        for value in np.unique(label_map[label_map != IGNORE]).tolist():
            self.choose_class(value)
            for x, y in dabs(label_map == value, brush, every):
                self.click(x, y)


def dabs(region: np.ndarray, brush: int, every: int) -> list[tuple[float, float]]:
    """Middles (x, y) of brush squares that lie wholly in a region, `every` px apart; one at least where one fits."""
    windows = np.lib.stride_tricks.sliding_window_view(region, (brush, brush)).all(axis=(2, 3))
    rows, columns = np.nonzero(windows)
    chosen = [place for place in range(len(rows)) if rows[place] % every == 0 and columns[place] % every == 0]
    chosen = chosen or ([len(rows) // 2] if len(rows) else [])
    return [(columns[place] + brush / 2, rows[place] + brush / 2) for place in chosen]
