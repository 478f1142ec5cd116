"""Imports go one way, as in docs: cli -> annotate, studies, report -> ... -> labels, seeding, project, errors."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gannotate

PACKAGE = Path(gannotate.__file__).parent

LAYERS = (
    (
        "__init__",
        "errors",
        "files",
        "jsonlines",
        "locks",
        "seeding",
        "labels",
        "parsing",
        "picture_files",
        "record",
        "project",
        "project_config",
        "project_pictures",
        "viz",
        "drawing",
        "torchvision_operators",
        "wording",
    ),
    ("training", "data", "metrics"),
    ("decoders", "features", "generators"),
    ("synthesis", "segmenters", "pretraining", "fitting", "inversion"),
    ("annotate", "studies", "report", "demo", "assets"),
    ("cli", "__main__"),
)
"""Lowest first: a module imports from its own layer and from those below."""

WITHOUT_TORCH = (
    *("errors", "files", "jsonlines", "locks", "parsing", "picture_files", "seeding", "labels", "record", "project"),
    "project_config",
    "project_pictures",
    "wording",
)

MODULES = sorted(PACKAGE.rglob("*.py"))


def layer(module: str) -> int:
    room = module.split(".")[1] if "." in module else "__init__"
    return next(index for index, rooms in enumerate(LAYERS) if room in rooms)


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Modules of this package that the file names in any import, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            found.add(node.module or "")
            if node.module == "gannotate":  # from gannotate import labels
                found |= {f"gannotate.{alias.name}" for alias in node.names if alias.name in all_rooms()}
    return {name for name in found if name.split(".")[0] == "gannotate"}


def all_rooms() -> set[str]:
    return {room for rooms in LAYERS for room in rooms}


def test_every_room_has_a_layer():
    for path in MODULES:
        room = module_name(path).split(".")[1:2]
        assert not room or room[0] in all_rooms(), f"{path}: give {room[0]} a place in LAYERS"


# the package itself only names what it loads from every room when first asked for
@pytest.mark.parametrize("path", [path for path in MODULES if path != PACKAGE / "__init__.py"], ids=module_name)
def test_imports_go_down(path: Path):
    own = module_name(path)
    for name in imports(path):
        assert layer(name) <= layer(own), f"{own} may not import {name}"


def test_some_rooms_stay_torch_free():
    code = "; ".join(f"import gannotate.{room}" for room in WITHOUT_TORCH) + "; import gannotate.cli.app"
    check = f"{code}\nimport sys\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], timeout=60).returncode == 0
