"""Decoders that project taps first against the same networks on the papers' full-resolution stack: labelling a picture.

    python bench/decoders.py [--preset paper256] [--size 256] [--decoders cnn mlp ensemble linear] [--repeats 2]

One picture of a generator with random weights and `classes` classes. `ours` is the decoder; `naive` the same weights
on the stack, as the papers' code runs them (see naive.py). Each runs in a process of its own and prints a line of JSON,
then one with the ratios follows: of CPU seconds, and of the memory that labelling adds (`peak_mb` - `before_mb`).
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from measure import How, Work, in_child, show
from naive import naive, stack_mb
from parts import CLASSES, OURS, SIZES, Part, measure

from gannotate.decoders.build import decoder_config, make_decoder
from gannotate.generators.adversarial.presets import preset
from gannotate.generators.stylegan2 import StyleGAN2

WAYS = ("naive", OURS)


def prepare(
    way: str, how: How, decoder: str, network: str, size: int, classes: int, interpolation: str = "bilinear"
) -> Work:
    """Labelling one picture whose taps are drawn."""
    with torch.inference_mode():
        generator = StyleGAN2(preset(network, size, 3).network).to(how.device).eval()
        config = decoder_config(decoder, {"interpolation": interpolation})
        made = make_decoder(decoder, generator, classes, config).to(how.device).eval()
        taps = generator.synthesize(generator.map(generator.latents([0])), taps=made.tap_names).taps
        label = made if way == OURS else naive(made)

    @torch.inference_mode()
    def run() -> None:
        label(taps)

    return Work([(run, 1)])


def needs_mb(way: str, network: str, size: int, **_: Any) -> float:
    """The upsampled maps, their stack, and its pixels as one array."""
    return 3 * stack_mb(network, size) if way == "naive" else 0.0


PART = Part(
    title="Labelling a drawn picture by a decoder",
    unit="picture",
    ways={OURS: "projected, band by band", "naive": "on the stack of full-size features"},
    prepare=prepare,
    cases=[
        {"decoder": kind, "network": "tiny", "size": 64, "classes": 11} for kind in ("mlp", "ensemble", "cnn", "linear")
    ],
    growth={"size": SIZES, "classes": CLASSES},
    needs_mb=needs_mb,
)


def main() -> None:
    """All decoders both ways, or one of them."""
    flags = parse()
    how = How(repeats=flags.repeats)
    shared = {"network": flags.preset, "size": flags.size, "classes": flags.classes}
    for kind in flags.decoders:
        case = shared | {"decoder": kind, "interpolation": flags.interpolation}
        rows = {}
        for way in (flags.way,) if flags.way else WAYS:
            rows[way] = case | {"way": way} | in_child(measure, prepare=prepare, way=way, how=how, case=case)
            show(rows[way])
        if len(rows) > 1:
            added = {way: row["peak_mb"] - row["before_mb"] for way, row in rows.items()}
            ratios = {
                "times_faster": round(rows["naive"]["cpu_s"] / rows[OURS]["cpu_s"], 1),
                "times_less_memory": round(added["naive"] / max(1, added[OURS]), 1),
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
    parser.add_argument("--repeats", type=int, default=2, help="timed passes; the median counts")
    parser.add_argument("--way", choices=WAYS, help="measure this one only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
