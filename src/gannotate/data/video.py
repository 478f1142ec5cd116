"""Video files, frame by frame, with PyAV (`pip install 'gannotate[video]'`): read any, write H.264 in MP4."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gannotate.errors import GannotateError, UsageError
from gannotate.picture_files import MAX_PIXELS

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm")
"""Endings that count as video files."""

OPTIONS = {
    "format_whitelist": "avi,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2",
    "protocol_whitelist": "file",
}
"""Whatever a file is called, FFmpeg would also take it for a playlist, and open the files and addresses in that."""

QUALITY = 18
"""H.264's constant rate factor: 0 loses nothing, 18 is hard to tell from the original, 51 is worst."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says of itself.

    frames: their number, 0 where the file does not tell; it may be wrong by a few. rate: frames a second.
    """

    width: int
    height: int
    frames: int
    rate: Fraction


def is_video(path: str | Path) -> bool:
    """Whether a path ends as a video file's does."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def video_info(path: str | Path) -> VideoInfo:
    """Size, length and rate of a video, without decoding it.

    Raises:
        UsageError: PyAV is missing. GannotateError: not a video, or without pictures.
    """
    with _opened(path) as container:
        stream = _picture_stream(container, path)
        rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        frames = stream.frames
        if not frames and stream.duration and stream.time_base:
            frames = round(stream.duration * stream.time_base * rate)
        return VideoInfo(stream.codec_context.width, stream.codec_context.height, int(frames), rate)


def read_video(path: str | Path) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Yields the frames of a video in order, RGB and upright; one is in memory at a time.

    Raises:
        UsageError: PyAV is missing. GannotateError: not a video, or torn; says after how many frames.
    """
    done, av = 0, _av()
    with _opened(path) as container:
        stream = _picture_stream(container, path)
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # frames may be larger than the head says
        try:
            for frame in container.decode(stream):
                yield upright(frame.to_ndarray(format="rgb24"), frame.rotation)
                done += 1
        except av.error.FFmpegError as error:
            raise GannotateError(f"{path} cannot be read after {done} frames ({error.strerror})") from error
    if not done:
        raise GannotateError(f"{path} has no frame that can be read; give another file")


def upright(frame: UInt8[np.ndarray, "h w c"], rotation: int) -> UInt8[np.ndarray, "H W c"]:
    """A frame turned as its file asks: `rotation` degrees counter-clockwise, as FFmpeg counts; phones write -90."""
    return np.ascontiguousarray(np.rot90(frame, round(rotation / 90)))


class VideoEncoder:
    """Makes an MP4 file (H.264, 4:2:0) in memory from frames of one size.

    Players need even sides, so the last row or column of an odd one is shown twice.
    """

    def __init__(self, rate: Fraction) -> None:
        """`rate`: frames a second.

        Raises:
            UsageError: PyAV is missing.
        """
        self._buffer = io.BytesIO()
        self._container = _av().open(self._buffer, "w", format="mp4")
        self._rate = rate.limit_denominator(1001)
        self._stream: Any = None

    def add(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        """Adds the next frame."""
        even = np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", rate=self._rate, options={"crf": str(QUALITY)})
            self._stream.height, self._stream.width = even.shape[:2]
            self._stream.pix_fmt = "yuv420p"
        picture = _av().VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        self._container.mux(self._stream.encode(picture))

    def finish(self) -> bytes:
        """The file's bytes; no frame can be added afterwards.

        Raises:
            UsageError: no frame was added.
        """
        if self._stream is None:
            raise UsageError("a video needs at least one frame")
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._buffer.getvalue()


def _av() -> ModuleType:
    try:
        import av
        import av.error
    except ImportError as error:
        raise UsageError("video files need PyAV; type `pip install 'gannotate[video]'`") from error
    return av


def _opened(path: str | Path) -> Any:
    av = _av()
    try:
        return av.open(str(path), options=dict(OPTIONS), metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        raise GannotateError(f"{path} is not a readable video ({error.strerror})") from error


def _picture_stream(container: Any, path: str | Path) -> Any:
    if not container.streams.video:
        raise GannotateError(f"{path} has no pictures, only sound; give a video")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise GannotateError(f"{path} has pictures of an unknown kind; give a video that other programs play")
    if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
        raise GannotateError(f"{path} has frames of more than {MAX_PIXELS // 10**6} Mpx; give a smaller video")
    return stream
