"""What holds for every kind of decoder: making by name, taps, saving, gradients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from gannotate.decoders.base import Decoder
from gannotate.decoders.build import (
    DECODERS,
    build_decoder,
    decoder_config,
    load_decoder,
    make_decoder,
    save_decoder,
)
from gannotate.decoders.ensemble import EnsembleConfig
from gannotate.decoders.light import LightDecoder
from gannotate.errors import GannotateError, UsageError
from gannotate.generators.adversarial.presets import preset
from gannotate.generators.stylegan2 import StyleGAN2

KINDS = tuple(DECODERS)
Taps = dict[str, torch.Tensor]

SETTINGS: dict[str, dict[str, Any]] = {
    "light": {"width": 5, "order": "paper"},
    "cnn": {"interpolation": "pyramid", "grid": "largest"},
    "mlp": {"hidden": [7, 6], "interpolation": "nearest"},
    "ensemble": {"hidden": [7], "members": 2},
    "fpn": {"width": 6, "layers": 2},
    "linear": {"bias": True, "interpolation": "corners"},
}
"""As a config.json or a yaml file gives them, none the default."""


def test_these_decoders_are_known() -> None:
    assert KINDS == ("light", "cnn", "mlp", "ensemble", "fpn", "linear") == tuple(SETTINGS)


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("light", {}, ["b4.conv1", "b8.conv1", "b16.conv1"]),
        ("fpn", {}, ["b4.conv1", "b8.conv1", "b16.conv1"]),
        ("cnn", {}, ["b4.conv1", "b8.conv0", "b8.conv1"]),
        ("cnn", {"variant": "S"}, ["b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1"]),
        ("mlp", {}, ["b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1"]),
        ("mlp", {"paper": "repurposegan"}, ["b4.conv1", "b8.conv0", "b8.conv1"]),
        ("ensemble", {}, ["b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1"]),
        ("linear", {}, ["b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1"]),
    ],
)
def test_default_taps_are_the_papers(
    generator: StyleGAN2, kind: str, settings: dict[str, Any], expected: list[str]
) -> None:
    decoder = make_decoder(kind, generator, 2, decoder_config(kind, settings))
    assert list(decoder.tap_names) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", [("b8.conv0",), ("b16.conv1", "b4.conv1")])
def test_logits_have_picture_size_and_depend_on_the_named_taps_only(
    generator: StyleGAN2, taps: Taps, kind: str, names: tuple[str, ...]
) -> None:
    decoder = make_decoder(kind, generator, 3, decoder_config(kind, {"taps": list(names)})).eval()
    decoder.check_fits(generator)
    before = decoder(taps)
    assert before.shape == (3, 3, 16, 16)
    assert set(decoder.tap_names) == set(names)
    for name in taps:
        changed = decoder(taps | {name: taps[name] + 1})
        assert torch.equal(changed, before) == (name not in names)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_is_the_same(generator: StyleGAN2, taps: Taps, kind: str, tmp_path: Path) -> None:
    config = decoder_config(kind, SETTINGS[kind])
    decoder = make_decoder(kind, generator, 3, config)
    decoder.train()(taps)  # so that batch norms have seen something
    save_decoder(tmp_path, decoder.eval(), shots=2)
    loaded = load_decoder(tmp_path)
    assert type(loaded) is type(decoder)
    assert (loaded.config, loaded.taps, loaded.size, loaded.classes) == (config, decoder.taps, 16, 3)
    assert loaded.config_dict() == decoder.config_dict()
    assert torch.equal(loaded(taps), decoder(taps))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [1.0, 0.3, 4.0])
def test_probabilities_are_the_logits_at_the_temperature(
    generator: StyleGAN2, taps: Taps, kind: str, temperature: float
) -> None:
    decoder = make_decoder(kind, generator, 3).eval()
    decoder.temperature = temperature
    found, expected = decoder.probabilities(taps), (decoder(taps) / temperature).softmax(dim=1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    members = decoder.member_probabilities(taps)
    assert members.shape[1] == (10 if kind == "ensemble" else 1)
    assert torch.equal(decoder.pooled(members), found)


@pytest.mark.parametrize("kind", KINDS)
def test_temperature_is_saved_and_changes_probabilities_only(
    generator: StyleGAN2, taps: Taps, kind: str, tmp_path: Path
) -> None:
    decoder = make_decoder(kind, generator, 3).eval()
    before, logits = decoder.probabilities(taps), decoder(taps)
    decoder.temperature = 0.5
    save_decoder(tmp_path, decoder)
    loaded = load_decoder(tmp_path)
    assert loaded.temperature == 0.5
    assert torch.equal(loaded(taps), logits)
    sharper = before**2 / (before**2).sum(dim=1, keepdim=True)
    torch.testing.assert_close(loaded.probabilities(taps), sharper, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns_at_64_px(kind: str) -> None:
    torch.manual_seed(0)
    generator = StyleGAN2(preset("tiny", 64, 1).network).eval()
    decoder = make_decoder(kind, generator, 4)
    with torch.no_grad():
        w = generator.map(generator.latents([0]))
        taps = generator.synthesize(w, taps=decoder.tap_names).taps
    loss = F.cross_entropy(decoder.train()(taps), torch.randint(4, (1, 64, 64)))
    loss.backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", KINDS)
def test_mixed_precision_is_close(generator: StyleGAN2, taps: Taps, kind: str) -> None:
    decoder = make_decoder(kind, generator, 3).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rough = decoder(taps)
    exact = decoder(taps).detach()
    assert float((rough.float() - exact).abs().max()) < 0.05 * float(exact.abs().max()) + 0.02


def test_a_decoder_saved_before_there_were_other_kinds_still_loads(
    generator: StyleGAN2, taps: Taps, tmp_path: Path
) -> None:
    decoder = LightDecoder.of_generator(generator, 3).eval()
    save_decoder(tmp_path, decoder)
    # exactly what the first release wrote
    names = [("b4.conv1", 16, 4), ("b8.conv1", 16, 8), ("b16.conv1", 8, 16)]
    written = {
        "architecture": "light",
        "classes": 3,
        "size": 16,
        "taps": [{"name": name, "channels": k, "height": side, "width": side} for name, k, side in names],
        "config": {"width": 32, "dropout": 0.5, "order": "code", "taps": []},
    }
    (tmp_path / "config.json").write_text(json.dumps({"format_version": 1, "decoder": written, "about": {}}))
    assert torch.equal(load_decoder(tmp_path)(taps), decoder(taps))
    assert {"c_blocks.b16_conv1.0.weight", "r_blocks.0.conv0.weight", "last.bias"} <= set(decoder.state_dict())


def test_unknown_names_are_one_sentence(generator: StyleGAN2) -> None:
    with pytest.raises(UsageError, match=r"decoder 'ensembel' is not known.*did you mean 'ensemble'"):
        make_decoder("ensembel", generator, 2)
    with pytest.raises(UsageError, match=r"no setting 'member'; it has .*did you mean 'members'"):
        decoder_config("ensemble", {"member": 3})
    with pytest.raises(UsageError, match="it takes a LightConfig"):
        make_decoder("light", generator, 2, EnsembleConfig())
    with pytest.raises(UsageError, match=r"no tap 'b16.conv9'"):
        make_decoder("mlp", generator, 2, decoder_config("mlp", {"taps": ["b16.conv9"]}))
    with pytest.raises(GannotateError, match=r"architecture 'lite' is not known here.*did you mean 'light'"):
        build_decoder({"architecture": "lite"})


@pytest.mark.parametrize("damage", [{"classes": "many"}, {"config": {"depth": 3}}, {"config": 3}, {"taps": [{}]}])
def test_a_damaged_config_is_one_sentence(generator: StyleGAN2, damage: dict[str, Any]) -> None:
    config = make_decoder("linear", generator, 2).config_dict()
    with pytest.raises(GannotateError, match="does not fit"):
        build_decoder(config | damage)


@pytest.mark.parametrize("kind", KINDS)
def test_a_decoder_without_taps_is_refused(kind: str) -> None:
    made: type[Decoder] = DECODERS[kind]
    with pytest.raises(UsageError, match="at least one tap"):
        made((), 3, 16, decoder_config(kind, {}))
