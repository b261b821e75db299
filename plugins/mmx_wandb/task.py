"""What the process that follows a run is told: plain values, sent over its standard input. Holds no secrets."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from mmx.parts.events import Run
from mmx.runs.mask import masked
from mmx_wandb.config import WandbConfig


@dataclass(frozen=True)
class Limits:
    """Seconds that W&B gets."""

    init: float = 15.0
    """To start a run online."""
    call: float = 20.0
    """For one call that sends something."""
    finish: float = 20.0
    """To take the last rows after the run's end."""
    offline: float = 10.0
    """To write all rows again offline, after it failed online."""


@dataclass(frozen=True)
class Task:
    """One run to follow."""

    folder: str
    id: str
    """The W&B run; the same when a run is resumed."""
    offset: int
    """Where in ``metrics.jsonl`` this part of the run begins."""
    parent: int
    """Process that trains; the follower ends when it is gone."""
    name: str
    project: str
    entity: str | None
    group: str
    tags: Sequence[str]
    mode: str
    pictures: bool
    config: Mapping[str, Any]
    limits: Limits

    def offline(self) -> Task:
        """Return the same task for a second try, offline."""
        return replace(self, mode="offline")

    def write(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(asdict(self)).encode()

    @staticmethod
    def read(text: bytes) -> Task:
        """Read what was written."""
        values = cast(dict[str, Any], json.loads(text))
        limits = Limits(**cast(dict[str, float], values.pop("limits")))
        return Task(**values, limits=limits)


def task_of(config: WandbConfig, run: Run, limits: Limits) -> Task:
    """Return the task for a run; its id is kept in the run folder, so that a resumed run goes on in W&B too."""
    metrics = run.folder / "metrics.jsonl"
    facts = {"parameters": run.parameters, "trainable": run.trainable, "samples": run.samples, "device": run.device}
    return Task(
        folder=str(run.folder.absolute()),
        id=_id(run.folder / "wandb-id"),
        offset=metrics.stat().st_size if metrics.exists() else 0,
        parent=os.getpid(),
        name=run.name,
        project=config.project,
        entity=config.entity,
        group=config.group or str(run.recipe.get("name") or "") or run.name,
        tags=config.tags,
        mode=config.mode,
        pictures=config.log_pictures,
        config={"recipe": masked(run.recipe), **facts},
        limits=limits,
    )


def _id(path: Path) -> str:
    known = path.read_text(encoding="ascii", errors="replace").strip() if path.exists() else ""
    if known.isascii() and known.isalnum():
        return known
    fresh = secrets.token_hex(4)
    path.write_text(f"{fresh}\n", encoding="ascii")
    return fresh
