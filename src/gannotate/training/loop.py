"""The one training loop: progress, logs, checkpoints, resume, time limits, early stop and Ctrl-C.

A trainer gives it `step(index)`, `state()` and `load_state(state)`. Before each step the global torch generator is
seeded from (seed, index), so that nothing about the random draws needs to be stored and a run that is killed and
resumed equals one that was not.

Under torchrun the loop runs in every process (see training/distributed.py); the first alone writes, is asked for the
time and does what the hooks do, and a Ctrl-C in any ends all after the same step.
"""

from __future__ import annotations

import csv
import io
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch

from gannotate.errors import AlikeEverywhere
from gannotate.files import disk_error, make_folder, write_text
from gannotate.seeding import stream_seed
from gannotate.training import distributed
from gannotate.training.checkpoint import load_checkpoint, save_checkpoint

REMEDY = "Try a lower learning rate"
"""What to do about a training that diverged."""


class Trainer(Protocol):
    """What the loop trains. It may have a `remedy`: what to do when it diverges, where that is not REMEDY."""

    def step(self, index: int) -> dict[str, float]:
        """Does optimisation step `index` (from 0) and returns its metrics."""
        ...

    def state(self) -> dict[str, Any]:
        """Everything that `load_state` needs to go on exactly as if nothing had happened (see checkpoint.Tree)."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave."""
        ...


class Hook(Protocol):
    """Something done every so many steps (a snapshot, a validation); its metrics go to the log."""

    every: int
    """Done after steps every, 2 * every, ... and after the last one."""

    def __call__(self, done: int) -> dict[str, float]:
        """`done` is the number of finished steps. A returned `stop` > 0 ends the training."""
        ...


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long to train and how to keep it safe."""

    steps: int
    """Number of optimisation steps in all."""
    minutes: float | None = None
    """Stop after so many minutes of training, summed over resumed parts; no limit when not given."""
    seed: int = 0
    """Seed of every random draw."""
    checkpoint_s: float = 120.0
    """Seconds between checkpoints."""
    log_every: int = 50
    """Steps that are averaged into one row of the log."""


@dataclass(frozen=True)
class Progress:
    """What the loop yields after a step: for the eyes only."""

    done: int
    steps: int
    seconds: float
    eta_s: float
    metrics: dict[str, float]

    @classmethod
    def since(cls, begin: float, done: int, steps: int) -> Progress:
        """Of work without figures whose steps take alike; `begin`: time.monotonic() at its start."""
        seconds = time.monotonic() - begin
        return cls(done, steps, seconds, seconds / done * (steps - done), {})


@dataclass
class Clock:
    """Training time, summed over the parts of a resumed run."""

    before_s: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds trained so far."""
        return self.before_s + time.monotonic() - self.started


class Diverged(AlikeEverywhere):
    """Training cannot go on: a number is no longer finite, or the trainer says that it collapsed."""


def train(
    trainer: Trainer,
    folder: Path,
    config: LoopConfig,
    hooks: tuple[Hook, ...] = (),
    resume: bool = True,
) -> Iterator[Progress]:
    """Trains; yields progress after every step. Iterating to the end is training to the end.

    `folder` gets checkpoint.safetensors, log.jsonl and log.csv. With `resume` (and a checkpoint there) it goes on
    from the checkpoint; from one of its end, or where a hook or the time limit stopped it, only the last progress is
    given again (with more minutes than before it goes on). Ctrl-C ends after the current step, with a checkpoint, as
    KeyboardInterrupt.

    Raises:
        Diverged: a metric is not finite; the last checkpoint is from before.
        GannotateError: several processes do not find the same checkpoint.
    """
    make_folder(folder)
    checkpoint = folder / "checkpoint.safetensors"
    first, kind = distributed.is_first(), type(trainer).__name__
    start, clock, rows = 0, Clock(), Log(folder) if first else NoLog()
    ended: dict[str, float] | None = None
    if resume and checkpoint.exists():
        saved = load_checkpoint(checkpoint)
        trainer.load_state(saved["trainer"])
        start, clock = saved["done"], Clock(before_s=saved["seconds"])
        if _is_over(saved, kind, config):
            ended = saved.get("metrics", {})
        rows.cut(start)
        rows.held = list(saved.get("held", ()))
    else:
        rows.clear()
    distributed.check_same_everywhere("the step to go on from", start)

    if ended is not None:
        yield Progress(start, config.steps, clock.seconds, 0.0, ended)
        return

    def save(done: int, metrics: dict[str, float], stopped: bool, limit: float | None) -> None:
        about = {"done": done, "seconds": clock.seconds, "metrics": metrics, "held": rows.held}
        ends = {"stopped": stopped, "limit": limit, "kind": kind}
        save_checkpoint(checkpoint, {**about, **ends, "trainer": trainer.state()})

    saved_at = time.monotonic()
    with _interrupts() as interrupted:
        for index in range(start, config.steps):
            torch.manual_seed(stream_seed(config.seed, "step", index))
            metrics = trainer.step(index)
            done = index + 1
            _check_finite(metrics, done, checkpoint, getattr(trainer, "remedy", REMEDY))
            rows.add(done, clock.seconds, metrics, flush=done % config.log_every == 0)
            out_of_time = first and config.minutes is not None and clock.seconds > config.minutes * 60
            (out_of_time,) = distributed.any_says(out_of_time)
            last = done == config.steps or out_of_time
            stop = False
            for hook in hooks:
                if done % hook.every == 0 or last:
                    result = dict(distributed.from_first(partial(hook, done)))
                    stop |= result.pop("stop", 0) > 0
                    rows.add_hook(done, clock.seconds, result)
                    metrics |= result
            last |= stop
            # asked once: a Ctrl-C after this is answered by the next step, with a checkpoint
            (stopped,) = distributed.any_says(interrupted())
            if first and (last or stopped or time.monotonic() - saved_at > config.checkpoint_s):
                if last:
                    rows.flush()
                save(done, metrics, stop, config.minutes if out_of_time else None)
                saved_at = time.monotonic()
            if stopped:  # torchrun ends all processes when one of them has gone
                distributed.wait_for_first()
            pace = clock.seconds / done
            yield Progress(done, config.steps, clock.seconds, _eta(pace, done, clock.seconds, config), metrics)
            if stopped and not last:
                raise KeyboardInterrupt
            if last:
                return


