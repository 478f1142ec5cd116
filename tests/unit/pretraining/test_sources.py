"""Networks as sources of features: what they read is what the network computes, wherever it was kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from gannotate.errors import UsageError
from gannotate.features.source import FeatureSource
from gannotate.pretraining.folder import encoder_part, save_encoder
from gannotate.pretraining.sources import (
    IMAGENET,
    EncoderFeatures,
    PictureKind,
    VAEFeatures,
    load_source,
    open_source,
    save_source,
)
from gannotate.pretraining.vae import VAE, VAEConfig, save_vae
from gannotate.segmenters.build import SegmenterConfig, build_network, save_segmenter

GREY = PictureKind(size=16, image_channels=1)
SHAPE = VAEConfig(size=16, image_channels=1, latents=4, channel_base=128, channel_max=16)


@pytest.fixture
def pictures() -> Tensor:
    torch.manual_seed(3)
    return torch.rand(2, 1, 16, 16) * 2 - 1


def all_taps(source: FeatureSource, pictures: Tensor) -> dict[str, Tensor]:
    return source.read(pictures, [tap.name for tap in source.taps])


def test_an_encoders_features_are_its_stages(tiny: SegmenterConfig, pictures: Tensor, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_network(tiny).eval()
    save_encoder(tmp_path, network, tiny)
    source = open_source(str(tmp_path), GREY)
    assert [(tap.name, tap.height) for tap in source.taps] == [("stage3", 2), ("stage2", 4), ("stage1", 8)]
    found = all_taps(source, pictures)
    with torch.no_grad():
        features = encoder_part(network, tiny)(pictures)
    for tap in source.taps:
        assert found[tap.name].shape == (2, tap.channels, tap.height, tap.width)
        torch.testing.assert_close(found[tap.name], features[int(tap.name[-1])], rtol=1e-4, atol=1e-5)
    assert list(source.read(pictures, ["stage1"])) == ["stage1"]
    with pytest.raises(UsageError, match="no tap 'stage9'"):
        source.read(pictures, ["stage9"])


def test_a_segmenters_encoder_reads_pictures_of_other_size_and_colour(tmp_path: Path) -> None:
    config = SegmenterConfig(classes=3, image_channels=3, size=32, depth=3, decoder_width=16)
    save_segmenter(tmp_path, build_network(config), config)
    source = open_source(str(tmp_path), GREY)
    assert (source.size, source.image_channels) == (16, 1)
    assert source.taps[-1].height == 8
    with pytest.raises(UsageError, match="size 20 px does not divide by 8"):
        open_source(str(tmp_path), PictureKind(size=20, image_channels=1))


def test_a_vaes_features_are_those_of_the_pictures_means(pictures: Tensor, tmp_path: Path) -> None:
    torch.manual_seed(0)
    vae = VAE(SHAPE)
    save_vae(tmp_path, vae)
    source = open_source(str(tmp_path), GREY)
    assert isinstance(source, VAEFeatures)
    with torch.no_grad():
        _, taps = vae.decode(vae.encode(pictures).mean, ["b8.conv1"])
    torch.testing.assert_close(source.read(pictures, ["b8.conv1"])["b8.conv1"], taps["b8.conv1"])
    with pytest.raises(UsageError, match=r"takes 16 px with 1 channel\(s\), the pictures are 32 px with 3"):
        open_source(str(tmp_path), PictureKind(size=32, image_channels=3))


def test_features_can_be_learned_from(pictures: Tensor) -> None:
    taps = all_taps(VAEFeatures(VAE(SHAPE)), pictures)
    head = torch.nn.Conv2d(taps["b8.conv1"].shape[1], 2, 1)
    head(taps["b8.conv1"].half().float()).sum().backward()  # as a decoder does
    assert head.weight.grad is not None


def test_kept_beside_a_decoder_a_source_reads_the_same(tiny: SegmenterConfig, pictures: Tensor, tmp_path: Path) -> None:
    torch.manual_seed(0)
    sources = {
        "vae": VAEFeatures(VAE(SHAPE)),
        "encoder": EncoderFeatures(build_network(tiny), tiny),
        "colours": EncoderFeatures(build_network(tiny), tiny, IMAGENET),
    }
    for name, source in sources.items():
        save_source(tmp_path / name, source)
        again = load_source(tmp_path / name)
        assert again.about() == source.about()
        torch.testing.assert_close(all_taps(again, pictures), all_taps(source, pictures))
    # the folder can be named by a user, too, with the colours that it was kept with
    named = open_source(str(tmp_path / "colours"), GREY)
    torch.testing.assert_close(all_taps(named, pictures), all_taps(sources["colours"], pictures))


def test_colours_are_shifted_and_scaled_as_the_network_learned_them(tiny: SegmenterConfig, pictures: Tensor) -> None:
    torch.manual_seed(0)
    network = build_network(tiny)
    ours, other = EncoderFeatures(network, tiny), EncoderFeatures(network, tiny, ((0.25,), (2.0,)))
    # (p + 1) / 2 at mean 0.25 and deviation 2 is what p' sees at our 0.5 and 0.5
    same = ((pictures + 1) / 2 - 0.25) / 2
    torch.testing.assert_close(all_taps(other, pictures), all_taps(ours, same))
    assert ours.about() != other.about()


def test_an_encoder_of_a_library_with_weights_of_a_file(pictures: Tensor, tmp_path: Path) -> None:
    torch.manual_seed(1)
    small = SegmenterConfig(classes=2, image_channels=1, size=16, encoder="tu-resnet10t", depth=4)
    network = build_network(small).eval()
    save_encoder(tmp_path, network, small)
    source = open_source("timm:resnet10t", GREY, str(tmp_path / "model.safetensors"))
    assert isinstance(source, EncoderFeatures)
    assert source.config.encoder == "tu-resnet10t"
    assert len(source.colours[0]) == 3  # what timm says of it
    features = all_taps(open_source(str(tmp_path), GREY), pictures)
    assert features.keys() == all_taps(source, pictures).keys()
    one, other = (open_source("timm:resnet10t", GREY, "random") for _ in range(2))
    assert one.about() == other.about()  # random weights are the same each time


@pytest.mark.parametrize(
    ("named", "weights", "told"),
    [
        ("timm:resnet18", None, "needs weights; give a file with --features-weights PATH"),
        ("timm:resnet81", "random", "resnet81"),
        ("timm:resnet18", "nowhere.pth", "nowhere.pth is no file of weights"),
        ("nowhere", None, "nowhere is no network's folder"),
        ("nowhere", "random", "weights were given for nowhere, which has its own"),
    ],
)
def test_what_is_no_source(named: str, weights: str | None, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        open_source(named, GREY, weights)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"format_version": 1, "decoder": {}}')
    with pytest.raises(UsageError, match="no network whose activations can be read"):
        open_source(str(tmp_path), GREY)
