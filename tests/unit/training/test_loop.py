"""The training loop on a trainer of one number."""

import os
import signal
import time

import pytest
import torch

from gannotate.training import distributed
from gannotate.training.checkpoint import load_checkpoint, save_checkpoint
from gannotate.training.loop import Diverged, LoopConfig, read_log, train


class Walk:
    """Adds a random number each step: its path depends on every draw before."""

    def __init__(self, poison: int | None = None):
        self.place, self.poison = torch.zeros(1), poison

    def step(self, index):
        self.place = self.place + torch.randn(1)
        return {"place": float("nan") if index == self.poison else float(self.place)}

    def state(self):
        return {"place": self.place}

    def load_state(self, state):
        self.place = state["place"]


class Count:
    def __init__(self, every, stop_at=None):
        self.every, self.stop_at, self.seen = every, stop_at, []

    def __call__(self, done):
        self.seen.append(done)
        return {"seen": float(done), "stop": float(done == self.stop_at)}


def run(folder, steps, hooks=(), trainer=None, **settings):
    trainer = trainer or Walk()
    progress = list(train(trainer, folder, LoopConfig(steps=steps, log_every=2, **settings), hooks))
    return trainer, progress[-1] if progress else None


def test_killed_and_resumed_equals_uninterrupted(tmp_path):
    whole, _ = run(tmp_path / "a", 7)
    run(tmp_path / "b", 3)
    parts, last = run(tmp_path / "b", 7)
    assert torch.equal(whole.place, parts.place)
    assert last.done == 7


def test_a_kill_between_checkpoints_loses_only_the_steps_since(tmp_path):
    whole, _ = run(tmp_path / "a", 8)
    run(tmp_path / "b", 2)
    progress = train(Walk(), tmp_path / "b", LoopConfig(steps=8, log_every=1))
    for _ in range(4):
        next(progress)  # steps 3-6 happen, then the process dies without a checkpoint
    progress.close()
    assert load_checkpoint(tmp_path / "b" / "checkpoint.safetensors")["done"] == 2
    parts, _ = run(tmp_path / "b", 8)
    assert torch.equal(whole.place, parts.place)
    steps = [row["step"] for row in read_log(tmp_path / "b" / "log.jsonl")]
    assert steps == sorted(set(steps))


def test_rows_of_the_log_do_not_depend_on_when_a_checkpoint_was_made(tmp_path):
    def rows(name):
        return [(row["step"], row["place"]) for row in read_log(tmp_path / name / "log.jsonl")]

    def settings(steps):
        return LoopConfig(steps=steps, log_every=5, checkpoint_s=0.0)

    list(train(Walk(), tmp_path / "whole", LoopConfig(steps=13, log_every=5)))
    list(train(Walk(), tmp_path / "often", settings(13)))
    progress = train(Walk(), tmp_path / "killed", settings(13))
    for _ in range(8):  # the checkpoint of step 7 holds two steps of a row that step 10 ends
        next(progress)
    progress.close()
    list(train(Walk(), tmp_path / "killed", settings(13)))
    assert [step for step, _ in rows("whole")] == [5, 10, 13]
    assert rows("whole") == rows("often") == rows("killed")


def test_another_seed_is_another_walk(tmp_path):
    assert not torch.equal(run(tmp_path / "a", 3)[0].place, run(tmp_path / "b", 3, seed=1)[0].place)


def test_a_finished_run_does_nothing_more_and_tells_its_end_again(tmp_path):
    whole, last = run(tmp_path, 3)
    again, told = run(tmp_path, 3)
    assert torch.equal(again.place, whole.place)
    assert (told.done, told.metrics) == (3, last.metrics)


def test_a_run_that_a_hook_stopped_stays_stopped(tmp_path):
    whole, last = run(tmp_path, 9, (Count(2, stop_at=4),))
    again, told = run(tmp_path, 9, (Count(2, stop_at=4),))
    assert (last.done, told.done, told.metrics) == (4, 4, last.metrics)
    assert torch.equal(again.place, whole.place)


def test_hooks_run_on_time_and_after_the_last_step(tmp_path):
    hook = Count(every=3)
    _, last = run(tmp_path, 7, (hook,))
    assert hook.seen == [3, 6, 7]
    assert last.metrics["seen"] == 7


def test_a_hook_can_stop(tmp_path):
    _, last = run(tmp_path, 100, (Count(every=2, stop_at=4),))
    assert last.done == 4
    assert load_checkpoint(tmp_path / "checkpoint.safetensors")["done"] == 4


