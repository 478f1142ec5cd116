"""The quick form of every study that ships, run to its end on portraits: minutes each, `pytest -m slow`."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gannotate.studies import load_study
from gannotate.studies.study import names


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all of them, and for all workers of pytest-xdist: what studies have in common runs once."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "quick-studies"


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_a_quick_form_runs_to_its_end(name: str, out: Path):
    words = ["study", "run", name, "--quick", "--seeds", "1", "--out", str(out), "--json"]
    ran = subprocess.run([sys.executable, "-m", "gannotate", *words], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    result, study = json.loads(ran.stdout), load_study(name)
    assert result["rows"]
    assert {row["status"] for row in result["rows"]} == {"done"}
    for measure, about in study.measures.items():
        figures = [row["figures"].get(measure) for row in result["rows"]]
        assert about.optional or "*" in about.source or any(one is not None for one in figures), measure
        assert all(one is None or math.isfinite(one) for one in figures)
    assert all(cell["command"].startswith("gannotate ") for cell in result["cells"].values())
    own = out / f"{name}-portraits-quick"
    table = (own / "table.md").read_text()
    assert study.title in table
    assert "quick form" in table
    assert (own / "table.csv").stat().st_size > 0
    assert all((own / plot[kind]).stat().st_size > 0 for plot in result["plots"] for kind in ("svg", "png"))
    assert all((own / picture["file"]).stat().st_size > 0 for picture in result["pictures"])
    assert len(result["pictures"]) >= len(study.pictures)
