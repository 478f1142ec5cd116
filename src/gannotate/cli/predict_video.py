"""`gannotate predict` on a video file: a label map a frame, steady over time, and a video with the classes over it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.flags import settings
from gannotate.data.video import VideoEncoder, VideoInfo, read_video, video_info
from gannotate.data.writing import check_new, new_pictures
from gannotate.labels import encode_label_map
from gannotate.segmenters.predict import Predictor
from gannotate.segmenters.steady import SteadyConfig, label_frames
from gannotate.segmenters.tiling import View
from gannotate.training.loop import Progress
from gannotate.viz import overlay
from gannotate.wording import counted

if TYPE_CHECKING:
    from gannotate.cli.predict import PredictFlags


def predict_video(
    folder: Path, video: Path, view: View, flags: PredictFlags, load: Callable[[Path, str], Predictor]
) -> int:
    """Labels the frames of `video` with the segmenter in `folder`, which `load` reads for a device.

    Raises:
        GannotateError: the video cannot be read.
    """
    config = SteadyConfig() if flags.steady is None else SteadyConfig(memory=flags.steady)
    check_new(flags.out)
    info = video_info(video)
    if flags.dry_run:
        frames = f"{info.frames or 'all'} frames of {video}"
        return show.plan(flags, [f"label {frames} with {folder} into {flags.out}"], settings(flags))
    predictor = load(folder, prepare(flags))
    last = show.follow(_label(predictor, video, info, view, config, flags), "predict", flags.quiet)
    frames = last.done if last else 0
    result = {
        "segmenter": str(folder),
        "out": str(flags.out),
        "frames": frames,
        "frames_per_s": round(float(info.rate), 3),
        "steady": config.memory,
    }
    text = f"{counted(frames, 'frame')} labelled by {folder.resolve().name} in {flags.out}"
    return show.finish(flags, result, text)


def _label(
    predictor: Predictor, video: Path, info: VideoInfo, view: View, config: SteadyConfig, flags: PredictFlags
) -> Iterator[Progress]:
    classes, begin = predictor.config.class_infos, time.monotonic()
    encoder = VideoEncoder(info.rate) if flags.overlays else None
    with new_pictures(flags.out) as add:
        for index, (frame, label_map) in enumerate(label_frames(predictor, read_video(video), view, config)):
            add(f"masks/{video.stem}/{index:06d}.png", encode_label_map(label_map, classes))
            if encoder is not None:
                encoder.add(overlay(frame, label_map, classes))
            # the file's own count may be wrong
            done, seconds = index + 1, time.monotonic() - begin
            steps = max(info.frames, done)
            yield Progress(done, steps, seconds, seconds / done * (steps - done), {})
        if encoder is not None:
            add(f"overlays/{video.stem}.mp4", encoder.finish())
