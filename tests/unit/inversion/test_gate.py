"""The gate: conformal quantiles, what it refuses, and its file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannotate.errors import GannotateError, UsageError
from gannotate.inversion.gate import Gate, calibrate, conformal_place, load_gate, save_gate


def statistics(count: int, seed: int = 0, distance: float = 1.0, typicality: float = 1.0) -> dict[str, np.ndarray]:
    """Log-normal ones, multiplied by the factors given."""
    rng = np.random.default_rng(seed)
    values = np.exp(0.3 * rng.standard_normal((2, count)))
    return {"distance": 0.1 * distance * values[0], "typicality": 3 * typicality * values[1]}


def test_the_conformal_place_in_closed_form():
    assert conformal_place(19, 0.05) == 19  # the largest of 19
    assert conformal_place(99, 0.1) == 90
    assert conformal_place(100, 0.1) == 91
    assert conformal_place(18, 0.05) > 18  # too few


@given(count=st.integers(1, 500), refusals=st.floats(0.01, 0.5))
def test_the_place_refuses_no_more_than_asked(count: int, refusals: float):
    place = conformal_place(count, refusals)
    assert 1 - place / (count + 1) <= refusals + 1e-9
    assert 1 - (place - 1) / (count + 1) > refusals - 1e-9  # and not one less than may be


def test_so_many_of_the_calibration_pictures_are_accepted():
    given_pictures = statistics(199)
    gate = calibrate(given_pictures, refusals=0.1)
    assert int(gate.accepts(given_pictures).sum()) == conformal_place(199, 0.1) == 180
    assert gate.pictures == 199


def test_new_pictures_of_the_same_kind_are_refused_at_the_rate():
    gate = calibrate(statistics(2000), refusals=0.1)
    assert 1 - gate.accepts(statistics(5000, seed=1)).mean() == pytest.approx(0.1, abs=0.02)


def test_after_few_pictures_a_little_more_is_refused_than_asked():
    # the conformal bound, here 4.9 %, is for scores whose centre and scale are not of the same pictures
    gates = [calibrate(statistics(40, seed=seed), refusals=0.05) for seed in range(400)]
    new = statistics(5000, seed=1000)
    rate = float(np.mean([1 - gate.accepts(new).mean() for gate in gates]))
    assert 1 - conformal_place(40, 0.05) / 41 < rate < 0.065


@pytest.mark.parametrize("factors", [{"distance": 8}, {"typicality": 8}])
def test_one_strange_statistic_is_enough(factors: dict[str, float]):
    gate = calibrate(statistics(200), refusals=0.05)
    assert gate.accepts(statistics(100, seed=2, **factors)).mean() < 0.01


def test_pictures_that_are_better_than_usual_are_accepted():
    gate = calibrate(statistics(200), refusals=0.05)
    assert gate.accepts(statistics(100, seed=2, distance=0.01, typicality=0.5)).all()


def test_too_few_pictures_and_wrong_parts():
    with pytest.raises(UsageError, match="calibrate on at least 19"):
        calibrate(statistics(18), refusals=0.05)
    calibrate(statistics(19), refusals=0.05)
    for refusals in (0, 1, -0.1):
        with pytest.raises(UsageError, match="between 0 and 1"):
            calibrate(statistics(50), refusals=refusals)


def test_a_gate_comes_back_and_judges_the_same(tmp_path: Path):
    gate = calibrate(statistics(50), refusals=0.1, settings={"steps": 100, "space": "w"})
    save_gate(tmp_path / "gate.json", gate)
    assert load_gate(tmp_path / "gate.json") == gate


def test_other_settings_do_not_compare():
    gate = calibrate(statistics(50), refusals=0.1, settings={"steps": 100, "space": "w"})
    gate.check_settings({"steps": 100, "space": "w"})
    with pytest.raises(UsageError, match="steps 100, now 50"):
        gate.check_settings({"steps": 50, "space": "w"})


def test_wrong_files(tmp_path: Path):
    path = tmp_path / "gate.json"
    with pytest.raises(UsageError, match="there is no gate"):
        load_gate(path)
    path.write_text("{}")
    with pytest.raises(GannotateError, match="no gate, or damaged"):
        load_gate(path)
    path.write_text(json.dumps({"format_version": 9, "gate": {}}))
    with pytest.raises(GannotateError, match="newer gannotate"):
        load_gate(path)
    assert Gate(refusals=0.1, pictures=1, centre={}, scale={}, threshold=0).settings == {}
