"""What Hugging Face reads at the top of a card (README.md): YAML between two lines of dashes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

LICENCES = {
    "apache-2.0": "apache-2.0",
    "bsd-3-clause": "bsd-3-clause",
    "cc0": "cc0-1.0",
    "cc0-1.0": "cc0-1.0",
    "cc-by-4.0": "cc-by-4.0",
    "cc-by-3.0": "cc-by-3.0",
    "cc-by-sa-4.0": "cc-by-sa-4.0",
    "cc-by-nc-4.0": "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0": "cc-by-nc-sa-4.0",
    "gpl-3.0": "gpl-3.0",
    "mit": "mit",
}
"""Licences by how they are usually written, in small letters with dashes, to Hugging Face's own names."""


def front_matter(fields: Mapping[str, Any]) -> str:
    """The YAML head of a card, with a blank line after it; empty fields are left out."""
    told = {name: value for name, value in fields.items() if value not in (None, "", [], {})}
    text = yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---\n\n"


def licence_fields(licence: str | None) -> dict[str, str]:
    """`license` as Hugging Face names it: `unknown` when nothing is stated, `other` with its name when it has none."""
    if not licence:
        return {"license": "unknown"}
    known = LICENCES.get(licence.strip().lower().replace(" ", "-"))
    return {"license": known} if known else {"license": "other", "license_name": licence.strip()}
