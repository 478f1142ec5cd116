"""Jobs: their parts in turn, progress, cancelling, and what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gannotate.annotate.jobs import (
    RUNNER,
    Busy,
    Jobs,
    Part,
    current_decoder,
    dataset_parts,
    labelled_parts,
    seconds_of,
    segmenter_parts,
)
from gannotate.annotate.store import Store
from gannotate.errors import UsageError
from gannotate.files import write_json
from gannotate.project import Project

Truth = Callable[[int], np.ndarray]

SAYS = 'import sys; sys.stderr.write("%s\\n"); sys.stderr.flush(); '
WAITS = "sys.stdin.read(); sys.exit(130)"


def python(code: str) -> Part:
    return Part("Part", ("-c", code))


@pytest.fixture
def jobs():
    made = Jobs(runner=(sys.executable,))
    yield made
    made.stop()


def until(found: Callable[[], bool]) -> None:
    """Waits for what another thread will do."""
    end = time.monotonic() + 20
    while not found():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_parts_run_in_turn_and_tell_their_results(jobs: Jobs, tmp_path: Path):
    file = tmp_path / "order"
    write = f"open({str(file)!r}, 'a').write"
    parts = [python(f"{write}('a')"), python(f"{write}('b'); print('{{\"made\": 3}}')")]
    started = jobs.start("dataset", lambda: parts)
    assert (started.number, started.parts, started.ended) == (1, 2, False)
    assert jobs.wait(20)
    assert jobs.state is not None
    assert (jobs.state.status, jobs.state.part, jobs.state.result) == ("done", 2, {"made": 3})
    assert file.read_text() == "ab"


def test_progress_is_read_and_a_second_job_refused(jobs: Jobs):
    jobs.start("dataset", lambda: [python(SAYS % "fit: 40/200 in 0:10, 1:05 left, loss 0.1" + WAITS)])
    until(lambda: jobs.state is not None and jobs.state.done == 40)
    assert jobs.state is not None
    assert (jobs.state.steps, jobs.state.eta_s, jobs.state.status) == (200, 65.0, "running")
    assert jobs.state.seconds > 0
    with pytest.raises(Busy, match="a job runs already"):
        jobs.start("segmenter", lambda: pytest.fail("its parts were made"))


def test_an_order_whose_parts_cannot_be_made_begins_nothing(jobs: Jobs):
    def none() -> list[Part]:
        raise UsageError("nothing is labelled yet")

    for before in (None, "done"):
        with pytest.raises(UsageError, match="nothing is labelled yet"):
            jobs.start("dataset", none)
        assert (jobs.state and jobs.state.status) == before
        number = jobs.start("segmenter", lambda: [python("pass")]).number
        assert jobs.wait(20)
        assert number == (1 if before is None else 2)


def test_a_cancelled_job_ends_and_its_next_part_never_begins(jobs: Jobs, tmp_path: Path):
    parts = [python(SAYS % "fit: 1/2 in 0:01, 0:01 left" + WAITS), python(f"open({str(tmp_path / 'x')!r}, 'w')")]
    jobs.start("dataset", lambda: parts)
    until(lambda: jobs.state is not None and jobs.state.done == 1)
    jobs.cancel()
    assert jobs.wait(20)
    assert jobs.state is not None
    assert (jobs.state.status, jobs.state.error) == ("cancelled", "")
    assert not (tmp_path / "x").exists()
    jobs.cancel()  # nothing runs: nothing happens
    assert jobs.start("dataset", lambda: [python("pass")]).number == 2
    assert jobs.wait(20)


def test_one_cancelled_at_its_last_moment_may_still_be_done(jobs: Jobs):
    jobs.start("dataset", lambda: [python("import sys; sys.stdin.read()")])
    jobs.cancel()
    assert jobs.wait(20)
    assert jobs.state is not None
    assert jobs.state.status == "done"


def test_a_failed_job_gives_its_sentence(jobs: Jobs):
    jobs.start("dataset", lambda: [python(SAYS % "gannotate: no space left" + "sys.exit(1)"), python("pass")])
    assert jobs.wait(20)
    assert jobs.state is not None
    assert (jobs.state.status, jobs.state.error, jobs.state.part) == ("failed", "no space left", 1)


def test_a_runner_that_is_not_there_fails_the_job(tmp_path: Path):
    jobs = Jobs(runner=(str(tmp_path / "none"),))
    jobs.start("dataset", lambda: [Part("Part", ("fit",))])
    assert jobs.wait(20)
    assert jobs.state is not None
    assert jobs.state.status == "failed"
    assert "could not be started" in jobs.state.error


@pytest.mark.parametrize(("clock", "seconds"), [("0:05", 5), ("1:05", 65), ("2:01:05", 7265)])
def test_clocks_are_read(clock: str, seconds: int):
    assert seconds_of(clock) == seconds


def decoder_of(project: Project, kind: str = "light", status: str = "done", started: str = "2124-01-01T00:00:00+00:00"):
    """A decoder's folder with its record only."""
    folder = project.next_folder("decoders", kind)
    seeds = [annotation.seed for annotation in project.annotations()]
    record = {
        "format_version": 1,
        "status": status,
        "started": started,
        "config": {"decoder": kind, "annotations": seeds},
    }
    write_json(folder / "run.json", record)
    return folder


