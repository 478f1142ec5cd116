"""One process at a time in a folder, and nothing left of one that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gannotate.errors import GannotateError
from gannotate.locks import alone_in, is_free

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")

HOLD = """
import sys, time
from gannotate.locks import alone_in
with alone_in(sys.argv[1], "busy"):
    print("inside", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[int]:
    """Another process that is alone in tmp_path."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "inside\n"
        yield process.pid
        process.kill()


def test_another_process_is_kept_out_until_it_is_killed(tmp_path: Path, other: int):
    assert not is_free(tmp_path)
    with pytest.raises(GannotateError, match="somebody is here"), alone_in(tmp_path, "somebody is here"):
        pass
    os.kill(other, signal.SIGKILL)
    with alone_in(tmp_path):  # waits for its end
        pass
    assert is_free(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_same_process_may_ask_again(tmp_path: Path):
    with alone_in(tmp_path, "busy"):
        with alone_in(tmp_path, "busy"):
            pass
        with alone_in(tmp_path / "..", "busy"):
            pass
    assert is_free(tmp_path)
