"""The lock: one annotator a project, and nothing left behind by one that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gannotate.annotate.lock import HOLDER, LOCK, only_annotator
from gannotate.errors import GannotateError

HOLD = """
import sys, time
from pathlib import Path
from gannotate.annotate.lock import only_annotator
with only_annotator(Path(sys.argv[1]), "http://127.0.0.1:1"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_told_who_has_it(tmp_path: Path):
    with only_annotator(tmp_path, "http://127.0.0.1:8770"):
        with pytest.raises(GannotateError, match=rf"http://127.0.0.1:8770, process {os.getpid()} on .*Ctrl-C"):
            with only_annotator(tmp_path, "http://127.0.0.1:8771"):
                pass
        with only_annotator(tmp_path / "other", "http://127.0.0.1:8771"):
            pass
    with only_annotator(tmp_path, "http://127.0.0.1:8772"):
        assert (tmp_path / "annotations" / HOLDER).exists()
    assert not (tmp_path / "annotations" / HOLDER).exists()


def test_it_is_given_back_after_an_error(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), only_annotator(tmp_path, "http://127.0.0.1:1"):
        raise ZeroDivisionError
    with only_annotator(tmp_path, "http://127.0.0.1:1"):
        pass


def test_a_killed_one_leaves_no_lock(tmp_path: Path):
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(GannotateError, match=f"process {other.pid}"), only_annotator(tmp_path, "x"):
        pass
    os.kill(other.pid, signal.SIGKILL)
    other.communicate()
    assert (tmp_path / "annotations" / LOCK).exists()
    assert (tmp_path / "annotations" / HOLDER).exists()  # what it said is still there, and hinders nobody
    with only_annotator(tmp_path, "x"):
        pass


def test_one_that_says_nothing_yet_is_told_too(tmp_path: Path):
    with only_annotator(tmp_path, "x"):
        (tmp_path / "annotations" / HOLDER).write_text("{")
        with pytest.raises(GannotateError, match="it has only just started"), only_annotator(tmp_path, "y"):
            pass
