"""A study's commands: the same to their runner, forked or in a Python of their own."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gannotate.errors import GannotateError
from gannotate.studies import starting
from gannotate.studies.cell import How
from gannotate.studies.starting import FRESH, KILLED, Command, Fresh, Warm, warm

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


def end(command: Command) -> tuple[int, float | None]:
    begin = time.monotonic()
    while (ended := command.ended()) is None:
        assert time.monotonic() - begin < 120
        time.sleep(0.01)
    command.ask_to_end()
    return ended


def test_what_a_command_says_and_takes(start: Start, folder: Path):
    words = ["render", "portraits", "-n", "2", "--size", "16", "--workers", "1", "--out", "two.zip", "--json"]
    (folder / "two.zip").unlink(missing_ok=True)
    code, peak_mb = end(start(words))
    assert code == 0
    assert peak_mb is not None
    assert 20 < peak_mb < 2000
    assert json.loads((folder / "shown").read_text())["pictures"] == 2
    assert (folder / "two.zip").stat().st_size > 0  # in the folder of all studies


def test_a_command_that_fails(start: Start, folder: Path):
    code, _ = end(start(["info", "nothing-here"]))
    assert code == 2
    assert "nothing-here" in (folder / "log").read_text()


def test_a_command_that_is_asked_to_end_ends_as_by_ctrl_c(start: Start, folder: Path):
    command = start(LONG)
    time.sleep(0.2)
    assert command.ended() is None
    assert os.getsid(command.pid) == command.pid  # Ctrl-C in the terminal does not reach it
    command.ask_to_end()
    assert end(command)[0] == 130
    assert not (folder / "pictures.zip").exists()


def test_a_command_that_is_killed(start: Start):
    command = start(LONG)
    command.kill()
    assert end(command)[0] == -signal.SIGKILL


def test_several_at_a_time(forks: Warm, folder: Path):
    commands = []
    for number in range(3):
        with (folder / f"shown{number}").open("wb") as shown, (folder / "log").open("wb") as log:
            commands.append(forks.start(["render", "portraits", "-n", "1", "--size", "16", "--workers", "1", "--seed",
                                         str(number), "--out", f"{number}.zip", "--json"], shown, log))  # fmt: skip
    assert len({command.pid for command in commands}) == 3
    assert [end(command)[0] for command in reversed(commands)] == [0, 0, 0]
    assert all((folder / f"{number}.zip").exists() for number in range(3))


def test_what_forks_is_killed(folder: Path):
    if sys.platform != "linux":
        pytest.skip("commands are forked on Linux only")
    forks = Warm(folder, How(folder=folder).variables)
    with (folder / "shown").open("wb") as shown, (folder / "log").open("wb") as log:
        command = forks.start(LONG, shown, log)
        assert forks._process is not None
        forks._process.kill()
        assert end(command) == (KILLED, None)  # nobody sees how it really ends, which its closed stdin sees to
        with pytest.raises(GannotateError, match="run the same command again"):
            forks.start(["--version"], shown, log)
    forks.close()


@pytest.mark.parametrize(("platform", "runner"), [("darwin", FRESH), ("linux", ("python", "own.py"))])
def test_elsewhere_every_command_has_its_own_python(
    platform: str, runner: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(starting.sys, "platform", platform)
    with warm(runner, tmp_path, {}) as forks:
        assert forks is None
