"""Going on with a run: where it stands, what is left to do, and bringing its folder back to that place."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from mmx.checkpoint.atomic import write_bytes
from mmx.checkpoint.read import CheckpointData
from mmx.errors import CheckpointError, RecipeError
from mmx.recipe.schema import Recipe
from mmx.recipe.write import to_toml
from mmx.runs.layout import RunFolder
from mmx.runs.plugin_files import flags, kept
from mmx.runs.stores import store_of
from mmx.wording import counted

Say = Callable[[str], None]


def has_finished(folder: RunFolder, found: CheckpointData, say: Say) -> bool:
    """Return whether a run took all the steps that it was last asked for, and its last checkpoint is good."""
    try:
        status = folder.status()
    except CheckpointError as error:
        say(f"whether the run has finished is not known, so it goes on from its last checkpoint: {error}")
        return False
    return status.status == "finished" and found.manifest.step == status.step


def nothing_left(folder: RunFolder, step: int) -> str:
    """Return what to say where a finished run is asked for no more steps than it has taken."""
    return (
        f"{folder.path} is finished: it has taken its {counted(step, 'step')}; nothing was done\n"
        "to train on, ask for more steps; the learning rate then follows the schedule of\n"
        "the longer run from there, so it may rise again at first:\n"
        f"  mmx run --resume {shlex.quote(str(folder.path))}{flags(folder.path, kept(folder))} --set train.steps={2 * step}"
    )


def goes_on(folder: RunFolder, step: int, steps: int, rate: float) -> str:
    """Return what to say where a finished run is asked for more steps; ``rate`` is that of its next step."""
    return (
        f"{folder.path} had finished at step {step:,}; it goes on to step {steps:,}, as is asked for now\n"
        f"the learning rate follows the schedule of {counted(steps, 'step')} from here, {rate:.3g} at the next step;\n"
        "what was trained so far followed the shorter one"
    )


def refuse_fewer(folder: RunFolder, step: int, steps: int) -> None:
    """Refuse to go on with a run that has taken more steps than it is asked for.

    Raises:
        RecipeError: it has.
    """
    if step > steps:
        raise RecipeError(
            f"{folder.path} has taken {counted(step, 'step')}, but is asked for {counted(steps, 'step')} in all "
            "(train.steps or train.epochs); ask for more, or start a new run"
        )


def rewind(folder: RunFolder, recipe: Recipe, found: CheckpointData | None, say: Say) -> None:
    """Bring a run's folder back to a checkpoint, to its beginning where there is none; keep the recipe it goes on with."""
    text = to_toml(recipe).encode()
    if folder.resolved.read_bytes() != text:
        write_bytes(folder.resolved, text)
    if found is None:
        say(f"{folder.path} was stopped before its first checkpoint; it starts from the beginning")
    step = 0 if found is None else found.manifest.step
    store_of(folder, recipe).drop_after(step, say)
    folder.rewind(step, say)
