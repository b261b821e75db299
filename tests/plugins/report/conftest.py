"""A small run folder, as the core leaves it."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmx.evaluate.results import write_result
from mmx.parts.evaluator import Guess, Number, Picture, Result, Table

RECIPE = '[image_encoder]\nname = "vit"\n\n[losses.contrastive]\nname = "clip"\n\n[data]\nbatch = 128\n'


def _result(value: float, name: str) -> Result:
    png = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(png, "PNG")
    guesses = (Guess("dog", 0.31), Guess(name, 0.3), Guess("cow", -0.1))
    numbers = {
        "top5": Number(2 * value, 1.9 * value, 2.1 * value, 5 / 1906, 1607, "among the five best"),
        "top1": Number(value, 0.9 * value, 1.1 * value, 1 / 1906, 1607, "right at once"),
        "median_rank": Number(4.0, count=1607),
    }
    return Result(
        "top1",
        numbers,
        {"per_class": Table(("class", "count", "top1"), [(name, 3, 0.5)])},
        {"sample": (Picture("k0", png.getvalue(), name, guesses, 2),), "nearest_wrong": ()},
    )


class Made:
    """A run folder, and what adds to it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, *rows: dict[str, Any]) -> None:
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    def evaluate(self, step: int, value: float, name: str = "cat") -> None:
        result = _result(value, name)
        write_result(self.path / "evaluations" / f"step-{step:08d}", "unseen_artist", result)
        numbers = {title: asdict(number) for title, number in result.numbers.items()}
        self.add(
            {"kind": "evaluation", "step": step, "evaluator": "unseen_artist", "headline": "top1", "numbers": numbers}
        )

    def step(self, at: int, **changed: Any) -> dict[str, Any]:
        loss = {"loss": 5.0 - at / 10, "parts": {"contrastive": 5.0 - at / 10}}
        speed = {"images_per_second": 500.0, "seconds": at * 0.1, "waited": 0.02, "left": 1.0, "skipped": 0}
        return {"kind": "step", "step": at, "epoch": at / 40, "lr": 1e-3, "scale": 20.0, **loss, **speed, **changed}


@pytest.fixture
def made(tmp_path: Path) -> Made:
    made = Made(tmp_path / "first")
    made.path.mkdir()
    (made.path / "resolved.toml").write_text(RECIPE)
    (made.path / "env.json").write_text(json.dumps({"mmx": "0.1.0", "torch": "2.13.0", "argv": ["mmx", "run"]}))
    sizes = {"parameters": 1_234_567, "trainable": 1_000_000, "samples": 5133, "device": "cpu"}
    made.add({"kind": "run", "start": 0, "step": 0, "steps": 40, **sizes})
    made.add(*(made.step(at) for at in range(10, 41, 10)))
    made.evaluate(20, 0.1)
    made.evaluate(40, 0.25)
    made.add({"kind": "end", "status": "finished", "reason": "", "step": 40, "seconds": 153.0})
    return made


@pytest.fixture
def folder(made: Made) -> Path:
    return made.path
