"""Labels that come in over HTTP: what is taken, and the sentence of what is not."""

from __future__ import annotations

import errno
import io
import os
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from gannotate.annotate.access import Access
from gannotate.annotate.live import Live
from gannotate.annotate.routes.importing import MOST_IMPORT_BYTES, safe_file
from gannotate.annotate.server import create_app
from gannotate.annotate.store import Store
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.labels import IGNORE

Truth = Callable[[int], np.ndarray]

PORT = 8770
HOME = f"http://127.0.0.1:{PORT}"


@pytest.fixture
def page(store: Store, tiny: StyleGAN2) -> TestClient:
    access = Access("127.0.0.1", PORT)
    client = TestClient(create_app(store, Live(store, tiny), access), base_url=HOME, raise_server_exceptions=False)
    assert client.get(access.address.removeprefix(HOME)).status_code == 200
    return client


def mask(label_map: np.ndarray, mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(label_map, mode=mode).save(buffer, "PNG")
    return buffer.getvalue()


def send(page: TestClient, data: bytes, name: str, format: str = "palette", **how: str | bool):
    return page.post("/api/import", content=data, params={"name": name, "format": format, **how})


def test_one_mask_goes_onto_the_picture_of_its_name(page: TestClient, store: Store, truth: Truth):
    answer = send(page, mask(truth(3)), "3.png")
    assert answer.json() == {"imported": 1, "pictures": 0, "unchanged": 0, "notes": []}
    saved = store.load(3)
    assert (saved.source, saved.version) == ("imported", 1)
    assert (saved.label_map == truth(3)).all()
    assert send(page, mask(truth(3)), "3.png").json()["unchanged"] == 1


def test_what_was_exported_comes_in_again_with_its_pictures(page: TestClient, store: Store, truth: Truth):
    partly = truth(1)
    partly[:4] = IGNORE
    store.save(1, partly, 0)
    for name in ("palette", "coco", "label-studio", "numpy"):
        data = page.get(f"/api/export/{name}").content
        assert send(page, data, f"parts-{name}.zip", name).json()["unchanged"] == 1
    store.save(1, truth(1), 1)
    data = page.get("/api/export/palette").content
    store.save(1, partly, 2)
    assert "add --replace" in send(page, data, "parts.zip").json()["detail"]
    assert send(page, data, "parts.zip", replace=True).json()["imported"] == 1
    assert (store.load(1).label_map == truth(1)).all()


def test_a_full_disk_is_told_from_a_mask_that_cannot_be_read(
    page: TestClient, truth: Truth, monkeypatch: pytest.MonkeyPatch
):
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    junk = send(page, b"junk", "3.png")
    assert junk.status_code == 400, junk.json()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        answer = send(page, mask(truth(3)), "3.png")
    assert answer.status_code == 507
    assert "no space left on the disk" in answer.json()["detail"]


def test_a_zip_brings_new_real_pictures_and_the_classes_stay_changeable(page: TestClient, store: Store, truth: Truth):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("images/a.png", mask(np.full((16, 16), 9, np.uint8)))
        archive.writestr("masks/a.png", mask(truth(0)))
    assert send(page, buffer.getvalue(), "new.zip").json()["pictures"] == 1
    assert [one["name"] for one in page.get("/api/pictures").json() if one["real"]] == ["a"]
    classes = page.get("/api/classes").json()  # the import changed project.yaml
    assert page.put("/api/classes", json=classes).status_code == 200


BORDERS = np.linspace(0, 2, 256).reshape(16, 16)
STRANGE = {
    "unknown ids": (mask(np.full((16, 16), 9, np.uint8)), "3.png", "9 (256 px in 1 of 1 masks); add --map 9=CLASS"),
    "wrong size": (mask(np.zeros((8, 8), np.uint8)), "3.png", "the mask of 3"),
    "smoothed": (mask((BORDERS * 127).astype(np.uint8)), "3.png", "smoothed (anti-aliased) borders"),
    "no picture of that name": (mask(np.zeros((16, 16), np.uint8)), "77.png", "fits no picture of the pool"),
    "no picture file": (b"GIF89a", "3.png", "is no whole picture"),
    "no mask": (b"text", "3.txt", "3.txt has no masks"),
    "a path": (mask(np.zeros((16, 16), np.uint8)), "../../etc/passwd", "passwd has no masks"),
    "a broken zip": (b"PK\x03\x04" + bytes(40), "a.zip", "a.zip has no masks"),
    "an empty zip": (b"PK\x05\x06" + bytes(18), "a.zip", "a.zip has no masks"),
}


@pytest.mark.parametrize("why", list(STRANGE))
def test_what_does_not_fit_is_one_sentence_without_paths_of_this_machine(page: TestClient, store: Store, why: str):
    data, name, sentence = STRANGE[why]
    answer = send(page, data, name)
    assert answer.status_code == 400
    detail = answer.json()["detail"]
    assert sentence in detail
    assert "/tmp" not in detail
    assert "\n" not in detail
    assert store.labelled() == {}


def test_what_the_sentences_name_helps(page: TestClient, store: Store):
    assert send(page, STRANGE["unknown ids"][0], "3.png", map="9=right").json()["imported"] == 1
    assert (store.load(3).label_map == 2).all()
    smooth = STRANGE["smoothed"][0]
    assert send(page, smooth, "4.png", blended="ignore").json()["imported"] == 1
    assert (store.load(4).label_map == IGNORE).any()


@pytest.mark.parametrize("how", [{"format": "gif"}, {"blended": "x"}, {"map": "a"}, {"name": ""}])
def test_wrong_settings_are_refused(page: TestClient, how: dict[str, str]):
    answer = page.post("/api/import", content=b"", params={"name": "3.png", "format": "palette", **how})
    assert answer.status_code in (400, 422)


def test_what_is_too_large_is_refused_before_it_is_read(page: TestClient):
    headers = {"Content-Length": str(MOST_IMPORT_BYTES + 1)}
    answer = page.post("/api/import?name=a.zip&format=palette", content=b"", headers=headers)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a.zip", "a.zip"),
        ("/etc/passwd", "passwd"),
        ("..\\x\\b.png", "b.png"),
        ("..", "labels"),
        ("a\0b\n.png", "a_b_.png"),
    ],
)
def test_names_lose_folders_and_what_is_not_printable(given: str, kept: str):
    assert safe_file(given) == kept
