"""A run folder that fills up as in a run, and a W&B that misbehaves on demand."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmx.evaluate.results import write_result
from mmx.parts.evaluator import Guess, Number, Picture, Result, Table
from mmx.parts.events import Run


@dataclass
class Folder:
    path: Path

    @property
    def run(self) -> Run:
        recipe = {"name": "quickstart", "data": {"train": {"url": "https://me:hunter2@example.invalid/x"}}}
        return Run(self.path.name, self.path, recipe, 20, 0, 10, 10, 10, "cpu")

    def append(self, **row: Any) -> None:
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")

    def step(self, step: int) -> None:
        sources = {"own": {"trained": 63, "skipped": 1}}
        self.append(
            kind="step", step=step, loss=1.5, parts={"contrastive": 1.5}, lr=1e-3, sources=sources, slowest="decode"
        )

    def evaluation(self, step: int) -> None:
        png = io.BytesIO()
        Image.new("RGB", (4, 4)).save(png, "PNG")
        picture = Picture("k", png.getvalue(), "cat", (Guess("dog", 0.5),), 2)
        table = Table(("class", "top1"), [("cat", 0.5)])
        result = Result("top1", {"top1": Number(0.25, 0.2, 0.3, 0.01, 9)}, {"per_class": table}, {"sample": (picture,)})
        write_result(self.path / "evaluations" / f"step-{step:08d}", "zero_shot", result)
        numbers = {"top1": {"value": 0.25, "low": 0.2, "high": 0.3, "chance": 0.01, "count": 9, "help": ""}}
        self.append(kind="evaluation", step=step, evaluator="zero_shot", headline="top1", numbers=numbers)

    def end(self, status: str = "finished") -> None:
        self.append(kind="end", status=status, step=20)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "run-1"
    path.mkdir()
    made = Folder(path)
    made.append(kind="run", step=0, start=0)
    return made


@dataclass
class Fake:
    log: Path
    set: Callable[[str], None]

    def calls(self, name: str) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [call for call in map(json.loads, lines) if call["call"] == name]

    def values(self) -> list[dict[str, Any]]:
        """What was logged by the last process."""
        logged = self.calls("log")
        return [call["values"] for call in logged if call["pid"] == logged[-1]["pid"]]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    package = tmp_path / "site" / "wandb"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text((Path(__file__).parent / "fake_wandb.py").read_text())
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setenv("FAKE_WANDB_LOG", str(tmp_path / "calls.jsonl"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return Fake(tmp_path / "calls.jsonl", lambda kind: monkeypatch.setenv("FAKE_WANDB", kind))
