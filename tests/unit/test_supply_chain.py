"""What is shipped, and what it stands on: licences, sizes, and no address of a machine or a package index."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import licences  # noqa: E402

MOST_BYTES = 10 << 20
SHIPPED = ("src", "trained", "docs", "tests", "runs", "bench", "tools")
INDEXES = re.compile(rb"--(?:extra-)?index-url|[/.]py(?:thonhosted|pi)[./]|/simple/")
"""How an address of a package index looks, of the public one or of a mirror."""


def tracked() -> list[Path]:
    """The repository's files; in a copy without git, all below the folders that are shipped."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    return [path for folder in SHIPPED for path in (ROOT / folder).rglob("*") if path.is_file()]


def test_every_package_that_we_need_has_a_licence_to_ship_with():
    found = licences.packages()
    assert {"torch", "numpy", "kornia"} <= {package.name for package in found}
    assert licences.unaccepted(found) == []


@pytest.mark.parametrize("name", ["nvidia-cudnn-cu13", "cuda-toolkit", "triton", "pytorch-triton"])
def test_what_only_torchs_builds_for_cards_bring_is_left_out(name: str):
    assert licences.OF_CARDS.fullmatch(name)
    found: dict[str, licences.Package] = {}
    licences.walk(name, "", found, set())
    assert not found


def test_the_page_of_licences_names_every_package():
    text = licences.PAGE.read_text()
    assert [package.name for package in licences.packages() if f"| {package.name} |" not in text] == []


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("MIT", {"MIT"}),
        ("MPL-2.0 AND MIT", {"MPL-2.0", "MIT"}),
        ("GPL-3.0 OR MIT", {"MIT"}),
        ("(GPL-3.0 OR LGPL-3.0) AND MIT", {"GPL-3.0", "MIT"}),
        ("", {""}),
    ],
)
def test_parts_of_an_expression(expression: str, kept: set[str]):
    assert licences.parts(expression) == kept


def test_a_licence_that_is_not_accepted_is_found():
    wrong = [licences.Package("a", "GPL-3.0"), licences.Package("b", ""), licences.Package("c", "GPL-2.0 AND MIT")]
    assert licences.unaccepted([*wrong, licences.Package("d", "MIT OR GPL-3.0")]) == wrong


def test_every_generator_that_we_ship_says_whose_pictures_it_learned_from():
    rows = licences.shipped()
    assert len(rows) >= 3
    assert all(whose and licence for _, whose, licence in rows)


def test_no_file_is_large_and_none_holds_an_address_of_an_index_or_of_this_checkout():
    own, here = Path(__file__).resolve(), str(ROOT.resolve()).encode()
    assert [path.name for path in tracked() if path.stat().st_size > MOST_BYTES] == []
    others = {path: path.read_bytes() for path in tracked() if path.resolve() != own}
    assert [str(path) for path, content in others.items() if INDEXES.search(content)] == []
    # a checkout at the top of the disk has a name that any file may hold
    assert here.count(b"/") < 2 or [str(path) for path, content in others.items() if here in content] == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"pip install --index-url X", True),
        (b"https://files.py" + b"thonhosted.org/a.whl", True),
        (b"file:///somewhere/py" + b"pi/a", True),
        (b"https://mirror.example/simple/torch", True),
        (b"pip install -c constraints.txt .", False),
        (b"a simple/plain file", False),
    ],
)
def test_an_address_of_an_index_is_seen(line: bytes, found: bool):
    assert bool(INDEXES.search(line)) is found
