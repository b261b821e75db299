"""What the command line asks of a run, and what it gets back. Plain values: importing this needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RunRequest:
    """Train from a recipe, or go on with a run."""

    recipe: Path | None = None
    """The recipe's file; None goes on with the recipe of the run in ``resume``."""
    overrides: tuple[str, ...] = ()
    """``a.b=VALUE``, each as given to ``--set``."""
    unset: tuple[str, ...] = ()
    """Keys to leave out of the recipe."""
    resume: str | None = None
    """A run folder, or "auto" for the newest run of this recipe under ``out``."""
    out: Path = Path("runs")
    name: str | None = None
    """The run folder's name under ``out``; made from the recipe's name and the time if not given."""
    dry_run: bool = False
    plugins: tuple[Path, ...] = ()
    """Plugins that are one file each."""
    trace: bool = False
    """Whether every hook call is shown."""
    json: bool = False
    quiet: bool = False
    argv: tuple[str, ...] = ()
    """The command as it was typed, for the record."""


@dataclass(frozen=True)
class EvalRequest:
    """Evaluate the model of a run."""

    run: Path
    overrides: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()
    plugins: tuple[Path, ...] = ()
    trace: bool = False
    json: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class RunResult:
    """How a run or an evaluation ended."""

    exit_code: int = 0
    summary: dict[str, Any] = field(default_factory=dict[str, Any])
    """What ``--json`` prints: plain JSON values."""
