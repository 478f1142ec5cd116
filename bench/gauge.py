"""Which feature space sees distorted pictures best? Prints the table behind the default of the quality gauge.

    python bench/gauge.py [--pictures 500] [--spaces pixels scattering] [--json]

Real pictures of ../shared/data (cells and X-rays) at 64 px; the fakes are other real pictures, distorted in graded
ways. The score is KID(distorted) / standard deviation of KID(real half against real half): how many standard
deviations of chance a distortion stands out, higher is better. Each space
of each folder takes up to a minute on one core.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from gannotate.metrics.feature_spaces import FeatureSpace, RelativeSpace, make_feature_space, principal_axes
from gannotate.metrics.image_quality import fid, kid, precision_recall
from gannotate.seeding import numpy_stream, torch_stream

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SIZE_PX = 64


class RandomConvolutions:
    """A candidate: four 3 x 3 convolutions with seeded orthogonal weights, pooled as the scattering is."""

    name = "random-64px"

    def __init__(self, image_channels: int):
        generator, self._weights = torch_stream(0, "random-convolutions"), []
        for inputs, outputs in ((image_channels, 32), (32, 64), (64, 96), (96, 128)):
            weight = torch.nn.init.orthogonal_(torch.empty(outputs, inputs, 3, 3), generator=generator)
            self._weights.append(weight * 2**0.5)
        self._weights[0] -= self._weights[0].mean((2, 3), keepdim=True)

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        return np.concatenate([self._features(chunk) for chunk in np.array_split(pictures, 20)])

    def _features(self, pictures: np.ndarray) -> np.ndarray:
        x = _as_tensor(pictures) / 127.5 - 1
        parts = [F.adaptive_avg_pool2d(x, 8).flatten(1)]
        for weight in self._weights:
            x = F.relu(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), weight))
            parts += [F.adaptive_avg_pool2d(x, 4).flatten(1), x.std((2, 3))]
            x = F.avg_pool2d(x, 2)
        return torch.cat(parts, 1).numpy()

    def relative_to(self, real: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        return principal_axes(real)


def real_pictures(folder: str, count: int) -> np.ndarray:
    """uint8 (count, 64, 64, c) of the folder's unlabelled pictures, in a seeded order."""
    with zipfile.ZipFile(DATA / folder / "unlabelled.zip") as archive:
        names = sorted(name for name in archive.namelist() if not name.endswith("/"))
        names = [names[index] for index in numpy_stream(0, "gauge", folder).permutation(len(names))[:count]]
        pictures = [Image.open(io.BytesIO(archive.read(name))) for name in names]
        small = [np.asarray(p.resize((SIZE_PX, SIZE_PX), Image.Resampling.LANCZOS)) for p in pictures]
    return np.stack(small).reshape(len(small), SIZE_PX, SIZE_PX, -1)


# ----------------------------------------------------------------------------------------------------
# Graded distortions, weakest first.


