"""The command line as a whole: help without torch, exit codes, one sentence an error, settings from a file."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import gannotate
from gannotate.cli import show
from gannotate.cli.app import VERBS, find_verb, help_text, main
from gannotate.cli.flags import Stepped, Training, differences, settings
from gannotate.errors import UsageError

Captured = pytest.CaptureFixture[str]

RENDER = ["render", "portraits", "-n", "3", "--size", "16", "--workers", "1"]


def sentence(capsys: Captured, *words: str) -> tuple[int, str]:
    """Exit code and the one line on stderr; nothing is on stdout."""
    code = main(list(words))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("gannotate: ")
    assert shown.err.count("\n") == 1, shown.err
    return code, shown.err


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_verb(capsys: Captured, words: list[str]):
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert shown == help_text()
    assert all(f"  {verb.name} " in shown for group in VERBS.values() for verb in group)
    assert max(len(line) for line in shown.splitlines()) <= 110


def test_help_comes_without_torch_or_numpy():
    code = "import sys; from gannotate.cli.app import main; main(['--help']); "
    check = code + "sys.exit(bool({'torch', 'numpy', 'cyclopts', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], timeout=60, stdout=subprocess.DEVNULL).returncode == 0


def test_python_dash_m_works():
    run = subprocess.run([sys.executable, "-m", "gannotate", "--version"], timeout=60, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, f"gannotate {gannotate.__version__}\n")


@pytest.mark.parametrize("verb", [verb for group in VERBS.values() for verb in group], ids=lambda verb: verb.name)
def test_every_flag_is_explained(capsys: Captured, verb):
    from gannotate.cli.app import parser_of

    parser = parser_of(verb)[verb.name]
    assert main([verb.name, "--help"]) == 0
    assert verb.about.rstrip(".").split(",")[0].split()[0] in capsys.readouterr().out
    below = [name for name in parser if not name.startswith("-")]  # a verb with verbs of its own, as `data export`
    for words in [[verb.name, name] for name in below] or [[verb.name]]:
        assert main([*words, "--help"]) == 0
        text = capsys.readouterr().out
        command = parser[words[1]] if below else parser
        for argument in command.assemble_argument_collection(parse_docstring=True):
            if argument.show:
                assert argument.parameter.help, f"{words} {argument.name} has no help"
        for flag in ("--json", "--seed", "--device", "--dry-run", "--quiet", "--verbose", "-v", "--config"):
            assert f"{flag} " in text, f"{words} lacks {flag}"


def test_an_unknown_verb_is_usage(capsys: Captured):
    code, line = sentence(capsys, "sampel")
    assert code == 2
    assert "no command 'sampel'" in line
    assert line.endswith("did you mean 'sample'?\n")
    with pytest.raises(UsageError):
        find_verb("sampel")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--cuont", "3"], "Unknown option: --cuont. Did you mean --count?"),
        (["--first-seed", "many"], 'unable to convert "many" into int'),
        (["--style", "oil"], 'Invalid value "oil" for --style'),
        (["--first-seed", "2.5"], "--first-seed is 2.5; give a whole number, e.g. 2"),
        (["--first-seed", "9007199254740993.5"], "--first-seed is 9007199254740993.5; give a whole number"),
        (["--first-seed", "1.5e999"], "1.5e999"),
        (["--first-seed", "inf"], "--first-seed is inf; give a whole number"),
        (["--seed", "-1"], "--seed is -1; give 0 or more"),
        (["--json", "extra"], "extra"),
    ],
)
def test_flags_that_do_not_parse_are_usage(capsys: Captured, tmp_path: Path, words: list[str], part: str):
    code, line = sentence(capsys, *RENDER, "--out", str(tmp_path / "o"), *words)
    assert code == 2
    assert part in line


def test_a_missing_flag_is_usage(capsys: Captured):
    code, line = sentence(capsys, *RENDER)
    assert code == 2
    assert line.startswith("gannotate: --out is missing (")
    assert line.endswith("; `gannotate render --help` shows what is accepted\n")


def test_a_traceback_only_with_v(capsys: Captured, tmp_path: Path):
    assert main(["sample", str(tmp_path), "-v"]) == 2
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.splitlines()[-1].startswith("gannotate: ")
    assert sentence(capsys, "sample", str(tmp_path))[0] == 2


def test_unexpected_errors_are_one_sentence_too(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from gannotate.cli import render

    def broken(*_: object) -> None:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr(render, "render_many", broken)
    code, line = sentence(capsys, *RENDER, "--out", str(tmp_path / "o"), "--quiet")
    assert code == 1
    assert "unexpected ZeroDivisionError: two lines (add -v for the traceback)" in line


def test_trouble_with_the_disk_is_never_unexpected(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from gannotate.cli import render

    def full(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "somewhere")

    monkeypatch.setattr(render, "check_new", full)
    code, line = sentence(capsys, *RENDER, "--out", str(tmp_path / "o"), "--quiet")
    assert (code, line) == (
        1,
        "gannotate: cannot write somewhere (Read-only file system); give a place that can be written\n",
    )


def test_ctrl_c_says_how_to_go_on(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from gannotate.cli import render

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(render, "render_many", stopped)
    code, line = sentence(capsys, *RENDER, "--out", str(tmp_path / "o"), "--quiet")
    assert (code, line) == (130, "gannotate: stopped before its end; type it again\n")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_promises_to_go_on_where_that_is_so(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from gannotate.cli import train

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train.Project, "open", stopped)
    code, line = sentence(capsys, "train", str(tmp_path / "p"))
    assert (code, line) == (130, "gannotate: stopped; the same command goes on where it was\n")


def test_flag_beats_file_beats_default(capsys: Captured, tmp_path: Path):
    file = tmp_path / "flags.yaml"
    file.write_text("count: 5\nfirst_seed: 9\nstyle: flat\nmasks: false\n")
    words = [
        "render",
        "portraits",
        "--out",
        str(tmp_path / "o"),
        "--config",
        str(file),
        "-n",
        "2",
        "--dry-run",
        "--json",
    ]
    assert main(words) == 0
    chosen = json.loads(capsys.readouterr().out)["config"]
    assert (chosen["count"], chosen["first_seed"], chosen["style"], chosen["size"]) == (2, 9, "flat", 64)
    assert chosen["masks"] is False


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("cuont: 5", "'cuont' is no flag of `gannotate render`"),
        ("- 5", "holds no `flag: value` lines"),
        ("count: {", "is not YAML"),
        ("first_seed: many", 'unable to convert "many" into int'),
        ("first_seed: 0.5", "--first-seed is 0.5; give a whole number, e.g. 0"),
    ],
)
def test_config_files_that_do_not_fit(capsys: Captured, tmp_path: Path, text: str, part: str):
    file = tmp_path / "flags.yaml"
    file.write_text(text)
    code, line = sentence(capsys, *RENDER, "--out", str(tmp_path / "o"), "--config", str(file))
    assert code == 2
    assert part in line


def test_a_missing_config_file(capsys: Captured, tmp_path: Path):
    code, line = sentence(capsys, *RENDER, "--out", str(tmp_path / "o"), "--config", str(tmp_path / "no.yaml"))
    assert code == 2
    assert "cannot be read" in line


def test_settings_hold_what_is_done_not_what_is_shown():
    quiet, loud = settings(Training(quiet=True, seed=3)), settings(Training(json=True, seed=3))
    assert quiet == loud
    assert differences(quiet, settings(Training(seed=3, device="cpu", resume=False))) == []
    assert differences(quiet, settings(Training(seed=4, max_steps=2))) == ["max_steps", "seed"]


def test_max_steps_only_shortens():
    assert [Stepped(max_steps=most).steps_of(10) for most in (None, 4, 40)] == [10, 4, 10]


@pytest.mark.parametrize("limit", ["--max-steps=0", "--max-steps=-3", "--minutes=0", "--minutes=-1", "--minutes=nan"])
@pytest.mark.parametrize("verb", ["train-generator", "pretrain", "fit", "train"])
def test_a_limit_that_leaves_nothing_to_do_is_usage(capsys: Captured, tmp_path: Path, verb: str, limit: str):
    out = [] if verb in ("fit", "train") else ["--out", str(tmp_path / "new")]
    assert main([verb, str(tmp_path), *out, limit]) == 2
    flag, _, value = limit.partition("=")
    assert capsys.readouterr().err.startswith(f"gannotate: {flag} is {value}; give ")
    assert not (tmp_path / "new").exists()


@dataclass(frozen=True)
class Step:
    done: int
    steps: int = 3
    seconds: float = 65.0
    eta_s: float = 100.0
    metrics: dict[str, float] = field(default_factory=lambda: {"loss": 0.25})


def three() -> Iterator[Step]:
    yield from (Step(1), Step(2), Step(3))


def test_progress_goes_to_stderr_as_lines_without_a_terminal(capsys: Captured, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(show, "LINE_EVERY_S", 0.0)
    last = show.follow(three(), "fit")
    shown = capsys.readouterr()
    assert last == Step(3)
    assert shown.out == ""
    assert shown.err.splitlines()[0] == "fit: 1/3 in 1:05, 1:40 left, loss 0.25"
    assert shown.err.splitlines()[-1] == "fit: 3/3 in 1:05, loss 0.25"


def test_a_line_that_was_just_shown_is_not_shown_again(capsys: Captured, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(show, "LINE_EVERY_S", 0.0)
    show.follow(three(), "fit")
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["1/3", "2/3", "3/3"]
    monkeypatch.setattr(show, "LINE_EVERY_S", 1000.0)
    show.follow(three(), "fit")
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["3/3"]


def test_a_job_that_ends_by_time_names_no_last_step(capsys: Captured, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(show, "LINE_EVERY_S", 0.0)
    timed = (Step(10, steps=6250000, eta_s=55.0, metrics={}), Step(20, steps=6250000, seconds=120.0, eta_s=0.0))
    show.follow(iter(timed), "train-generator")
    assert capsys.readouterr().err.splitlines() == [
        "train-generator: 10 steps in 1:05, 0:55 left",
        "train-generator: 20 steps in 2:00, loss 0.25",
    ]


def test_a_quiet_job_runs_to_its_end_unseen(capsys: Captured):
    assert show.follow(three(), "fit", quiet=True) == Step(3)
    assert show.follow(iter(()), "fit") is None
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert show.follow(three(), "fit") == Step(3)
    assert "3/3" in terminal.getvalue()
    assert "loss 0.25" in terminal.getvalue()
    show.follow(iter([Step(7, steps=900, eta_s=1.0)]), "fit")
    assert "7 steps" in terminal.getvalue()
    assert "900" not in terminal.getvalue()


def test_table_aligns():
    assert show.table([("class", "iou"), ("nose", "0.5")]) == "class  iou\nnose   0.5"
    assert (show.fraction(None), show.fraction(0.25)) == ("-", "0.250")
    assert (show.clock(65), show.clock(3661)) == ("1:05", "1:01:01")
