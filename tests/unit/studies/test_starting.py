"""A study's commands: the same to their runner, forked or in a Python of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gannotate.errors import GannotateError
from gannotate.studies import starting
from gannotate.studies.cell import How
from gannotate.studies.starting import FRESH, KILLED, Command, Ended, Fresh, Warm, warm

Start = Callable[[list[str]], Command]
LONG = ["render", "portraits", "-n", "1000000", "--size", "64", "--workers", "1", "--out", "pictures.zip", "--json"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def forks(folder: Path) -> Iterator[Warm]:
    if sys.platform != "linux":
        pytest.skip("commands are forked on Linux only")
    with warm(FRESH, folder, How(folder=folder).variables) as made:
        assert made is not None
        yield made


@pytest.fixture(params=["forked", "fresh"])
def start(request: pytest.FixtureRequest, folder: Path) -> Start:
    """Starts a command that shows its answer in `shown` and the rest in `log`."""
    how = How(folder=folder)
    forks = request.getfixturevalue("forks") if request.param == "forked" else None

    def begin(words: list[str]) -> Command:
        with (folder / "shown").open("wb") as shown, (folder / "log").open("wb") as log:
            if forks is not None:
                return forks.start(words, shown, log)
            return Fresh([*how.runner, *words], folder, how.variables, shown, log)

    return begin


def end(command: Command) -> Ended:
    begin = time.monotonic()
    while (ended := command.ended()) is None:
        assert time.monotonic() - begin < 120
        time.sleep(0.01)
    command.ask_to_end()
    return ended


def test_what_a_command_says_and_takes(start: Start, folder: Path):
    words = ["render", "portraits", "-n", "2", "--size", "16", "--workers", "1", "--out", "two.zip", "--json"]
    (folder / "two.zip").unlink(missing_ok=True)
    begin = time.monotonic()
    code, peak_mb, cpu_s = end(start(words))
    assert code == 0
    assert peak_mb is not None
    assert 20 < peak_mb < 2000
    assert cpu_s is not None
    assert 0 < cpu_s < (time.monotonic() - begin) * (os.cpu_count() or 1)
    assert json.loads((folder / "shown").read_text())["pictures"] == 2
    assert (folder / "two.zip").stat().st_size > 0  # in the folder of all studies


def test_a_command_that_fails(start: Start, folder: Path):
    assert end(start(["info", "nothing-here"])).code == 2
    assert "nothing-here" in (folder / "log").read_text()


def test_a_command_that_is_asked_to_end_ends_as_by_ctrl_c(start: Start, folder: Path):
    command = start(LONG)
    time.sleep(0.2)
    assert command.ended() is None
    assert os.getsid(command.pid) == command.pid  # Ctrl-C in the terminal does not reach it
    command.ask_to_end()
    assert end(command).code == 130
    assert not (folder / "pictures.zip").exists()


def test_a_command_that_is_killed(start: Start):
    command = start(LONG)
    command.kill()
    assert end(command).code == -signal.SIGKILL


def test_several_at_a_time(forks: Warm, folder: Path):
    commands = []
    for number in range(3):
        with (folder / f"shown{number}").open("wb") as shown, (folder / "log").open("wb") as log:
            commands.append(forks.start(["render", "portraits", "-n", "1", "--size", "16", "--workers", "1", "--seed",
                                         str(number), "--out", f"{number}.zip", "--json"], shown, log))  # fmt: skip
    assert len({command.pid for command in commands}) == 3
    assert [end(command).code for command in reversed(commands)] == [0, 0, 0]
    assert all((folder / f"{number}.zip").exists() for number in range(3))


def test_what_forks_is_killed(folder: Path):
    if sys.platform != "linux":
        pytest.skip("commands are forked on Linux only")
    forks = Warm(folder, How(folder=folder).variables)
    with (folder / "shown").open("wb") as shown, (folder / "left").open("wb") as log:
        command = forks.start(LONG, shown, log)
        assert forks._process is not None
        forks._process.kill()
        assert end(command) == Ended(KILLED)  # nobody sees how it really ends, which its closed stdin sees to
        assert end(forks.start(["--version"], shown, log)).code == 0  # and the next one is not taken with them
    forks.close()


def test_what_forks_cannot_begin(folder: Path, monkeypatch: pytest.MonkeyPatch):
    if sys.platform != "linux":
        pytest.skip("commands are forked on Linux only")
    monkeypatch.setattr(starting, "WARM", (sys.executable, "-c", "import sys; sys.exit(1)"))
    with warm(FRESH, folder, How(folder=folder).variables) as forks, (folder / "none").open("wb") as file:
        assert forks is not None
        for _ in range(2):
            with pytest.raises(GannotateError, match="run the same command again"):
                forks.start(["--version"], file, file)


RUNNER = """
import sys, time
from pathlib import Path
from gannotate.studies.cell import How
from gannotate.studies.starting import Warm
folder = Path(sys.argv[1])
forks = Warm(folder, How(folder=folder).variables)
with (folder / "shown").open("wb") as shown, (folder / "alone").open("wb") as log:
    forks.start(sys.argv[2:], shown, log)
print(forks._process.pid, flush=True)
time.sleep(600)
"""


def test_nothing_is_left_when_the_runner_is_killed(folder: Path):
    if sys.platform != "linux":
        pytest.skip("commands are forked on Linux only")
    with subprocess.Popen([sys.executable, "-P", "-c", RUNNER, folder, *LONG], stdout=subprocess.PIPE) as runner:
        assert runner.stdout is not None
        forks = Path("/proc", runner.stdout.readline().decode().strip())
        assert forks.exists()
        runner.kill()
    begin = time.monotonic()
    while "stopped" not in (folder / "alone").read_text() or (forks / "exe").exists():  # none of a dead process's
        assert time.monotonic() - begin < 120
        time.sleep(0.05)


SAYING = """
import os, sys
from gannotate.cli import study_warm
def say(words):
    sys.stderr.write("said \\udc80\\n")
    os.kill(os.getpid(), 9)
study_warm.main_until_closed, study_warm.MODULES = say, ()
work = study_warm.begin(int(sys.argv[1]))
if work:
    work()
"""


def test_what_a_command_said_is_in_its_log_however_it_ends(folder: Path, monkeypatch: pytest.MonkeyPatch):
    if sys.platform != "linux":
        pytest.skip("commands are forked on Linux only")
    monkeypatch.setattr(starting, "WARM", (sys.executable, "-P", "-c", SAYING))
    with warm(FRESH, folder, How(folder=folder).variables) as forks:
        assert forks is not None
        with (folder / "shown").open("wb") as shown, (folder / "said").open("wb") as log:
            command = forks.start([], shown, log)
        assert end(command).code == -signal.SIGKILL
    assert (folder / "said").read_text() == "said \\udc80\n"  # as a Python of its own writes to stderr


@pytest.mark.parametrize(("platform", "runner"), [("darwin", FRESH), ("linux", ("python", "own.py"))])
def test_elsewhere_every_command_has_its_own_python(
    platform: str, runner: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(starting.sys, "platform", platform)
    with warm(runner, tmp_path, {}) as forks:
        assert forks is None
