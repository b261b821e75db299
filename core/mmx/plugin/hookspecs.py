"""The hooks of mmx: this file is the manual. A plugin implements any of them with ``@mmx.hookimpl``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from mmx.parts.evaluator import Result
    from mmx.parts.events import Outcome, Run, Step
    from mmx.plugin.registry import Registrar

hookspec = pluggy.HookspecMarker("mmx")
hookimpl = pluggy.HookimplMarker("mmx")


@hookspec
def mmx_register(register: Registrar) -> None:
    """Register parts. Called once, before a recipe is read; must not import torch.

    A producer: an exception makes the plugin broken, and every run that needs one of its parts stops.
    """


@hookspec
def mmx_run_start(run: Run) -> None:
    """The run folder exists, the model is built, nothing is trained yet. An observer, like all hooks below.

    Observers see what happens and change nothing. An exception in one is reported once, by name, and the run goes on.
    Where a run has several processes, they are called in the main one only.
    """


@hookspec
def mmx_step_end(run: Run, step: Step) -> None:
    """A step was taken: its losses, rates and times are in ``step``.

    Called after the first step of each start, then every ``train.log_every`` steps, and after the last.
    """


@hookspec
def mmx_evaluation_end(run: Run, step: int, results: dict[str, Result]) -> None:
    """The evaluators have run; ``results`` has one entry for each, by its name in the recipe."""


@hookspec
def mmx_run_end(run: Run, outcome: Outcome) -> None:
    """The run ended: finished, stopped by a signal or a time limit, or failed."""