def test_minutes_end_the_run_with_a_checkpoint(tmp_path):
    _, last = run(tmp_path, 1000, minutes=0.0)
    assert last.done == 1
    assert (tmp_path / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("minutes", [0.0, 1e-9])
def test_a_run_whose_time_was_over_takes_no_more_steps(tmp_path, minutes):
    hook = Count(every=5)
    whole, last = run(tmp_path, 9, (hook,), minutes=minutes)
    rows = (tmp_path / "log.jsonl").read_bytes()
    again, told = run(tmp_path, 9, (hook,), minutes=minutes)
    assert (told.done, told.metrics, hook.seen) == (1, last.metrics, [1])
    assert torch.equal(again.place, whole.place)
    assert (tmp_path / "log.jsonl").read_bytes() == rows


@pytest.mark.parametrize("minutes", [2e-9, None])
def test_a_run_whose_time_was_over_goes_on_with_more_of_it(tmp_path, minutes):
    run(tmp_path / "parts", 9, minutes=1e-9)
    _, last = run(tmp_path / "parts", 9, minutes=minutes)
    assert last.done == (9 if minutes is None else 2)
    parts, _ = run(tmp_path / "parts", 9)
    assert torch.equal(parts.place, run(tmp_path / "whole", 9)[0].place)


def test_the_time_of_another_trainer_is_not_over(tmp_path):
    class Onward(Walk):
        """Begins where a walk ended."""

    run(tmp_path, 9, minutes=1e-9)
    assert run(tmp_path, 9, trainer=Onward(), minutes=1e-9)[1].done == 2
    assert run(tmp_path, 9, trainer=Onward(), minutes=1e-9)[1].done == 2


def test_divergence_stops_and_keeps_the_last_good_state(tmp_path):
    run(tmp_path, 2)
    with pytest.raises(Diverged, match="step 5: place is no longer finite; the last good state is in"):
        run(tmp_path, 9, trainer=Walk(poison=4))
    assert load_checkpoint(tmp_path / "checkpoint.safetensors")["done"] == 2


def test_what_to_do_about_divergence_is_the_trainers_to_say(tmp_path):
    with pytest.raises(Diverged, match=r"no checkpoint was made yet\. Try a lower learning rate$"):
        run(tmp_path / "walk", 9, trainer=Walk(poison=0))
    tired = Walk(poison=0)
    tired.remedy = "Try a rest"
    with pytest.raises(Diverged, match=r"no checkpoint was made yet\. Try a rest$"):
        run(tmp_path / "tired", 9, trainer=tired)


def test_ctrl_c_ends_after_the_step_with_a_checkpoint(tmp_path):
    whole, _ = run(tmp_path / "a", 6)
    seen, handler = [], signal.getsignal(signal.SIGINT)

    def interrupted_at_three():
        for progress in train(Walk(), tmp_path / "b", LoopConfig(steps=6)):
            seen.append(progress.done)
            if progress.done == 3:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        interrupted_at_three()
    assert load_checkpoint(tmp_path / "b" / "checkpoint.safetensors")["done"] == seen[-1] == 4
    assert torch.equal(whole.place, run(tmp_path / "b", 6)[0].place)
    assert signal.getsignal(signal.SIGINT) is handler


def test_no_process_leaves_before_the_checkpoint_of_a_ctrl_c(tmp_path, monkeypatch, together):
    def slowly(*given):
        time.sleep(0.5)
        save_checkpoint(*given)

    monkeypatch.setattr("gannotate.training.loop.save_checkpoint", slowly)

    def work():
        try:
            for progress in train(Walk(), tmp_path, LoopConfig(steps=6)):
                if progress.done == 3 and distributed.rank() == 1:  # this one alone is interrupted
                    os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            return load_checkpoint(tmp_path / "checkpoint.safetensors")["done"]

    assert together(work, 2) == [4, 4]


def test_a_process_that_dies_is_told_at_once(together):
    with pytest.raises(pytest.fail.Exception, match="process 1 died without an answer"):
        together(lambda: os._exit(1) if distributed.rank() else None, 2)


def test_logs(tmp_path):
    run(tmp_path, 5, (Count(every=4),))
    rows = read_log(tmp_path / "log.jsonl")
    assert [row["step"] for row in rows if not row.get("hook")] == [2, 4, 5]
    assert [row["seen"] for row in rows if row.get("hook")] == [4, 5]
    table = (tmp_path / "log.csv").read_text().splitlines()
    assert table[0] == "step,seconds,place"
    assert len(table) == 4
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 9, "torn')
    assert len(read_log(tmp_path / "log.jsonl")) == len(rows)
