"""The model that learns along, in its thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from gannotate.annotate.learning import Judgement, Learned
from gannotate.annotate.live import Live
from gannotate.annotate.store import Store
from gannotate.errors import GannotateError, UsageError
from gannotate.generators.stylegan2 import StyleGAN2

Truth = Callable[[int], np.ndarray]


@pytest.fixture
def live(store: Store, tiny: StyleGAN2) -> Iterator[Live]:
    made = Live(store, tiny)
    made.start()
    yield made
    made.stop()


def save(live: Live, seed: int, label_map: np.ndarray) -> None:
    live.store.save(seed, label_map, live.store.load(seed).version)
    live.request()
    assert live.wait()


def test_without_labels_there_is_no_guess(live: Live):
    assert live.wait()
    assert live.guess(0) is None
    assert live.state.judgement.pictures == 0
    assert live.next_picture() in range(6)


def test_guesses_follow_the_labels(live: Live, truth: Truth):
    save(live, 0, truth(0))
    first = live.guess(5)
    assert first is not None
    assert first.model == live.state.model
    assert (first.labels == truth(5)).mean() > 0.6
    assert first.labels.shape == first.uncertainty.shape == (16, 16)
    save(live, 0, 1 - truth(0))  # the person changes their mind
    second = live.guess(5)
    assert second is not None
    assert second.model > first.model
    assert (second.labels == 1 - first.labels).mean() > 0.9


def test_uncertainty_is_highest_where_the_guess_is_wrong_most(live: Live, truth: Truth):
    save(live, 0, truth(0))
    save(live, 1, truth(1))
    guess = live.guess(5)
    assert guess is not None
    wrong = guess.labels != truth(5)
    if wrong.any():
        assert guess.uncertainty[wrong].mean() > guess.uncertainty[~wrong].mean()
    assert guess.uncertainty.min() < 128


def test_a_newer_save_does_not_wait_for_the_leaving_out_of_pictures(
    live: Live, truth: Truth, monkeypatch: pytest.MonkeyPatch
):
    from gannotate.annotate import live as room

    asked, whole = [], room.judge

    def slow(learned: Sequence[Learned], between: Callable[[], None]) -> Judgement:
        asked.append(len(learned))
        if len(asked) == 1:  # the person goes on while the first is judged
            live.store.save(1, truth(1), 0)
            live.request()
            between()
            raise AssertionError("it should have ended")
        return whole(learned, between)

    monkeypatch.setattr(room, "judge", slow)
    save(live, 0, truth(0))
    assert asked == [1, 2]
    assert live.state.judgement.pictures == 2
    assert live.state.error == ""


def test_only_changed_pictures_are_looked_at_again(live: Live, truth: Truth):
    save(live, 0, truth(0))
    save(live, 1, truth(1))
    before = dict(live._learned)
    save(live, 1, 1 - truth(1))
    assert live._learned[0] is before[0]
    assert live._learned[1] is not before[1]


def test_the_next_picture_is_neither_labelled_nor_skipped_and_unsure_ones_come_last(live: Live, truth: Truth):
    save(live, 0, truth(0))
    live.store.mark(1, "skip")
    live.store.mark(2, "unsure")
    assert live.next_picture() in (3, 4, 5)
    assert live.next_picture(after=3) in (4, 5)
    for seed in (3, 4, 5):
        save(live, seed, truth(seed))
    assert live.next_picture() == 2
    assert live.next_picture(after=2) is None


def test_an_annotation_that_cannot_be_read_teaches_nothing_and_the_others_do(live: Live, truth: Truth):
    save(live, 0, truth(0))
    save(live, 1, truth(1))
    path = live.store.project.annotation_path(0)
    whole = path.read_bytes()
    for content, taught in ((b"broken", 1), (whole, 2)):
        path.write_bytes(content)
        live.request()
        assert live.wait()
        assert (live.state.error, live.state.judgement.pictures) == ("", taught)
    assert live.next_picture() in range(2, 6)


def test_a_history_that_cannot_be_read_is_told_and_does_not_end_the_thread(live: Live, truth: Truth):
    save(live, 0, truth(0))
    path = live.store.folder / "history" / "0" / "000001.png"
    whole = path.read_bytes()
    path.write_bytes(b"broken")
    live.request()
    assert live.wait()
    assert "version 1 of picture 0: not a readable picture" in live.state.error
    path.write_bytes(whole)
    save(live, 1, truth(1))
    assert live.state.error == ""
    assert live.state.judgement.pictures == 2


def test_a_new_class_is_learned_after_it_was_added(live: Live, truth: Truth):
    from gannotate.project_config import ClassEntry

    save(live, 0, truth(0))
    entries = [ClassEntry(name=name, colour=(0, 0, 0)) for name in ("a", "b", "c", "d")]
    live.store.change_classes(entries, live.store.classes_version())
    save(live, 1, truth(1) * 3)
    guess = live.guess(0)
    assert guess is not None
    assert set(np.unique(guess.labels)) <= {0, 1, 3}


def test_the_wand_selects_the_clicked_pixel_and_refuses_points_outside(live: Live):
    assert live.alike(2, 5, 7)[7, 5] == 255
    with pytest.raises(UsageError):
        live.alike(2, 99, 0)
    with pytest.raises(GannotateError, match="no picture 77"):
        live.alike(77, 0, 0)
