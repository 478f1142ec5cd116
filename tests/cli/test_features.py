"""From unlabelled pictures to labels without a generator: `pretrain`, `fit --features`, `evaluate`, `predict`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gannotate.project import Project

from .conftest import BY_FEATURES, SIZE, Command

METHODS = {"vae": ("--latents", 4), "simclr": ("--depth", 3)}
SHORT = ("--steps", 2, "--batch", 4)
TINY = ("--from", "real", "--max-steps", 3)


@pytest.fixture
def unlabelled(tmp_path: Path) -> Path:
    """A folder of 8 grey pictures and one that is none."""
    folder, rng = tmp_path / "unlabelled", np.random.default_rng(1)
    folder.mkdir()
    for number in range(8):
        Image.fromarray(rng.integers(0, 256, (SIZE, SIZE)).astype(np.uint8)).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"none")
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_from_unlabelled_pictures_to_labels(
    command: Command, annotated: Path, unlabelled: Path, labelled: Path, tmp_path: Path, method: str
) -> None:
    out = tmp_path / "network"
    words = ("pretrain", annotated, "--method", method, "--unlabelled", unlabelled, "--out", out)
    made = command(*words, *SHORT, *METHODS[method])
    assert (made["features"], made["pictures"], made["skipped"], made["steps"]) == (str(out), 8, 1, 2)
    names = {"config.json", "model.safetensors", "card.md", "log.csv", "log.jsonl", "run.json"}
    assert {path.name for path in out.iterdir()} == names
    before = (out / "model.safetensors").stat().st_mtime_ns
    assert command(*words, *SHORT, *METHODS[method])["features"] == str(out)  # typed again: finished
    assert (out / "model.safetensors").stat().st_mtime_ns == before

    fitted = command("fit", annotated, *TINY, "--labelled", labelled, "--features", out, "--shots", 3)
    folder = annotated / "decoders" / "0001-light-features"
    assert (fitted["decoder"], fitted["method"], fitted["shots"]) == (str(folder), "features", 3)
    assert (fitted["label_sources"], fitted["held_out_pictures"]) == ({"real": 3}, 0)
    about = json.loads((folder / "config.json").read_text())["about"]
    assert about["features"]["kind"] == {"vae": "vae", "simclr": "encoder"}[method]
    (out / "model.safetensors").unlink()  # the decoder keeps its network: from here on nothing else is needed

    scored = command("evaluate", annotated, "--of", "decoder", "--test", labelled, "--most", 3)
    assert (scored["through"], scored["pictures"], scored["labels"]) == ("features", 3, 3)
    pool = command("evaluate", annotated, "--of", "decoder")
    assert (pool["through"], pool["pictures"], pool["test"]) == ("features", 4, "held-out annotations")
    predicted = command("predict", annotated, labelled, "--through", "features", "--out", tmp_path / "labels")
    assert (predicted["pictures"], predicted["decoder"]) == (4, str(folder))
    assert {path.name for path in (tmp_path / "labels" / "masks").iterdir()} == {"a.png", "b.png", "c.png", "d.png"}


def test_an_encoder_starts_a_network_too(
    command: Command, project: Path, unlabelled: Path, labelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "network"
    command("pretrain", project, "--method", "simclr", "--unlabelled", unlabelled, "--out", out, *SHORT, "--depth", 3)
    train = ("train", project, "--labelled", labelled, "--batch", 2, "--steps", 1)
    assert Path(command(*train, "--init", out)["segmenter"]).exists()


def test_the_newest_decoder_of_its_kind_is_read_with(
    command: Command, annotated: Path, labelled: Path, tmp_path: Path
) -> None:
    features = command("fit", annotated, *TINY, "--labelled", labelled, *BY_FEATURES)["decoder"]
    drawn = command("fit", annotated, "--max-steps", 2)["decoder"]
    through = ("predict", annotated, labelled, "--through", "features", "--out", tmp_path / "labels")
    assert command(*through)["decoder"] == features
    code, said = command.mistake(*through[:-1], tmp_path / "more", "--decoder", Path(drawn).name)
    assert (code, "0002-light reads the generator's activations; use --through generator" in said) == (2, True)
    by_generator = ("predict", annotated, labelled, "--through", "generator", "--steps", 2, "--out", tmp_path / "drawn")
    assert command(*by_generator)["decoder"] == drawn
    code, said = command.mistake(*by_generator[:-1], tmp_path / "again", "--decoder", Path(features).name)
    assert (code, "reads another network's features; use --through features" in said) == (2, True)


def test_what_draws_takes_the_newest_decoder_of_the_generator(
    command: Command, annotated: Path, labelled: Path
) -> None:
    drawn = Path(command("fit", annotated, "--max-steps", 2, "--shots", 3)["decoder"])
    features = Path(command("fit", annotated, *TINY, "--labelled", labelled, *BY_FEATURES)["decoder"])
    assert command("synthesize", annotated, "-n", 2, "--dry-run")["config"]["decoder"] == drawn.name
    assert command("train", annotated, "--online", "--dry-run")["config"]["decoder"] == drawn.name
    found = command("evaluate", annotated, "--of", "decoder", "--test", labelled, "--most", 2, "--steps", 2)
    assert (found["scored"], found["through"]) == (str(drawn), "generator")
    assert command("evaluate", annotated, "--of", "decoder")["scored"] == str(features)  # it can be scored so

    told = f"the decoder {features.name} reads another network's features; "
    for words, more in (
        (("synthesize", annotated, "-n", 2), ""),
        (("train", annotated, "--online"), ""),
        (("evaluate", annotated, "--of", "decoder", "--test", labelled, "--steps", 2), "leave --steps out, or "),
    ):
        code, said = command.mistake(*words, "--decoder", 2)
        assert (code, said) == (2, f"{told}{more}name another --decoder")

    shutil.rmtree(drawn)
    only = f"the decoders of {annotated} read another network's features, not the generator's activations; "
    make = f"make one with `gannotate fit {annotated}`"
    for words in (("synthesize", annotated, "-n", 2), ("train", annotated, "--online")):
        assert command.mistake(*words) == (2, f"{only}{make}")
    words = ("predict", annotated, labelled, "--through", "generator", "--out", annotated / "out")
    assert command.mistake(*words) == (2, f"{only}use --through features, or {make}")
    assert not (annotated / "datasets").exists()


def test_a_generators_decoder_is_scored_on_real_pictures(command: Command, annotated: Path, labelled: Path) -> None:
    command("fit", annotated, "--max-steps", 2, "--shots", 3)
    words = ("evaluate", annotated, "--of", "decoder", "--test", labelled, "--steps", 2)
    found = command(*words)
    assert (found["through"], found["pictures"], found["labels"]) == ("generator", 4, 3)
    assert command(*words) | {"run": 0, "seconds": 0} == found | {"run": 0, "seconds": 0}
    beside = command(*words, "--most", 2, "--labelled", labelled)
    assert (beside["pictures"], set(beside["floors"])) == (2, {"majority", "pixels"})


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--method", "vae"), "--method vae learns from pictures; give a folder or zip of them with --unlabelled DIR"),
        (("--method", "vae", "--unlabelled", "U", "--taps", "b4.conv1"), "--taps is for --method layermatch"),
        (("--method", "vae", "--unlabelled", "U", "--depth", 3), "--depth is for an encoder"),
        (("--method", "simclr", "--unlabelled", "U", "--beta", 2), "--beta is for --method vae"),
        (("--unlabelled", "U"), "--unlabelled is for --method vae or simclr"),
        (("--method", "simclr", "--unlabelled", "U", "--depth", 5), "does not divide by 32"),
        (("--method", "vae", "--unlabelled", "nowhere"), "nowhere"),
    ],
)
def test_wrong_pretrainings(
    command: Command, project: Path, unlabelled: Path, tmp_path: Path, words: tuple, told: str
) -> None:
    given = (unlabelled if word == "U" else word for word in words)
    code, said = command.mistake("pretrain", project, "--out", tmp_path / "new", *given)
    assert (code, told in said) == (2, True), said
    assert not (tmp_path / "new").exists()


def test_a_dry_run_shows_the_methods_own_numbers(command: Command, project: Path, tmp_path: Path) -> None:
    words = ("pretrain", project, "--out", tmp_path / "new", "--dry-run")
    shown = command(*words, "--method", "vae", "--unlabelled", "pictures")
    assert (shown["config"]["steps"], shown["config"]["batch"]) == (3000, 32)
    assert command(*words)["config"]["steps"] == 2000
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("fit", "P", "--features", "X"), "--features belongs to labels of real pictures; add --from real"),
        (("fit", "P", *TINY, "--labelled", "L", "--method", "features"), "names the network that --method features"),
        (("fit", "P", *TINY, "--labelled", "L", "--method", "maml", *BY_FEATURES), "no other method reads one"),
        (("fit", "P", *TINY, "--labelled", "L", "--features-weights", "random"), "are for --features timm:NAME"),
        (("fit", "P", *TINY, "--labelled", "L", "--features", "timm:resnet10t"), "timm:resnet10t needs weights"),
        (("fit", "P", *TINY, "--labelled", "L", "--features", "nowhere"), "nowhere is no network's folder"),
        (
            ("fit", "P", *TINY, "--labelled", "L", *BY_FEATURES, "--taps", "b4.conv1"),
            "no tap 'b4.conv1'; these",
        ),
        (
            ("fit", "P", *TINY, "--labelled", "L", *BY_FEATURES, "--inner-steps", 2),
            "inner-steps means nothing to",
        ),
        (("predict", "P", "L", "--out", "O", "--through", "features"), "has no finished decoder yet; make one with"),
        (("predict", "P", "L", "--out", "O", "--through", "features", "--steps", 3), "--steps is for --through gen"),
        (("predict", "P", "L", "--out", "O", "--through", "features", "--tile", 64), "or leave --through features out"),
        (("predict", "P", "L", "--out", "O", "--decoder", "1"), "--decoder is for --through generator or features"),
        (("evaluate", "P", "--of", "decoder", "--steps", 3), "it is for --of decoder with --test"),
        (("evaluate", "P", "--of", "decoder", "--labelled", "L"), "leave --labelled out"),
        (("evaluate", "P", "--of", "decoder", "--most", 3), "give these with --test"),
    ],
)
def test_mistakes_are_one_sentence(
    command: Command, annotated: Path, labelled: Path, tmp_path: Path, words: tuple, told: str
) -> None:
    stands_for = {"P": annotated, "L": labelled, "O": tmp_path / "out"}
    (annotated / "decoders").mkdir(exist_ok=True)
    code, said = command.mistake(*(stands_for.get(word, word) if isinstance(word, str) else word for word in words))
    assert (code, told in said) == (2, True), said
    assert Project.open(annotated).made("decoders") == []
    assert not (tmp_path / "out").exists()
