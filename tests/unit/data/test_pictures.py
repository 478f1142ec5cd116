"""Reading folders and zips of pictures, good and bad."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from gannotate.data.pictures import MAX_PIXELS, PictureSource, decode_picture, load_pictures
from gannotate.errors import GannotateError, UsageError


def encoded(width=8, height=8, mode="RGB", kind="PNG", value=None, **options):
    rng = np.random.default_rng(0)
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    array = np.full(shape, value, np.uint8) if value is not None else rng.integers(0, 255, shape, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(array).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def folder_of(path, files):
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def zip_of(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


FILES = {"b.png": encoded(), "a.jpg": encoded(kind="JPEG"), "notes.txt": b"hello", ".hidden.png": encoded()}


def test_folder_and_zip_give_the_same(tmp_path):
    from_folder = load_pictures(folder_of(tmp_path / "folder", FILES))
    from_zip = load_pictures(zip_of(tmp_path / "p.zip", FILES))
    assert from_folder.names == from_zip.names == ("a.jpg", "b.png")
    assert np.array_equal(from_folder.pictures, from_zip.pictures)
    assert from_folder.pictures.shape == (2, 8, 8, 3)
    assert from_folder.pictures.dtype == np.uint8


def test_of_images_and_masks_only_images_are_read(tmp_path):
    folder = folder_of(tmp_path, {"images/a.png": encoded(), "masks/a.png": encoded(mode="L")})
    assert load_pictures(folder).names == ("images/a.png",)
    assert load_pictures(folder, under="masks").names == ("masks/a.png",)


def test_corrupt_and_odd_sized_pictures_are_named_skipped_and_counted(tmp_path):
    files = {f"{i}.png": encoded() for i in range(4)}
    files |= {"corrupt.png": encoded()[:60], "empty.png": b"", "odd.png": encoded(12, 8)}
    loaded = load_pictures(folder_of(tmp_path, files))
    assert len(loaded.pictures) == 4
    reasons = {item.name: item.reason for item in loaded.skipped}
    assert reasons.keys() == {"corrupt.png", "empty.png", "odd.png"}
    assert reasons["odd.png"] == "12x8 px, the others are 8x8"
    assert "not a whole picture" in reasons["corrupt.png"]


def test_scaling_is_an_area_mean(tmp_path):
    checks = np.kron(np.indices((4, 4)).sum(axis=0) % 2, np.ones((2, 2))) * 255
    Image.fromarray(checks.astype(np.uint8)).save(tmp_path / "a.png")
    loaded = load_pictures(tmp_path, size=2)
    assert loaded.pictures.shape == (1, 2, 2, 1)
    assert (np.abs(loaded.pictures.astype(int) - 128) <= 1).all()


def test_crop_takes_the_central_square_of_mixed_sizes(tmp_path):
    folder = folder_of(tmp_path, {"a.png": encoded(20, 8), "b.png": encoded(8, 16)})
    assert load_pictures(folder, size=8, crop=True).pictures.shape == (2, 8, 8, 3)


def test_grey_stored_as_colour_is_grey(tmp_path):
    folder = folder_of(tmp_path, {f"{i}.jpg": encoded(mode="L", kind="JPEG") for i in range(3)})
    (folder / "c.png").write_bytes(encoded(value=90))
    assert load_pictures(folder).pictures.shape[-1] == 1
    assert load_pictures(folder, channels=3).pictures.shape[-1] == 3


def test_sixteen_bit_pictures_fill_the_range():
    buffer = io.BytesIO()
    Image.fromarray(np.linspace(1000, 5000, 64).reshape(8, 8).astype(np.uint16)).save(buffer, "PNG")
    array = np.asarray(decode_picture(buffer.getvalue()))
    assert (array.min(), array.max(), array.dtype) == (0, 255, np.uint8)


def test_a_grey_level_multiplied_by_its_alpha_is_divided_by_it():
    buffer = io.BytesIO()
    Image.new("LA", (5, 4), (50, 100)).save(buffer, "TIFF")
    extra = b"\x52\x01\x03\x00\x01\x00\x00\x00"  # the tag ExtraSamples; 2: alpha is apart from the grey level, 1: in it
    assert extra + b"\x02" in buffer.getvalue()
    data = buffer.getvalue().replace(extra + b"\x02", extra + b"\x01")
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "La"
    picture = decode_picture(data)
    assert (picture.mode, picture.getpixel((0, 0))) == ("L", 50 * 255 // 100)


def test_pictures_are_turned_upright():
    image = Image.fromarray(np.zeros((4, 8), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    assert decode_picture(buffer.getvalue()).size == (4, 8)


def test_a_decompression_bomb_is_refused_before_it_is_unpacked():
    side = int(MAX_PIXELS**0.5) + 1
    buffer = io.BytesIO()
    Image.new("1", (side, side)).save(buffer, "PNG")
    with pytest.raises(GannotateError, match="more than 100 Mpx"):
        decode_picture(buffer.getvalue())


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        ({"readme.txt": b"x"}, {}, "no pictures in .*, it holds readme.txt; give a folder or a zip with .png"),
        ({"b.npz": b"x", "a.npy": b"x", "c": b""}, {}, "no pictures in .*, it holds a.npy and 2 more files; give"),
        ({}, {}, "no pictures in .*, it is empty; give"),
        ({"a.png": encoded(8), "b.png": encoded(9, 9), "c.png": encoded(10, 10)}, {}, "mixed sizes.*--crop"),
        ({"a.png": encoded(8, 6)}, {}, "8x6 px, not square; add --crop"),
        ({"a.png": encoded()}, {"size": 16}, "smaller than 16 px"),
        ({"a.png": b"junk"}, {}, "of 1 picture in"),
    ],
)
def test_wrong_folders_are_explained(tmp_path, files, options, words):
    with pytest.raises(UsageError, match=words):
        load_pictures(folder_of(tmp_path, files), **options)


def test_not_there_and_not_a_zip(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        PictureSource(tmp_path / "no")
    (tmp_path / "a.zip").write_bytes(b"not a zip")
    with pytest.raises(UsageError, match=r"not a folder or a zip.*; perhaps its download was cut off$"):
        PictureSource(tmp_path / "a.zip")
    (tmp_path / "a.npz").write_bytes(b"not a zip")
    with pytest.raises(UsageError, match=r"not a folder or a zip.*zip file\)$"):
        PictureSource(tmp_path / "a.npz")
    (tmp_path / "my film.mp4").write_bytes(b"")
    with pytest.raises(UsageError, match=r"is a video; give .* `ffmpeg -i '.*my film.mp4' FRAMES/%06d.png`"):
        PictureSource(tmp_path / "my film.mp4")
