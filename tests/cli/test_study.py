"""`study`: every command of what ships is one that the real command line takes; listing, showing, running, mistakes."""

from __future__ import annotations

import inspect
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_type_hints

import cyclopts
import pytest

from gannotate.cli import study as verb
from gannotate.cli.app import VERBS, find_verb, main, parser_of
from gannotate.cli.evaluate_decoder import check_decoder_flags
from gannotate.cli.fit_real import _check, _real_config
from gannotate.cli.flags import Common, Resumable
from gannotate.cli.study import parse_also, parse_only, parse_settings, threads_of
from gannotate.cli.train_methods import check_flags
from gannotate.errors import UsageError
from gannotate.studies import Choice, load_domain, load_shared, load_study, make_plan
from gannotate.studies.cell import RESUMABLE, words_of
from gannotate.studies.domain import names as domain_names
from gannotate.studies.study import names

from .conftest import TINY, Command


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Files where the real pictures would be; nothing reads them while a study is only planned."""
    for domain in ("xray", "wbc"):
        (tmp_path / "data" / domain).mkdir(parents=True)
        for name in ("pool", "unlabelled", "test"):
            (tmp_path / "data" / domain / f"{name}.zip").write_bytes(b"pictures")
    (tmp_path / "generator").mkdir()
    return tmp_path


TAKEN: set[tuple[str, ...]] = set()
"""Commands that were taken already, but for numbers and the places of files; parsing one takes its time."""

PARSERS: dict[str, cyclopts.App] = {}


@pytest.mark.parametrize("name", names())
def test_every_command_of_what_ships_is_taken_by_the_command_line(name: str, data: Path):
    study, shared = load_study(name), load_shared()
    for domain_name in study.domains or domain_names():
        generator = None if domain_name == "portraits" else data / "generator"
        domain = load_domain(domain_name, data / "data", generator, environment={})
        for quick in (True, False):
            plan = make_plan(name, study, shared, domain, Choice(quick=quick, seeds=1))
            for cell in plan.cells.values():
                words = [*words_of(cell), "--json", "--device", "cpu"]
                place = rf"cells/[0-9a-f]{{16}}|{re.escape(str(data))}|^[\d.]+$"
                shape = tuple(re.sub(place, "_", word) for word in words)
                if shape not in TAKEN:
                    TAKEN.add(shape)
                    take(words)


def take(words: list[str]) -> None:
    """Parses a command as `gannotate` would, and checks its flags against each other; nothing is run."""
    parser = PARSERS.setdefault(words[0], parser_of(find_verb(words[0])))
    _, bound, _ = parser.parse_args(words, exit_on_error=False, print_error=False)
    flags = bound.arguments.get("flags")
    if words[0] == "train":
        check_flags(flags)
    if words[0] == "evaluate":
        check_decoder_flags(flags)
    if words[0] == "fit" and flags.labels_from == "real":
        _check(flags, bound.arguments["real"])
        _real_config(flags, bound.arguments["real"])
    elif words[0] == "fit":
        flags.fit_config((), 5, 64)


def test_a_wrong_flag_would_be_seen():
    with pytest.raises(cyclopts.CycloptsError):
        take(["fit", "project", "--shotss", "1"])
    with pytest.raises(UsageError, match="belongs to a project's annotations"):
        take(["fit", "project", "--from", "real", "--labelled", "x", "--pixels", "3"])
    with pytest.raises(UsageError, match="semi-supervised"):
        take(["train", "project", "--unlabelled", "x"])


def test_the_verbs_that_go_on_are_known():
    """`studies` does not see the command line, so it has a list of them."""
    found = set()
    for one in (one for group in VERBS.values() for one in group):
        function = one.load()
        if not isinstance(function, cyclopts.App):
            kinds = [kind for kind in get_type_hints(function).values() if inspect.isclass(kind)]
            if any(issubclass(kind, Resumable) for kind in kinds if issubclass(kind, Common)):
                found.add(one.name)
    assert found == set(RESUMABLE)


def test_list_names_the_studies_and_domains(command: Command):
    result = command("study", "list")
    assert result["domains"] == ["portraits", "wbc", "xray"]
    assert result["studies"]["taps"]["where"] == "Table 7"
    assert len(result["studies"]) >= 25
    assert "algorithm2" in command.text("study", "list")


def test_show_tells_what_a_study_does(command: Command, tmp_path: Path):
    words = ["study", "show", "taps", "--quick", "--only", "taps=all,middle", "--out", tmp_path]
    text = command.text(*words)
    assert text.endswith(f"next: gannotate study run taps --out {tmp_path} --quick --only taps=all,middle\n")
    for line in ("Claim: With one labelled picture", "  taps: middle, all", "  fit: gannotate fit {project:annotated}"):
        assert line in text
    result = command(*words)
    assert [value["value"] for value in result["axes"]["taps"]["values"]] == ["middle", "all"]
    assert result["done"] == 0
    assert result["settings"]["annotator_steps"] == 150


def test_more_flags_of_a_step_are_in_its_commands(command: Command):
    """Of those studies that have the step, and in the command that is shown."""
    words = ["taps", "algorithm2", "--quick", "--also", "train=--encoder resnet34", "--also", "train=--weights random"]
    would = [line for line in command("study", "run", *words, "--dry-run")["would"] if "gannotate train" in line]
    asked = [line for line in would if line.endswith("--encoder resnet34 --weights random")]
    assert len(asked) == 4
    assert len(would) == 5  # the annotator is another step
    text = command.text("study", "show", *words[1:])
    assert "  train: gannotate train {project:bare} {way.train} --seed {seed} --encoder resnet34 --weights ran" in text
    assert "--also 'train=--encoder resnet34' --also 'train=--weights random'" in text


def test_dry_run_names_every_command_and_does_nothing(command: Command, tmp_path: Path):
    out = tmp_path / "out"
    result = command("study", "run", "algorithm2", "--quick", "--dry-run", "--out", out)
    assert result["dry_run"] is True
    assert len(result["would"]) == result["config"]["cells"] == 19
    assert any("'<dataset.dataset>' --labels hard" in line for line in result["would"])
    assert not out.exists()


def test_run_writes_table_and_plot_and_goes_on(command: Command, tiny: Path, tmp_path: Path):
    out = tmp_path / "out"
    words = ["study", "run", tiny, "--out", out]
    result = command(*words)
    folder = Path(result["folder"])
    assert folder == out / "renders-portraits"
    assert (result["done"], result["failed"], result["not_run"]) == (2, 0, 0)
    assert [row["figures"]["pictures"] for row in result["rows"]] == [2, 4]
    assert result["findings"][0]["verdict"] == "holds"
    assert result["command"] == f"gannotate study run {tiny} --out {out}"
    assert sorted(path.name for path in folder.iterdir()) == [
        "plot.png",
        "plot.svg",
        "study.json",
        "table.csv",
        "table.md",
    ]
    cell = next(iter(result["cells"]))
    assert len(list((out / "cells" / cell / "pictures" / "images").iterdir())) in (2, 4)
    assert command(*words, "--dry-run")["would"] == []
    before = {path: path.stat().st_mtime_ns for path in (out / "cells").rglob("*.png")}
    again = command(*words)
    assert {path: path.stat().st_mtime_ns for path in (out / "cells").rglob("*.png")} == before
    assert again["rows"] == result["rows"]
    shown = command.text(*words)
    assert "| 4 | 4 |" in shown
    other = tmp_path / "other day"
    taken = command("study", "run", tiny, "--out", other, "--known", out)
    assert (taken["done"], taken["rows"]) == (2, result["rows"])
    assert taken["command"] == f"gannotate study run {tiny} --out '{other}' --known {out}"
    assert not (other / "cells").exists()
    assert shown.splitlines()[-2:] == [
        f"in {folder}: table.md, table.csv, plot.svg, study.json",
        f"next: gannotate report {folder}",
    ]


def test_processes_share_a_study_and_any_of_them_ends_it(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    words = ["study", "run", str(tiny), "--out", str(tmp_path / "out"), "--json"]
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")  # the first one died, or comes late
    assert main(words) == 0
    assert capsys.readouterr() == ("", "")
    table = tmp_path / "out" / "renders-portraits" / "table.md"
    results = sorted((tmp_path / "out" / "cells").glob("*/result.json"))
    before = [path.stat().st_mtime_ns for path in (table, *results)]
    assert main(words) == 0  # a third finds all done, and the table written
    assert [path.stat().st_mtime_ns for path in (table, *results)] == before
    monkeypatch.setenv("RANK", "0")
    assert main(words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["done"], answer["failed"]) == (2, 0)
    assert [path.stat().st_mtime_ns for path in results] == before[1:]
    assert table.stat().st_mtime_ns > before[0]


@pytest.mark.slow
def test_torchrun_shares_a_study_and_goes_on_after_a_kill(tiny: Path, tmp_path: Path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = [*launch, "-m", "gannotate", "study", "run", str(tiny), "--out", str(tmp_path / "out"), "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        while first.poll() is None and not list((tmp_path / "out").glob("cells/*/cell.json")):
            time.sleep(0.05)
        first.kill()  # and with it, soon, its processes
    again = subprocess.run(words, capture_output=True, text=True, timeout=600)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["done"] == 2
    assert len(list((tmp_path / "out").glob("cells/*/result.json"))) == 2
    assert not list((tmp_path / "out").glob("cells/.*.claim"))


def test_each_process_on_a_machine_has_its_part_of_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verb, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    alone = verb.RunFlags(processes=2).how()
    assert (alone.threads, alone.environment) == (4, {})
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert verb.RunFlags(processes=2).how().threads == 1
    assert verb.RunFlags().how().environment == {"CUDA_VISIBLE_DEVICES": "5"}
    assert verb.RunFlags(device="cpu").how().environment == {}
    with pytest.raises(UsageError, match="give 1 to 2, the cores of this machine for each of the 4 processes on it"):
        verb.RunFlags(processes=3).how()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert verb.RunFlags().how().environment == {}


def test_a_failure_is_told_and_the_rest_is_there(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tiny.write_text(
        TINY.replace("size: [16]", "size: [16, 3]")
        .replace("rows: [many]", "rows: [many, size]")
        .replace("x: many,", "x: many, series: [size],")
    )
    assert main(["study", "run", str(tiny), "--out", str(tmp_path / "out"), "--only", "many=2"]) == 1
    shown = capsys.readouterr()
    assert "| 2 | 16 | 2 |" in shown.out
    assert "| 2 | 3 | failed |" in shown.out
    assert re.search(r"failed: drawn many=2 size=3 seed=0: .*3.* \(cells/[0-9a-f]{16}\)", shown.err)
    words = ["study", "run", str(tiny), "--out", str(tmp_path / "out"), "--only", "many=2", "--quiet", "--json"]
    assert main(words) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["failed"] == 1
    told = f"gannotate: renders-portraits is not whole, 1 of 2 commands failed; {tmp_path}/out/renders-portraits/study."
    assert shown.err == f"{told}json tells why, table.md beside it has the rest, and the same command tries again\n"


def test_figures_that_are_in_no_result_are_a_failure(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tiny.write_text(TINY.replace("{drawn.pictures}", "{drawn.picturez}"))
    assert main(["study", "run", str(tiny), "--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err.splitlines()
    assert re.search(
        r"^failed: measure \w+: the result drawn has no 'picturez'; .* \(cells/\w{16} and 1 more\)$", told[-2]
    )
    assert told[-1].startswith("gannotate: renders-portraits is not whole, 2 figures cannot be read; ")


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (
            "drawn: render portraits",
            "drawn: rendr portraits",
            "there is no command 'rendr'; `gannotate --help` lists them; did you mean 'render'?",
        ),
        (
            "--style",
            "--stile",
            "Unknown option: --stile. Did you mean --style?; `gannotate render --help` shows what is accepted",
        ),
    ],
)
def test_commands_that_there_are_not_are_known_before_any_runs(
    command: Command, tiny: Path, old: str, new: str, error: str, tmp_path: Path
):
    tiny.write_text(TINY.replace(old, new))
    assert command.mistake("study", "run", tiny, "--out", tmp_path / "out") == (2, f"{tiny}: the step drawn: {error}")
    assert not (tmp_path / "out").exists()


def test_a_study_in_a_file_beside_is_meant(command: Command, tiny: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tiny.parent)
    told = "there is no study 'renders'; did you mean the file renders.yaml?; `gannotate study list` names all"
    assert command.mistake("study", "show", "renders") == (2, told)


@pytest.mark.parametrize("ignored", [False, True])
def test_a_command_of_a_study_ends_when_its_runner_is_gone(tmp_path: Path, ignored: bool):
    words = ["render", "portraits", "-n", "20000", "--out", str(tmp_path / "many"), "--workers", "1"]
    before = signal.getsignal(signal.SIGINT)
    try:
        if ignored:  # as in what a shell script puts into the background; children inherit it
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        child = subprocess.Popen(
            [sys.executable, "-m", "gannotate.cli.study_cell", *words], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert child.poll() is None
    _, told = child.communicate(timeout=60)  # closes stdin
    assert child.returncode == 130
    assert b"stopped" in told
    assert not (tmp_path / "many").exists()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["show", "tap"], "there is no study 'tap'; did you mean 'taps'?; `gannotate study list` names all"),
        (["run", "taps", "--only", "taps"], "--only has 'taps'; give AXIS=VALUE,VALUE, e.g. --only shots=1,5"),
        (["run", "taps", "--set", "steps"], "--set has 'steps'; give NAME=VALUE, e.g. --set steps=100"),
        (["run", "taps", "--set", "steps=2026-13-01"], "--set has 'steps=2026-13-01'; give NAME=VALUE, e.g. --set"),
        (["run", "taps", "--set", f"steps={'[' * 5000}"], "--set has 'steps=[[["),
        (
            ["run", "taps", "--set", "fit_most=2.5"],
            "--set fit_most=2.5; give a whole number, e.g. --set fit_most=",
        ),
        (["run", "taps", "--also", "fit"], "--also has 'fit'; give STEP=FLAGS, e.g. --also 'train=--encoder resnet34'"),
        (["run", "taps", "--also", "fit=--shots 3"], "taps: the step fit: "),
        (["run", "taps", "--also", "fit=--shots={n}"], "--also has '--shots={n}'; give the value itself, {NAME} is"),
        (["run", "taps", "--also", "fit=--widht 3"], "taps: the step fit: Unknown option: --widht;"),
        (["run", "taps", "inversion", "--also", "fot=--width 3"], "--also names the step 'fot', which changes none"),
        (["run", "taps", "--known", "no-out"], "no-out is not there; give the --out of `gannotate study run`, or"),
        (["run", "taps", "--processes", "0"], "--processes is 0; give 1 to "),
        (["run", "taps", "--seeds", "99999999999999999999999"], "--seeds is 99999999999999999999999; give 1 to 1000"),
        (["show", "taps", "--seeds", "1001"], "--seeds is 1001; give 1 to 1000"),
        (
            ["run", "taps", "--set", "labels=0", "--dry-run"],
            "--set labels=0; give a number above 0, e.g. --set l",
        ),
        (["run", "filter", "--only", "keep=1.5", "--dry-run"], "axis keep: '1.5' is not on this axis; it has 1, 0.9,"),
        (["run", "none.yaml"], "none.yaml cannot be read"),
        (["run"], "no study was named; give one or more of `gannotate study list`, or all"),
        (["run", "taps", "tap"], "there is no study 'tap'; did you mean 'taps'?; `gannotate study list` names all"),
        (["run", "taps", "inversion", "--set", "chots=1"], "--set names 'chots', which changes none of these studies"),
        (["run", "taps", "inversion", "--only", "tap=1"], "--only names the axis 'tap', which changes none of these"),
        (["run", "taps", "inversion", "--only", "taps=1"], "taps: axis taps: '1' is not on this axis"),
        (["run", "taps", "--domain", "nowhere"], "there is no domain 'nowhere'; give portraits, wbc, xray or a folder"),
    ],
)
def test_mistakes_are_one_sentence(command: Command, words: list[str], error: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DATA", raising=False)
    code, told = command.mistake("study", *words)
    assert code == 2
    assert told.startswith(error)


def test_words_of_flags():
    assert parse_only(["shots=1,5", "shots=10", "way=a"]) == {"shots": ("1", "5", "10"), "way": ("a",)}
    assert parse_also(["train=--a 1", "fit=--b x=y", "train=--c"]) == {"train": "--a 1 --c", "fit": "--b x=y"}
    assert parse_settings(["steps=100", "style=flat", "half=0.5"]) == {"steps": 100, "style": "flat", "half": 0.5}


def test_threads_and_processes_never_exceed_the_cores(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verb, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [threads_of(processes) for processes in (1, 3, 8)] == [8, 2, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads_of(1) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    assert threads_of(2) == 4
