"""`gannotate annotate` and `gannotate sample --order`, as they are typed."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from gannotate.annotate.lock import only_annotator
from gannotate.annotate.store import Store
from gannotate.cli.annotate import listen, next_step
from gannotate.cli.app import main
from gannotate.data.writing import encode_picture
from gannotate.errors import GannotateError
from gannotate.project import Project, RealPicture


def result(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    """What a command that must succeed prints with --json."""
    assert main([*(str(word) for word in words), "--json", "--quiet"]) == 0
    return json.loads(capsys.readouterr().out)


def mistake(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """Exit code and sentence of a command that must fail."""
    code = main([str(word) for word in words])
    return code, capsys.readouterr().err


def test_sample_chooses_and_names_what_it_chose(project: Project, capsys: pytest.CaptureFixture[str]):
    found = result(capsys, "sample", project.folder, "-n", 3, "--order", "diverse", "--candidates", 20)
    assert len(found["seeds"]) == 3
    assert set(found["seeds"]) <= set(range(6, 26))
    assert found["pool"] == 9
    assert set(found["seeds"]) <= {picture.seed for picture in Project.open(project.folder).pool()}


def test_sample_without_an_order_takes_the_next_seeds(project: Project, capsys: pytest.CaptureFixture[str]):
    assert result(capsys, "sample", project.folder, "-n", 2)["seeds"] == [6, 7]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--candidates", 9), "--order diverse or uncertain to choose"),
        (("--order", "diverse", "--candidates", 1), "give at least -n (2) of them"),
        (("--order", "uncertain"), "needs labels of at least two classes"),
        (("--order", "best"), "--order"),
    ],
)
def test_sample_refuses_what_makes_no_choice(
    project: Project, capsys: pytest.CaptureFixture[str], words: tuple[object, ...], says: str
):
    code, sentence = mistake(capsys, "sample", project.folder, "-n", 2, *words)
    assert code == 2
    assert says in sentence


def test_annotate_refuses_an_empty_pool_a_port_in_use_and_no_port(project: Project, capsys: pytest.CaptureFixture[str]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, sentence = mistake(capsys, "annotate", project.folder, "--no-browser", "--port", taken.getsockname()[1])
    assert code == 1
    assert "an annotator may be open already" in sentence
    assert mistake(capsys, "annotate", project.folder, "--port", 70000)[0] == 2
    (project.folder / "pool" / "pool.jsonl").write_text("")
    assert "has no pool pictures to label" in mistake(capsys, "annotate", project.folder)[1]


def test_annotate_dry_run_starts_nothing(project: Project, capsys: pytest.CaptureFixture[str]):
    found = result(capsys, "annotate", project.folder, "--dry-run", "--no-browser")
    assert found["config"]["browser"] is False


@pytest.fixture
def served(project: Project) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running annotator, and the address that it printed."""
    words = [sys.executable, "-m", "gannotate", "annotate", str(project.folder), "--no-browser", "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        printed = process.stderr.readline()
        address = re.search(r"http://\S+", printed)
        assert address, printed
        yield process, address[0]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_annotate_serves_saves_and_ends_with_ctrl_c_or_a_kill(
    how: signal.Signals,
    served: tuple[subprocess.Popen[str], str],
    project: Project,
    truth: Callable[[int], np.ndarray],
):
    process, address = served
    host, path = address.removeprefix("http://").split("/", 1)
    browser = http.client.HTTPConnection(host, timeout=60)
    browser.request("GET", f"/{path}")
    answer = browser.getresponse()
    answer.read()
    assert answer.status == 303
    cookie = {"Cookie": str(answer.getheader("Set-Cookie")).split(";")[0]}
    browser.request("PUT", "/api/pictures/2/labels", truth(2).tobytes(), cookie | {"X-Base-Version": "0"})
    assert json.loads(browser.getresponse().read()) == {"version": 1}
    os.kill(process.pid, how)
    shown, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "1 of the 6 pool pictures are labelled" in shown
    assert (Store(Project.open(project.folder)).load(2).label_map == truth(2)).all()


def test_a_second_annotator_is_refused_until_the_first_is_gone(
    served: tuple[subprocess.Popen[str], str], project: Project, capsys: pytest.CaptureFixture[str]
):
    process, address = served
    code, sentence = mistake(capsys, "annotate", project.folder, "--no-browser", "--port", 0)
    assert code == 1
    assert f"another annotator has {project.folder} open ({address.split('/?')[0]}, process {process.pid}" in sentence
    assert address.split("token=")[1] not in sentence
    process.kill()
    process.wait()
    with only_annotator(project.folder, "here"):
        pass


def test_the_next_step_fits_what_was_labelled(project: Project, store: Store, truth: Callable[[int], np.ndarray]):
    folder = project.folder
    assert next_step(store, folder, []) == f"gannotate annotate {folder}"
    picture = RealPicture("a", "a.jpg", "0", 16, 16, 0, 0, 16)
    (real,) = project.add_real([(picture, encode_picture(np.zeros((16, 16, 3), np.uint8)))])
    store.save(real, truth(0), 0)
    assert "--labelled DIR" in next_step(store, folder, sorted(store.labelled()))
    store.save(0, truth(0), 0)
    assert next_step(store, folder, sorted(store.labelled())) == f"gannotate fit {folder}"


def test_an_address_of_another_machine_is_no_port_in_use():
    with pytest.raises(GannotateError, match="give an address of this machine"):
        listen("192.0.2.1", 0)  # for documentation only, RFC 5737


def test_help_names_the_verb(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert main(["annotate", "--help"]) == 0
    assert "--no-browser" in capsys.readouterr().out
