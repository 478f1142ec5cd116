"""Run records: status, time over resumed parts, and refusal of what is not understood."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from gannotate.errors import GannotateError, UsageError
from gannotate.record import is_finished, peak_rss_mb, read_record, recorded


def test_a_finished_run_says_what_made_it(tmp_path: Path):
    with recorded(tmp_path, "fit", {"steps": 3}, 7) as record:
        running = read_record(tmp_path)
        record.result = {"loss": float("nan")}
    assert running is not None
    assert running["status"] == "running"
    done = json.loads((tmp_path / "run.json").read_text())
    assert (done["status"], done["verb"], done["config"], done["seed"]) == ("done", "fit", {"steps": 3}, 7)
    assert done["result"] == {"loss": None}
    assert done["versions"]["numpy"] != "missing"
    assert done["hardware"]["cores"] >= 1


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "interrupted"), (ValueError, "failed")])
def test_an_unfinished_run_is_continued(tmp_path: Path, error: type[BaseException], status: str):
    (tmp_path / "checkpoint").touch()
    with pytest.raises(error), recorded(tmp_path, "fit", {}, 0):
        raise error
    stopped = json.loads((tmp_path / "run.json").read_text())
    assert stopped["status"] == status
    assert not is_finished(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(stopped | {"wall_s": 100.0}))
    with recorded(tmp_path, "fit", {}, 0):
        pass
    done = read_record(tmp_path)
    assert done is not None
    assert (done["started"], done["parts"], done["killed"]) == (stopped["started"], 2, 0)
    assert 100 <= done["wall_s"] < 110


def test_what_is_thrown_away_counts_for_nothing(tmp_path: Path):
    (tmp_path / "checkpoint").touch()
    with pytest.raises(KeyboardInterrupt), recorded(tmp_path, "pretrain", {"resume": True}, 0):
        raise KeyboardInterrupt
    stopped = json.loads((tmp_path / "run.json").read_text())
    before = stopped | {"wall_s": 100.0, "parts": 4, "killed": 1, "started": "2020-01-01T00:00:00+00:00"}
    (tmp_path / "run.json").write_text(json.dumps(before))
    with recorded(tmp_path, "pretrain", {"resume": False}, 0):
        pass
    done = read_record(tmp_path)
    assert done is not None
    assert (done["parts"], done["killed"]) == (1, 0)
    assert done["wall_s"] < 10
    assert done["started"] >= stopped["started"]


def test_parts_whose_time_nobody_wrote_are_counted(tmp_path: Path):
    (tmp_path / "checkpoint").touch()
    with recorded(tmp_path, "fit", {}, 0):
        killed = (tmp_path / "run.json").read_text()  # what a kill leaves: it says that it runs
    assert json.loads(killed)["killed"] == 0
    for count in (1, 2):
        (tmp_path / "run.json").write_text(killed)
        with recorded(tmp_path, "fit", {}, 0) as record:
            killed = (tmp_path / "run.json").read_text()
        assert (record.parts, record.killed) == (1 + count, count)
        assert json.loads((tmp_path / "run.json").read_text())["killed"] == count


def test_a_run_that_made_nothing_leaves_nothing(tmp_path: Path):
    with pytest.raises(ValueError, match="wrong flag"), recorded(tmp_path / "0001", "fit", {}, 0):
        raise ValueError("wrong flag")
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_leaves_the_record_of_what_was_done(tmp_path: Path):
    with recorded(tmp_path, "synthesize", {"psi": 1.0}, 0) as record:
        record.result = {"pictures": 20}
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(UsageError), recorded(tmp_path, "synthesize", {"psi": 0.5}, 0):
        raise UsageError("another dataset is there")
    assert (tmp_path / "run.json").read_bytes() == before
    assert is_finished(tmp_path)


def test_time_may_begin_earlier(tmp_path: Path):
    with recorded(tmp_path, "evaluate", {}, 0, begin=time.monotonic() - 50) as record:
        pass
    assert 50 <= record.wall_s < 60


def test_a_finished_run_is_not_continued(tmp_path: Path):
    for _ in range(2):
        with recorded(tmp_path, "evaluate", {}, 0):
            pass
    done = read_record(tmp_path)
    assert done is not None
    assert done["parts"] == 1


def test_no_record_means_put_there_whole(tmp_path: Path):
    assert not is_finished(tmp_path)  # a run that was killed before it began
    (tmp_path / "model.safetensors").touch()
    assert read_record(tmp_path) is None
    assert is_finished(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"format_version": 2}', "written by a newer gannotate .format 2"),
        ('{"format_version": 1', "is damaged"),
        ("[]", "is damaged"),
    ],
)
def test_records_that_are_not_understood(tmp_path: Path, text: str, sentence: str):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(GannotateError, match=sentence):
        read_record(tmp_path)


def test_peak_memory_is_in_megabytes():
    assert 10 < peak_rss_mb() < 100_000
