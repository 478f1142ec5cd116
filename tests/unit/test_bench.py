"""The benchmark: its smallest form runs in every way, both ways give the same, and rows become tables and plots."""

from __future__ import annotations

import os
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gannotate.decoders.build import decoder_config, make_decoder
from gannotate.generators import ops
from gannotate.generators.adversarial.presets import preset
from gannotate.generators.base import draw
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.jsonlines import read_rows

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark's modules are found beside each other; what they change of the library is taken back."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    monkeypatch.setattr(ops, "modulated_conv", ops.modulated_conv)


def module(name: str) -> Any:
    return import_module(name)


def smallest(part: Any) -> dict[str, Any]:
    """The part's first case, smaller yet."""
    case = part.of_table(True)[0] | {}
    limits = {"size": 32, "classes": 2, "shots": 2, "batch": 2, "pictures": 20}
    return {name: min(value, limits[name]) if name in limits else value for name, value in case.items()}


SLOW = ("onnx",)
CATALOGUE = ("train-generator", "draw", "features", "decoders", "fit", "synthesize", "train", "onnx", "answer")
SIMULATED = ("many-dataset", "many-whole", "many-pool", "many-zip", "many-save", "many-next")
MARKED = [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in (*CATALOGUE, *SIMULATED)]


def test_the_catalogue_has_all_that_is_tested_here():
    assert tuple(module("catalogue").PARTS) == CATALOGUE + SIMULATED


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.slow if one in SLOW else ()) for one in CATALOGUE]
)
def test_every_way_of_every_part_runs_in_its_smallest_form(name: str):
    measure, part = module("measure"), module("catalogue").PARTS[name]
    how = measure.How(repeats=1)
    ways = part.ways_of(smallest(part), how)
    assert ways[0] == "ours"
    assert "official" not in ways
    for way in ways:
        row = module("parts").measure(part.prepare, way, how, smallest(part))
        assert row["passes"] == 1
        assert row["units"] > 0
        assert row["peak_mb"] >= row["before_mb"] * 0.9 > 0


def test_a_weight_tensor_for_each_picture_draws_the_same():
    generator = StyleGAN2(preset("tiny", 32, 3).network).eval()
    (one, shared), *_ = draw(generator, [3])
    module("naive").modulate_each()
    (_, each), *_ = draw(generator, [one])
    torch.testing.assert_close(each.picture, shared.picture, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["mlp", "ensemble", "cnn", "linear"])
def test_the_naive_way_gives_the_decoders_own_classes(kind: str):
    torch.manual_seed(0)
    generator = StyleGAN2(preset("tiny", 32, 3).network).eval()
    decoder = make_decoder(kind, generator, 3, decoder_config(kind, {})).eval()
    (_, drawn), *_ = draw(generator, [0], taps=decoder.tap_names)
    with torch.inference_mode():
        ours, naive = (run(drawn.taps).softmax(dim=1) for run in (decoder, module("naive").naive(decoder)))
    torch.testing.assert_close(naive, ours, rtol=1e-3, atol=1e-4)


def test_one_by_one_writes_what_the_decoder_says(tmp_path: Path):
    torch.manual_seed(0)
    generator = StyleGAN2(preset("tiny", 32, 3).network).eval()
    decoder = make_decoder("linear", generator, 3, decoder_config("linear", {})).eval()
    module("synthesis").one_by_one(tmp_path, generator, decoder, decoder.tap_names, range(2))
    assert len(list(tmp_path.iterdir())) == 6
    soft = np.load(tmp_path / "1.npy")
    assert soft.shape == (3, 32, 32)
    assert (soft.argmax(axis=0) == np.asarray(Image.open(tmp_path / "1-label.png"))).mean() > 0.99


def test_affine_of_the_plain_loop_keeps_the_middle_within_its_shift():
    for seed in range(20):
        torch.manual_seed(seed)
        a, b, c, d, e, f = module("train_segmenter").affine(64)
        assert abs(a * 32 + b * 32 + c - 32) <= 0.1 * 64 * 2**0.5 / 0.8
        assert abs(d * 32 + e * 32 + f - 32) <= 0.1 * 64 * 2**0.5 / 0.8
        assert 0.79 <= (a * e - b * d) ** -0.5 <= 1.26


def test_passes_count_the_first_one_only_when_it_was_long():
    measure, seen = module("measure"), []
    assert measure.passes(lambda: seen.append(1), 1)["passes"] == 1
    assert len(seen) == 1
    found = measure.passes(lambda: seen.append(1), 3)
    assert found["passes"] == len(seen) - 2 == measure.MOST_PASSES  # a warm-up, and short passes more often than asked
    assert found["cpu_s_range"][0] <= found["cpu_s"] <= found["cpu_s_range"][1]
    assert measure.passes(lambda: sum(range(10**5)), 3, most_s=0.0)["passes"] == 1


