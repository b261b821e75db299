"""Pipeline stages: which blocks a process holds, and the towers' passes through all of them."""

from collections.abc import Iterator
from contextvars import ContextVar
from types import MethodType
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from mmx.errors import RecipeError
from mmx.learn.model import Model
from mmx.learn.objective import Objective
from mmx.learn.teacher import Teacher
from mmx.parts.batch import Encoded
from mmx.parts.sharding import Staged
from mmx_colossalai.mesh import Mesh

TOWERS = ("image_encoder", "text_encoder")
EVERY = None
"""Of a tensor that each stage holds. The last stage's counts: it computes the losses."""
BY_ITSELF: Final = ContextVar("by_itself", default=False)
"""Whether the last stage computes losses now, while the others do something else and cannot run towers with it."""


def models_of(objective: Objective) -> Iterator[tuple[str, Model]]:
    """Yield the model and those of teachers, with the start of their tensors' names."""
    yield "model.", objective.model
    for name, teacher in objective.teachers.items():
        yield f"teachers.{name}.model.", cast(Teacher, teacher).model


def spans(blocks: int, stages: int) -> list[range]:
    """Return the blocks of each stage."""
    return [range(blocks * stage // stages, blocks * (stage + 1) // stages) for stage in range(stages)]


def stage_of(name: str, objective: Objective, stages: int) -> int | None:
    """Return the stage that holds a tensor, by its name; ``EVERY`` if each does."""
    for start, model in models_of(objective):
        for tower in TOWERS:
            prefix = f"{start}{tower}."
            if stages > 1 and name.startswith(prefix):
                return _within(name.removeprefix(prefix), getattr(model, tower), stages)
    return EVERY


def _within(name: str, tower: Staged[Any], stages: int) -> int:
    first, _, rest = name.partition(".")
    if first == "layers":
        index = int(rest.partition(".")[0])
        return next(stage for stage, span in enumerate(spans(len(tower.layers), stages)) if index in span)
    return 0 if first in tower.entrance else stages - 1


def lay_out(objective: Objective, mesh: Mesh) -> None:
    """Give up the tensors of other stages, and let towers called alone run through all stages."""
    for name, _ in [*objective.named_parameters(), *objective.named_buffers()]:
        if stage_of(name, objective, mesh.stages) not in (EVERY, mesh.stage):
            path, _, leaf = name.rpartition(".")
            module = objective.get_submodule(path)
            (module._parameters if leaf in module._parameters else module._buffers)[leaf] = None
    for _, model in models_of(objective):
        for name in TOWERS:
            tower: nn.Module = getattr(model, name)
            staged = cast("Staged[Any]", tower)
            staged.layers.span = spans(len(staged.layers), mesh.stages)[mesh.stage]
            tower.forward = MethodType(_Through(mesh), tower)


class _Through:
    """A tower's forward over all stages, each in its turn; all stages call it and get what the last one found."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    def __call__(self, tower: Staged[Any], view: Any, context: Encoded | None = None, mode: str = "text") -> Encoded:
        if context is not None or mode != "text":
            raise RecipeError(f"a text encoder on pipeline stages reads text alone, not mode '{mode}'")
        if BY_ITSELF.get():
            raise RecipeError(
                f"a loss runs {type(tower).__name__} once more, which stands on pipeline stages that are busy: "
                "use a fusion with `fuse`, which takes what the towers made already, or set parallel.pipeline = 1"
            )
        mesh, route = self._mesh, tower.route(view)
        tokens: Tensor | None = None
        found: Encoded | None = None
        for stage in range(mesh.stages):
            if stage == mesh.stage:
                tokens = tower.enter(view, route) if tokens is None else tokens
                tokens = cast(Tensor, tower.layers(tokens, *route))
                found = tower.leave(tokens, view, route) if mesh.last else None
            if stage < mesh.stages - 1:
                passed = mesh.tensor_from_stage(stage, tokens if stage == mesh.stage else None)
                tokens = passed if mesh.stage == stage + 1 else tokens
        return self._shared(found)

    def _shared(self, found: Encoded | None) -> Encoded:
        mesh, last = self._mesh, self._mesh.stages - 1
        names = mesh.from_stage(last, None if found is None else _present(found))
        parts: dict[str, Any] = {name: mesh.tensor_from_stage(last, getattr(found, name, None)) for name in names}
        return Encoded(**parts)


def _present(found: Encoded) -> list[str]:
    return [name for name in ("pooled", "tokens", "mask") if getattr(found, name) is not None]


def sync_every(objective: Objective, mesh: Mesh) -> None:
    """Give every stage what only the last one trains: the fusion's and the losses' parameters."""
    for name, parameter in objective.named_parameters():
        if parameter.requires_grad and stage_of(name, objective, mesh.stages) is EVERY:
            with torch.no_grad():
                torch.distributed.broadcast(parameter.data, src=mesh.of_stage(mesh.stages - 1), group=mesh.pipeline)
