"""What is known of the commands of somebody's own study, or on somebody's own domain, before the first one has run."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from gannotate.cli.study_commands import check_commands
from gannotate.errors import UsageError
from gannotate.fitting.gradient_matching import matched
from gannotate.segmenters.build import SegmenterConfig, build_network
from gannotate.studies import Choice, load_domain, load_shared, load_study, make_plan

OWN = """
title: Own
paper: {of: me, where: here}
claim: none
axes: {n: [1, 2]}
steps:
  made: sample {project:bare} -n {n}
  out: MINE
  score: evaluate {project:bare} --segmenter {made.segmenter} --config {out.out}
measures: {miou: {from: "{score.miou}"}, out: {from: "{out.out}"}}
tables: [{rows: [n], measures: [miou]}]
"""


def check(folder: Path, step: str) -> None:
    (folder / "own.yaml").write_text(OWN.replace("MINE", step))
    study, portraits = load_study(str(folder / "own.yaml")), load_domain("portraits", environment={})
    check_commands(make_plan("own", study, load_shared(), portraits, Choice(seeds=1)))


def test_a_value_that_another_command_makes_is_no_mistake(tmp_path: Path):
    """--config names a file that is there only when the step before has made it."""
    check(tmp_path, "data export {project:made} --format palette --out {here}/a.zip")


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("data exprt {project:made} --format palette --out {here}/a.zip", "the step out: .*exprt"),
        ("sample {project:made} -z 4", "the step out: .*-z"),
        ("sampel {project:made} -n 4", "the step out: .*sampel"),
        ("sample {project:made} --frist-seed 4", "the step out: .*--frist-seed"),
    ],
)
def test_verbs_and_flags_that_there_are_not_are_told(tmp_path: Path, step: str, told: str):
    with pytest.raises(UsageError, match=told):
        check(tmp_path, step)


def test_the_flags_of_a_domain_of_ones_own_are_looked_up_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from gannotate.cli.app import main

    domain = tmp_path / "leaves"
    for name in ("labelled", "test", "generator"):
        (domain / name).mkdir(parents=True)
    text = "title: Leaves\nclasses: [background, blade]\nscore: --protocl lagm-fg\n"
    text += "sources: {labelled: labelled, test: test, generator: generator}\n"
    (domain / "domain.yaml").write_text(text)
    words = ["study", "run", "algorithm2", "--domain", str(domain), "--out", str(tmp_path / "out"), "--dry-run"]
    assert main(words) == 2
    assert "--protocl" in capsys.readouterr().err
    (domain / "domain.yaml").write_text(text.replace("--protocl", "--protocol"))
    assert main(words) == 0


@pytest.mark.parametrize("name", ["match-blocks", "match-blocks-deeplab"])
def test_the_blocks_that_are_matched_are_the_segmenters(name: str):
    """A block that there is not would be told after the network is built, minutes into a study."""
    study, segmenter = load_study(name), "deeplabv3" if name.endswith("deeplab") else "unet-classic"
    network = build_network(
        SegmenterConfig(
            architecture=segmenter,
            encoder="resnet18" if segmenter == "deeplabv3" else "",
            decoder_width=16,
            classes=3,
            image_channels=3,
            size=64,
        )
    )
    found = {
        str(one.value): matched(network, segmenter, one.texts["how"].strip('"')) for one in study.axes["match"].values
    }
    assert all(found.values())
    assert set(found["head"]) < set(found["all"])
    if segmenter == "deeplabv3":  # from one place of the backbone up to the head, each fewer than the one before
        rising = [found[one] for one in ("all", "res2", "res3", "res4", "res5", "head")]
        assert all(set(fewer) < set(more) for more, fewer in itertools.pairwise(rising))
        assert {one.split(".")[0] for one in found["head"]} == {"decoder", "segmentation_head"}
