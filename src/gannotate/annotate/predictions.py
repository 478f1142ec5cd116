"""What the project's newest segmenter says of pictures: those of the pool, and any that the page sends."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from gannotate.annotate.live import Guess, guess_of
from gannotate.annotate.store import Store
from gannotate.data.pictures import decode_picture
from gannotate.errors import GannotateError, UsageError
from gannotate.segmenters.loading import load_predictor
from gannotate.segmenters.predict import Predictor, Segmenter
from gannotate.wording import quoted

MOST_PX = 4_000_000
"""Pixels of a picture that is sent: the probabilities of all classes stand in memory, 20 classes take 320 MB."""


class Predictions:
    """The newest finished segmenter, loaded when it is first asked; for many threads."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._loaded: tuple[Path, Predictor] | None = None

    def of_pool(self, seed: int) -> tuple[str, UInt8[np.ndarray, "size size"]]:
        """Name of the segmenter, and its label map of a pool picture.

        Raises:
            UsageError: not a picture of the pool, or no segmenter yet.
        """
        self.store.check_seed(seed)
        return self._label(self._pool_picture(seed))

    def of(self, picture: bytes) -> tuple[str, UInt8[np.ndarray, "h w"]]:
        """Name of the segmenter, and its label map of any picture file, at the picture's own size.

        Raises:
            UsageError: no segmenter yet, or more pixels than MOST_PX. GannotateError: no picture that can be read.
        """
        return self._label(picture)

    @property
    def newest(self) -> str | None:
        """Name of the newest finished segmenter, e.g. 0002-unet."""
        folder = self.store.project.newest("segmenters")
        return folder.name if folder is not None else None

    def guess(self, seed: int) -> Guess | None:
        """What it makes of a pool picture, to be corrected; None without a segmenter, or with one that takes long.

        Raises:
            UsageError: not a picture of the pool.
        """
        self.store.check_seed(seed)
        folder = self.store.project.newest("segmenters")
        if folder is None:
            return None
        pixels = self._pixels(self._pool_picture(seed))
        with self._lock:
            predictor = self._open(folder)
            if not isinstance(predictor, Segmenter):  # one that inverts each picture: a minute and more
                return None
            (probabilities,) = predictor.iterate([pixels])
        return guess_of(torch.from_numpy(probabilities), int(folder.name[:4]))

    def _label(self, picture: bytes) -> tuple[str, np.ndarray]:
        folder = self.store.project.latest("segmenters")
        pixels = self._pixels(picture)
        with self._lock:  # one at a time: two at once are slower than one after the other
            (label_map,) = self._open(folder).predict([pixels])
        return folder.name, label_map

    def _open(self, folder: Path) -> Predictor:
        """Called with the lock held."""
        if self._loaded is None or self._loaded[0] != folder:
            self._loaded = (folder, load_predictor(folder))
        return self._loaded[1]

    def _pool_picture(self, seed: int) -> bytes:
        return self.store.project.pool_picture_path(seed).read_bytes()

    def _pixels(self, picture: bytes) -> UInt8[np.ndarray, "h w c"]:
        try:
            image = decode_picture(picture)
        except GannotateError as error:
            readable = "give a whole PNG, JPEG, GIF, BMP, TIFF or WebP file"
            raise GannotateError(f"the picture cannot be read: {error}; {readable}") from error
        if image.width * image.height > MOST_PX:
            raise UsageError(
                f"the picture is {image.width}x{image.height} px; the page sends at most {MOST_PX // 10**6} Mpx, use "
                f"`gannotate predict {quoted(self.store.project.folder)} PICTURE --out DIR` for larger ones"
            )
        pixels = np.asarray(image, dtype=np.uint8)
        return pixels.reshape(*pixels.shape[:2], -1)
