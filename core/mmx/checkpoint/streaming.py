"""Saving by all processes: one tensor after the other is put together, written by the main one, and let go."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import final

from torch import Tensor

from mmx.checkpoint.tensors import ordered
from mmx.errors import MmxError
from mmx.launch.agree import agree_on
from mmx.learn.objective import Objective
from mmx.parts.engine import Engine
from mmx.parts.lazy import LazyTensor, Tensors


def write_together(
    engine: Engine, groups: Mapping[str, Tensors], write: Callable[[Mapping[str, Tensors]], None]
) -> None:
    """Let the main process write groups of tensors, each in its turn; the others give their parts of each.

    Where the main process fails in between, what is left is put together all the same, so that nobody waits for it.

    Raises:
        MmxError: that of the main process, in every process.
    """
    left = {(group, name): value for group, tensors in groups.items() for name, value in _lazy(tensors)}
    error: MmxError | None = None
    if engine.main:
        try:
            write({group: _taking(group, tensors, left) for group, tensors in groups.items()})
        except MmxError as found:
            error = found
    for value in left.values():
        value.gather()
    agree_on(engine, error)


def _lazy(tensors: Tensors) -> list[tuple[str, LazyTensor]]:
    found = ((name, tensors[name]) for name in ordered(tensors))
    return [(name, value) for name, value in found if isinstance(value, LazyTensor)]


def _taking(group: str, tensors: Tensors, left: dict[tuple[str, str], LazyTensor]) -> Tensors:
    def taken(name: str, value: LazyTensor) -> LazyTensor:
        def gather() -> Tensor | None:
            del left[group, name]
            return value.gather()

        return replace(value, gather=gather)

    return {name: taken(name, value) if isinstance(value, LazyTensor) else value for name, value in tensors.items()}


@final
class NeverTrained:
    """The parameters that an objective does not train, and whether they are stored as they are now.

    Made when it is settled what is trained. What a loss moves itself, such as a queue, is a buffer, not a parameter;
    a parameter that is moved in place all the same is noticed, and stored anew. Teachers are not among them.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._names = {
            name
            for name, p in objective.named_parameters(remove_duplicate=False)
            if not p.requires_grad and not name.startswith("teachers.")
        }
        self._stored: dict[str, int] | None = None

    def apart(
        self, engine: Engine, tensors: Mapping[str, Tensors]
    ) -> tuple[dict[str, Tensors], dict[str, Tensors] | None]:
        """Return what changes by group, and what does not; None for that if it is stored. All processes call it."""
        moving: dict[str, Tensors] = {}
        frozen: dict[str, Tensors] = {}
        for group, named in tensors.items():
            prefix = {"model": "model.", "objective": ""}.get(group)
            fixed = {} if prefix is None else {k: v for k, v in named.items() if f"{prefix}{k}" in self._names}
            moving[group] = {name: value for name, value in named.items() if name not in fixed}
            frozen |= {group: fixed} if fixed else {}
        return moving, frozen if any(engine.everyone(self._stored != self._versions())) else None

    def stored(self) -> None:
        """Note that they were stored."""
        self._stored = self._versions()

    def _versions(self) -> dict[str, int]:
        named = self._objective.named_parameters(remove_duplicate=False)
        return {name: p._version for name, p in named if name in self._names}
