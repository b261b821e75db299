"""Runs and results that the terminal is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmx.parts.evaluator import Number, Result
from mmx.parts.events import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = tmp_path / "runs" / "first run"
    folder.mkdir(parents=True)
    recipe = {"data": {"batch": 128}, "evaluators": {"unseen_artist": {"name": "zeroshot"}}}
    return Run(folder.name, folder, recipe, 100, 0, 10, 10, 5000, "cpu", ("mmx", "run", "my.toml"))


@pytest.fixture
def results() -> dict[str, Result]:
    numbers = {
        "top5": Number(0.515, 0.5, 0.53, 5 / 1906, 1607),
        "top1": Number(0.287, 0.271, 0.303, 1 / 1906, 1607),
        "held_out.among_own.top1": Number(0.21, 0.15, 0.27, 1 / 191, 191),
        "median_rank": Number(4.0, count=1607),
    }
    return {"unseen_artist": Result("top1", numbers)}
