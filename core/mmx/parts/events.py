"""What observers are told about a run. Plain values only, so that trackers need no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Counts:
    """What became of the samples that were read."""

    trained: int
    skipped: int


@dataclass(frozen=True)
class Run:
    """One run, as observers see it."""

    name: str
    folder: Path
    recipe: Mapping[str, Any]
    """The resolved recipe as plain TOML values."""
    steps: int
    """Steps of the whole run."""
    start: int
    """The step the run starts after: 0, or that of the checkpoint it resumed from."""
    parameters: int
    trainable: int
    samples: int
    """Training samples in an epoch."""
    device: str
    argv: tuple[str, ...] = ()
    plugin_files: tuple[str, ...] = ()
    """Names of the plugin files that the run needs; copies are in ``folder / "plugins"``."""
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])
    """Samples that filters leave out of training, by the filter's key in the recipe after ``data.``."""


@dataclass(frozen=True)
class Step:
    """One step that was taken."""

    step: int
    """1 after the first step."""
    epoch: float
    """Passes over the data so far."""
    loss: float
    parts: Mapping[str, float]
    """Each loss by its name in the recipe, before its weight."""
    lr: float
    scale: float | None
    """The factor on similarities, 1 / temperature, one of ``numbers``; None if the model has none."""
    gradient_norm: float
    images_per_second: float
    """Over the last steps, evaluation and checkpoints excluded."""
    seconds: float
    """Of training so far, evaluation and checkpoints included."""
    waited: float
    """Share of the time since the last record that was spent waiting for data, 0 to 1."""
    left: float
    """Seconds to the end of the run, estimated."""
    skipped: int
    """Bad samples so far."""
    sources: Mapping[str, Counts] = field(default_factory=dict[str, Counts])
    """Samples since the last record, by the name of their source; ``train`` where there is one."""
    slowest: str = ""
    """What reading them took longest for on the first process: read, decode, images, texts or collate."""
    numbers: Mapping[str, float] = field(default_factory=dict[str, float])
    """What losses and the fusion reported of this step, by name: means over its rows (``mmx.parts.report``)."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: Literal["finished", "stopped", "failed"]
    reason: str
    """Why it stopped or failed; empty when finished."""
    step: int
    seconds: float
    exit_code: int
    resume: str
    """The command that goes on, empty when finished."""
