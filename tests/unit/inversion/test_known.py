"""Latents that are known: found by name or number, and refused when they draw other pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from gannotate.errors import GannotateError, UsageError
from gannotate.generators.base import DrawOptions, to_uint8
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.inversion.inverter import Inverter
from gannotate.inversion.known import KnownLatents, read_known
from gannotate.inversion.latents import latent_statistics
from gannotate.inversion.losses import OfflineLoss
from gannotate.inversion.many import invert_pictures, latents_path, load_latents
from gannotate.inversion.projector import InversionConfig

NAMES = ["images/face_10.jpg", "images/face_2.jpg", "images/face_0.jpg"]
"""As read: by name. Their rows are 10, 2 and 0."""

ROWS = [10, 2, 0]

TRUNCATED = DrawOptions(psi=0.7, cutoff=2)


def drawn(generator: StyleGAN2, w: torch.Tensor, noise: str = "const") -> np.ndarray:
    with torch.no_grad():
        return to_uint8(generator.synthesize(w, noise).picture)  # pyright: ignore[reportArgumentType]


def saved(path: Path, rows: np.ndarray) -> Path:
    np.save(path, rows)
    return path


@pytest.mark.parametrize("noise", ["const", "none"])
def test_rows_of_z_go_by_number_and_are_truncated(tiny: StyleGAN2, tmp_path: Path, noise: str):
    z = tiny.latents(range(12))
    w = tiny.map(z, psi=0.7, cutoff=2)[ROWS]
    options = DrawOptions(psi=0.7, cutoff=2, noise=noise)  # pyright: ignore[reportArgumentType]
    path = saved(tmp_path / "z.npy", z.double().numpy())
    known = read_known(path, NAMES, drawn(tiny, w, noise), tiny, options)
    torch.testing.assert_close(known.w, w)
    assert known.noise == noise
    assert np.array_equal(to_uint8(known.drawn_by(tiny).picture), drawn(tiny, known.w, noise))


def test_rows_of_w_plus_are_taken_as_they_are(tiny: StyleGAN2, tmp_path: Path):
    w = tiny.map(tiny.latents(range(12))) + 0.1 * torch.randn(12, tiny.style_count, tiny.w_dim)
    known = read_known(saved(tmp_path / "w.npy", w.numpy()), NAMES, drawn(tiny, w[ROWS]), tiny, TRUNCATED)
    assert torch.equal(known.w, w[ROWS])
    assert known.part(slice(1, 3)).digest == KnownLatents(w[[2, 0]], "const").digest
    assert len({known.digest, KnownLatents(w[ROWS], "none").digest, KnownLatents(w[ROWS] + 1, "const").digest}) == 3


@pytest.fixture(scope="module")
def inverted(tiny: StyleGAN2, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A folder of inversions of 3 drawn pictures, called as in NAMES, and these pictures."""
    folder = tmp_path_factory.mktemp("inverted")
    pictures = drawn(tiny, tiny.map(tiny.latents(range(3))))
    inverter = Inverter(tiny, InversionConfig(steps=60), OfflineLoss(), latent_statistics(tiny))
    list(invert_pictures(inverter, ["face_10", "face_2.jpg", "deep/face_0"], pictures, folder))
    return folder, pictures


def test_a_folder_of_inversions_gives_latents_and_noise_by_name(tiny: StyleGAN2, inverted: tuple[Path, np.ndarray]):
    folder, pictures = inverted
    names = ["images/deep/face_0.png", "images/face_10.png", "images/face_2.jpg"]  # the last ending had to be kept
    known = read_known(folder, names, pictures[[2, 0, 1]], tiny)
    for place, name in enumerate(["deep/face_0", "face_10", "face_2.jpg"]):
        w, noise = load_latents(folder, name)
        assert torch.equal(known.w[place], w)
        assert all(torch.equal(layer[place], single) for layer, single in zip(known.noise, noise, strict=True))  # pyright: ignore[reportArgumentType]
    assert known.part(slice(0, 1)).drawn_by(tiny).picture.shape == (1, 1, 16, 16)


