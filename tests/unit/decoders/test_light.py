"""The light decoder: size, shape, choice of taps, saving."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from gannotate.decoders.build import build_decoder, load_decoder, save_decoder
from gannotate.decoders.light import LightConfig, LightDecoder, Order
from gannotate.errors import GannotateError, UsageError
from gannotate.generators.base import Tap
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config

TINY = StyleGAN2Config(size=16, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128, channel_max=16)


@pytest.fixture
def generator() -> StyleGAN2:
    torch.manual_seed(0)
    return StyleGAN2(TINY).eval().requires_grad_(False)


def taps_of(generator: StyleGAN2, count: int = 2) -> dict[str, torch.Tensor]:
    w = generator.map(generator.latents(range(count)))
    return generator.synthesize(w, taps=[tap.name for tap in generator.taps]).taps


@pytest.mark.parametrize(("size", "parameters"), [(512, 1_066_370), (1024, 1_083_106)])
def test_size_is_that_of_the_published_decoder(size: int, parameters: int) -> None:
    # measured on the authors' network (config-f channels, 2 classes): 1.066 M and 1.083 M
    shape = StyleGAN2Config(size=size)
    taps = tuple(Tap(f"b{r}.conv1", shape.channels(r), r, r) for r in shape.resolutions)
    decoder = LightDecoder(taps, 2, size, LightConfig())
    assert sum(p.numel() for p in decoder.parameters()) == parameters


def test_reads_the_last_tap_of_each_resolution(generator: StyleGAN2) -> None:
    assert list(LightDecoder.of_generator(generator, 2).tap_names) == ["b4.conv1", "b8.conv1", "b16.conv1"]


@pytest.mark.parametrize("names", [(), ("b8.conv0",), ("b16.conv1", "b4.conv1"), ("b8.conv0", "b8.conv1", "b16.conv0")])
def test_logits_have_picture_size_for_any_taps(generator: StyleGAN2, names: tuple[str, ...]) -> None:
    decoder = LightDecoder.of_generator(generator, 3, LightConfig(taps=names)).eval()
    logits = decoder(taps_of(generator))
    assert logits.shape == (2, 3, 16, 16)
    assert set(decoder.tap_names) == set(names or ("b4.conv1", "b8.conv1", "b16.conv1"))


def test_every_tap_read_matters_and_no_other(generator: StyleGAN2) -> None:
    decoder = LightDecoder.of_generator(generator, 3).eval()
    taps = taps_of(generator)
    before = decoder(taps)
    for name in taps:
        changed = decoder(taps | {name: taps[name] + 1})
        assert torch.equal(changed, before) == (name not in decoder.tap_names)


def test_one_picture_does_not_depend_on_its_neighbours(generator: StyleGAN2) -> None:
    decoder = LightDecoder.of_generator(generator, 3).eval()
    taps = taps_of(generator, 4)
    alone = decoder({name: tensor[2:3] for name, tensor in taps.items()})
    torch.testing.assert_close(decoder(taps)[2:3], alone)


def test_order_decides_what_dropout_reaches(generator: StyleGAN2) -> None:
    # the code's order drops after the activation, so exact zeros reach the fusion; the paper's drops before the
    # convolution, whose bias and norm fill them
    taps = taps_of(generator)
    cases: tuple[tuple[Order, bool], ...] = (("code", True), ("paper", False))
    for order, zeros in cases:
        decoder = LightDecoder.of_generator(generator, 3, LightConfig(order=order)).train()
        out = decoder.c_blocks["b16_conv1"](taps["b16.conv1"])
        assert bool((out == 0).float().mean() > 0.3) is zeros


def test_saved_and_loaded_is_the_same(generator: StyleGAN2, tmp_path: Path) -> None:
    decoder = LightDecoder.of_generator(generator, 3, LightConfig(width=5, order="paper")).eval()
    save_decoder(tmp_path, decoder, shots=2)
    loaded = load_decoder(tmp_path)
    assert loaded.taps == decoder.taps
    assert loaded.config_dict() == decoder.config_dict()
    assert torch.equal(loaded(taps_of(generator)), decoder(taps_of(generator)))
    assert json.loads((tmp_path / "config.json").read_text())["about"] == {"shots": 2}


def test_a_decoder_of_another_generator_is_refused(generator: StyleGAN2) -> None:
    decoder = LightDecoder.of_generator(generator, 3)
    decoder.check_fits(generator)
    other = StyleGAN2(StyleGAN2Config(size=32, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128, channel_max=16))
    with pytest.raises(GannotateError, match="fitted on another generator"):
        decoder.check_fits(other)


def test_unusable_settings_are_one_sentence(generator: StyleGAN2) -> None:
    with pytest.raises(UsageError, match=r"no tap 'b16.conv9'.*did you mean 'b16.conv"):
        LightDecoder.of_generator(generator, 3, LightConfig(taps=("b16.conv9",)))
    for wrong in ({"width": 0}, {"dropout": 1.0}, {"order": "other"}):
        with pytest.raises(UsageError, match="use"):
            LightConfig(**wrong)  # pyright: ignore[reportArgumentType]


def test_damaged_and_newer_folders(generator: StyleGAN2, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gannotate fit"):
        load_decoder(tmp_path / "nothing")
    save_decoder(tmp_path, LightDecoder.of_generator(generator, 3))
    config = json.loads((tmp_path / "config.json").read_text())
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[:-7])
    with pytest.raises(GannotateError, match="damaged"):
        load_decoder(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config | {"format_version": 99}))
    with pytest.raises(GannotateError, match="newer gannotate"):
        load_decoder(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"format_version": 1, "generator": {}}))
    with pytest.raises(UsageError, match="not a decoder"):
        load_decoder(tmp_path)
    with pytest.raises(GannotateError, match="does not fit"):
        build_decoder({"architecture": "light", "classes": 3})
