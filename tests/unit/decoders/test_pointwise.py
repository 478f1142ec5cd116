"""Linear, MLP and ensemble decoders: equal to the papers' layers on the full-resolution stack."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import gannotate.decoders.pointwise as pointwise
from gannotate.decoders.ensemble import EnsembleConfig, EnsembleDecoder
from gannotate.decoders.linear import LinearConfig, LinearDecoder
from gannotate.decoders.mlp import MLPConfig, MLPDecoder, Paper
from gannotate.decoders.pointwise import PointwiseDecoder
from gannotate.errors import UsageError
from gannotate.features.interpolation import Interpolation
from gannotate.features.sampling import Pixels, sample_pixels
from gannotate.features.stack import stack
from gannotate.generators.adversarial.presets import preset
from gannotate.generators.stylegan2 import StyleGAN2

INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
Taps = dict[str, Tensor]


def settle(decoder: nn.Module) -> None:
    """Batch norms with statistics and weights that are not the start's, so that forgetting them shows."""
    for module in decoder.modules():
        if isinstance(module, nn.BatchNorm1d):
            for tensor in (module.running_mean, module.bias):
                assert tensor is not None
                nn.init.normal_(tensor)
            for tensor in (module.running_var, module.weight):
                assert tensor is not None
                nn.init.uniform_(tensor, 0.5, 2)


def naive_pixels(taps: Taps, decoder: PointwiseDecoder) -> Tensor:
    """Every pixel's row of the stack, (pixels, channels)."""
    features = stack(taps, decoder.taps, decoder.size, decoder.first.interpolation)
    return features.permute(0, 2, 3, 1).flatten(0, 2)


def as_maps(pixels: Tensor, decoder: PointwiseDecoder) -> Tensor:
    return pixels.unflatten(0, (-1, decoder.size, decoder.size)).movedim(-1, 1)


def naive_mlp(decoder: MLPDecoder) -> nn.Sequential:
    """The paper's layers with the decoder's weights, on whole feature vectors."""
    weight, bias = decoder.first.stacked_weight(), decoder.first.stacked_bias()
    assert bias is not None
    first = nn.Linear(weight.shape[1], weight.shape[0])
    first.load_state_dict({"weight": weight, "bias": bias})
    layers = [nn.ReLU() if isinstance(layer, nn.ReLU) else layer for layer in decoder.layers]
    return nn.Sequential(first, *layers)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("bias", [False, True])
def test_linear_is_one_layer_on_the_stack(
    generator: StyleGAN2, taps: Taps, interpolation: Interpolation, bias: bool
) -> None:
    decoder = LinearDecoder.of_generator(generator, 4, LinearConfig(interpolation=interpolation, bias=bias))
    weight, own = decoder.first.stacked_weight(), decoder.first.stacked_bias()
    assert (own is not None) is bias
    naive = F.conv2d(stack(taps, generator.taps, 16, interpolation), weight[:, :, None, None], own)
    torch.testing.assert_close(decoder(taps), naive, atol=1e-5, rtol=1e-5)
    # the same weights, given
    given = LinearDecoder.from_weights(generator.taps, 16, weight.detach(), own, interpolation)
    assert torch.equal(given(taps), decoder(taps))
    assert given.config_dict()["taps"] == decoder.config_dict()["taps"]


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("paper", get_args(Paper))
@pytest.mark.parametrize("training", [False, True])
def test_mlp_is_the_papers_layers_on_the_stack(
    generator: StyleGAN2, taps: Taps, interpolation: Interpolation, paper: Paper, training: bool
) -> None:
    config = MLPConfig(paper=paper, interpolation=interpolation, hidden=(12, 5))
    decoder = MLPDecoder.of_generator(generator, 4, config)
    settle(decoder)
    decoder.train(training)  # in training a norm sees the pixels of all pictures at once
    naive = naive_mlp(decoder).train(training)(naive_pixels(taps, decoder))
    torch.testing.assert_close(decoder(taps), as_maps(naive, decoder), atol=1e-4, rtol=1e-4)


