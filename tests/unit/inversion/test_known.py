"""Latents that are known: found by name or number, and refused when they draw other pictures."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from gannotate.errors import GannotateError, UsageError
from gannotate.generators.base import DrawOptions, to_uint8
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.inversion import known as module
from gannotate.inversion.inverter import Inverter
from gannotate.inversion.known import DOUBTFUL_DB, read_known
from gannotate.inversion.latents import latent_statistics
from gannotate.inversion.losses import OfflineLoss
from gannotate.inversion.many import invert_pictures, latents_path, load_latents, read_inversions
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
    assert known.psnr.min() > 45, "but for rounding to 256 greys"
    assert known.digest == read_known(path, NAMES, drawn(tiny, w, noise), tiny, options).digest


def test_rows_of_w_plus_are_taken_as_they_are(tiny: StyleGAN2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "AT_ONCE", 2)
    w = tiny.map(tiny.latents(range(12))) + 0.1 * torch.randn(12, tiny.style_count, tiny.w_dim)
    known = read_known(saved(tmp_path / "w.npy", w.numpy()), NAMES, drawn(tiny, w[ROWS]), tiny, TRUNCATED)
    assert torch.equal(known.w, w[ROWS])
    assert (known.psnr.shape, known.likeness.shape) == ((3,), (3,))
    one = read_known(tmp_path / "w.npy", NAMES[:1], drawn(tiny, w[ROWS[:1]]), tiny)
    assert torch.equal(one.w, w[ROWS[:1]])
    assert one.digest != known.digest


@pytest.fixture(scope="module")
def inverted(tiny: StyleGAN2, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A folder of inversions of 3 drawn pictures, and these pictures."""
    folder = tmp_path_factory.mktemp("inverted")
    pictures = drawn(tiny, tiny.map(tiny.latents(range(3))))
    inverter = Inverter(tiny, InversionConfig(steps=3), OfflineLoss(), latent_statistics(tiny))
    list(invert_pictures(inverter, ["face_10", "face_2.jpg", "deep/face_0"], pictures, folder))
    return folder, pictures


def test_a_folder_of_inversions_gives_latents_and_noise_by_name(tiny: StyleGAN2, inverted: tuple[Path, np.ndarray]):
    folder, pictures = inverted
    names = ["images/deep/face_0.png", "images/face_10.png", "images/face_2.jpg"]  # the last ending had to be kept
    known = read_known(folder, names, pictures[[2, 0, 1]], tiny)
    assert not isinstance(known.noise, str)
    for place, name in enumerate(["deep/face_0", "face_10", "face_2.jpg"]):
        w, noise = load_latents(folder, name)
        assert torch.equal(known.w[place], w)
        assert all(torch.equal(layer[place], single) for layer, single in zip(known.noise, noise, strict=True))
    told = {row["name"]: row["psnr"] for row in read_inversions(folder)}
    expected = torch.tensor([told[name] for name in ("deep/face_0", "face_10", "face_2.jpg")])
    torch.testing.assert_close(known.psnr, expected, atol=0.05, rtol=0)


def test_a_folder_knows_its_pictures_whatever_they_are_called(tiny: StyleGAN2, inverted: tuple[Path, np.ndarray]):
    folder, pictures = inverted
    with pytest.raises(UsageError, match=r"has the latents of another picture face_10 than the labelled one, or of a"):
        read_known(folder, ["images/face_10.png"], pictures[1:2], tiny)
    read_known(folder, ["face_10.png"], pictures[:1], tiny)  # one is enough
    for name in ("face_3.png", "../face_10.png", "x" * 400):
        with pytest.raises(UsageError, match=r"has no latents of .*; invert all labelled pictures into it"):
            read_known(folder, [f"images/{name}"], pictures[:1], tiny)
    torch.manual_seed(3)
    with pytest.raises(UsageError, match="holds latents of another generator than the project's"):
        read_known(folder, ["images/face_10.png"], pictures[:1], StyleGAN2(tiny.config))


def damaged_settings(folder: Path) -> None:
    (folder / "inversion.json").write_text("[" * 100_000)


def no_generator(folder: Path) -> None:
    (folder / "inversion.json").write_text('{"settings": {"generator": ""}}')


def half_a_file(folder: Path) -> None:
    latents_path(folder, "face_10").write_bytes(b"half")


def no_numbers(folder: Path) -> None:
    tensors = load(latents_path(folder, "face_10").read_bytes())
    latents_path(folder, "face_10").write_bytes(save(tensors | {"w": tensors["w"] * torch.nan}))


def whole_numbers(folder: Path) -> None:
    tensors = load(latents_path(folder, "face_10").read_bytes())
    latents_path(folder, "face_10").write_bytes(save(tensors | {"w": tensors["w"].long()}))


