"""`predict` on a video: a label map a frame, a video of the overlays, and what does not go with it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gannotate.data.video import VideoEncoder, read_video
from gannotate.segmenters.predict import Segmenter

from .conftest import Command

pytest.importorskip("av")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """11 frames of 32 x 48 px: noise that stays the same."""
    frame = np.random.default_rng(0).integers(0, 256, (32, 48, 3)).astype(np.uint8)
    encoder = VideoEncoder(Fraction(10))
    for _ in range(11):
        encoder.add(frame)
    (tmp_path / "clip.mp4").write_bytes(encoder.finish())
    return tmp_path / "clip.mp4"


def test_a_video_is_labelled_frame_by_frame(
    command: Command, project: Path, labelled: Path, clip: Path, tmp_path: Path
):
    words = ("--encoder", "tu-resnet10t", "--depth", 3, "--batch", 2, "--max-steps", 2)
    folder = command("train", project, "--labelled", labelled, *words)["segmenter"]
    out = tmp_path / "out"
    found = command("predict", project, clip, "--out", out, "--steady", 0)
    assert (found["frames"], found["frames_per_s"], found["steady"]) == (11, 10.0, 0.0)
    names = sorted(path.name for path in (out / "masks" / "clip").iterdir())
    assert names == [f"{index:06d}.png" for index in range(11)]
    frames = list(read_video(clip))
    (expected,) = Segmenter.load(folder).predict([frames[4]])
    assert np.array_equal(np.asarray(Image.open(out / "masks" / "clip" / names[4])), expected)
    shown = list(read_video(out / "overlays" / "clip.mp4"))
    assert (len(shown), shown[0].shape) == (11, (32, 48, 3))

    steadied = command("predict", project, clip, "--out", tmp_path / "steady", "--no-overlays")
    assert steadied["steady"] == 0.8
    assert not (tmp_path / "steady" / "overlays").exists()

    code, text = command.mistake("predict", project, clip, "--out", tmp_path / "no", "--steady", 1)
    assert (code, "memory is 1.0; give 0" in text) == (2, True)
    code, text = command.mistake("predict", project, labelled, "--out", tmp_path / "no", "--steady", 0.5)
    assert (code, "--steady is for a video" in text) == (2, True)
    code, text = command.mistake("predict", project, clip, "--out", tmp_path / "no", "--through", "generator")
    assert (code, "a video is labelled by a segmenter; leave --through generator out" in text) == (2, True)
