"""The model that learns along: refitted after each save in a thread of its own, the newest request first."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gannotate.annotate.learning import Judgement, Learned, Model, judge, learn, live_taps, refit
from gannotate.annotate.order import distances, diverse, uncertain
from gannotate.annotate.store import Store
from gannotate.annotate.tools import similarity, wand_taps
from gannotate.errors import GannotateError, UsageError
from gannotate.fitting.coverage import embed
from gannotate.fitting.shot import Shot, draw_taps
from gannotate.generators.base import DrawOptions, Generator
from gannotate.metrics.uncertainty import entropy, of_pictures
from gannotate.project import is_real

TAPS_KEPT = 2
"""Pictures whose taps stay in memory: the one being labelled, and the next."""

NOTHING = Judgement(0, None, None, 1.0)
"""What is known while there is nothing to learn from."""


@dataclass(frozen=True)
class Guess:
    """What the model says of a picture.

    model: number of its fit, of a real picture the segmenter's. labels: uint8 class ids. uncertainty: entropy, 0
    (certain) to 255 (no idea). confidence: probability of the class that `labels` names, 0 to 255, rounded down.
    """

    model: int
    labels: UInt8[np.ndarray, "size size"]
    uncertainty: UInt8[np.ndarray, "size size"]
    confidence: UInt8[np.ndarray, "size size"]


@torch.inference_mode()
def guess_of(probabilities: Float[Tensor, "k size size"], model: int) -> Guess:
    """What class probabilities say of every pixel."""
    unsure = entropy(probabilities) / np.log(len(probabilities))
    confidence, labels = probabilities.max(dim=0)
    return Guess(
        model,
        labels.to(torch.uint8).cpu().numpy(),
        (unsure * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy(),
        (confidence * 255).floor().clamp(0, 255).to(torch.uint8).cpu().numpy(),
    )


@dataclass(frozen=True)
class LiveState:
    """What the page shows. model: number of the fit, 0 without one; fit_s: its seconds; error: why it failed."""

    model: int = 0
    busy: bool = False
    fit_s: float = 0.0
    judgement: Judgement = field(default_factory=lambda: NOTHING)
    error: str = ""


class _Newer(Exception):
    """A newer request came."""


class Live:
    """The generator, and the decoder that follows the annotations. `start` runs its thread, `stop` ends it.

    It knows the generated pictures of the pool only: real ones have no taps, nor has a project without a generator.
    """

    def __init__(self, store: Store, generator: Generator | None) -> None:
        self.store, self.generator = store, generator.eval() if generator is not None else None
        taps = generator.taps if generator is not None else ()
        self.taps = live_taps(taps)
        self._wand = wand_taps(taps)
        self._model: Model | None = None
        self._state = LiveState()
        self._learned: dict[int, tuple[int, int, Learned | None]] = {}  # by seed: version, classes, what it told
        self._unsure: dict[int, float] = {}
        self._apart: tuple[list[int], np.ndarray] | None = None
        self._drawn: OrderedDict[int, dict[str, Tensor]] = OrderedDict()
        self._drawing = threading.Lock()  # one pass at a time: two at once are slower than one after the other
        self._changed = threading.Condition()
        self._asked, self._done, self._fits, self._stopped = 0, 0, 0, False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to learn, first of all from what is labelled already."""
        self._thread = threading.Thread(target=self._run, name="live model", daemon=True)
        self._thread.start()
        self.request()

    def stop(self) -> None:
        """Ends the thread after the step that it is at."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=60)

    def request(self) -> None:
        """Something was saved: refit as soon as the fit in progress is done."""
        with self._changed:
            self._asked += 1
            self._changed.notify_all()

    def wait(self, timeout_s: float = 60.0) -> bool:
        """Waits until everything that was asked for is done; False when that took longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self._done == self._asked, timeout_s)

    @property
    def state(self) -> LiveState:
        """What is known now."""
        with self._changed:
            return replace(self._state, busy=self._done != self._asked)

    def guess(self, seed: int) -> Guess | None:
        """The newest model's labels of a pool picture; None when there is no model yet, or for a real picture.

        Raises:
            UsageError: not a picture of the pool.
        """
        self.store.check_seed(seed)
        model = self._model
        if model is None or is_real(seed):
            return None
        with torch.inference_mode():
            (probabilities,) = model.decoder.member_probabilities(self._taps_of(seed))[:, 0]
            self._unsure[seed] = float(of_pictures(entropy(probabilities)[None])[0]) / np.log(len(probabilities))
        return guess_of(probabilities, model.number)

    def alike(self, seed: int, x: int, y: int) -> UInt8[np.ndarray, "size size"]:
        """The similarity wand at pixel (x, y) of a pool picture (see tools.py).

        Raises:
            UsageError: not a picture of the pool, a real one, or a point outside of it.
        """
        self.store.check_seed(seed)
        if self.generator is None or is_real(seed):
            raise UsageError(
                "the wand reads the generator's own features, and no generator drew this picture; superpixels (S) "
                "select alike pixels of real pictures"
            )
        return similarity(self._taps_of(seed), self._wand, self.generator.size, x, y).numpy()

    def next_picture(self, after: int | None = None) -> int | None:
        """The picture to label next, never the one in `after`; None when all are labelled or skipped.

        While there is no model: those that cover the pool best. Then: the model's uncertainty times the distance to
        what is labelled. Real pictures come after the generated ones, and those marked unsure last.
        """
        marks, labelled = self.store.marks(), set(self.store.labelled())
        left = [seed for seed in self.store.seeds() if seed not in labelled and marks.get(seed) != "skip"]
        left = [seed for seed in left if seed != after]
        offered = [seed for seed in left if seed not in marks] or left
        if not offered:
            return None
        drawn = [seed for seed in offered if not is_real(seed)]
        if not drawn:
            return offered[0]
        offered = drawn
        with self._changed:
            known, unsure = self._apart, dict(self._unsure)
        if known is None or not set(offered) <= set(known[0]):
            return offered[0]  # the pool is still being compared: any picture is as good as another
        seeds, apart = known
        can = set(offered)
        blocked = [place for place, seed in enumerate(seeds) if seed not in can]
        taken = [place for place in blocked if seeds[place] in labelled]
        # of so many one can be offered; the whole order takes the cube of the pool, half a minute for 4,000 pictures
        most = len(blocked) - len(taken) + 1
        if not all(seed in unsure for seed in offered):
            order = diverse(apart, taken, most)
        else:
            order = uncertain(apart, np.array([unsure.get(seed, 0.0) for seed in seeds]), taken, most)
        return next(seeds[place] for place in order if seeds[place] in can)

    def options(self, seed: int) -> DrawOptions:
        """How a generated pool picture was drawn."""
        options = next(one.options for one in self.store.project.pool() if one.seed == seed)
        return DrawOptions(**options)

    def _taps_of(self, seed: int) -> dict[str, Tensor]:
        names = list(dict.fromkeys(tap.name for tap in (*self.taps, *self._wand)))
        assert self.generator is not None
        with self._drawing:
            if seed not in self._drawn:
                self._drawn[seed] = draw_taps(self.generator, [seed], names, self.options(seed))
            self._drawn.move_to_end(seed)
            while len(self._drawn) > TAPS_KEPT:
                self._drawn.popitem(last=False)
            return self._drawn[seed]

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._done != self._asked)
                if self._stopped:
                    return
                asked = self._asked
            try:
                self._fit_once(asked)
                self._look_at_pool(asked)
                error = ""
            except _Newer:
                error = ""
            except (GannotateError, RuntimeError, ValueError, OSError) as problem:  # the thread must live on
                error = str(problem)
            with self._changed:
                self._state = replace(self._state, error=error)
                self._done = asked
                self._changed.notify_all()

    def _fit_once(self, asked: int) -> None:
        """Fits, and lets the new model guess at once; then leaves pictures out, which takes longer.

        Raises:
            _Newer: something was saved meanwhile, and its fit must not wait for the leaving out.
        """

        def between() -> None:
            if self._asked != asked or self._stopped:
                raise _Newer

        begin, classes = time.monotonic(), len(self.store.project.classes)
        if self.generator is None:
            return
        looked = [self._look_at(self.generator, seed, classes) for seed in self.store.labelled("generated")]
        learned = [one for one in looked if one is not None]
        self._fits += 1
        number, temperature = self._fits, self._state.judgement.temperature
        model = refit(number, learned, self.taps, self.generator.size, temperature)
        with self._changed:
            self._model, self._unsure = model, {}
            self._state = replace(self._state, model=number if model else 0, fit_s=time.monotonic() - begin)
        judgement = judge(learned, between) if model else NOTHING
        if model is not None:
            model.decoder.temperature = judgement.temperature
        with self._changed:
            self._state = replace(self._state, judgement=judgement)

    def _look_at(self, generator: Generator, seed: int, classes: int) -> Learned | None:
        saved = self.store.load(seed)
        held = self._learned.get(seed)
        if held is None or held[:2] != (saved.version, classes):
            shot = Shot(seed, saved.label_map)
            held = (saved.version, classes, learn(generator, shot, self.taps, self.options(seed), classes))
            self._learned[seed] = held
        return held[2]

    def _look_at_pool(self, asked: int) -> None:
        """Compares the pool's pictures once, and asks the new model about each; stops early for a newer request."""
        seeds = self.store.seeds("generated")
        if self.generator is None:
            return
        if seeds and (self._apart is None or self._apart[0] != seeds):
            # one set of options: pictures drawn otherwise are compared as project.yaml says they are drawn now
            options = DrawOptions(**self.store.project.config.draw.model_dump())
            apart = distances(embed(self.generator, seeds, options))
            with self._changed:
                self._apart = (seeds, apart)
        labelled = set(self.store.labelled())
        # the pool is read once: for each picture anew it would take longer than the drawing, from 1,000 pictures on
        for picture in self.store.project.pool() if self._model else ():
            if self._asked != asked or self._stopped:
                return
            if picture.seed not in labelled:
                self._estimate(self.generator, picture.seed, DrawOptions(**picture.options))

    def _estimate(self, generator: Generator, seed: int, options: DrawOptions) -> None:
        model = self._model
        assert model is not None
        with torch.inference_mode():
            names = [tap.name for tap in self.taps]
            drawn = draw_taps(generator, [seed], names, options)
            probabilities = model.decoder.member_probabilities(drawn)[:, 0]
        with self._changed:
            self._unsure[seed] = float(of_pictures(entropy(probabilities) / np.log(probabilities.shape[1]))[0])
