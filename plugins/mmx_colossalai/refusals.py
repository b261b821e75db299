"""What cannot be divided, told from the parts themselves; needs no ColossalAI."""

from collections.abc import Iterator
from math import gcd
from typing import cast

from torch import nn

from mmx.errors import RecipeError
from mmx.learn.objective import Objective
from mmx.parts.fusion import Fusion
from mmx.parts.loss import BatchLoss, Loss
from mmx.parts.sharding import Stack, Staged, cut_of
from mmx.wording import counted
from mmx_colossalai.stages import TOWERS


def refuse(objective: Objective, tensor: int, pipeline: int, sequence: bool) -> None:
    """Check that an objective can be divided.

    Raises:
        RecipeError: it cannot; the message says why and has the nearest layout.
    """
    if tensor > 1:
        refuse_cut(objective, tensor)
    if sequence:
        refuse_split(objective)
    if pipeline > 1:
        refuse_stages(objective, pipeline)


def refuse_cut(objective: Objective, tensor: int) -> None:
    """Check that both towers can be cut, and what says so in the fusion too.

    Raises:
        RecipeError: why not, and the nearest number of processes.
    """
    for name in (*TOWERS, "fusion"):
        tower: nn.Module = getattr(objective.model, name)
        counts = list(_counts(tower))
        if not counts and name == "fusion":  # each process has all of it
            continue
        if not counts:
            raise RecipeError(
                f"parallel.tensor = {tensor}: the {name} ({type(tower).__name__}) has no block that says how it is cut, "
                "so it can be data parallel only: set parallel.tensor = 1, or give its blocks a `cut` (docs/parallel-towers.md)"
            )
        wrong = [f"{what} = {count}" for what, count in counts if count % tensor]
        if wrong:
            common = gcd(*(count for _, count in counts))
            near = min((n for n in range(1, common + 1) if common % n == 0), key=lambda n: (abs(n - tensor), n))
            raise RecipeError(
                f"parallel.tensor = {tensor} does not divide {wrong[0]} of the {name}; "
                f"the nearest layout: parallel.tensor = {near}"
            )


def _counts(tower: nn.Module) -> Iterator[tuple[str, int]]:
    for module in tower.modules():
        cut = cut_of(module)
        if cut is None:
            continue
        yield from ((name, getattr(module, name)) for name in cut.divided)
        for name, fused in cut.columns.items():
            yield f"the outputs of {name}", module.get_submodule(name).out_features // fused  # pyright: ignore
        yield from ((f"the inputs of {name}", module.get_submodule(name).in_features) for name in cut.rows)  # pyright: ignore


def refuse_split(objective: Objective) -> None:
    """Check that tokens can be divided between the layers that are cut.

    Raises:
        RecipeError: a layer that is cut stands outside of a stack, where nothing divides tokens.
    """
    for name in (*TOWERS, "fusion"):
        tower: nn.Module = getattr(objective.model, name)
        inside = {part for stack in tower.modules() if isinstance(stack, Stack) for part in stack.modules()}
        outside = [path for path, module in tower.named_modules() if cut_of(module) and module not in inside]
        if outside:
            raise RecipeError(
                f'parallel.sequence = "split_gather": {name}.{outside[0]} is cut, but is not in a mmx.parts.sharding.Stack, '
                'which divides the tokens; the nearest layout: sequence = "none"'
            )


def refuse_stages(objective: Objective, stages: int) -> None:
    """Check that both towers can stand on several stages, and that the losses need no more of them than features.

    Raises:
        RecipeError: why not, and the nearest number of stages.
    """
    for name in TOWERS:
        tower = getattr(objective.model, name)
        if not isinstance(tower, Staged):
            raise RecipeError(
                f"parallel.pipeline = {stages}: the {name} ({type(tower).__name__}) does not say what comes before and "
                "after its blocks, so it can be data parallel only: set parallel.pipeline = 1, or let it be a "
                "mmx.parts.sharding.Staged (docs/parallel-towers.md)"
            )
        if len(tower.layers) < stages:
            raise RecipeError(
                f"parallel.pipeline = {stages} is more than the {counted(len(tower.layers), 'block')} of the {name}; "
                f"the nearest layout: parallel.pipeline = {len(tower.layers)}"
            )
    for name, loss in objective.losses.items():
        if _reads_again(cast(Loss, loss), objective.model.fusion):
            raise RecipeError(
                f"losses.{name} joins images and texts by the fusion {type(objective.model.fusion).__name__}, which has the "
                "text encoder read once more, and that stands on stages which are busy then: set parallel.pipeline = 1, "
                "or use a fusion with `fuse`, which takes what the towers made already (docs/parallel-towers.md)"
            )
        if cast(Loss, loss).teachers:
            raise RecipeError(
                f"losses.{name} learns from a teacher, whose passes are not laid out over stages: "
                "set parallel.pipeline = 1"
            )


def _reads_again(loss: Loss, fusion: Fusion) -> bool:
    """Say whether a loss needs the text tower again: one that sees pairs does, where the fusion joins in no other way."""
    if isinstance(loss, BatchLoss):
        joins = any(pull.kind == "words" for pull in loss.features())
    else:
        joins = bool(loss.image_views) and bool(loss.text_views)
    return joins and fusion.offers("join") and not fusion.offers("fuse")