def test_figures_weigh_the_pieces(monkeypatch: pytest.MonkeyPatch):
    measure = module("measure")
    fixed = {"passes": 2, "wall_s": 1.0, "wall_s_range": [0.5, 2.0], "cpu_s": 0.5, "cpu_s_range": [0.25, 1.0]}
    monkeypatch.setattr(measure, "passes", lambda *_: fixed)
    row = measure.figures(lambda: measure.Work([(dict, 1), (dict, 10)], units=4), measure.How())
    assert (row["wall_s"], row["cpu_s"], row["units"]) == (11.0, 5.5, 4)
    assert row["cpu_s_range"] == [2.75, 11.0]


def test_a_child_answers_fails_and_dies_by_itself(monkeypatch: pytest.MonkeyPatch):
    measure = module("measure")
    monkeypatch.setattr(measure, "PRELOAD", ("torch",))
    assert measure.in_child(dict, a=1) == {"a": 1}
    sorts = {}
    for name, work, limit_s, case in (
        ("error", int, 60, {"nothing": 1}),
        ("killed", os.abort, 60, {}),
        ("late", zipfile.main, 0.0, {}),
    ):
        with pytest.raises(measure.Failed) as raised:
            measure.in_child(work, limit_s, **case)
        sorts[name] = raised.value.sort
    assert sorts == {name: name for name in sorts}


@pytest.fixture
def invented(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A part whose other way is ten times slower, grows by the square, and needs too much memory at 256 px."""
    running, parts = module("running"), module("parts")

    def in_child(
        measure: Any, limit_s: float, prepare: Any, way: str, how: Any, case: dict[str, Any]
    ) -> dict[str, Any]:
        if case["size"] == 128 and way == "naive" and limit_s < 1:
            raise module("measure").Failed("late", "more than 0 s")
        cpu_s = case["size"] ** 2 * (0.01 if way == "naive" else 0.001)
        row = {"units": 2, "passes": 3, "cpu_s": cpu_s, "cpu_s_range": [cpu_s / 2, cpu_s * 2], "wall_s": 2 * cpu_s}
        return row | {"wall_s_range": [cpu_s, cpu_s], "before_mb": 100, "peak_mb": 150 if way == "naive" else 110}

    monkeypatch.setattr(running, "in_child", in_child)
    monkeypatch.setattr(running, "available_mb", lambda: 1000)
    part = parts.Part(
        title="Work",
        unit="picture",
        ways={"ours": "well", "naive": "badly"},
        prepare=dict,
        cases=[{"size": 64}],
        growth={"size": (64, 128, 256, 512)},
        needs_mb=lambda way, size: 700 if (way, size) == ("naive", 256) else 0,
    )
    return {"work": part}


def test_rows_are_kept_resumed_and_stop_where_a_way_fails(invented: dict[str, Any], tmp_path: Path):
    running, how = module("running"), module("measure").How()
    steps = running.run(invented, how, tmp_path, False, 60)
    next(steps)
    assert len(read_rows(tmp_path / "rows.jsonl", running.NAMES)) == 1
    rest = list(running.run(invented, how, tmp_path, False, 60))
    assert len(rest) == 7
    assert [row.get("failed") for row in rest if row["way"] == "naive"] == [
        None,
        None,
        "needs 1 GB of memory",
        "not tried after a smaller one",
    ]
    assert not list(running.run(invented, how, tmp_path, False, 60))
    assert len(list(running.run(invented, module("measure").How(threads=2), tmp_path, False, 60))) == 8


def test_what_took_too_long_is_said_and_ends_that_way(invented: dict[str, Any], tmp_path: Path):
    rows = list(module("running").run(invented, module("measure").How(), tmp_path, False, 0.5))
    failed = {row["case"]["size"]: row["failed"] for row in rows if "failed" in row}
    assert failed == {
        128: "more than 0 s",
        256: "not tried after a smaller one",
        512: "not tried after a smaller one",
    }


def test_tables_and_plots_say_what_the_rows_say(invented: dict[str, Any], tmp_path: Path):
    list(module("running").run(invented, module("measure").How(), tmp_path, False, 60))
    rows = read_rows(tmp_path / "rows.jsonl", ())
    lines = module("tables").table(invented, rows)
    assert (
        "| Work, a picture | 64 px | 2,048 (1,024-4,096) | 4,096 | 10 | badly | 20,480 (10,240-40,960) | 40,960 | 50 | "
        "**10.0** | 5.0 |" in lines
    )
    assert "| Work | ours | 2,048 | 8,192 | 32,768 | 131,072 | 2.0 |" in lines
    assert "| Work | badly | 20,480 | 81,920 | needs 1 GB | not tried after a smaller one | 2.0 |" in lines
    figures = module("growth").figures_of(invented, rows)
    assert list(figures) == ["size", "size-memory"]
    assert all(png.startswith(b"\x89PNG") and len(png) < 60_000 for png in figures.values())


def test_pages_take_new_lines_between_their_marks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    between = module("result_bench").between
    page = (ROOT / "docs" / "speed.md").read_text()
    once = between(page, "table", ["| new |"])
    assert once != page
    assert between(once, "table", ["| new |"]) == once
    assert "| new |" in once
    with pytest.raises(ValueError, match="lacks"):
        between("no marks", "table", [])