def test_a_folder_that_does_not_fit(tiny: StyleGAN2, inverted: tuple[Path, np.ndarray], tmp_path: Path):
    folder, pictures = inverted
    with pytest.raises(UsageError, match=r"has no latents of face_3.png; invert all labelled pictures into it"):
        read_known(folder, ["images/face_3.png"], pictures[:1], tiny)
    torch.manual_seed(3)
    with pytest.raises(UsageError, match="holds latents of another generator than the project's"):
        read_known(folder, ["images/face_10.png"], pictures[:1], StyleGAN2(tiny.config))
    with pytest.raises(UsageError, match=r"is no folder of inversions, it has no inversion.json; give a folder of"):
        read_known(tmp_path, ["images/face_10.png"], pictures[:1], tiny)
    (tmp_path / "inversion.json").write_text("{}")
    with pytest.raises(GannotateError, match="is damaged"):
        read_known(tmp_path, ["images/face_10.png"], pictures[:1], tiny)
    (tmp_path / "inversion.json").write_bytes((folder / "inversion.json").read_bytes())
    latents_path(tmp_path, "face_10").parent.mkdir()
    latents_path(tmp_path, "face_10").write_bytes(b"half")
    with pytest.raises(GannotateError, match="is missing or damaged"):
        read_known(tmp_path, ["images/face_10.png"], pictures[:1], tiny)


def test_latents_of_other_pictures_are_refused_and_a_poor_one_is_not(tiny: StyleGAN2, tmp_path: Path):
    z = tiny.latents(range(3)).numpy()
    names, pictures = [f"{index}.png" for index in range(3)], drawn(tiny, tiny.map(tiny.latents(range(3))))
    said = r"does not draw the labelled pictures: 3 of 3 look more like what another one's latents draw, 0 like 1's"
    with pytest.raises(UsageError, match=said):
        read_known(saved(tmp_path / "rolled.npy", np.roll(z, 1, axis=0)), names, pictures, tiny)
    pictures[2] = pictures[0]  # looks more like another one's
    assert len(read_known(saved(tmp_path / "z.npy", z), names, pictures, tiny).w) == 3


def test_arrays_that_do_not_fit(tiny: StyleGAN2, tmp_path: Path):
    picture = drawn(tiny, tiny.map(tiny.latents([0])))
    z = tiny.latents(range(2)).numpy()
    infinite = z.copy()
    infinite[0, 0] = np.inf
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "pickled.npy").write_bytes(buffer.getvalue())
    (tmp_path / "text.npy").write_text("no array")
    for name, rows in (("wide", np.zeros((2, 9))), ("infinite", infinite), ("flat", z[0]), ("whole", z.astype(int))):
        saved(tmp_path / f"{name}.npy", rows)
    saved(tmp_path / "good.npy", z)
    for name, given, told in (
        ("gone", "0.png", r"gone.npy does not exist; give a folder of `gannotate invert`"),
        ("pickled", "0.png", "is no array of numbers|is no whole npy file"),
        ("text", "0.png", "is no whole npy file"),
        ("whole", "0.png", "is no array of numbers"),
        ("wide", "0.png", r"is an array \(2, 9\).* give z of this generator, \(pictures, 8\), or w\+"),
        ("flat", "0.png", r"is an array \(8,\)"),
        ("infinite", "0.png", "has infinite numbers"),
        ("good", "2.png", "2 is beyond its 2 rows; rename it"),
        ("good", "face.png", "face has no number at the end; rename it"),
    ):
        with pytest.raises(UsageError, match=told):
            read_known(tmp_path / f"{name}.npy", [given], picture, tiny)
    with pytest.raises(UsageError, match="two labelled pictures are called 0; latents are found by name"):
        read_known(tmp_path / "good.npy", ["0.png", "0.jpg"], picture.repeat(2, axis=0), tiny)