def test_mlp_layers_are_the_papers(generator: StyleGAN2) -> None:
    names = [type(layer).__name__ for layer in MLPDecoder.of_generator(generator, 31).layers]
    assert names == ["ReLU", "BatchNorm1d", "Linear"] * 2
    config = MLPConfig(paper="repurposegan")
    assert [type(layer).__name__ for layer in MLPDecoder.of_generator(generator, 3, config).layers] == [
        "ReLU",
        "Linear",
    ] * 2
    assert (MLPConfig().widths(31), MLPConfig().widths(32), config.widths(40)) == ((128, 32), (256, 128), (2000, 200))


def test_datasetgan_starts_narrow(generator: StyleGAN2) -> None:
    decoder = MLPDecoder.of_generator(generator, 3)
    ensemble = EnsembleDecoder.of_generator(generator, 3)
    for weight in (decoder.first.stacked_weight(), ensemble.first.stacked_weight(), ensemble.weights[0]):
        assert float(weight.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert not decoder.first.stacked_bias().any()  # pyright: ignore[reportOptionalMemberAccess]
    first, second = ensemble.member(0), ensemble.member(1)
    assert not torch.equal(first.first.stacked_weight(), second.first.stacked_weight())


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("training", [False, True])
def test_a_member_of_the_ensemble_is_an_mlp(
    generator: StyleGAN2, taps: Taps, interpolation: Interpolation, training: bool
) -> None:
    config = EnsembleConfig(members=3, hidden=(12, 5), interpolation=interpolation)
    decoder = EnsembleDecoder.of_generator(generator, 4, config)
    settle(decoder)
    decoder.train(training)
    alone = [decoder.member(index) for index in range(3)]
    logits = decoder.member_logits(taps)
    assert logits.shape == (3, 3, 4, 16, 16)
    for index, member in enumerate(alone):
        torch.testing.assert_close(logits[:, index], member(taps), atol=1e-4, rtol=1e-4)
    if training:  # and the members' statistics moved as those of lone ones do
        kept = [module.running_mean for module in alone[1].modules() if isinstance(module, nn.BatchNorm1d)]
        moved = [norm.running_mean for norm in decoder.member(1).modules() if isinstance(norm, nn.BatchNorm1d)]
        torch.testing.assert_close(moved, kept, atol=1e-5, rtol=1e-4)


def test_ensemble_is_the_mean_probability_of_its_members(generator: StyleGAN2, taps: Taps) -> None:
    decoder = EnsembleDecoder.of_generator(generator, 4, EnsembleConfig(members=5, hidden=(8,))).eval()
    settle(decoder)
    members = torch.stack([decoder.member(index)(taps).softmax(dim=1) for index in range(5)], dim=1)
    torch.testing.assert_close(decoder(taps).softmax(dim=1), members.mean(dim=1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(decoder.member_probabilities(taps), members, atol=1e-5, rtol=1e-4)


def test_the_temperature_is_of_what_the_members_say_together(generator: StyleGAN2, taps: Taps) -> None:
    decoder = EnsembleDecoder.of_generator(generator, 2, EnsembleConfig(members=2)).eval()
    members = torch.tensor([[10.0, 0.0], [-2.0, 0.0]]).softmax(dim=1)[None, :, :, None, None]
    for temperature, expected in ((1.0, 0.5596), (0.5, 0.6175)):  # 0.509 if each member had it for its own
        decoder.temperature = temperature
        assert decoder.pooled(members).flatten().tolist() == pytest.approx([expected, 1 - expected], abs=1e-4)
    decoder.temperature = 1.0
    said = decoder.member_probabilities(taps)
    decoder.temperature = 0.5
    assert torch.equal(decoder.member_probabilities(taps), said)


def make_all(generator: StyleGAN2, interpolation: Interpolation = "bilinear") -> list[PointwiseDecoder]:
    decoders = [
        LinearDecoder.of_generator(generator, 4, LinearConfig(interpolation=interpolation)),
        MLPDecoder.of_generator(generator, 4, MLPConfig(interpolation=interpolation)),
        MLPDecoder.of_generator(
            generator, 4, MLPConfig(paper="repurposegan", hidden=(9,), interpolation=interpolation)
        ),
        EnsembleDecoder.of_generator(generator, 4, EnsembleConfig(members=2, interpolation=interpolation)),
    ]
    for decoder in decoders:
        settle(decoder.eval())
    return decoders


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_sampled_pixels_give_the_logits_of_the_picture(
    generator: StyleGAN2, taps: Taps, interpolation: Interpolation
) -> None:
    pixels = Pixels(torch.tensor([0, 2, 2, 1]), torch.tensor([0, 15, 7, 3]), torch.tensor([15, 0, 8, 3]))
    for decoder in make_all(generator, interpolation):
        features = sample_pixels(taps, decoder.taps, pixels, 16, interpolation)
        assert features.shape == (4, decoder.channels)
        there = decoder(taps)[pixels.picture, :, pixels.y, pixels.x]
        torch.testing.assert_close(decoder.pixel_logits(features), there, atol=1e-4, rtol=1e-4)


def test_members_may_learn_from_pixels_of_their_own(generator: StyleGAN2) -> None:
    decoder = EnsembleDecoder.of_generator(generator, 4, EnsembleConfig(members=3, hidden=(12, 5))).eval()
    settle(decoder)
    features = torch.randn(3, 7, decoder.channels)
    own = decoder.member_pixel_logits(features)
    for index in range(3):
        shared = decoder.member_pixel_logits(features[index])
        assert shared.shape == (7, 3, 4)
        torch.testing.assert_close(own[:, index], shared[:, index], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(
            shared[:, index], decoder.member(index).pixel_logits(features[index]), atol=1e-5, rtol=1e-4
        )


def test_bands_change_nothing(generator: StyleGAN2, taps: Taps, monkeypatch: pytest.MonkeyPatch) -> None:
    for decoder in make_all(generator):
        whole = decoder(taps)
        monkeypatch.setattr(pointwise, "BAND_VALUES", 1)  # a row at a time
        torch.testing.assert_close(decoder(taps), whole, atol=1e-5, rtol=1e-4)
        monkeypatch.undo()


def test_a_64_px_picture_in_bands_is_the_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    # here the coarse taps are summed at nodes, once for all bands
    torch.manual_seed(0)
    generator = StyleGAN2(preset("tiny", 64, 1).network).eval()
    decoder = MLPDecoder.of_generator(generator, 4).eval()
    settle(decoder)
    monkeypatch.setattr(pointwise, "BAND_VALUES", 128 * 64 * 10)
    with torch.no_grad():
        taps = generator.synthesize(generator.map(generator.latents([0])), taps=decoder.tap_names).taps
        naive = as_maps(naive_mlp(decoder).eval()(naive_pixels(taps, decoder)), decoder)
        torch.testing.assert_close(decoder(taps), naive, atol=1e-4, rtol=1e-4)


def test_one_picture_does_not_depend_on_its_neighbours(generator: StyleGAN2, taps: Taps) -> None:
    for decoder in make_all(generator):
        alone = decoder({name: tensor[1:2] for name, tensor in taps.items()})
        torch.testing.assert_close(decoder(taps)[1:2], alone, atol=1e-5, rtol=1e-4)


def test_an_mlp_learns_from_sampled_pixels(generator: StyleGAN2, taps: Taps) -> None:
    # left and right half of the picture, told apart by position-dependent features
    torch.manual_seed(0)
    for decoder in make_all(generator)[1:]:
        decoder.train()
        step = torch.optim.Adam(decoder.parameters(), 0.01)
        for _ in range(40):
            pixels = Pixels(torch.randint(3, (64,)), torch.randint(16, (64,)), torch.randint(16, (64,)))
            features = sample_pixels(taps, decoder.taps, pixels, 16)
            loss = F.cross_entropy(decoder.pixel_logits(features), (pixels.x >= 8).long())
            step.zero_grad()
            loss.backward()
            step.step()
        found = decoder.eval()(taps).argmax(dim=1)
        assert float((found == (torch.arange(16) >= 8).long()).float().mean()) > 0.9


def test_unusable_settings_are_one_sentence(generator: StyleGAN2) -> None:
    with pytest.raises(UsageError, match="did you mean 'datasetgan'"):
        MLPConfig(paper="datasetgam")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="use 1 or more"):
        MLPConfig(hidden=(128, 0))
    with pytest.raises(UsageError, match="use 1 or more"):
        EnsembleConfig(members=0)
    with pytest.raises(UsageError, match="interpolation 'cubic' is not known"):
        LinearConfig(interpolation="cubic")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="the ensemble has 0 to 1"):
        EnsembleDecoder.of_generator(generator, 3, EnsembleConfig(members=2)).member(2)
    with pytest.raises(UsageError, match="this layer takes"):
        LinearDecoder.from_weights(generator.taps, 16, torch.zeros(3, 7))