def _is_over(saved: dict[str, Any], kind: str, config: LoopConfig) -> bool:
    """Whether a checkpoint is of the end of a training by a trainer of this kind: only what comes after is missing.

    The end of its time is none where it has more minutes now, nor for a trainer of another kind, which begins where
    this one ended (the encoder of a SemanticGAN).
    """
    if saved["done"] >= config.steps or saved.get("stopped"):
        return True
    limit = saved.get("limit")
    return limit is not None and config.minutes is not None and config.minutes <= limit and saved["kind"] == kind


def _eta(pace_s: float, done: int, seconds: float, config: LoopConfig) -> float:
    left = pace_s * (config.steps - done)
    return left if config.minutes is None else max(0.0, min(left, config.minutes * 60 - seconds))


def _check_finite(metrics: dict[str, float], done: int, checkpoint: Path, remedy: str) -> None:
    bad = [name for name, value in metrics.items() if not math.isfinite(value)]
    if bad:
        kept = f"the last good state is in {checkpoint}" if checkpoint.exists() else "no checkpoint was made yet"
        raise Diverged(f"training diverged at step {done}: {', '.join(bad)} is no longer finite; {kept}. {remedy}")


class _interrupts:
    """Catches Ctrl-C so that a step is never torn in half; a second Ctrl-C is raised at once."""

    def __init__(self) -> None:
        self._seen = False

    def __enter__(self) -> Callable[[], bool]:
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            self._before = signal.signal(signal.SIGINT, self._note)
        return lambda: self._seen

    def __exit__(self, *_: object) -> None:
        if self._main:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: Any) -> None:
        if self._seen:
            raise KeyboardInterrupt
        self._seen = True


class Log:
    """log.jsonl (every row) and log.csv (training rows: step, seconds, means of the metrics over log_every steps).

    held: metrics of the steps that are not in a row yet. Checkpoints keep them: rows are those of an undisturbed run,
    whenever a checkpoint was made.
    """

    def __init__(self, folder: Path) -> None:
        self._jsonl, self._csv = folder / "log.jsonl", folder / "log.csv"
        self.held: list[dict[str, float]] = []
        self._place = (0, 0.0)

    def add(self, done: int, seconds: float, metrics: dict[str, float], flush: bool) -> None:
        """Holds one step's metrics; `flush` writes the mean of those held as a row."""
        self.held.append(dict(metrics))
        self._place = (done, seconds)
        if flush:
            self.flush()

    def flush(self) -> None:
        """Writes what is held."""
        if not self.held:
            return
        names = sorted({name for row in self.held for name in row})
        means = {}
        for name in names:
            values = [row[name] for row in self.held if name in row]
            means[name] = sum(values) / len(values)
        self._append({"step": self._place[0], "seconds": round(self._place[1], 2), **means})
        self.held = []

    def add_hook(self, done: int, seconds: float, metrics: dict[str, float]) -> None:
        """Writes a hook's row (jsonl only)."""
        if metrics:
            self._append({"step": done, "seconds": round(seconds, 2), "hook": True, **metrics})

    def rows(self) -> list[dict[str, Any]]:
        """All rows, oldest first; a torn last line is left out."""
        return read_log(self._jsonl)

    def clear(self) -> None:
        """Starts empty."""
        for path in (self._jsonl, self._csv):
            path.unlink(missing_ok=True)

    def cut(self, done: int) -> None:
        """Drops rows of steps after `done`: they will be written again."""
        kept = [row for row in self.rows() if row["step"] <= done]
        write_text(self._jsonl, "".join(json.dumps(row) + "\n" for row in kept))
        self._write_csv(kept)

    def _append(self, row: dict[str, Any]) -> None:
        try:
            with self._jsonl.open("a") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise disk_error(error, self._jsonl) from error
        self._write_csv(self.rows())

    def _write_csv(self, rows: list[dict[str, Any]]) -> None:
        plain = [row for row in rows if not row.get("hook")]
        names = list(dict.fromkeys(name for row in plain for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        writer.writerows(plain)
        write_text(self._csv, text.getvalue())


class NoLog(Log):
    """What the processes that do not write have for a log."""

    def __init__(self) -> None:
        self.held = []

    def add(self, done: int, seconds: float, metrics: dict[str, float], flush: bool) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""

    def add_hook(self, done: int, seconds: float, metrics: dict[str, float]) -> None:
        """Nothing."""

    def clear(self) -> None:
        """Nothing."""

    def cut(self, done: int) -> None:
        """Nothing."""


def read_log(path: Path) -> list[dict[str, Any]]:
    """Rows of a log.jsonl, oldest first; lines torn by a kill are left out."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows
