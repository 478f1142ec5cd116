"""The page in a browser; everything that asks for `annotator` is skipped where there is none."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for driving.py, which bench/ and tools/ use too

if TYPE_CHECKING:
    from driving import Annotator
    from playwright.sync_api import Browser

    from gannotate.annotate.live import Live
    from gannotate.project import Project

POOL = range(8)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("no Playwright here: pip install -e '.[test]'")
    from driving import find_chromium, launch
    from playwright.sync_api import sync_playwright

    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium here: apt-get install chromium, or name one in CHROMIUM")
    with sync_playwright() as playwright:
        opened = launch(playwright, chromium)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of portraits, made once."""
    from driving import portraits_project

    return portraits_project(tmp_path_factory.mktemp("made") / "portraits", POOL).folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Project:
    from gannotate.project import Project

    return Project.open(shutil.copytree(made, tmp_path / "portraits"))


@pytest.fixture
def live(browser: Browser, project: Project) -> Iterator[tuple[str, Live]]:
    """The served project: its address, and the model behind it. The browser first: without it all is skipped."""
    from driving import served

    with served(project) as opened:
        yield opened


@pytest.fixture
def annotator(browser: Browser, live: tuple[str, Live], project: Project) -> Iterator[Annotator]:
    """The page, opened at a picture; an error on it fails the test."""
    from driving import Annotator

    page = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page.set_default_timeout(20000)
    opened = Annotator(page, project.config.size)
    opened.open(live[0])
    yield opened
    page.close()
    assert not opened.errors
