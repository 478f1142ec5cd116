"""The head of a card, as Hugging Face's own reader sees it."""

from __future__ import annotations

import pytest
from huggingface_hub import ModelCard

from gannotate.data.front_matter import LICENCES, front_matter, licence_fields


def test_the_head_is_read_back_and_empty_fields_are_left_out():
    fields = {"tags": ["a: b", "c"], "license": "mit", "pretty_name": "Lungs, left & right: é"}
    text = front_matter(fields | {"empty": [], "none": None}) + "# Title\n"
    card = ModelCard(text)
    assert card.data.to_dict() == fields
    assert card.text.strip() == "# Title"


@pytest.mark.parametrize(
    ("licence", "fields"),
    [
        (None, {"license": "unknown"}),
        ("", {"license": "unknown"}),
        ("CC BY 4.0", {"license": "cc-by-4.0"}),
        ("CC0-1.0", {"license": "cc0-1.0"}),
        ("MIT", {"license": "mit"}),
        ("ask Ann first", {"license": "other", "license_name": "ask Ann first"}),
    ],
)
def test_licences_have_hugging_faces_names(licence: str | None, fields: dict[str, str]):
    assert licence_fields(licence) == fields


def test_known_licences_name_themselves():
    assert all(licence_fields(name) == {"license": name} for name in LICENCES.values())
