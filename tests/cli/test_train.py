"""`train` in all its ways: online, mixed, from start weights, semi-supervised, and what contradicts itself."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from gannotate.cli import train as train_verb
from gannotate.cli import train_methods
from gannotate.cli.app import main
from gannotate.cli.kept import kept_by, next_step, say_size
from gannotate.cli.train import TrainFlags
from gannotate.cli.train_methods import parse_settings
from gannotate.errors import UsageError
from gannotate.project import Project
from gannotate.record import read_record
from gannotate.segmenters.build import read_segmenter_config
from gannotate.segmenters.online import OnlineConfig
from gannotate.segmenters.semantic_gan.config import SemanticGANConfig
from gannotate.segmenters.supervised import SegmenterTraining, train_segmenter
from gannotate.training.loop import Progress

from .conftest import SIZE, Command

NETWORK = ["--encoder", "tu-resnet10t", "--depth", 3]
TINY = [*NETWORK, "--batch", 4, "--max-steps", 3]
ONLINE = ["--online", "--buffer", 16]


@pytest.fixture
def fitted(command: Command, annotated: Path) -> Path:
    """The annotated project with two decoders."""
    command("fit", annotated, "--max-steps", 3, "--shots", 3)
    command("fit", annotated, "--max-steps", 3, "--shots", 2)
    return annotated


@pytest.fixture
def unlabelled(tmp_path: Path) -> Path:
    """A folder with 5 unlabelled pictures of another size, and a torn one."""
    folder = tmp_path / "unlabelled"
    folder.mkdir()
    for index in range(5):
        Image.fromarray(np.full((20, 24, 3), 40 * index, np.uint8)).save(folder / f"{index}.png")
    (folder / "torn.png").write_bytes(b"torn")
    return folder


def test_online_needs_no_dataset_and_says_what_taught(command: Command, fitted: Path, labelled: Path):
    trained = command("train", fitted, *TINY, *ONLINE, "--decoder", 1, "--psi", 0.5)
    assert Path(trained["segmenter"]).name == "0001-unet-online"
    assert (trained["label_source"], trained["labels"], trained["pictures"]) == ("decoder 0001-light", 3, 32)
    record = read_record(trained["segmenter"])
    assert record is not None
    assert record["config"]["decoder"] == "0001-light"
    assert record["config"]["draw"] == {"psi": 0.5, "cutoff": None, "noise": "const"}
    assert record["config"]["online_config"]["buffer"] == 16
    about = read_segmenter_config(trained["segmenter"])["about"]
    assert about["online"] == {"refresh": OnlineConfig.refresh, "buffer": 16, "keep": 1.0, "seed": 0}
    assert not (fitted / "datasets").exists()
    scored = command("evaluate", fitted, "--test", labelled)
    assert (scored["label_source"], scored["labels"]) == ("decoder 0001-light", 3)
    page = Path(command("report", fitted)["page"]).read_text()
    assert "0001-unet-online" in page


def test_the_newest_decoder_draws_when_none_is_named(command: Command, fitted: Path):
    assert command("train", fitted, *TINY, *ONLINE)["label_source"] == "decoder 0002-light"


def test_online_goes_on_after_a_kill(command: Command, fitted: Path, monkeypatch: pytest.MonkeyPatch):
    def torn(*arguments: Any, **more: Any) -> Iterator[Any]:
        for progress in train_segmenter(*arguments, **more):
            yield progress
            if progress.done == 1:
                signal.raise_signal(signal.SIGINT)

    words = ["train", str(fitted), *map(str, TINY), *map(str, ONLINE), "--keep", "0.5"]
    with monkeypatch.context() as patch:
        patch.setattr(train_verb, "train_segmenter", torn)
        assert main([*words, "--quiet"]) == 130
    torn_folder = Path(command(*words)["segmenter"])
    whole_folder = Path(command(*words)["segmenter"])
    assert (torn_folder.name, whole_folder.name) == ("0001-unet-online", "0002-unet-online")
    torn_weights, whole_weights = ((one / "model.safetensors").read_bytes() for one in (torn_folder, whole_folder))
    assert torn_weights == whole_weights


@pytest.mark.parametrize("data", ["online", "dataset"])
def test_labelled_pictures_mixed_in(command: Command, fitted: Path, labelled: Path, data: str):
    if data == "dataset":
        command("synthesize", fitted, "-n", 8)
    words = ONLINE if data == "online" else []
    mixed = command("train", fitted, *TINY, *words, "--labelled", labelled, "--shots", 3, "--mix", 0.25)
    name = {"online": "0001-unet-online-mixed", "dataset": "0001-unet-mixed"}[data]
    assert Path(mixed["segmenter"]).name == name
    assert mixed["label_source"] == "decoder 0002-light and labelled pictures"
    assert (mixed["labels"], mixed["real_labels"], mixed["mix"]) == (5, 3, 0.25)
    assert mixed["pictures"] == {"online": 16 + 16 + 3, "dataset": 8 + 3}[data]
    shares = [part["share"] for part in read_segmenter_config(mixed["segmenter"])["about"]["mix"]]
    assert shares == [0.75, 0.25]


@pytest.mark.parametrize("flag", ["--weights", "--init"])
def test_a_folder_of_weights_says_which_encoder(command: Command, project: Path, labelled: Path, flag: str):
    first = command("train", project, "--labelled", labelled, *TINY)["segmenter"]
    second = command("train", project, "--labelled", labelled, "--max-steps", 1, "--batch", 2, flag, first)["segmenter"]
    network = read_segmenter_config(second)["segmenter"]
    assert (network["encoder"], network["depth"], network["weights"]) == ("tu-resnet10t", 3, first)
    record = read_record(second)
    assert record is not None
    assert (record["config"]["weights"], record["config"]["encoder"]) == (first, "tu-resnet10t")


def test_networks_kept_on_the_way_can_be_chosen_from(
    command: Command, project: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["train", project, "--labelled", labelled, *NETWORK, "--batch", 4, "--steps", 3, "--keep-every", 2]
    assert "would keep 2 networks of it in its folder kept" in command.text(*words, "--dry-run")
    assert main([*map(str, words)]) == 0
    shown, run = capsys.readouterr(), project / "segmenters" / "0001-unet-supervised"
    record = read_record(run)
    assert record is not None
    kept = record["result"]["kept"]
    assert (kept["folder"], kept["networks"]) == (str(run / "kept"), 2)
    assert f"2 kept networks in {run / 'kept'} will take {kept['mb']} MB" in shown.err
    assert f"2 networks of its training in {run / 'kept'} ({kept['mb']} MB)" in shown.out
    assert f"--among {run / 'kept'} --validation DIR --protocol NAME" in shown.out
    assert [path.name for path in Project.open(project).made("segmenters")] == [run.name]

    other = tmp_path / "validation"
    shutil.copytree(labelled, other)
    evaluate = ["evaluate", project, "--test", labelled, "--protocol", "lagm-fg"]
    code, text = command.mistake(*evaluate, "--among", run / "kept")
    assert (code, "2 segmenters were given to choose from; nothing is chosen on test pictures" in text) == (2, True)
    found = command(*evaluate, "--among", "0001-unet-supervised/kept", "--validation", other)
    names = [f"{run.name}/kept/step-{done:06d}" for done in (2, 3)]
    assert found["choice"]["among"] == names
    assert found["scored"] == str(project / "segmenters" / names[int(np.argmax(found["choice"]["validation"]))])
    one = command("evaluate", project, "--test", labelled, "--segmenter", names[0])
    assert (one["labels"], one["label_source"]) == (4, "labelled pictures")
    page = Path(command("report", project)["page"]).read_text()
    assert names[0] in page
    assert f"segmenter {run.name}" in page  # how it was made


# ---------------------------------------------------------------------------------------------------------------
# Semi-supervised methods


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the method of these tests can be told."""

    threshold: float = 0.9
    rounds: int = 2
    names: tuple[str, ...] = ()


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the semi-supervised trainer was given; a supervised training stands in for it."""
    seen: list[dict[str, Any]] = []

    def train(method, labelled, unlabelled, config, training, settings, folder, resume, source, device, compute):
        seen.append({"method": method, "labelled": labelled, "unlabelled": unlabelled, "settings": settings})
        yield from train_segmenter(labelled, config, training, folder, resume, source, device, compute)

    build = SimpleNamespace(METHODS={"mean-teacher": SimpleNamespace(settings=Settings)}, train_semi_supervised=train)
    monkeypatch.setitem(__import__("sys").modules, "gannotate.segmenters.semi_supervised.build", build)
    return seen


def test_a_method_gets_labelled_and_unlabelled_pictures(
    command: Command, project: Path, labelled: Path, unlabelled: Path, taught: list[dict[str, Any]]
):
    words = ["--method", "mean-teacher", "--labelled", labelled, "--shots", 2, "--unlabelled", unlabelled]
    found = command("train", project, *TINY, *words, "--method-setting", "threshold=0.5")
    assert Path(found["segmenter"]).name == "0001-unet-mean-teacher"
    assert (found["label_source"], found["labels"], found["pictures"]) == ("labelled pictures", 2, 2)
    assert (found["method"], found["unlabelled"], found["unlabelled_source"]) == ("mean-teacher", 5, str(unlabelled))
    (seen,) = taught
    assert seen["settings"] == Settings(threshold=0.5)
    assert seen["unlabelled"].shape == (5, SIZE, SIZE, 1)
    assert seen["unlabelled"][3].tolist() == np.full((SIZE, SIZE, 1), 120).tolist()
    assert command("evaluate", project, "--test", labelled)["labels"] == 2


def test_unlabelled_pictures_may_be_drawn(
    command: Command, fitted: Path, generator: Path, taught: list[dict[str, Any]]
):
    words = ["--method", "mean-teacher", "--generator", generator, "--most-unlabelled", 7]
    found = command("train", fitted, *TINY, *ONLINE, *words)
    assert Path(found["segmenter"]).name == "0001-unet-mean-teacher-online"
    assert (found["unlabelled"], found["unlabelled_source"]) == (7, f"drawn by {generator}")
    assert taught[0]["unlabelled"].shape == (7, SIZE, SIZE, 1)


def test_settings_of_methods():
    assert parse_settings(Settings, ["rounds=3", "names=a,b"], "m") == Settings(rounds=3, names=("a", "b"))
    with pytest.raises(UsageError, match=r"settings, which are threshold, rounds, names; did you mean 'rounds'"):
        parse_settings(Settings, ["round=3"], "m")
    with pytest.raises(UsageError, match=r"has 'rounds'; give NAME=VALUE"):
        parse_settings(Settings, ["rounds"], "m")
    with pytest.raises(UsageError, match=r"rounds=many is not accepted: input should be a valid integer"):
        parse_settings(Settings, ["rounds=many"], "m")
    fixed = {"classes": 3, "image_channels": 1, "size": 16}
    words = ["warp.scale-low=0.5", "r1_gamma=none", "reach=branch"]
    config = parse_settings(SemanticGANConfig, words, "m", fixed)
    assert (config.warp.scale_low, config.r1_gamma, config.reach, config.classes) == (0.5, None, "branch", 3)
    with pytest.raises(UsageError, match=r"has 'classes=4'; give NAME=VALUE"):
        parse_settings(SemanticGANConfig, ["classes=4"], "m", fixed)


def test_semantic_gan_is_configured_by_the_same_flags(
    command: Command, fitted: Path, labelled: Path, unlabelled: Path, monkeypatch: pytest.MonkeyPatch
):
    started: list[Any] = []

    def start(flags, chosen, *data):
        started.append(chosen)
        yield from train_segmenter(data[0], data[2], SegmenterTraining(steps=1, batch=2), data[4])

    monkeypatch.setattr(train_verb, "start_method", start)
    words = ["--method", "semantic-gan", "--labelled", labelled, "--unlabelled", unlabelled, "--generator", fitted]
    found = command("train", fitted, *words, "--max-steps", 20, "--steps", 10, "--method-setting", "pair_width=8")
    assert Path(found["segmenter"]).name == "0001-semantic-gan"
    assert found["unlabelled"] == 5
    (config,) = started
    assert (config.steps, config.encoder_steps, config.pair_width, config.classes) == (10, 20, 8, 3)
    assert config.generator == str(fitted / "generator")
    assert config.mirror.pairs == ((1, 2),)


# ---------------------------------------------------------------------------------------------------------------
# Contradictions


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--online", "--dataset", "1"], "--online draws its pictures and --dataset names drawn ones"),
        (["--mix", "0.5", "--online"], "give them with --labelled, or leave --mix out"),
        (["--mix", "1.5", "--labelled", "x"], "--mix is 1.5; give the part of a batch"),
        (["--labelled", "x", "--online"], "--labelled and --online were both given; add --mix 0.25"),
        (["--labelled", "x", "--dataset", "1"], "--labelled and --dataset were both given; add --mix 0.25"),
        (["--refresh", "0.5"], "--refresh says how pictures are drawn online; add --online"),
        (["--online", "--refresh", "2"], "refresh is 2.0; give the part of a batch that is new"),
        (["--online", "--most", "3"], "--most takes the first pictures of a dataset, and none is used here"),
        (["--most", "0"], "--most is 0; give 1 or more"),
        (["--online"], "has no finished decoder yet; make one with `gannotate fit"),
        (["--unlabelled", "x"], "--unlabelled is for semi-supervised methods; add e.g. --method mean-teacher"),
        (["--method-setting", "a=1"], "--method-setting is for semi-supervised methods"),
        (["--method", "gct"], "give them with --unlabelled DIR, or draw them with --generator DIR"),
        (["--method", "semantic-gan", "--generator", "x"], "give them with --unlabelled DIR"),
        (["--method", "gct", "--unlabelled", "x", "--generator", "y"], "give one of the two"),
        (["--method", "gct", "--unlabelled", "x", "--most-unlabelled", "0"], "--most-unlabelled is 0"),
        (["--method", "semantic-gan", "--unlabelled", "x", "--online"], "leave --online and --mix out"),
        (["--labelled", "x", "--keep-every", "0"], "keep-every is 0, of 600 steps; give 1 to 600, or leave it out"),
        (["--labelled", "x", "--steps", "9", "--keep-every", "10"], "keep-every is 10, of 9 steps; give 1 to 9"),
        (["--method", "semantic-gan", "--unlabelled", "x", "--keep-every", "3"], "leave --keep-every out"),
        (["--method", "semantic-gan", "--unlabelled", "x", "--depth", "3"], "which --depth says nothing about"),
        (["--init", "a", "--weights", "b"], "--init and --weights both say what the network starts from"),
        (["--labelled", "x", "--init", "nowhere"], "x does not exist; give a folder or a zip of pictures"),
    ],
)
def test_contradictions_are_one_sentence(command: Command, project: Path, words: list[str], part: str):
    code, text = command.mistake("train", project, *words)
    assert code == 2
    assert part in text
    assert not list((project / "segmenters").glob("*"))


def test_a_dry_run_reads_nothing(command: Command, fitted: Path, tmp_path: Path):
    text = command.text("train", fitted, *ONLINE, "--labelled", tmp_path / "none", "--mix", 0.5, "--dry-run")
    assert "would train unet-online-mixed in a new folder" in text
    assert "decoder: 0002-light" in text
    assert not (fitted / "segmenters").exists()


def test_every_method_that_the_flag_accepts_can_be_started():
    from gannotate.segmenters.semi_supervised.build import METHODS

    others = {train_methods.SUPERVISED, train_methods.SEMANTIC_GAN}
    assert set(get_args(train_verb.Method)) == set(METHODS) | others


@pytest.mark.parametrize("method", ["pseudo-labels", "adversarial", "mean-teacher", "gct", "s4gan"])
def test_every_method_makes_a_segmenter(command: Command, project: Path, labelled: Path, unlabelled: Path, method: str):
    words = ["--method", method, "--labelled", labelled, "--unlabelled", unlabelled]
    found = command("train", project, *TINY, *words)
    assert Path(found["segmenter"]).name == f"0001-unet-{method}"
    assert (found["method"], found["labels"], found["unlabelled"], found["steps"]) == (method, 4, 5, 3)
    assert 0 <= command("evaluate", project, "--test", labelled)["miou"] <= 1


def test_a_semantic_gan_is_trained_and_labels(command: Command, project: Path, labelled: Path, tmp_path: Path):
    rng = np.random.default_rng(0)
    (tmp_path / "many").mkdir()
    for index in range(50):
        picture = rng.integers(0, 256, (SIZE, SIZE)).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / "many" / f"{index}.png")
    words = ["--labelled", labelled, "--unlabelled", tmp_path / "many", "--generator", project, "--batch", 4]
    settings = ["--method-setting", "pair_width=8", "--method-setting", "encoder_width=8"]
    settings += ["--method-setting", "inference.steps=1"]
    found = command("train", project, "--method", "semantic-gan", *words, *settings, "--max-steps", 2)
    assert (found["labels"], found["unlabelled"], found["steps"]) == (4, 50, 4)
    assert 0 <= command("evaluate", project, "--test", labelled)["miou"] <= 1


def test_kept_networks_that_somebody_deleted_do_not_end_a_training(tmp_path: Path):
    how = SegmenterTraining(steps=4, keep_every=2)
    rows = [Progress(done=done, steps=4, seconds=1.0, eta_s=0.0, metrics={}) for done in (3, 4)]
    assert list(say_size(iter(rows), TrainFlags(), how, tmp_path)) == rows
    result = kept_by(how, tmp_path)
    assert result == {"kept": {"folder": str(tmp_path / "kept"), "networks": 0, "mb": 0}}
    assert next_step(Path("P"), result) == "gannotate evaluate P --test DIR"
