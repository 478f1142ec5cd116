"""Tiny datasets in the exact layouts that were published, with the odd files that such archives have."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

PARTS = (
    "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear", "mouth", "u_lip", "l_lip", "hair",
    "hat", "ear_r", "neck_l", "neck", "cloth",
)  # fmt: skip

ODD = (".DS_Store", "Thumbs.db", "._hidden.png")
"""What file managers leave behind."""


def write(path: Path, data: bytes = b"odd") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def encoded(array: np.ndarray, kind: str = "PNG", mode: str | None = None) -> bytes:
    buffer, image = io.BytesIO(), Image.fromarray(array)
    (image.convert(mode) if mode else image).save(buffer, kind)
    return buffer.getvalue()


def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def celeba(root: Path, numbers: Sequence[int], rows: Mapping[str, slice], modes: Sequence[str] = ("RGB", "L")) -> Path:
    """CelebAMask-HQ: each picture has the given parts, as full rows of the 512 px mask; some as RGB, some as grey."""
    folder = root / "CelebAMask-HQ"
    for index, number in enumerate(numbers):
        write(folder / "CelebA-HQ-img" / f"{number}.jpg", encoded(picture(32, 32, number), "JPEG"))
        for part, place in rows.items():
            mask = np.zeros((512, 512), np.uint8)
            mask[place] = 255
            name = f"CelebAMask-HQ-mask-anno/{number // 2000}/{number:05d}_{part}.png"
            write(folder / name, encoded(mask, mode=modes[index % len(modes)]))
    for odd in ODD:
        write(folder / "CelebA-HQ-img" / odd)
        write(folder / "CelebAMask-HQ-mask-anno" / "14" / odd)
    write(folder / "README.txt")
    write(folder / "CelebA-HQ-to-CelebA-mapping.txt")
    return root


Part = tuple[str, tuple[slice, slice]]


def annotation(width: int, height: int, things: Sequence[tuple[str, Sequence[Part]]], packed: bool = True) -> bytes:
    """A file of Annotations_Part: anno.imname, anno.objects (class, class_ind, mask, parts (part_name, mask))."""
    objects = np.zeros((1, len(things)), [(name, object) for name in ("class", "class_ind", "mask", "parts")])
    for index, (kind, parts) in enumerate(things):
        whole, found = (
            np.zeros((height, width), np.uint8),
            np.zeros((1, len(parts)), [("part_name", object), ("mask", object)]),
        )
        for place, (name, area) in enumerate(parts):
            mask = np.zeros((height, width), np.uint8)
            mask[area] = 1
            whole |= mask
            found[0, place] = (name, mask)
        objects[0, index] = (kind, np.uint8(13), whole, found if parts else np.zeros((0, 0)))
    buffer = io.BytesIO()
    savemat(buffer, {"anno": {"imname": "2008_000001", "objects": objects}}, do_compression=packed)
    return buffer.getvalue()


Box = tuple[int, int, int, int]


def boxes_xml(width: int, height: int, things: Sequence[tuple[str, Box]]) -> bytes:
    """A file of VOC's Annotations."""
    objects = "".join(
        f"<object><name>{kind}</name><pose>Left</pose><truncated>0</truncated><difficult>0</difficult><bndbox>"
        f"<xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for kind, box in things
    )
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><folder>VOC2010</folder>{size}{objects}</annotation>".encode()


def pascal(
    root: Path, kind: str, names: Mapping[str, Sequence[str]], things: Sequence[tuple[str, Box, Sequence[Part]]]
) -> Path:
    """VOC 2010 with Pascal-Part inside: every picture has the same things, 120x80 px."""
    folder = root / "VOCdevkit" / "VOC2010"
    for split, listed in names.items():
        lines = [f"{name}  1" for name in listed] + ["2008_999998 -1", "2008_999999  0"]
        write(folder / "ImageSets" / "Main" / f"{kind}_{split}.txt", ("\n".join(lines) + "\n").encode())
        for index, name in enumerate(listed):
            write(folder / "JPEGImages" / f"{name}.jpg", encoded(picture(120, 80, index), "JPEG"))
            write(folder / "Annotations" / f"{name}.xml", boxes_xml(120, 80, [(kind, box) for kind, box, _ in things]))
            parts = annotation(120, 80, [(kind, parts) for kind, _, parts in things], packed=index % 2 == 0)
            write(folder / "Annotations_Part" / f"{name}.mat", parts)
    for odd in ODD:
        write(folder / "Annotations_Part" / odd)
    return root


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def numbered(folder: Path, labels: Mapping[str, np.ndarray], picture_name: str, label_name: str) -> Path:
    """DatasetGAN: pictures and arrays by number, in one folder."""
    for number, array in labels.items():
        height, width = array.shape[:2]
        shown = picture(width, height, int(number))
        write(folder / picture_name.format(number), encoded(shown, "PNG" if ".png" in picture_name else "JPEG"))
        write(folder / label_name.format(number), saved(array))
    for odd in ODD:
        write(folder / odd)
    return folder