def test_a_decoder_is_fitted_again_only_when_there_is_something_new(project: Project, store: Store, truth: Truth):
    store.save(0, truth(0), 0)
    assert current_decoder(project, "light") is None
    assert [part.words[0] for part in dataset_parts(store, 10, "light")] == ["fit", "synthesize"]
    decoder_of(project, started="2020-01-01T00:00:00+00:00")
    assert current_decoder(project, "light") is None  # labelled since
    folder = decoder_of(project)
    assert current_decoder(project, "light") == folder
    assert current_decoder(project, "linear") is None
    decoder_of(project, kind="linear")
    assert current_decoder(project, "light") == folder  # one of another kind since changes nothing
    (only,) = dataset_parts(store, 10, "light")
    assert only.words == ("synthesize", str(project.folder), "-n", "10", "--json", "--decoder", folder.name)
    store.save(1, truth(1), 0)
    assert current_decoder(project, "light") is None
    decoder_of(project, status="interrupted")
    assert current_decoder(project, "light") is None
    again = decoder_of(project)
    decoder_of(project, status="interrupted")
    assert current_decoder(project, "light") == again


def test_a_segmenter_needs_a_dataset(project: Project):
    with pytest.raises(UsageError, match="gannotate synthesize"):
        segmenter_parts(project, "unet", 10)


def test_labels_are_gathered_anew_when_they_changed(project: Project, store: Store, truth: Truth):
    store.save(0, truth(0), 0)
    first = labelled_parts(store, "unet", 10)
    assert [part.words[:2] for part in first] == [("data", "export"), ("train", str(project.folder))]
    gathered = Path(first[0].words[first[0].words.index("--out") + 1])
    assert gathered == Path(first[1].words[first[1].words.index("--labelled") + 1])
    gathered.parent.mkdir()
    gathered.touch()
    assert [part.words[0] for part in labelled_parts(store, "unet", 10)] == ["train"]
    store.save(0, 1 - truth(0), 1)
    assert str(gathered) not in labelled_parts(store, "unet", 10)[0].words
    assert not gathered.exists()


def test_labels_that_another_command_wrote_are_gathered_anew(project: Project, store: Store, truth: Truth):
    store.save(0, truth(0), 0)
    before = labelled_parts(store, "unet", 10)
    project.write_annotation(0, 1 - truth(0), "simulated", {})
    assert labelled_parts(store, "unet", 10) != before


def test_the_real_commands_write_a_dataset(project: Project, store: Store, truth: Truth):
    """From labels to a dataset, through the same child processes as from the page."""
    store.save(0, truth(0), 0)
    store.save(1, truth(1), 0)
    jobs = Jobs()
    jobs.start("dataset", lambda: dataset_parts(store, 20, "linear"))
    assert jobs.wait(120)
    assert jobs.state is not None
    assert (jobs.state.status, jobs.state.error) == ("done", "")
    assert (jobs.state.done, jobs.state.steps) == (20, 20)
    assert jobs.state.result is not None
    assert jobs.state.result["pictures"] == 20
    assert len(segmenter_parts(project, "unet", 1)) == 1
    assert len(dataset_parts(store, 20, "linear")) == 1


def test_the_child_ends_when_its_server_is_gone(project: Project, store: Store, truth: Truth):
    store.save(0, truth(0), 0)
    words = ["fit", str(project.folder), "--steps", "1000000", "--no-hold-out"]
    child = subprocess.Popen([*RUNNER, *words], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    assert any(line.startswith("fit: ") for line in child.stderr)
    assert child.stdin is not None
    child.stdin.close()
    try:
        assert child.wait(60) == 130
    finally:
        if child.poll() is None:
            os.kill(child.pid, signal.SIGKILL)
        child.stderr.close()
    assert project.unfinished("decoders", "light") is not None
