"""A generator's card: what Hugging Face reads, and nothing that config.json does not say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard

from gannotate.generators.build import save_generator
from gannotate.generators.card import write_card
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config

FIGURES = {"kid": 0.0712345, "kid_standard_error": 0.001, "fid": 20.5, "precision": 0.7, "recall": 0.1}
ABOUT = {
    "source": "cells.zip",
    "licence": "CC BY 4.0",
    "gauge_space": "scattering-64px",
    "gauge_real": 100,
    "gauge_pictures": 50,
    "figures": FIGURES,
}


@pytest.mark.parametrize("about", [{}, ABOUT])
def test_the_card_has_a_head_and_the_facts(tmp_path: Path, about: dict):
    torch.manual_seed(0)
    config = StyleGAN2Config(
        size=16, image_channels=1, z_dim=8, w_dim=8, mapping_layers=1, channel_base=64, channel_max=8
    )
    save_generator(tmp_path, StyleGAN2(config), **about)
    write_card(tmp_path)
    text = (tmp_path / "card.md").read_text()
    card = ModelCard(text)
    data = card.data.to_dict()
    assert (data["library_name"], data["pipeline_tag"]) == ("gannotate", "unconditional-image-generation")
    assert data["tags"] == ["gan", "stylegan2", "gannotate"]
    assert data["license"] == "unknown"  # the pictures' licence is not the weights'
    assert card.text.lstrip().startswith("# Generator, 16 px, grey")
    assert ("- Licence of the pictures: CC BY 4.0" in text) == bool(about)
    if not about:
        assert "model-index" not in data
        return
    results = card.data.eval_results
    assert [(one.metric_type, one.metric_name, one.metric_value, one.dataset_name) for one in results] == [
        ("kid-scattering-64px", "KID in scattering-64px", 0.07123, "cells.zip"),
        ("fid-scattering-64px", "FID in scattering-64px", 20.5, "cells.zip"),
    ]
