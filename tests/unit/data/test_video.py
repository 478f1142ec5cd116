"""Video files: what is written is read, sizes and rates are kept, and what is broken is named."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gannotate.data.video import VideoEncoder, is_video, read_video, upright, video_info
from gannotate.errors import GannotateError, UsageError

pytest.importorskip("av")


def clip(frames: int = 5, height: int = 32, width: int = 48) -> list[np.ndarray]:
    """A square that moves over a gradient."""
    made = []
    for index in range(frames):
        frame = np.zeros((height, width, 3), np.uint8)
        frame[..., 0] = np.linspace(40, 200, width).astype(np.uint8)
        frame[..., 1:] = 90
        frame[8:16, 4 * index : 4 * index + 8] = 230
        made.append(frame)
    return made


def write(path: Path, frames: list[np.ndarray], rate: Fraction = Fraction(10)) -> Path:
    encoder = VideoEncoder(rate)
    for frame in frames:
        encoder.add(frame)
    path.write_bytes(encoder.finish())
    return path


@pytest.mark.parametrize("rate", [Fraction(10), Fraction(30000, 1001)])
def test_what_is_written_is_read(tmp_path: Path, rate: Fraction) -> None:
    frames = clip()
    path = write(tmp_path / "clip.mp4", frames, rate)
    read = list(read_video(path))
    assert [frame.shape for frame in read] == [(32, 48, 3)] * 5
    for frame, wanted in zip(read, frames, strict=True):
        # H.264 stores colours at half the resolution; the means hold
        assert np.abs(frame.astype(int) - wanted).mean() < 6
    info = video_info(path)
    assert (info.width, info.height, info.frames, info.rate) == (48, 32, 5, rate)


def test_odd_sides_become_even(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.mp4", clip(2, 31, 47))
    (frame, _) = read_video(path)
    assert frame.shape == (32, 48, 3)


def test_frames_are_turned_as_the_file_asks() -> None:
    frame = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    assert upright(frame, 0)[..., 0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert upright(frame, -90)[..., 0].tolist() == [[3, 0], [4, 1], [5, 2]]  # a phone held upright: clockwise
    assert upright(frame, 180)[..., 0].tolist() == [[5, 4, 3], [2, 1, 0]]


def test_endings() -> None:
    assert is_video("a/b.MP4")
    assert not is_video("b.png")


def test_what_is_broken_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_bytes(b"no video")
    with pytest.raises(GannotateError, match=r"text.mp4 is not a readable video"):
        list(read_video(tmp_path / "text.mp4"))
    with pytest.raises(GannotateError, match=r"none.mp4 is not a readable video"):
        video_info(tmp_path / "none.mp4")
    with pytest.raises(UsageError, match="at least one frame"):
        VideoEncoder(Fraction(10)).finish()


def test_a_missing_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole: Callable[..., Any] = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.split(".")[0] == "av":
            raise ImportError(name)
        return whole(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"pip install 'gannotate\[video\]'"):
        video_info(tmp_path / "a.mp4")


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"


def test_a_playlist_is_no_video_whatever_it_is_called(tmp_path: Path):
    """FFmpeg would open what it names: other files of this machine, or addresses."""
    other = write(tmp_path / "other.mp4", clip())
    for name, text in (("a.mp4", PLAYLIST.format(other)), ("b.avi", f"ffconcat version 1.0\nfile '{other}'\n")):
        (tmp_path / name).write_text(text)
        for reader in (video_info, lambda path: list(read_video(path))):
            with pytest.raises(GannotateError, match="is not a readable video"):
                reader(tmp_path / name)


def test_tags_that_are_no_text_and_pictures_of_an_unknown_kind(tmp_path: Path):
    data = write(tmp_path / "a.mp4", clip()).read_bytes()
    assert b"Lavf" in data  # a tag
    (tmp_path / "tag.mp4").write_bytes(data.replace(b"Lavf", b"\xff\xfe\xf0\x80"))
    assert len(list(read_video(tmp_path / "tag.mp4"))) == 5
    (tmp_path / "kind.mp4").write_bytes(data.replace(b"avc1", b"zzzz"))
    for reader in (video_info, lambda path: list(read_video(path))):
        with pytest.raises(GannotateError, match="unknown kind"):
            reader(tmp_path / "kind.mp4")
