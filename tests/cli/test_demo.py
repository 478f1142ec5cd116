"""`gannotate demo` and `gannotate report` as commands; what they do is tested in tests/unit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gannotate.cli import demo
from gannotate.cli.app import main
from gannotate.cli.demo import as_text, fresh_folder
from gannotate.demo import StageProgress
from gannotate.files import write_json

RESULT = {
    "shots": 5,
    "test_pictures": 200,
    "miou": {"floor_majority": 0.1, "floor_pixels": 0.2, "supervised": 0.3, "decoder": 0.5, "segmenter": 0.4},
    "seconds": {"fit": 60.0, "train": 65.0},
    "peak_rss_mb": 1000.4,
}


def finished(folder: Path, config: object, device: str) -> Iterator[StageProgress]:
    """Plays the demonstration."""
    yield StageProgress("fit", 1, 1, 1.0, 0.0, {"loss": 0.5})
    yield StageProgress("train", 1, 2, 1.0, 1.0, {"loss": 0.5})
    yield StageProgress("train", 2, 2, 2.0, 0.0, {"loss": 0.25})
    write_json(folder / "demo.json", RESULT)


def stopped(folder: Path, config: object, device: str) -> Iterator[StageProgress]:
    """Plays a demonstration that Ctrl-C ends."""
    yield StageProgress("fit", 1, 2, 1.0, 1.0, {})
    raise KeyboardInterrupt


def test_json_is_the_result_and_nothing_else(command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demo, "run_demo", finished)
    assert command("demo", "--out", tmp_path / "d") == RESULT


def test_stages_are_shown_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(demo, "run_demo", finished)
    assert main(["demo", "--out", str(tmp_path / "d")]) == 0
    shown = capsys.readouterr()
    assert shown.err.splitlines() == ["fit: 1/1 in 0:01, loss 0.5", "train: 2/2 in 0:02, loss 0.25"]
    assert shown.out.startswith("5 labelled pictures; tested on 200 rendered portraits")
    assert f"open {tmp_path / 'd' / 'report' / 'index.html'}" in shown.out


def test_ctrl_c_says_that_nothing_is_left(command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demo, "run_demo", stopped)
    code, line = command.mistake("demo", "--out", tmp_path / "d")
    assert code == 130
    assert line == "stopped; nothing is left behind, and the same command starts anew"


def test_sigterm_ends_it_as_ctrl_c_does(command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    left = tmp_path / ".d.part"

    def terminated(folder: Path, config: object, device: str) -> Iterator[StageProgress]:
        left.mkdir()
        try:
            yield StageProgress("fit", 1, 2, 1.0, 1.0, {})
            os.kill(os.getpid(), signal.SIGTERM)
            yield StageProgress("fit", 2, 2, 1.0, 0.0, {})
        finally:
            left.rmdir()

    monkeypatch.setattr(demo, "run_demo", terminated)
    before = signal.getsignal(signal.SIGTERM)
    code, line = command.mistake("demo", "--out", tmp_path / "d")
    assert (code, line) == (130, "stopped; nothing is left behind, and the same command starts anew")
    assert not left.exists()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_demonstration_that_is_told_to_end_leaves_nothing(tmp_path: Path, how: signal.Signals):
    words = [sys.executable, "-m", "gannotate", "demo", "--out", str(tmp_path / "d")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as child:
        while child.poll() is None and not list(tmp_path.glob(".d.part/.project/pool/images/*.png")):
            time.sleep(0.05)
        child.send_signal(how)
        _, told = child.communicate(timeout=120)
    assert (child.returncode, told.splitlines()[-1].endswith("the same command starts anew")) == (130, True)
    assert list(tmp_path.iterdir()) == []


def test_figures_as_a_table():
    lines = as_text(Path("x"), RESULT).splitlines()
    assert lines[2:7] == [
        "floor: majority label map           0.100",
        "floor: pixel net                    0.200",
        "supervised, as many exact labels    0.300",
        "segmenter, from generated pictures  0.400",
        "decoder, on held-out pool pictures  0.500",
    ]
    assert lines[-1] == "2:05 min, 1000 MB; the project is in x"


def test_the_folder_is_a_new_one(tmp_path: Path):
    path = tmp_path / "gannotate-demo"
    assert fresh_folder(path) == path
    path.mkdir()
    (tmp_path / "gannotate-demo-2").mkdir()
    assert fresh_folder(path).name == "gannotate-demo-3"


def test_report_writes_a_page(command, annotated: Path):
    result = command("report", annotated)
    page = annotated / "report" / "index.html"
    assert result == {"page": str(page), "bytes": page.stat().st_size}
    assert page.read_text().count('alt="Pool picture') == 4


def test_report_does_nothing_on_a_dry_run(command, project: Path):
    assert command("report", project, "--dry-run")["would"] == [f"write {project / 'report' / 'index.html'}"]
    assert not (project / "report").exists()
    code, line = command.mistake("report", project.parent / "nowhere")
    assert code == 2
    assert "is not there; give the folder of a project" in line
