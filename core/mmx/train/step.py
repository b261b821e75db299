"""One training step: gradients, clipping, update, and what follows it. The loop and ``mmx verify`` take the same."""

from collections.abc import Callable
from dataclasses import dataclass

from mmx.learn.objective import Objective
from mmx.parts.batch import Batch
from mmx.parts.engine import Engine


@dataclass(frozen=True)
class StepLoss:
    """What the losses of a step came to, over all data-parallel ranks."""

    total: float
    """The weighted sum, which was differentiated."""
    parts: dict[str, float]
    """Each loss, before its weight."""


def take_step(
    engine: Engine,
    objective: Objective,
    batch: Batch,
    micro_batches: int,
    clip: float | None,
    on_gradients: Callable[[StepLoss], None],
    on_norm: Callable[[float], None] = lambda norm: None,
) -> tuple[StepLoss, float]:
    """Take one step; all processes do. Returns the losses and the norm of the gradient before it was clipped.

    Args:
        engine: how it is computed; it was prepared with the objective.
        objective: what is trained.
        batch: the rows of this rank, on the engine's device.
        micro_batches: pieces that they are computed in.
        clip: norm that the gradient is clipped to.
        on_gradients: called when gradients are there, and before anything is updated; what it raises stops the step.
        on_norm: called with the gradient's norm, likewise.
    """
    engine.backward(batch, micro_batches)
    loss = loss_of(objective)
    on_gradients(loss)
    norm = engine.clip(clip)
    on_norm(norm)
    if engine.step():  # a scaler may skip it
        objective.after_step(batch)
    return loss, norm


def loss_of(objective: Objective) -> StepLoss:
    """Return the losses of the step that was just differentiated."""
    group = objective.group
    parts = {name: float(group.sum(value)) / group.size for name, value in objective.parts.items()}
    return StepLoss(sum(objective.weights[name] * value for name, value in parts.items()), parts)
