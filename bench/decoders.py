"""Decoders that project taps first against the same networks on the papers' full-resolution stack: labelling a picture.

    python bench/decoders.py [--preset paper256] [--size 256] [--decoders cnn mlp ensemble linear] [--repeats 2]

One picture of a generator with random weights and `classes` classes. `ours` is the decoder; `naive` the same weights
on the stack, as the papers' code runs them: the CNN on all of it, pixel networks on its pixels as one array, the
ensemble's members one after the other. Each runs in a process of its own and prints a line of JSON, then one with the
ratios follows: of CPU seconds, and of the memory that labelling adds (`peak_mb` - `before_mb`, what is resident
before it; drawing the picture has a peak of its own, which counts as labelling's where that stays below).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from measure import fastest, in_child, peak_mb, resident_mb, show
from torch import Tensor, nn

from gannotate.decoders.base import Decoder
from gannotate.decoders.build import decoder_config, make_decoder
from gannotate.decoders.cnn import SLOPE, CNNDecoder
from gannotate.decoders.ensemble import EnsembleDecoder
from gannotate.decoders.mlp import MLPDecoder
from gannotate.decoders.pointwise import PointwiseDecoder
from gannotate.features.projection import ProjectedLinear
from gannotate.features.stack import stack
from gannotate.generators.adversarial.presets import preset
from gannotate.generators.stylegan2 import StyleGAN2

Run = Callable[[Mapping[str, Tensor]], Tensor]


def main() -> None:
    """All decoders both ways, or in a child process one of them."""
    flags = parse()
    if flags.way:
        show(measure(flags))
        return
    shared = {name: getattr(flags, name) for name in ("preset", "size", "classes", "interpolation", "repeats")}
    for kind in flags.decoders:
        rows = {way: in_child(__file__, shared | {"decoders": kind, "way": way}) for way in ("naive", "ours")}
        naive, ours = rows["naive"], rows["ours"]
        added = {way: row["peak_mb"] - row["before_mb"] for way, row in rows.items()}
        ratios = {
            "times_faster": round(naive["cpu_s"] / ours["cpu_s"], 1),
            "times_less_memory": round(added["naive"] / max(1, added["ours"]), 1),
        }
        show({"decoder": kind, "preset": flags.preset, "size": flags.size, **ratios})


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--preset", default="paper256")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--decoders", nargs="+", default=["cnn", "mlp", "ensemble", "linear"])
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--interpolation", default="bilinear")
    parser.add_argument("--repeats", type=int, default=2, help="timed passes; the fastest counts")
    parser.add_argument("--way", choices=("naive", "ours"), help="measure this one only, in this process")
    return parser.parse_args()


@torch.inference_mode()
def measure(flags: argparse.Namespace) -> dict[str, Any]:
    """Seconds of one decoder's fastest pass one way, and the process's peak memory."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    kind = flags.decoders[0]
    generator = StyleGAN2(preset(flags.preset, flags.size, 3).network).eval()
    config = decoder_config(kind, {"interpolation": flags.interpolation})
    decoder = make_decoder(kind, generator, flags.classes, config).eval()
    taps = generator.synthesize(generator.map(generator.latents([0])), taps=decoder.tap_names).taps
    run = decoder if flags.way == "ours" else naive(decoder)
    before_mb = resident_mb()
    row: dict[str, Any] = {"decoder": kind, "way": flags.way, "preset": flags.preset, "size": flags.size}
    row |= fastest(lambda: run(taps), flags.repeats)
    return row | {"before_mb": before_mb, "peak_mb": peak_mb()}


def naive(decoder: Decoder) -> Run:
    """The decoder's network on the stack."""
    if isinstance(decoder, CNNDecoder):
        return naive_cnn(decoder)
    if isinstance(decoder, EnsembleDecoder):
        members = [naive_pixels(decoder.member(index)) for index in range(decoder.config.members)]
        return lambda taps: _mean_log(members, _features(decoder, taps))
    assert isinstance(decoder, PointwiseDecoder)
    network = naive_pixels(decoder)
    return lambda taps: _as_map(network(_features(decoder, taps)))


def naive_cnn(decoder: CNNDecoder) -> Run:
    """1x1 convolution on the stack, then the decoder's own convolutions."""
    first = decoder.first
    assert isinstance(first, ProjectedLinear)
    weight, bias = first.stacked_weight()[:, :, None, None], first.stacked_bias()

    def run(taps: Mapping[str, Tensor]) -> Tensor:
        x = F.conv2d(stack(taps, first.taps, first.size, first.interpolation), weight, bias)
        for conv in decoder.convs:
            x = conv(F.leaky_relu_(x, SLOPE))
        return x

    return run


def naive_pixels(decoder: PointwiseDecoder) -> Callable[[Tensor], Tensor]:
    """The pixel network on an array of feature vectors, 64 k at a time."""
    weight, bias = decoder.first.stacked_weight(), decoder.first.stacked_bias()
    tail = decoder.layers if isinstance(decoder, MLPDecoder) else nn.Identity()
    return lambda pixels: torch.cat([tail(F.linear(some, weight, bias)) for some in pixels.split(2**16)])


def _features(decoder: PointwiseDecoder, taps: Mapping[str, Tensor]) -> Tensor:
    stacked = stack(taps, decoder.taps, decoder.size, decoder.first.interpolation)
    return stacked.permute(0, 2, 3, 1).reshape(-1, decoder.channels)


def _mean_log(members: list[Callable[[Tensor], Tensor]], pixels: Tensor) -> Tensor:
    return _as_map(torch.stack([member(pixels).softmax(dim=1) for member in members]).mean(dim=0).log())


def _as_map(pixels: Tensor) -> Tensor:
    side = round(len(pixels) ** 0.5)
    return pixels.view(1, side, side, -1).permute(0, 3, 1, 2)


if __name__ == "__main__":
    main()
