"""An objective that has been divided over processes: its parts, and the whole of them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Final, cast, final

import torch
from torch import Tensor, nn

from mmx.errors import RecipeError
from mmx.learn.objective import Objective
from mmx.learn.teacher import Teacher
from mmx.parts.lazy import LazyTensor
from mmx.parts.sharding import Stack
from mmx_colossalai.mesh import Mesh
from mmx_colossalai.noise import quiet
from mmx_colossalai.pipeline import Pipeline
from mmx_colossalai.policy import mark_partial, slices
from mmx_colossalai.refusals import refuse
from mmx_colossalai.shards import Known, Shards
from mmx_colossalai.stages import EVERY, lay_out, stage_of, sync_every
from mmx_colossalai.tokens import MeshTokenSplit
from mmx_colossalai.update import Update, apart

_IDLE: Final = "idle"


@final
class Division:
    """Divides an objective, and puts its weights, gradients and optimizer state together again.

    Raises:
        RecipeError: it cannot be divided so; the message has the nearest layout.
    """

    pipeline: Pipeline | None = None
    update: Update
    wrapped: Any
    """ColossalAI's wrapper of the objective."""

    def __init__(self, objective: Objective, mesh: Mesh, precision: str, zero: int, sequence: bool) -> None:
        refuse(objective, mesh.tensor_size, mesh.stages, sequence)
        self._objective, self._mesh, self._zero, self._sequence = objective, mesh, zero, sequence
        self._cast = torch.bfloat16 if precision == "bf16" else None
        # The whole tensors, until masters have their values; those that do not train stay, as they were.
        # A tensor with two names, such as a head that is tied to its table, is divided once, by its first name.
        named, first = objective.state_dict(keep_vars=True), dict[int, str]()
        self._same = {name: first.setdefault(id(value), name) for name, value in named.items()}
        self._start = {name: value.detach() for name, value in named.items() if self._same[name] == name}
        self._trained = {name for name, p in objective.named_parameters() if p.requires_grad}
        self._cut = slices(objective)
        last = mesh.stages - 1
        stages = {name: stage_of(name, objective, mesh.stages) for name in self._start}
        known = {
            name: Known(value.shape, value.dtype, last if stages[name] is EVERY else cast(int, stages[name]))
            for name, value in self._start.items()
        }
        self.shards = Shards(mesh, known, self._cut)

    def boost(self, booster: Any, optimizer: torch.optim.Optimizer) -> None:
        """Divide objective and optimizer, in place."""
        objective, mesh = self._objective, self._mesh
        teachers = [cast(Teacher, teacher) for teacher in objective.teachers.values()]
        for teacher in teachers:  # or what they share would be cut twice
            teacher.part()
        if self._cast is not None:
            objective.to(self._cast)
        held = self._held()
        fixed = [name for name in set(self._start) - self._trained if held[name].dtype != self._start[name].dtype]
        if self._sequence:
            mark_partial(objective, self._cut)
            for stack in objective.modules():
                if isinstance(stack, Stack):
                    stack.tokens = MeshTokenSplit(mesh)
        if mesh.stages > 1:
            lay_out(objective, mesh)
        if (
            self._zero and mesh.stages > 1 and len(optimizer.param_groups) > 2
        ):  # those that decay, and those that do not
            raise RecipeError(
                f"parallel.zero = {self._zero} with parallel.pipeline = {mesh.stages} does not run with optim.groups, of which "
                "stages hold different ones; the nearest layouts: pipeline = 1, or zero = 0"
            )
        exact = apart(optimizer, torch.bfloat16) if self._zero else None
        # DDP prints a warning in a step whose losses reach everything: here is one parameter that none ever does.
        objective.register_parameter(_IDLE, nn.Parameter(torch.zeros((), device=mesh.device)))
        with quiet(Warning):
            self.wrapped, wrapped, *_ = booster.boost(objective, optimizer)
        delattr(objective, _IDLE)
        if mesh.data_size == 1 and self.wrapped.use_ddp:  # nobody to average with, and no waiting for every gradient
            self.wrapped.module, self.wrapped.use_ddp = self.wrapped.module.module, False
        self.update = Update(wrapped, exact, objective, mesh)
        for name, slot in self.update.slots.items():
            if slot.master is not slot.parameter:
                self.update.write(slot, self.shards.piece(name, self._start[name], slot.flat))
        if mesh.stages > 1:
            self.pipeline = Pipeline(objective, booster, self.wrapped, mesh)
        self._start = {name: self._start[name] for name in fixed}
        for teacher in teachers:
            teacher.share(objective.model)

    def _held(self) -> dict[str, Tensor]:
        """Return this process's tensors by name. (ColossalAI's own ``state_dict`` gathers, and needs a GPU for it.)"""
        return dict(self._objective.named_parameters()) | dict(self._objective.named_buffers())

    def silent(self) -> AbstractContextManager[object]:
        """Return a context in which ranks do not exchange gradients. ZeRO-2 always does: it keeps only shares."""
        if self._zero == 2:
            return nullcontext()
        return cast("AbstractContextManager[object]", (self.update.wrapped if self._zero else self.wrapped).no_sync())

    def step(self) -> None:
        """Move the weights, and let every stage have those that only the last one trains."""
        self.update.step()
        if self._mesh.stages > 1:
            sync_every(self._objective, self._mesh)

    def weights(self) -> dict[str, LazyTensor]:
        """Return the whole tensors of the objective, to be put together by all processes: trained ones in full precision.

        Names that share a tensor have it each.
        """
        held = self._held()
        return {
            name: self._lazy(one, partial(self._weight, one, held.get(one)), self.shards.known[one].dtype)
            for name, one in self._same.items()
        }

    def _weight(self, name: str, held: Tensor | None) -> Tensor | None:
        slot = self.update.slots.get(name)
        if name in self._start:
            return self._start[name].cpu() if self._mesh.rank == 0 else None
        if slot is not None:
            return self.shards.whole(name, slot.master, slot.flat)
        return self.shards.whole(name, held, flat=False)

    def _lazy(
        self, name: str, gather: Callable[[], Tensor | None], dtype: torch.dtype, single: bool = False
    ) -> LazyTensor:
        return LazyTensor(torch.Size() if single else self.shards.known[name].shape, dtype, torch.no_grad()(gather))

    @torch.no_grad()
    def gradients(self) -> dict[str, Tensor]:
        """Return the whole gradients on the main process."""
        found: dict[str, Tensor] = {}
        there = self._present(lambda name: self.update.gradient(self.update.slots[name]) is not None)
        for name in there:
            slot = self.update.slots.get(name)
            part = None if slot is None else self.update.gradient(slot)
            whole = self.shards.whole(name, part, slot is not None and slot.flat)
            if whole is not None:
                found[name] = whole
        return found

    def _present(self, has: Callable[[str], bool]) -> list[str]:
        """Return the names of trained tensors that the stage which counts has something of."""
        mine = [name for name in self.update.slots if self.shards.here(name) and has(name)]
        found: list[Any] = [None] * self._mesh.stages
        torch.distributed.all_gather_object(found, mine, group=self._mesh.pipeline)
        names = {name for stage in found for name in stage}
        return [name for name in self.shards.known if name in names]

    def optimizer_state(self, everyone: Callable[[Any], list[Any]]) -> dict[str, LazyTensor]:
        """Return the optimizer's whole tensors, ``parameter name/state name``, to be put together by all processes."""
        slots = self.update.slots
        mine = {
            name: {key: (value.ndim == 0, value.dtype) for key, value in slot.state.items()}
            for name, slot in slots.items()
            if self.shards.here(name)
        }
        entries = {name: keys for process in everyone(mine) for name, keys in process.items()}
        return {
            f"{name}/{key}": self._lazy(name, partial(self._entry, name, key, single, dtype), dtype, single)
            for name in self.shards.known
            for key, (single, dtype) in entries.get(name, {}).items()
        }

    def _entry(self, name: str, key: str, single: bool, dtype: torch.dtype) -> Tensor | None:
        slot = self.update.slots.get(name)
        part = slot.state[key] if slot is not None and self.shards.here(name) else None
        if single:
            return self._single(name, part, dtype)
        return self.shards.whole(name, part, slot is not None and slot.flat, dtype)

    def _single(self, name: str, value: Tensor | None, dtype: torch.dtype) -> Tensor | None:
        """Return a single number, such as the count of steps, of the stage that has it."""
        stage = self.shards.known[name].stage
        if self._mesh.stages > 1:
            value = torch.tensor(self._mesh.from_stage(stage, None if value is None else float(value)), dtype=dtype)
        return value.cpu() if value is not None and self._mesh.rank == 0 else None

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> list[str]:
        """Put optimizer state back. Returns the names of what is not trained now, if there are such."""
        foreign = {key.rpartition("/")[0] for key in tensors} - self._trained
        if foreign:
            return sorted(foreign)
        for key in tensors:
            name, _, entry = key.rpartition("/")
            slot = self.update.slots.get(name)
            if slot is None:
                continue
            value = tensors[key]
            single = value.ndim == 0
            slot.state[entry] = (
                value.clone().to(self._mesh.device) if single else self.shards.piece(name, value, slot.flat).clone()
            )
        return []