def _as_tensor(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float()


def _as_pictures(x: torch.Tensor) -> np.ndarray:
    return x.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


def _gaussian_blur(x: torch.Tensor, sigma_px: float) -> torch.Tensor:
    n, c, h, w = x.shape
    radius = int(4 * sigma_px + 1)
    taps = torch.exp(-((torch.arange(-radius, radius + 1) / sigma_px) ** 2) / 2)
    taps = taps / taps.sum()
    x = F.pad(x.reshape(n * c, 1, h, w), [radius] * 4, mode="reflect")
    x = F.conv2d(F.conv2d(x, taps[None, None, None]), taps[None, None, :, None])
    return x.reshape(n, c, h, w)


def blur(pictures: np.ndarray, sigma_px: float) -> np.ndarray:
    return _as_pictures(_gaussian_blur(_as_tensor(pictures), sigma_px))


def noise(pictures: np.ndarray, sigma: float) -> np.ndarray:
    x = _as_tensor(pictures)
    return _as_pictures(x + sigma * torch.randn(x.shape, generator=torch_stream(0, "noise")))


def jpeg(pictures: np.ndarray, quality: float) -> np.ndarray:
    result = []
    for picture in pictures:
        buffer = io.BytesIO()
        Image.fromarray(picture.squeeze()).save(buffer, "JPEG", quality=int(quality))
        result.append(np.asarray(Image.open(buffer)).reshape(picture.shape))
    return np.stack(result)


def elastic(pictures: np.ndarray, amplitude_px: float) -> np.ndarray:
    """Local warps: a smooth field (sigma 4 px) of that root mean square shift."""
    x = _as_tensor(pictures)
    n, _, h, w = x.shape
    field = _gaussian_blur(torch.randn(n, 2, h, w, generator=torch_stream(0, "elastic")), 4.0)
    field = (field / field.std() * amplitude_px * 2 / h).permute(0, 2, 3, 1)
    grid = F.affine_grid(torch.eye(2, 3).expand(n, 2, 3), [n, 1, h, w], align_corners=False)
    return _as_pictures(F.grid_sample(x, grid + field, "bicubic", "reflection", align_corners=False))


def tiles(pictures: np.ndarray, swaps: float) -> np.ndarray:
    """Misplaced parts: that many pairs of 16 px tiles change places in every picture."""
    rng, result = numpy_stream(0, "tiles"), pictures.copy()
    for picture in result:
        for _ in range(int(swaps)):
            (y1, x1), (y2, x2) = (16 * np.array(divmod(i, 4)) for i in rng.choice(16, 2, replace=False))
            first = picture[y1 : y1 + 16, x1 : x1 + 16].copy()
            picture[y1 : y1 + 16, x1 : x1 + 16] = picture[y2 : y2 + 16, x2 : x2 + 16]
            picture[y2 : y2 + 16, x2 : x2 + 16] = first
    return result


def ghosts(pictures: np.ndarray, share: float) -> np.ndarray:
    """Another picture shines through, as between the modes of a generator."""
    x = _as_tensor(pictures)
    return _as_pictures((1 - share) * x + share * x.roll(1, 0))


def checkers(pictures: np.ndarray, amplitude: float) -> np.ndarray:
    """The grid that upsampling leaves: plus and minus `amplitude` on alternate pixels."""
    sign = 1 - 2 * (np.indices(pictures.shape[1:3]).sum(0) % 2)
    return np.clip(pictures + amplitude * sign[:, :, None], 0, 255).round().astype(np.uint8)


DISTORTIONS: dict[str, tuple[Callable[[np.ndarray, float], np.ndarray], tuple[float, ...]]] = {
    "blur": (blur, (0.5, 1, 2)),
    "noise": (noise, (2, 4, 8)),
    "jpeg": (jpeg, (90, 70, 40)),
    "elastic": (elastic, (0.5, 1, 2)),
    "tiles": (tiles, (1, 2, 4)),
    "ghosts": (ghosts, (0.05, 0.1, 0.2)),
    "checkers": (checkers, (1, 2, 4)),
}


def clusters(pictures: np.ndarray) -> np.ndarray:
    """Cluster (0-3) of each picture by its 8 x 8 thumbnail."""
    from sklearn.cluster import KMeans

    thumbnails = F.adaptive_avg_pool2d(_as_tensor(pictures), 8).flatten(1).numpy()
    return KMeans(4, random_state=0).fit_predict(thumbnails)


def fakes(pool: np.ndarray, count: int) -> Iterator[tuple[str, np.ndarray]]:
    """(name, pictures) of every distortion and level, and of ever fewer modes."""
    yield "none", pool[:count]
    for name, (distort, levels) in DISTORTIONS.items():
        for level in levels:
            yield f"{name} {level:g}", distort(pool[:count], level)
    cluster = clusters(pool)
    for kept in (3, 2, 1):
        yield f"modes {kept}/4", pool[cluster < kept][:count]


# ----------------------------------------------------------------------------------------------------
# Scores.


def score(real: np.ndarray, sets: dict[str, np.ndarray], space: FeatureSpace) -> dict:
    """KID in standard deviations of chance, precision and recall of every set, in one space."""
    started = time.process_time()
    raw = space(real)
    seconds = time.process_time() - started
    scale = space.relative_to(raw) if isinstance(space, RelativeSpace) else np.asarray
    features, other = scale(raw), scale(space(sets["none"]))
    both = np.concatenate([features, other])
    chance = []
    for draw in range(20):
        order = numpy_stream(draw, "null").permutation(len(both))
        chance.append(kid(both[order[: len(raw)]], both[order[len(raw) :]]).value)
    deviation = float(np.std(chance))
    rows = {}
    for name, pictures in sets.items():
        fake = scale(space(pictures))
        distance, (precision, recall) = kid(features, fake), precision_recall(features, fake)
        rows[name] = {
            "kid": distance.value,
            "kid_standard_error": distance.standard_error,
            "snr": distance.value / deviation,
            "precision": precision,
            "recall": recall,
            "fid": fid(features, fake),
        }
    per_1000 = seconds * 1000 / len(real)
    return {"feature_space": space.name, "seconds_per_1000": per_1000, "chance_sd": deviation, "sets": rows}


def out_of_order(rows: dict) -> list[str]:
    """Distortions whose KID does not grow with every level."""
    return [
        name
        for name, (_, levels) in DISTORTIONS.items()
        if not np.all(np.diff([rows["none"]["kid"]] + [rows[f"{name} {level:g}"]["kid"] for level in levels]) > 0)
    ]


def table(folder: str, results: list[dict]) -> str:
    """Markdown: a line a set, a column a space, KID in standard deviations of chance (and recall for modes)."""
    lines = [f"| {folder} | " + " | ".join(result["feature_space"] for result in results) + " |"]
    lines.append("|---" * (len(results) + 1) + "|")
    for name in results[0]["sets"]:
        rows = [result["sets"][name] for result in results]
        with_recall = name.startswith(("none", "modes"))
        cells = [f"{r['snr']:.1f}" + (f" (recall {r['recall']:.2f})" if with_recall else "") for r in rows]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines.append("| CPU s per 1,000 pictures | " + " | ".join(f"{r['seconds_per_1000']:.1f}" for r in results) + " |")
    lines.append("| not in order | " + " | ".join(", ".join(out_of_order(r["sets"])) or "-" for r in results) + " |")
    return "\n".join(lines)


def main() -> None:
    """Prints one table a folder, or everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=500, help="real pictures, and pictures of every fake set")
    parser.add_argument("--folders", nargs="+", default=["wbc", "xray"])
    parser.add_argument("--spaces", nargs="+", default=["pixels", "random", "scattering"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not DATA.is_dir():
        sys.exit("bench/gauge.py needs the real pictures in ../shared/data beside the repository; they are not there")
    everything = {}
    for folder in options.folders:
        pictures = real_pictures(folder, 4 * options.pictures)
        channels = pictures.shape[-1]
        sets = dict(fakes(pictures[options.pictures :], options.pictures))
        results = []
        for name in options.spaces:
            space = RandomConvolutions(channels) if name == "random" else make_feature_space(name, channels)
            results.append(score(pictures[: options.pictures], sets, space))
        everything[folder] = results
        if not options.json:
            print(table(folder, results), flush=True)
    if options.json:
        print(json.dumps(everything, indent=2))


if __name__ == "__main__":
    main()
