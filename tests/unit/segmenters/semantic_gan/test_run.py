"""The whole training: both phases, killed and resumed, its folder, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gannotate.data.labelled import LabelledSet
from gannotate.errors import GannotateError, UsageError
from gannotate.generators.build import save_generator
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.segmenters.evaluate import evaluate
from gannotate.segmenters.loading import load_predictor
from gannotate.segmenters.predict import Segmenter
from gannotate.segmenters.semantic_gan import InferenceConfig, SemanticGANConfig, train_semantic_gan
from gannotate.segmenters.semantic_gan.build import is_semantic_gan, load_semantic_gan
from gannotate.segmenters.semantic_gan.inference import InvertingSegmenter
from gannotate.training.loop import LoopConfig, read_log

Drawn = Callable[..., LabelledSet]
Settings = Callable[..., SemanticGANConfig]


def run(folder: Path, drawn: Drawn, config: SemanticGANConfig, stop: int | None = None, **more: Any) -> list[int]:
    done = []
    for progress in train_semantic_gan(drawn(4, 1000), drawn(60).pictures, config, folder, **more):
        done.append(progress.done)
        assert progress.steps == config.steps + config.encoder_steps
        if progress.done == stop:
            break  # as a kill between two steps
    return done


def _eager_loop(**settings: Any) -> LoopConfig:
    """Saves a checkpoint after every step."""
    return LoopConfig(**settings, checkpoint_s=0.0)


def test_killed_in_either_phase_and_resumed_equals_uninterrupted(
    tmp_path: Path, drawn: Drawn, settings: Settings, start: StyleGAN2, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_generator(tmp_path / "generator", start)
    config = settings(generator=str(tmp_path / "generator"), warmup_steps=1)
    assert run(tmp_path / "whole", drawn, config) == [1, 2, 3, 4, 5, 6]
    monkeypatch.setattr("gannotate.segmenters.semantic_gan.run.LoopConfig", _eager_loop)
    run(tmp_path / "cut", drawn, config, stop=2)
    run(tmp_path / "cut", drawn, config, stop=3)  # between the phases
    run(tmp_path / "cut", drawn, config, stop=5)
    assert not (tmp_path / "cut" / "config.json").exists()
    assert run(tmp_path / "cut", drawn, config) == [6]
    whole, cut = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert any(name.startswith("generator.label_branch") for name in whole)
    assert any(name.startswith("encoder.") for name in whole)
    for name, tensor in whole.items():
        torch.testing.assert_close(cut[name], tensor, atol=0, rtol=0, msg=name)

    with pytest.raises(UsageError, match="had other settings; resume it with the same ones"):
        run(tmp_path / "cut", drawn, replace(config, learning_rate=0.1))
    before = (tmp_path / "cut" / "model.safetensors").read_bytes()
    assert run(tmp_path / "cut", drawn, config) == [6]  # finished: its end is told again, and it stays as it is
    assert (tmp_path / "cut" / "model.safetensors").read_bytes() == before
    assert run(tmp_path / "cut", drawn, config, resume=False) == [1, 2, 3, 4, 5, 6]


def test_the_folder_says_what_it_is_and_answers(tmp_path: Path, drawn: Drawn, settings: Settings) -> None:
    config = settings(class_names=("dark", "bright"), colours=((0, 0, 0), (9, 9, 9)))
    run(tmp_path, drawn, config, source="exact")
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["about"]["label_source"] == "exact"
    assert (saved["about"]["pictures"], saved["about"]["unlabelled"]) == (4, 60)
    assert saved["about"]["trained"]["steps"] == 6
    assert saved["about"]["trained"]["pair_steps"] == 3
    assert saved["about"]["perceptual_distance"] == "pixels"
    assert sum(saved["about"]["labelled_px"]) == 4 * 16 * 16
    assert is_semantic_gan(tmp_path)
    rows = read_log(tmp_path / "log.jsonl")
    assert "pair_d_loss" in rows[0]
    assert "encoder_labels" in rows[-1]

    predictor = load_predictor(tmp_path)
    assert isinstance(predictor, InvertingSegmenter)
    assert predictor.config == config.answers
    assert predictor.inference == config.inference
    found = evaluate(predictor, drawn(3, 5000))
    assert set(found["per_class"]) == {"dark", "bright"}
    assert 0 <= found["miou"] <= 1

    pictures = drawn(2, 5000).pictures
    again = InvertingSegmenter(load_semantic_gan(tmp_path))
    np.testing.assert_array_equal(predictor.predict(pictures), again.predict(pictures))


def test_a_time_limit_still_leaves_a_whole_model(tmp_path: Path, drawn: Drawn, settings: Settings) -> None:
    done = run(tmp_path, drawn, settings(minutes=1e-9, steps=50, encoder_steps=50))
    assert done == [1, 2]
    assert json.loads((tmp_path / "config.json").read_text())["about"]["trained"]["pair_steps"] == 1
    assert load_predictor(tmp_path).config.classes == 2


def test_killed_after_the_last_pairs_that_time_allowed(tmp_path: Path, drawn: Drawn, settings: Settings) -> None:
    config = settings(minutes=1e-9, steps=50, encoder_steps=50)
    assert run(tmp_path, drawn, config, stop=1) == [1]
    assert run(tmp_path, drawn, config) == [1, 2]  # no pair more: the encoder begins where it would have begun
    assert json.loads((tmp_path / "config.json").read_text())["about"]["trained"]["pair_steps"] == 1
    assert run(tmp_path, drawn, config) == [2]
    assert run(tmp_path, drawn, replace(config, minutes=None), stop=3) == [3]  # with more time the encoder goes on


def test_other_folders(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a segmenter"):
        load_predictor(tmp_path)
    with pytest.raises(UsageError, match="is not a semantic-gan"):
        load_semantic_gan(tmp_path)
    (tmp_path / "config.json").write_text('{"format_version": 1, "semantic-gan": {"answers": {}}, "about": {}}')
    with pytest.raises(GannotateError, match=r"config\.json does not fit"):
        load_predictor(tmp_path)
    with pytest.raises(UsageError, match="is not a segmenter"):
        Segmenter.load(tmp_path)


@pytest.mark.parametrize(("where", "name"), [((), "encoder_width"), (("network",), "w_dim")])
def test_a_network_that_its_file_cannot_hold_is_not_built(
    tmp_path: Path, drawn: Drawn, settings: Settings, where: tuple[str, ...], name: str
) -> None:
    run(tmp_path, drawn, settings(steps=1, encoder_steps=1))
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    place = config["semantic-gan"]
    for key in where:
        place = place[key]
    place[name] = 8 * 10**7
    path.write_text(json.dumps(config))
    with pytest.raises(GannotateError, match=r"does not fit its config\.json \(a network of \d{10,} numbers"):
        load_semantic_gan(tmp_path)


def test_wrong_pictures_are_named(tmp_path: Path, drawn: Drawn, settings: Settings) -> None:
    few, many = drawn(4, 1000), drawn(60).pictures

    def attempt(labelled: LabelledSet, unlabelled: np.ndarray) -> None:
        list(train_semantic_gan(labelled, unlabelled, settings(), tmp_path))

    with pytest.raises(UsageError, match="no labelled pictures were given"):
        attempt(few.take([]), many)
    with pytest.raises(UsageError, match=r"unlabelled pictures are uint8 \(60, 16, 8, 1\); give uint8"):
        attempt(few, many[:, :, :8])
    with pytest.raises(UsageError, match="6 unlabelled and 4 labelled pictures are too few for a generator"):
        attempt(few, many[:6])
    with pytest.raises(GannotateError, match="p0: unknown class id 7"):
        attempt(replace(few, label_maps=np.full_like(few.label_maps, 7)), many)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"reach": "far"}, "reach 'far' is not known; use trunk or branch"),
        ({"steps": 0}, "at least 1 step each and 2 pictures"),
        ({"batch": 1}, "at least 1 step each and 2 pictures"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; use a number above 0"),
        ({"pair_scales": 0}, "pair_scales is 0; use 1 or more"),
        ({"encoder_width": 12}, "encoder_width is 12; use a multiple of 8"),
        ({"classes": 1}, "tells 2 to 254 apart"),
        ({"class_names": ("one",)}, "1 class names were given for 2 classes"),
    ],
)
def test_wrong_settings_are_named(settings: Settings, changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        settings(**changed)


def test_wrong_inference_settings_are_named() -> None:
    with pytest.raises(UsageError, match="give 0 or more steps"):
        InferenceConfig(steps=-1)
