"""What the project's newest segmenter says of pictures: those of the pool, and any that the page sends."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gannotate.annotate.store import Store
from gannotate.data.pictures import decode_picture
from gannotate.errors import UsageError
from gannotate.segmenters.loading import load_predictor
from gannotate.segmenters.predict import Predictor

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
        return self._label(self.store.project.pool_picture_path(seed).read_bytes())

    def of(self, picture: bytes) -> tuple[str, UInt8[np.ndarray, "h w"]]:
        """Name of the segmenter, and its label map of any picture file, at the picture's own size.

        Raises:
            UsageError: no segmenter yet, or more pixels than MOST_PX. GannotateError: no picture that can be read.
        """
        return self._label(picture)

    def _label(self, picture: bytes) -> tuple[str, np.ndarray]:
        folder = self.store.project.latest("segmenters")
        image = decode_picture(picture)
        if image.width * image.height > MOST_PX:
            raise UsageError(
                f"the picture is {image.width}x{image.height} px; the page sends at most {MOST_PX // 10**6} Mpx, use "
                f"`gannotate predict {self.store.project.folder} PICTURE --out DIR` for larger ones"
            )
        pixels = np.asarray(image, dtype=np.uint8)
        with self._lock:  # one at a time: two at once are slower than one after the other
            if self._loaded is None or self._loaded[0] != folder:
                self._loaded = (folder, load_predictor(folder))
            (label_map,) = self._loaded[1].predict([pixels.reshape(*pixels.shape[:2], -1)])
        return folder.name, label_map