def one_style(folder: Path) -> None:
    tensors = load(latents_path(folder, "face_10").read_bytes())
    latents_path(folder, "face_10").write_bytes(save(tensors | {"w": tensors["w"][:1].clone()}))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (damaged_settings, "inversion.json is damaged"),
        (no_generator, "holds latents of another generator"),
        (half_a_file, "is missing or damaged"),
        (no_numbers, "of other shapes than this generator's, or no finite numbers"),
        (whole_numbers, "of other shapes than this generator's, or no finite numbers"),
        (one_style, "of other shapes than this generator's, or no finite numbers"),
    ],
)
def test_a_damaged_folder(
    tiny: StyleGAN2, inverted: tuple[Path, np.ndarray], tmp_path: Path, damage: Callable[[Path], None], told: str
):
    folder = Path(shutil.copytree(inverted[0], tmp_path / "copy"))
    damage(folder)
    with pytest.raises(GannotateError, match=told):
        read_known(folder, ["images/face_10.png"], inverted[1][:1], tiny)


def test_a_folder_of_something_else(tiny: StyleGAN2, tmp_path: Path):
    picture = drawn(tiny, tiny.map(tiny.latents([0])))
    with pytest.raises(UsageError, match=r"is no folder of inversions, it has no inversion.json; give a folder of"):
        read_known(tmp_path, ["images/face_10.png"], picture, tiny)


@pytest.mark.parametrize("shots", [1, 2, 3, 6])
@pytest.mark.parametrize("wrong", ["another order", "another generator's", "all alike", "mirrored", "stretched"])
def test_latents_that_draw_other_pictures_are_refused(tiny: StyleGAN2, tmp_path: Path, shots: int, wrong: str):
    z = tiny.latents(range(6)).numpy()
    pictures = drawn(tiny, tiny.map(tiny.latents(range(shots))))
    if wrong == "another order":
        z = np.roll(z, 1, axis=0)
    elif wrong == "another generator's":
        z = np.random.default_rng(5).standard_normal(z.shape)
    elif wrong == "all alike":
        z[:] = z[0]
    elif wrong == "mirrored":
        pictures = pictures[:, :, ::-1].copy()
    else:
        pictures = pictures[:, 4:12].repeat(2, axis=1)
    names = [f"{index}.png" for index in range(shots)]
    with pytest.raises(UsageError, match=r"z.npy does not draw the labelled pictures: "):
        read_known(saved(tmp_path / "z.npy", z), names, pictures, tiny)


def test_a_picture_that_is_poorly_drawn_is_taken(tiny: StyleGAN2, tmp_path: Path):
    z = tiny.latents(range(3)).numpy()
    names, pictures = [f"{index}.png" for index in range(3)], drawn(tiny, tiny.map(tiny.latents(range(3))))
    pictures[2] = pictures[0]  # looks more like another one's
    known = read_known(saved(tmp_path / "z.npy", z), names, pictures, tiny)
    assert (known.likeness > DOUBTFUL_DB).tolist() == [True, True, False]


def test_arrays_that_do_not_fit(tiny: StyleGAN2, tmp_path: Path):
    picture = drawn(tiny, tiny.map(tiny.latents([0])))
    z = tiny.latents(range(2)).numpy()
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "pickled.npy").write_bytes(buffer.getvalue())
    (tmp_path / "text.npy").write_text("no array")
    for name, rows in (("wide", np.zeros((2, 9))), ("flat", z[0]), ("whole", z.astype(int)), ("good", z)):
        saved(tmp_path / f"{name}.npy", rows)
    saved(tmp_path / "infinite.npy", np.full(z.shape, np.inf))
    saved(tmp_path / "huge.npy", z.astype(np.float64) * 1e300)
    for name, given, told in (
        ("gone", "0.png", r"gone.npy does not exist; give a folder of `gannotate invert`"),
        ("pickled", "0.png", "is no array of numbers.*; give floating numbers in a .npy"),
        ("text", "0.png", "is no whole npy file.*; give floating numbers in a .npy"),
        ("whole", "0.png", "is no array of numbers.*; give floating numbers in a .npy"),
        ("wide", "0.png", r"is an array \(2, 9\); give z of this generator, \(pictures, 8\), or w\+"),
        ("flat", "0.png", r"is an array \(8,\)"),
        ("infinite", "0.png", "has infinite numbers, or what is no number, in the rows of"),
        ("huge", "0.png", "has infinite numbers, or what is no number, in the rows of"),
        ("good", "2.png", "has 2 rows, counted from 0, and none for 2; give all rows"),
        ("good", "face.png", "and face ends with none; rename it"),
        ("good", f"{'1' * 5000}.png", "ends with none; rename it"),
    ):
        with pytest.raises(UsageError, match=told):
            read_known(tmp_path / f"{name}.npy", [given], picture, tiny)
    with pytest.raises(UsageError, match="has one row for both face_1 and other_01; rename one, or leave it out"):
        read_known(tmp_path / "good.npy", ["face_1.png", "other_01.png"], picture.repeat(2, axis=0), tiny)


def test_what_is_not_used_need_not_be_finite(tiny: StyleGAN2, tmp_path: Path):
    z = tiny.latents(range(3)).numpy()
    z[2] = np.nan
    picture = drawn(tiny, tiny.map(tiny.latents([1])))
    assert len(read_known(saved(tmp_path / "z.npy", z), ["1.png"], picture, tiny).w) == 1
